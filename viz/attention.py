"""What a MixBlock sees in a pair: its value map and its attention, beside the mask they make."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..eval.protocol import normalise
from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.nets import MixClassifier
from ..zoo.nets.classifiers import MASK_STAGE
from ..zoo.nets.mixblock import pixels_per_feature
from .grid import Column, Key, Row, Tile
from .mixes import Names, Pair, mask_tile, mixed_tile, source_column
from .pairs import IMAGENET, Floats, MixedPair, Pixels, enlarged, heat_over, mix_pair, stretched

Query = tuple[int, int]

KEY = Key(
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
        rows.append(Row(tuple(columns), key=KEY))
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
