"""What a run leaves on disk: checkpoints in OpenMixup's layout, from which it also goes on.

`last.pth` is where the run stands, `previous.pth` where it stood before, `best.pth` the epoch of
the best validation, `epoch_<n>.pth` every k-th epoch. Every file appears under its name only when
it is whole.
"""

import io
import logging
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn

from .. import __version__
from ..zoo.checkpoint.names import ALIASES
from ..zoo.checkpoint.reading import NETWORK
from ..zoo.errors import CheckpointError, wall
from ..zoo.files import replacing
from ..zoo.nets import MixClassifier
from ..zoo.nets.foreign import Foreign
from ..zoo.nets.named import TIMM
from .recipe import Recipe

logger = logging.getLogger(__name__)
LAST, PREVIOUS, BEST = "last.pth", "previous.pth", "best.pth"
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
PARTS = ("meta", "state_dict", "optimizer", "run")
"""What a checkpoint has from which a run goes on."""

ORDER = (
    *("backbone", "head", "mix_block", "backbone_q", "backbone_k"),
    *("head_mix_q", "head_mix_k", "head_one_q", "head_one_k"),
)
"""The parts of OpenMixup's AutoMix and SAMix, in the order of their state dicts."""


def openmixup_state(model: nn.Module) -> "OrderedDict[str, Tensor]":
    """The state dict of a network under OpenMixup's names, on the CPU.

    Those of a foreign network have its own. OpenMixup's AutoMix and SAMix hold their k side twice,
    also as `backbone` and `head`; those entries share their values here. The order is OpenMixup's.
    Golden data: tests/golden/state_dict.
    """
    weights = OrderedDict((name, value.cpu()) for name, value in model.state_dict().items())
    if not isinstance(model, MixClassifier) or isinstance(model, Foreign):
        return weights
    for alias, full in ALIASES.items():
        for name in [name for name in weights if name.startswith(full)]:
            weights[alias + name.removeprefix(full)] = weights[name]
    return OrderedDict(sorted(weights.items(), key=lambda item: ORDER.index(item[0].split(".")[0])))


def meta_of(
    recipe: Recipe, epoch: int, iteration: int, changed: Sequence[str] = ()
) -> dict[str, Any]:
    """Notes of a checkpoint: epochs and iterations that lie behind it, seed, recipe, version.

    changed: settings that make it another recipe than its row's.

    Neither paths nor times go in, so equal runs give equal bytes.
    """
    return {
        "epoch": epoch,
        "iter": iteration,
        "seed": recipe.seed,
        "config": recipe.text(),
        "mixzoo_version": __version__,
        **({NETWORK: recipe.architecture} if recipe.architecture.startswith(TIMM) else {}),
        **({"changed": " ".join(changed)} if changed else {}),
    }


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a checkpoint atomically. Returns `path`. Raises CheckpointError, as on a full disk."""
    buffer = io.BytesIO()  # through memory: torch writes a file's name into the file
    torch.save(dict(content), buffer)
    try:
        with replacing(path) as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        raise CheckpointError(
            f"{path}: can't be written: {error.strerror}. Make room, then give the same command: "
            "it goes on from the last whole checkpoint."
        ) from None
    return path


def keep_last(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `last.pth`; the one before becomes `previous.pth`. One of them is whole at any time."""
    last = folder / LAST
    fresh = write(folder / ".next.pth", content)
    if last.exists():
        last.replace(folder / PREVIOUS)
    fresh.replace(last)


def latest(folder: Path) -> dict[str, Any] | None:
    """The content of the newest whole checkpoint in a run's folder, None if there is none.

    A broken `last.pth` is named in a warning, and the one before is taken. Raises CheckpointError
    if there are checkpoints but none is whole: a run must not silently begin anew.
    """
    reasons = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            content = _read(path)
        except CheckpointError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            logger.warning("%s Going on from %s.", reason, name)
        return content
    if reasons:
        raise CheckpointError(
            f"{' '.join(reasons)} No whole checkpoint is left to go on from: "
            f"remove {folder} to train anew."
        )
    return None


def _read(path: Path) -> dict[str, Any]:
    """Check every byte of a checkpoint, then load it without running code."""
    with wall(CheckpointError, f"{path}: not a whole checkpoint", "It isn't used."):
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # torch compares no checksums
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
        if broken or packed:  # packed, it might be as large as it likes in memory
            what = f"its part {broken} is damaged" if broken else "expected one that isn't packed"
            raise ValueError(what)
        content = torch.load(path, map_location="cpu", weights_only=True)
        missing = [part for part in PARTS if not isinstance(dict(content).get(part), dict)]
        if missing:
            raise ValueError(f"expected one of a run, got one without {', '.join(missing)}")
    return content


class LogState(msgspec.Struct):
    """How far the log was: bytes on the disk, and sums over steps that have no line yet."""

    bytes: Count
    sums: dict[str, float]
    count: Count


class BestEpoch(msgspec.Struct):
    """Images that the best validation had right, and after which epoch (from 1) it was."""

    correct: Count = 0
    epoch: Count = 0


class Stands(msgspec.Struct):
    """Where a run stands, beside its tensors. validated: epochs. scaler: of `GradScaler`."""

    log: LogState
    best: BestEpoch
    validated: Count
    scaler: dict[str, float]


def require_same_kind(now: Mapping[str, Tensor], saved: Mapping[str, Any], what: str) -> None:
    """Raise ValueError for what isn't a tensor of the shape and dtype of the present one, or has
    values that are no numbers. now, saved: by name; names that are in one alone don't matter."""
    for name in now.keys() & saved.keys():
        value, of = saved[name], now[name]
        if not isinstance(value, Tensor) or value.shape != of.shape or value.dtype != of.dtype:
            got = getattr(value, "dtype", type(value).__name__), tuple(getattr(value, "shape", ()))
            raise ValueError(
                f"{what} {name}: expected {of.dtype} of shape {tuple(of.shape)}, got {got[0]} of "
                f"{got[1]}"
            )
        if not value.isfinite().all():
            raise ValueError(f"{what} {name}: expected finite numbers, got others")
