"""The k/N test: honest logs pass; padded, edited and invented ones don't."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval.logs.arithmetic import (
    EDITED,
    IMPOSSIBLE,
    OTHER_IMAGES,
    SILENT,
    WHOLE,
    CountTest,
    audit_arithmetic,
    chance,
    fits,
    padding,
)
from mixzoo.eval.logs.lines import Validation
from mixzoo.eval.logs.reading import Settings, TrainingLog, read_log

Write = Callable[..., Path]
LOGS = 10_000
SIZES = (300, 1000, 3003, 18_300, 24_426)  # images of a tiny, the drawn, an odd and real splits
EDIT = {(98, "head0_top1"): 64.73}


def _written(correct: np.ndarray, images: np.ndarray, decimals: int, how: str) -> np.ndarray:
    """Accuracies as a writer of this precision computes and rounds them."""
    if how == "double":
        exact = correct * 100.0 / images
    elif how == "single":
        exact = correct.astype(np.float32) * (np.float32(100) / images.astype(np.float32))
    else:  # the ratio in single precision, then percent
        exact = correct.astype(np.float32) / images.astype(np.float32) * np.float32(100)
    return np.vectorize(lambda value: round(value, decimals), otypes=[float])(exact.astype(float))


@pytest.mark.parametrize("decimals", [5, 4])
@pytest.mark.parametrize("how", ["double", "single", "single ratio"])
def test_ten_thousand_honest_logs_pass(how: str, decimals: int) -> None:
    """No value of 10,000 logs with ten last epochs each is flagged, whatever wrote them."""
    random = np.random.default_rng(0)
    images = random.choice(SIZES, (LOGS, 1))
    correct = random.integers(0, images + 1, (LOGS, 10))

    assert fits(_written(correct, images, decimals, how), images, decimals).all()


def _audited(values: np.ndarray, decimals: int, expected: int | None) -> CountTest:
    """What is said of a log of these accuracies. values: (epochs, 2) float64, top-1 and top-5."""
    lines = tuple(
        Validation(e, 48, {f"head0_top{k}": Decimal(repr(float(v))) for k, v in pair}, e)
        for e, pair in enumerate((zip((1, 5), two, strict=True) for two in values), 1)
    )
    log = TrainingLog("made", (), "json", decimals, 1, lines, (), (), Settings(), ())
    return audit_arithmetic(log, expected)


def test_two_thousand_honest_logs_are_whole() -> None:
    """The same through the audit of a log, both formats, five epochs with top-1 and top-5."""
    random = np.random.default_rng(3)

    for number in range(2000):
        images, decimals = int(random.choice(SIZES)), 5 - number % 2
        correct = np.sort(random.integers(0, images + 1, (5, 2)))
        values = (correct * 100 / images).round(decimals)
        assert _audited(values, decimals, images).word == WHOLE


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60_000), st.data())
def test_any_honest_value_fits(images: int, data: st.DataObject) -> None:
    """For any number of images and of right answers."""
    correct = data.draw(st.integers(0, images))

    assert fits(np.array([round(correct * 100.0 / images, 5)]), images, 5).all()


@pytest.mark.parametrize("images", SIZES)
@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_honest_logs_pass_the_whole_audit(write_log: Write, name: str, images: int) -> None:
    """From files in both formats, for each number of images, known and unknown."""
    log = read_log([write_log(name, images=images, epochs=range(60, 101))])

    for expected in (images, None):
        found = audit_arithmetic(log, expected)
        assert (found.word, found.images, found.misfits) == (WHOLE, images, ())


@pytest.mark.parametrize("run", ["tiny_cutmix_ep8", "tiny_automix_ep8"])
@pytest.mark.parametrize("pattern", ["*.log.json", "train_*.log"])
def test_genuine_logs_name_their_images(golden: Path, run: str, pattern: str) -> None:
    """The reference validated on 300 images, which its logs alone tell; its writer is exact."""
    log = read_log([next((golden / "runs" / run).glob(pattern))])
    values = np.array([float(v) for line in log.validations for v in line.accuracies.values()])

    found = audit_arithmetic(log, None)

    assert (found.word, found.images) == (WHOLE, 300)
    assert np.abs(values - np.rint(values * 3) / 3).max() <= 0.5 * 10**-log.decimals + 1e-12


_random = np.random.default_rng(4)
HALF = {(e, "head0_top5"): round(_random.uniform(80, 90), 5) for e in range(1, 101)}
MANY = {(e, "head0_top1"): round(_random.uniform(60, 70), 4) for e in range(92, 101)}
ROUNDED = {
    (epoch, name): round(60 + epoch / 70 + top / 5, 2)
    for epoch in range(1, 101)
    for top, name in ((0, "head0_top1"), (5, "head0_top5"))
}
LOGS_OF: dict[str, tuple[dict[str, Any], int | None, str, int | None]] = {
    "another validation set": ({"images": 3003}, 24426, OTHER_IMAGES, 3003),
    "one edit": ({"change": EDIT}, 24426, EDITED, 24426),
    "one edit, images unknown": ({"change": EDIT}, None, EDITED, 24426),
    "padded and edited": ({"images": 24428, "change": EDIT}, 24426, EDITED, 24428),
    # Where every second value is invented, nobody can say which ones are the true ones.
    "half of it invented": ({"change": HALF}, 24426, IMPOSSIBLE, None),
    # A large multiple of 300 gives some edited values by accident, and is not preferred for it.
    "nine edits, few images": (
        {"name": "train.log", "images": 300, "change": MANY},
        None,
        EDITED,
        300,
    ),
    # Two values fit thousands of numbers: no accusation, and no false finding.
    "one epoch": ({"images": 24428, "epochs": [100]}, 24426, OTHER_IMAGES, None),
    "one epoch, images unknown": ({"images": 24428, "epochs": [100]}, None, SILENT, None),
    # Two decimals are coarser than one of 24,426 images: anything would pass.
    "rounded": ({"change": ROUNDED}, 24426, SILENT, None),
    # A forger who counts in whole images passes; the test never claims otherwise.
    "one image more": (
        {"change": {(98, "head0_top1"): round(15811 * 100 / 24426, 5)}},
        24426,
        WHOLE,
        24426,
    ),
}


@pytest.mark.parametrize(("run", "expected", "word", "images"), LOGS_OF.values(), ids=LOGS_OF)
def test_finding(
    write_log: Write, run: dict[str, Any], expected: int | None, word: str, images: int | None
) -> None:
    """What stands in a log, and the number of images that it comes from."""
    found = audit_arithmetic(read_log([write_log(**run)]), expected)

    assert (found.word, found.images) == (word, images)
    assert found.is_possible == (word not in (EDITED, IMPOSSIBLE))
    if word == EDITED:
        changed = {(epoch, name) for epoch, name in run["change"]}
        assert {(reading.epoch, reading.name) for reading in found.misfits} == changed


def test_a_misfit_is_named_with_its_place(write_log: Write) -> None:
    """Value, accuracy, epoch and line."""
    (reading,) = audit_arithmetic(read_log([write_log(change=EDIT)]), 24426).misfits

    assert str(reading) == "64.73 (head0_top1, epoch 98, line 295)"


@pytest.mark.parametrize("step", [4, 5, 8, 4 * 128, 8 * 128])
@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_padded_evaluation_is_named(write_log: Write, name: str, step: int) -> None:
    """A tool that counts the repeated images of the last batches shows their number."""
    padded = -(-24426 // step) * step
    log = read_log([write_log(name, images=padded, epochs=range(91, 101))])

    found = audit_arithmetic(log, 24426)

    assert (found.word, found.images) == (OTHER_IMAGES, padded)
    assert step in padding(24426, padded)


@pytest.mark.parametrize("log", ["cls", "automix", "automix_no_k"])
@pytest.mark.parametrize("expected", [24426, None])
def test_invented_logs_are_impossible(golden: Path, log: str, expected: int | None) -> None:
    """The synthetic logs of the recordings were drawn, not counted."""
    path = golden / "runs" / "synthetic_logs" / f"{log}_20220101_000000.log.json"

    found = audit_arithmetic(read_log([path]), expected)

    assert (found.word, found.images) == (IMPOSSIBLE, None)


def test_value_of_a_replaced_epoch_is_tested(write_log: Write) -> None:
    """What a resumed run wrote before it broke off belongs to the log, too."""
    first = write_log("a.log.json", epochs=range(1, 11), change={(10, "head0_top1"): 64.73})
    second = write_log("b.log.json", epochs=range(9, 101))

    found = audit_arithmetic(read_log([first, second]), 24426)

    assert [str(reading.value) for reading in found.misfits] == ["64.73"]


def test_top5_below_top1_is_a_contradiction(write_log: Write) -> None:
    """Whole images are not enough: five guesses hit at least as often as one."""
    found = audit_arithmetic(read_log([write_log(change={(7, "head0_top5"): 0.0})]), 24426)

    assert found.word == WHOLE
    assert [(r.epoch, r.name) for r in found.contradictions] == [(7, "head0_top5")]
    assert not found.is_possible


def test_rounded_log_of_few_images_is_tested() -> None:
    """Two decimals are fine enough for 300 images, though the format has five."""
    values = np.array([[150 + e, 250 + e] for e in range(10)]) / 3

    found = _audited(values.round(2), 5, 300)

    assert (found.word, found.decimals) == (WHOLE, 2)
    assert found.chance == pytest.approx(0.03, rel=0.01)


def _edited(images: int, decimals: int, fitting: int, total: int) -> str:
    """What is said of `total` different values, all but the first `fitting` between two counts."""
    random = np.random.default_rng(0)
    counts = random.choice(images, total, replace=False)
    off = random.uniform(0.2, 0.8, total) * (np.arange(total) >= fitting)
    values = (counts + off) * 100 / images
    return _audited(np.round(values, decimals).reshape(-1, 2), decimals, images).word


@pytest.mark.parametrize(("fitting", "word"), [(80, EDITED), (60, IMPOSSIBLE)])
def test_four_fifths_must_fit_to_call_the_rest_edited(fitting: int, word: str) -> None:
    """Far below that, nobody can say which of the values are the true ones."""
    assert _edited(9973, 5, fitting, 100) == word


@pytest.mark.parametrize(("images", "is_finding"), [(29_000, True), (29_100, False)])
def test_a_fit_is_a_finding_below_one_accident_in_a_hundred(images: int, is_finding: bool) -> None:
    """To 3 decimals a random value passes with 0.29, so 5 of 6 do by accident in about 1 of 100."""
    p = 2 * (0.5e-3 + 50 * 2**-23) * images / 100
    accident = 6 * p**5 * (1 - p) + p**6

    assert (accident < 0.01) == is_finding
    assert (_edited(images, 3, 5, 6) == EDITED) == is_finding


@pytest.mark.parametrize(("decimals", "share"), [(5, 0.0062), (4, 0.0282)])
def test_chance_of_a_random_value(decimals: int, share: float) -> None:
    """The stated chance is the measured one: two tolerances of the 0.0041 points between counts."""
    values = np.random.default_rng(0).uniform(64, 66, 400_000).round(decimals)

    passed = fits(values, 24426, decimals).mean()

    assert chance(np.array([65.0]), 24426, decimals)[0] == pytest.approx(share, rel=0.02)
    assert passed == pytest.approx(share, rel=0.25)  # rounded values lie on a grid of their own


def test_detection_power() -> None:
    """Of 10,000 logs with one random edit 99.3% and more are caught, with two all but 1 in 20,000;
    of 10,000 padded ones every one by its last five epochs."""
    random = np.random.default_rng(1)
    edits = random.uniform(60, 70, (LOGS, 2)).round(5)
    images = random.choice([24_428, 24_432, 24_448, 24_576], (LOGS, 1))
    padded = (random.integers(14_650, 17_100, (LOGS, 5)) * 100 / images).round(5)

    caught = ~fits(edits, 24426, 5)

    assert caught[:, 0].mean() > 0.993
    assert caught.any(axis=1).mean() > 0.9995
    assert (~fits(padded, 24426, 5)).any(axis=1).all()


def test_padding_of_nothing() -> None:
    """Fewer images, or as many, are no padding."""
    assert padding(24426, 24426) == ()
    assert padding(24426, 300) == ()
    assert 8 not in padding(24426, 24428)
