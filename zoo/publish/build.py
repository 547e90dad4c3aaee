"""Builds the folder of a hub repository from rows and runs, without touching the network itself."""

import filecmp
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..catalog import Benchmark, open_catalog
from ..checkpoint.export import TIMM_FILE, Exported, export, export_name
from ..checkpoint.facts import training_facts
from ..checkpoint.peers import has_peer
from ..errors import UsageError, several
from ..files import sha256_of
from ..lock import Asset, Kind, lock_path, parse_lock, render_lock
from ..looks import command
from ..manifest import Row, manifest_text, parse_manifest, slug
from ..report import Report, read_report
from ..tally import tally
from .candidates import JSON_LOG, Candidate, find_candidates
from .repository import (
    CARD,
    EVIDENCE,
    LOCK,
    MANIFEST,
    REPORT,
    TALLY,
    Evidence,
    Model,
    Repository,
    evaluation_results,
    model_card,
)


@dataclass(frozen=True)
class Publication:
    """What to publish as `repository` (OWNER/NAME).

    refs: row ids, checkpoint files, run folders. folder: where the repository's files are built.
    report: of `mixzoo eval --out`, which backs the numbers; or instead of it evidence, which goes
    along. row, log: of a single run. license: the hub's name of the weights' licence. leaderboard:
    `DATASET:TASK` on the hub. force: replace files in `folder` that differ. Raises UsageError for a
    repository or a leaderboard that can't be, or a report beside evidence.
    """

    refs: Sequence[str]
    repository: str
    folder: Path
    report: Path | None = None
    evidence: Sequence[Evidence] = ()
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
            raise UsageError(f"--repo {self.repository}: expected OWNER/NAME. Name it so.")
        if self.report and self.evidence:
            raise UsageError("--report: the report is in the --evidence; give one of them.")
        if self.leaderboard is None:
            return
        if not re.fullmatch(r"[^/\s:]+/[^/\s:]+:\S+", self.leaderboard):
            raise UsageError(
                f"--leaderboard {self.leaderboard}: expected OWNER/DATASET:TASK. Name it so."
            )
        if not (self.report or self.evidence) or len(self.refs) != 1:
            raise UsageError(
                f"--leaderboard {self.leaderboard}: expected one row or run and its --report or "
                "--evidence, for the hub shows one result a repository."
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
    report = _report(wish, benchmark)
    folder = wish.folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        staging = Path(name)
        models = tuple(
            _model(candidate, wish, staging, report, alone=len(candidates) == 1)
            for candidate in candidates
        )
        repository = Repository(
            wish.repository,
            benchmark,
            models,
            report,
            tally([report], catalog) if report else None,
            wish.license,
            wish.leaderboard,
        )
        _write_texts(repository, staging)
        return repository, _move(staging, folder, force=wish.force)


def _report(wish: Publication, benchmark: Benchmark) -> Report | None:
    """The report that was given, or that of all the evidence."""
    given = [read_report(wish.report)] if wish.report else [one.report for one in wish.evidence]
    for report in given:
        if report.benchmark != benchmark.name:
            raise UsageError(
                f"{wish.report or '--evidence'}: expected a report on {benchmark.name}, got one on "
                f"{report.benchmark or 'no benchmark'}. Run: mixzoo eval FILE --row ROW --data DIR "
                "--out report.json"
            )
    if len({(str(one.protocol), one.data.list_sha256) for one in given}) > 1:
        raise UsageError(
            "--evidence: expected one list of images and one protocol, got several. Publish each "
            "by itself."
        )
    rows = tuple(row for report in given for row in report.rows)
    rules = {word: rule for report in given for word, rule in report.rules.items()}
    return msgspec.structs.replace(given[0], rows=rows, rules=rules) if given else None


def _model(
    candidate: Candidate, wish: Publication, folder: Path, report: Report | None, *, alone: bool
) -> Model:
    """Put a model's files into the folder, and say what the report has of it.

    alone: whether the repository has no other, so that it can be timm's as a whole.
    """
    found, name = candidate.checkpoint, candidate.row.id
    exported = export(found, folder / export_name(found))
    row = _own_row(candidate, exported, slug(wish.repository))
    hashes = (found.sha256, exported.sha256)
    measured = next(iter(report.of_weights(*hashes)), None) if report else None
    if report and not measured:
        raise UsageError(
            f"--report: has no row for {found.path.name} (sha256 {found.sha256[:12]}…); expected "
            "one of these weights. Run: mixzoo eval"
        )
    evidence = next((one for one in wish.evidence if one.report.of_weights(*hashes)), None)
    for path in evidence.files if evidence else ():
        (folder / EVIDENCE / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / EVIDENCE / name / path.name)
    timm = head = None
    rgb = candidate.benchmark.manifest.protocol.channels == "RGB"  # timm has no other
    if rgb and has_peer(row.architecture):
        timm = TIMM_FILE if alone else f"timm/{name}/{TIMM_FILE}"
        head = measured.head if measured else exported.metadata["heads"].partition(",")[0]
        export(found, folder / timm, names="timm", head=head)
    log = None
    if candidate.log:
        kind: Kind = "log" if candidate.log.suffix == ".json" else "text_log"
        path = folder / (name + (JSON_LOG if kind == "log" else ".log"))
        shutil.copyfile(candidate.log, path)
        log = Asset.of(row.id, kind, path, "published digest")
    weights = Asset.of(row.id, "weights", exported.path, "published digest")
    return Model(row, candidate, weights, log, timm, head, measured, evidence)


def _own_row(candidate: Candidate, exported: Exported, benchmark: str) -> Row:
    """The row of a model in its repository: what its own notes say of its training goes first."""
    facts, row = training_facts(exported.metadata), candidate.row
    if facts.method and slug(facts.method) != row.method and not candidate.is_released:
        raise UsageError(
            f"{candidate.checkpoint.path}: was trained by {facts.method}, but {row.id} is a row of "
            f"{row.method}. Make it a row of its own first: {command('train', 'publish', 'RUN')}"
        )
    alpha = facts.alpha if isinstance(facts.alpha, float) else row.alpha
    recipe = dict(facts.recipe) or row.recipe
    return msgspec.structs.replace(row, id=row.id_in(benchmark), alpha=alpha, recipe=recipe)


def _write_texts(repository: Repository, folder: Path) -> None:
    manifest, lock = manifest_text(repository.manifest()), render_lock(repository.lock())
    texts = {MANIFEST: manifest, LOCK: lock, CARD: model_card(repository)}
    if repository.report and repository.tally:
        texts |= {REPORT: repository.report.to_json(), TALLY: repository.tally.to_csv()}
    if name := repository.own_table:
        benchmark = repository.benchmark
        texts[name] = manifest_text(msgspec.structs.replace(benchmark.manifest, sources=[]))
        if benchmark.lock:
            texts[str(lock_path(Path(name)))] = render_lock(benchmark.lock)
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
