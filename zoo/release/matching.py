"""Puts the lists of sources together, and tells from a file's name its row and its kind.

Names are read as words between `_`, `-` and `.`, in any case. A pattern of the manifest's
`[matching]` stands in a name where whole neighbouring words spell it out: `near_lam_cat` is found
in `r50_l2_a2_near_lam_cat_mb`, `resnet50` in `ResNet-50`, but `mixup` is not in `mixups`, nor
`r50` in `rx101`. A name that doesn't say exactly one row is reported, never guessed.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Literal, get_args

from ..lock import ASSET_NAME, LOGS, SINGLE, Kind
from ..manifest import Manifest
from .listing import Listed

KINDS: tuple[Kind, ...] = get_args(Kind)  # their order in a lock


@dataclass(frozen=True)
class Problem:
    """Something that keeps a lock from being complete. subject: a file, a row or a source."""

    subject: str
    what: Literal["ambiguous", "missing", "left over", "unfinished", "contradicted", "unreachable"]
    reason: str


@dataclass(frozen=True)
class Match:
    """A file name that says exactly one row and kind."""

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
    for name in sorted(by_name):
        usable = [file for file in by_name[name] if not _fault(file)]
        problem = _contradiction(usable) if usable else _fault(by_name[name][0])
        if problem:
            problems.append(problem)
        else:
            files.append(_joined(usable))
    return files, problems


def recognise(name: str, manifest: Manifest) -> Match | Problem:
    """The row and kind that a file name says, or why it doesn't say one. Pure: nothing is read.

    name: without folders. A pattern inside a longer one doesn't count, nor does the shorter of
    two endings.
    """
    rules = manifest.matching
    endings: list[tuple[str, Kind]] = [
        (end, kind) for kind, ends in rules.kinds.items() for end in ends
    ]
    fitting = [one for one in endings if name.casefold().endswith(one[0].casefold())]
    if not fitting:
        known = ", ".join(end for end, _ in endings)
        return Problem(name, "left over", f"it ends in none of [{known}]")
    ending, kind = max(fitting, key=lambda one: len(one[0]))
    words = _words(name[: -len(ending)])
    if other := _other_benchmark(words, manifest.name):
        return Problem(name, "left over", f"it names {other}, not {manifest.name}")
    found: list[str] = []
    for role, aliases in (("architecture", rules.architectures), ("method", rules.methods)):
        known = dict.fromkeys([*(getattr(row, role) for row in manifest.rows), *aliases])
        # a name is always a pattern of itself
        named = _named(words, {one: [one, *aliases.get(one, ())] for one in known})
        if not named:
            return Problem(name, "left over", f"it names no {role} of {manifest.name}")
        if len(named) > 1:
            return Problem(name, "ambiguous", f"it names several {role}s: {', '.join(named)}")
        found += named
    row_id = f"{found[0]}.{found[1]}_{manifest.name}"
    if manifest.row(row_id) is None:
        return Problem(name, "left over", f"it says {row_id}, which is no row of the manifest")
    return Match(name, row_id, kind)


def match(names: Iterable[str], manifest: Manifest) -> tuple[list[Match], list[Problem]]:
    """Match all files of a release to the manifest's rows.

    Returns matches in the order of the manifest's rows, then kinds, then names; and problems:
    names that say no row, several files that claim one place (none of them is taken), rows
    without weights, and rows without a log where others have one. A row may have any number of
    visualisations.
    """
    found = [recognise(name, manifest) for name in sorted(set(names))]
    problems = [entry for entry in found if isinstance(entry, Problem)]
    places: defaultdict[tuple[str, Kind], list[Match]] = defaultdict(list)
    for entry in found:
        if isinstance(entry, Match):
            places[entry.row, entry.kind].append(entry)
    matches: list[Match] = []
    logged = {row for row, kind in places if kind in LOGS}
    for row, kind in product([row.id for row in manifest.rows], KINDS):
        claims = places.get((row, kind), [])
        if len(claims) > 1 and kind in SINGLE:
            candidates = ", ".join(claim.name for claim in claims)
            reason = f"its {kind.replace('_', ' ')} could be {candidates}"
            problems.append(Problem(row, "ambiguous", reason))
        else:
            matches += claims
    for row in manifest.rows:
        if (row.id, "weights") not in places:
            problems.append(Problem(row.id, "missing", "no file of the release is its weights"))
        if logged and row.id not in logged:
            problems.append(Problem(row.id, "missing", "it has no log, though other rows have"))
    return matches, problems


def _fault(file: Listed) -> Problem | None:
    """Why a file cannot be locked as it is, if so."""
    if not re.match(ASSET_NAME, file.name):
        reason = "its name has characters that a plain file name doesn't"
        return Problem(file.name, "left over", reason)
    if not file.finished:
        return Problem(file.name, "unfinished", f"{file.origin} says its upload isn't finished")
    if file.size == 0:
        return Problem(file.name, "unfinished", f"{file.origin} holds 0 bytes of it")
    return None


def _contradiction(files: Sequence[Listed]) -> Problem | None:
    first = files[0]
    for other in files[1:]:
        if other.size != first.size:
            said = f"{first.origin} says {first.size} bytes, {other.origin} {other.size}"
            return Problem(first.name, "contradicted", said)
    hashes = {file.sha256: file.origin for file in files if file.sha256}
    if len(hashes) > 1:
        said = ", ".join(
            f"{origin} says sha256 {sha256[:12]}…" for sha256, origin in hashes.items()
        )
        return Problem(first.name, "contradicted", said)
    return None


def _joined(files: Sequence[Listed]) -> Listed:
    first = files[0]
    return replace(
        first,
        sha256=next((file.sha256 for file in files if file.sha256), None),
        release_id=next((file.release_id for file in files if file.release_id is not None), None),
        updated_at=next((file.updated_at for file in files if file.updated_at), None),
    )


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[_.-]+", text.casefold()) if word]


def _named(words: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of which a pattern stands among the words and not only inside a longer pattern."""
    hits = {
        (start, end, name)
        for name, patterns in aliases.items()
        for pattern in patterns
        for start, end in _places(words, "".join(_words(pattern)))
    }
    inner = {
        hit
        for hit in hits
        for start, end, _ in hits
        if start <= hit[0] and hit[1] <= end and end - start > hit[1] - hit[0]
    }
    return sorted({name for _, _, name in hits - inner})


def _places(words: Sequence[str], spelled: str) -> list[tuple[int, int]]:
    """Where neighbouring words, written together, spell a pattern: (first, one past the last)."""
    return [
        (start, end)
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
        if "".join(words[start:end]) == spelled
    ]


def _other_benchmark(words: Sequence[str], benchmark: str) -> str | None:
    """A sibling that the words name: `inat2017` where `inat2018` is expected."""
    family = re.fullmatch(r"([a-z]+)\d+", benchmark)
    if not family:
        return None
    year = re.compile(r"\d+")
    pairs = [a + b for a, b in pairwise(words) if a == family[1] and year.fullmatch(b)]
    said = [word for word in words if word.startswith(family[1])] + pairs
    return next((w for w in said if year.fullmatch(w, len(family[1])) and w != benchmark), None)
