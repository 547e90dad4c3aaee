"""What a MixBlock sees: the maps that the reference recorded, and where the rows show them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mixzoo.viz.maps import BlockMaps, block_maps, map_rows, most_uneven
from mixzoo.viz.mix import Pairs
from mixzoo.zoo.nets.classifiers import MIX_BLOCKS


@pytest.mark.parametrize("name", ["automix_c64", "samix_c64"])
def test_maps_are_the_recorded_ones(
    name: str, picture: Callable, golden: Path, regenerate: ModuleType
) -> None:
    """Value and rows of attention of the reference's own block on its features."""
    case = json.loads((golden / "mixblock" / "cases.json").read_text())[name]
    seen = regenerate.features(case["seed_features"], case["features_name"], *case["feature_shape"])
    pair = torch.from_numpy(seen[[0, case["index"][0]]])
    block = MIX_BLOCKS[case["kind"]](case["feature_shape"][1]).eval()
    arrays = {
        key.removeprefix("mix_block."): regenerate.weight(case["seed_mix_block"], key, shape)
        for key, shape in case["state_dict"]
    }
    block.load_state_dict({key: torch.from_numpy(one) for key, one in arrays.items()})
    h = case["feature_shape"][2]
    # The recording begins at features; the network before it is a stand-in that gives just them.
    model = SimpleNamespace(mix_block=block, backbone_k=lambda x, stop: pair)

    side = h * case["scale_factor"]
    maps = block_maps(picture(0, side), picture(1, side), [0.1, 0.35], model)

    with np.load(golden / "mixblock" / f"{name}.npz", allow_pickle=False) as recorded:
        for one in maps:
            prefix = f"lam{one.lam}_"
            np.testing.assert_allclose(
                one.value, recorded[prefix + "value"][0], rtol=1e-4, atol=1e-4
            )
            np.testing.assert_allclose(
                one.attention.reshape(h * h, h * h)[::h],
                recorded[prefix + "attention_rows_sample0"],
                rtol=1e-4,
                atol=2e-5,
            )


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_value_and_attention_make_the_mask(
    method: str, picture: Callable, learnt: Callable
) -> None:
    """Attention times value, through the sigmoid, is B's weight in the cells of the mix's mask."""
    model, (a, b) = learnt(method), (picture(0), picture(1))
    x = torch.zeros(2, 3, 64, 64)

    (maps,) = block_maps(a, b, [0.4], model)

    logits = np.einsum("ijkl,kl->ij", maps.attention, maps.value)
    cells = 1 / (1 + np.exp(-logits))
    from mixzoo.viz.mix import mix_pair

    mask = mix_pair(a, b, method, [0.4], model=model)[0].mask
    scale = x.shape[-1] // cells.shape[0]
    if method == "automix":  # nearest: each cell is one value
        np.testing.assert_allclose(1 - mask[::scale, ::scale], cells, atol=1e-5)
    assert maps.attention.sum(axis=(2, 3)) == pytest.approx(np.ones(cells.shape), abs=1e-5)
    assert (1 - mask).mean() == pytest.approx(cells.mean(), abs=0.05)


def test_the_least_spread_place_is_chosen() -> None:
    """The row of attention that is nearest to one place, over all maps."""
    even = np.full((2, 3, 2, 3), 1 / 6, np.float32)
    pointed = even.copy()
    pointed[1, 2] = 0
    pointed[1, 2, 0, 1] = 1

    place = most_uneven([BlockMaps(np.zeros((2, 3)), one, 0.5) for one in (even, pointed)])

    assert place == (1, 2)


def test_one_weight_stands_beside_its_maps(picture: Callable, learnt: Callable) -> None:
    """Sources, mix above mask, value above attention; the chosen place is framed in A."""
    pair = picture(0), picture(1)

    model = learnt("automix")

    (row,) = map_rows(Pairs([pair]), [0.5], model=model)

    assert [len(column.tiles) for column in row.columns] == [2, 2, 2]
    cells, (maps,) = 64 // 16, block_maps(*pair, [0.5], model)
    up, left = most_uneven([maps])
    assert row.columns[0].tiles[0].mark == (up / cells, left / cells, 1 / cells, 1 / cells)
    words = [tile.caption for column in row.columns for tile in column.tiles]
    assert words[:3] == ["A", "B", "A 0.50 · B 0.50"]
    assert words[4].startswith("value ")
    assert words[5] == f"attention ≤ {maps.attention[up, left].max():.2g}"


def test_several_weights_stand_side_by_side(picture: Callable, learnt: Callable) -> None:
    """Each with its four pictures, and one framed place for all."""
    (row,) = map_rows(Pairs([(picture(0), picture(1))]), [0.1, 0.5, 0.9], model=learnt("samix"))

    assert [len(column.tiles) for column in row.columns] == [2, 4, 4, 4]
    assert [column.title for column in row.columns[1:]] == ["λ 0.1", "λ 0.5", "λ 0.9"]
