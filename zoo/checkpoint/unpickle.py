"""torch's pickles, read by torch's restricted unpickler with a short list of inert extras.

Old mmcv and mmengine checkpoints carry training statistics and settings beside the weights. The
classes of those are replaced by `Inert`, which takes whatever it is given and keeps nothing, so
that no code outside torch runs while a file is read.
"""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch

from ..errors import CheckpointError

STAND_INS = (
    "argparse.Namespace",
    "builtins.getattr",  # how a pickle names a class's methods, as HistoryBuffer does
    "mmcv.runner.log_buffer.LogBuffer",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
)
# torch lets a file make one of any size
BOMBS = {"builtins.bytearray", "__builtin__.bytearray"}
PICKLES = 5  # in the older format: magic number, protocol, system, the object, keys of its storages


class Inert:
    """Stands where a file asks for a harmless class that isn't needed; holds and does nothing."""

    def __new__(cls, *_: Any) -> "Inert":
        """Forget the arguments."""
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Forget the state."""


def unpickle(path: Path, *, is_zip: bool, mmap: bool) -> Any:
    """The object in a torch file, tensors on the CPU, with `Inert` in the place of `STAND_INS`.

    is_zip: whether it has torch's present format, or the older one. mmap: leave tensors in the file
    until they are used; only for uncompressed zips. Raises CheckpointError, with the name where
    there is one, if the file asks for anything else.
    """
    newer: list[str] = []
    extras: list[Callable | tuple[Callable, str]] = [(Inert, name) for name in STAND_INS]
    try:
        for opcode, name in _asked(path, is_zip):
            if opcode == "STACK_GLOBAL":
                newer.append(name)
            elif name in BOMBS:
                raise ValueError("GLOBAL builtins.bytearray was refused")
        with torch.serialization.safe_globals(extras), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols and storage classes, not for users
            place: Any = "cpu" if is_zip else _within(path.stat().st_size)
            return torch.load(path, map_location=place, weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged pickle makes an unpickler raise anything
        reason = "isn't a whole torch checkpoint"
        if refused := re.search(r"GLOBAL ([\w.]+) w", str(error)):
            reason = f"expected only tensors, but it asks for {refused[1]}"
        elif newer and "".join(newer).isprintable():
            # torch only says that it can't read those
            names = ", ".join(dict.fromkeys(newer))
            reason = f"expected torch's pickle protocol 2, but it is newer and asks for {names}"
        raise CheckpointError(
            f"{path.name}: {reason}; nothing of it was run. Download it again, or have its authors "
            "save only the state_dict"
        ) from None


def _within(size: int) -> Callable[[Any, str], Any]:
    """A `map_location` that keeps the memory that an older file names within its `size` in bytes.

    torch leaves memory that the file names but doesn't fill as it finds it; here it is 0.
    """
    left = size

    def place(storage: Any, _: str) -> Any:
        nonlocal left
        left -= storage.nbytes()
        if left < 0:
            raise ValueError("more numbers than bytes")
        return storage.fill_(0)

    return place


def _asked(path: Path, is_zip: bool) -> Iterator[tuple[str, str]]:
    """What a file's pickles import: GLOBAL or, from protocol 4 on, STACK_GLOBAL, and the name."""
    last, before = "", ""
    for file in _pickles_in(path, is_zip):
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "GLOBAL":
                yield opcode.name, str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield opcode.name, f"{before}.{last}"
            elif isinstance(argument, str):
                last, before = argument, last


def _pickles_in(path: Path, is_zip: bool) -> Iterator[IO[bytes]]:
    """The file, open at the start of each pickle in it."""
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():  # whichever of several torch would read
                if entry.filename.endswith("data.pkl"):
                    with archive.open(entry) as file:
                        yield file
    else:
        with path.open("rb") as file:
            for _ in range(PICKLES):
                yield file
