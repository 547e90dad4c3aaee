"""Two pictures mixed by methods and by lams: pixels in; mixes, masks, and rows of a grid out."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from ..eval.protocol import normalise
from ..train.mixing import mix_by_name
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from .canvas import MASK_COLOURS, Canvas, Floats, Pixels, fitted, line_height
from .grid import GAP, LABEL, MARGIN, TITLE, Column, Key, Row, Tile
from .themes import LIGHT, Theme

Model = Classifier | MixClassifier
Pair = tuple[Pixels, Pixels]
Names = tuple[str, str]

IMAGENET = Protocol(resize=256, crop=224)  # only its statistics count here
HEAT_WEIGHT = 0.65  # of a map's colours over the grey picture
MASK_KEY = Key(
    "mask: B",
    "A",
    "white line: one half; below a mix: label weights. A box that is clipped or scaled, and "
    "PuzzleMix's grid, move them off \N{GREEK SMALL LETTER LAMDA}; AutoMix and SAMix keep it, "
    "whatever their mask shows.",
)

# The layout of OpenMixup's own pictures of mixed samples (`PlotTensor`, called by the AutoMix
# classifier): the first images of a batch above their partners above the mixes, under a title that
# tells lam. The releases' zip files of visualisations hold such pictures.
PADDING = 2  # pixels between pictures, as in torchvision's make_grid
GROUND = (124, 116, 104)  # between them: a normalised 0, which is ImageNet's mean colour
TILE = 1.1  # inches


@dataclass(frozen=True)
class MixedPair:
    """A picture A mixed with a picture B.

    image: (H, W, 3) uint8. mask: (H, W) float32 in [0, 1], weight of A at each pixel. share: label
    weight of A, in [0, 1]. lam: the weight of A that was asked for. method: its name.
    """

    image: Pixels
    mask: Floats
    share: float
    lam: float
    method: str


def mix_pair(
    a: Pixels,
    b: Pixels,
    method: str,
    lams: Sequence[float],
    *,
    seed: int = 0,
    model: Model | None = None,
    protocol: Protocol = IMAGENET,
) -> list[MixedPair]:
    """Mix A with B by one method, once for each lam.

    a, b: (H, W, 3) uint8, of one shape. method: one of `train.mixing.PICTURED`. lams: weights of
    A, in [0, 1]. seed: of all that the method draws (a box's place, a spectrum, a grid), which
    depends on nothing else: neither lam nor other methods move it. model: in eval mode; any
    classifier for puzzlemix, one of its own method for automix and samix. protocol: whose mean and
    standard deviation the model was trained with. Raises UsageError as `mix_by_name`.
    """
    x = normalise(torch.from_numpy(np.stack([a, b])), protocol)  # (2, 3, H, W)
    rng = np.random.default_rng([seed, *method.encode()])
    mixes = mix_by_name(method, x, torch.tensor([1, 0]), lams, rng, model)
    return [
        MixedPair(
            image=to_pixels(mixed.images[:1], protocol)[0],
            mask=mixed.mask[0, 0].float().numpy(),
            share=float(mixed.lam[0]),
            lam=lam,
            method=method,
        )
        for mixed, lam in zip(mixes, lams, strict=True)
    ]


@dataclass(frozen=True)
class Pairs:
    """Pictures in pairs, each (H, W, 3) uint8, all of one shape.

    names: of each pair's pictures, empty where they have none. protocol: how they were cut; models
    were trained with its mean and standard deviation.
    """

    pictures: Sequence[Pair]
    names: Sequence[Names] = ()
    protocol: Protocol = IMAGENET

    def mixed(
        self, method: str, lams: Sequence[float], *, seed: int = 0, model: Model | None = None
    ) -> list[list[MixedPair]]:
        """Each pair's mixes, once for each lam. seed: pair i uses seed + i. Else as `mix_pair`."""
        return [
            mix_pair(a, b, method, lams, seed=seed + n, model=model, protocol=self.protocol)
            for n, (a, b) in enumerate(self.pictures)
        ]

    def sources(self) -> list[Column]:
        """A column for each pair: A above B, with their names."""
        columns = []
        for n, pair in enumerate(self.pictures):
            names = self.names[n] if self.names else ("", "")
            words = [f"{x}: {name}" if name else x for x, name in zip("AB", names, strict=True)]
            columns.append(Column(tuple(map(Tile, pair, words)), "sources"))
        return columns


def to_pixels(x: torch.Tensor, protocol: Protocol) -> Pixels:
    """Undo `eval.protocol.normalise`, to the grey level.

    x: (N, 3, H, W) float, normalised. Returns (N, H, W, 3) uint8; what lies outside is clipped.
    """
    mean = x.new_tensor(protocol.mean).view(3, 1, 1)
    std = x.new_tensor(protocol.std).view(3, 1, 1)
    pixels = (x * std + mean).clamp(0, 1).mul(255).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def heat_over(image: Pixels, heat: Floats) -> Pixels:
    """A map as colours over the grey picture: for a mask, yellow is A and blue is B.

    image: (H, W, 3) uint8. heat: (H, W) in [0, 1]. Returns (H, W, 3) uint8.
    """
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    colours = 255 * mpl.colormaps[MASK_COLOURS](np.asarray(heat))[..., :3]
    return np.rint(HEAT_WEIGHT * colours + (1 - HEAT_WEIGHT) * grey[..., None]).astype(np.uint8)


def enlarged(heat: Floats, side: tuple[int, int]) -> Floats:
    """A coarse map (h, w) at the pixels of a picture, (H, W), bilinear."""
    x = torch.from_numpy(np.asarray(heat, dtype=np.float32))[None, None]
    return torch.nn.functional.interpolate(x, side, mode="bilinear", align_corners=False)[
        0, 0
    ].numpy()


def stretched(heat: Floats) -> Floats:
    """A map moved and scaled to [0, 1]; one half everywhere if it is even."""
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.full_like(heat, 0.5)


def mix_rows(
    pairs: Pairs,
    methods: Sequence[str],
    lams: Sequence[float],
    *,
    seed: int = 0,
    model: Model | None = None,
) -> list[Row]:
    """Rows for `draw_grid`: sources at the left, then every mix above its mask.

    methods, lams: several methods at one lam make a row for each pair and a column for each method;
    several lams make a row for each pair and method and a column for each lam. Otherwise as
    `Pairs.mixed`.
    """
    by_method = [pairs.mixed(method, lams, seed=seed, model=model) for method in methods]
    rows = []
    for first, *mixes in zip(pairs.sources(), *by_method, strict=True):
        if len(lams) == 1:
            columns = [mix_column(swept[0], swept[0].method) for swept in mixes]
            rows.append(Row((first, *columns), key=MASK_KEY))
            continue
        for swept in mixes:
            columns = [mix_column(mixed, f"λ {mixed.lam:g}") for mixed in swept]
            rows.append(Row((first, *columns), label=swept[0].method, key=MASK_KEY))
    return rows


def mix_column(mixed: MixedPair, title: str) -> Column:
    """A mix with its label weights, above the mask that explains it."""
    return Column((mixed_tile(mixed), mask_tile(mixed)), title)


def mixed_tile(mixed: MixedPair) -> Tile:
    """A mix with its label weights."""
    return Tile(mixed.image, f"A {mixed.share:.2f} · B {1 - mixed.share:.2f}")


def mask_tile(mixed: MixedPair) -> Tile:
    """The mask as heat over the mix, with A's part of the area."""
    heat = heat_over(mixed.image, mixed.mask)
    return Tile(heat, f"mask {mixed.mask.mean():.2f} A", contour=mixed.mask)


def three_rows(sources: Sequence[Pair], mixes: Sequence[MixedPair]) -> Pixels:
    """All A above all B above all mixes, as one picture.

    sources: pairs of (H, W, 3) uint8, of one shape, as many as mixes. Returns
    (3 (H + 2) + 2, N (W + 2) + 2, 3) uint8.
    """
    lines = [[a for a, _ in sources], [b for _, b in sources], [mixed.image for mixed in mixes]]
    h, w = lines[0][0].shape[:2]
    size = (3 * (h + PADDING) + PADDING, len(mixes) * (w + PADDING) + PADDING, 3)
    sheet = np.full(size, GROUND, np.uint8)
    for row, line in enumerate(lines):
        for column, image in enumerate(line):
            top, left = PADDING + row * (h + PADDING), PADDING + column * (w + PADDING)
            sheet[top : top + h, left : left + w] = image
    return sheet


def reference_figure(
    sources: Sequence[Pair],
    mixes: Sequence[MixedPair],
    theme: Theme = LIGHT,
    *,
    title: str = "",
    beside: tuple[Pixels, str] | None = None,
) -> Figure:
    """Pairs and their mixes in the reference's three rows, a released picture at their right.

    beside: a picture, (H, W, 3) uint8 of any shape, drawn as high as ours without its plain
    margins, and its title.
    """
    pictures = [(three_rows(sources, mixes), title)]
    if beside is not None:
        pictures.append((_trimmed(beside[0]), beside[1]))
    height = 3 * TILE
    widths = [height * one.shape[1] / one.shape[0] for one, _ in pictures]
    left, top = MARGIN + LABEL, MARGIN + line_height(TITLE) + GAP
    canvas = Canvas(
        left + sum(widths) + (len(widths) - 1) * 3 * GAP + MARGIN, top + height + MARGIN, theme
    )
    for number, label in enumerate(("A", "B", "mixed")):
        middle = top + (number + 0.5) * TILE
        canvas.text([label], left - LABEL / 2, middle, size=TITLE, upright=True)
    for (picture, words), width in zip(pictures, widths, strict=True):
        canvas.text(fitted(words, width, TITLE, 1), left + width / 2, MARGIN, size=TITLE)
        canvas.picture(picture, left, top, width, height)
        left += width + 3 * GAP
    return canvas.figure


def _trimmed(image: Pixels) -> Pixels:
    """A picture without the lines at its edges that have the colour of its corner alone."""
    box = Image.fromarray((image != image[0, 0]).any(axis=2)).getbbox()
    left, top, right, bottom = box or (0, 0, image.shape[1], image.shape[0])
    return image[top:bottom, left:right]
