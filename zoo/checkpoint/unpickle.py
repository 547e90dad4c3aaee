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
from contextlib import contextmanager
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
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, OSError, EOFError)


class Inert:
    """Stands where a file asks for a harmless class that isn't needed; holds and does nothing."""

    def __new__(cls, *_: Any) -> "Inert":
        """Forget the arguments."""
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Forget the state."""


def unpickle(path: Path, mmap: bool) -> Any:
    """The object in a torch file, tensors on the CPU, with `Inert` in the place of `STAND_INS`.

    mmap: leave tensors in the file until they are used; only for uncompressed zips. Raises
    CheckpointError, with the name where there is one, if the file asks for anything else.
    """
    extras: list[Callable | tuple[Callable, str]] = [(Inert, name) for name in STAND_INS]
    try:
        with torch.serialization.safe_globals(extras), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols and storage classes, not for users
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged pickle makes an unpickler raise anything
        reason = _refused(str(error)) or _too_new(path) or "isn't a whole torch checkpoint"
        raise CheckpointError(
            f"{path.name}: {reason}; nothing of it was run. Download it again, or have its authors "
            "save only the state_dict"
        ) from None


def _refused(message: str) -> str | None:
    """What torch says that it refused to import."""
    found = re.search(r"GLOBAL ([\w.]+) w", message)
    return f"expected only tensors, but it asks for {found[1]}" if found else None


def _too_new(path: Path) -> str | None:
    """What a pickle of protocol 4 or later imports; torch only says that it can't read those."""
    strings: list[str] = []
    asked: list[str] = []
    try:
        with _pickle_in(path) as file:
            for opcode, argument, _ in pickletools.genops(file):
                if isinstance(argument, str):
                    strings.append(argument)
                if opcode.name == "STACK_GLOBAL":
                    asked.append(".".join(strings[-2:]))
    except DAMAGE:
        return None  # no whole pickle at all
    names = ", ".join(dict.fromkeys(asked))
    if not names or not names.isprintable():
        return None
    return f"expected torch's pickle protocol 2, but it is newer and asks for {names}"


@contextmanager
def _pickle_in(path: Path) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            with archive.open(names[0]) as file:
                yield file
    else:
        with path.open("rb") as file:
            yield file
