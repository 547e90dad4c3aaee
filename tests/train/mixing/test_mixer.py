"""A loop that isn't ours mixes as ours does: targets, losses, workers, ranks."""

from collections.abc import Iterator
from typing import Any

import mixzoo
import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.train.mixing import METHODS, Target, apply, draw_mixture, mix_cross_entropy
from mixzoo.zoo.errors import UsageError
from torch import nn
from torch.utils.data import DataLoader

DRAWN = [name for name in METHODS if name not in ("manifoldmix", "puzzlemix")]
every_lam = pytest.mark.parametrize("lam", ["batch", "sample"])


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Five images and labels: an odd number."""
    return torch.randn((5, 3, 32, 32), generator=torch.Generator().manual_seed(0)), torch.arange(5)


@pytest.mark.parametrize("method", DRAWN)
def test_mixes_what_the_trainer_mixes(
    method: str, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """The same draw, the same images, label weights and loss."""
    images, labels = batch
    rng = np.random.default_rng((3, 0))
    rng.random()  # whether to mix at all
    expected = apply(draw_mixture(rng, (5, 3, 32, 32), (method,), (0.7,))[0], images)
    mixer = mixzoo.Mixer(method, alpha=0.7, seed=3)

    mixed, target = mixer(images, labels)

    assert isinstance(target, Target)
    assert torch.equal(mixed, expected.images)
    assert torch.equal(target.partners, labels[expected.perm])
    logits = torch.randn((5, 5))
    assert mixer.loss(logits, target) == mix_cross_entropy(
        logits, labels, labels[expected.perm], expected.lam
    )


@every_lam
@pytest.mark.parametrize("method", DRAWN)
def test_soft_labels_are_the_same_loss(
    method: str, lam: Any, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Two labels with a weight, or one weight for each class: equal, and whole."""
    settings: dict[str, Any] = {"lam": lam, "variant": "paper", "seed": 1}
    paired, soft = mixzoo.Mixer(method, **settings), mixzoo.Mixer(method, num_classes=5, **settings)

    (one, target), (other, weights) = paired(*batch), soft(*batch)

    assert torch.equal(one, other)
    assert weights.shape == (5, 5)
    torch.testing.assert_close(weights.sum(1), torch.ones(5))
    logits = torch.randn((5, 5))
    torch.testing.assert_close(paired.loss(logits, target), soft.loss(logits, weights))


def test_per_sample_draws_differ(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """And each image is mixed with the partner that its target names."""
    images, labels = batch

    mixed, target = mixzoo.Mixer("mixup", lam="sample")(images, labels)

    assert len(set(target.lam.tolist())) == 5
    lam = target.lam[:, None, None, None]
    partner = images[target.partners]
    torch.testing.assert_close(mixed, lam * images + (1 - lam) * partner)


def test_mixture_keeps_its_probabilities(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The source document's example: MixUp moves all pixels, CutMix some."""
    mixer = mixzoo.Mixer(["mixup", "cutmix"], alpha=[0.8, 1], prob=[0.4, 0.6])

    whole = [(mixer(*batch)[0] != batch[0]).flatten(2).all(2).any().item() for _ in range(400)]

    assert 0.3 < np.mean(whole) < 0.5


def test_mixes_some_batches_only(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """`mixed` of them; the others pass, and all do where timm's switch is off."""
    mixer = mixzoo.Mixer("mixup", mixed=0.25, num_classes=5)

    passed = [torch.equal(mixer(*batch)[0], batch[0]) for _ in range(200)]
    mixer.mixup_enabled = False

    assert 0.65 < np.mean(passed) < 0.85
    images, target = mixer(*batch)
    assert torch.equal(images, batch[0])
    assert torch.equal(target, torch.eye(5))


def test_puzzlemix_asks_the_classifier(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """And says so where it isn't given."""
    mixer = mixzoo.Mixer("puzzlemix")
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )

    mixed, _ = mixer(*batch, model)

    assert mixed.shape == batch[0].shape
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(UsageError, match=r"mixer\(images, labels, model\)"):
        mixer(*batch)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@every_lam
def test_precision_of_images_stays(dtype: torch.dtype, lam: Any) -> None:
    """Label weights are float32 in any."""
    mixed, target = mixzoo.Mixer("cutmix", lam=lam)(
        torch.randn(2, 3, 8, 8, dtype=dtype), torch.arange(2)
    )

    assert (mixed.dtype, target.lam.dtype) == (dtype, torch.float32)


class Numbered(torch.utils.data.Dataset):
    """Images whose pixels are their number."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((3, 8, 8), float(index)), index


def test_workers_draw_their_own() -> None:
    """As `collate_fn`: two workers, two epochs, no lam twice; the same again with torch's seed."""

    def lams() -> Iterator[float]:
        torch.manual_seed(0)
        loader = DataLoader(Numbered(), 4, num_workers=2, collate_fn=mixzoo.Mixer("mixup").collate)
        for _ in range(2):
            for _, target in loader:
                yield target.lam[0].item()

    found = list(lams())

    assert len(set(found)) == 8
    assert found == list(lams())


def test_ranks_draw_their_own(
    batch: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of a group mix by different weights."""
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    lams = []
    for rank in range(3):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        lams.append(mixzoo.Mixer("mixup")(*batch)[1].lam[0].item())

    assert len(set(lams)) == 3


def test_goes_on_from_a_state_dict(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The next draw is the one that would have come."""
    mixer, other = mixzoo.Mixer("mixup"), mixzoo.Mixer("mixup")
    mixer(*batch)

    other.load_state_dict(mixer.state_dict())

    assert torch.equal(mixer(*batch)[0], other(*batch)[0])


@given(n=st.integers(1, 9), method=st.sampled_from(DRAWN), lam=st.sampled_from(["batch", "sample"]))
def test_any_batch(n: int, method: str, lam: Any) -> None:
    """Weights stay in [0, 1], labels are those of the batch, the input isn't written to."""
    images, labels = torch.randn((n, 3, 16, 16)), torch.arange(n)
    before = images.clone()

    mixed, target = mixzoo.Mixer(method, lam=lam)(images, labels)

    assert torch.equal(images, before)
    assert mixed.shape == images.shape
    assert torch.equal(target.labels, labels)
    assert set(target.partners.tolist()) <= set(labels.tolist())
    assert ((target.lam >= 0) & (target.lam <= 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": "automix"}, "automix learns its masks .* by mixzoo.AutoMix"),
        ({"methods": "manifoldmix"}, "mixes inside the network"),
        ({"methods": "mixdown"}, "no mixing method 'mixdown'"),
        ({"methods": ["mixup", "cutmix"], "alpha": [1.0]}, "one alpha for each"),
        ({"methods": ["mixup", "cutmix"], "prob": [0.5, 0.6]}, "sum to 1"),
        ({"methods": "mixup", "smoothing": 1.0}, "less than 1, got 1.0"),
        ({"methods": "mixup", "smoothing": 0.1}, "give num_classes too"),
        ({"methods": "mixup", "lam": "pixel"}, "lam to be one of batch, sample, got 'pixel'"),
        ({"methods": "mixup", "variant": "foo"}, "one of openmixup, paper, got 'foo'"),
        ({"methods": "mixup", "num_classes": "10"}, "or none, got '10'"),
        ({"methods": "mixup", "num_classes": 0}, "a whole number of 1 to"),
        ({"methods": "mixup", "seed": -1}, "expected seed to be a whole number of 0 to"),
        ({"methods": "mixup", "seed": "x"}, "got 'x'"),
        ({"methods": "mixup", "prob": 0.5}, "prob to be a list, each a number of 0 to 1, or none"),
        ({"methods": "mixup", "alpha": "a"}, "or a list, each a number of .* got 'a'"),
        ({"methods": "mixup", "alpha": None}, "alpha to be .* got none"),
        ({"methods": "mixup", "alpha": float("nan")}, "got nan"),
        ({"methods": "mixup", "mixed": nn.Linear(1, 1)}, "mixed to be .* got a torch.nn"),
        ({"methods": []}, "expected a mixing method, got none"),
        ({"methods": None}, "methods to be a list, each text, got none"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, message: str) -> None:
    """Before anything is mixed."""
    with pytest.raises(UsageError, match=message) as refused:
        mixzoo.Mixer(**arguments)

    assert "\n" not in str(refused.value)


def test_numbers_of_numpy_and_torch_are_numbers(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Alone, in lists and as arrays; labels of few bytes count as int64."""
    mixer = mixzoo.Mixer(
        ["mixup", "cutmix"],
        alpha=torch.ones(2),  # type: ignore[arg-type]
        prob=[np.float32(0.5), 0.5],
        num_classes=np.int64(5),  # type: ignore[arg-type]
    )

    _, target = mixer(batch[0], batch[1].to(torch.uint8))

    assert isinstance(target, torch.Tensor)
    assert target.shape == (5, 5)


IMAGES = torch.randn(3, 3, 8, 8)


@pytest.mark.parametrize("mixed", [0, 1])
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.numpy(), torch.arange(3), r"batch \(N, C, H, W\) .* got a numpy.ndarray of shape"),
        (IMAGES[0], torch.tensor([1]), r"batch \(N, C, H, W\) .* of shape \(3, 8, 8\)"),
        (IMAGES.to(torch.uint8), torch.arange(3), "torch.uint8; convert"),
        (IMAGES, [0, 1, 2], "one whole number as label for each of 3 images, got a list"),
        (IMAGES, np.arange(3), "got a numpy.ndarray"),
        (IMAGES, torch.arange(3), "expected labels of 0 to 1, got 0 to 2"),
        (IMAGES, torch.arange(-1, 2), "got -1 to 1"),
    ],
)
def test_no_batch_is_refused(mixed: float, images: Any, labels: Any, message: str) -> None:
    """In one line, also where this batch would have passed as it is."""
    with pytest.raises(UsageError, match=message) as refused:
        mixzoo.Mixer("mixup", mixed=mixed, num_classes=2)(images, labels)

    assert "\n" not in str(refused.value)


def test_soft_labels_are_refused(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """They can't be told from a batch that was mixed before."""
    with pytest.raises(UsageError, match="mix before labels become soft"):
        mixzoo.Mixer("mixup")(batch[0], torch.eye(5))
