"""Tells which checkpoint, row and log a reference to something publishable means."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import shelf
from ..catalog import Benchmark, Catalog
from ..errors import SourceError, UsageError
from ..manifest import Row
from ..net.fetch import fetch
from ..refs import CHECKPOINT_SUFFIXES, CheckpointFile, is_path, resolve

JSON_LOG = ".log.json"


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that is here, with the row whose method and recipe it has.

    log: its training log if there is one. why_no_log: in words, where it is known but can't be had.
    """

    checkpoint: CheckpointFile
    benchmark: Benchmark
    row: Row
    log: Path | None
    why_no_log: str = ""

    @property
    def is_released(self) -> bool:
        """Whether the benchmark's lock names these very bytes as the row's weights."""
        asset = self.benchmark.asset(self.row.id)
        return asset is not None and asset.sha256 == self.checkpoint.sha256


def find_candidates(
    refs: Sequence[str], catalog: Catalog, *, row_id: str | None = None, log: Path | None = None
) -> list[Candidate]:
    """Find what each reference means: a row id, a checkpoint file, or the folder of a run.

    A run's row is `row_id`, else the one whose locked hash or whose id as file name it has.
    log: the log of a single reference. Raises UsageError where something is missing, ambiguous
    or of two benchmarks, and whatever `refs.resolve` raises.
    """
    if len(refs) > 1 and (row_id or log):
        option = "--row" if row_id else "--log"
        raise UsageError(f"{option}: expected one row or run with it, got {len(refs)}.")
    if log and not log.is_file():
        raise UsageError(f"--log {log}: expected a file, but there is none. Correct the path.")
    found = [
        _of_run(Path(ref), catalog, row_id, log)
        if is_path(ref)
        else _of_row(ref, catalog, row_id, log)
        for ref in refs
    ]
    names = {candidate.benchmark.name for candidate in found}
    if len(names) > 1:
        raise UsageError(
            f"Rows of several benchmarks ({', '.join(sorted(names))}) were given; a repository "
            "holds one. Publish each by itself."
        )
    return found


def _of_row(ref: str, catalog: Catalog, row_id: str | None, log: Path | None) -> Candidate:
    resolved = resolve(ref, catalog, row_id=row_id)
    benchmark, row = catalog.row(ref)
    asset = shelf.log(benchmark, row).asset
    if log or asset is None:
        return Candidate(resolved, benchmark, row, log)
    try:
        path = fetch(benchmark, asset)
    except SourceError as error:  # weights can be published without it
        return Candidate(resolved, benchmark, row, None, f"{asset.name} is left out: {error}")
    return Candidate(resolved, benchmark, row, path)


def _of_run(path: Path, catalog: Catalog, row_id: str | None, log: Path | None) -> Candidate:
    checkpoint = checkpoint_in(path) if path.is_dir() else path
    resolved = resolve(str(checkpoint), catalog, row_id=row_id)
    if resolved.row is None:
        resolved = resolve(str(checkpoint), catalog, row_id=named_row(checkpoint, catalog))
    if resolved.benchmark is None or resolved.row is None:
        raise UsageError(
            f"{checkpoint}: which row's method and recipe it has is not known. Give --row ROW; "
            "see: mixzoo zoo list"
        )
    return Candidate(resolved, resolved.benchmark, resolved.row, log or log_of(checkpoint, path))


def checkpoint_in(folder: Path) -> Path:
    """The one checkpoint that a run's folder is about.

    mixzoo's own runs leave several: the one with a log of its name beside it is their result. Links
    like OpenMixup's `latest.pth` are no second one, nor is an export beside its source.
    Raises UsageError where there is none, or several are left.
    """
    files = [path for path in sorted(folder.iterdir()) if path.suffix in CHECKPOINT_SUFFIXES]
    files = [
        path
        for path in files
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    ]
    results = [path for path in files if path.with_name(path.stem + JSON_LOG).is_file()] or files
    # A .pth has the run's notes, which its export lacks.
    chosen = {path.stem: path for path in sorted(results, key=lambda path: path.suffix == ".pth")}
    if len(chosen) != 1:
        names = ", ".join(sorted(path.name for path in chosen.values())[:4]) or "none"
        raise UsageError(
            f"{folder}: expected one checkpoint, got {names}. Name the file to publish."
        )
    return next(iter(chosen.values()))


def named_row(checkpoint: Path, catalog: Catalog) -> str | None:
    """The row that mixzoo's own training named the file after."""
    return next((row.id for _, row in catalog if row.id == checkpoint.stem), None)


def log_of(checkpoint: Path, ref: Path) -> Path | None:
    """The log beside a checkpoint under its name, or the only log of a run's folder."""
    own = checkpoint.with_name(checkpoint.stem + JSON_LOG)
    if own.is_file() or not ref.is_dir():
        return own if own.is_file() else None
    logs = sorted(ref.glob(f"*{JSON_LOG}"))
    if len(logs) > 1:
        names = ", ".join(path.name for path in logs[:4])
        raise UsageError(f"{ref}: expected at most one log, got {names}. Give --log FILE.")
    return logs[0] if logs else None
