"""Colours can be told from the ground and from one another, by role."""

import re
from itertools import combinations

import numpy as np
import pytest
from mixzoo.viz.themes import DARK, LIGHT, Theme, css_variables

BOTH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


# Without red cones, without green cones (Machado et al., 2009, on linear RGB).
SIGHTS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def linear(colour: str) -> np.ndarray:
    """Linear RGB of `#rrggbb`, each in [0, 1]."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@BOTH
def test_marks_stand_out_from_the_ground(theme: Theme) -> None:
    """3:1 at least for what is drawn (WCAG 2.2, 1.4.11)."""
    drawn = [theme.good, theme.near, theme.odd, theme.bad, theme.neutral, *theme.series]

    assert min(contrast(colour, theme.ground) for colour in drawn) >= 3


@BOTH
def test_text_can_be_read(theme: Theme) -> None:
    """4.5:1 at least for text (WCAG 2.2, 1.4.3); the words of verdicts are text, too."""
    verdicts = (theme.good, theme.near, theme.odd, theme.bad, theme.neutral)

    assert min(contrast(one, theme.ground) for one in (theme.ink, theme.muted, *verdicts)) >= 4.5


@BOTH
def test_a_colour_tells_its_role(theme: Theme) -> None:
    """A page makes variables of them: no two are the same, all are as matplotlib writes them."""
    colours = list(theme.roles().values())

    assert len(set(colours)) == len(colours)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@BOTH
@pytest.mark.parametrize("sight", SIGHTS)
def test_series_stay_apart_for_colour_blind_readers(theme: Theme, sight: str) -> None:
    """By 9 in CIE Lab at least, where 2 can just be noticed."""
    points = [lab(SIGHTS[sight] @ linear(colour)) for colour in theme.series]

    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(points, 2)) > 9


def test_variables_are_those_of_the_roles() -> None:
    """A page declares each role once."""
    declared = css_variables(DARK)

    assert f"--ink: {DARK.ink};" in declared
    assert f"--series-1: {DARK.series[0]};" in declared
    assert declared.count("--") == len(LIGHT.roles())
