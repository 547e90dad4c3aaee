"""Reading checkpoint files without running anything that they contain.

torch's own files (zip and the older pickle) and safetensors. Only tensors and plain values leave
a file, only as much as the file has bytes for.
"""

import functools
import io
import math
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import safetensors
import torch
from torch import Tensor

from ..archive import list_archive, open_zip
from ..errors import CheckpointError, IntegrityError, MixzooError, UsageError, wall
from ..nets.named import TIMM
from .config import is_plain
from .parts import choose, unnamed_averages
from .unpickle import Foreign, Storage, Stored, read_pickle

Format = Literal["torch-zip", "torch-legacy", "safetensors"]
Fetch = Callable[[Storage], Tensor]

ADVICE = "save the model's state_dict."
AGAIN = (
    "isn't a whole torch checkpoint: it is damaged, cut short, or a file of another kind; download "
    "it again, or name another file."
)
NETWORK = "architecture"
"""The note that says which network of timm a file holds: its names alone don't."""
_HEAD = 512  # bytes that are enough to tell formats apart
_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of torch's older format
_LOCAL_HEADER = 30  # bytes before an entry's name in a zip
# Tensors may share memory, as both names of AutoMix's k side do, and torch packs nothing: beyond
# SMALL bytes, weights that are larger than their file are no honest ones
SMALL, MOST_GROWTH = 16 << 20, 8
MOST_HEADER = 16 << 20  # bytes of a safetensors header; a ResNet-152's has 100,000
# Whose epochs are counted from 0, told by the keys that they write
_FROM_0 = {
    "timm": {"arch", "version", "state_dict"},
    "torchvision": {"model", "lr_scheduler", "args"},
    "Lightning": {"pytorch-lightning_version"},
}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under the file's own names."""

    path: Path
    state_dict: dict[str, Tensor] = field(repr=False)
    """On the CPU; may be backed by the file, so copy what shall outlive it."""

    meta: dict[str, Any] = field(repr=False)
    """What the writer noted (epoch, config text, versions), as far as it is plain values. `epoch`
    counts from 1; `epoch_written` is what stands there where the writer counts otherwise, or where
    that isn't known."""

    format: Format

    part: str = "."
    """The keys that lead to the weights in the file, joined by dots; `.` is the top."""

    is_averaged: bool = False
    """Whether the weights are an average over several states of training."""

    averaged: tuple[str, ...] = ()
    """Parts of the file that hold averaged copies of the weights, which were left out."""

    network: str = ""
    """The network of timm that the writer says it is, such as `timm/resnet10t`; "" for others."""

    unnamed: tuple[str, ...] = ()
    """Averaged copies that have no names, which were left out."""

    beside: tuple[str, ...] = ()
    """What stands beside the network in its table, under other prefixes, and was left out."""


def read_checkpoint(path: Path | str, part: str | None = None) -> Checkpoint:
    """Read the weights of `path`, whatever its name; the content decides the format.

    part: where the weights stand, if they aren't the only ones; else they are found, and what
    stands beside them (optimizer, averaged copies) is left out. Raises CheckpointError, in one line
    that says what the file is instead, if it holds no weights, several networks, or wants to run
    code; UsageError if there is no such part.
    """
    path = Path(path)
    kind = _format(path)
    opened = {"torch-zip": _zip, "torch-legacy": _legacy, "safetensors": _safetensors}[kind]
    try:
        with _whole(), opened(path) as (content, notes, fetch):
            if isinstance(content, Foreign) and not content:
                raise CheckpointError(
                    f"expected a dict of tensors, but it asks for {content.of[:200]}; nothing of "
                    f"it was run. {ADVICE.capitalize()}"
                )
            if not isinstance(content, dict):
                kind_of = type(content).__name__
                raise CheckpointError(f"expected a dict of tensors, got {kind_of}; {ADVICE}")
            meta = _notes(content, notes)
            said = str(meta.get(NETWORK, ""))
            network = said if said.startswith(TIMM) else ""
            chosen, averaged = choose(path, content, part, foreign=bool(network))
            tensors = _tensors(chosen.tensors, path.stat().st_size, fetch)
            unnamed = unnamed_averages(content) if part is None else []
    except (CheckpointError, UsageError) as error:
        raise type(error)(f"{path.name}: {error}") from None
    return Checkpoint(
        path,
        tensors,
        meta,
        kind,
        part=chosen.name,
        is_averaged=chosen.is_averaged,
        averaged=tuple(averaged),
        network=network,
        unnamed=tuple(unnamed),
        beside=chosen.beside,
    )


@contextmanager
def _whole() -> Iterator[None]:
    """Whatever a damaged file makes its readers stumble over becomes one line."""
    try:
        yield
    except (MixzooError, MemoryError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception:  # of a pickle nothing is to be expected
        raise CheckpointError(AGAIN) from None


def _format(path: Path) -> Format:
    with wall(CheckpointError, f"{path}: cannot be read", ""), path.open("rb") as file:
        start = file.read(_HEAD)
    if impostor := _impostor(start):
        raise CheckpointError(f"{path.name}: expected a checkpoint, got {impostor}")
    if start.startswith(b"PK\x03\x04"):
        return "torch-zip"
    return "safetensors" if start[8:9] == b"{" else "torch-legacy"


def _impostor(start: bytes) -> str | None:
    """What a file is that is often found in a checkpoint's place, and what to do about it."""
    text = start.lstrip().lower()
    if not start:
        return "an empty file; download it again."
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: the server sent it in place of the file; download it again."
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer; run `git lfs pull` where it comes from."
    if start.startswith(b"\x1f\x8b"):
        return "a gzip archive; unpack it and name the checkpoint inside."
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it and name the checkpoint inside."
    return None


@contextmanager
def _zip(path: Path) -> Iterator[tuple[Any, Mapping[Any, Any], Fetch]]:
    """The content of torch's present format, and how to get at a storage of it."""
    try:
        if refused := list_archive(path).refused:
            raise CheckpointError(refused)
        with open_zip(path) as archive, _whole():
            entries = {entry.filename: entry for entry in archive.infolist()}
            if any(name.rpartition("/")[2] == "constants.pkl" for name in entries):
                raise CheckpointError(
                    "is a TorchScript program, not weights; save its state_dict instead."
                )
            pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
            if len(pickles) > 1:
                raise CheckpointError(f"holds {pickles[0]} and {pickles[1]}; {ADVICE}")
            if not pickles:
                raise CheckpointError(
                    "is a zip archive but not a checkpoint; unpack it and name the checkpoint "
                    "inside."
                )
            (pickle,) = pickles
            folder = pickle.removesuffix("data.pkl")
            order = f"{folder}byteorder"
            if order in entries and archive.read(order).strip() != b"little":
                raise CheckpointError(
                    "was written by a big-endian machine; save the model's state_dict on another."
                )
            whole = _mapped(path)

            @functools.cache
            def fetch(key: str) -> Tensor:
                entry = entries[f"{folder}data/{key}"]
                with archive.open(entry) as data:  # says so if the entry isn't where it should be
                    if entry.compress_type != zipfile.ZIP_STORED:
                        return _bytes(bytearray(data.read()), 0, entry.file_size)
                at = entry.header_offset + _LOCAL_HEADER
                at += sum(struct.unpack("<HH", whole[at - 4 : at]))
                return _bytes(whole, at, entry.file_size)

            content = read_pickle(io.BytesIO(archive.read(pickle)))
            yield content, {}, lambda storage: fetch(storage.key)
    except IntegrityError as error:
        raise CheckpointError(str(error).removeprefix(f"{path.name}: ")) from None


@contextmanager
def _legacy(path: Path) -> Iterator[tuple[Any, Mapping[Any, Any], Fetch]]:
    """The content of torch's older format: pickles, and then the storages one after the other."""
    whole = _mapped(path)
    storages: dict[str, torch.dtype] = {}
    # the map is read: a file makes room for whatever length a text in it claims to have
    file: Any = whole
    if read_pickle(file) != _MAGIC:
        raise CheckpointError(f"is a pickle, but no checkpoint that torch.save wrote; {ADVICE}")
    _protocol, system = read_pickle(file), read_pickle(file)
    if not system.get("little_endian", True):
        raise CheckpointError(
            "was written by a big-endian machine; save the model's state_dict on another."
        )
    content, keys = read_pickle(file, storages), read_pickle(file)
    at = file.tell()
    places = {}
    for key in keys:
        (length,) = struct.unpack("<q", whole[at : at + 8])
        places[key] = _bytes(whole, at + 8, length * storages[key].itemsize)
        at += 8 + len(places[key])
    yield content, {}, lambda storage: places[storage.key]


@contextmanager
def _safetensors(path: Path) -> Iterator[tuple[Any, Mapping[Any, Any], Fetch]]:
    try:
        with path.open("rb") as head:
            if int.from_bytes(head.read(8), "little") > MOST_HEADER:
                raise ValueError(f"a header of more than {MOST_HEADER:,} bytes")
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            notes = file.metadata() or {}
    except (safetensors.SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"is not whole safetensors ({error}), {path.stat().st_size} bytes; download it again."
        ) from None
    yield tensors, notes, lambda storage: torch.empty(0)


def _mapped(path: Path) -> mmap.mmap:
    """A file's bytes, read when they are used; what is written to them doesn't reach the file."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _bytes(whole: bytearray | mmap.mmap, at: int, count: int) -> Tensor:
    """Some bytes as a tensor of their own storage. Raises ValueError where they end before."""
    if not 0 <= at <= at + count <= len(whole):
        raise ValueError("cut short")
    if count == 0:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(whole, dtype=torch.uint8, count=count, offset=at)


def _tensors(table: Mapping[Any, Any], size: int, fetch: Fetch) -> dict[str, Tensor]:
    """The tensors of a table. size: of the file in bytes. Raises CheckpointError for others."""
    checked: dict[str, Tensor] = {}
    made: dict[Stored, Tensor] = {}  # two names of one tensor stay one tensor
    total = 0
    for name, value in table.items():
        if not isinstance(name, str) or not name.isprintable():
            raise CheckpointError(f"{name!r:.200} is no name for a tensor; {ADVICE}")
        if isinstance(value, Stored):
            total += math.prod(value.size) * value.storage.dtype.itemsize
            if total > max(SMALL, MOST_GROWTH * size):
                raise CheckpointError(
                    f"expected weights of the size of the file, got {total:,} and more bytes of "
                    f"them in a file of {size:,}; {ADVICE}"
                )
            if value not in made:
                made[value] = _tensor(name, value, fetch)
            checked[name] = made[value]
        elif isinstance(value, Tensor) and value.layout == torch.strided:
            checked[name] = value
        else:
            what = value.of if isinstance(value, Foreign) else type(value).__name__
            raise CheckpointError(
                f"'{name}' stands among the weights but is no plain tensor ({what[:200]}); {ADVICE}"
            )
    return checked


def _tensor(name: str, stored: Stored, fetch: Fetch) -> Tensor:
    storage, offset, size, stride = stored
    step = storage.dtype.itemsize
    content = fetch(storage)[storage.start * step : (storage.start + storage.length) * step]
    if len(content) < storage.length * step:
        raise ValueError("cut short")
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if count > storage.length or (count and last >= storage.length):
        raise CheckpointError(
            f"'{name}' stands among the weights but is no plain tensor (of {count} numbers, "
            f"{storage.length} are stored); {ADVICE}"
        )
    if not count:
        return torch.empty(size, dtype=storage.dtype)
    if content.data_ptr() % step:
        content = content.clone()
    numbers = content.view(storage.dtype)
    return numbers.as_strided(size, stride, numbers.storage_offset() + offset)


def _notes(content: Mapping[Any, Any], notes: Mapping[Any, Any]) -> dict[str, Any]:
    """What the writer noted, plain values only, with the epoch counted from 1 or not at all."""
    within = content.get("meta")
    is_mmcv = isinstance(within, Mapping)  # OpenMixup and mixzoo too; others note at the top
    found = notes or (within if is_mmcv else content)
    plain = {str(name): value for name, value in found.items() if is_plain(value)}
    if is_mmcv or type(plain.get("epoch")) is not int:
        return plain
    said = plain.pop("epoch")
    writer = next((name for name, keys in _FROM_0.items() if keys <= content.keys()), None)
    if writer is None:
        return plain | {"epoch_written": f"{said}, counted from 0 or from 1"}
    return plain | {"epoch": said + 1, "epoch_written": f"{said}, counted from 0 as {writer} does"}
