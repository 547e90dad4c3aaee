"""From a checkpoint file to a classifier in eval mode, with nothing missing and nothing ignored."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ..catalog import open_catalog
from ..errors import CheckpointError, UsageError
from ..nets import Classifier, MixClassifier
from ..nets.classifiers import MIX_BLOCKS
from ..refs import Resolved, resolve
from .infer import infer
from .names import canonical
from .reading import Checkpoint, read_checkpoint


@dataclass(frozen=True)
class Expectation:
    """What a manifest's row says about its checkpoint. None is not checked."""

    name: str
    architecture: str | None = None
    num_classes: int | None = None
    method: str | None = None


def load(
    ref: str | Path, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """The classifier of a row (fetched if it isn't here) or of a checkpoint file, in eval mode.

    ref: a row id like `resnet50.automix_inat2018`, or a path. head: of AutoMix and SAMix one of
    `one_k` (default, as the reference infers), `mix_k`, `one_q`, `mix_q`.
    Raises MixzooError: UsageError for an unknown row or head, SourceError or IntegrityError if
    the weights can't be had, CheckpointError if the file isn't what it has to be.
    """
    return load_resolved(resolve(str(ref), open_catalog()), head=head, device=device)


def load_resolved(
    resolved: Resolved, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """The classifier of a checkpoint that was found, held against its row if it has one."""
    row, expect = resolved.row, None
    if row and resolved.benchmark:
        expect = Expectation(
            name=row.id,
            architecture=row.architecture,
            num_classes=resolved.benchmark.manifest.dataset.num_classes,
            method=row.method,
        )
    return load_file(resolved.path, head=head, device=device, expect=expect)


def load_file(
    path: Path | str,
    head: str | None = None,
    device: torch.device | str = "cpu",
    expect: Expectation | None = None,
) -> Classifier | MixClassifier:
    """Read the checkpoint at `path` and `build` it."""
    return build(read_checkpoint(path), head=head, expect=expect, device=device)


def build(
    checkpoint: Checkpoint,
    *,
    head: str | None = None,
    expect: Expectation | None = None,
    device: torch.device | str = "cpu",
) -> Classifier | MixClassifier:
    """The checkpoint's classifier: float32, in eval mode, on `device`, with its own memory.

    head: the one that `forward` uses; None is the first of `heads`. expect: what the file must
    be. Raises CheckpointError where entries don't fit the architecture that their shapes imply,
    or the expectation; UsageError for an unknown head.
    """
    try:
        entries = canonical(checkpoint.state_dict)
        model = infer(entries)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path.name}: {error}") from None
    if expect is not None:
        _hold_against(model, expect)
    if head is not None:
        _choose(model, head)
    model.to_empty(device=device).load_state_dict(entries)
    return model.eval()


def _choose(model: Classifier | MixClassifier, head: str) -> None:
    if head not in model.heads:
        raise UsageError(f"No head '{head}'. This checkpoint has: {', '.join(model.heads)}")
    model.head_name = head


def _hold_against(model: Classifier | MixClassifier, expect: Expectation) -> None:
    advice = "is it the file of another row? See: mixzoo zoo show " + expect.name
    if expect.num_classes not in (None, model.num_classes):
        raise CheckpointError(
            f"{expect.name} expects {expect.num_classes} classes, the checkpoint's heads have "
            f"{model.num_classes}: {advice}"
        )
    if expect.architecture not in (None, model.architecture):
        raise CheckpointError(
            f"{expect.name} expects a {expect.architecture}, the checkpoint is a "
            f"{model.architecture}: {advice}"
        )
    # only AutoMix and SAMix leave traces in the weights; all others are plain
    expected = expect.method if expect.method in MIX_BLOCKS else "plain"
    if expect.method is not None and expected != model.method:
        raise CheckpointError(
            f"{expect.name} expects {expect.method} weights, the checkpoint's are "
            f"{model.method}: {advice}"
        )
