"""Says which released files some files from anywhere are: by hash, else by name and content.

Nothing is moved or written. A hash is proof. A name and the folders above it are only a claim, so
they never overrule a locked hash; a file that no hash vouches for is opened and held against its
row, also where a person says which it is. Where it could be several, a person has to say which.
"""

import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import asset_path
from ..catalog import Benchmark, Catalog
from ..errors import CheckpointError, IntegrityError, MixzooError, UsageError, several
from ..lock import ASSET_NAME, SINGLE, Asset, Kind
from ..manifest import Row
from ..shelf import known_assets
from ..verify import first_use
from .inside import Inside, look_at
from .matching import (
    ENDINGS,
    Match,
    Problem,
    ending_of,
    match,
    names_data,
    recognise,
    without_copy_number,
)

# What tools write while a download runs: browsers, Baidu's client, aria2, IDM, curl-like tools.
UNFINISHED = (".downloading", ".crdownload", ".part", ".partial", ".download", ".aria2", ".!ut")
UNFINISHED += (".tmp",)
# Archives that mixzoo can't open, by their first bytes
FOREIGN = {
    b"Rar!\x1a\x07": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\xfd7zXZ\x00": "packed by xz",
    b"BZh": "packed by bzip2",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
}
AS_SAID = "as you say"
HEAD = 512  # bytes that tell a web page from a file


@dataclass(frozen=True)
class Arrival:
    """A file that somebody has.

    mtime_ns: when it last changed. start: its first bytes. archive: the one that it came out of, to
    which `path` then isn't a lasting one; inner: its name in there, with folders.
    """

    path: Path
    size: int
    mtime_ns: int
    sha256: str
    start: bytes
    archive: Path | None = None
    inner: str = ""

    @property
    def words(self) -> str:
        """Its name and those of the folders that it came from, the archive as one of them."""
        path = self.path if self.archive is None else self.archive.absolute() / self.inner
        return path.absolute().as_posix()

    @property
    def name(self) -> str:
        """Its name without the number that a browser adds to a second download."""
        return without_copy_number(self.path.name)


@dataclass(frozen=True)
class Identity:
    """The released file that an arrival is. how: in words. locked: whether the lock has it."""

    benchmark: Benchmark
    asset: Asset
    how: str
    locked: bool = True


def identify(
    files: Sequence[Arrival], catalog: Catalog, among: Sequence[Benchmark], row: Row | None = None
) -> list[Identity | MixzooError]:
    """What files are that came together, each as an identity, or as the error that refuses it.

    among: the benchmarks that a person says they are of, or all of them; row: the row that a person
    says they are of, whose benchmark is the only one of `among`. A UsageError means that a file
    isn't recognised, IntegrityError that it isn't whole, CheckpointError that it holds another
    network than its row's.
    """
    found: dict[int, Identity | MixzooError] = {}
    unknown: dict[int, Arrival] = {}
    inside: dict[str, Inside] = {}  # by hash
    for number, file in enumerate(files):
        try:
            if known := _by_hash(file, catalog, among, row):
                found[number] = known
                continue
            _require_whole(file)
            endings = [ending_of(file.name, benchmark.manifest) for benchmark in among]
            kinds: list[Kind] = [end[1] for end in endings if end]
            if not kinds:
                raise UsageError(
                    f"no lock knows its hash; expected a name ending in {', '.join(ENDINGS)}. "
                    "Rename it."
                )
            if {"weights", "visualisation"} & {*kinds} and file.sha256 not in inside:
                inside[file.sha256] = look_at(file.path)
            if row is None:
                unknown[number] = file
                continue
            # its ending says the kind, its content may object
            how, held = AS_SAID, inside.get(file.sha256)
            if held and kinds[0] == "weights" and held.method not in (None, row.method):
                how += f", though its config says {held.method}"
            elif held and kinds[0] != "weights" and not held.pictures:
                raise UsageError(held.fault or "it is a checkpoint, no archive of pictures.")
            found[number] = _as_row(file, among[0], row.id, kinds[0], how)
        except MixzooError as error:
            found[number] = error
    told = _by_names(list(unknown.values()), among, inside)
    found |= {number: told[file.words] for number, file in unknown.items()}
    return [found[number] for number in range(len(files))]


def _require_whole(file: Arrival) -> None:
    """Refuse what can't be any released file at all. Raises UsageError or IntegrityError."""
    if file.path.name.casefold().endswith(UNFINISHED):
        raise UsageError("it is an unfinished download; let it end first.")
    if not file.size:
        raise IntegrityError("it is empty; download it again.")
    if file.start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise IntegrityError(
            "it is a web page: the server sent it in place of the file; download it again."
        )
    for start, what in FOREIGN.items():
        if file.start.startswith(start):
            raise UsageError(f"it is {what}, which mixzoo doesn't open; unpack it first.")


def _require_end(file: Arrival) -> None:
    """No hash tells that an unlocked file is whole, but a zip (or torch file) has its list last."""
    if file.start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(file.path):
        raise IntegrityError("it is cut short: its end is missing; download it again.")


def _by_hash(
    file: Arrival, catalog: Catalog, among: Sequence[Benchmark], row: Row | None
) -> Identity | None:
    names = {benchmark.name for benchmark in among}
    known = list(catalog.recognise(file.sha256))
    for benchmark, asset in known:
        if benchmark.name in names and (row is None or asset.row == row.id):
            return Identity(benchmark, asset, "by its hash")
    if known:
        said = row.id if row else ", ".join(sorted(names))
        raise UsageError(
            f"its hash says that it is {known[0][1].row}, not {said}. Give the right --row or "
            "--benchmark."
        )
    return None


def _by_names(
    files: Sequence[Arrival], among: Sequence[Benchmark], inside: Mapping[str, Inside]
) -> dict[str, Identity | MixzooError]:
    """Files as what a lock calls them, else as what name, folders and content say, all together.

    Returns them by their words.
    """
    words = {file.words: file for file in files}
    seen = {name: inside[file.sha256] for name, file in words.items() if file.sha256 in inside}
    matches: defaultdict[str, list[tuple[Benchmark, Match]]] = defaultdict(list)
    problems: defaultdict[str, list[Problem]] = defaultdict(list)
    for benchmark in among:
        matched, unclear = match(words, benchmark.manifest, inside=seen)
        for problem in unclear:
            same = len({words[name].sha256 for name in problem.candidates}) == 1
            if same and problem.what == "ambiguous":  # copies of one file
                for name in problem.candidates:
                    if ending := ending_of(name, benchmark.manifest):
                        matched.append(Match(name, problem.subject, ending[1]))
            for name in {problem.subject, *problem.candidates} & words.keys():
                problems[name].append(problem)
        rows: defaultdict[str, set[str]] = defaultdict(set)
        for one in matched:
            rows[words[one.name].sha256].add(one.row)
        for one in matched:
            if len(rows[words[one.name].sha256]) == 1:
                matches[one.name].append((benchmark, one))
            else:
                several_rows = tuple(sorted(rows[words[one.name].sha256]))
                why = "the same bytes lie under the names of several rows"
                problems[one.name].append(Problem(one.name, "ambiguous", why, several_rows))
    told: dict[str, Identity | MixzooError] = {}
    for name, file in words.items():
        try:
            told[name] = _settled(file, among, matches[name], problems[name], seen.get(name))
        except MixzooError as error:
            told[name] = error
    return told


def _settled(
    file: Arrival,
    among: Sequence[Benchmark],
    matches: Sequence[tuple[Benchmark, Match]],
    problems: Sequence[Problem],
    inside: Inside | None,
) -> Identity:
    """A file as the only one that it can be."""
    locked = [(b, asset) for b in among for asset in b.assets if asset.name == file.name]
    if len(locked) == 1:
        benchmark, asset = locked[0]
        return _as_locked(file, benchmark, asset, "by its name")
    _require_end(file)
    named = [found for found in matches if names_data(file.words, found[0].manifest)]
    matches = named or matches
    if len(matches) == 1 and not locked:
        benchmark, one = matches[0]
        return _as_row(file, benchmark, one.row, one.kind, "by name and content")
    if locked or matches:
        fitting = [benchmark for benchmark, _ in locked or matches]
        bring = ("zoo", "import", file.archive or file.path, "--benchmark")
        ways = several((one.command(*bring, one.name) for one in fitting), "  or  ")
        names = ", ".join(one.name for one in fitting)
        raise UsageError(f"its name fits {names}. Say which: {ways}")
    asked = [one for one in problems if one.rows or one.candidates]
    if inside and not asked and not any(map(inside.may_be_of, among)):
        what = inside.fault or f"it fits no row: it is {inside.in_words()}"
        raise CheckpointError(
            f"no lock knows its hash, and {what.removesuffix('.')}. Is it a released file?"
        )
    # a benchmark whose network or data the name doesn't even name has the least to say
    near = asked or sorted(problems, key=lambda one: one.reason.startswith("it names"))
    reason = near[0].reason
    if not asked and len(among) > 1:
        reason = f"it fits no row of any benchmark: {reason}"
    rows = dict.fromkeys(
        row for one in asked for row in (one.rows if not one.candidates else (one.subject,))
    )
    could = f"; it could be {several(rows, ' or ')}" if rows else ""
    unpacking = f"{among[0].command('zoo', 'unpack', file.archive)}, then " if file.archive else ""
    path = Path(file.archive.stem, file.inner) if file.archive else file.path
    bring = among[0].command("zoo", "import", path, "--row", next(iter(rows), "ROW"))
    raise UsageError(
        f"no lock knows its hash, and {reason}{could}. If you know its row: {unpacking}{bring}"
    )


def _as_row(file: Arrival, benchmark: Benchmark, row: str, kind: Kind, how: str) -> Identity:
    """A file as the one of this row and kind, locked or not."""
    locked = [asset for asset in benchmark.assets if (asset.row, asset.kind) == (row, kind)]
    if len(locked) > 1:
        names = ", ".join(asset.name for asset in locked)
        raise IntegrityError(
            f"it has the hash of none of {row}'s locked files ({names}). Download it again."
        )
    if locked:
        return _as_locked(file, benchmark, locked[0], how)
    _require_end(file)
    for asset in known_assets(benchmark):  # it has come before, under whatever name
        path = asset_path(benchmark.name, asset)
        if (asset.row, asset.kind) == (row, kind) and first_use(path) == file.sha256:
            return Identity(benchmark, asset, how, locked=False)
    asset_names = {a.name.casefold(): (a.row, a.kind) for a in known_assets(benchmark)}
    name = file.name
    by_name = recognise(name, benchmark.manifest)
    telling = how.startswith(AS_SAID) or (isinstance(by_name, Match) and by_name.row == row)
    taken = asset_names.get(name.casefold(), (row, kind)) != (row, kind)
    if taken or not telling or not re.match(ASSET_NAME, name):
        ending = ending_of(name, benchmark.manifest)
        number = "" if kind in SINGLE else f"-{file.sha256[:8]}"  # a row may have several
        name = f"{row}{number}{ending[0] if ending else file.path.suffix}"
    asset = Asset(row=row, kind=kind, name=name, size=file.size)
    return Identity(benchmark, asset, how, locked=False)


def _as_locked(file: Arrival, benchmark: Benchmark, asset: Asset, how: str) -> Identity:
    """A file as this asset, if the lock doesn't say otherwise."""
    if asset.size not in (None, file.size):
        differs = f"expected {asset.size} bytes, got {file.size}"
    elif asset.sha256 is not None:  # equal hashes have been found before
        differs = f"expected sha256 {asset.sha256[:12]}…, got {file.sha256[:12]}…"
    else:
        _require_end(file)
        return Identity(benchmark, asset, how)
    raise IntegrityError(
        f"it should be {asset.name} of {asset.row}, but {differs}; download it again."
    )
