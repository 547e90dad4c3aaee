"""Retrained rows are judged by their seeds, and by nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from mixzoo.eval.judge import ENOUGH, judge, judge_seeds
from mixzoo.eval.predictions import Counts
from mixzoo.eval.seeds import is_retrained, sentences, together
from mixzoo.eval.statistics import student
from mixzoo.zoo.catalog import Benchmark
from mixzoo.zoo.checkpoint.facts import in_words, recipe_text, training_facts
from mixzoo.zoo.manifest import Metric
from mixzoo.zoo.report import Claims, Head, LoggedHead, Row, Weights

from ..mini_rows import ARCHITECTURE, MINI
from ..mini_rows import VANILLA as ROW

PUBLISHED = 70.2
LAST = Metric(statistic="last_epoch", decimals=1)
MEDIAN = Metric(statistic="median_of_last_epochs", epochs=5, decimals=1)
RECIPE = {"method": "vanilla", "epoch": "40 of 40", "lr": "0.1", "software": "mixzoo 0.1.0"}


@pytest.fixture
def mini() -> Benchmark:
    """The embedded benchmark, whose first row had 70.2."""
    first, *others = MINI.manifest.rows
    rows = [msgspec.structs.replace(first, reported_top1=PUBLISHED), *others]
    return replace(MINI, manifest=msgspec.structs.replace(MINI.manifest, rows=rows))


def run(seed: object, correct: int, facts: Mapping[str, str] = {}, **changes: Any) -> Row:
    """A run of mini's row as a report tells of it."""
    head = Head(
        head="head0",
        correct=correct,
        correct5=900,
        total=1000,
        top1=correct / 10,
        top5=90.0,
        interval95=(0, 100),
    )
    content: dict[str, Any] = {
        "id": f"runs/{seed}/{ROW}.pth",
        "weights": Weights(
            file="x.pth", sha256="0" * 64, architecture="r", method="plain", num_classes=40
        ),
        "verdict": "retrained",
        "reason": "",
        "head": "head0",
        "heads": (head,),
        "reported_top1": PUBLISHED,
        "claims": Claims(facts=RECIPE | {"seed": str(seed)} | facts),
        "row": ROW,
    }
    return Row(**(content | changes))


def logged(row: Row, median: float | None, word: str | None = "matches its log") -> Row:
    """The same run with what its log says."""
    said = LoggedHead(epoch=40, top1=row.default.top1, gap_images=0.0, statistic=median)
    heads = (msgspec.structs.replace(row.default, logged=said),)
    return msgspec.structs.replace(row, heads=heads, matches_log=word)


@pytest.mark.parametrize(
    ("draws", "of_mean", "of_next"), [(2, 8.985, 15.562), (3, 2.484, 4.968), (5, 1.242, 3.041)]
)
def test_intervals_are_those_of_the_tables_of_student(
    draws: int, of_mean: float, of_next: float
) -> None:
    """Quantiles 12.706, 4.303 and 2.776 of 1, 2 and 4 degrees of freedom."""
    assert student(draws) == pytest.approx((of_mean, of_next), abs=1e-3)


@pytest.mark.parametrize(
    ("published", "word"),
    [
        (60.8, "within the spread of seeds"),
        (60.7, "outside the spread of seeds"),
        (79.2, "within the spread of seeds"),
        (79.3, "outside the spread of seeds"),
    ],
)
def test_the_boundary_is_students_with_the_roundings(published: float, word: str) -> None:
    """70 +- 4.968 x 1.8330, and half a digit and one image of 1,000: 60.744 to 79.256."""
    deviation = (9.256 - 0.15) / student(3)[1]

    found = judge_seeds(
        {1: 70 - deviation, 2: 70.0, 3: 70 + deviation}, published, LAST, images=1000
    )

    assert found.word == word
    assert found.of_next == pytest.approx((60.894, 79.106))
    assert "3 seeds make a wide interval, 5.0 standard deviations" in found.why


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_one_or_two_seeds_are_too_few_even_where_they_give_the_number(seeds: int) -> None:
    """The word says so, and the reason how many are lacking."""
    found = judge_seeds(dict.fromkeys(range(seeds), 70.2), 70.2, LAST, images=1000)

    assert found.word == "too few seeds"
    assert f"{ENOUGH - seeds} more seed" in found.why
    assert found.of_next is None


def test_many_seeds_are_not_called_few() -> None:
    """From six on the interval isn't called wide."""
    top1 = {seed: 70 + 0.1 * seed for seed in range(6)}

    assert "wide" not in judge_seeds(top1, 70.2, LAST, images=1000).why


@pytest.mark.parametrize("correct", [702, 700, 300])
def test_a_retrained_checkpoint_gets_no_other_word(correct: int) -> None:
    """Not even where its count is the published one."""
    verdict = judge({"head0": Counts(correct, 900, 1000)}, 70.2, LAST, retrained=True)

    assert verdict.word == "retrained"


@pytest.mark.parametrize(
    ("facts", "sha256", "own"),
    [
        (RECIPE | {"seed": "1"}, "0" * 64, True),
        (RECIPE | {"seed": "1"}, "", False),  # the released file itself
        (RECIPE | {"seed": "0"}, "0" * 64, False),  # the released run, in another file
        (RECIPE, "0" * 64, False),  # nothing says the seed
        ({"seed": "1", "software": "openmixup 0.2.9, mmcv 1.4.7"}, "0" * 64, False),
        ({}, "0" * 64, False),
    ],
)
def test_what_a_retrained_checkpoint_is(
    mini: Benchmark, facts: dict[str, str], sha256: str, own: bool
) -> None:
    """Written by mixzoo's trainer, and not the file that the table's number is of."""
    asset = mini.asset(ROW)
    assert asset is not None

    found = is_retrained(facts, sha256 or str(asset.sha256), mini, mini.manifest.rows[0])

    assert found is own


def test_runs_of_one_recipe_are_judged_together(mini: Benchmark) -> None:
    """Three seeds of the row's recipe, with the command that trains a fourth."""
    (found,) = together([run(2, 712), run(1, 698), run(4, 690)], mini)

    assert found.verdict == "within the spread of seeds"
    assert (found.seeds, found.top1) == ((1, 2, 4), (69.8, 71.2, 69.0))
    assert found.runs[0] == f"runs/1/{ROW}.pth"
    assert found.mean == pytest.approx(70.0)
    assert found.next_command == f"mixzoo train {ROW} --set seed=3 --out runs/{ROW}-seed3"
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (run(2, 700), "its seed is 2, as that of runs/2/"),
        (run(5, 712), f"it gives the very predictions of runs/2/{ROW}.pth"),
        (run(5, 700, {"epoch": "39 of 40"}), "it was written after epoch 39 of 40"),
        (run(5, 700, {"lr": "0.2"}), "another recipe: lr 0.2, not 0.1"),
        (run(5, 700, {"momentum": "0.8"}), "another recipe: momentum 0.8, not unsaid"),
        (run("x", 700), "its seed can't be read"),
        (run("9" * 5000, 700), "its seed can't be read"),
        (run(5, 700, not_comparable="999 images"), "999 images"),
    ],
)
def test_a_run_that_is_no_draw_of_its_own_does_not_count(
    mini: Benchmark, odd: Row, why: str
) -> None:
    """It is named with the reason, and the others are judged without it."""
    runs = [run(1, 698), run(2, 712), run(3, 690)]

    (found,) = together([*runs, odd], mini)

    assert found.seeds == (1, 2, 3)
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith(f"{odd.id} doesn't count: {why}")


def test_another_recipe_than_the_rows_is_not_comparable(mini: Benchmark) -> None:
    """By the trainer's own note; the command for the next seed keeps the change."""
    changed = {"changed from the row's recipe": "epochs=2 lr=0.2"}
    runs = [run(seed, 690 + 5 * seed, changed) for seed in (1, 2, 3)]

    (found,) = together(runs, mini)

    assert found.verdict == "not comparable"
    assert f"another recipe than {ROW}'s: epochs=2 lr=0.2" in found.reason
    assert "--set seed=4 --set epochs=2 --set lr=0.2 --out" in found.next_command
    assert found.next_interval95 is not None


def test_the_benchmarks_recipe_contradicted_is_not_comparable(mini: Benchmark) -> None:
    """For checkpoints of a trainer that noted no change."""
    claims = Claims(facts=RECIPE | {"seed": "1"}, disagreements=("epochs: 40, says 2.",))

    (found,) = together([run(1, 700, claims=claims)], mini)

    assert found.verdict == "not comparable"
    assert "epochs: 40, says 2" in found.reason


def test_a_median_is_taken_from_the_log_that_the_file_matches(mini: Benchmark) -> None:
    """A run whose log isn't there, or is another's, doesn't count."""
    manifest = msgspec.structs.replace(mini.manifest, metric=MEDIAN)
    runs = [
        logged(run(1, 698), 69.0),
        logged(run(2, 712), 70.1),
        logged(run(3, 690), 71.2),
        logged(run(4, 600), 60.0, "doesn't match its log"),
        logged(run(5, 601), None),
        run(6, 602),
    ]

    (found,) = together(runs, replace(mini, manifest=manifest))

    assert found.top1 == (69.0, 70.1, 71.2)
    assert len(found.left_out) == 3
    assert all("median over the last epochs" in text for text in found.left_out)


def test_nothing_counts(mini: Benchmark) -> None:
    """Then that is said, not an average of nothing."""
    (found,) = together([run("x", 700)], mini)

    assert (found.verdict, found.mean, found.seeds) == ("too few seeds", None, ())
    assert any("3 more seeds" in text for text in sentences(found))


def test_rows_that_were_not_retrained_are_not_judged_so(mini: Benchmark) -> None:
    """Neither are files without a row."""
    assert together([run(1, 700, row=None)], mini) == ()
    assert together([run(1, 700)], None) == ()


def test_run_of_a_row_without_a_file_is_its_own(mini: Benchmark) -> None:
    """Nothing is published that it could be."""
    row = msgspec.structs.replace(mini.manifest.rows[0], id=ROW.replace("_mini", "_none"))

    assert is_retrained(RECIPE | {"seed": "1"}, "0" * 64, mini, row)


@pytest.mark.parametrize(("source", "own"), [("published", False), ("another", True)])
def test_export_is_what_it_was_made_of(mini: Benchmark, source: str, own: bool) -> None:
    """A header tells seed and source: of the row's own file it is the published draw."""
    asset = mini.asset(ROW)
    assert asset is not None
    meta = {
        "config": recipe_text(ARCHITECTURE, {"mix_mode": ["vanilla"], "seed": 1}),
        "mixzoo_version": "0.2.0",
        "source_sha256": str(asset.sha256) if source == "published" else "1" * 64,
    }

    facts = in_words(training_facts(meta))

    assert facts["seed"] == "1"
    assert is_retrained(facts, "0" * 64, mini, mini.manifest.rows[0]) is own
