"""Plots look as they did: held against stored pictures, with room for other fonts and renderers.

`MIXZOO_WRITE_PICTURES=1 pytest tests/viz/test_baselines.py` stores them anew; look at them then.
"""

import io
import os
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
from mixzoo.viz.groups import grouped, groups_plot
from mixzoo.viz.matrix import comparison_plot
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.table import results_table, table_plot
from mixzoo.viz.themes import DARK, LIGHT, Theme
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.report import Report
from PIL import Image

STORED = Path(__file__).with_name("plots")
DOTS_PER_INCH = 50
TOLERANCE = 4.0  # grey levels, root mean square; a mark that moves by 3 pixels makes more


def hold(figure: Figure, name: str) -> None:
    """Compare a figure with its stored picture, both smoothed by a 3x3 mean."""
    content = figure_bytes(figure, "png", dpi=DOTS_PER_INCH)
    path = STORED / f"{name}.png"
    if os.environ.get("MIXZOO_WRITE_PICTURES"):
        STORED.mkdir(exist_ok=True)
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        picture.quantize(64).save(path, optimize=True)  # a third of the bytes
    found, stored = _pixels(Image.open(io.BytesIO(content))), _pixels(Image.open(path))
    assert found.shape == stored.shape
    assert float(np.sqrt(np.mean((found - stored) ** 2))) < TOLERANCE


def _pixels(picture: Image.Image) -> np.ndarray:
    whole = np.asarray(picture.convert("RGB"), dtype=np.float64)
    whole = whole[: len(whole) // 3 * 3, : whole.shape[1] // 3 * 3]
    height, width, _ = whole.shape
    return whole.reshape(height // 3, 3, width // 3, 3, 3).mean((1, 3))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_table(report: Report, theme: Theme) -> None:
    """Two backbones; every verdict's marker."""
    manifest = open_catalog().benchmark("inat2018").manifest

    hold(table_plot(results_table(manifest, [report]), theme=theme), f"table_{theme.name}")


def test_curves(audit: Callable[..., LogAudit], automix_log: Path) -> None:
    """Four heads with window, medians, published number."""
    hold(curves_plot([audit(automix_log, top1=17.7, decimals=1)]), "curves")


def test_groups(report: Report, made_up: Callable[..., Predictions]) -> None:
    """Three checkpoints, three panels."""
    bins = by_training_images(made_up(90), {label: 2**label for label in range(7)})
    checkpoints = [replace(one, bins=bins) for one in grouped([report])[:3]]

    hold(groups_plot(checkpoints), "groups")


def test_comparisons(made_up: Callable[..., Predictions]) -> None:
    """Better, worse, not distinguishable, the same."""
    misses = {"A": (60, 0), "B": (90, 0), "C": (60, 30), "D": (60, 0)}
    rows = [NamedPredictions(name, made_up(*miss)) for name, miss in misses.items()]

    hold(comparison_plot(compare_rows(rows)), "comparisons")
