"""Looks inside a file for what its name leaves open, without its weights.

A zip, as torch writes checkpoints, has its list of entries at its end, and beside the weights only
small entries. From a server these are fetched in a few ranges into a file of holes, which reads as
the whole one does but has zeros for weights. Nothing that a file contains is run.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from ..archive import list_archive
from ..catalog import Benchmark
from ..errors import CheckpointError, MixzooError, SourceError, wall
from ..files import OnBytes
from ..lock import Asset, Kind
from ..looks import counted
from ..manifest import Manifest, Row, slug
from ..net.progress import tell
from ..net.sources import Location, Opener, locations, offline, opener
from ..parallel import each_in_parallel
from .listing import Listed
from .matching import in_doubt

if TYPE_CHECKING:
    from ..checkpoint.facts import TrainingFacts
    from ..nets import Classifier, MixClassifier

TAILS = (1 << 16, 1 << 20)  # bytes at the end that a list of entries may take: most are short
MOST_FILES = 100  # of a release: a table has some twenty rows
LONGEST = 300.0  # seconds that looking into a release's files may take, all together
SMALL = 1 << 21  # bytes of an entry that is no tensor: pickles and notes
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg", ".pdf")


@dataclass(frozen=True)
class Inside:
    """What a file holds.

    network: the classifier whose weights it has, without their numbers; facts: what its notes say
    of its training. pictures: whether it is an archive of some. fault: why it is neither.
    """

    network: "Classifier | MixClassifier | None" = None
    facts: "TrainingFacts | None" = None
    pictures: bool = False
    fault: str = ""

    @property
    def method(self) -> str | None:
        """What its config says that it was trained by, as rows name it."""
        return slug(self.facts.method) if self.facts and self.facts.method else None

    def unlike(self, row: Row, manifest: Manifest) -> str:
        """Why they can't be this row's weights, by what they are alone; "" if they may be."""
        from ..checkpoint.load import hold_against_row

        if self.network is None:
            return self.fault or "it is an archive of pictures, no checkpoint"
        try:
            hold_against_row(self.network, row, manifest.dataset.num_classes)
        except CheckpointError as error:
            return str(error)
        return ""

    def may_be(self, row: Row, manifest: Manifest) -> bool:
        """Whether they could be this row's weights, also by what their config says."""
        return self.method in (None, row.method) and not self.unlike(row, manifest)

    def may_be_of(self, benchmark: Benchmark) -> bool:
        """Whether it could be any file of a benchmark, whatever it is called."""
        manifest = benchmark.manifest
        return self.pictures or not all(self.unlike(row, manifest) for row in manifest.rows)

    def misfit(self, kind: Kind, manifest: Manifest) -> str:
        """Why it can't be any of a benchmark's files of this kind, "" if it may be."""
        if kind == "visualisation":
            return "" if self.pictures else self.fault or "it is a checkpoint, no archive"
        if self.network is None:
            return self.unlike(manifest.rows[0], manifest)
        classes, facts, training = manifest.dataset.num_classes, self.facts, manifest.training
        if self.network.num_classes != classes:
            return f"it has {self.network.num_classes} classes, {manifest.name} has {classes}"
        if not any(self.may_be(row, manifest) for row in manifest.rows):
            return f"it is {self.in_words()}, which is no row of {manifest.name}"
        why = ""
        own = [row.recipe.get("epochs") for row in manifest.rows]
        if facts and training and facts.epochs not in (None, training.epochs, *own):
            planned = f"its config plans {counted(facts.epochs, 'epoch')}"
            why = f"{planned}, {manifest.name} is trained for {training.epochs}"
        elif facts and facts.epoch and facts.epochs and facts.epoch + 1 < facts.epochs:
            why = f"it was written after epoch {facts.epoch} of {facts.epochs}"
        return why

    def in_words(self) -> str:
        """`a resnet50 with 8142 classes, cutmix`."""
        if self.network is None:
            return "pictures" if self.pictures else "nothing of use"
        net = self.network
        said = self.method or (net.method if net.method != "plain" else "of no method that shows")
        return f"a {net.architecture} with {net.num_classes} classes, {said}"


def look(location: Location, size: int | None = None, ends: float = math.inf) -> Inside | None:
    """What a file holds; None if that can't be told without fetching it whole, or in time.

    size: in bytes, of a file on a server. ends: the last of its bytes may come then, by
    time.monotonic().
    """
    if isinstance(location.address, Path):
        return look_at(location.address) if location.address.is_file() else None
    if not size or time.monotonic() > ends:
        return None
    try:
        with wall(SourceError, location), _stand_in(location, size, ends) as path:
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
    names = in_doubt(listed, benchmark.manifest, assigned)[:MOST_FILES]
    if not names or offline():
        return {}
    tell(f"{benchmark.name}: looking into {len(names)} files whose names leave a doubt.")
    ends = time.monotonic() + LONGEST

    def see(name: str, _: OnBytes) -> Inside | None:
        file = listed[name]
        asset = Asset(row="", kind="weights", name=name, size=file.size)
        places = locations(benchmark, asset)
        return next((found for at in places if (found := look(at, file.size, ends))), None)

    seen = each_in_parallel(see, names, [listed[name].size for name in names])
    return {name: one for name, one in zip(names, seen, strict=True) if one}


def look_at(path: Path) -> Inside:
    """What a file that is here holds: pictures, or else weights."""
    try:
        names = [entry.name for entry in list_archive(path).entries if not entry.is_folder]
    except MixzooError:
        names = []
    if names and not is_checkpoint(names):
        if any(name.casefold().endswith(PICTURES) for name in names):
            return Inside(pictures=True)
        some = ", ".join(PurePosixPath(name).name for name in islice(names, 3))
        return Inside(fault=f"it is an archive without pictures or weights ({some})")
    from ..checkpoint.facts import training_facts
    from ..checkpoint.infer import network_of
    from ..checkpoint.reading import read_checkpoint

    try:
        with wall(CheckpointError, path.name, "Get another copy."):
            checkpoint = read_checkpoint(path)
            network, _ = network_of(checkpoint)
    except MixzooError as error:
        # who asks names the file, which from a server is but a stand-in here
        return Inside(fault=str(error).removeprefix(f"{path.name}: "))
    return Inside(network, training_facts(checkpoint.meta))


def is_checkpoint(names: Sequence[str]) -> bool:
    """Whether an archive of files with these names is one that torch wrote."""
    return any(PurePosixPath(name).name in ("data.pkl", "constants.pkl") for name in names)


@contextmanager
def _stand_in(location: Location, size: int, ends: float) -> Iterator[Path]:
    """A file with a remote zip's list of entries and its small ones, and holes for all else."""
    with tempfile.NamedTemporaryFile(suffix=".pth") as local, opener(location, 1) as open_at:
        local.truncate(size)
        here = size  # from where on all is here

        def fetch(start: int, stop: int) -> None:
            local.seek(start)
            local.write(_range(open_at, start, stop, size, ends))

        for tail in TAILS:
            fetch(begin := max(0, size - tail), here)
            here = begin
            local.flush()
            with suppress(BadZipFile):
                archive = ZipFile(local)
                break
        else:
            raise OSError("its list of entries is too long")
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        stops = [entry.header_offset for entry in entries[1:]] + [size]
        spans: list[tuple[int, int]] = []  # of small entries, those side by side as one
        for entry, stop in zip(entries, stops, strict=True):
            start = entry.header_offset
            if "/data/" not in f"/{entry.filename}" and entry.file_size <= SMALL:
                beside = bool(spans) and spans[-1][1] == start
                spans.append((spans.pop()[0] if beside else start, stop))
            elif entry.compress_type == ZIP_STORED:
                entry.extra = b""  # then the header is no longer than the one in its place
                local.seek(start)
                local.write(entry.FileHeader())
            else:
                raise OSError("holes are no packed bytes")
        for start, stop in spans:
            if start < here:
                fetch(start, min(stop, here))
        local.flush()
        yield Path(local.name)


def _range(open_at: Opener, start: int, stop: int, size: int, ends: float) -> bytes:
    """Some bytes of a remote file. Raises OSError where they aren't those of the one listed."""
    data = b""
    with open_at(start, stop, None) as answer:
        while len(data) < stop - start and (chunk := next(answer.chunks, b"")):
            data += chunk
            if time.monotonic() > ends:
                raise OSError("it comes too slowly")
    if answer.size != size or len(data) < stop - start:
        raise OSError("it isn't the file that was listed")
    return data[: stop - start]
