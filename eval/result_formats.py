"""Writes a report's numbers as other tools read them: timm's results CSV, Hugging Face's YAML."""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from ..zoo.errors import MixzooError
from ..zoo.looks import csv_cell, printable
from ..zoo.publish.repository import model_index
from ..zoo.report import Head, Pixels, Report, Row, Weights

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


def to_csv(report: Report) -> str:
    """Results as timm keeps them, best first.

    top1, top5 and the errors are percent with four digits; param_count is in millions, of the
    network that infers (one backbone and one head); crop_pct is the crop over the resized side.
    Further heads of a checkpoint are lines of their own, named `id:head`; the verdict is the row's,
    and stands at the head that carries it.
    """
    out = io.StringIO()
    columns: list[str] = [*TIMM_COLUMNS, *OWN_COLUMNS]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    lines = [(row, head) for row in report.rows for head in row.heads]
    for row, head in sorted(lines, key=lambda line: -line[1].top1):
        line = _csv_line(row, head, report.protocol)
        writer.writerow({name: csv_cell(value) for name, value in line.items()})
    return out.getvalue()


def to_yaml(report: Report, *, dataset_name: str | None = None) -> str:
    """A `model-index` for the front matter of a Hugging Face model card.

    Of each checkpoint, the head that carries its verdict. dataset_name: of the images; None takes
    the benchmark's name. Numbers that aren't the benchmark's own are left out; a comment says so.
    """
    from huggingface_hub.utils import yaml_dump

    kept = [(row.id, row.judged) for row in report.rows if row.not_comparable is None]
    name = dataset_name or report.benchmark or "unknown"
    tag = (report.benchmark or name).lower().replace(" ", "-")
    content = {"model-index": model_index(kept, dataset_type=tag, dataset_name=name)}
    return "".join(_left_out(report.rows)) + yaml_dump(content)


def _csv_line(row: Row, head: Head, pixels: Pixels) -> dict[str, Any]:
    millions = _millions(row.weights)
    return {
        "model": row.id if head is row.default else f"{row.id}:{head.head}",
        "top1": f"{head.top1:.4f}",
        "top1_err": f"{100 - head.top1:.4f}",
        "top5": f"{head.top5:.4f}",
        "top5_err": f"{100 - head.top5:.4f}",
        "param_count": "" if millions is None else f"{millions:.2f}",
        "img_size": pixels.crop,
        "crop_pct": f"{pixels.crop / pixels.resize:.3f}",
        "interpolation": pixels.interpolation,
        "head": head.head,
        "correct": head.correct,
        "correct5": head.correct5,
        "total": head.total,
        "reported_top1": "" if row.reported_top1 is None else row.reported_top1,
        "verdict": row.verdict if head is row.judged else "",
        "sha256": row.weights.sha256,
    }


@cache
def _millions(weights: Weights) -> float | None:
    """Millions of parameters of the network, None if it isn't one of this package's."""
    import torch

    from ..zoo.nets import make

    try:
        with torch.device("meta"):
            model = make(weights.architecture, weights.num_classes)
    except MixzooError:
        return None
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def _left_out(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.not_comparable:
            yield f"# left out: {printable(row.id)}: {row.not_comparable}\n"
