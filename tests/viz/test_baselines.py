"""Figures look as they did when somebody looked at them.

A failing test writes what it drew beside the expected picture's name in a temporary folder and says
where. Look at it; if it is right, copy it over the one in `baselines/`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mixzoo.viz.grid import Column, Key, Row, Tile, draw_grid
from mixzoo.viz.mix import mix_pair, mix_rows, reference_figure
from mixzoo.viz.save import save_figure
from mixzoo.viz.themes import DARK, LIGHT, Theme
from PIL import Image

BASELINES = Path(__file__).with_name("baselines")
DOTS_PER_INCH = 60
# Text is rasterised a little differently by other versions of FreeType, edges by those of Agg.
MEAN, SHARE = 1.5, 0.02  # grey levels on average; share of pixels that differ by more than 40


def disc(number: int) -> np.ndarray:
    """A picture that packs well: a disc of a colour of its own before another, (64, 64, 3) uint8."""
    rows, columns = np.ogrid[:64, :64]
    inside = (rows - 24 - 4 * number) ** 2 + (columns - 40 + 4 * number) ** 2 < 14**2
    colours = np.array([[40 * number, 200, 90], [230, 30 * number, 160]], np.uint8)
    return colours[inside.astype(int)]


PAIRS = [(disc(0), disc(1)), (disc(2), disc(3))]
NAMES = [("Passerofabula alifera", "b"), ("c", "a_name_too_long_to_stand_on_two_lines_of_it")]


def grid(theme: Theme) -> Figure:
    return draw_grid(mix_rows(PAIRS, ["mixup", "cutmix"], [0.6], names=NAMES), theme, title="λ 0.6")


def sweep() -> Figure:
    return draw_grid(mix_rows(PAIRS[:1], ["mixup", "cutmix"], [0.2, 0.5, 0.8]))


def marked() -> Figure:
    mask = np.add.outer(np.arange(64), np.arange(64)) / 126
    tiles = (Tile(disc(0), "framed", mark=(0.25, 0.5, 0.125, 0.125)), Tile(disc(1)[:40]))
    columns = (Column(tiles, "title"), Column((Tile(disc(2), "line", contour=mask),), "other"))
    return draw_grid([Row(columns, label="label", key=Key("low", "high", "a note"))], tile=1)


def reference() -> Figure:
    mixes = [mix_pair(a, b, "cutmix", [0.5])[0] for a, b in PAIRS]
    beside = np.tile(disc(4), (2, 3, 1))
    return reference_figure(PAIRS, mixes, DARK, title="ours", beside=(beside, "theirs"))


DRAWN: dict[str, Callable[[], Figure]] = {
    "grid-light": lambda: grid(LIGHT),
    "grid-dark": lambda: grid(DARK),
    "sweep": sweep,
    "marked": marked,
    "reference-dark": reference,
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_figure_looks_as_it_did(name: str, tmp_path: Path) -> None:
    """Same size, and the same picture but for what another rasteriser changes."""
    drawn = tmp_path / f"{name}.png"

    save_figure(DRAWN[name](), drawn, dpi=DOTS_PER_INCH)

    with Image.open(drawn) as one, Image.open(BASELINES / f"{name}.png") as other:
        assert one.size == other.size, f"look at {drawn}"
        pair = [np.asarray(image.convert("RGB")).astype(int) for image in (one, other)]
    difference = np.abs(pair[0] - pair[1])
    assert difference.mean() < MEAN, f"look at {drawn}"
    assert (difference.max(axis=2) > 40).mean() < SHARE, f"look at {drawn}"
