"""Epochs, learning rates and iterations that fit one run, and those that don't."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixzoo.eval.logs import Claim
from mixzoo.eval.logs.reading import TrainingLog, read_log
from mixzoo.eval.logs.schedule import cosine, find_horizon, schedule_remarks

from ...mini_rows import AUTOMIX, CUTMIX, IMAGES, MIXUP, SAMIX, TRAINED_ON, VANILLA
from ...mini_rows import log as log_file
from .conftest import as_json, run_lines

Write = Callable[..., Path]
Lines = list[dict[str, Any]]
TRAIN = 437_513


def remarks_on(
    log: TrainingLog,
    epochs: int | None = None,
    images: int | None = TRAIN,
    val_images: int | None = 24_426,
) -> list[str]:
    """What the schedule's checks say of a log."""
    claim = Claim(row="a.b_c", train_images=images, images=val_images)
    return schedule_remarks(log, find_horizon(log, epochs), claim)


def test_cosine_is_the_recorded_one(golden: Path) -> None:
    """Every learning rate of the reference's hooks, over 100 and 10 epochs."""
    recorded = json.loads((golden / "schedules.json").read_text())

    for run in recorded.values():
        for row in run["table"]:
            got = cosine(row["epoch"] + 1, run["max_epochs"], run["lr"], run["min_lr"])
            assert got == pytest.approx(row["lr"], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("run", ["tiny_cutmix_ep8", "tiny_automix_ep8"])
@pytest.mark.parametrize("pattern", ["*.log.json", "train_*.log"])
def test_genuine_log_has_no_remarks(golden: Path, run: str, pattern: str) -> None:
    """80 iterations of 48 images, a cosine over 8 epochs, to the digits of both formats."""
    log = read_log([next((golden / "runs" / run).glob(pattern))])

    assert find_horizon(log, None).epochs == 8
    assert remarks_on(log, images=480) == []


@pytest.mark.parametrize("row", [VANILLA, MIXUP, CUTMIX, AUTOMIX, SAMIX])
def test_own_logs_have_no_remarks(row: str) -> None:
    """The embedded benchmark's runs."""
    log = read_log([log_file(row)])

    assert remarks_on(log, images=TRAINED_ON, val_images=IMAGES) == []


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
@pytest.mark.parametrize(
    ("last", "remarks"), [(100, []), (80, ["ends with epoch 80 of 100"])], ids=["whole", "cut"]
)
def test_learning_rates_tell_the_whole_run(
    write_log: Write, name: str, last: int, remarks: list[str]
) -> None:
    """100 epochs of 1,710 iterations; a log cut at epoch 80 still shows that 100 were planned."""
    log = read_log([write_log(name, epochs=range(1, last + 1))])

    assert find_horizon(log, None).epochs == 100
    assert find_horizon(log, 90).epochs == 90  # the caller knows best
    assert remarks_on(log) == remarks


def other_rate(line: dict[str, Any], mode: str, lr: float) -> dict[str, Any]:
    """Epoch 51's lines of a mode with another learning rate than 0.05."""
    is_it = line.get("epoch") == 51 and line.get("mode") in mode
    return line | {"lr": lr} if is_it else line


CHANGES: dict[str, tuple[Callable[[Lines], Lines], int | None, str]] = {
    "begins late": (
        lambda all_: [x for x in all_ if x.get("epoch", 99) >= 90],
        None,
        "begins with the validation of epoch 90",
    ),
    "validations missing": (
        lambda all_: [x for x in all_ if x.get("epoch") not in (40, 41, 70)],
        None,
        "no validation of epochs 40 to 41, 70",
    ),
    "validated without training": (
        lambda all_: [x for x in all_ if (x.get("epoch"), x.get("mode")) != (77, "train")],
        None,
        "validated without any training line: epoch 77",
    ),
    "one learning rate off": (
        lambda all_: [other_rate(x, "train, val", 0.0487) for x in all_],
        100,
        "learning rate off the recipe's cosine over 100 epochs in 1 of 100 epochs, first in epoch "
        "51: 0.0487",
    ),
    "another rate in validation": (
        lambda all_: [other_rate(x, "val", 0.04) for x in all_],
        100,
        "validation names another learning rate than training does: epoch 51",
    ),
    "no cosine": (
        lambda all_: [x | {"lr": 0.1} if "lr" in x else x for x in all_],
        None,
        "learning rate off the recipe's cosine over 100 epochs in 99 of 100 epochs, first in epoch "
        "2: 0.1",
    ),
    "other batches": (
        lambda all_: [
            x | {"iter": 24} if x.get("mode") == "val" and x["epoch"] > 60 else x for x in all_
        ],
        None,
        "the number of validation batches changes: 48 in epochs 1 to 60; 24 in epochs 61 to 100",
    ),
}


@pytest.mark.parametrize(("change", "epochs", "remark"), CHANGES.values(), ids=CHANGES)
def test_what_does_not_fit_is_remarked_on(
    tmp_path: Path, change: Callable[[Lines], Lines], epochs: int | None, remark: str
) -> None:
    """Lines taken out, moved, or from another run."""
    path = tmp_path / "run.log.json"
    path.write_text(as_json(change(run_lines())))

    assert remarks_on(read_log([path]), epochs) == [remark]


def test_more_epochs_than_planned(write_log: Write) -> None:
    """A run that was extended has a schedule of its own."""
    assert "goes on to epoch 100, beyond 90" in remarks_on(read_log([write_log()]), epochs=90)


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_iterations_of_another_data_set(write_log: Write, name: str) -> None:
    """1,710 iterations are 437,513 images in batches of 256, and not 579,184."""
    log = read_log([write_log(name)])

    assert remarks_on(log, images=None) == []
    (remark,) = remarks_on(log, images=579_184)
    assert "579,184 training images in batches of 256 (recipe) are 2,263" in remark


@pytest.mark.parametrize(
    ("usual", "jump", "is_odd"),
    [(0.2, 1.59, False), (0.2, 1.61, True), (0.05, 0.99, False), (0.05, 1.01, True)],
)
def test_a_jump_is_a_point_and_eight_usual_steps(
    tmp_path: Path, usual: float, jump: float, is_odd: bool
) -> None:
    """Where epochs usually differ by 0.2 points, 1.6 are odd; below one point nothing is."""
    values = [60 + usual * (epoch % 2) for epoch in range(38)] + [60, 60 + jump]
    path = tmp_path / "run.log.json"
    lines = [
        {"mode": "val", "epoch": epoch, "iter": 1, "head0_top1": round(value, 5)}
        for epoch, value in enumerate(values, 1)
    ]
    path.write_text(as_json(lines))

    found = remarks_on(read_log([path]), val_images=None)

    assert found == [
        f"head0: top-1 jumps by +{jump} points at epoch 40 (usually {usual:.2f} there), as by "
        "another file, validation set or learning rate"
    ] * int(is_odd)


def test_a_jump_within_chance_is_none(write_log: Write) -> None:
    """Two late epochs from a better run stand out, but not on a few hundred images."""
    change = {(95, "head0_top1"): 67.5, (96, "head0_top1"): 67.6}
    log = read_log([write_log(change=change)])

    assert "head0: top-1 jumps by" in remarks_on(log)[0]
    assert remarks_on(log, val_images=300) == []


@pytest.mark.parametrize(
    ("epochs", "remark"),
    [
        (range(10, 101, 10), ["validated every 10 epochs, from epoch 10"]),
        (range(101), []),  # one before the training
    ],
)
def test_when_a_run_was_validated(tmp_path: Path, epochs: range, remark: list[str]) -> None:
    """Every ten epochs, or before the first one: how it was asked for, and no fault."""
    path = tmp_path / "run.log.json"
    lines = [
        x for x in run_lines(epochs=range(101)) if x.get("mode") != "val" or x["epoch"] in epochs
    ]
    path.write_text(as_json([x for x in lines if (x.get("mode"), x.get("epoch")) != ("train", 0)]))

    assert remarks_on(read_log([path])) == remark
