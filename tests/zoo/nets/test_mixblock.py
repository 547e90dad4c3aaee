"""Mask generators and mask arithmetic against what the reference recorded."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets.classifiers import MIX_BLOCKS
from mixzoo.zoo.nets.mixblock import (
    AutoMixBlock,
    MixBlock,
    SAMixBlock,
    blend,
    first_mask,
    inside_margin,
    mask_loss,
    pixels_per_feature,
    rescale_mask,
)

CASES = ["automix_c1024", "automix_c64", "samix_c1024", "samix_c64"]
LAMS = [0.0, 0.1, 0.35, 0.5, 0.8, 1.0]
SMALL = [
    f"{method}_32_{case}"
    for method in ("automix", "samix")
    for case in ("a", "margin_hi", "adjust", "adjust_margin")
]


def _read(golden: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A case of mixblock/ with its arrays."""
    case = json.loads((golden / "mixblock" / "cases.json").read_text())[name]
    with np.load(golden / "mixblock" / f"{name}.npz", allow_pickle=False) as arrays:
        return case, dict(arrays)


def _block(case: dict[str, Any], seed: int, regenerate: ModuleType) -> MixBlock:
    """The block of a mixblock/ case, with the weights of `seed`."""
    block = MIX_BLOCKS[case["kind"]](case["feature_shape"][1]).eval()
    arrays = {name: regenerate.weight(seed, name, shape) for name, shape in case["state_dict"]}
    block.load_state_dict(
        {name.removeprefix("mix_block."): torch.from_numpy(a) for name, a in arrays.items()}
    )
    return block


@pytest.fixture(scope="module")
def predict(golden: Path, regenerate: ModuleType) -> Callable:
    """Masks of a recorded case by (case, lam, up-sampling), computed once."""

    @cache
    def prepare(name: str) -> tuple[MixBlock, torch.Tensor, dict[str, Any]]:
        case, _ = _read(golden, name)
        seen = regenerate.features(
            case["seed_features"], case["features_name"], *case["feature_shape"]
        )
        assert regenerate.sha256(seen) == case["features_sha256"]
        return _block(case, case["seed_mix_block"], regenerate), torch.from_numpy(seen), case

    @cache
    def predict(name: str, lam: float, up_sampling: str) -> Any:
        block, seen, case = prepare(name)
        perm = torch.tensor(case["index"])
        with torch.inference_mode():
            return block(seen, perm, lam, case["scale_factor"], up_sampling)

    return predict


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("name", CASES)
def test_masks_and_what_they_are_made_of_equal_the_recorded_ones(
    name: str, lam: float, predict: Callable, golden: Path
) -> None:
    """Full masks of the partner, nearest and bilinear; value maps; rows of the attention."""
    case, recorded = _read(golden, name)
    scale, prefix = case["scale_factor"], f"lam{lam}_"
    step = slice(None) if scale == 4 else slice(3, None, 8)

    nearest, bilinear = (predict(name, lam, way) for way in ("nearest", "bilinear"))

    found = {
        "nearest_mask1_lowres": nearest.second[:, 0, ::scale, ::scale],
        "bilinear_mask1" + ("" if scale == 4 else "_stride8off3"): bilinear.second[
            :, 0, step, step
        ],
        "value": nearest.value[:, 0],
        "attention_rows_sample0": nearest.attention[0, :: case["feature_shape"][2]],
    }
    if lam not in (0.1, 0.35):  # of the others no rows were recorded
        del found["attention_rows_sample0"]
    for key, mine in found.items():
        absolute = 1e-4 if key == "value" else 2e-5
        np.testing.assert_allclose(mine, recorded[prefix + key], rtol=1e-4, atol=absolute)
    blocks = nearest.second[:, :, ::scale, ::scale]
    assert torch.equal(
        blocks.repeat_interleave(scale, 2).repeat_interleave(scale, 3), nearest.second
    )


@pytest.mark.parametrize("up_sampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", CASES)
def test_mask_losses_equal_the_recorded_ones(
    name: str, up_sampling: str, predict: Callable, golden: Path
) -> None:
    """All four losses with both margins, at every lam."""
    recorded = _read(golden, name)[0]["mask_loss"]
    mine, theirs = [], []
    for lam in LAMS:
        second = predict(name, lam, up_sampling).second
        for key, value in recorded[f"lam{lam}_{up_sampling}"].items():
            loss, margin = key.split("|margin=")
            mine.append(float(mask_loss(second, lam, loss, float(margin))))
            theirs.append(value)

    assert len(mine) == 48
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-6)


def _pixel_case(golden: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    case = json.loads((golden / "pixel_mixup" / "cases.json").read_text())[name]
    with np.load(golden / "pixel_mixup" / "arrays.npz", allow_pickle=False) as arrays:
        start, _, step = case["stored"].partition("::")
        case["cut"] = slice(None) if start == "full" else slice(int(start), None, int(step))
        return case, {key.removeprefix(name + "_"): arrays[key] for key in arrays if name in key}


@pytest.mark.parametrize("name", SMALL)
def test_images_equal_the_recorded_ones(name: str, golden: Path, regenerate: ModuleType) -> None:
    """Features to masks to mixed images, with rescaled masks and with lam inside the margin."""
    case, recorded = _pixel_case(golden, name)
    block = _block(
        _read(golden, f"{name.split('_', maxsplit=1)[0]}_c64")[0],
        case["seed_mix_block"],
        regenerate,
    )
    seed, cut = case["seed_inputs"], case["cut"]
    images = torch.from_numpy(regenerate.blocky(seed, "small_images", (4, 3, 32, 32), 8))
    seen = torch.from_numpy(regenerate.features(seed, "small_feat", 4, 64, 8, 8))
    perm, (lam_mb, lam) = torch.tensor(case["index_bb"]), case["lam"]

    with torch.inference_mode():
        scale = pixels_per_feature(images, seen)
        second = block(seen, perm, lam, scale).second
        mask = first_mask(
            block,
            seen,
            perm,
            lam,
            scale,
            mask_mean=lam_mb if case["mask_adjust"] else None,
            lam_margin=case["lam_margin"],
        )
        mixed = blend(images, perm, mask)

    assert scale == case["scale_factor"]
    np.testing.assert_allclose(
        second[:, 0, cut, cut], recorded["mask_bb1_before_adjust"], rtol=1e-4, atol=2e-5
    )
    np.testing.assert_allclose(mixed[:, :, cut, cut], recorded["img_mix_bb"], atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_the_default_loss_is_the_recorded_one(
    name: str, golden: Path, regenerate: ModuleType
) -> None:
    """Each method's own up-sampling, loss and margin give the loss of the reference's own call."""
    case, _ = _pixel_case(golden, name)
    block = _block(
        _read(golden, f"{name.split('_', maxsplit=1)[0]}_c64")[0],
        case["seed_mix_block"],
        regenerate,
    )
    seen = torch.from_numpy(regenerate.features(case["seed_inputs"], "small_feat", 4, 64, 8, 8))

    with torch.inference_mode():
        mask = block(seen, torch.tensor(case["index_mb"]), case["lam"][0], 4)
        loss = mask_loss(mask.second, case["lam"][0], block.loss)

    assert float(loss) * case["mask_loss_weight"] == pytest.approx(case["mask_loss"], abs=2e-6)


def _random(block: MixBlock) -> tuple[MixBlock, torch.Tensor, torch.Tensor]:
    """A block with seeded weights, features and partners."""
    generator = torch.Generator().manual_seed(0)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    features = torch.rand(3, 8, 4, 4, generator=generator)
    return block, features, torch.tensor([1, 2, 0])


def test_dropped_values_count_nothing_and_the_rest_more() -> None:
    """SAMix's training dropout: value times keep / 0.9, where the caller says."""
    block, features, perm = _random(SAMixBlock(8).eval())
    keep = torch.ones(3, 1, 4, 4)
    keep[1, 0, 2, 3] = 0

    whole = block(features, perm, 0.4, 2).value
    dropped = block(features, perm, 0.4, 2, keep=keep).value

    torch.testing.assert_close(dropped, whole * keep / 0.9)
    assert dropped[1, 0, 2, 3] == 0


@pytest.mark.parametrize("make", [AutoMixBlock, SAMixBlock])
def test_attention_is_single_precision_under_autocast(make: type[MixBlock]) -> None:
    """Half precision would overflow in the products; so it doesn't get there."""
    block, features, perm = _random(make(8).eval())
    features = features * 1e3

    with torch.autocast("cpu", dtype=torch.float16):
        mask = block(features, perm, 0.5, 2)

    assert mask.attention.dtype == mask.second.dtype == torch.float32
    torch.testing.assert_close(mask.attention.sum(dim=-1), torch.ones(3, 16))
    assert mask.second.isfinite().all()


@pytest.mark.parametrize("target", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_rescaled_mask_has_the_asked_mean_and_stays_a_mask(target: float) -> None:
    """Each sample's mean becomes lam, and no value leaves [0, 1]."""
    mask = torch.rand(5, 1, 6, 7, generator=torch.Generator().manual_seed(0))

    rescaled = rescale_mask(mask, target)

    torch.testing.assert_close(rescaled.mean(dim=(1, 2, 3)), torch.full((5,), target))
    assert rescaled.min() >= 0
    assert rescaled.max() <= 1


@pytest.mark.parametrize(
    ("lam", "inside"), [(0.0, True), (0.08, True), (0.09, False), (0.91, False), (0.93, True)]
)
def test_the_margin_is_at_both_ends(lam: float, inside: bool) -> None:
    """lam near 0 and lam near 1 both mean plain MixUp."""
    assert inside_margin(lam, 0.08) is inside


def test_images_that_do_not_fit_the_features_are_refused() -> None:
    """A mask can only be enlarged by whole numbers."""
    with pytest.raises(UsageError, match="sides are multiples"):
        pixels_per_feature(torch.zeros(1, 3, 230, 230), torch.zeros(1, 8, 15, 15))
