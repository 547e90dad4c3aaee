"""Puts a split's images where the evaluator reads them, in one pass over the published archive.

Annotations first: they say which members the split needs. Then the archive streams by once, from a
file or an address; the needed members are stored, all others pass, and the md5 is taken of every
byte. Nothing is ever unpacked that isn't needed, and nothing needed is ever half there.

After a kill, at any point, the same command goes on: images that are here are compared with the
archive's bytes and kept. The archive is read from its begin again, since neither gzip nor md5 can
be taken up in the middle.
"""

import io
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from ..archive import why_unsafe
from ..errors import DataError, IntegrityError, MixzooError, SourceError
from ..files import alone, ignore, write
from ..images import is_picture
from ..net.progress import byte_bar
from ..net.sources import Location, sibling
from ..net.stream import open_stream
from ..tars import GZIP, HashedReader, StrictTar, open_tar_gz
from .find import find_images
from .labels import LabelledImages, from_file
from .request import Mark, Origin, Request, SplitName, mark_path, read_mark, write_mark
from .sinks import Fate, Put, into_files, into_tar
from .texts import read, unpacked

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


@dataclass(frozen=True)
class _Annotations:
    """A split's annotations. content: of their file. origin: where it came from."""

    content: bytes
    images: LabelledImages
    origin: Origin


def prepare(request: Request) -> list[Prepared]:
    """Prepare splits in one pass.

    Each split's annotations get their final name when all its images are here, and its mark when
    all is on the disk. Raises DataError for missing images, a full disk or a second run at the
    same time; IntegrityError for a wrong md5 or a damaged or unsafe archive (what was stored stays,
    unmarked, for the next run to compare); SourceError for what can't be had.
    """
    done = {n: Prepared(mark, Counter()) for n in request.splits if (mark := _done(request, n))}
    try:
        todo: list[SplitName] = [name for name in request.splits if name not in done]
        if todo:
            with _alone(request.root) as work:
                done |= _prepare(request, todo, work)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise DataError(
            f"{request.root}: cannot be prepared: {error.strerror or error}{where}. Make room or "
            "name another folder; what was written is kept for the next run."
        ) from None
    return [done[name] for name in request.splits]


def _done(request: Request, name: SplitName) -> Mark | None:
    """An earlier run's mark, if it vouches for what is asked now and all images are here."""
    mark = read_mark(request.root, request.json_name(name))
    asked = (request.dataset.name, name, request.form)
    if mark is None or (mark.dataset, mark.split, mark.form) != asked:
        return None
    if request.md5_of(request.archive_name) not in (None, mark.archive.md5):
        return None
    try:
        images = find_images(request.place(name), request.root / request.json_name(name))
    except MixzooError:
        return None
    return mark if images.sha256() == mark.list_sha256 else None


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


def _prepare(request: Request, names: Sequence[SplitName], work: Path) -> dict[SplitName, Prepared]:
    archive, root = request.archive_place(), request.root
    wanted = {name: _annotations(request, name, archive, work) for name in names}
    owners: dict[str, SplitName] = {f: name for name in names for f in wanted[name].images.files}
    fates: dict[SplitName, Counter[Fate]] = {name: Counter() for name in names}
    as_files = request.form == "files"
    with ExitStack() as stack:
        sinks: dict[SplitName, Put] = {
            name: stack.enter_context(
                into_files(root, work) if as_files else into_tar(request.place(name), work)
            )
            for name in names
        }
        for name in names:  # an older mark vouches for nothing that is about to change
            mark_path(root, request.json_name(name)).unlink(missing_ok=True)

        def put(file: str, data: bytes) -> None:
            fates[owners[file]][sinks[owners[file]](file, data)] += 1

        origin = _pass(request, archive, set(owners), put)
    done: dict[SplitName, Prepared] = {}
    for name in names:
        write(root / request.json_name(name), wanted[name].content)
        mark = Mark(
            dataset=request.dataset.name,
            split=name,
            form=request.form,
            images=len(wanted[name].images),
            list_sha256=wanted[name].images.sha256(),
            annotations=wanted[name].origin,
            archive=origin,
        )
        write_mark(root, request.json_name(name), mark)
        done[name] = Prepared(mark, fates[name])
    return done


def _annotations(request: Request, split: SplitName, archive: Location, work: Path) -> _Annotations:
    """Read a split's annotations from the first place that has them.

    These are: what the request names; what lies beside a local `archive`; the JSON in the root,
    which is then not compared with any md5; the archive in the root; the data set's base URL.
    work: a folder for a temporary file. Raises IntegrityError on a wrong md5 or a damaged archive,
    DataError for annotations that aren't this split's or name files outside of its image tree,
    SourceError if they can't be had.
    """
    dataset, name, expected = request.dataset, request.json_name(split), request.split(split).images
    place = _place(request, name, archive)
    with open_stream(place) as (_, chunks), HashedReader(chunks, ignore) as reader:
        packed = read(io.BufferedReader(reader), place)
        md5 = reader.md5()
    stated = request.md5_of(f"{name}.tar.gz") if packed.startswith(GZIP) else None
    origin = Origin(source=str(place), size=len(packed), md5=md5, expected_md5=stated)
    _require_md5(origin, "Nothing was changed")
    content = unpacked(packed, place, name)
    path = work / name
    path.write_bytes(content)
    images = replace(from_file(request.root, path), origin=name)
    if expected not in (None, len(images)):
        raise DataError(
            f"{place}: expected {expected:,} images, as the split of {dataset.name} has, got "
            f"{len(images):,}. Is it another split's or another year's file?"
        )
    if max(images.labels) >= dataset.num_classes:
        raise DataError(
            f"{place}: expected labels from 0 to {dataset.num_classes - 1}, got "
            f"{max(images.labels)}. Is it another data set's file?"
        )
    _require_tree(images.files, dataset.image_tree, place)
    return _Annotations(content, images, origin)


def _place(request: Request, name: str, archive: Location) -> Location:
    packed, places = f"{name}.tar.gz", list(request.annotations)
    stem = name.removesuffix(".json")
    named = [place for place in places if stem in str(place).rpartition("/")[2]]
    if named or len(places) == 1:
        return (named or places)[0]
    near = [] if places else [sibling(archive, packed), sibling(archive, name)]
    for place in (*near, Location(request.root / name), Location(request.root / packed)):
        if isinstance(place.address, Path) and place.address.is_file():
            return place
    if published := request.published(packed):
        return published
    raise SourceError(
        f"{request.dataset.name}: its manifest names no address of {name}. Put it into "
        f"{request.root}, or name it with --annotations FILE|URL."
    )


def _require_tree(files: Sequence[str], tree: str, place: Location) -> None:
    """Raise DataError for a file that isn't an image of the tree: it would be written there.

    Also for two names that are one where neither case nor the way to write an accent counts.
    """
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(normalize("NFC", file).casefold(), file)
        problem = ""
        if not file.startswith(f"{tree}/") or not is_picture(PurePosixPath(file)):
            problem = f"expected images in {tree}/, named as images are, got {file!r}"
        elif other != file:
            problem = f"{other!r} and {file!r} would be one file on some disks"
        if problem:
            raise DataError(
                f"{place}: {problem}. Nothing was changed; use the published annotations."
            )


def _require_md5(origin: Origin, left: str) -> None:
    """Raise IntegrityError if a file isn't the published one. left: what the folder is now."""
    if origin.expected_md5 and not origin.checked:
        raise IntegrityError(
            f"{origin.source}: md5 is {origin.md5}, the manifest says {origin.expected_md5}. "
            f"{left}; download the file again."
        )


def _pass(
    request: Request, archive: Location, missing: set[str], put: Callable[[str, bytes], object]
) -> Origin:
    """Read the archive once, put what is in `missing`, and require that nothing stays in it."""
    expected, wanted = request.md5_of(request.archive_name), len(missing)
    with (
        open_stream(archive) as (size, chunks),
        byte_bar(str(archive).rpartition("/")[2], size) as bar,
        HashedReader(chunks, bar.update) as reader,
    ):
        with open_tar_gz(reader, str(archive)) as members:
            for name, data in _needed(members, missing, str(archive)):
                missing.discard(name)
                put(name, data)
                if not missing and expected:
                    break  # of what follows, the md5 tells more than gzip's own checksum would
        md5 = reader.md5()
        origin = Origin(source=str(archive), size=reader.received, md5=md5, expected_md5=expected)
    _require_md5(origin, "The images that it held stay, but count as not prepared")
    if missing:
        raise DataError(
            f"{archive}: {len(missing):,} of {wanted:,} images that the annotations name aren't in "
            f"it, first {min(missing)}. Is it the archive of the same year?"
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
                f"{archive}: entry {member.name!a} {reason}. Nothing was written outside the "
                "folder; use the published archive."
            )
        if name in found:
            raise IntegrityError(f"{archive}: {name} stands twice. Use the published archive.")
        if name in missing:
            if not member.isreg():
                raise IntegrityError(
                    f"{archive}: {name} is a link or a device, not an image. Use the published "
                    "archive."
                )
            if member.size > LARGEST:
                raise IntegrityError(
                    f"{archive}: {name} claims {member.size:,} bytes, too many for an image. Use "
                    "the published archive."
                )
            found.add(name)
            yield name, members.body(member)
