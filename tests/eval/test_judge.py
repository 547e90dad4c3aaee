"""Each rule of the judge has a boundary, and holds on both sides of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mixzoo.eval.judge import RULES, Conditions, Logged, Verdict, judge, what_log_says
from mixzoo.eval.logs import audit_files, claim_of
from mixzoo.eval.predictions import Counts
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.manifest import Metric, Row, read_manifest

from ..mini_rows import EPOCHS, MIXUP, log

N = 24426
MEDIAN = Metric(statistic="median_of_last_epochs", epochs=5)
LAST = Metric(statistic="last_epoch", decimals=1)
HONEST = {"head0": (64.70, 64.75, 64.73, 64.60)}
"""The window's other epochs of a run whose median is 64.73."""


def images(points: float) -> int:
    """How many of N images a percentage is."""
    return round(points / 100 * N)


def judged(correct: int, reported: float = 64.73, total: int = N, **rest: Any) -> Verdict:
    rest.setdefault("metric", MEDIAN)
    metric = rest.pop("metric")
    return judge({"head0": Counts(correct, total, total)}, reported, metric, **rest)


def log_of(
    top1: float,
    others: Mapping[str, tuple[float, ...]] = HONEST,
    given_by: set[str] | None = frozenset({"head0"}),  # type: ignore[assignment]
    problem: str | None = None,
) -> Logged:
    return Logged(100, {"head0": top1}, others, given_by, "median 64.730", problem)


def test_every_count_that_rounds_to_the_digits_is_reproduced() -> None:
    """Exactly the counts that print as the published number reproduce it."""
    reproduced = {k for k in range(15700, 15900) if judged(k).word == "reproduced"}

    assert reproduced == {k for k in range(15700, 15900) if f"{100 * k / N:.2f}" == "64.73"}


@pytest.mark.parametrize(
    ("correct", "reported", "word"),
    [(1005, 50.2, "reproduced"), (1005, 50.3, "reproduced"), (1006, 50.2, "close")],
)
def test_half_a_digit_either_way_is_reproduced(correct: int, reported: float, word: str) -> None:
    """50.25 rounds to 50.2 as well as to 50.3: binary decides which one prints."""
    assert judged(correct, reported, 2000, metric=LAST).word == word


@pytest.mark.parametrize(("off", "word"), [(0, "reproduced"), (1, "close"), (2, "not reproduced")])
@pytest.mark.parametrize("sign", [1, -1])
def test_on_1000_images_one_is_close_and_two_are_not(off: int, word: str, sign: int) -> None:
    """One image of 1,000 is exactly 0.10 points."""
    assert judged(702 + sign * off, 70.2, 1000, metric=LAST).word == word


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("points", "word"),
    [
        (0.0, "reproduced"),
        (0.02, "consistent with a median"),
        (0.24, "consistent with a median"),
        (0.26, "differs"),
        (0.99, "differs"),
        (1.01, "not reproduced"),
        (20.0, "not reproduced"),
    ],
)
def test_a_median_without_its_log(points: float, word: str, sign: int) -> None:
    """The scatter of honest epochs parts the words; only a gross gap is decided without a log."""
    assert judged(images(64.73 + sign * points)).word == word


def test_a_table_of_the_last_epoch_excuses_no_epoch() -> None:
    """What would be consistent with a median isn't with the epoch itself."""
    assert judged(images(64.93), metric=LAST, reported=64.7).word == "not reproduced"


@pytest.mark.parametrize(
    ("off", "word", "log"),
    [
        (0, "reproduced", "matches its log"),
        (12, "reproduced", "matches its log"),
        (-12, "reproduced", "matches its log"),
        (13, "not reproduced", "doesn't match its log"),
        (-13, "not reproduced", "doesn't match its log"),
    ],
)
def test_a_log_that_gives_the_table_vouches_for_its_own_file(off: int, word: str, log: str) -> None:
    """0.2 points off the median: right if file and log agree to 12 of 24,426 images."""
    logged = log_of(round(100 * images(64.93) / N, 5))

    verdict = judged(images(64.93) + off, logged=logged)

    assert (verdict.word, verdict.log) == (word, log)
    assert "epoch 100 of its log says 64.93" in verdict.why


def test_one_image_is_a_handful_of_few() -> None:
    """On 300 images one image is more than 0.05 points, and still only one image."""
    logged = log_of(18.33333, {"head0": (17.3, 17.0, 17.6, 17.3)})

    assert judged(56, 17.33, 300, logged=logged).log == "matches its log"
    assert judged(57, 17.33, 300, logged=logged).log == "doesn't match its log"


def test_a_log_that_gives_another_number_decides_against() -> None:
    """The file is the logged run, and that run doesn't give the table."""
    verdict = judged(images(64.93), logged=log_of(64.93, given_by=set()))

    assert (verdict.word, verdict.log) == ("not reproduced", "matches its log")
    assert "isn't the published number" in verdict.why


def test_a_log_without_the_windows_epochs_decides_nothing() -> None:
    """It vouches for the file; for the table it is as if there were none."""
    verdict = judged(images(64.93), logged=log_of(64.93, {"head0": ()}, given_by=None))

    assert (verdict.word, verdict.log) == ("consistent with a median", "matches its log")


@pytest.mark.parametrize(("gap", "word"), [(0.44, "reproduced"), (0.46, "not reproduced")])
def test_a_log_excuses_no_more_than_its_epochs_scatter(gap: float, word: str) -> None:
    """Three times the range of the window's other epochs, 0.15 points here; no typed-in line more."""
    top1 = 64.73 + gap

    assert judged(images(top1), logged=log_of(top1)).word == word


def test_a_log_that_fails_its_audit_vouches_for_nothing() -> None:
    """As if there were none, and the verdict says why."""
    verdict = judged(images(64.93), logged=log_of(64.93, problem="fails its own audit"))

    assert (verdict.word, verdict.log) == ("consistent with a median", None)
    assert "fails its own audit" in verdict.why


def test_what_is_not_comparable_is_never_judged() -> None:
    """Not even where the number is the published one."""
    verdict = judged(images(64.73), not_comparable="300 images, the table has 24426")

    assert verdict.word == "not comparable"
    assert "300 images" in verdict.why


def test_nothing_published_is_said() -> None:
    """Without a published number there is nothing to judge."""
    assert judge({"head0": Counts(1, 1, 2)}, None, MEDIAN).word == "no published number"


FOUR = {"one_k": 62.0, "mix_k": 60.0, "one_q": 61.0, "mix_q": 63.0}


@pytest.mark.parametrize(
    ("reported", "head", "word"),
    [
        (62.0, "one_k", "reproduced"),
        (63.0, "mix_q", "reproduced"),  # the better q head
        (61.0, "one_k", "not reproduced"),  # one_q, which the reference would never print
        (60.0, "one_k", "not reproduced"),
        (62.9, "mix_q", "close"),
    ],
)
def test_a_row_is_judged_over_the_heads_that_its_number_can_be_of(
    reported: float, head: str, word: str
) -> None:
    """Inference's head first, then the better of each pair; the others can't turn it green."""
    counts = {name: Counts(round(10 * top1), 1000, 1000) for name, top1 in FOUR.items()}

    verdict = judge(counts, reported, LAST)

    assert (verdict.head, verdict.word) == (head, word)
    assert "of 2 that the number can be of (one_k, mix_q)" in verdict.why
    assert "with a chance of" in verdict.why


def test_every_word_has_a_rule() -> None:
    """A report can explain each word that the judge says."""
    assert {"reproduced", "matches its log", "differs", "not comparable"} <= RULES.keys()


@pytest.fixture
def mini() -> Benchmark:
    return open_catalog().benchmark("mini")


def conditions(benchmark: Benchmark, **changed: Any) -> Conditions:
    val = benchmark.manifest.dataset.val
    assert val.images
    assert val.list_sha256
    own = Conditions(
        val.images, val.list_sha256, val.files_sha256, 0, benchmark.manifest.protocol, "guarded"
    )
    return replace(own, **changed)


def test_the_benchmarks_own_conditions_are_comparable(mini: Benchmark) -> None:
    """In fp32, and guarded, which is the same."""
    assert conditions(mini).differ_from(mini) is None
    assert conditions(mini, precision="fp32").differ_from(mini) is None


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"unreadable": 1}, "1 of 1000 images can't be read"),
        ({"images": 999}, "999 images, the table's validation set has 1000"),
        ({"list_sha256": "0" * 64}, "another list"),
        ({"files_sha256": "0" * 64}, "not with the locked bytes"),
        ({"files_sha256": None}, "not with the locked bytes"),
        ({"precision": "fast"}, "fast arithmetic"),
    ],
)
def test_other_conditions_are_named(mini: Benchmark, changed: dict[str, Any], word: str) -> None:
    """The first reason why a number isn't the benchmark's own."""
    assert word in str(conditions(mini, **changed).differ_from(mini))


@pytest.mark.parametrize(
    "changed",
    [
        {"resize": 147},
        {"crop": 127},
        {"interpolation": "bilinear"},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
    ],
)
def test_each_changed_pixel_value_is_named(mini: Benchmark, changed: dict[str, Any]) -> None:
    """Whatever decides about the network's input."""
    other = msgspec.structs.replace(mini.manifest.protocol, **changed)

    (name,) = changed
    assert f"other pixels than the table's: {name} " in str(
        conditions(mini, protocol=other).differ_from(mini)
    )


def test_a_table_on_an_unknown_number_of_images_judges_nothing(mini: Benchmark) -> None:
    """Where the manifest doesn't know how many images there are, the number is only shown."""
    manifest = mini.manifest
    val = msgspec.structs.replace(manifest.dataset.val, images=None)
    dataset = msgspec.structs.replace(manifest.dataset, val=val)
    other = Benchmark(msgspec.structs.replace(manifest, dataset=dataset), None, mini.path)

    assert "is not known" in str(conditions(mini).differ_from(other))


FORGED = [
    ("own", "suspicious"),
    ("own", "edited"),
    ("own2", "other_images"),
    ("own3", "otherrule"),
]


@pytest.mark.parametrize(("manifest", "log"), FORGED)
def test_a_forged_log_turns_no_number_green(shared: Path, manifest: str, log: str) -> None:
    """59.60 is 15.5 points from 75.13, whatever line was typed into the log."""
    folder = shared / "hostile" / "forged_log"
    benchmark = read_manifest(folder / f"{manifest}.toml")
    (row,) = benchmark.rows
    audit = audit_files([folder / f"{log}.log.json"], claim_of(benchmark, row))
    logged = what_log_says(audit, 40, row.reported_top1)

    counts = {"head0": Counts(596, 990, 1000)}
    verdict = judge(counts, row.reported_top1, benchmark.metric, logged=logged)

    assert verdict.word == "not reproduced"


def test_two_images_are_held_against_no_log(mini: Benchmark) -> None:
    """What two images give is no number of a thousand, though it may be less than an image away."""
    row = mini.manifest.row(MIXUP)
    audit = audit_files([log(MIXUP)], claim_of(mini.manifest, row))
    other = conditions(mini, images=2).differ_from(mini)

    assert what_log_says(audit, EPOCHS, row.reported_top1)
    assert what_log_says(audit, EPOCHS, row.reported_top1, not_comparable=other) is None


def typed_in(folder: Path, values: list[float]) -> tuple[Path, Metric, Row]:
    """A log of whole images whose last epoch is another run's."""
    lines = [
        f'{{"mode": "val", "epoch": {epoch}, "iter": 16, "lr": 0.01, "head0_top1": {value}}}'
        for epoch, value in enumerate(values, start=1)
    ]
    path = folder / "r.log.json"
    path.write_text("\n".join(lines) + "\n")
    row = Row(id="resnet18_w4.mixup_own", method="mixup", architecture="resnet18_w4")
    return path, Metric(statistic="median_of_last_epochs", epochs=5, decimals=1), row


def told(folder: Path, mini: Benchmark, values: list[float], top1: float) -> tuple[Logged, Metric]:
    """What a log of these values says of its last epoch, against this published median."""
    path, metric, row = typed_in(folder, values)
    reported = msgspec.structs.replace(row, reported_top1=top1)
    manifest = msgspec.structs.replace(mini.manifest, metric=metric, rows=[reported])
    logged = what_log_says(audit_files([path], claim_of(manifest, reported)), len(values), top1)
    assert logged
    return logged, metric


def test_a_forgery_in_whole_images_turns_no_number_green(tmp_path: Path, mini: Benchmark) -> None:
    """It passes the arithmetic, its median is the published number, and the gap gives it away."""
    logged, metric = told(tmp_path, mini, [75.0, 75.2, 75.1, 75.1, 59.6], 75.1)

    verdict = judge({"head0": Counts(596, 990, 1000)}, 75.1, metric, logged=logged)

    assert logged.problem is None
    assert (verdict.word, verdict.log) == ("not reproduced", "matches its log")


def test_a_log_of_impossible_values_vouches_for_nothing(tmp_path: Path, mini: Benchmark) -> None:
    """It agrees with the file and gives the table, but no 1,000 images give one of its values."""
    earlier = [round(60 + 0.3 * epoch, 1) for epoch in range(30)]
    logged, metric = told(tmp_path, mini, [*earlier, 70.13, 70.2, 70.2, 70.1, 70.3], 70.2)

    verdict = judge({"head0": Counts(703, 990, 1000)}, 70.2, metric, logged=logged)

    assert (verdict.word, verdict.log) == ("consistent with a median", None)
    assert "fails its own audit" in verdict.why
