"""Puts the lists of sources together, and tells which row and kind each released file is.

A file's name speaks first (see `words`), then the folders that it lies in, the nearest first. What
was seen inside a file outweighs both. A file that these don't give exactly one row, or that another
one disputes, is asked about and never guessed; what can't be of this benchmark is refused, also
where it is the only candidate.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

from ..errors import several
from ..lock import ASSET_NAME, LOGS, SINGLE, Kind
from ..manifest import Manifest
from .listing import Listed
from .words import Reader, Said

if TYPE_CHECKING:
    from .inside import Inside

KINDS: tuple[Kind, ...] = get_args(Kind)  # their order in a lock
# What files of each kind are called beside the manifest's own endings
ENDINGS: dict[str, Kind] = {
    ".pth": "weights",
    ".pt": "weights",
    ".ckpt": "weights",
    ".safetensors": "weights",
    ".pth.tar": "weights",
    ".bin": "weights",
    ".log.json": "log",
    "_log.json": "log",
    ".log": "text_log",
    ".log.txt": "text_log",
    ".zip": "visualisation",
}
What = Literal["ambiguous", "missing", "left over", "unfinished", "contradicted", "unreachable"]
FOLDERS = 3  # above a file that may speak of it
FEW = 5  # files; a strange word that no more have is no author's habit
_COPY_NUMBER = re.compile(r" ?\(\d+\)(?=\.)")  # `w (1).pth`: the second download of a browser


@dataclass(frozen=True)
class Problem:
    """Something that keeps a lock from being complete.

    subject: a file, a row or a source. rows: those that the file could be, where a person may know.
    candidates: the files that could be the row's weights, or what else is asked for.
    """

    subject: str
    what: What
    reason: str
    rows: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """A file that is of exactly one row and kind."""

    name: str
    row: str
    kind: Kind


def merge(listings: Iterable[Sequence[Listed]]) -> tuple[list[Listed], list[Problem]]:
    """One entry per file name from the lists of several sources, the first source leading.

    What the first doesn't know (a hash, a release) is filled in from the others. Files that are
    unfinished, empty, oddly named, or that two sources hold in different sizes or with different
    hashes become problems instead.
    """
    by_name: defaultdict[str, list[Listed]] = defaultdict(list)
    for listing in listings:
        for file in listing:
            by_name[file.name].append(file)
    files: list[Listed] = []
    problems: list[Problem] = []
    cases = Counter(name.casefold() for name in by_name)
    for name in sorted(by_name):
        faults = {file: _fault(file) for file in by_name[name]}
        usable = [file for file, fault in faults.items() if not fault]
        sizes = {file.size: f"{file.origin} says {file.size} bytes" for file in usable}
        hashes = {f.sha256: f"{f.origin} says sha256 {f.sha256[:12]}…" for f in usable if f.sha256}
        said = next((facts for facts in (sizes, hashes) if len(facts) > 1), {})
        if cases[name.casefold()] > 1:  # Windows and macOS keep both in one file
            reason = "another file of the release has its name in other case"
            problems.append(Problem(name, "contradicted", reason))
        elif said:
            problems.append(Problem(name, "contradicted", ", ".join(said.values())))
        elif usable:
            known = {
                fact: next((found for file in usable if (found := getattr(file, fact))), None)
                for fact in ("sha256", "release_id", "updated_at")
            }
            files.append(replace(usable[0], **known))
        else:
            problems += [Problem(name, *fault) for fault in faults.values() if fault][:1]
    return files, problems


def _fault(file: Listed) -> tuple[What, str] | None:
    """Why a file cannot be locked as it is, if so."""
    if not re.match(ASSET_NAME, file.name):
        return "left over", "its name is too long, or has characters that a plain file name doesn't"
    if not file.finished:
        return "unfinished", f"{file.origin} says its upload isn't finished"
    return ("unfinished", f"{file.origin} holds 0 bytes of it") if file.size <= 0 else None


@dataclass(frozen=True)
class _Reading:
    """What is known of one file.

    rows: those that it could be; of the only one it is, if `sure`. told: by a person. silent:
    whether nothing is strange about it but that it says no method. refused: why it can't be any.
    why: what keeps it from being sure. said: by its name and folders.
    """

    kind: Kind
    rows: tuple[str, ...] = ()
    sure: bool = False
    told: bool = False
    silent: bool = False
    refused: str = ""
    why: str = ""
    said: Said = field(default_factory=Said)


def match(
    names: Iterable[str],
    manifest: Manifest,
    *,
    inside: Mapping[str, "Inside"] | None = None,
    assigned: Mapping[str, str] | None = None,
) -> tuple[list[Match], list[Problem]]:
    """Match all files of a release to the manifest's rows. Pure: nothing is read.

    names: of the files, with `/` after the folders that they lie in, if any. inside: what was seen
    in some of them. assigned: rows that a person gave to some, which overrule all else.
    Returns matches in the order of the manifest's rows, then kinds, then names; and problems:
    files of no row, or of one that isn't sure, several files that claim one place (none of them is
    taken), rows without weights, and rows without a log where others have one. A row may have any
    number of visualisations.
    """
    readings, problems = _readings(names, manifest, inside or {}, assigned or {})
    places = _places(readings)
    matches: list[Match] = []
    for row, kind in product([row.id for row in manifest.rows], KINDS):
        claims = places.get((row, kind), [])
        sure = [name for name in claims if readings[name].sure]
        if sure and len(claims) > 1 and kind in SINGLE:
            reason = f"its {kind.replace('_', ' ')} could be {several(claims, ' or ')}"
            problems.append(Problem(row, "ambiguous", reason, candidates=tuple(claims)))
        else:
            matches += [Match(name, row, kind) for name in sure]
    logged = {found.row for found in matches if found.kind in LOGS}
    for row in [row.id for row in manifest.rows]:
        if not any(readings[name].sure for name in places.get((row, "weights"), ())):
            reason = "no file of the release is its weights"
            could = [n for n, one in readings.items() if one.kind == "weights" and row in one.rows]
            problems.append(Problem(row, "missing", reason, candidates=tuple(could)))
        if logged and not any((row, kind) in places for kind in LOGS):
            problems.append(Problem(row, "missing", "it has no log, though other rows have"))
    return matches, problems


def recognise(name: str, manifest: Manifest) -> Match | Problem:
    """The row and kind of one file by its name and folders alone, or why they don't say one."""
    readings, problems = _readings([name], manifest, {}, {})
    return problems[0] if problems else Match(name, readings[name].rows[0], readings[name].kind)


def in_doubt(
    names: Iterable[str], manifest: Manifest, assigned: Mapping[str, str] | None = None
) -> list[str]:
    """Files that their names leave open or dispute, and whose content may settle it."""
    readings, _ = _readings(names, manifest, {}, assigned or {})
    disputed = {
        name
        for (_, kind), claims in _places(readings).items()
        if kind in SINGLE and len(claims) > 1
        for name in claims
    }
    return [
        name
        for name, one in sorted(readings.items())
        if one.kind in ("weights", "visualisation")
        and not (one.refused or one.told)
        and (name in disputed or one.why)
    ]


def ending_of(name: str, manifest: Manifest) -> tuple[str, Kind] | None:
    """The longest ending of a file's name that says a kind, and the kind."""
    own: dict[str, Kind] = {e: kind for kind, ends in manifest.matching.kinds.items() for e in ends}
    known, name = ENDINGS | own, name.casefold()
    fitting: list[tuple[str, Kind]] = [
        (end, kind) for end, kind in known.items() if name.endswith(end.casefold())
    ]
    return max(fitting, key=lambda one: len(one[0]), default=None)


def names_data(name: str, manifest: Manifest) -> bool:
    """Whether a file's name, or the folders in it, name the benchmark or its data set."""
    ending = ending_of(name, manifest)
    return _said(name[: -len(ending[0])] if ending else name, Reader(manifest)).data


def without_copy_number(name: str) -> str:
    """A name without the number that a browser adds to a second download."""
    return _COPY_NUMBER.sub("", name)


def _readings(
    names: Iterable[str],
    manifest: Manifest,
    inside: Mapping[str, "Inside"],
    assigned: Mapping[str, str],
) -> tuple[dict[str, _Reading], list[Problem]]:
    """What is known of each file; and the problems of those that are no match."""
    reader = Reader(manifest)
    readings: dict[str, _Reading] = {}
    problems: list[Problem] = []
    for name in sorted(set(names)):
        ending = ending_of(name, manifest)
        if name in assigned:
            kind = ending[1] if ending else "weights"
            readings[name] = _Reading(kind, (assigned[name],), sure=True, told=True)
        elif ending:
            said = _said(without_copy_number(name)[: -len(ending[0])], reader)
            readings[name] = _Reading(ending[1], said=said)
        else:
            known = [end for ends in manifest.matching.kinds.values() for end in ends]
            reason = f"it ends in none of [{', '.join(known or ENDINGS)}]"
            problems.append(Problem(name, "left over", reason))
    counted = Counter(_shape(word) for one in readings.values() for word in one.said.unknown)
    familiar = {shape for shape, count in counted.items() if FEW < count > len(readings) / 2}
    for name, one in readings.items():
        if name not in assigned:
            readings[name] = _judged(one, manifest, familiar, inside.get(name))
    readings |= _beside_weights(readings, manifest)
    readings |= _by_elimination(readings, manifest)
    for name, one in readings.items():
        if not one.sure:
            named = max(len(one.said.architectures), len(one.said.methods))
            what = "ambiguous" if named > 1 and not one.refused else "left over"
            problems.append(Problem(name, what, one.refused or one.why, one.rows))
    return readings, problems


def _shape(word: str) -> str:
    """A word with `#` for its numbers, as an author's dates and counters have them."""
    return re.sub(r"\d+", "#", word)


def _said(path: str, reader: Reader) -> Said:
    """What a name says, and where it says nothing of a role, the nearest folder that does."""
    name, *folders = reversed(PurePosixPath(path).parts or ("",))
    said = reader.read(name)
    for number, folder in enumerate(folders[:FOLDERS]):
        more = reader.read(folder)
        disputed = set()
        for here, there in (
            (said.architectures, more.architectures),
            (said.methods, more.methods),
        ):
            if number == 0 and here and there and here.isdisjoint(there):
                disputed.add(", ".join(sorted(there)))
        # a foreign word of a folder is no reason to refuse what lies in it, but one to ask
        disputed |= {word for role, word in more.foreign.items() if not said.says(role)}
        said = replace(
            said,
            architectures=said.architectures or more.architectures,
            methods=said.methods or more.methods,
            data=said.data or more.data,
            disputed=said.disputed | disputed,
            mixing=said.mixing or more.mixing,
        )
    return said


def _judged(
    one: _Reading, manifest: Manifest, familiar: set[str], inside: "Inside | None"
) -> _Reading:
    """A reading with the rows that it could be.

    familiar: shapes of unknown words that most of the release's names have.
    """
    said, kind = one.said, one.kind
    if refused := _refused(said, kind, manifest, inside):
        return replace(one, refused=refused)
    rows = [
        row
        for row in manifest.rows
        if (not said.architectures or row.architecture in said.architectures)
        and (not said.methods or row.method in said.methods)
    ]
    if not rows and len(said.architectures) == len(said.methods) == 1:
        row_id = f"{min(said.architectures)}.{min(said.methods)}_{manifest.name}"
        return replace(one, refused=f"it says {row_id}, which is no row of the manifest")
    doubts = [
        f"it names several {role}s: {', '.join(sorted(named))}"
        for role, named in (("architecture", said.architectures), ("method", said.methods))
        if len(named) > 1
    ]
    doubts += [f"a folder above it says {word}" for word in sorted(said.disputed)]
    strange = sorted(word for word in said.unknown if _shape(word) not in familiar)
    doubts += [f"nothing here explains {word!r}" for word in strange]
    silent = not (doubts or said.methods or said.mixing) and len(said.architectures) == 1
    if inside and kind == "weights":
        held = [row for row in manifest.rows if inside.may_be(row, manifest)]
        both = [row for row in held if row in rows]
        if both:
            rows, doubts = both, []
        else:
            doubts.insert(0, f"its name says one thing, its content another ({inside.in_words()})")
            rows, silent = held, False
    elif kind == "visualisation" and not inside and "pictures" not in said.kinds:
        doubts.append("its name doesn't say that it holds pictures")
    if not doubts and len(rows) > 1 and inside:
        doubts.append(f"it is {inside.in_words()}")
    elif not doubts and len(rows) > 1:
        role = "method" if said.architectures else "architecture"
        doubts.append(f"it names no {role} of {manifest.name}")
    ids = tuple(row.id for row in rows)
    return replace(one, rows=ids, sure=not doubts, silent=silent, why="; ".join(doubts))


def _refused(said: Said, kind: Kind, manifest: Manifest, inside: "Inside | None") -> str:
    """Why a file can't be of this benchmark, "" if it may be."""
    meanings = {
        "data": f"it names {{}}, not {manifest.name}",
        "architecture": f"it names {{}}, which is no architecture of {manifest.name}",
        "method": f"it names {{}}, which is no method of {manifest.name}",
        "run": "it names {}, another run than the table's",
        "part": "it names {}, which is not the weights of the table",
    }
    for role, meaning in meanings.items():
        if role in said.foreign:
            return meaning.format(said.foreign[role])
    others = said.kinds & {"logs", "weights"}
    if kind == "visualisation" and not inside and others and "pictures" not in said.kinds:
        return (
            f"it is a zip of {min(others)}, no visualisation; unpack it, then give its files to "
            "mixzoo zoo import"
        )
    return inside.misfit(kind, manifest) if inside else ""


def _beside_weights(readings: Mapping[str, _Reading], manifest: Manifest) -> dict[str, _Reading]:
    """Logs whose weights, of the same name or alone in their folder, tell more than they do."""

    def stems(name: str) -> list[str]:
        ending = ending_of(name, manifest)
        folder = name.rpartition("/")[0]
        return [name[: -len(ending[0])] if ending else name, *([f"{folder}/"] if folder else [])]

    weights: defaultdict[str, list[_Reading]] = defaultdict(list)
    for name, one in readings.items():
        if one.kind == "weights":
            for stem in stems(name):
                weights[stem].append(one)
    told: dict[str, _Reading] = {}
    for name, one in readings.items():
        stem = next((stem for stem in stems(name) if weights[stem]), "")
        if one.kind not in LOGS or one.refused or len(weights[stem]) != 1:
            continue
        (near,) = weights[stem]
        if near.refused and not (one.sure and stem.endswith("/")):
            told[name] = replace(one, sure=False, why="its weights are refused")
        elif near.sure and not one.sure and near.rows[0] in one.rows:
            told[name] = replace(one, rows=near.rows, sure=True)
    return told


def _by_elimination(readings: Mapping[str, _Reading], manifest: Manifest) -> dict[str, _Reading]:
    """Files without any method's name, where only vanilla is left over for exactly one of them."""
    places, told = _places(readings), {}
    for row, kind in product(manifest.rows, sorted(SINGLE)):
        if row.method != "vanilla" or (row.id, kind) in places:
            continue
        others = [r.id for r in manifest.rows if r.architecture == row.architecture and r != row]
        left = [
            name
            for name, one in readings.items()
            if one.silent and one.kind == kind and row.id in one.rows and not one.sure
        ]
        if len(left) == 1 and all(len(places.get((other, kind), ())) == 1 for other in others):
            told[left[0]] = replace(readings[left[0]], rows=(row.id,), sure=True)
    return told


def _places(readings: Mapping[str, _Reading]) -> dict[tuple[str, Kind], list[str]]:
    """The files that can be nothing but one row's, by row and kind; a person's word settles it."""
    places: defaultdict[tuple[str, Kind], list[str]] = defaultdict(list)
    for name, one in readings.items():
        if len(one.rows) == 1 and not one.refused:
            places[one.rows[0], one.kind].append(name)
    for (_, kind), names in places.items():
        if kind in SINGLE:
            names[:] = [name for name in names if readings[name].told] or names
    return dict(places)
