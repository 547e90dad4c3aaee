"""A hub repository of published models, and the texts in it: manifest, lock, card, leaderboard.

Manifest and lock make the repository a source of weights like any other.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..catalog import Benchmark, in_package, package_path
from ..checkpoint.config import in_text
from ..checkpoint.export import TIMM_FILE
from ..lock import Asset, Lock
from ..looks import Markdown, command, markdown_table, plain, signed
from ..manifest import HuggingFaceSource, Manifest, Matching, Metric, Row, slug
from ..report import Head, Report
from ..report import Row as Measured
from ..tally import COLUMNS, Tally
from .candidates import Candidate

HUB = "https://huggingface.co"
MANIFEST = "mixzoo.toml"
LOCK = "mixzoo.lock.json"
REPORT = "report.json"
CARD = "README.md"
TEMPLATE = "model_card.md.j2"
TASK = "image-classification"
SOURCE = "mixzoo eval report"
EVIDENCE, TALLY = "evidence", "tally.csv"


@dataclass(frozen=True)
class Evidence:
    """Evidence of one row that was checked (`eval.evidence`): its files, its digest, its report."""

    files: tuple[Path, ...]
    digest: str
    report: Report


@dataclass(frozen=True)
class Model:
    """One model of the repository.

    row: its own, with its recipe, as the repository's manifest has it. weights, log: its files.
    timm, timm_head: its file for timm, by its path in the repository, and the head that this is of;
    None where timm has no such network. measured: what the report says of it, None if nothing was
    evaluated. evidence: of that, if there is any.
    """

    row: Row
    candidate: Candidate
    weights: Asset
    log: Asset | None = None
    timm: str | None = None
    timm_head: str | None = None
    measured: Measured | None = None
    evidence: Evidence | None = None

    @property
    def id(self) -> str:
        """Its row's."""
        return self.row.id

    @property
    def number(self) -> Head | None:
        """The head with the benchmark's own number, if the report has it."""
        own = self.measured and self.measured.not_comparable is None
        return self.measured.judged if self.measured and own else None


@dataclass(frozen=True)
class Repository:
    """What is published under `id` (`OWNER/NAME`): models of one benchmark, and what backs them.

    tally: of the published numbers that the report recomputes. leaderboard: `DATASET:TASK`, of a
    data set of the hub that is registered as a benchmark there.
    """

    id: str
    benchmark: Benchmark
    models: tuple[Model, ...]
    report: Report | None = None
    tally: Tally | None = None
    license: str = "unknown"
    leaderboard: str | None = None

    @property
    def own_table(self) -> str | None:
        """The manifest in the repository that evidence is judged by, unless mixzoo brings it."""
        benchmark, judged = self.benchmark, any(model.evidence for model in self.models)
        known = in_package(benchmark.path) and not benchmark.over
        return f"{EVIDENCE}/{benchmark.name}.toml" if judged and not known else None

    @property
    def url(self) -> str:
        """Its page."""
        return f"{HUB}/{self.id}"

    def manifest(self) -> Manifest:
        """The benchmark's protocol and data, the repository as source, its models as rows.

        A row's number is the report's for this very checkpoint; without one it has none.
        """
        original = self.benchmark.manifest
        decimals = original.metric.decimals
        rows = [
            msgspec.structs.replace(
                model.row,
                reported_top1=round(model.number.top1, decimals) if model.number else None,
            )
            for model in self.models
        ]
        released = all(model.candidate.is_released for model in self.models)
        return msgspec.structs.replace(
            original,
            name=slug(self.id),
            title=f"{self.id}: weights for {original.title}",
            homepage=self.url,
            metric=Metric(statistic="last_epoch", decimals=decimals),
            rows=rows,
            sources=[HuggingFaceSource(repository=self.id)],
            matching=Matching(),
            training=original.training if released else None,
        )

    def lock(self) -> Lock:
        """Every weights file and log with size and hash."""
        assets = [asset for model in self.models for asset in (model.weights, model.log) if asset]
        return Lock(format=1, benchmark=slug(self.id), assets=assets)

    def notes(self) -> Iterator[str]:
        """What a publisher should know before uploading."""
        yield from filter(None, (model.candidate.why_no_log for model in self.models))
        if self.report is None:
            yield 'No --report and no --evidence: the card says "not evaluated" and names no number.'
        elif not all(model.evidence for model in self.models):
            yield "No --evidence: nobody can check the numbers without the images."
        for model in self.models:
            if model.measured and not model.number:
                name = model.candidate.row.id
                yield f"{name}: its number is shown, but isn't the benchmark's own: no result is entered."
        if self.license == "unknown":
            yield "The card says that the license is unknown. Give --license, as apache-2.0."


def model_card(repository: Repository) -> str:
    """The README.md of a repository: YAML front matter for the hub, Markdown for people.

    No number stands in it that the repository's report doesn't hold.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    manifest = repository.benchmark.manifest
    page = Environment(
        loader=FileSystemLoader(package_path("zoo/publish")),
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    ).get_template(TEMPLATE)
    body = page.render(
        repository=repository,
        models=repository.models,
        manifest=manifest,
        dataset=manifest.dataset,
        report=repository.report,
        papers=_papers(repository),
        MANIFEST=MANIFEST,
        LOCK=LOCK,
        REPORT=REPORT,
        TALLY=TALLY,
        tally=repository.tally,
        tally_table=markdown_table(COLUMNS, [claim.cells for claim in repository.tally.claims])
        if repository.tally
        else "",
        named=("--manifest", repository.own_table) if repository.own_table else (),
        command=command,
        in_words=_in_words,
        signed=signed,
    )
    return f"---\n{_front_matter(repository)}\n---\n\n{body.rstrip()}\n"


def model_index(
    entries: Iterable[tuple[str, Head]],
    *,
    dataset_type: str,
    dataset_name: str,
    source_url: str | None = None,
) -> list[dict[str, Any]]:
    """The value of a model card's `model-index`: top-1 and top-5 of each head, in percent.

    entries: model name and its number. dataset_type: the data set's id on the hub, or a plain tag.
    source_url: where the report can be read; without one no source is named.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    index: list[dict[str, Any]] = []
    for name, head in entries:
        results = [
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_type,
                dataset_name=dataset_name,
                dataset_split="validation",
                metric_type="accuracy",
                metric_name=f"{metric} accuracy, percent ({head.head})",
                metric_value=round(value, 4),
                source_name=SOURCE if source_url else None,
                source_url=source_url,
            )
            for metric, value in (("Top-1", head.top1), ("Top-5", head.top5))
        ]
        index += eval_results_to_model_index(name, results)
    return index


def evaluation_results(repository: Repository) -> str:
    """The text of `.eval_results/*.yaml`, which feeds a leaderboard of the hub; else nothing."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    if not (repository.leaderboard and repository.report):
        return ""
    dataset, _, task = repository.leaderboard.partition(":")
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=task,
            value=round(head.top1, 4),
            date=repository.report.created,
            source_url=_report_url(repository),
            source_name=SOURCE,
            notes=f"top-1 in percent, {head.correct} of {head.total}, head {head.head}",
        )
        for head in (model.number for model in repository.models)
        if head
    ]
    return yaml_dump(eval_result_entries_to_yaml(entries)) if entries else ""


def _front_matter(repository: Repository) -> str:
    from huggingface_hub import ModelCardData

    rows = [model.row for model in repository.models]
    of_timm = repository.models[0].timm == TIMM_FILE  # then the hub's own lines of use are timm's
    names = [*(row.method for row in rows), *(row.architecture.rpartition("/")[2] for row in rows)]
    dataset = repository.benchmark.manifest.dataset.name
    # The data set's id on the hub where it is known, else its name as a plain tag.
    named = repository.leaderboard and repository.leaderboard.partition(":")[0]
    tag = named or slug(dataset).replace("_", "-")
    data = ModelCardData(
        license=repository.license,
        library_name="timm" if of_timm else "mixzoo",
        pipeline_tag=TASK,
        tags=list(dict.fromkeys(["mixup", "openmixup", "mixzoo", *["timm"] * of_timm, *names])),
        datasets=[tag],
        metrics=["accuracy"],
    )
    numbers = [(model.id, model.number) for model in repository.models if model.number]
    url = _report_url(repository)
    if index := model_index(numbers, dataset_type=tag, dataset_name=dataset, source_url=url):
        data["model-index"] = index
    return data.to_yaml()


def _report_url(repository: Repository) -> str:
    return f"{repository.url}/blob/main/{REPORT}"


def _papers(repository: Repository) -> dict[str, str]:
    manifest = repository.benchmark.manifest
    papers = {
        row.method: row.paper for row in (model.candidate.row for model in repository.models)
    } | {
        f"the benchmark ({manifest.name})": manifest.paper,
        f"the data set ({manifest.dataset.name})": manifest.dataset.paper,
    }
    return {what: paper for what, paper in papers.items() if paper}


def _in_words(facts: Any) -> str:
    """`name value` pairs of a struct or a dict, what is empty left out."""
    pairs = msgspec.to_builtins(facts).items()
    told = [(name, value) for name, value in pairs if value not in ({}, [], "", None)]
    return ", ".join(f"{name.replace('_', ' ')} {in_text(value)}" for name, value in told)


def _plain(value: Any) -> str:
    """A value as text that can't end the cell, the code span or the line that it stands in."""
    return value if isinstance(value, Markdown) else str(plain(re.sub(r"[|`]", "", str(value))))
