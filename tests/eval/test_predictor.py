"""What the guard does to batches with errors of every kind; no image is lost on the way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.guard import spot
from mixzoo.eval.predictions import EXACT, FAST, Predictions
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.errors import CheckpointError
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from torch import nn

from .walking import CPU, Images, assert_same, walk

WEIGHT = torch.randn(9, 48, generator=torch.Generator().manual_seed(1))
SMALL = Protocol(resize=32, crop=32)


def linear(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A linear classifier on 4x4 means."""
    return {"head0": nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ WEIGHT.T}


@pytest.fixture
def noise() -> Images:
    """700 random images."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (700, 4, 4, 3), generator=generator, dtype=torch.uint8)
    crops = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    return crops, torch.randint(9, (700,), generator=generator), SMALL


def lies(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The opposite of `linear`."""
    return {"head0": -linear(x)["head0"]}


class Drifting:
    """`linear` with errors whose size is a function of the batch's number."""

    def __init__(self, size: Callable[[int], float]) -> None:
        self.size, self.batch = size, 0
        self.generator = torch.Generator().manual_seed(7)

    def __call__(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """As `linear`."""
        z = linear(x)["head0"]
        self.batch += 1
        error = torch.randn(z.shape, generator=self.generator)
        return {"head0": z + self.size(self.batch - 1) * error}


def guarded_by(size: Callable[[int], float] = lambda batch: 0.02, **options: Any) -> Predictor:
    """A guarded predictor of `linear` whose fast arithmetic drifts."""
    return Predictor(linear, SMALL, CPU, "guarded", fast=[Drifting(size)], **options)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("steady", lambda batch: 0.02),
        ("grows", lambda batch: 0.004 * (batch + 1)),
        ("jumps", lambda batch: 0.001 if batch < 6 else 0.03),
        ("alternates", lambda batch: 0.03 if batch % 3 == 2 else 0.001),
    ],
)
def test_errors_that_drift_are_caught(
    name: str, size: Callable[[int], float], noise: Images
) -> None:
    """Late and uneven errors raise the bound, and what was believed before is redone."""
    exact = walk(Predictor(linear, SMALL, CPU), noise)
    guarded = guarded_by(size)

    assert_same(walk(guarded, noise), exact)


def test_an_error_that_all_images_share_doubts_none(noise: Images) -> None:
    """It is learnt from those that calibrate and taken off the rest, which fast arithmetic settles."""
    shift = torch.arange(9) * 0.5

    guarded = Predictor(
        linear, SMALL, CPU, "guarded", fast=[lambda x: {"head0": linear(x)["head0"] + shift}]
    )
    found = walk(guarded, noise)

    exact = walk(Predictor(linear, SMALL, CPU), noise)
    assert_same(found, exact)
    assert (found["head0"].state == FAST).sum() == (~spot(np.arange(128, 700))).sum()
    np.testing.assert_allclose(found["head0"].margin, exact["head0"].margin, atol=1e-5)


def test_a_raised_bound_makes_believed_images_stale(noise: Images) -> None:
    """Errors of the last batch only, which its own doubted images and spot checks reveal."""
    crops, labels, _ = noise
    guarded = guarded_by(lambda batch: 1.0 if batch == 10 else 1e-3)
    known = Predictions.empty(labels.numpy())
    for at in torch.arange(700).split(64)[:10]:
        known.put(guarded.predict(at, crops[at], labels[at])["head0"])
    before = guarded.stale("head0", known)
    at = torch.arange(640, 700)
    known.put(guarded.predict(at, crops[at], labels[at])["head0"])
    known.put(guarded.flush()["head0"])

    after = guarded.stale("head0", known)

    assert len(after) > len(before)
    assert (known.state[after] == FAST).all()
    least = np.minimum(known.margin, known.margin5)[known.state == FAST]
    assert (least <= guarded.bounds["head0"]).sum() == len(after)


def test_a_changed_spot_check_raises_the_bound_above_its_margin(noise: Images) -> None:
    """A believed prediction that turns out wrong is noted, and can't be believed again."""
    crops, labels, _ = noise
    at = torch.from_numpy(np.flatnonzero(spot(np.arange(700))))
    guarded = Predictor(linear, SMALL, CPU, "guarded", fast=[lies], calibration=0)
    margins = lies(normalise(crops[at], SMALL))["head0"].topk(2).values

    waiting = guarded.predict(at, crops[at], labels[at])["head0"]
    settled = guarded.flush()["head0"]

    assert len(waiting.indices) == 0
    assert sorted(settled.indices) == at.tolist()
    assert settled.changed.any()
    assert guarded.bounds["head0"] > (margins[:, 0] - margins[:, 1]).max()


@pytest.mark.parametrize("batch_size", [1, 50, 64, 1000])
def test_every_image_is_settled_once(noise: Images, batch_size: int) -> None:
    """Doubted images wait until fp32 gets a whole batch, the rest at the end; each leaves once."""
    crops, labels, _ = noise
    sizes: list[int] = []

    def counted(x: torch.Tensor) -> dict[str, torch.Tensor]:
        sizes.append(len(x))
        return linear(x)

    fast = Drifting(lambda batch: 0.02)
    guarded = Predictor(counted, SMALL, CPU, "guarded", fast=[fast], batch_size=batch_size)
    seen, exact = [], []
    for at in torch.arange(700).split(64):
        rows = guarded.predict(at, crops[at], labels[at])["head0"]
        seen += rows.indices.tolist()
        exact += rows.exact.tolist()
        assert int(at[-1]) + 1 - len(seen) < guarded.exact_size

    rest = guarded.flush()

    assert sorted(seen + (rest["head0"].indices.tolist() if rest else [])) == list(range(700))
    assert all(exact[:128])
    assert not all(exact)
    assert sizes[:2] == [64, 64]  # calibration
    assert guarded.exact_size == min(batch_size, 16)
    assert set(sizes[2:]) <= {guarded.exact_size}
    assert guarded.flush() == {}


def test_predictions_do_not_depend_on_batches(noise: Images) -> None:
    """Other batches, and calibration on other images, believe others and predict the same."""
    walks = [
        walk(
            guarded_by(),
            noise,
            batch_size,
        )
        for batch_size in (64, 37, 700)
    ]

    for found in walks[1:]:
        assert_same(found, walks[0])


def test_overflowing_images_are_recomputed_and_teach_nothing(noise: Images) -> None:
    """fp16 can overflow where the weights are sound: those images are doubted, no others."""

    def overflows(x: torch.Tensor) -> dict[str, torch.Tensor]:
        z = linear(x)["head0"] + 1e-6
        z[::5, 3] = torch.inf
        return {"head0": z}

    guarded = Predictor(linear, SMALL, CPU, "guarded", fast=[overflows])

    found = walk(guarded, noise)

    assert_same(found, walk(Predictor(linear, SMALL, CPU), noise))
    assert guarded.bounds["head0"] < 1e-4
    assert (found["head0"].state == FAST).mean() > 0.5


def test_fast_alone_keeps_its_own_predictions(noise: Images) -> None:
    """Nothing is recomputed, nothing calls itself exact, nothing is stale."""
    fast = Predictor(linear, SMALL, CPU, "fast", fast=[Drifting(lambda batch: 0.3)])

    found = walk(fast, noise)["head0"]

    exact = walk(Predictor(linear, SMALL, CPU), noise)["head0"]
    assert (found.state == FAST).all()
    assert (exact.state == EXACT).all()
    assert (found.top[:, 0] != exact.top[:, 0]).any()
    assert fast.bounds == {}


def test_bounds_of_others_are_taken_over_if_larger(noise: Images) -> None:
    """Before the first batch or later; a larger bound makes believed images stale."""
    guarded = guarded_by(lambda batch: 0.001)
    guarded.raise_bounds({"head0": 1e-9})
    known = walk(guarded, noise)["head0"]
    own = guarded.bounds["head0"]

    guarded.raise_bounds({"head0": own / 2})
    unchanged, none = guarded.bounds["head0"], guarded.stale("head0", known)
    guarded.raise_bounds({"head0": 100.0})

    assert own == unchanged > 1e-9
    assert len(none) == 0
    assert guarded.bounds == {"head0": 100.0}
    np.testing.assert_array_equal(
        guarded.stale("head0", known), np.flatnonzero(known.state == FAST)
    )


@pytest.mark.parametrize("before", [0, 64])
def test_a_bound_of_others_holds_for_what_follows(noise: Images, before: int) -> None:
    """An earlier run's before the first batch, another rank's later: at once, not only for stale."""
    crops, labels, _ = noise
    guarded = guarded_by(lambda batch: 1e-5, calibration=before)
    if before:
        guarded.predict(torch.arange(64), crops[:64], labels[:64])
    guarded.raise_bounds({"head0": 1.0})

    rows = guarded.predict(torch.arange(64, 128), crops[64:128], labels[64:128])["head0"]

    believed = rows.at(~rows.exact)
    assert 0 < len(believed.indices) < 64
    assert np.minimum(believed.margin, believed.margin5).min() > 1.0


def test_only_the_doubted_backbone_is_recomputed(noise: Images) -> None:
    """Of AutoMix's two backbones the one whose heads are sure isn't run in fp32 again."""
    torch.manual_seed(3)
    model = MixClassifier(ResNetConfig.from_name("resnet18_w4"), 9, "automix").eval()
    for head in ("one_q", "mix_q"):
        model.get_submodule(f"head_{head}").fc.bias.data[4] = 1000.0
        model.get_submodule(f"head_{head}").fc.bias.data[:5] += 500 + torch.arange(5) * 50.0
    crops, labels = noise[0][:48], torch.full((48,), 4)
    guarded = Predictor(model, SMALL, CPU, "guarded", arithmetic="fp32", calibration=16)
    guarded.raise_bounds({"one_k": 1e3})  # doubts everything of side k
    known = walk(guarded, (crops, labels, SMALL), batch_size=16)

    heads = guarded.summary(known)["heads"]

    spots = int(spot(np.arange(16, 48)).sum())
    assert heads["one_k"]["compared"] == heads["mix_k"]["compared"] == 48
    assert heads["one_q"]["compared"] == heads["mix_q"]["compared"] == 16 + spots


@pytest.mark.parametrize("precision", ["fp32", "guarded", "fast"])
def test_damaged_weights_are_an_error_in_every_precision(precision: Any, noise: Images) -> None:
    """The guard forgives fast arithmetic's overflow, not logits that fp32 can't compute either."""
    model = Classifier(ResNetConfig.from_name("resnet18_w4"), 9).eval()
    model.head.fc.bias.data[2] = torch.nan
    predictor = Predictor(model, SMALL, CPU, precision, arithmetic="fp32")

    with pytest.raises(CheckpointError, match="aren't finite"):
        walk(predictor, noise)


def test_summary_says_what_was_done(noise: Images) -> None:
    """Counts of images and the measurements that the bound rests on."""
    guarded = guarded_by()
    heads = walk(guarded, noise)
    known = heads["head0"]

    summary = guarded.summary(heads)

    head = summary["heads"]["head0"]
    assert summary["precision"] == "guarded"
    assert summary["calibrated"] == 128
    assert summary["calibrated"] + summary["recomputed"] == (known.state == EXACT).sum()
    assert head["bound"] == summary["safety"] * head["largest_deviation"] > 0
    assert head["compared"] == (known.state == EXACT).sum()
    assert head["changed"] > 0


@pytest.mark.parametrize("precision", ["fp32", "guarded"])
def test_ties_are_counted_once(precision: Any, noise: Images) -> None:
    """Images whose two best logits are equal in fp32, on one of two heads."""

    def tied(x: torch.Tensor) -> dict[str, torch.Tensor]:
        z = linear(x)["head0"]
        z[:3, :2] = 50
        return {"up": z, "down": -z}

    predictor = Predictor(tied, SMALL, CPU, precision, fast=[tied])
    crops, labels, _ = noise

    summary = predictor.summary(walk(predictor, (crops[:10], labels[:10], SMALL)))

    assert (summary["precision"], summary["arithmetic"]) == (precision, "fp32")
    assert summary["ties"] == 3
