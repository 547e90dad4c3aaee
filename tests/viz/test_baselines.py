"""Figures look as they did when somebody looked at them, with room for other fonts and renderers.

`MIXZOO_WRITE_PICTURES=1 pytest tests/viz/test_baselines.py` stores them anew; look at them then.
"""

import io
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mixzoo.eval.breakdown import by_training_images
from mixzoo.eval.compare import NamedPredictions, compare_rows
from mixzoo.eval.logs import LogAudit
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.curves import curves_plot
from mixzoo.viz.grid import Column, Key, Row, Tile, draw_grid
from mixzoo.viz.groups import grouped, groups_plot
from mixzoo.viz.matrix import comparison_plot
from mixzoo.viz.mix import Pairs, mix_pair, mix_rows, reference_figure
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.table import results_table, table_plot
from mixzoo.viz.themes import DARK, LIGHT, Theme
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.report import Report
from PIL import Image

BASELINES = Path(__file__).with_name("baselines")
DOTS_PER_INCH = 50
TOLERANCE = 4.0  # grey levels, root mean square; a mark that moves by 3 pixels makes more
PLOTS = ("table", "curves", "groups", "comparisons")
GRIDS = ("grid-light", "grid-dark", "sweep", "marked", "reference-dark")
NAMES = [("Passerofabula alifera", "b"), ("c", "a_name_too_long_to_stand_on_two_lines_of_it")]

Draw = Callable[[Theme], Figure]


def disc(number: int) -> np.ndarray:
    """A picture that packs well: a disc of a colour of its own before another, (64, 64, 3) uint8."""
    rows, columns = np.ogrid[:64, :64]
    inside = (rows - 24 - 4 * number) ** 2 + (columns - 40 + 4 * number) ** 2 < 14**2
    colours = np.array([[40 * number, 200, 90], [230, 30 * number, 160]], np.uint8)
    return colours[inside.astype(int)]


@pytest.fixture
def plots(
    report: Report,
    audit: Callable[..., LogAudit],
    automix_log: Path,
    made_up: Callable[..., Predictions],
) -> dict[str, Draw]:
    """All kinds of plots: every verdict's marker, four heads, three panels, better and worse."""
    manifest = open_catalog().benchmark("inat2018").manifest
    bins = by_training_images(made_up(90), {label: 2**label for label in range(7)})
    checkpoints = [replace(one, bins=bins) for one in grouped([report])[:3]]
    misses = {"A": (60, 0), "B": (90, 0), "C": (60, 30), "D": (60, 0)}
    rows = [NamedPredictions(name, made_up(*miss)) for name, miss in misses.items()]
    audits = [audit(automix_log, top1=17.7, decimals=1)]
    return {
        "table": lambda theme: table_plot(results_table(manifest, [report]), theme=theme),
        "curves": lambda theme: curves_plot(audits, theme=theme),
        "groups": lambda theme: groups_plot(checkpoints, theme=theme),
        "comparisons": lambda theme: comparison_plot(compare_rows(rows), theme=theme),
    }


def draw(name: str) -> Figure:
    """A grid."""
    pairs = [(disc(0), disc(1)), (disc(2), disc(3))]
    if name == "sweep":
        return draw_grid(mix_rows(Pairs(pairs[:1]), ["mixup", "cutmix"], [0.2, 0.5, 0.8]))
    if name == "reference-dark":
        mixes = [mix_pair(a, b, "cutmix", [0.5])[0] for a, b in pairs]
        beside = np.tile(disc(4), (2, 3, 1)), "theirs"
        return reference_figure(pairs, mixes, DARK, title="ours", beside=beside)
    if name == "marked":
        mask = np.add.outer(np.arange(64), np.arange(64)) / 126
        tiles = (Tile(disc(0), "framed", mark=(0.25, 0.5, 0.125, 0.125)), Tile(disc(1)[:40]))
        columns = (Column(tiles, "title"), Column((Tile(disc(2), "line", contour=mask),), "other"))
        return draw_grid([Row(columns, label="label", key=Key("low", "high", "a note"))], tile=1)
    theme = DARK if name.endswith("dark") else LIGHT
    return draw_grid(
        mix_rows(Pairs(pairs, NAMES), ["mixup", "cutmix"], [0.6]), theme, title="λ 0.6"
    )


def smoothed(picture: Image.Image) -> np.ndarray:
    """Its 3x3 means."""
    whole = np.asarray(picture.convert("RGB"), dtype=np.float64)
    height, width = (side // 3 for side in whole.shape[:2])
    return whole[: 3 * height, : 3 * width].reshape(height, 3, width, 3, 3).mean((1, 3))


@pytest.mark.parametrize("name", [*GRIDS, *PLOTS, "table-dark"])
def test_the_figure_looks_as_it_did(name: str, plots: dict[str, Draw], tmp_path: Path) -> None:
    """Same size, and the same picture but for what another rasteriser changes."""
    kind, _, theme = name.partition("-")
    figure = plots[kind](DARK if theme else LIGHT) if kind in PLOTS else draw(name)

    content = figure_bytes(figure, "png", dpi=DOTS_PER_INCH)

    drawn, stored = tmp_path / f"{name}.png", BASELINES / f"{name}.png"
    drawn.write_bytes(content)
    if os.environ.get("MIXZOO_WRITE_PICTURES"):
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        picture.quantize(64).save(stored, optimize=True)  # a third of the bytes
    found, expected = smoothed(Image.open(drawn)), smoothed(Image.open(stored))
    assert found.shape == expected.shape, f"look at {drawn}"
    assert float(np.sqrt(np.mean((found - expected) ** 2))) < TOLERANCE, f"look at {drawn}"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", PLOTS)
def test_all_colours_are_the_themes(name: str, theme: Theme, plots: dict[str, Draw]) -> None:
    """So that a page can turn each into a variable."""
    svg = figure_bytes(plots[name](theme), "svg").decode()

    assert set(re.findall("#[0-9a-f]{6}", svg)) <= set(theme.roles().values())
