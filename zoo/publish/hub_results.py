"""Measured lines in the two shapes that the Hugging Face hub reads evaluation results from.

`model-index` stands in a model card's front matter and names any data set; `.eval_results/*.yaml`
files feed the leaderboard of a hub data set that is registered as a benchmark.
"""

from collections.abc import Iterable
from typing import Any

from .evidence import Line

TASK = "image-classification"
SOURCE = "mixzoo eval report"


def model_index(
    entries: Iterable[tuple[str, Line]],
    *,
    dataset_type: str,
    dataset_name: str,
    source_url: str | None = None,
) -> list[dict[str, Any]]:
    """The value of a model card's `model-index`: top-1 and top-5 of each line, in percent.

    entries: model name and line, one a model. dataset_type: the data set's id on the hub, or a
    plain tag. source_url: where the report can be read; without one no source is named.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    index: list[dict[str, Any]] = []
    for name, line in entries:
        results = [
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_type,
                dataset_name=dataset_name,
                dataset_split="validation",
                metric_type="accuracy",
                metric_name=f"{metric} accuracy, percent ({line.head})",
                metric_value=round(value, 4),
                source_name=SOURCE if source_url else None,
                source_url=source_url,
            )
            for metric, value in (("Top-1", line.top1), ("Top-5", line.top5))
        ]
        index += eval_results_to_model_index(name, results)
    return index


def leaderboard_entry(
    line: Line, *, dataset: str, task: str, created: str, source_url: str | None = None
) -> dict[str, Any]:
    """One line as an entry of an `.eval_results/*.yaml` file: its top-1, in percent.

    dataset, task: of the hub's benchmark. created: when it was measured, ISO 8601.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task,
        value=round(line.top1, 4),
        date=created,
        source_url=source_url,
        source_name=SOURCE if source_url else None,
        notes=f"top-1 in percent, {line.correct} of {line.total}, head {line.head}",
    )
    return eval_result_entries_to_yaml([entry])[0]
