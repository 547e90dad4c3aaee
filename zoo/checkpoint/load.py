"""From a checkpoint file to a classifier in eval mode, with nothing missing and nothing ignored."""

from pathlib import Path

import torch

from ..catalog import open_catalog
from ..errors import CheckpointError, UsageError
from ..manifest import Row
from ..nets import Classifier, MixClassifier
from ..nets.classifiers import MIX_BLOCKS
from ..refs import CheckpointFile, resolve
from ..report import Weights
from .infer import infer
from .names import canonical
from .reading import Checkpoint, read_checkpoint


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
    resolved: CheckpointFile, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """The classifier of a checkpoint that was found, held against its row if it has one."""
    model = load_file(resolved.path, head=head, device=device)
    hold_against_row(model, resolved.row, resolved.num_classes)
    return model


def load_file(
    path: Path | str, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """Read the checkpoint at `path` and `build` it."""
    return build(read_checkpoint(path), head=head, device=device)


def build(
    checkpoint: Checkpoint, *, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """The checkpoint's classifier: float32, in eval mode, on `device`, with its own memory.

    head: the one that `forward` uses; None is the first of `heads`. Raises CheckpointError
    where entries don't fit the architecture that their shapes imply, UsageError for another head.
    """
    try:
        entries = canonical(checkpoint.state_dict)
        model = infer(entries)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path.name}: {error}") from None
    if head is not None:
        if head not in model.heads:
            raise UsageError(f"No head '{head}'. This checkpoint has: {', '.join(model.heads)}")
        model.head_name = head
    model.to_empty(device=device).load_state_dict(entries)
    return model.eval()


def hold_against_row(
    network: Classifier | MixClassifier | Weights, row: Row | None, num_classes: int | None
) -> None:
    """Refuse weights that can't be those of `row`, by what the weights themselves tell.

    network: a model, or what was noted of one. num_classes: of the row's data set. Asked whenever
    weights are used, also where only their kept predictions are; those of no row may be anything.
    Raises CheckpointError, which names the first difference.
    """
    if row is None:
        return
    # only AutoMix and SAMix leave traces in the weights; all others are plain
    method = row.method if row.method in MIX_BLOCKS else "plain"
    if num_classes != network.num_classes:
        expected = f"{num_classes} classes, the checkpoint's heads have {network.num_classes}"
    elif row.architecture != network.architecture:
        expected = f"a {row.architecture}, the checkpoint is a {network.architecture}"
    elif method != network.method:
        expected = f"{row.method} weights, the checkpoint's are {network.method}"
    else:
        return
    raise CheckpointError(
        f"{row.id} expects {expected}: is it the file of another row? See: mixzoo zoo show {row.id}"
    )
