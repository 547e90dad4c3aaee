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
from ..errors import UsageError
from ..files import sha256_of
from ..lock import Asset, Kind, parse_lock, render_lock
from ..manifest import parse_manifest, slug
from ..manifest_text import manifest_text
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
    """What to publish: `refs` (row ids, checkpoint files, run folders) as `repository` (OWNER/NAME).

    folder: where the repository's files are built. report: of `mixzoo eval --out`, which backs the
    numbers. row, log: of a single run. license: the hub's name of the weights' licence.
    leaderboard: `DATASET:TASK` on the hub. force: replace files in `folder` that differ.
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


@dataclass(frozen=True)
class PublishedFile:
    """A file of the repository. path: below the folder, with `/`."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Built:
    """A folder that is ready to be uploaded."""

    repository: Repository
    folder: Path
    files: tuple[PublishedFile, ...]


def build(publication: Publication) -> Built:
    """Build the repository's folder: weights, logs, report, card, manifest and lock.

    Equal input gives equal bytes. Raises UsageError for a name, a row or a report that doesn't
    fit, or where files in the folder differ from those built; and whatever finding, reading and
    exporting the checkpoints raises. The folder then is as it was.
    """
    wish = publication
    require_repository_id(wish.repository)
    leaderboard = _leaderboard(wish)
    catalog = open_catalog(wish.manifests)
    candidates = find_candidates(wish.refs, catalog, row_id=wish.row, log=wish.log)
    _require_distinct(candidates)
    benchmark = candidates[0].benchmark
    report = _report(wish.report, benchmark) if wish.report else None
    folder = wish.folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as staging:
        models = tuple(_model(c, wish.repository, Path(staging), report) for c in candidates)
        repository = Repository(
            wish.repository, benchmark, models, report, wish.license, leaderboard
        )
        _write_texts(repository, Path(staging))
        if wish.report:
            shutil.copyfile(wish.report, Path(staging) / REPORT)
        files = _move(Path(staging), folder, force=wish.force)
    return Built(repository, wish.folder, files)


def require_repository_id(name: str) -> None:
    """Raise UsageError unless a repository's name is one that the hub allows, with its owner."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(f"--repo: {str(error).splitlines()[0]}") from None
    if name.count("/") != 1:
        raise UsageError(f"--repo {name}: expected OWNER/NAME.")


def _leaderboard(wish: Publication) -> tuple[str, str] | None:
    if wish.leaderboard is None:
        return None
    found = re.fullmatch(r"([^/\s:]+/[^/\s:]+):(\S+)", wish.leaderboard)
    if found is None:
        raise UsageError(f"--leaderboard {wish.leaderboard}: expected OWNER/DATASET:TASK.")
    if wish.report is None or len(wish.refs) != 1:
        raise UsageError(
            f"--leaderboard {wish.leaderboard}: expected one row or run and its --report, for the "
            "hub shows one result a repository."
        )
    return found[1], found[2]


def _require_distinct(candidates: Sequence[Candidate]) -> None:
    """Two models of one architecture and method would have one id and one file name."""
    rows = [candidate.row.id for candidate in candidates]
    if twice := next((row for row in rows if rows.count(row) > 1), None):
        raise UsageError(f"{twice}: two models of this row were given. Publish each by itself.")


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
    # Without the table's number: it isn't this file's unless a report says so, and then the card does.
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
    parse_lock(lock, LOCK, benchmark=readable.name, rows={row.id for row in readable.rows})
    if results := evaluation_results(repository):
        texts[f".eval_results/{repository.benchmark.name}.yaml"] = results
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _move(staging: Path, folder: Path, *, force: bool) -> tuple[PublishedFile, ...]:
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
            f"{folder}: {', '.join(changed[:3])} would be replaced by other content. Give --force, or "
            "another --folder; to upload it as it is: hf upload"
        )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(folder / name)
    return tuple(
        PublishedFile(name, path.stat().st_size, sha256_of(path))
        for name in names
        for path in [folder / name]
    )
