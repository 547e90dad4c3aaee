"""Builds the folder of a hub repository from rows and runs, without touching the network itself."""

import filecmp
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog import Benchmark, open_catalog
from ..checkpoint.export import export, export_name
from ..errors import UsageError, several
from ..files import sha256_of
from ..lock import Asset, Kind, parse_lock, render_lock
from ..manifest import manifest_text, parse_manifest, slug
from ..report import Report, read_report
from .candidates import JSON_LOG, Candidate, find_candidates
from .repository import (
    CARD,
    LOCK,
    MANIFEST,
    REPORT,
    Model,
    Repository,
    evaluation_results,
    model_card,
)


@dataclass(frozen=True)
class Publication:
    """What to publish as `repository` (OWNER/NAME).

    refs: row ids, checkpoint files, run folders. folder: where the repository's files are built.
    report: of `mixzoo eval --out`, which backs the numbers. row, log: of a single run. license: the
    hub's name of the weights' licence. leaderboard: `DATASET:TASK` on the hub. force: replace files
    in `folder` that differ. Raises UsageError for a repository or a leaderboard that can't be.
    """

    refs: Sequence[str]
    repository: str
    folder: Path
    report: Path | None = None
    log: Path | None = None
    row: str | None = None
    license: str = "unknown"
    leaderboard: str | None = None
    force: bool = False
    manifests: Sequence[Path] = ()

    def __post_init__(self) -> None:
        """Hold the names against the hub's rules."""
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        try:
            validate_repo_id(self.repository)
        except HFValidationError as error:
            raise UsageError(f"--repo: {str(error).splitlines()[0]}") from None
        if self.repository.count("/") != 1:
            raise UsageError(f"--repo {self.repository}: expected OWNER/NAME.")
        if self.leaderboard is None:
            return
        if not re.fullmatch(r"[^/\s:]+/[^/\s:]+:\S+", self.leaderboard):
            raise UsageError(f"--leaderboard {self.leaderboard}: expected OWNER/DATASET:TASK.")
        if self.report is None or len(self.refs) != 1:
            raise UsageError(
                f"--leaderboard {self.leaderboard}: expected one row or run and its --report, for "
                "the hub shows one result a repository."
            )


def build(wish: Publication) -> tuple[Repository, dict[str, str]]:
    """Build the repository's folder: weights, logs, report, card, manifest and lock.

    Equal input gives equal bytes. Returns the repository, and each file's sha256 by its path below
    the folder. Raises UsageError for a row or a report that doesn't fit, or where files in the
    folder differ from those built; and whatever finding, reading and exporting the checkpoints
    raises. The folder then is as it was.
    """
    catalog = open_catalog(wish.manifests)
    candidates = find_candidates(wish.refs, catalog, row_id=wish.row, log=wish.log)
    rows = [candidate.row.id for candidate in candidates]
    if twice := next((row for row in rows if rows.count(row) > 1), None):
        raise UsageError(f"{twice}: two models of this row were given. Publish each by itself.")
    benchmark = candidates[0].benchmark
    report = _report(wish.report, benchmark) if wish.report else None
    folder = wish.folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        staging = Path(name)
        models = tuple(_model(c, wish.repository, staging, report) for c in candidates)
        repository = Repository(
            wish.repository, benchmark, models, report, wish.license, wish.leaderboard
        )
        _write_texts(repository, staging)
        if wish.report:
            shutil.copyfile(wish.report, staging / REPORT)
        return repository, _move(staging, folder, force=wish.force)


def _report(path: Path, benchmark: Benchmark) -> Report:
    report = read_report(path)
    if report.benchmark != benchmark.name:
        raise UsageError(
            f"{path}: expected a report on {benchmark.name}, got one on "
            f"{report.benchmark or 'no benchmark'}. Run: mixzoo eval FILE --row ROW --data DIR "
            "--out report.json"
        )
    return report


def _model(candidate: Candidate, name: str, folder: Path, report: Report | None) -> Model:
    """Put a model's files into the folder, and say what the report has of it."""
    found, row_id = candidate.checkpoint, candidate.row.id_in(slug(name))
    # Without the table's number: it is this file's only if a report says so, and then the card
    # does.
    exported = export(found, folder / export_name(found), with_reported=False)
    measured = report.of_weights(found.sha256, exported.sha256) if report else []
    if report and not measured:
        raise UsageError(
            f"--report: has no row for {found.path.name} (sha256 {found.sha256[:12]}…); expected "
            "one of these weights. Run: mixzoo eval"
        )
    log = None
    if candidate.log:
        kind: Kind = "log" if candidate.log.suffix == ".json" else "text_log"
        path = folder / (candidate.row.id + (JSON_LOG if kind == "log" else ".log"))
        shutil.copyfile(candidate.log, path)
        log = _asset(row_id, kind, path)
    weights = _asset(row_id, "weights", exported.path)
    return Model(row_id, candidate, weights, log, next(iter(measured), None))


def _asset(row_id: str, kind: Kind, path: Path) -> Asset:
    return Asset(
        row=row_id,
        kind=kind,
        name=path.name,
        size=path.stat().st_size,
        sha256=sha256_of(path),
        hash_from="published digest",
    )


def _write_texts(repository: Repository, folder: Path) -> None:
    manifest, lock = manifest_text(repository.manifest()), render_lock(repository.lock())
    texts = {MANIFEST: manifest, LOCK: lock, CARD: model_card(repository)}
    readable = parse_manifest(manifest, MANIFEST)  # what is published must be
    parse_lock(lock, LOCK, readable)
    if results := evaluation_results(repository):
        texts[f".eval_results/{repository.benchmark.name}.yaml"] = results
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _move(staging: Path, folder: Path, *, force: bool) -> dict[str, str]:
    """Put all files into place, or none if one of them would replace another content."""
    names = sorted(p.relative_to(staging).as_posix() for p in staging.rglob("*") if p.is_file())
    changed = [
        name
        for name in names
        if (folder / name).exists()
        and not filecmp.cmp(staging / name, folder / name, shallow=False)
    ]
    if changed and not force:
        raise UsageError(
            f"{folder}: {several(changed)} would be replaced by other content. Give --force, "
            "or another --folder; to upload it as it is: hf upload"
        )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(folder / name)
    return {name: sha256_of(folder / name) for name in names}
