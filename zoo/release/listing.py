"""What a benchmark's sources say they hold, before any file is matched to a row."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..lock import ASSET_NAME


@dataclass(frozen=True)
class Listed:
    """A file as one source lists it.

    origin: the source in words. size: bytes. sha256: as published, None if it isn't.
    finished: False while its upload goes on. release_id, updated_at: GitHub's, else None.
    """

    name: str
    origin: str
    size: int
    sha256: str | None = None
    finished: bool = True
    release_id: int | None = None
    updated_at: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something that keeps a lock from being complete. subject: a file, a row or a source."""

    subject: str
    what: Literal["ambiguous", "missing", "left over", "unfinished", "contradicted", "unreachable"]
    reason: str


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
