"""torch's pickles, read by torch's restricted unpickler with a short list of inert extras.

Old mmcv and mmengine checkpoints carry training statistics and settings beside the weights. The
classes of those are replaced by `Inert`, which takes whatever it is given and keeps nothing, so
that no code outside torch runs while a file is read.
"""

import pickletools
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
# what Python's zipfile and pickletools raise over damaged files
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    NotImplementedError,
    OSError,
    EOFError,
    OverflowError,
    MemoryError,
)
BOMBS = {"builtins.bytearray", "__builtin__.bytearray"}  # torch lets a file make one of any size
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
    named, newer = _asked(path, is_zip)
    extras: list[Callable | tuple[Callable, str]] = [(Inert, name) for name in STAND_INS]
    try:
        if not BOMBS.isdisjoint(named):
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
            reason = "expected torch's pickle protocol 2, but it is newer and asks for "
            reason += ", ".join(dict.fromkeys(newer))
        raise CheckpointError(
            f"{path.name}: {reason}; nothing of it was run. Download it again, or have its authors "
            "save only the state_dict"
        ) from None


def _within(size: int) -> Callable[[Any, str], Any]:
    """A `map_location` that keeps the memory that a file of the older format names within the bytes that it has.

    torch leaves what the file names but doesn't hold as it finds it; here it is 0.
    """
    left = size

    def place(storage: Any, _: str) -> Any:
        nonlocal left
        left -= storage.nbytes()
        if left < 0:
            raise ValueError("more numbers than bytes")
        return storage.fill_(0)

    return place


def _asked(path: Path, is_zip: bool) -> tuple[list[str], list[str]]:
    """Names that a file's pickles import, as protocol 2 spells them and as 4 and later do."""
    named: list[str] = []
    newer: list[str] = []
    last, before = "", ""
    with suppress(*DAMAGE), _pickles_in(path, is_zip) as file:
        for _ in range(1 if is_zip else PICKLES):
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    named.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    newer.append(f"{before}.{last}")
                elif isinstance(argument, str):
                    last, before = argument, last
    return named, newer


@contextmanager
def _pickles_in(path: Path, is_zip: bool) -> Iterator[IO[bytes]]:
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            with archive.open(names[0]) as file:
                yield file
    else:
        with path.open("rb") as file:
            yield file
