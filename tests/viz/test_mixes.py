"""Grids show exactly what they are given."""

import numpy as np
import torch
from mixzoo.train.mixing import cutmix
from mixzoo.viz import Tile, draw_grid, mixed_tile, source_tile


def photo(seed: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((images / 255 - mean) / std).permute(0, 3, 1, 2)


def test_tile_of_a_mix_holds_its_pixels_mask_and_weights() -> None:
    """Pixels come back from normalisation to the grey level; the caption tells the label weights."""
    images = torch.stack([photo(0), photo(1)])
    mixed = cutmix(normalised(images), torch.tensor([1, 0]), lam=0.75, row=32, col=32)

    tile = mixed_tile("cutmix", mixed)

    mask = mixed.mask[0, 0].bool()[..., None]
    assert np.array_equal(tile.image, torch.where(mask, images[0], images[1]).numpy())
    assert np.array_equal(tile.mask, mixed.mask[0, 0].numpy())
    assert tile.caption == "label 0.75 A, 0.25 B"


def test_grid_shows_every_tile_and_its_mask() -> None:
    """Two lines of three tiles: pictures above, masks below, sources without a mask."""
    mask = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    row = [
        source_tile("A", photo(0)),
        source_tile("B", photo(1)),
        Tile(photo(2).numpy(), "mixup", "label", mask),
    ]

    figure = draw_grid([row, row])

    axes = np.array(figure.axes).reshape(4, 3)
    assert np.array_equal(axes[0, 2].images[0].get_array(), row[2].image)
    assert np.array_equal(axes[1, 2].images[0].get_array(), mask)
    assert axes[1, 2].images[0].get_clim() == (0, 1)
    assert [axis.get_title() for axis in axes[2]] == ["A", "B", "mixup"]
    assert not axes[1, 0].images
    assert axes[0, 2].get_xlabel() == "label"
