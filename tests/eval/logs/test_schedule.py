"""Epochs, learning rates, iterations and times that fit one run, and those that don't."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.eval.logs.reading import TrainingLog, read_log
from mixzoo.eval.logs.schedule import cosine, find_horizon, schedule_remarks

from .conftest import as_json

Write = Callable[..., Path]
TRAIN = 437_513


def remarks_on(
    log: TrainingLog,
    epochs: int | None = None,
    images: int | None = TRAIN,
    val_images: int | None = 24_426,
) -> list[str]:
    """What the schedule's checks say of a log."""
    return schedule_remarks(log, find_horizon(log, epochs), images, val_images)


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


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_honest_run_has_no_remarks(write_log: Write, name: str) -> None:
    """100 epochs of 1,710 iterations."""
    log = read_log([write_log(name)])

    assert find_horizon(log, None).epochs == 100
    assert remarks_on(log) == []


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_learning_rates_tell_the_whole_run(write_log: Write, name: str) -> None:
    """A log cut at epoch 80 still shows that 100 were planned."""
    log = read_log([write_log(name, epochs=range(1, 81))])

    assert find_horizon(log, None).epochs == 100
    assert remarks_on(log) == ["ends with epoch 80 of 100"]


def test_caller_knows_best(write_log: Write) -> None:
    """A number of epochs that is given isn't guessed."""
    log = read_log([write_log(epochs=range(1, 81))])

    assert find_horizon(log, 90).epochs == 90


def test_no_cosine_leaves_the_last_epoch(tmp_path: Path, write_log: Write) -> None:
    """With constant learning rates the last line is all there is to go by."""
    path = write_log(epochs=range(1, 21), horizon=20)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(x | {"lr": 0.1} if "lr" in x else x) + "\n" for x in lines))
    log = read_log([path])

    assert find_horizon(log, None).epochs == 20
    assert remarks_on(log) == [
        "learning rate off the recipe's cosine over 20 epochs in 19 of 20 epochs, "
        "first in epoch 2: 0.1"
    ]


def test_one_learning_rate_that_is_off(write_log: Write) -> None:
    """One epoch taken from another run."""
    path = write_log()
    path.write_text(
        path.read_text()
        .replace('"lr": 0.05,', '"lr": 0.0487,')
        .replace('"lr": 0.05}', '"lr": 0.0487}')
    )

    found = remarks_on(read_log([path]), epochs=100)

    assert found == [
        "learning rate off the recipe's cosine over 100 epochs in 1 of 100 epochs, first in epoch "
        "51: 0.0487"
    ]


def test_validation_with_another_learning_rate(write_log: Write) -> None:
    """A validation line moved from one epoch to another keeps its learning rate."""
    path = write_log()
    lines = path.read_text().splitlines()
    moved = [x.replace('"lr": 0.05,', '"lr": 0.04,') if '"val"' in x else x for x in lines]
    path.write_text("\n".join(moved) + "\n")

    found = remarks_on(read_log([path]), epochs=100)

    assert found == ["validation names another learning rate than training does: epoch 51"]


@pytest.mark.parametrize(
    ("epochs", "remark"),
    [
        (range(90, 101), "begins with the validation of epoch 90"),
        (
            [e for e in range(1, 101) if e not in (40, 41, 70)],
            "no validation of epochs 40 to 41, 70",
        ),
    ],
)
def test_missing_epochs_are_named(write_log: Write, epochs: list[int], remark: str) -> None:
    """Validations that aren't there can't be told from ones that were taken out."""
    assert remarks_on(read_log([write_log(epochs=epochs)])) == [remark]


def test_more_epochs_than_planned(write_log: Write) -> None:
    """A run that was extended has a schedule of its own."""
    log = read_log([write_log()])

    assert "goes on to epoch 100, beyond 90" in remarks_on(log, epochs=90)


def test_validation_without_training(write_log: Write) -> None:
    """A validation line whose epoch has no training lines."""
    path = write_log(epochs=range(1, 101))
    lines = path.read_text().splitlines()
    kept = [x for x in lines if not ('"train"' in x and '"epoch": 77' in x)]
    path.write_text("\n".join(kept) + "\n")

    assert remarks_on(read_log([path])) == ["validated without any training line: epoch 77"]


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_iterations_of_another_data_set(write_log: Write, name: str) -> None:
    """1,710 iterations are 437,513 images in batches of 256, and not 579,184."""
    log = read_log([write_log(name)])

    assert remarks_on(log) == []
    assert remarks_on(log, images=None) == []
    (remark,) = remarks_on(log, images=579_184)
    assert "579,184 training images in batches of 256 (recipe) are 2,263" in remark


def test_number_of_batches_that_changes(write_log: Write) -> None:
    """A run resumed on other machines, or a log put together from two."""
    first = write_log("a.log.json", epochs=range(1, 61), batches=48)
    second = write_log("b.log.json", epochs=range(61, 101), batches=24)

    assert remarks_on(read_log([first, second])) == [
        "the number of validation batches changes: 48 in epochs 1 to 60; 24 in epochs 61 to 100"
    ]


def test_jump_is_remarked_on(write_log: Write) -> None:
    """Two late epochs from a better run stand out."""
    path = write_log(change={(95, "head0_top1"): 67.5, (96, "head0_top1"): 67.6})

    found = remarks_on(read_log([path]))

    assert len(found) == 1
    assert "head0: top-1 jumps by" in found[0]
    assert "at epoch 95" in found[0] or "at epoch 97" in found[0]


@pytest.mark.parametrize(
    ("usual", "jump", "is_odd"),
    [(0.2, 1.59, False), (0.2, 1.61, True), (0.05, 0.99, False), (0.05, 1.01, True)],
)
def test_a_jump_is_a_point_and_eight_usual_steps(
    tmp_path: Path, usual: float, jump: float, is_odd: bool
) -> None:
    """Where epochs usually differ by 0.2 points, 1.6 are odd; below one point nothing is."""
    values = [60 + usual * (epoch % 2) for epoch in range(39)] + [60 + jump]
    values[38] = 60
    path = tmp_path / "run.log.json"
    lines = [
        {"mode": "val", "epoch": epoch, "iter": 1, "head0_top1": round(value, 5)}
        for epoch, value in enumerate(values, 1)
    ]
    path.write_text(as_json(lines))

    found = [r for r in remarks_on(read_log([path]), val_images=None) if "jumps" in r]

    assert bool(found) == is_odd


@pytest.mark.parametrize("row", ["vanilla", "mixup", "cutmix", "automix", "samix"])
def test_own_logs_have_no_remarks(row: str) -> None:
    """The embedded benchmark's runs: 1,677 images in batches of 64."""
    from mixzoo.zoo.mini import __file__ as mini

    log = read_log([Path(mini).parent / "assets" / f"resnet18_w6.{row}_mini.log.json"])

    assert remarks_on(log, images=1677, val_images=1000) == []
