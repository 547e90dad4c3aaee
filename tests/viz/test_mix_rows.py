"""Rows of a grid hold what was mixed where a reader looks for it; the releases' layout has three rows."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mixzoo.viz.grid import draw_grid
from mixzoo.viz.mix import (
    IMAGENET,
    MixedPair,
    Pairs,
    mask_tile,
    mix_column,
    mix_pair,
    mix_rows,
    mixed_tile,
    reference_figure,
    three_rows,
    to_pixels,
)
from mixzoo.zoo.nets import MixClassifier, ResNetConfig
from PIL import Image
from torchvision.utils import make_grid


def shown(figure: Figure) -> list[np.ndarray]:
    """The pictures of a figure, in the order in which they were drawn."""
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def test_one_weight_makes_a_column_for_each_method(picture: Callable) -> None:
    """A row for each pair; sources at the left, each mix above its mask."""
    pairs = [(picture(0), picture(1)), (picture(2), picture(3))]

    rows = mix_rows(Pairs(pairs, [("ant", "bee"), ("cat", "dog")]), ["mixup", "cutmix"], [0.4])

    assert [[column.title for column in row.columns] for row in rows] == [
        ["sources", "mixup", "cutmix"]
    ] * 2
    assert [tile.caption for tile in rows[1].columns[0].tiles] == ["A: cat", "B: dog"]
    assert all(
        tile.image is one for tile, one in zip(rows[1].columns[0].tiles, pairs[1], strict=True)
    )
    expected = mix_pair(*pairs[1], "cutmix", [0.4], seed=1)[0]
    assert np.array_equal(rows[1].columns[2].tiles[0].image, expected.image)
    assert np.array_equal(rows[1].columns[2].tiles[1].contour, expected.mask)
    assert {row.label for row in rows} == {""}


def test_several_weights_make_a_column_each(picture: Callable) -> None:
    """A row for each pair and method, the method written at its left."""
    rows = mix_rows(Pairs([(picture(0), picture(1))]), ["mixup", "fmix"], [0.1, 0.5, 0.9])

    assert [row.label for row in rows] == ["mixup", "fmix"]
    titles = [column.title for column in rows[0].columns]
    assert titles == ["sources", "λ 0.1", "λ 0.5", "λ 0.9"]
    assert [tile.caption for tile in rows[0].columns[0].tiles] == ["A", "B"]


def test_label_weights_and_the_masks_share_are_written_below() -> None:
    """The label's weights may differ from lam, and the mask's mean from both."""
    mask = np.zeros((8, 8), np.float32)
    mask[:, :6] = 1
    mixed = MixedPair(np.zeros((8, 8, 3), np.uint8), mask, 0.6249, 0.5, "fmix")

    column = mix_column(mixed, "title")

    assert column.tiles[0].caption == mixed_tile(mixed).caption == "A 0.62 · B 0.38"
    assert column.tiles[1].caption == mask_tile(mixed).caption == "mask 0.75 A"
    assert column.title == "title"


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_grids_show_the_recorded_photographs(
    method: str, released: Callable, shared: Path, golden: Path
) -> None:
    """The reference's mixes of four photographs stand in the figure, to a grey level."""
    name = f"{method}_224_a"
    recorded = json.loads((golden / "pixel_mixup" / "cases.json").read_text())[name]
    folder = shared / "golden" / "images" / "crops"
    photos = [np.asarray(Image.open(folder / f"{one}.png")) for one in recorded["images"]]
    pairs = Pairs([(photos[i], photos[j]) for i, j in enumerate(recorded["index_bb"])])
    rows = mix_rows(pairs, [method], [recorded["lam"][1]], model=released(method))

    drawn = shown(draw_grid(rows))

    mixes = np.stack(drawn[1 : 4 * len(photos) : 4])  # A, mix, B, mask of each pair
    with np.load(golden / "pixel_mixup" / "arrays.npz", allow_pickle=False) as arrays:
        expected = to_pixels(torch.from_numpy(arrays[f"{name}_img_mix_bb"]), IMAGENET)
    difference = np.abs(mixes[:, 5::16, 5::16].astype(int) - expected)
    assert difference.max() <= 1  # where a value lies between two grey levels
    assert (difference > 0).mean() < 0.005


@pytest.fixture(scope="module")
def released(golden: Path, regenerate: ModuleType) -> Callable[[str], MixClassifier]:
    """The ResNet-50 of the real configuration (with few classes), with the recorded weights."""
    cases = json.loads((golden / "pixel_mixup" / "cases.json").read_text())
    models: dict[str, MixClassifier] = {}

    def released(method: str) -> MixClassifier:
        if method not in models:
            seeds = cases[f"{method}_224_a"]
            model = MixClassifier(ResNetConfig(50), 2, method).eval()
            shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
            arrays = regenerate.state(shapes, seeds["seed"], seeds["seed_mix_block"])
            model.load_state_dict({key: torch.from_numpy(one) for key, one in arrays.items()})
            models[method] = model
        return models[method]

    return released


def test_rows_and_padding_are_those_of_the_reference(picture: Callable) -> None:
    """OpenMixup calls torchvision's make_grid on A, B and mixes, four in a row, two pixels apart."""
    pairs = [(picture(i), picture(i + 4)) for i in range(4)]
    mixes = [mix_pair(a, b, "cutmix", [0.5])[0] for a, b in pairs]
    stack = [*(a for a, _ in pairs), *(b for _, b in pairs), *(one.image for one in mixes)]
    tensor = torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2)
    grid = make_grid(tensor, nrow=4, pad_value=1).permute(1, 2, 0).numpy()

    sheet = three_rows(pairs, mixes)

    padding = (grid == 1).all(axis=2)
    assert sheet.shape == grid.shape
    assert (sheet[padding] == (124, 116, 104)).all()  # a normalised 0
    assert np.array_equal(sheet[~padding], grid[~padding])


def test_a_released_picture_stands_beside_ours(picture: Callable) -> None:
    """As high as ours, without its white margins, each under its own title."""
    pairs = [(picture(0), picture(1))]
    mixes = [mix_pair(*pairs[0], "mixup", [0.5])[0]]
    other = np.full((90, 100, 3), 255, np.uint8)
    other[20:60, 30:80] = 7

    figure = reference_figure(pairs, mixes, title="ours", beside=(other, "theirs"))

    ours, theirs = figure.axes[0].images
    assert np.array_equal(ours.get_array(), three_rows(pairs, mixes))
    assert theirs.get_array().shape == (40, 50, 3)
    assert ours.get_extent()[2:] == theirs.get_extent()[2:]
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["A", "B", "mixed", "ours", "theirs"]


def test_an_even_picture_is_not_trimmed_away(picture: Callable) -> None:
    """All margin is no margin."""
    pairs = [(picture(0), picture(1))]
    blank = np.zeros((8, 8, 3), np.uint8)

    figure = reference_figure(pairs, [mix_pair(*pairs[0], "mixup", [0.5])[0]], beside=(blank, ""))

    assert figure.axes[0].images[1].get_array().shape == (8, 8, 3)
