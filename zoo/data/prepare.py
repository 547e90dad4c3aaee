"""Puts a split's images where the evaluator reads them, in one pass over the published archive.

Annotations first: they say which members the split needs. Then the archive streams by once, from a
file or an address; the needed members are stored, all others pass, and the md5 is taken of every
byte. Nothing is ever unpacked that isn't needed, and nothing needed is ever half there.

After a kill, at any point, the same command goes on: images that are here are compared with the
archive's bytes and kept. The archive is read from its begin again, since neither gzip nor md5 can
be taken up in the middle.
"""

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..archive import why_unsafe
from ..errors import DataError, IntegrityError
from ..files import alone, write
from ..net.progress import byte_bar
from ..net.sources import Location
from ..net.stream import open_stream
from ..tars import HashedReader, StrictTar, open_tar_gz
from .annotations import Annotations, get_annotations, require_md5
from .marks import Mark, Origin, mark_path, write_mark
from .request import Request, SplitName
from .sinks import Fate, FileSink, Sink, TarSink

WORK = ".preparing"  # folder below the root, for what isn't whole yet; gone at the end
LARGEST = 256 << 20  # bytes of one image; a member that claims more isn't one


@dataclass(frozen=True)
class Prepared:
    """A split that is ready.

    mark: what was checked. images: how many were written, kept and replaced; empty if an earlier
    run had prepared it.
    """

    mark: Mark
    images: Counter[Fate]


def prepare(request: Request, *, quiet: bool = False) -> list[Prepared]:
    """Prepare splits in one pass.

    Each split's annotations get their final name when all its images are here, and its mark when
    all is on the disk. quiet: no progress bar. Raises DataError for missing images, a full disk or
    a second run at the same time; IntegrityError for a wrong md5 or a damaged or unsafe archive
    (what was stored stays, unmarked, for the next run to compare); SourceError for what can't be
    had.
    """
    done = {n: Prepared(mark, Counter()) for n in request.splits if (mark := request.done(n))}
    try:
        todo: list[SplitName] = [name for name in request.splits if name not in done]
        if todo:
            with _alone(request.root) as work:
                done |= _prepare(request, todo, work, quiet=quiet)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise DataError(
            f"{request.root}: cannot be prepared: {error.strerror or error}{where}. Make room or name "
            "another folder; what was written is kept for the next run."
        ) from None
    return [done[name] for name in request.splits]


def _prepare(
    request: Request, names: Sequence[SplitName], work: Path, *, quiet: bool
) -> dict[SplitName, Prepared]:
    archive, root = request.archive_place(), request.root
    wanted = {name: get_annotations(request, name, archive, work) for name in names}
    sinks: dict[SplitName, Sink] = {
        name: FileSink(root, work)
        if request.form == "files"
        else TarSink(request.place(name), work)
        for name in names
    }
    try:
        for name in names:  # an older mark vouches for nothing that is about to change
            mark_path(root, request.json_name(name)).unlink(missing_ok=True)
        missing = {file: sinks[name] for name in names for file in wanted[name].images.files}
        origin = _pass(request, archive, missing, quiet=quiet)
        for sink in sinks.values():
            sink.finish()
    finally:
        for sink in sinks.values():
            sink.close()
    return {
        name: Prepared(_seal(request, name, wanted[name], origin), sinks[name].counts)
        for name in names
    }


def _pass(request: Request, archive: Location, missing: dict[str, Sink], *, quiet: bool) -> Origin:
    """Read the archive once, put what is in `missing`, and require that nothing stays in it."""
    expected, wanted = request.md5_of(request.archive_name), len(missing)
    with (
        open_stream(archive) as (size, chunks),
        byte_bar(str(archive).rpartition("/")[2], size, quiet=quiet) as bar,
        HashedReader(chunks, bar.update) as reader,
    ):
        with open_tar_gz(reader, str(archive)) as members:
            for name, data in _needed(members, missing, str(archive)):
                missing.pop(name).put(name, data)
                if not missing and expected:
                    break  # of what follows, the md5 tells more than gzip's own checksum would
        md5 = reader.md5()
        origin = Origin(source=str(archive), size=reader.received, md5=md5, expected_md5=expected)
    require_md5(origin, "The images that it held stay, but count as not prepared")
    if missing:
        raise DataError(
            f"{archive}: {len(missing):,} of {wanted:,} images that the annotations name aren't in it, "
            f"first {min(missing)}. Is it the archive of the same year?"
        )
    return origin


def _needed(
    members: StrictTar, missing: Collection[str], archive: str
) -> Iterator[tuple[str, bytes]]:
    """Each wanted member with its content, once. Refuses what no honest archive has."""
    found: set[str] = set()
    for member in members:
        name = member.name.removeprefix("./")
        # Of half a million members hardly one gives reason to look closer.
        is_odd = ".." in name or not name.isascii() or name.startswith(("/", "\\"))
        if is_odd and (reason := why_unsafe(member.name)):
            raise IntegrityError(
                f"{archive}: entry {member.name!a} {reason}. Nothing was written outside the folder; "
                "use the published archive."
            )
        if name in found:
            raise IntegrityError(f"{archive}: {name} stands twice. Use the published archive.")
        if name in missing:
            if not member.isreg():
                raise IntegrityError(f"{archive}: {name} is a link or a device, not an image.")
            if member.size > LARGEST:
                raise IntegrityError(f"{archive}: {name} claims {member.size:,} bytes.")
            found.add(name)
            yield name, members.body(member)


def _seal(request: Request, name: SplitName, wanted: Annotations, archive: Origin) -> Mark:
    """Give the annotations their name, then write the mark."""
    write(request.root / request.json_name(name), wanted.content)
    mark = Mark(
        dataset=request.dataset.name,
        split=name,
        form=request.form,
        images=len(wanted.images),
        list_sha256=wanted.images.sha256(),
        annotations=wanted.origin,
        archive=archive,
    )
    write_mark(request.root, request.json_name(name), mark)
    return mark


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """A folder for what isn't whole yet, for one process at a time. A dead one's lock is free."""

    def busy() -> None:
        raise DataError(f"{root}: another process prepares it now. Wait for its end.")

    work = root / WORK
    with alone(root / f"{WORK}.lock", waiting=busy):
        if work.is_symlink() or work.is_file():  # nothing is written through what lies there
            work.unlink()
        elif work.exists():  # a killed run's
            shutil.rmtree(work)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
