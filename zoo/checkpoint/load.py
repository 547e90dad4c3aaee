"""From a checkpoint file to a classifier in eval mode, with nothing missing and nothing ignored."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..catalog import open_catalog
from ..data.classes import class_names
from ..devices import device_of
from ..errors import CheckpointError, UsageError, in_words, several
from ..looks import printable
from ..manifest import Row
from ..nets import Classifier, MixClassifier
from ..nets.classifiers import MIX_BLOCKS
from ..nets.foreign import Foreign
from ..refs import CheckpointFile, resolve
from ..report import Weights
from .infer import COUNT, network_of
from .parts import TOP, how_to_take, is_averaged
from .reading import Checkpoint, read_checkpoint

logger = logging.getLogger(__name__)
FLOATS = {torch.float32, torch.float64, torch.float16, torch.bfloat16}


def load(
    ref: str | Path,
    head: str | None = None,
    device: torch.device | str = "cpu",
    manifest: str | Path | None = None,
) -> Classifier | MixClassifier:
    """The classifier of a row (fetched if it isn't here) or of a checkpoint file, in eval mode.

    ref: a row id like `resnet50.automix_inat2018`, or a path. head: of AutoMix and SAMix one of
    `one_k` (default, as the reference infers), `mix_k`, `one_q`, `mix_q`. manifest: file of a
    benchmark of one's own. device: as torch names it, or "auto". A row's model knows the names of
    its `classes`, and its `protocol`.
    Raises `mixzoo.MixzooError` (its kinds: `mixzoo.zoo.errors`): UsageError for an unknown row,
    head or device, SourceError or IntegrityError if the weights can't be had, CheckpointError if
    the file isn't what it has to be.
    """
    for name in (ref, manifest or ""):
        if not isinstance(name, str | Path):
            raise UsageError(
                f"expected a row of mixzoo zoo list, or a path, got {in_words(name)}; give one."
            )
    device = device_of(device)
    catalog = open_catalog([Path(manifest)] if manifest else ())
    return load_resolved(resolve(str(ref), catalog), head=head, device=device)


def load_resolved(
    resolved: CheckpointFile, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """The classifier of a checkpoint that was found, held against its row if it has one.

    What its weights aren't, though they seem to be, is logged as a warning.
    """
    checkpoint = read_checkpoint(resolved.path)
    row, num_classes = resolved.row, resolved.num_classes
    model = build(checkpoint, head=head, device=device, row=row, num_classes=num_classes)
    tell(resolved.name, model.remarks)
    if resolved.benchmark:
        model.classes = tuple(class_names(resolved.benchmark))
        model.protocol = resolved.benchmark.manifest.protocol
    return model


def tell(name: str, remarks: Iterable[str]) -> None:
    """Log what the weights of a checkpoint aren't, a line each."""
    for remark in remarks:
        logger.warning("%s", printable(f"{name}: {remark}."))


def load_file(
    path: Path | str, head: str | None = None, device: torch.device | str = "cpu"
) -> Classifier | MixClassifier:
    """Read the checkpoint at `path` and `build` it."""
    return build(read_checkpoint(path), head=head, device=device)


def require_row(path: Path, row: Row, num_classes: int | None) -> tuple[str, ...]:
    """Refuse a file that doesn't hold the network of `row`, with sound weights.

    num_classes: of the row's data set. Nothing is built. Returns what the weights aren't, though
    they seem to be. Raises CheckpointError.
    """
    return examine(read_checkpoint(path), row, num_classes)[0].remarks


def build(
    checkpoint: Checkpoint,
    *,
    head: str | None = None,
    device: torch.device | str = "cpu",
    row: Row | None = None,
    num_classes: int | None = None,
) -> Classifier | MixClassifier:
    """The checkpoint's classifier: float32, in eval mode, on `device`, with its own memory.

    head: the one that `forward` uses; None is the first of `heads`. row, num_classes: what it is
    held against, see `hold_against_row`. The model's `remarks` say what its weights aren't, though
    they seem to be. Raises CheckpointError where entries don't fit the architecture that their
    shapes imply, or aren't sound numbers; UsageError for another head.
    """
    model, entries = examine(checkpoint, row, num_classes)
    if head is not None:
        if head not in model.heads:
            raise UsageError(f"No head '{head}'. This checkpoint has: {', '.join(model.heads)}")
        model.head_name = head
    uncounted = {
        name: torch.zeros((), dtype=torch.int64)
        for name in model.state_dict()
        if name not in entries  # a batch norm's count, which `infer` lets be absent
    }
    if not isinstance(model, Foreign):  # which has tables that no file holds
        model.to_empty(device=device)
    model.load_state_dict(entries | uncounted)
    return model.to(device).eval()


def examine(
    checkpoint: Checkpoint,
    row: Row | None = None,
    num_classes: int | None = None,
    *,
    architecture: str = "",
) -> tuple[Classifier | MixClassifier, dict[str, Tensor]]:
    """The classifier, still empty, and its entries: all that can be wrong with them is asked here.

    Import, loading and evaluation ask it, so that a file is taken by all of them or by none.
    architecture: that of a network of timm's, where neither the file nor a row says it. For other
    arguments and errors see `build`.
    """
    try:
        model, entries = network_of(checkpoint, row.architecture if row else architecture)
        model.remarks = tuple(text for _, text in _remarks(checkpoint, entries))
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path.name}: {error}", error.cause) from None
    hold_against_row(model, row, num_classes)
    return model, entries


def traits(
    checkpoint: Checkpoint, row: Row | None = None, num_classes: int | None = None
) -> dict[str, str]:
    """What a file's own tensors tell of why a number is off: key of `eval.causes` -> sentence.

    For arguments see `build`. Empty for sound weights that can be the row's; an error that stands
    for no cause is raised.
    """
    try:
        _, entries = examine(checkpoint, row, num_classes)
    except CheckpointError as error:
        if not error.cause:
            raise
        return {error.cause: str(error).split(". Get ")[0]}  # without what to do
    found: dict[str, str] = {}
    for key, text in _remarks(checkpoint, entries):
        found[key] = f"{found[key]}; {text}" if key in found else text
    return {key: text for key, text in found.items() if key}


def _remarks(checkpoint: Checkpoint, entries: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """What the weights aren't, though they seem to be, by the cause that it may be of a wrong
    number.

    Raises CheckpointError for unsound ones.
    """
    dtypes: dict[str, int] = {}
    for name, value in entries.items():
        if name.endswith(COUNT):
            continue  # takes no part in a prediction
        if value.dtype not in FLOATS:
            raise CheckpointError(
                f"'{name}' holds {_named(value.dtype)} numbers, expected floating-point weights; "
                "have it saved as it was trained."
            )
        faults = {
            "a NaN": torch.isnan(value).any(),
            "an infinity": torch.isinf(value).any(),
            "a negative variance": name.endswith("running_var") and (value < 0).any(),
        }
        if fault := next((fault for fault, present in faults.items() if present), None):
            raise CheckpointError(
                f"'{name}' holds {fault}, so the network can't be used; get another copy, or an "
                "earlier epoch."
            )
        if value.dtype != torch.float32:
            dtypes[_named(value.dtype)] = dtypes.get(_named(value.dtype), 0) + 1
    floats = sum(not name.endswith(COUNT) for name in entries)
    for dtype, count in dtypes.items():
        share = "its weights" if count == floats else f"{count} of {floats} of its tensors"
        lost = "rounded to float32" if dtype == "float64" else "not the trained float32 numbers"
        yield (
            "" if dtype == "float64" else "half-weights",
            f"{share} are stored as {dtype}, so they are {lost}: predictions may differ",
        )
    if not dtypes and (rounded := _rounded_to(entries)):
        yield (
            "half-weights",
            f"its weights are stored as float32, but each is a number of {rounded}: they were "
            "rounded to it once, so predictions may differ",
        )
    if checkpoint.averaged:
        yield (
            "averaged",
            f"an averaged copy of the weights ({several(checkpoint.averaged)}) stands in the file "
            f"and was left out; to take it: {how_to_take(checkpoint.path, checkpoint.averaged[0])}",
        )
    if checkpoint.unnamed:
        yield (
            "averaged",
            f"an averaged copy of the weights ({several(checkpoint.unnamed)}) stands in the file "
            "and was left out: it has no names, so only the code that wrote it can take it",
        )
    if checkpoint.beside:
        left = several(checkpoint.beside)
        yield "", f"what stands beside the network in the file was left out: {left}"
    part = str(checkpoint.meta.get("source_part", checkpoint.part))  # of an export
    if checkpoint.is_averaged or is_averaged(part):
        named = "" if part == TOP else f" ({part})"
        yield "averaged", f"its weights are an averaged copy{named}, not those of the last step"
    means = [value for name, value in entries.items() if name.endswith("running_mean")]
    variances = [value for name, value in entries.items() if name.endswith("running_var")]
    if (
        means
        and not any(map(torch.any, means))
        and all(bool((value == 1).all()) for value in variances)
    ):
        yield (
            "batch-norm-untrained",
            "the statistics of its batch norms are those of an untrained network (means 0)",
        )
    yield from _as_made(entries)


def _as_made(entries: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Batch norms that saw no batch, and heads without a bias, where others were trained.

    A loader that takes the keys it knows leaves the rest so, and what it made is saved again.
    """
    batches = {name: bool(n) for name, n in entries.items() if name.endswith(COUNT)}
    unseen = (name.removesuffix(COUNT) for name, seen in batches.items() if not seen)
    new = [norm for norm in unseen if not entries[f"{norm}.running_mean"].any()]
    new += [name for name, bias in entries.items() if name.endswith("fc.bias") and not bias.any()]
    if new and any(batches.values()):  # else all of it is new, or the counts weren't kept
        yield "keys-left-out", f"as a new network has them, and no trained one: {several(new)}"


def _rounded_to(entries: Mapping[str, Tensor]) -> str | None:
    """The 16-bit type that every weight is a number of, though stored in 32 bits."""
    weights = [w for w in entries.values() if w.ndim > 1 and w.dtype == torch.float32 and w.any()]
    for dtype in (torch.bfloat16, torch.float16):
        if weights and all(torch.equal(w, w.to(dtype).to(w.dtype)) for w in weights):
            return _named(dtype)
    return None


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
    cause = "other-row"
    if num_classes != network.num_classes:
        cause = "other-head"
        expected = f"{num_classes} classes, the checkpoint's heads have {network.num_classes}"
    elif row.architecture != network.architecture:
        expected = f"a {row.architecture}, the checkpoint is a {network.architecture}"
    elif method != network.method:
        expected = f"{row.method} weights, the checkpoint's are {network.method}"
    else:
        return
    raise CheckpointError(
        f"{row.id} expects {expected}: is it the file of another row? `mixzoo zoo inspect FILE` "
        "shows.",
        cause,
    )
