"""What a network says of a mix all along lam: the probabilities of A's and of B's class."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from ..eval.protocol import normalise
from .axes import heading, legend, new_figure, small, style
from .canvas import Floats
from .mix import MixedPair, Model, Pairs
from .themes import LIGHT, Theme

WIDTH, HEIGHT = 6.4, 3.4  # inches
STEPS = 21  # lams of a curve


def along_lam(
    pairs: Pairs,
    method: str,
    *,
    model: Model,
    classes: tuple[int, int] | None = None,
    seed: int = 0,
) -> tuple[list[MixedPair], Floats, tuple[int, int]]:
    """The first pair's mixes at STEPS lams from 0 to 1, and how likely A's and B's class are there.

    classes: of A and B; None takes what the model takes each of them for. Else as `Pairs.mixed`.
    Returns the mixes, probabilities (STEPS, 2) in [0, 1], and the classes.
    """
    lams = np.linspace(0, 1, STEPS).round(6).tolist()
    first = Pairs(pairs.pictures[:1], (), pairs.protocol)
    (mixes,) = first.mixed(method, lams, seed=seed, model=model)
    seen = [*pairs.pictures[0], *(one.image for one in mixes)]
    with torch.inference_mode():
        x = normalise(torch.from_numpy(np.stack(seen)), pairs.protocol)  # (2 + STEPS, 3, H, W)
        probabilities = model(x).softmax(1).numpy()
    a, b = classes or probabilities[:2].argmax(1).tolist()
    return mixes, probabilities[2:, [a, b]], (a, b)


def along_plot(
    mixes: Sequence[MixedPair],
    probabilities: Floats,
    names: tuple[str, str],
    theme: Theme = LIGHT,
    *,
    title: str = "",
) -> Figure:
    """Both curves over lam, beside the label weights that the mixes have.

    Arguments as `along_lam` gives them. names: of the classes of A and B.
    """
    figure = new_figure(WIDTH, HEIGHT, theme)
    axes = figure.subplots()
    style(axes, theme, grid="both")
    heading(axes, title, theme)
    lams, shares = [one.lam for one in mixes], np.array([one.share for one in mixes])
    handles = []
    for place, (side, name, share) in enumerate(
        zip("AB", names, (shares, 1 - shares), strict=True)
    ):
        look = {"color": theme.series[place], "marker": "os"[place], "markersize": 3.5}
        handles += axes.plot(lams, probabilities[:, place], label=f"{side}: {name}", **look)
        axes.plot(lams, share, color=theme.series[place], linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("λ, the wanted weight of A", **small(theme))
    axes.set_ylabel("probability; dashed: label", **small(theme))
    legend(figure, handles, theme, columns=2)
    return figure
