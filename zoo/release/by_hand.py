"""Takes files that a person downloaded by hand into the cache, verified, by hard link or copy.

For sources that no program can use (Baidu Cloud asks for a person and a code), for machines without
a network, and for colleagues with a disk. `identify` says what a file is; here it gets its place.
"""

import errno
import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from .. import verify
from ..archive import is_tar, list_archive, unpack
from ..cache import asset_path, cache_root
from ..catalog import Catalog
from ..errors import CheckpointError, IntegrityError, MixzooError, SourceError, UsageError
from ..files import (
    CHUNK,
    OnBytes,
    becoming,
    ignore,
    replacing,
    require_no_pipe,
    require_space,
    sha256_of,
    sha256_of_open,
    size_of,
)
from ..images import is_hidden
from ..lock import SINGLE, Asset
from ..looks import printable
from ..net.partial import Partial
from ..parallel import each_in_parallel
from ..shelf import alone, known_assets, note_adoption
from ..verify import State
from .identify import HEAD, Arrival, Identity, identify
from .inside import PICTURES, is_checkpoint
from .matching import ENDINGS

# What a file system answers that has no hard links, or none from there to here
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}

UNPACKED = ".import-"  # begins the names of folders that archives are unpacked to
DAY = 86_400  # seconds

CHANGED = "it changed while it was read; run again when it is whole"


@dataclass(frozen=True)
class Adoption:
    """What became of one file, adopted or not.

    what: "linked", "copied", "already here" or "refused". detail: how it was recognised, and what
    weights aren't though they seem to be; or why it was refused. asset, path: what and where it is
    in the cache. error: the kind of a refusal.
    """

    file: Path
    what: str
    detail: str
    sha256: str | None = None
    asset: Asset | None = None
    path: Path | None = None
    error: type[MixzooError] | None = None


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all files below the folders named, each once.

    Hidden files below folders are left out, and what lies in the cache already; links to folders
    are not followed. Raises UsageError for a path that isn't there or is neither file nor folder.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.is_file()]
            files = [p for p in inside if not is_hidden(p.relative_to(path))]
        elif path.is_file():
            files = [path]
        else:
            require_no_pipe(path)
            raise UsageError(
                f"{path}: expected a file or a folder, but it does not exist. Correct the path."
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    cache = cache_root().resolve()
    return [path for real, path in found.items() if not real.is_relative_to(cache)]


def import_files(
    files: Sequence[Path],
    catalog: Catalog,
    *,
    benchmark: str | None = None,
    row: str | None = None,
    as_copies: bool = False,
    on_bytes: OnBytes = ignore,
) -> list[Adoption]:
    """Recognise files and have them in the cache; an adoption for each, in order.

    benchmark, row: what a person says that all of them belong to. as_copies: also where a hard link
    would do, which shares the bytes with the file that was brought. An archive of weights or logs
    is opened, and its parts are taken. One bad file doesn't stop the others. on_bytes: told how
    many more bytes have been read to recognise them.
    Raises UsageError if benchmark or row name nothing.
    """
    owner, said = catalog.row(row) if row else (None, None)
    if owner is None:
        among = [catalog.benchmark(benchmark)] if benchmark else list(catalog.benchmarks.values())
    elif benchmark in (None, owner.name):
        among = [owner]
    else:
        raise UsageError(
            f"--row {row} is no row of {benchmark}; give one of --benchmark and --row."
        )
    looks = each_in_parallel(_look, files, [size_of(path) for path in files], on_bytes)
    with ExitStack() as stack:
        arrivals: list[Arrival | Adoption] = []
        for path, one in zip(files, looks, strict=True):
            try:
                arrivals += _opened(path, one, catalog, stack)
            except MixzooError as error:
                arrivals.append(_refused(path, one, error))
        whole = [one for one in arrivals if isinstance(one, Arrival)]
        found = iter(identify(whole, catalog, among, said))
        return [
            one if isinstance(one, Adoption) else _adopted(one, next(found), as_copies)
            for one in arrivals
        ]


def _refused(path: Path, file: Arrival | OSError, error: MixzooError) -> Adoption:
    sha256 = file.sha256 if isinstance(file, Arrival) else None
    return Adoption(path, "refused", printable(str(error)), sha256, error=type(error))


def _opened(
    path: Path, file: Arrival | OSError, catalog: Catalog, stack: ExitStack
) -> list[Arrival]:
    """A file, or the released files in it if it is an archive of some.

    stack: has them away at its end. Raises SourceError, IntegrityError or UsageError.
    """
    if isinstance(file, OSError):
        raise SourceError(f"cannot be read: {file.strerror}. Make it readable.")
    packed = is_tar(path) or (file.start.startswith(b"PK") and zipfile.is_zipfile(path))
    if not packed or any(catalog.recognise(file.sha256)):
        return [file]
    content = list_archive(path)
    names = [entry.name for entry in content.entries if not entry.is_folder]
    if content.refused and not is_checkpoint(names):
        raise IntegrityError(content.refused)
    seen = [name for name in names if not is_hidden(PurePosixPath(name))]
    wanted = {name for name in seen if name.casefold().endswith(tuple(ENDINGS))}
    ends = tuple(end for end, kind in ENDINGS.items() if kind == "weights")
    weights = any(name.casefold().endswith(ends) for name in wanted)
    pictures = any(name.casefold().endswith(PICTURES) for name in names)
    if is_checkpoint(names) or not wanted or (pictures and not weights):
        return [file]
    cache_root().mkdir(parents=True, exist_ok=True)
    for old in cache_root().glob(f"{UNPACKED}*"):  # of a process that was killed
        with suppress(FileNotFoundError):  # another import has ended meanwhile
            if time.time() - old.stat().st_mtime > DAY:
                shutil.rmtree(old, ignore_errors=True)
    to = Path(stack.enter_context(TemporaryDirectory(prefix=UNPACKED, dir=cache_root())), "parts")
    there = unpack(path, to, wanted.__contains__)
    looks = each_in_parallel(_look, there, [size_of(one) for one in there])
    return [
        replace(one, archive=path, inner=at.relative_to(to).as_posix())
        for at, one in zip(there, looks, strict=True)
        if isinstance(one, Arrival)
    ]


def _adopted(file: Arrival, found: Identity | MixzooError, as_copies: bool) -> Adoption:
    """What becomes of a file, whatever it was found to be."""
    try:
        if isinstance(found, MixzooError):
            raise found
        adoption = adopt(file, found, as_copies and file.archive is None)
    except MixzooError as error:
        adoption = _refused(file.path, file, error)
    return replace(adoption, file=file.archive / file.inner) if file.archive else adoption


def adopt(file: Arrival, identity: Identity, as_copies: bool = False) -> Adoption:
    """Give a recognised file its place in the cache.

    A damaged file in its place is set aside; a good one is never touched. Raises MixzooError where
    weights without a locked hash aren't its row's network, where the place is another file's, and
    where the file can't be had there or isn't what it was.
    """
    asset, path = identity.asset, asset_path(identity.benchmark.name, identity.asset)
    remarks = _require_its_row(file, identity)
    _require_free_place(file, identity)
    _require_same_as_before(file, asset, path)
    try:
        if _is_whole(file, asset, path):
            what = "already here"
            _note(file, identity, path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with alone(identity.benchmark.name, asset.name):
                if path.exists() and not _is_whole(file, asset, path):
                    verify.set_aside(path)
                what = _place(file, path, as_copies)
                _note(file, identity, path)
                Partial(path).reset()  # what a download had of it isn't needed any more
    except OSError as error:
        raise SourceError(
            f"{path} cannot be written: {error.strerror}. Name another folder in MIXZOO_CACHE."
        ) from None
    detail = "; ".join((identity.how, *remarks))
    return Adoption(file.path, what, detail, file.sha256, asset, path)


def copy(source: Path, path: Path, sha256: str) -> None:
    """Give a copy of `source` the name `path`, whole or not at all.

    The folder of `path` must be there. Raises IntegrityError if the bytes don't have this hash any
    more, SourceError if the disk is full, OSError.
    """
    require_space(path.parent, size_of(source), "name another folder in MIXZOO_CACHE")
    digest = hashlib.sha256()
    with source.open("rb") as old, replacing(path) as new:
        while chunk := old.read(CHUNK):
            digest.update(chunk)
            new.write(chunk)
        if digest.hexdigest() != sha256:
            raise IntegrityError(CHANGED)


def _place(file: Arrival, path: Path, as_copies: bool) -> str:
    """Give an arrival the name `path`, in one step, and say how: "linked" or "copied"."""
    source = file.path.resolve()  # a link to a file is not the file
    if not as_copies:
        try:
            with becoming(path) as part:
                part.hardlink_to(source)
                if (part.stat().st_size, part.stat().st_mtime_ns) != (file.size, file.mtime_ns):
                    raise IntegrityError(CHANGED)
            return "linked"
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
    copy(source, path, file.sha256)
    return "copied"


def _require_its_row(file: Arrival, identity: Identity) -> tuple[str, ...]:
    """Weights that no hash proves are opened: they must be the network of the row they are for.

    Returns what they aren't, though they seem to be.
    """
    asset, manifest = identity.asset, identity.benchmark.manifest
    row = manifest.row(asset.row)
    if asset.kind != "weights" or asset.sha256 is not None or row is None:
        return ()
    from ..checkpoint.load import require_row  # brings torch, which locked files don't need

    try:
        return require_row(file.path, row, manifest.dataset.num_classes)
    except CheckpointError as error:
        raise CheckpointError(str(error).removeprefix(f"{file.path.name}: ")) from None


def _require_free_place(file: Arrival, identity: Identity) -> None:
    """One file per name, and one of each single kind per row: none replaces another silently."""
    new = identity.asset
    for asset in () if identity.locked else known_assets(identity.benchmark):
        same_row = (asset.row, asset.kind) == (new.row, new.kind)
        same_name = asset.name.casefold() == new.name.casefold()
        before = asset_path(identity.benchmark.name, asset)
        if (
            new.kind == asset.kind == "weights"
            and not same_row
            and verify.first_use(before) == file.sha256
        ):
            raise UsageError(f"it is here as {asset.kind} of {asset.row}; remove {before} first.")
        if same_name != same_row and (same_name or new.kind in SINGLE):
            there = asset_path(identity.benchmark.name, asset)
            raise UsageError(
                f"{there} is there as {asset.kind} of {asset.row}; remove it first to have "
                f"{file.path.name} as {new.kind} of {new.row}."
            )


def _require_same_as_before(file: Arrival, asset: Asset, path: Path) -> None:
    """A file that no lock vouches for must be the one that was trusted on first use, if one was."""
    if asset.sha256 is not None:
        return
    before, what = verify.first_use(path), "was first used"
    if before is None and path.is_file():
        before, what = sha256_of(path), "is there"
    if before not in (None, file.sha256):
        raise IntegrityError(
            f"{path} {what} with sha256 {before[:12]}…, this one has {file.sha256[:12]}…; if this "
            f"one is right, remove {path.name} and {verify.first_use_record(path).name} there "
            "first."
        )
    if before is None:
        verify.require_sound(file.path, str(file.path), "Get it again")


def _is_whole(file: Arrival, asset: Asset, path: Path) -> bool:
    finding = verify.check(path, asset)
    return finding.state in (State.VERIFIED, State.FIRST_USE) and finding.sha256 == file.sha256


def _note(file: Arrival, identity: Identity, path: Path) -> None:
    if identity.asset.sha256 is None and verify.first_use(path) is None:
        verify.record_first_use(path, file.sha256)
    if not identity.locked and identity.asset not in known_assets(identity.benchmark):
        note_adoption(identity.benchmark, identity.asset)


def _look(path: Path, on_bytes: OnBytes) -> Arrival | OSError:
    """Read a file once: its hash, and what `identify` wants to know."""
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(HEAD)
            file.seek(0)
            sha256 = sha256_of_open(file, on_bytes)
            stat = os.fstat(file.fileno())
    except OSError as error:
        return error
    return Arrival(path, stat.st_size, stat.st_mtime_ns, sha256, start)
