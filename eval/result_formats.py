"""Writes a report's numbers as other tools read them: timm's results CSV, Hugging Face's YAML.

Input is the report's plain data (`Report.to_dict()`, or a stored `report.json`), so that a stored
report can be written again without evaluating.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..zoo.errors import MixzooError
from ..zoo.manifest import convert
from ..zoo.publish.evidence import Evidence, Line
from ..zoo.publish.hub_results import leaderboard_entry, model_index
from .verdict import NOT_COMPARABLE

# The columns of timm's results-*.csv, in its order, as its validate.py writes them; then ours.
# Readers of timm's files take columns by name, so more at the end don't disturb them.
TIMM_COLUMNS = (
    "model",
    "top1",
    "top1_err",
    "top5",
    "top5_err",
    "param_count",
    "img_size",
    "crop_pct",
    "interpolation",
)
OWN_COLUMNS = ("head", "correct", "correct5", "total", "reported_top1", "verdict", "sha256")


def to_csv(report: Mapping[str, Any]) -> str:
    """Results as timm keeps them, best first.

    top1, top5 and the errors are percent with four digits; param_count is in millions, of the
    network that infers (one backbone and one head); crop_pct is the crop over the resized side.
    Further heads of a checkpoint are rows of their own, named `id:head`.
    Raises ManifestError if `report` isn't a report's data.
    """
    evidence = read(report)
    out = io.StringIO()
    columns: list[str] = [*TIMM_COLUMNS, *OWN_COLUMNS]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    parameters = {_key(row): _parameters(row) for row in report["rows"]}
    for line in sorted(evidence.rows, key=lambda line: -line.top1):
        millions = parameters[line.weights.sha256, line.id]
        writer.writerow(_csv_row(line, evidence.protocol, millions))
    return out.getvalue()


def to_yaml(
    report: Mapping[str, Any],
    *,
    dataset_name: str | None = None,
    leaderboard: tuple[str, str] | None = None,
) -> str:
    """Results for the Hugging Face hub: of each checkpoint, the head that inference uses.

    Without `leaderboard`, a `model-index` for a model card's front matter. dataset_name: of the
    images; None takes the benchmark's name. leaderboard: a hub data set that is registered as a
    benchmark and its task; the text is then that of an `.eval_results/*.yaml` file.
    Numbers on other images or other pixels than the benchmark's are left out; a comment says so.
    Raises ManifestError if `report` isn't a report's data.
    """
    from huggingface_hub.utils import yaml_dump

    evidence = read(report)
    lines = [line for line in evidence.rows if line.default_head]
    kept = [line for line in lines if _is_the_benchmarks(line, evidence)]
    if leaderboard:
        dataset, task = leaderboard
        content: Any = [
            leaderboard_entry(line, dataset=dataset, task=task, created=evidence.created)
            for line in kept
        ]
    else:
        name = dataset_name or evidence.benchmark or "unknown"
        tag = (evidence.benchmark or name).lower().replace(" ", "-")
        entries = [(line.id, line) for line in kept]
        content = {"model-index": model_index(entries, dataset_type=tag, dataset_name=name)}
    return "".join(_left_out(lines, kept)) + yaml_dump(content)


def read(report: Mapping[str, Any]) -> Evidence:
    """A report's data, checked. Raises ManifestError naming the field, expected and got."""
    return convert(dict(report), Evidence, "report")


def _csv_row(line: Line, protocol: Mapping[str, Any], millions: float | None) -> dict[str, Any]:
    crop, resize = protocol.get("crop"), protocol.get("resize")
    return {
        "model": line.id if line.default_head else f"{line.id}:{line.head}",
        "top1": f"{line.top1:.4f}",
        "top1_err": f"{100 - line.top1:.4f}",
        "top5": f"{line.top5:.4f}",
        "top5_err": f"{100 - line.top5:.4f}",
        "param_count": "" if millions is None else f"{millions:.2f}",
        "img_size": crop,
        "crop_pct": f"{crop / resize:.3f}" if crop and resize else "",
        "interpolation": protocol.get("interpolation"),
        "head": line.head,
        "correct": line.correct,
        "correct5": line.correct5,
        "total": line.total,
        "reported_top1": "" if line.reported_top1 is None else line.reported_top1,
        "verdict": line.verdict,
        "sha256": line.weights.sha256,
    }


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["weights"]["sha256"], row["id"]


def _parameters(row: Mapping[str, Any]) -> float | None:
    """Millions of parameters of a row's network, None if it isn't one of this package's."""
    weights = row["weights"]
    name, classes = weights.get("architecture"), weights.get("num_classes")
    if not isinstance(name, str) or type(classes) is not int:
        return None
    return _millions(name, classes)


@cache
def _millions(architecture: str, num_classes: int) -> float | None:
    import torch

    from ..zoo.nets import Classifier, ResNetConfig

    try:
        with torch.device("meta"):
            model = Classifier(ResNetConfig.from_name(architecture), num_classes)
    except MixzooError:
        return None
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def _is_the_benchmarks(line: Line, evidence: Evidence) -> bool:
    """Whether a number is what its name says: the benchmark's own images and pixels."""
    return line.verdict != NOT_COMPARABLE and not evidence.protocol.get("overrides")


def _left_out(lines: list[Line], kept: list[Line]) -> Iterator[str]:
    for line in lines:
        if line not in kept:
            name = "".join(c if c.isprintable() else " " for c in line.id)
            yield f"# left out: {name}: other images or pixels than the benchmark's\n"
