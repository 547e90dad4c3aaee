"""The k/N test: honest logs pass, padded, edited and invented ones don't."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

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


def _written(correct: np.ndarray, images: np.ndarray, decimals: int, how: str) -> np.ndarray:
    """Accuracies as a writer of this precision computes and rounds them."""
    if how == "double":
        exact = correct * 100.0 / images
    elif how == "single":
        exact = correct.astype(np.float32) * (np.float32(100) / images.astype(np.float32))
    else:  # the ratio in single precision, then percent
        exact = correct.astype(np.float32) / images.astype(np.float32) * np.float32(100)
    as_python = exact.astype(np.float64)
    return np.vectorize(lambda value: round(value, decimals), otypes=[float])(as_python)


@pytest.mark.parametrize("decimals", [5, 4])
@pytest.mark.parametrize("how", ["double", "single", "single ratio"])
def test_ten_thousand_honest_logs_pass(how: str, decimals: int) -> None:
    """No value of 10,000 logs with ten last epochs each is flagged, whatever wrote them."""
    random = np.random.default_rng(0)
    images = random.choice(SIZES, (LOGS, 1))
    correct = random.integers(0, images + 1, (LOGS, 10))

    passed = fits(_written(correct, images, decimals, how), images, decimals)

    assert passed.all()


def test_ten_thousand_honest_logs_are_whole() -> None:
    """The same through the audit of a log, both formats, five epochs with top-1 and top-5."""
    random = np.random.default_rng(3)

    for number in range(LOGS):
        images, decimals = int(random.choice(SIZES)), 5 - number % 2
        correct = np.sort(random.integers(0, images + 1, (5, 2)))
        log = _log_of((correct * 100 / images).round(decimals), decimals)
        assert audit_arithmetic(log, images).word == WHOLE


def _log_of(values: np.ndarray, decimals: int) -> TrainingLog:
    """A log of these accuracies. values: (epochs, 2) float64, top-1 and top-5."""
    lines = [
        Validation(
            epoch=epoch,
            batches=48,
            accuracies={
                name: Decimal(repr(float(value)))
                for name, value in zip(("head0_top1", "head0_top5"), pair, strict=True)
            },
            line=epoch,
        )
        for epoch, pair in enumerate(values, 1)
    ]
    return TrainingLog(
        name="made for a test",
        files=(),
        format="json",
        decimals=decimals,
        pieces=1,
        validations=tuple(lines),
        replaced=(),
        training=(),
        settings=Settings(),
        remarks=(),
    )


def test_half_a_log_is_no_majority(write_log: Write) -> None:
    """Where every second value is invented, nobody can say which ones are the true ones."""
    random = np.random.default_rng(4)
    invented = {(e, "head0_top5"): round(random.uniform(80, 90), 5) for e in range(1, 101)}

    found = audit_arithmetic(read_log([write_log(change=invented)]), 24426)

    assert (found.word, found.images) == (IMPOSSIBLE, None)


def test_honest_logs_pass_the_whole_audit(write_log: Write) -> None:
    """From files in both formats, for each number of images, known and unknown."""
    for images in SIZES:
        for name in ("run.log.json", "train.log"):
            log = read_log([write_log(name, images=images, epochs=range(60, 101))])
            for expected in (images, None):
                found = audit_arithmetic(log, expected)
                assert (found.word, found.images, found.misfits) == (WHOLE, images, ())


@pytest.mark.parametrize("run", ["tiny_cutmix_ep8", "tiny_automix_ep8"])
@pytest.mark.parametrize("pattern", ["*.log.json", "train_*.log"])
def test_genuine_logs_name_their_images(golden: Path, run: str, pattern: str) -> None:
    """The reference validated on 300 images, which its logs alone tell."""
    log = read_log([next((golden / "runs" / run).glob(pattern))])

    found = audit_arithmetic(log, None)

    assert (found.word, found.images) == (WHOLE, 300)


@pytest.mark.parametrize("run", ["tiny_cutmix_ep8", "tiny_automix_ep8"])
def test_genuine_logs_need_half_a_unit(golden: Path, run: str) -> None:
    """The reference's writer is exact: no genuine value lies further off than rounding puts it."""
    log = read_log([next((golden / "runs" / run).glob("*.log.json"))])
    values = np.array([float(v) for line in log.validations for v in line.accuracies.values()])

    off = np.abs(values - np.rint(values * 3) / 3)

    assert off.max() <= 0.5e-5 + 1e-12


@pytest.mark.parametrize(("processes", "batch"), [(4, 1), (5, 1), (8, 1), (4, 128), (8, 128)])
@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_padded_evaluation_is_named(
    write_log: Write, name: str, processes: int, batch: int
) -> None:
    """A tool that counts the repeated images of the last batches shows their number."""
    step = processes * batch
    padded = -(-24426 // step) * step
    log = read_log([write_log(name, images=padded, epochs=range(91, 101))])

    found = audit_arithmetic(log, 24426)

    assert (found.word, found.images) == (OTHER_IMAGES, padded)
    assert step in padding(24426, padded)
    assert found.is_possible


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_other_validation_set_is_named(write_log: Write, name: str) -> None:
    """A log of 3,003 images isn't one of 24,426."""
    log = read_log([write_log(name, images=3003)])

    found = audit_arithmetic(log, 24426)

    assert (found.word, found.images) == (OTHER_IMAGES, 3003)


@pytest.mark.parametrize("expected", [24426, None])
def test_edited_value_is_named_with_its_place(write_log: Write, expected: int | None) -> None:
    """A number that was put in by hand stands out, whether the images are known or not."""
    log = read_log([write_log(change={(98, "head0_top1"): 64.73})])

    found = audit_arithmetic(log, expected)

    assert (found.word, found.images) == (EDITED, 24426)
    assert [str(reading) for reading in found.misfits] == ["64.73 (head0_top1, epoch 98, line 295)"]
    assert not found.is_possible


def test_one_image_more_cannot_be_told(write_log: Write) -> None:
    """A forger who counts in whole images passes; the test never claims otherwise."""
    log = read_log([write_log(change={(98, "head0_top1"): round(15811 * 100 / 24426, 5)})])

    assert audit_arithmetic(log, 24426).word == WHOLE


def test_padded_and_edited(write_log: Write) -> None:
    """An edit shows also where the number of images isn't the expected one."""
    log = read_log([write_log(images=24428, change={(98, "head0_top1"): 64.73})])

    found = audit_arithmetic(log, 24426)

    assert (found.word, found.images) == (EDITED, 24428)
    assert [reading.epoch for reading in found.misfits] == [98]


@pytest.mark.parametrize("log", ["cls", "automix", "automix_no_k"])
@pytest.mark.parametrize("expected", [24426, None])
def test_invented_logs_are_impossible(golden: Path, log: str, expected: int | None) -> None:
    """The synthetic logs of the recordings were drawn, not counted."""
    path = golden / "runs" / "synthetic_logs" / f"{log}_20220101_000000.log.json"

    found = audit_arithmetic(read_log([path]), expected)

    assert (found.word, found.images) == (IMPOSSIBLE, None)
    assert not found.is_possible


def test_value_of_a_replaced_epoch_is_tested(tmp_path: Path, write_log: Write) -> None:
    """What a resumed run wrote before it broke off belongs to the log, too."""
    first = write_log("a.log.json", epochs=range(1, 11), change={(10, "head0_top1"): 64.73})
    second = write_log("b.log.json", epochs=range(9, 101))

    found = audit_arithmetic(read_log([first, second]), 24426)

    assert [str(reading.value) for reading in found.misfits] == ["64.73"]


def test_top5_below_top1_is_a_contradiction(write_log: Write) -> None:
    """Whole images are not enough: five guesses hit at least as often as one."""
    swapped = {(7, "head0_top5"): 0.0}

    found = audit_arithmetic(read_log([write_log(change=swapped)]), 24426)

    assert found.word == WHOLE
    assert [(r.epoch, r.name) for r in found.contradictions] == [(7, "head0_top5")]
    assert not found.is_possible


def _edited(images: int, decimals: int, fitting: int, total: int) -> str:
    """What is said of `total` different values, all but the first `fitting` between two counts."""
    step = 100 / images
    values = [(images // 2 + n + 0.37 * (n >= fitting)) * step for n in range(total)]
    log = _log_of(np.round(values, decimals).reshape(-1, 2), decimals)
    return audit_arithmetic(log, images).word


@pytest.mark.parametrize(("fitting", "word"), [(80, EDITED), (79, IMPOSSIBLE)])
def test_four_fifths_must_fit_to_call_the_rest_edited(fitting: int, word: str) -> None:
    """Below that, nobody can say which of the values are the true ones."""
    assert _edited(9973, 5, fitting, 100) == word


@pytest.mark.parametrize(("images", "is_finding"), [(29_000, True), (29_100, False)])
def test_a_fit_is_a_finding_below_one_accident_in_a_hundred(images: int, is_finding: bool) -> None:
    """To 3 decimals a random value passes with 0.29, so 5 of 6 do by accident in about 1 of 100."""
    p = 2 * (0.5e-3 + 50 * 2**-23) * images / 100
    accident = 6 * p**5 * (1 - p) + p**6

    assert (accident < 0.01) == is_finding
    assert (_edited(images, 3, 5, 6) == EDITED) == is_finding


def test_rounded_log_is_not_accused(write_log: Write) -> None:
    """Two decimals are coarser than one of 24,426 images: anything would pass."""
    rounded = {
        (epoch, name): round(60 + epoch / 70 + top / 5, 2)
        for epoch in range(1, 101)
        for top, name in ((0, "head0_top1"), (5, "head0_top5"))
    }

    found = audit_arithmetic(read_log([write_log(change=rounded)]), 24426)

    assert (found.word, found.decimals, found.misfits) == (SILENT, 2, ())
    assert found.chance == 1.0


def test_rounded_log_of_few_images_is_tested(tmp_path: Path) -> None:
    """Two decimals are fine enough for 300 images."""
    lines = [
        f'{{"mode": "val", "epoch": {e}, "iter": 6, "head0_top1": {round((150 + e) / 3, 2)}}}'
        for e in range(1, 11)
    ]
    path = tmp_path / "run.log.json"
    path.write_text("\n".join(lines) + "\n")

    found = audit_arithmetic(read_log([path]), 300)

    assert (found.word, found.decimals) == (WHOLE, 2)
    assert found.chance == pytest.approx(0.03, rel=0.01)


def test_short_log_names_no_number(write_log: Write) -> None:
    """Two values fit thousands of numbers: no accusation, and no false finding."""
    log = read_log([write_log(images=24428, epochs=[100])])

    found = audit_arithmetic(log, 24426)

    assert (found.word, found.images) == (OTHER_IMAGES, None)
    assert audit_arithmetic(log, None).word == SILENT


@pytest.mark.parametrize(("decimals", "share"), [(5, 0.0062), (4, 0.0282)])
def test_chance_of_a_random_value(decimals: int, share: float) -> None:
    """The stated chance is the measured one: two tolerances of the 0.0041 points between counts."""
    values = np.random.default_rng(0).uniform(64, 66, 400_000).round(decimals)

    passed = fits(values, 24426, decimals).mean()

    assert chance(np.array([65.0]), 24426, decimals)[0] == pytest.approx(share, rel=0.02)
    assert passed == pytest.approx(share, rel=0.25)  # rounded values lie on a grid of their own


def test_detection_power() -> None:
    """Of 10,000 logs with one random edit 99.3% and more are caught, with two all but 1 in 20,000."""
    random = np.random.default_rng(1)
    edits = random.uniform(60, 70, (LOGS, 2)).round(5)

    caught = ~fits(edits, 24426, 5)

    assert caught[:, 0].mean() > 0.993
    assert caught.any(axis=1).mean() > 0.9995


def test_padded_power() -> None:
    """Of 10,000 padded logs none passes for 24,426 images; one of five last epochs is enough."""
    random = np.random.default_rng(2)
    padded = random.choice([24_428, 24_432, 24_448, 24_576], (LOGS, 1))
    values = (random.integers(14_650, 17_100, (LOGS, 5)) * 100 / padded).round(5)

    assert (~fits(values, 24426, 5)).any(axis=1).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60_000), st.data())
def test_any_honest_value_fits(images: int, data: st.DataObject) -> None:
    """For any number of images and of right answers."""
    correct = data.draw(st.integers(0, images))

    value = np.array([float(Decimal(str(round(correct * 100.0 / images, 5))))])

    assert fits(value, images, 5).all()


def test_padding_of_nothing() -> None:
    """Fewer images, or as many, are no padding."""
    assert padding(24426, 24426) == ()
    assert padding(24426, 300) == ()
    assert 4 in padding(24426, 24428)
    assert 8 not in padding(24426, 24428)


def test_edited_log_of_few_images_keeps_its_number(write_log: Write) -> None:
    """A large multiple of 300 gives some edited values by accident, and is not preferred for it."""
    random = np.random.default_rng(5)
    edits = {(e, "head0_top1"): round(random.uniform(60, 70), 4) for e in range(92, 101)}

    found = audit_arithmetic(read_log([write_log("train.log", images=300, change=edits)]), None)

    assert (found.word, found.images) == (EDITED, 300)
    assert {reading.epoch for reading in found.misfits} == set(range(92, 101))
