"""What networks see in pairs: class activation maps, a MixBlock's value map and attention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..eval.protocol import normalise
from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.classifiers import MASK_STAGE, Head
from ..zoo.nets.mixblock import pixels_per_feature
from .canvas import Floats, Pixels
from .grid import Column, Key, Row, Tile
from .mix import (
    IMAGENET,
    MixedPair,
    Model,
    Names,
    Pair,
    enlarged,
    heat_over,
    mask_tile,
    mix_pair,
    mixed_tile,
    source_column,
    stretched,
)

CAM_KEY = Key(
    "low",
    "high",
    "class activation (Zhou et al., 2016), each map from its lowest to its highest value; "
    "below: the class and its probability",
)


@torch.no_grad()
def class_activation(model: Model, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """How much each place speaks for a class (Zhou et al., 2016, arXiv:1512.04150).

    model: in eval mode, of its chosen head. x: (N, 3, H, W) float, normalised. classes: (N,) int64.
    Returns (N, h, w) float: exact for these heads, which pool by the mean before one linear layer.
    A map's mean plus the class's bias is its logit.
    """
    backbone, head = _parts(model)
    features = backbone(x)  # (N, C, h, w)
    return torch.einsum("nchw,nc->nhw", features, head.fc.weight[classes])


def cam_rows(
    pairs: Sequence[Pair],
    method: str,
    lam: float,
    *,
    model: Model,
    names: Sequence[Names] | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    protocol: Protocol = IMAGENET,
) -> list[Row]:
    """Rows for `draw_grid`: A, B and their mix, each above the map of its top-1 class.

    The last column shows where the mix speaks for A's and for B's class, which are the top-1
    classes of A and B themselves. Arguments as in `mix_rows`. class_names: by index; None writes the
    index.
    """
    rows = []
    for number, (a, b) in enumerate(pairs):
        mixed = mix_pair(a, b, method, [lam], seed=seed + number, model=model, protocol=protocol)[0]
        pictures = [a, b, mixed.image]
        seen = _Seen(model, pictures, class_names, protocol)
        tops = seen.probabilities.argmax(1).tolist()
        words = [
            f"{x}: {name}" if name else x
            for x, name in zip("AB", names[number] if names else ("", ""), strict=True)
        ]
        columns = [
            Column((Tile(a, words[0]), seen.tile(0, tops[0])), "A"),
            Column((Tile(b, words[1]), seen.tile(1, tops[1])), "B"),
            Column((mixed_tile(mixed), seen.tile(2, tops[2])), f"{method}, λ {lam:g}"),
            Column((seen.tile(2, tops[0]), seen.tile(2, tops[1])), "mix: A's, B's class"),
        ]
        rows.append(Row(tuple(columns), key=CAM_KEY))
    return rows


class _Seen:
    """What a classifier makes of a few pictures."""

    def __init__(
        self,
        model: Model,
        pictures: Sequence[Pixels],
        class_names: Sequence[str] | None,
        protocol: Protocol,
    ) -> None:
        self.model, self.pictures, self.names = model, pictures, class_names
        self.x = normalise(torch.from_numpy(np.stack(pictures)), protocol)
        with torch.no_grad():
            self.probabilities = model(self.x).softmax(1)

    def tile(self, picture: int, label: int) -> Tile:
        """The map of a class over a picture."""
        heat = class_activation(self.model, self.x[picture : picture + 1], torch.tensor([label]))
        image = self.pictures[picture]
        shown: Floats = enlarged(stretched(heat[0].numpy()), image.shape[:2])
        name = self.names[label] if self.names else f"class {label}"
        share = float(self.probabilities[picture, label])
        return Tile(heat_over(image, shown), f"{name} · {share:.2f}")


def _parts(model: Classifier | MixClassifier) -> tuple[torch.nn.Module, Head]:
    """The backbone and the head that `forward` uses."""
    if isinstance(model, Classifier):
        return model.backbone, model.head
    head = model.get_submodule(f"head_{model.head_name}")
    assert isinstance(head, Head)
    return model.get_submodule(f"backbone_{model.head_name[-1]}"), head


Query = tuple[int, int]

BLOCK_KEY = Key(
    "B, low",
    "A, high",
    "mask: of B or A; value and attention: low or high, at places of B. Attention is that of the "
    "framed place of A",
)


@dataclass(frozen=True)
class BlockMaps:
    """What a block computes for A with its partner B on the way to a mask.

    value: (h, w) float32, what it sees in B. attention: (h, w, h, w) float32, for each place of A
    (first two axes) its weights over the places of B, which sum to 1. lam: weight of A.
    """

    value: Floats
    attention: Floats
    lam: float


@torch.no_grad()
def block_maps(
    a: Pixels,
    b: Pixels,
    lams: Sequence[float],
    model: MixClassifier,
    *,
    protocol: Protocol = IMAGENET,
) -> list[BlockMaps]:
    """The maps of a pair, once for each lam, from one feature pass.

    a, b: (H, W, 3) uint8, of one shape. model: in eval mode. Near lam 0 and 1 the model mixes plainly
    (see `MixClassifier.mix`) and doesn't use them. Raises UsageError for sides that don't fit.
    """
    x = normalise(torch.from_numpy(np.stack([a, b])), protocol)  # (2, 3, H, W)
    features = model.backbone_k(x, stop=MASK_STAGE)  # (2, C, h, w)
    scale, perm = pixels_per_feature(x, features), torch.tensor([1, 0])
    masks = [model.mix_block(features, perm, lam, scale) for lam in lams]
    h, w = features.shape[2:]
    return [
        BlockMaps(
            value=mask.value[0, 0].float().numpy(),
            attention=mask.attention[0].reshape(h, w, h, w).numpy(),
            lam=lam,
        )
        for mask, lam in zip(masks, lams, strict=True)
    ]


def most_uneven(maps: Sequence[BlockMaps]) -> Query:
    """The place of A whose attention is least spread, by its mean entropy over the maps."""
    weights = np.stack([one.attention for one in maps]).astype(np.float64)  # (L, h, w, h, w)
    entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=(3, 4)).mean(axis=0)
    row, column = np.unravel_index(entropy.argmin(), entropy.shape)
    return int(row), int(column)


def map_rows(
    pairs: Sequence[Pair],
    lams: Sequence[float],
    *,
    model: MixClassifier,
    names: Sequence[Names] | None = None,
    query: Query | None = None,
    protocol: Protocol = IMAGENET,
) -> list[Row]:
    """Rows for `draw_grid`: a row for each pair; mix, mask, value and attention for each lam.

    Arguments as in `mix_rows`. query: row and column of the place in A whose attention is shown,
    counted in cells of the mask; None is `most_uneven`. Raises UsageError if it lies outside.
    """
    rows = []
    for number, (a, b) in enumerate(pairs):
        mixes = mix_pair(a, b, model.method, lams, model=model, protocol=protocol)
        maps = block_maps(a, b, lams, model, protocol=protocol)
        place = _checked(query, maps[0]) if query else most_uneven(maps)
        sources = source_column(a, b, names[number] if names else None)
        marked = Tile(a, sources.tiles[0].caption, mark=_cell(place, maps[0]))
        columns = [Column((marked, sources.tiles[1]), sources.title)]
        for mixed, one in zip(mixes, maps, strict=True):
            columns += _columns(mixed, one, b, place, apart=len(lams) == 1)
        rows.append(Row(tuple(columns), key=BLOCK_KEY))
    return rows


def _columns(
    mixed: MixedPair, maps: BlockMaps, b: Pixels, query: Query, *, apart: bool
) -> list[Column]:
    """The four pictures of one lam; apart: in two columns, as high as the sources."""
    upper = (mixed_tile(mixed), mask_tile(mixed))
    lower = (_value_tile(maps, b), _attention_tile(maps, b, query))
    title = f"λ {mixed.lam:g}"
    return (
        [Column(upper, title), Column(lower, "MixBlock")]
        if apart
        else [Column(upper + lower, title)]
    )


def _value_tile(maps: BlockMaps, b: Pixels) -> Tile:
    low, high = float(maps.value.min()), float(maps.value.max())
    heat = enlarged(stretched(maps.value), b.shape[:2])
    return Tile(heat_over(b, heat), f"value {_plain(low)} to {_plain(high)}")


def _attention_tile(maps: BlockMaps, b: Pixels, query: Query) -> Tile:
    weights = maps.attention[query]
    heat = enlarged(weights / weights.max(), b.shape[:2])
    return Tile(heat_over(b, heat), f"attention ≤ {weights.max():.2g}")


def _plain(number: float) -> str:
    """Two decimals; what rounds to zero has no sign."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def _cell(place: Query, maps: BlockMaps) -> tuple[float, float, float, float]:
    h, w = maps.value.shape
    return place[0] / h, place[1] / w, 1 / h, 1 / w


def _checked(query: Query, maps: BlockMaps) -> Query:
    h, w = maps.value.shape
    if not (0 <= query[0] < h and 0 <= query[1] < w):
        raise UsageError(
            f"expected a query within {h} rows and {w} columns of cells, counted from 0, got "
            f"{query[0]},{query[1]}"
        )
    return query
