"""A sweep finds the protocol behind a number, on few images for those that it can rule out."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.predictions import EXACT as FP32
from mixzoo.eval.predictions import PENDING, UNREADABLE, Ints, Predictions
from mixzoo.eval.sweep import (
    DROPPED,
    EXACT,
    FAST,
    FirstLook,
    Outcome,
    Setting,
    Sweep,
    first_look,
    project,
    settings,
    try_variants,
)
from mixzoo.zoo.manifest import Metric, Protocol
from scipy.stats import hypergeom

PROTOCOL = Protocol(resize=256, crop=224)
METRIC = Metric(statistic="median_of_last_epochs", epochs=5)
LAST = Metric(statistic="last_epoch")
CLASSES = 50


def predicted(labels: Ints, right: np.ndarray, margin: np.ndarray) -> Predictions:
    """Predictions that are right where told, with these margins."""
    known = Predictions.empty(labels)
    known.top[:] = -1
    known.top[:, 0] = np.where(right, labels, (labels + 1) % CLASSES)
    known.margin[:] = margin
    known.state[:] = FP32
    return known


class World:
    """A checkpoint whose logits move a little with every setting, most easily at small margins."""

    def __init__(self, n: int = 6000, heads: tuple[str, ...] = ("head0",), seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, CLASSES, n)
        self.margin = rng.exponential(2.0, n).astype(np.float32)
        self.right = rng.random(n) < 0.35 + 0.45 * (self.margin > 1)
        self.heads = heads
        self.asked: list[tuple[Setting, int]] = []

    def full(self, setting: Setting) -> dict[str, Predictions]:
        """All predictions under a setting."""
        found = {}
        for place, head in enumerate(self.heads):
            protocol = setting.protocol
            changes = [
                (1, (protocol.resize != 256) * 1.0),
                (2, (protocol.interpolation != "bicubic") * 0.7),
                (3, (setting.precision == FAST) * 0.02),
                (4, place * 0.5),
            ]
            right = self.right.copy()
            for seed, size in changes:
                rng = np.random.default_rng(seed)
                moved = rng.random(len(right)) < 0.3 * np.minimum(size, 1) * np.exp(-self.margin)
                right = np.where(moved, rng.random(len(right)) < 0.4, right)
            found[head] = predicted(self.labels, right, self.margin)
        return found

    def __call__(self, setting: Setting, indices: Ints) -> Mapping[str, Predictions]:
        """What an evaluator gives: the asked images, the others pending."""
        self.asked.append((setting, len(indices)))
        found = self.full(setting)
        hidden = np.setdiff1d(np.arange(len(self.labels)), indices)
        for known in found.values():
            known.top[hidden] = -1
            known.margin[hidden] = np.nan
            known.state[hidden] = PENDING
        return found

    def run(self, reported: float, **options: float) -> list[Outcome]:
        """The sweep's outcomes."""
        base = self.full(Setting(PROTOCOL))
        return list(try_variants(PROTOCOL, base, self, reported=reported, metric=METRIC, **options))


def top1(world: World, setting: Setting, head: str = "head0") -> float:
    return world.full(setting)[head].counts().top1


BILINEAR = Setting(Protocol(resize=256, crop=224, interpolation="bilinear"))
LARGER = Setting(Protocol(resize=263, crop=224))


def test_settings_are_the_likely_ones_the_protocol_first() -> None:
    """Two ratios, two interpolations, two kinds of arithmetic."""
    found = settings(PROTOCOL)

    assert found[0] == Setting(PROTOCOL)
    assert len(set(map(repr, found))) == 8
    assert {s.protocol.resize for s in found} == {256, 263}
    assert {s.protocol.interpolation for s in found} == {"bicubic", "bilinear"}
    assert {s.precision for s in found} == {EXACT, FAST}
    assert all((s.protocol.crop, s.protocol.mean) == (224, PROTOCOL.mean) for s in found)


def test_an_unusual_protocol_stays_among_the_settings() -> None:
    """A benchmark's own values are tried beside the common ones."""
    found = settings(Protocol(resize=160, crop=128, interpolation="nearest"))

    assert found[0].protocol.resize == 160
    assert {s.protocol.resize for s in found} == {160, 146, 150}
    assert {s.protocol.interpolation for s in found} == {"nearest", "bicubic", "bilinear"}


def test_variants_say_what_they_change() -> None:
    """All settings with all heads, those that change least first; the first changes nothing."""
    found = World(300, heads=("one_k", "mix_k")).run(5.0)

    assert len(found) == 16
    lengths = [len(outcome.setting.changes(PROTOCOL)) for outcome in found]
    assert lengths == sorted(lengths)
    assert str(found[0]) == "the benchmark's protocol"
    assert "resize 263, interpolation bilinear, fast arithmetic, head mix_k" in map(str, found)


def test_attention_goes_to_disagreement_then_to_small_margins() -> None:
    """Images on which heads differ come first, each group by its smallest margin."""
    labels = np.zeros(5, np.int64)
    one = predicted(labels, np.array([1, 1, 1, 1, 1], bool), np.array([5, 1, 3, 9, 2.0]))
    two = predicted(labels, np.array([1, 1, 0, 0, 1], bool), np.array([4, 6, 3, 1, 7.0]))

    look = first_look({"a": one, "b": two})
    assert [*look.certain, *look.rest] == [3, 2, 1, 4, 0]


def test_unreadable_images_are_not_asked_for() -> None:
    """They are wrong under every variant."""
    known = predicted(np.zeros(4, np.int64), np.ones(4, bool), np.arange(4.0))
    known.put_unreadable([1])

    assert first_look({"a": known}).rest.tolist() == [0, 2, 3]
    assert known.state[1] == UNREADABLE


@given(st.integers(1, 400), st.floats(0.01, 1.0), st.integers(0, 99))
def test_first_look_is_undecided_and_random_images(n: int, share: float, seed: int) -> None:
    """No image twice, no more than asked, the certain half being the smallest margins."""
    world = World(n)
    base = world.full(Setting(PROTOCOL))

    look = first_look(base, share=share, seed=seed)

    seen = [*look.certain.tolist(), *look.sample.tolist()]
    assert len(set(seen)) == len(seen) <= round(share * n) + 1
    assert set(look.sample.tolist()) <= set(look.rest.tolist())
    assert len(look.certain) + len(look.rest) == n
    if len(look.certain) and len(look.rest):
        assert world.margin[look.certain].max() <= world.margin[look.rest].min()


def test_projection_of_all_images_is_exact() -> None:
    """With nothing left to chance the limits are the top-1 itself."""
    world = World(500)
    base, seen = world.full(Setting(PROTOCOL))["head0"], world.full(BILINEAR)["head0"]

    limits = project(base, seen, first_look({"a": base}, share=1.0))

    assert limits == (seen.counts().top1, seen.counts().top1)


@pytest.mark.parametrize("setting", [BILINEAR, LARGER], ids=["bilinear", "larger"])
def test_projection_covers_as_often_as_it_says(setting: Setting) -> None:
    """Over 150 random samples the true top-1 is outside the 99% limits at most a few times."""
    world = World(3000)
    base, variant = world.full(Setting(PROTOCOL))["head0"], world.full(setting)["head0"]
    truth = variant.counts().top1

    limits = [
        project(base, variant, first_look({"a": base}, share=0.2, seed=seed)) for seed in range(150)
    ]

    outside = sum(not low <= truth <= high for low, high in limits)
    assert outside <= 5  # 1.5 expected at most; six or more have a chance below 0.5%
    assert all(high - low < 12 for low, high in limits)


def test_projection_is_wrong_in_one_of_a_hundred_at_most() -> None:
    """The limits of both strata of the rest hold together with 99%: known right and known wrong."""
    labels = np.zeros(1000, np.int64)
    base = predicted(labels, np.arange(1000) < 700, np.ones(1000))
    seen = predicted(labels, np.arange(1000) % 10 < 7, np.ones(1000))
    look = FirstLook(np.arange(0), np.arange(0, 1000, 5), np.arange(1000))

    low, high = project(base, seen, look)

    # 140 sampled of 700 right ones, 60 of 300 wrong ones: 56 and 24 each of three kinds stay right
    parts = [
        limits99(int(seen.correct[look.sample[at]].sum()), n)
        for at, n in ((slice(140), 700), (slice(140, 200), 300))
    ]
    assert (low, high) == pytest.approx(tuple(sum(part) / 10 for part in zip(*parts, strict=True)))


def limits99(hits: int, total: int) -> tuple[int, int]:
    """The exact interval at 99.5% of a fifth of `total` images."""
    seen = total // 5
    agreeing = [
        k
        for k in range(hits, total - seen + hits + 1)
        if hypergeom.sf(hits - 1, total, k, seen) > 0.0025
        and hypergeom.cdf(hits, total, k, seen) > 0.0025
    ]
    return agreeing[0], agreeing[-1]


def test_variants_that_cannot_explain_are_dropped_early() -> None:
    """A number far from everything costs a tenth of the images a setting, and no full pass."""
    world = World()

    outcomes = world.run(5.0)

    assert {n for _, n in world.asked} == {600}
    assert [outcome.verdict for outcome in outcomes[1:]] == [DROPPED] * 7
    assert outcomes[0].counts is not None
    for outcome in outcomes[1:]:
        assert outcome.counts is None
        truth = top1(world, outcome.setting)
        assert outcome.limits[0] <= truth <= outcome.limits[1]


def test_other_heads_of_the_base_cost_nothing() -> None:
    """All heads come from one pass; the base setting is never evaluated again."""
    world = World(2000, heads=("one_k", "mix_k", "one_q"))

    outcomes = world.run(5.0)

    assert len(outcomes) == 24
    assert all(setting != Setting(PROTOCOL) for setting, _ in world.asked)
    assert len(world.asked) == 7


def test_a_setting_survives_by_any_of_its_heads() -> None:
    """If one head may explain the number, all of the setting's heads are evaluated in full."""
    world = World(2000, heads=("one_k", "mix_k"))

    outcomes = world.run(round(top1(world, LARGER, "mix_k"), 2))

    of_setting = [o for o in outcomes if o.setting == LARGER]
    assert [o.counts is not None for o in of_setting] == [True, True]
    assert "reproduced" in {o.verdict for o in of_setting}


@pytest.mark.parametrize("place", range(8))
def test_the_true_variant_is_not_dropped(place: int) -> None:
    """Whatever setting made the number, it is evaluated in full and reproduces it."""
    world = World(3000, seed=place)
    made_by = settings(PROTOCOL)[place]

    outcomes = world.run(round(top1(world, made_by), 2))

    (found,) = [outcome for outcome in outcomes if outcome.setting == made_by]
    assert found.verdict == "reproduced"


@pytest.mark.parametrize(
    ("metric", "gap", "dropped"),
    [(METRIC, 0.25, False), (METRIC, 0.26, True), (LAST, 0.1, False), (LAST, 0.11, True)],
)
@pytest.mark.parametrize("side", [-1, 1])
def test_limits_that_end_close_to_the_number_keep_a_variant(
    metric: Metric, gap: float, dropped: bool, side: int
) -> None:
    """As near as a faithful checkpoint may lie from a table of medians, or of last epochs."""
    labels = np.zeros(100, np.int64)
    known = {"head0": predicted(labels, np.arange(100) < 60, np.ones(100))}

    outcomes = try_variants(
        PROTOCOL, known, lambda *_: known, reported=60 + side * gap, metric=metric, share=1.0
    )

    assert {o.verdict == DROPPED for o in list(outcomes)[1:]} == {dropped}


def told_by(world: World, reported: float) -> Sweep:
    return Sweep("a row", reported, METRIC, tuple(world.run(reported)))


def test_explanation_names_hits_and_their_odds() -> None:
    """How many variants hit, what they change, and how likely luck would have done it."""
    world = World()
    reported = round(top1(world, BILINEAR), 2)

    told = told_by(world, reported)

    assert told.hits[0].changes == ("interpolation bilinear",)
    assert f"variants give {reported:.2f}: interpolation bilinear" in told.sentences[0]
    assert f"with probability {told.chance:.2f}" in told.sentences[1]
    assert told.to_dict()["closest"] == "interpolation bilinear"


def test_nothing_to_explain_is_said() -> None:
    """Where the protocol itself reproduces the number, no odds are needed."""
    world = World()
    reported = round(top1(world, Setting(PROTOCOL)), 2)

    told = told_by(world, reported)

    assert told.sentences[0].startswith("Nothing to explain: the benchmark's protocol gives")
    assert not any("By chance" in sentence for sentence in told.sentences)


def test_no_hit_names_the_closest_and_the_dropped() -> None:
    """A number that no variant gives stays unexplained, in words."""
    world = World()

    told = told_by(world, 5.0)

    assert told.hits == []
    assert told.sentences[0].startswith("No variant gives 5.00: of 8, the benchmark's protocol")
    assert "7 of 8 variants were dropped after the first look" in told.sentences[1]
