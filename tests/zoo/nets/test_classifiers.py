"""Whole classifiers: heads, passes, and mixing as the released models do it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

TINY = ResNetConfig(50, base_width=8)


@pytest.fixture
def mixer(entries_of: Callable) -> MixClassifier:
    """A small SAMix classifier in eval mode."""
    model = MixClassifier(TINY, 5, "samix").eval()
    model.load_state_dict(entries_of(model, seed_mix_block=11))  # neither flat nor saturated
    return model


@pytest.fixture
def images() -> torch.Tensor:
    """Four normalised images of 64x64."""
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


PERM = torch.tensor([1, 2, 3, 0])


def test_a_plain_classifier_has_one_head(entries_of: Callable, images: torch.Tensor) -> None:
    """`logits` of a plain classifier is what `forward` gives, under `head0`."""
    model = Classifier(TINY, 5).eval()
    model.load_state_dict(entries_of(model))

    with torch.inference_mode():
        logits = model.logits(images)

        assert logits.keys() == {"head0"}
        torch.testing.assert_close(logits["head0"], model(images), rtol=0, atol=0)
    assert logits["head0"].shape == (4, 5)


def test_features_heads_and_backbone_of_both_kinds(
    mixer: MixClassifier, images: torch.Tensor
) -> None:
    """Pooled features give the logits, maps are the backbone's; a new head has a backbone's copy."""
    mixer.head_name = "one_q"
    for model in (Classifier(TINY, 5).eval(), mixer):
        head = model.head if isinstance(model, Classifier) else model.head_one_q
        with torch.inference_mode():
            pooled, maps = model.features(images), model.features(images, maps=True)

            torch.testing.assert_close(head.fc(pooled), model(images))
            assert torch.equal(maps, model.backbone(images))
        tuned = model.with_head(3)
        assert tuned.head.fc.weight.shape == (3, pooled.shape[1])
        own, copied = (next(one.backbone.parameters()) for one in (model, tuned))
        assert torch.equal(own, copied)
        assert own is not copied
        with pytest.raises(UsageError, match="1 class or more, got 0"):
            model.with_head(0)


def test_each_backbone_runs_once_for_all_heads(mixer: MixClassifier, images: torch.Tensor) -> None:
    """Four heads cost two backbone passes, one head costs one."""
    ran = []
    mixer.backbone_q.register_forward_hook(lambda *_: ran.append("q"))
    mixer.backbone_k.register_forward_hook(lambda *_: ran.append("k"))

    with torch.inference_mode():
        mixer.logits(images)
        mixer(images)

    assert ran == ["k", "q", "k"]


def test_a_sweep_uses_one_feature_pass_and_equals_single_calls(
    mixer: MixClassifier, images: torch.Tensor
) -> None:
    """Several lambdas at once give what they give one by one, for one pass of the backbone."""
    ran = []
    hook = mixer.backbone_k.register_forward_hook(lambda *_: ran.append("k"))
    lams = [0.05, 0.3, 0.7]

    sweep = mixer.mix(images, lams, PERM)

    hook.remove()
    assert ran == ["k"]
    assert sweep.images.shape == (3, 4, 3, 64, 64)
    assert sweep.mask.shape == (3, 4, 1, 64, 64)
    for i, lam in enumerate(lams):
        one = mixer.mix(images, lam, PERM)
        torch.testing.assert_close(sweep.images[i], one.images, rtol=0, atol=0)
        torch.testing.assert_close(sweep.mask[i], one.mask, rtol=0, atol=0)
        assert sweep.lam[i] == one.lam


def test_mixed_images_are_the_mask_of_the_first(mixer: MixClassifier, images: torch.Tensor) -> None:
    """The mask weights the first image; the rest is its partner."""
    mixed = mixer.mix(images, 0.4, PERM)

    expected = mixed.mask * images + (1 - mixed.mask) * images[PERM]
    torch.testing.assert_close(mixed.images, expected)
    assert mixed.mask.std() > 0.1


@pytest.mark.parametrize("lam", [0.0, 0.08, 0.95])
def test_inside_the_margin_mixing_is_plain_mixup(
    lam: float, mixer: MixClassifier, images: torch.Tensor
) -> None:
    """The mask is lam everywhere, also where a mean was asked for."""
    mixed = mixer.mix(images, lam, PERM, mask_mean=0.5)

    torch.testing.assert_close(mixed.mask, torch.full((4, 1, 64, 64), lam))


def test_a_mean_that_is_asked_for_is_met(mixer: MixClassifier, images: torch.Tensor) -> None:
    """`mask_mean` moves each mask to that share of the first image."""
    mixed = mixer.mix(images, 0.4, PERM, mask_mean=0.6)

    torch.testing.assert_close(mixed.mask.mean(dim=(1, 2, 3)), torch.full((4,), 0.6))


def test_mixing_leaves_model_and_images_alone(mixer: MixClassifier, images: torch.Tensor) -> None:
    """No statistics move, in training mode they would; and nothing is written to the input."""
    entries = {name: value.clone() for name, value in mixer.state_dict().items()}
    before = images.clone()

    mixer.mix(images, 0.4, PERM)

    assert torch.equal(images, before)
    assert all(torch.equal(value, entries[name]) for name, value in mixer.state_dict().items())
    with pytest.raises(UsageError, match=r"call model.eval\(\) first"):
        mixer.train().mix(images, 0.4, PERM)


@pytest.mark.parametrize("lam", [-0.1, 1.1, [], [0.5, 2.0], float("nan")])
def test_an_impossible_lam_is_refused(lam: Any, mixer: MixClassifier, images: torch.Tensor) -> None:
    """A weight outside [0, 1] is no weight."""
    with pytest.raises(UsageError, match=r"expected lam in \[0, 1\]"):
        mixer.mix(images, lam, PERM)


@pytest.fixture(scope="module", params=["automix", "samix"])
def released(request: pytest.FixtureRequest, entries_of: Callable, golden: Path) -> tuple:
    """The ResNet-50 of the real configuration (with few classes) and its recorded cases."""
    cases = json.loads((golden / "pixel_mixup" / "cases.json").read_text())
    mine = {name: case for name, case in cases.items() if name.startswith(f"{request.param}_224")}
    seeds = next(iter(mine.values()))
    model = MixClassifier(ResNetConfig(50), 2, request.param).eval()
    model.load_state_dict(entries_of(model, seeds["seed"], seeds["seed_mix_block"]))
    return model, mine


@pytest.mark.parametrize("case", ["a", "margin", "adjust"])
def test_photographs_are_mixed_as_the_reference_mixes_them(
    case: str, released: tuple, shared: Path, golden: Path, regenerate: ModuleType
) -> None:
    """Photographs to features to masks to mixed photographs, at the released size."""
    model, cases = released
    name = f"{model.method}_224_{case}"
    recorded = cases[name]
    lam_mb, lam = recorded["lam"]
    photos = regenerate.photos(shared / "golden" / "images" / "crops", recorded["images"])

    mixed = model.mix(
        torch.from_numpy(photos),
        lam,
        torch.tensor(recorded["index_bb"]),
        mask_mean=lam_mb if recorded["mask_adjust"] else None,
    )

    with np.load(golden / "pixel_mixup" / "arrays.npz", allow_pickle=False) as arrays:
        expected = arrays[f"{name}_img_mix_bb"]
        mask = 1 - arrays[f"{name}_mask_bb1_before_adjust"]
    np.testing.assert_allclose(mixed.images[:, :, 5::16, 5::16], expected, rtol=0, atol=1e-4)
    if case == "a":
        np.testing.assert_allclose(mixed.mask[:, 0, 5::16, 5::16], mask, rtol=1e-4, atol=4e-5)
