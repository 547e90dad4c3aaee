"""The released rows of the embedded benchmark: weights, logs and images belong together."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.mini import ALPHAS, PROTOCOL, recipe
from mixzoo.zoo import mini
from mixzoo.zoo.checkpoint import read_checkpoint
from mixzoo.zoo.data import from_annotations
from mixzoo.zoo.load import load_file

ASSETS = Path(str(files("mixzoo.zoo.mini"))) / "assets"
ROWS = [f"resnet18_w6.{method}_mini" for method in ALPHAS]


def _log(row: str) -> list[dict[str, Any]]:
    lines = (ASSETS / f"{row}.log.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("row", ROWS)
def test_weights_count_the_hits_that_their_log_says(row: str, tmp_path: Path) -> None:
    """Fresh images and the released weights give the log's last validation line to the image."""
    root = mini.draw(tmp_path, "val")
    images = from_annotations(root, root / "val2018.json")
    model = load_file(ASSETS / f"{row}.pth")

    counts = evaluate(model.logits, images, PROTOCOL, workers=0)["head0"]

    last = _log(row)[-1]
    assert (counts.top1, counts.top5) == (last["head0_top1"], last["head0_top5"])


@pytest.mark.parametrize("method", ALPHAS)
def test_released_rows_come_from_the_recipe_of_this_module(method: str) -> None:
    """Weights and log were made with the recipe that the command uses now, seed 0."""
    row, text = f"resnet18_w6.{method}_mini", recipe(method, seed=0).text()

    assert read_checkpoint(ASSETS / f"{row}.pth").meta["config"] == text
    assert _log(row)[0]["config"] == text
    assert _log(row)[0]["exp_name"] == row


@pytest.mark.parametrize("row", ROWS)
def test_accuracies_leave_room_to_be_wrong(row: str) -> None:
    """The benchmark is neither solved nor hopeless for its networks, over all last epochs."""
    accuracies = [line["head0_top1"] for line in _log(row)[1:] if line["mode"] == "val"]

    assert len(accuracies) == recipe("vanilla", seed=0).epochs
    assert all(55 < top1 < 90 for top1 in accuracies[-5:])
