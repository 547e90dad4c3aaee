"""Reading checkpoint files without running anything that they contain.

torch's own files (zip and the older pickle) and safetensors. Only tensors and plain values leave
a file; what a file needs beyond that is refused by name.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import safetensors
import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .config import is_plain
from .unpickle import unpickle

Format = Literal["torch-zip", "torch-legacy", "safetensors"]
WRAPPERS = ("state_dict", "model")
ADVICE = "save the model's state_dict"
_HEAD = 512  # bytes that are enough to tell formats apart


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under the file's own names."""

    path: Path
    state_dict: dict[str, Tensor] = field(repr=False)
    """On the CPU; may be backed by the file, so copy what shall outlive it."""

    meta: dict[str, Any] = field(repr=False)
    """What the writer noted (epoch, config text, versions), as far as it is plain values."""

    format: Format


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read the weights of `path`, whatever its name; the content decides the format.

    Weights are looked for under `state_dict`, then `model`, then at the top; what stands beside
    them (optimizer, averaged copies) is left out. Raises CheckpointError, in one line that says
    what the file is instead, if it holds no weights or wants to run code.
    """
    path = Path(path)
    kind = _format(path)
    if kind == "safetensors":
        tensors, meta = _read_safetensors(path)
    else:
        is_zip = kind == "torch-zip"
        stored = unpickle(path, is_zip=is_zip, mmap=is_zip and _is_stored_plainly(path))
        tensors, meta = _weights(path, stored)
    return Checkpoint(path, _checked(path, tensors), meta, kind)


def _format(path: Path) -> Format:
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError as error:
        raise CheckpointError(
            f"{path}: {error.strerror}; expected a checkpoint file (.pth or .safetensors)"
        ) from None
    if impostor := _impostor(start):
        raise CheckpointError(f"{path.name}: expected a checkpoint, got {impostor}")
    if start.startswith(b"PK\x03\x04"):
        return "torch-zip"
    return "safetensors" if start[8:9] == b"{" else "torch-legacy"


def _impostor(start: bytes) -> str | None:
    """What a file is that is often found in a checkpoint's place, and what to do about it."""
    text = start.lstrip().lower()
    if not start:
        return "an empty file; download it again"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: the server sent it in place of the file; download it again"
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer; run `git lfs pull` where it comes from"
    if start.startswith(b"\x1f\x8b"):
        return "a gzip archive; unpack it and name the checkpoint inside"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it and name the checkpoint inside"
    return None


def _is_stored_plainly(path: Path) -> bool:
    """Whether a torch zip is uncompressed, as torch writes it, and so can be mapped to memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        raise CheckpointError(
            f"{path.name}: is truncated or damaged ({path.stat().st_size} bytes, without the table "
            "of contents that ends a zip file); download it again"
        ) from None
    names = {Path(entry.filename).name for entry in entries}
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path.name}: is a TorchScript program, not weights; save its state_dict instead"
        )
    if "data.pkl" not in names:
        raise CheckpointError(
            f"{path.name}: is a zip archive but not a checkpoint; unpack it and name the "
            "checkpoint inside"
        )
    return all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"{path.name}: is not whole safetensors ({error}), {path.stat().st_size} bytes; "
            "download it again"
        ) from None
    return tensors, dict(meta)


def _weights(path: Path, stored: Any) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Pick the weights and the notes out of what a torch file stored."""
    content = _table(stored)
    if content is None:
        raise CheckpointError(
            f"{path.name}: expected a dict of tensors, got {type(stored).__name__}; {ADVICE}"
        )
    wrapped = (_table(content.get(wrapper)) for wrapper in WRAPPERS)
    tensors = next((found for found in wrapped if found is not None), content)
    if not any(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(
            f"{path.name}: no tensors under {' or '.join(WRAPPERS)} or at the top, which has: "
            f"{', '.join(map(repr, list(content)[:5])) or 'nothing'}; {ADVICE}"
        )
    # OpenMixup keeps its notes under `meta`, others at the top
    notes = _table(content.get("meta", content)) or {}
    return tensors, {str(name): value for name, value in notes.items() if is_plain(value)}


def _table(value: Any) -> dict[Any, Any] | None:
    """A dict of any kind as a plain one; a file can give others attributes that hide methods."""
    return dict(dict.items(value)) if isinstance(value, dict) else None


def _checked(path: Path, tensors: Mapping[Any, Any]) -> dict[str, Tensor]:
    checked = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not name.isprintable():
            raise CheckpointError(f"{path.name}: {name!r} is no name for a tensor; {ADVICE}")
        if (tensor := _plain_tensor(value)) is None:
            raise CheckpointError(
                f"{path.name}: '{name}' stands among the weights but is no plain tensor "
                f"({type(value).__name__}); {ADVICE}"
            )
        checked[name] = tensor
    return checked


def _plain_tensor(value: Any) -> Tensor | None:
    """A tensor without attributes, if it is dense numbers on the CPU with memory of its own."""
    if type(value) not in (Tensor, nn.Parameter):
        return None
    tensor = Tensor.detach(value)  # a file can give a tensor attributes that hide methods
    is_plain = (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    )
    return tensor if is_plain else None
