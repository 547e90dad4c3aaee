"""Measured rows in the two shapes that the Hugging Face hub reads evaluation results from.

`model-index` stands in a model card's front matter and names any data set; `.eval_results/*.yaml`
files feed the leaderboard of a hub data set that is registered as a benchmark.
"""

from collections.abc import Iterable
from typing import Any

from ..report import Head

TASK = "image-classification"
SOURCE = "mixzoo eval report"


def model_index(
    entries: Iterable[tuple[str, Head]],
    *,
    dataset_type: str,
    dataset_name: str,
    source_url: str | None = None,
) -> list[dict[str, Any]]:
    """The value of a model card's `model-index`: top-1 and top-5 of each head, in percent.

    entries: model name and its row in a report. dataset_type: the data set's id on the hub, or a
    plain tag. source_url: where the report can be read; without one no source is named.
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


def leaderboard_entry(
    head: Head, *, dataset: str, task: str, created: str, source_url: str | None = None
) -> dict[str, Any]:
    """One head as an entry of an `.eval_results/*.yaml` file: its top-1, in percent.

    dataset, task: of the hub's benchmark. created: when it was measured, ISO 8601.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task,
        value=round(head.top1, 4),
        date=created,
        source_url=source_url,
        source_name=SOURCE if source_url else None,
        notes=f"top-1 in percent, {head.correct} of {head.total}, head {head.head}",
    )
    return eval_result_entries_to_yaml([entry])[0]
