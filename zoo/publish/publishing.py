"""Builds the folder of a hub repository from rows and runs, without touching the network itself."""

import filecmp
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog import open_catalog
from ..checkpoint.export import export, export_name
from ..errors import UsageError
from ..files import sha256_of
from ..lock import Kind, parse_lock, render_lock
from ..manifest import parse_manifest
from ..manifest_text import manifest_text
from .candidates import JSON_LOG, Candidate, find_candidates
from .card import evaluation_results, model_card
from .evidence import Evidence, read_evidence
from .repository import (
    CARD,
    LOCK,
    MANIFEST,
    REPORT,
    Leaderboard,
    Model,
    PublishedLog,
    Repository,
)


@dataclass(frozen=True)
class Request:
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
class Published:
    """A file of the repository. path: below the folder, with `/`."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Built:
    """A folder that is ready to be uploaded. notes: what a publisher should know, in words."""

    repository: Repository
    folder: Path
    files: tuple[Published, ...]
    notes: tuple[str, ...]


def build(request: Request) -> Built:
    """Build the repository's folder: weights, logs, report, card, manifest and lock.

    Equal input gives equal bytes. Raises UsageError for a name, a row or a report that doesn't
    fit, or where files in the folder differ from those built; and whatever finding, reading and
    exporting the checkpoints raises. The folder then is as it was.
    """
    require_repository_id(request.repository)
    leaderboard = _leaderboard(request)
    catalog = open_catalog(request.manifests)
    candidates = find_candidates(request.refs, catalog, row_id=request.row, log=request.log)
    _require_distinct(candidates)
    benchmark = candidates[0].benchmark
    evidence = read_evidence(request.report, benchmark) if request.report else None
    folder = request.folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as staging:
        models = tuple(_model(c, Path(staging), evidence) for c in candidates)
        repository = Repository(
            request.repository, benchmark, models, evidence, request.license, leaderboard
        )
        _write_texts(repository, Path(staging), request.report)
        files = _move(Path(staging), folder, force=request.force)
    return Built(repository, request.folder, files, tuple(_notes(repository)))


def require_repository_id(name: str) -> None:
    """Raise UsageError unless a repository's name is one that the hub allows, with its owner."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(f"--repo: {str(error).splitlines()[0]}") from None
    if name.count("/") != 1:
        raise UsageError(f"--repo {name}: expected OWNER/NAME.")


def _leaderboard(request: Request) -> Leaderboard | None:
    if request.leaderboard is None:
        return None
    found = re.fullmatch(r"([^/\s:]+/[^/\s:]+):(\S+)", request.leaderboard)
    if found is None:
        raise UsageError(f"--leaderboard {request.leaderboard}: expected OWNER/DATASET:TASK.")
    if request.report is None or len(request.refs) != 1:
        raise UsageError(
            f"--leaderboard {request.leaderboard}: expected one row or run and its --report, for the "
            "hub shows one result a repository."
        )
    return Leaderboard(*found.groups())


def _require_distinct(candidates: Sequence[Candidate]) -> None:
    """Two models of one architecture and method would have one id and one file name."""
    rows = [candidate.row.id for candidate in candidates]
    if twice := next((row for row in rows if rows.count(row) > 1), None):
        raise UsageError(f"{twice}: two models of this row were given. Publish each by itself.")


def _model(candidate: Candidate, folder: Path, evidence: Evidence | None) -> Model:
    # Without the table's number: it isn't this file's unless a report says so, and then the card does.
    path = folder / export_name(candidate.resolved)
    exported = export(candidate.resolved, path, with_reported=False)
    log = _copy_log(candidate.log, candidate.row.id, folder) if candidate.log else None
    if evidence is None:
        return Model(candidate, exported, log)
    lines = evidence.lines(candidate.resolved.sha256, exported.sha256)
    if not lines:
        raise UsageError(
            f"--report: has no line for {candidate.resolved.path.name} (sha256 "
            f"{candidate.resolved.sha256[:12]}…); expected one of these weights. Run: mixzoo eval"
        )
    own = (line for line in lines if line.default_head)
    headline = next((line for line in own if evidence.measures(line, candidate.benchmark)), None)
    return Model(candidate, exported, log, tuple(lines), headline)


def _copy_log(source: Path, row_id: str, folder: Path) -> PublishedLog:
    kind: Kind = "log" if source.suffix == ".json" else "text_log"
    path = folder / (row_id + (JSON_LOG if kind == "log" else ".log"))
    shutil.copyfile(source, path)
    return PublishedLog(path, kind, path.stat().st_size, sha256_of(path))


def _write_texts(repository: Repository, folder: Path, report: Path | None) -> None:
    manifest, lock = repository.manifest(), repository.lock()
    texts = {
        MANIFEST: manifest_text(manifest),
        LOCK: render_lock(lock),
        CARD: model_card(repository),
    }
    rows = {row.id for row in manifest.rows}
    parse_manifest(texts[MANIFEST], MANIFEST)  # what is published must be readable
    parse_lock(texts[LOCK], LOCK, benchmark=manifest.name, rows=rows)
    if results := evaluation_results(repository):
        from huggingface_hub.utils import yaml_dump

        texts[f".eval_results/{repository.benchmark.name}.yaml"] = yaml_dump(results)
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    if report:
        shutil.copyfile(report, folder / REPORT)


def _move(staging: Path, folder: Path, *, force: bool) -> tuple[Published, ...]:
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
        Published(name, (folder / name).stat().st_size, sha256_of(folder / name)) for name in names
    )


def _notes(repository: Repository) -> list[str]:
    notes = [m.candidate.why_no_log for m in repository.models if m.candidate.why_no_log]
    if repository.evidence is None:
        notes.append('No --report: the card says "not evaluated" and names no number.')
    notes += [
        f"{model.row.id}: its number is shown, but isn't the benchmark's own: no result is entered."
        for model in repository.models
        if model.lines and model.headline is None
    ]
    if repository.license == "unknown":
        notes.append("The card says that the license is unknown. Give --license, as apache-2.0.")
    return notes
