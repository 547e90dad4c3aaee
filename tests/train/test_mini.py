"""The released rows of the embedded benchmark: weights, logs and images belong together."""

import json
from pathlib import Path
from typing import Any

import pytest
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.data import Data, find_data
from mixzoo.train.loop import train
from mixzoo.train.rows import recipe_of
from mixzoo.train.run import How
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import InterruptedRunError
from mixzoo.zoo.nets import MixClassifier

from ..mini_rows import AUTOMIX, MANIFEST, log, weights


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The images, drawn afresh."""
    from mixzoo.zoo import mini

    return find_data(MANIFEST, mini.draw(tmp_path_factory.mktemp("mini"), "train", "val"))


def _log(row_id: str) -> list[dict[str, Any]]:
    lines = log(row_id).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_all_ten_methods_have_a_row() -> None:
    """The lines of the published table; neither solved nor hopeless, chance being 2.5%."""
    published = {row.method for row in open_catalog().benchmark("inat2018").manifest.rows}

    assert MANIFEST.rows[0].method == "vanilla"
    assert {row.method for row in MANIFEST.rows} == published
    assert all(30 < row.reported_top1 < 95 for row in MANIFEST.rows)


@pytest.mark.parametrize("row", MANIFEST.rows[:: len(MANIFEST.rows) - 1], ids=lambda row: row.id)
def test_weights_count_the_hits_that_their_log_says(row: Any, data: Data) -> None:
    """Fresh images and the released weights give the log's last validation line to the image: all
    heads of the first and the last row. (The quickstart's test evaluates all rows.)"""
    model = load_file(weights(row.id))

    counts = evaluate(model.logits, Work(data.val, MANIFEST.protocol, workers=0))

    last, prefix = _log(row.id)[-1], "acc_" if isinstance(model, MixClassifier) else ""
    for head, count in counts.items():
        assert last[f"{prefix}{head}_top1"] == round(count.top1, 5)
        assert last[f"{prefix}{head}_top5"] == round(count.top5, 5)
    assert row.reported_top1 == counts[model.heads[0]].top1


@pytest.mark.parametrize("row", MANIFEST.rows, ids=lambda row: row.id)
def test_released_rows_come_from_the_recipe_of_today(row: Any) -> None:
    """Weights and log were made with the recipe that `mixzoo train` uses now, seed 0."""
    text = recipe_of(MANIFEST, row).text()

    assert read_checkpoint(weights(row.id)).meta["config"] == text
    assert _log(row.id)[0]["config"] == text
    assert _log(row.id)[0]["exp_name"] == row.id


def test_retraining_a_row_gives_its_log_again(data: Data, tmp_path: Path) -> None:
    """The first steps of AutoMix, trained anew, write the released log's line.

    Another processor rounds otherwise, and training amplifies it, so numbers are compared with a
    tolerance; where the released rows were trained they are equal.
    """
    row = MANIFEST.row(AUTOMIX)
    recipe = recipe_of(MANIFEST, row)

    with pytest.raises(InterruptedRunError):
        train(recipe, data, tmp_path, row.id, How(stop_at=recipe.log_every))

    lines = (tmp_path / f"{row.id}.log.json").read_text().splitlines()
    mine, theirs = json.loads(lines[1]), _log(row.id)[1]
    assert len(lines) == 2
    for name in theirs.keys() - {"mode", "time", "data_time"}:
        assert mine[name] == pytest.approx(theirs[name], rel=0.02, abs=1), name
