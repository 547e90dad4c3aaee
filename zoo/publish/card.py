"""The page of a published repository: what it holds, what was measured, where it comes from."""

from collections.abc import Iterator
from typing import Any

from ..manifest import slug
from .evidence import Evidence, Line
from .hub_results import TASK, leaderboard_entry, model_index
from .repository import LOCK, MANIFEST, REPORT, Repository

NOT_EVALUATED = "Not evaluated: no report backs a number for these weights."


def model_card(repository: Repository) -> str:
    """The README.md of a repository: YAML front matter for the hub, Markdown for people.

    No number stands in it that the repository's evidence doesn't hold.
    """
    from huggingface_hub import ModelCardData

    manifest = repository.benchmark.manifest
    data = ModelCardData(
        license=repository.license,
        library_name="mixzoo",
        pipeline_tag=TASK,
        tags=_tags(repository),
        datasets=[_dataset(repository)],
        metrics=["accuracy"],
    )
    if index := _model_index(repository):
        data["model-index"] = index
    title = f"# {repository.id.partition('/')[2]}"
    about = (
        f"{len(repository.models)} image classifier{'s' * (len(repository.models) > 1)} of "
        f"{manifest.dataset.num_classes:,} classes, for: {manifest.title}."
    )
    sections = [title, about, *_sections(repository)]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def evaluation_results(repository: Repository) -> list[dict[str, Any]]:
    """The hub's `.eval_results/*.yaml` of a repository with a leaderboard and one measured model."""
    board, evidence = repository.leaderboard, repository.evidence
    return [
        leaderboard_entry(
            line,
            dataset=board.dataset,
            task=board.task,
            created=evidence.created,
            source_url=_report_url(repository),
        )
        for line in (model.headline for model in repository.models)
        if board and evidence and line
    ]


def _model_index(repository: Repository) -> list[dict[str, Any]]:
    """The card's structured results: one entry for each model with a number of its own."""
    return model_index(
        [
            (repository.row_id(model), model.headline)
            for model in repository.models
            if model.headline
        ],
        dataset_type=_dataset(repository),
        dataset_name=repository.benchmark.manifest.dataset.name,
        source_url=_report_url(repository),
    )


def _report_url(repository: Repository) -> str:
    return f"{repository.url}/blob/main/{REPORT}"


def _tags(repository: Repository) -> list[str]:
    rows = [model.row for model in repository.models]
    names = [*(row.method for row in rows), *(row.architecture for row in rows)]
    return list(dict.fromkeys(["mixup", "openmixup", *names]))


def _dataset(repository: Repository) -> str:
    """The data set's id on the hub where it is known, else its name as a plain tag."""
    if repository.leaderboard:
        return repository.leaderboard.dataset
    return slug(repository.benchmark.manifest.dataset.name).replace("_", "-")


def _sections(repository: Repository) -> Iterator[str]:
    yield "## Models\n\n" + "\n".join(_models(repository))
    yield "## Evaluation\n\n" + "\n".join(_evaluation(repository))
    yield "## Provenance\n\n" + "\n".join(_provenance(repository))
    yield "## Use\n\n" + _use(repository)
    yield "## Data set\n\n" + "\n".join(_terms(repository))
    yield "## Cite\n\n" + "\n".join(_papers(repository))


def _models(repository: Repository) -> Iterator[str]:
    yield from _header("Row", "Architecture", "Method", "Alpha", "File", "Bytes")
    for model in repository.models:
        row, file = model.row, model.exported
        alpha = "-" if row.alpha is None else f"{row.alpha:g}"
        yield _line(
            f"`{repository.row_id(model)}`",
            row.architecture,
            row.method,
            alpha,
            f"`{file.path.name}`",
            f"{file.size:,}",
        )


def _evaluation(repository: Repository) -> Iterator[str]:
    evidence = repository.evidence
    if evidence is None:
        yield NOT_EVALUATED
        return
    yield from _header(
        "Row", "Head", "Correct", "Top-1 (%)", "95% interval", "Published", "Gap", "Verdict"
    )
    for model in repository.models:
        for line in model.lines:
            yield _line(repository.row_id(model), *_numbers(line))
    yield ""
    yield (
        f"Recomputed on {evidence.created} by `mixzoo eval`; the whole report is `{REPORT}`. Published: "
        f"the table of {repository.benchmark.name} for the row that a model was made as."
    )
    yield from _reservations(repository, evidence)


def _numbers(line: Line) -> list[str]:
    low, high = line.interval95
    return [
        line.head + (" (inference)" if line.default_head else ""),
        f"{line.correct} / {line.total}",
        f"{line.top1:.3f}",
        f"{low:.2f} to {high:.2f}",
        "-" if line.reported_top1 is None else f"{line.reported_top1:g}",
        "-"
        if line.gap_points is None
        else f"{round(line.gap_points, 3) + 0.0:+.3f}",  # no "-0.000"
        line.verdict,
    ]


def _reservations(repository: Repository, evidence: Evidence) -> Iterator[str]:
    for name, change in evidence.protocol.get("overrides", {}).items():
        yield f"- The protocol was changed by hand: {name} {change}."
    for model in repository.models:
        if model.headline is None:
            reasons = {line.reason for line in model.lines if line.verdict == "not comparable"}
            why = "; ".join(sorted(reasons)) or "other images or pixels than the benchmark's"
            yield f"- `{repository.row_id(model)}`: not the benchmark's own number ({why})."


def _provenance(repository: Repository) -> Iterator[str]:
    for model in repository.models:
        meta = model.exported.metadata
        whose = (
            f"the released file of `{model.row.id}`, as the lock of {repository.benchmark.name} names it"
            if model.candidate.is_released
            else f"the publisher's own file, made as `{model.row.id}`; no lock knows its hash"
        )
        yield f"- `{model.exported.path.name}`: sha256 `{model.exported.sha256}`,"
        yield f"  values as stored in `{_plain(meta['source_file'])}`, sha256 `{meta['source_sha256']}`:"
        yield f"  {whose}."
        if model.log:
            yield f"- `{model.log.path.name}`: its training log, sha256 `{model.log.sha256}`."
    if evidence := repository.evidence:
        yield f"- evaluated pixels: {_in_words(evidence.protocol)}"
        yield f"- evaluated images: {evidence.data.images}, sha256 of the labelled list `{evidence.data.list_sha256}`"
        yield f"- run: {_in_words(evidence.run)}"
        yield f"- versions: {_in_words(evidence.versions)}"


def _use(repository: Repository) -> str:
    model, protocol = repository.models[0], repository.benchmark.manifest.protocol
    return f"""```
hf download {repository.id} {MANIFEST} {LOCK} --local-dir .
mixzoo zoo list --manifest {MANIFEST}
mixzoo zoo download {repository.row_id(model)} --manifest {MANIFEST}
```

```python
import mixzoo

model = mixzoo.load("{model.exported.path.name}")
```

Pixels: shorter side to {protocol.resize} ({protocol.interpolation}), centre crop {protocol.crop}, values in [0, 1],
mean {list(protocol.mean)}, standard deviation {list(protocol.std)}."""


def _terms(repository: Repository) -> Iterator[str]:
    dataset = repository.benchmark.manifest.dataset
    counted = f", {dataset.val.images:,} validation images" if dataset.val.images else ""
    yield f"{dataset.name}: {dataset.num_classes:,} classes{counted}."
    if dataset.terms:
        yield f"Its terms, which also bear on what may be done with weights trained on it: {dataset.terms}"


def _papers(repository: Repository) -> Iterator[str]:
    manifest = repository.benchmark.manifest
    papers = {model.row.method: model.row.paper for model in repository.models}
    papers |= {f"the benchmark ({manifest.name})": manifest.paper}
    papers |= {f"the data set ({manifest.dataset.name})": manifest.dataset.paper}
    for what, paper in papers.items():
        if paper and paper.startswith("arXiv:"):
            yield f"- {what}: [{paper}](https://arxiv.org/abs/{paper.removeprefix('arXiv:')})"
        elif paper:
            yield f"- {what}: {paper}"
    if not any(papers.values()):
        yield "The benchmark's manifest names no paper."


def _header(*columns: str) -> Iterator[str]:
    yield _line(*columns)
    yield _line(*["---"] * len(columns))


def _line(*cells: str) -> str:
    return "| " + " | ".join(_plain(cell, keep="`") for cell in cells) + " |"


def _plain(text: str, keep: str = "") -> str:
    """Text that cannot end the cell, the code span or the line that it stands in."""
    return "".join(c for c in text if c.isprintable() and (c in keep or c not in "|`"))


def _in_words(facts: dict[str, Any]) -> str:
    """`name value` pairs, what is empty left out."""
    pairs = ((name, value) for name, value in facts.items() if value not in ({}, [], "", None))
    return ", ".join(f"{name.replace('_', ' ')} {_plain(str(value))}" for name, value in pairs)
