"""Looks inside a file for what its name leaves open, without its weights.

A zip, as torch writes checkpoints, has its list of entries at its end, and beside the weights only
small entries. From a server these are fetched in a few ranges into a file of holes, which reads as
the whole one does but has zeros for weights. Nothing that a file contains is run.
"""

import io
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile

from ..archive import list_zip
from ..catalog import Benchmark
from ..errors import MixzooError, SourceError, wall
from ..files import OnBytes
from ..lock import Asset
from ..manifest import Manifest, Row, slug
from ..net.progress import tell
from ..net.sources import Location, Opener, locations, offline, opener
from ..parallel import each_in_parallel
from .listing import Listed
from .matching import in_doubt

if TYPE_CHECKING:
    from ..checkpoint.facts import TrainingFacts

BLOCK = 1 << 16  # bytes asked for at once
MOST = 1 << 23  # bytes fetched of one file: lists and small entries are far shorter
SMALL = 1 << 21  # bytes of an entry that is no tensor: pickles and notes
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg", ".pdf")
_ONE_AT_A_TIME = threading.Lock()  # torch's list of what a pickle may hold is one for all threads
LEARNT = ("automix", "samix")  # the methods that leave traces in weights


@dataclass(frozen=True)
class Inside:
    """What a file holds.

    fault: why it is neither a classifier's weights nor an archive of pictures. architecture,
    num_classes, method: of a classifier by its shapes; the method is `plain` for all that leave no
    trace. facts: what its notes say of its training.
    """

    fault: str = ""
    architecture: str | None = None
    num_classes: int | None = None
    method: str | None = None
    facts: "TrainingFacts | None" = None

    def may_be(self, row: Row) -> bool:
        """Whether it could be this row's weights, by network and method."""
        method = row.method if row.method in LEARNT else "plain"
        said = self.facts.method if self.facts else None
        return (self.architecture, self.method) == (row.architecture, method) and (
            said is None or slug(said) == row.method
        )

    def misfit(self, manifest: Manifest) -> str:
        """Why it can't be any of a benchmark's files, "" if it may be."""
        if self.fault or self.architecture is None:
            return self.fault
        classes, facts, training = manifest.dataset.num_classes, self.facts, manifest.training
        if self.num_classes != classes:
            return f"it has {self.num_classes} classes, {manifest.name} has {classes}"
        if not any(self.may_be(row) for row in manifest.rows):
            return f"it is {self.in_words()}, which is no row of {manifest.name}"
        if facts and training and facts.epochs not in (None, training.epochs):
            return f"its config says {facts.epochs} epochs, {manifest.name} is trained for " + str(
                training.epochs
            )
        if facts and facts.epoch and facts.epochs and facts.epoch + 1 < facts.epochs:
            return f"it was written after epoch {facts.epoch} of {facts.epochs}"
        return ""

    def in_words(self) -> str:
        """`a resnet50, cutmix`."""
        method = self.facts.method if self.facts and self.facts.method else self.method
        return f"a {self.architecture}, {method}"


def look(location: Location, size: int | None = None) -> Inside | None:
    """What a file holds; None if that can't be told without fetching it whole.

    size: in bytes, of a file on a server.
    """
    if isinstance(location.address, Path):
        return look_at(location.address) if location.address.is_file() else None
    if not size:
        return None
    try:
        with wall(SourceError, location), _stand_in(location, size) as path, _ONE_AT_A_TIME:
            return look_at(path)
    except MixzooError:
        return None  # another way, or a person, has to tell


def look_inside(
    benchmark: Benchmark, files: Sequence[Listed], assigned: Mapping[str, str] | None = None
) -> dict[str, Inside]:
    """What is in those of a release's files whose names leave a doubt, as far as it can be told.

    assigned: rows that a person gave to files, by name.
    """
    listed = {file.name: file for file in files}
    names = in_doubt(listed, benchmark.manifest, assigned)
    if not names or offline():
        return {}
    tell(f"{benchmark.name}: looking into {len(names)} files whose names leave a doubt.")

    def see(name: str, _: OnBytes) -> Inside | None:
        file = listed[name]
        asset = Asset(row="", kind="weights", name=name, size=file.size)
        places = locations(benchmark, asset)
        return next((found for at in places if (found := look(at, file.size))), None)

    seen = each_in_parallel(see, names, [listed[name].size for name in names])
    return {name: one for name, one in zip(names, seen, strict=True) if one}


def look_at(path: Path) -> Inside | None:
    """What a file that is here holds: a zip of pictures, else weights."""
    try:
        names = [entry.name for entry in list_zip(path).entries if not entry.is_folder]
    except MixzooError:
        names = []
    if names and not any(PurePosixPath(name).name == "data.pkl" for name in names):
        return Inside(fault=not_pictures(names))
    from ..checkpoint.facts import training_facts
    from ..checkpoint.infer import infer
    from ..checkpoint.names import canonical
    from ..checkpoint.reading import read_checkpoint

    try:
        checkpoint = read_checkpoint(path)
        model = infer(canonical(checkpoint.state_dict))
    except MixzooError as error:
        return Inside(fault=str(error))
    facts = training_facts(checkpoint.meta)
    return Inside("", model.architecture, model.num_classes, model.method, facts)


def not_pictures(names: list[str]) -> str:
    """Why an archive of files with these names is none of pictures, "" if it is one."""
    if any(name.casefold().endswith(PICTURES) for name in names):
        return ""
    some = ", ".join(PurePosixPath(name).name for name in islice(names, 3))
    return f"it is an archive without pictures ({some}); unpack it, then: mixzoo zoo import"


@contextmanager
def _stand_in(location: Location, size: int) -> Iterator[Path]:
    """A file with a remote zip's list of entries and its small ones, and holes for all else."""
    with (
        tempfile.NamedTemporaryFile(suffix=".pth") as local,
        opener(location, 1) as open_at,
        _Holes(local, open_at, size) as remote,
        ZipFile(remote) as archive,
    ):
        for entry in archive.infolist():
            if "/data/" not in f"/{entry.filename}" and entry.file_size <= SMALL:
                archive.read(entry)
            elif entry.compress_type == ZIP_STORED:
                entry.extra = b""  # then the header is no longer than the one in its place
                local.seek(entry.header_offset)
                local.write(entry.FileHeader())
            else:
                raise OSError("holes are no packed bytes")
        local.flush()
        yield Path(local.name)


class _Holes(io.RawIOBase):
    """A remote file of `size` bytes, whose blocks are fetched into a local one as they are read."""

    def __init__(self, local: IO[bytes], open_at: Opener, size: int) -> None:
        super().__init__()
        self._local, self._open_at, self._size = local, open_at, size
        self._here: set[int] = set()
        self._position = 0
        local.truncate(size)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """As of any file."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; what isn't here of it is fetched first."""
        stop = min(self._position + len(buffer), self._size)
        if stop <= self._position:
            return 0
        for block in range(self._position // BLOCK, -(-stop // BLOCK)):
            if block not in self._here:
                self._fetch(block)
        self._local.seek(self._position)
        data = self._local.read(stop - self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch(self, block: int) -> None:
        if len(self._here) * BLOCK >= MOST:
            raise OSError("too much of the file would have to be fetched")
        start, stop = block * BLOCK, min((block + 1) * BLOCK, self._size)
        with self._open_at(start, stop, None) as answer:
            data = b""
            while len(data) < stop - start and (chunk := next(answer.chunks, b"")):
                data += chunk
        if answer.size != self._size or len(data) < stop - start:
            raise OSError("it isn't the file that was listed")
        self._local.seek(start)
        self._local.write(data[: stop - start])
        self._here.add(block)
