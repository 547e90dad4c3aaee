"""AutoMix's and SAMix's mixing against the recorded one, and what it promises."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.train.mixing import automix, draw_automix, mixup
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import MixClassifier, ResNetConfig
from mixzoo.zoo.nets.classifiers import MIX_BLOCKS
from mixzoo.zoo.nets.mixblock import MixBlock

CASES = ["a", "margin_hi", "adjust", "adjust_margin"]
ROUNDING = {torch.float32: 1e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}
PERM = torch.tensor([2, 0, 1])

both_methods = pytest.mark.parametrize("method", MIX_BLOCKS)
lams = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def recorded(golden: Path, regenerate: ModuleType) -> Callable[[str], tuple[Any, ...]]:
    """A case of pixel_mixup/ by name: record, arrays, images, features and block in eval mode."""

    def load(name: str) -> tuple[Any, ...]:
        case = json.loads((golden / "pixel_mixup/cases.json").read_text())[name]
        with np.load(golden / "pixel_mixup/arrays.npz", allow_pickle=False) as stored:
            arrays = {key.removeprefix(f"{name}_"): stored[key] for key in stored if name in key}
        images = regenerate.blocky(case["seed_inputs"], "small_images", (4, 3, 32, 32), 8)
        features = regenerate.features(case["seed_inputs"], "small_feat", 4, 64, 8, 8)
        assert regenerate.sha256(images) == case["image_sha256"]
        assert regenerate.sha256(features) == case["feature_sha256"]
        block = MIX_BLOCKS[name.split("_", maxsplit=1)[0]](64).eval()
        weights = {
            key: torch.from_numpy(
                regenerate.weight(case["seed_mix_block"], f"mix_block.{key}", value.shape)
            )
            for key, value in block.state_dict().items()
        }
        block.load_state_dict(weights)
        return case, arrays, torch.from_numpy(images), torch.from_numpy(features), block

    return load


@pytest.mark.parametrize("case_name", CASES)
@both_methods
def test_copy_for_the_backbone_equals_the_recorded_one(
    method: str, case_name: str, recorded: Callable
) -> None:
    """Masks moved to the other copy's lam, and plain MixUp inside the margin, whichever is on."""
    case, arrays, x, features, block = recorded(f"{method}_32_{case_name}")
    lam_mb, lam_bb = case["lam"]

    with torch.no_grad():
        mixed = automix(
            x,
            features,
            block,
            torch.tensor(case["index_bb"]),
            lam_bb,
            mask_mean=lam_mb if case["mask_adjust"] else None,
            lam_margin=case["lam_margin"],
        )

    step = 1 if case["stored"] == "full" else 2
    np.testing.assert_allclose(
        mixed.images[:, :, ::step, ::step], arrays["img_mix_bb"], rtol=1e-4, atol=1e-5
    )
    assert mixed.lam.tolist() == pytest.approx([lam_bb] * 4)


@both_methods
def test_copy_for_the_block_equals_the_recorded_one(method: str, recorded: Callable) -> None:
    """Neither margin nor rescaling: images and mask as the block makes them."""
    case, arrays, x, features, block = recorded(f"{method}_32_a")

    with torch.no_grad():
        mixed = automix(x, features, block, torch.tensor(case["index_mb"]), case["lam"][0])

    np.testing.assert_allclose(mixed.images, arrays["img_mix_mb"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(1 - mixed.mask[:, 0], arrays["mask_mb1"], rtol=1e-4, atol=2e-5)


def batch(method: str, seed: int) -> tuple[torch.Tensor, torch.Tensor, MixBlock]:
    """Three images, features of a quarter of their size, and a block in training mode."""
    generator = torch.Generator().manual_seed(seed)
    block = MIX_BLOCKS[method](8)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    x = torch.randn(3, 3, 16, 24, generator=generator)
    return x, torch.rand(3, 8, 4, 6, generator=generator), block


@both_methods
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=seeds,
    lam=lams,
    dtype=st.sampled_from(list(ROUNDING)),
    mask_mean=st.none() | lams,
    margin=st.none() | st.floats(0, 0.5),
)
def test_picture_is_where_the_mask_says(method, seed, lam, dtype, mask_mean, margin):
    """Masks are in [0, 1], pixels are their blend, weights are lam, whatever was asked for."""
    x, features, block = batch(method, seed)
    x = x.to(dtype)
    before = x.clone(), features.clone()

    mixed = automix(x, features, block, PERM, lam, mask_mean=mask_mean, lam_margin=margin)

    assert mixed.images.dtype == mixed.mask.dtype == dtype
    assert mixed.mask.shape == (3, 1, 16, 24)
    assert mixed.mask.min() >= 0
    assert mixed.mask.max() <= 1
    assert mixed.lam.tolist() == pytest.approx([lam] * 3)
    own, mask = x.float(), mixed.mask.float()
    expected = mask * own + (1 - mask) * own[mixed.perm]
    assert (mixed.images.float() - expected).abs().max() <= 8 * ROUNDING[dtype]
    assert torch.equal(x, before[0])
    assert torch.equal(features, before[1])


@both_methods
@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=seeds, lam=lams)
def test_the_order_of_the_batch_does_not_matter(method, seed, lam):
    """Mixing a shuffled batch with shuffled partners shuffles the result, and nothing else."""
    x, features, block = batch(method, seed)
    order = torch.tensor([1, 2, 0])
    place = order.argsort()

    mixed = automix(x, features, block, PERM, lam)
    shuffled = automix(x[order], features[order], block, place[PERM[order]], lam)

    torch.testing.assert_close(shuffled.mask, mixed.mask[order])
    torch.testing.assert_close(shuffled.images, mixed.images[order])


@both_methods
@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=seeds, lam=st.floats(0, 0.08) | st.floats(0.92, 1))
def test_inside_the_margin_it_is_mixup(method, seed, lam):
    """Near 0 and 1 the mask is lam everywhere, also if it was to be rescaled."""
    x, features, block = batch(method, seed)

    mixed = automix(x, features, block, PERM, lam, mask_mean=0.5, lam_margin=0.08001)

    expected = mixup(x, PERM, lam)
    torch.testing.assert_close(mixed.images, expected.images)
    torch.testing.assert_close(mixed.mask, expected.mask.contiguous())


@both_methods
def test_without_a_margin_it_is_never_mixup(method: str) -> None:
    """At lam 0 and 1, too, the mask is the block's, so the block can learn there."""
    x, features, block = batch(method, 0)

    for lam in (0.0, 1.0):
        assert automix(x, features, block, PERM, lam).mask.std() > 1e-3


@both_methods
def test_rescaling_moves_each_mask_and_no_label(method: str) -> None:
    """Each mask has the asked mean; the label weight stays lam."""
    x, features, block = batch(method, 0)

    mixed = automix(x, features, block, PERM, 0.7, mask_mean=0.2)

    torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), torch.full((3,), 0.2))
    assert mixed.lam.tolist() == pytest.approx([0.7] * 3)


@both_methods
def test_gradients_reach_the_block(method: str) -> None:
    """Every parameter of the block learns from the mixed images."""
    x, features, block = batch(method, 0)

    automix(x, features, block, PERM, 0.4).images.square().sum().backward()

    assert all(parameter.grad.abs().sum() > 0 for parameter in block.parameters())


def test_dropped_places_change_the_mask() -> None:
    """SAMix's dropout map reaches the block."""
    x, features, block = batch("samix", 0)
    keep = torch.rand(3, 1, 4, 6, generator=torch.Generator().manual_seed(0)) > 0.5

    whole = automix(x, features, block, PERM, 0.4)
    dropped = automix(x, features, block, PERM, 0.4, keep)

    assert (whole.mask - dropped.mask).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("width", "lam", "message"), [(22, 0.5, "sides are multiples"), (24, 1.5, "lam in")]
)
def test_what_does_not_fit_is_refused(width: int, lam: float, message: str) -> None:
    """A mask can only be enlarged by whole numbers, and the block would make some mask of any lam."""
    x, features, block = batch("automix", 0)

    with pytest.raises(UsageError, match=message):
        automix(x[..., :width], features, block, PERM, lam)


@pytest.mark.parametrize(
    ("name", "side", "cells"), [("resnet18_w4", 64, 4), ("resnet18_cifar_w4", 32, 8)]
)
def test_dropout_is_drawn_for_the_features(name: str, side: int, cells: int) -> None:
    """SAMix keeps nine of ten places of a map as large as the features of stage 3."""
    model = MixClassifier(ResNetConfig.from_name(name), 10, "samix")
    shape = (400, 3, side, 2 * side)

    draw = draw_automix(np.random.default_rng(0), shape, 2.0, model)

    for one in (draw.mb, draw.bb):
        assert one.keep.shape == (400, 1, cells, 2 * cells)
        assert one.keep.float().mean().item() == pytest.approx(0.9, abs=0.01)
    assert not torch.equal(draw.mb.keep, draw.bb.keep)
    assert model.backbone_k(torch.zeros(1, *shape[1:]), stop=3).shape[2:] == (cells, 2 * cells)


@pytest.fixture
def model() -> MixClassifier:
    """An AutoMix model."""
    return MixClassifier(ResNetConfig.from_name("resnet18_cifar_w4"), 10, "automix")


def test_one_seed_gives_one_draw(model: MixClassifier) -> None:
    """Partners, weights and all else come from the generator; AutoMix has no dropout."""
    draws = [
        draw_automix(np.random.default_rng(seed), (64, 3, 8, 8), 2.0, model) for seed in (3, 3, 4)
    ]

    assert str(draws[0]) == str(draws[1]) != str(draws[2])
    assert draws[0].mb.lam != draws[0].bb.lam
    assert not torch.equal(draws[0].mb.perm, draws[0].bb.perm)
    assert draws[0].mb.keep is draws[0].bb.keep is None


@pytest.mark.parametrize("mask_adjust", [0.0, 0.25, 1.0])
def test_rescaling_is_drawn_as_often_as_asked(mask_adjust: float, model: MixClassifier) -> None:
    """With the probability `mask_adjust`; never and always at its ends."""
    rng = np.random.default_rng(0)

    adjusted = [draw_automix(rng, (4, 3, 8, 8), 2.0, model, mask_adjust).adjust for _ in range(200)]

    assert np.mean(adjusted) == pytest.approx(
        mask_adjust, abs=0.1 * mask_adjust * (mask_adjust < 1)
    )


def test_a_weight_needs_a_positive_alpha(model: MixClassifier) -> None:
    """The error says what to do without mixing."""
    with pytest.raises(UsageError, match="vanilla"):
        draw_automix(np.random.default_rng(0), (4, 3, 8, 8), 0.0, model)
