"""What networks see in pairs: class activation maps, a MixBlock's value map and attention."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..eval.protocol import normalise
from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.classifiers import MASK_STAGE, Head
from ..zoo.nets.foreign import Foreign
from ..zoo.nets.mixblock import pixels_per_feature
from .canvas import Floats, Pixels
from .grid import Column, Key, Row, Tile
from .mix import (
    IMAGENET,
    Model,
    Pairs,
    enlarged,
    heat_over,
    mask_tile,
    mixed_tile,
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
    A map's mean plus the class's bias is its logit. Raises UsageError of a network that isn't ours.
    """
    backbone, head = _parts(model)
    features = backbone(x)  # (N, C, h, w)
    return torch.einsum("nchw,nc->nhw", features, head.fc.weight[classes])


def cam_rows(
    pairs: Pairs,
    method: str,
    lam: float,
    *,
    model: Model,
    class_names: Sequence[str] = (),
    seed: int = 0,
) -> list[Row]:
    """Rows for `draw_grid`: A, B and their mix, each above the map of its top-1 class.

    The last column shows where the mix speaks for A's and for B's class, which are the top-1
    classes of A and B themselves. Arguments as in `mix_rows`. class_names: by index; without them
    the index is written.
    """
    rows = []
    mixes = pairs.mixed(method, [lam], seed=seed, model=model)
    for (a, b), (mixed,), named in zip(pairs.pictures, mixes, pairs.sources(), strict=True):
        pictures, sources = [a, b, mixed.image], named.tiles
        x = normalise(torch.from_numpy(np.stack(pictures)), pairs.protocol)  # (3, 3, H, W)
        with torch.no_grad():
            probabilities = model(x).softmax(1)
        tops = probabilities.argmax(1)
        seen, classes = [0, 1, 2, 2, 2], tops[[0, 1, 2, 0, 1]]
        heats = class_activation(model, x[seen], classes).numpy()  # (5, h, w)
        maps = []
        for place, label, heat in zip(seen, classes.tolist(), heats, strict=True):
            name = class_names[label] if class_names else f"class {label}"
            image = heat_over(pictures[place], enlarged(stretched(heat), a.shape[:2]))
            maps.append(Tile(image, f"{name} · {probabilities[place, label]:.2f}"))
        columns = (
            Column((sources[0], maps[0]), "A"),
            Column((sources[1], maps[1]), "B"),
            Column((mixed_tile(mixed), maps[2]), f"{method}, λ {lam:g}"),
            Column((maps[3], maps[4]), "mix: A's, B's class"),
        )
        rows.append(Row(columns, key=CAM_KEY))
    return rows


def _parts(model: Classifier | MixClassifier) -> tuple[torch.nn.Module, Head]:
    """The backbone and the head that `forward` uses. Raises UsageError of a foreign network."""
    if isinstance(model, Foreign):
        raise UsageError(
            f"{model.architecture}: class activation maps are exact for networks that average maps "
            "before one linear layer, which isn't known of this one. Name a checkpoint of a ResNet."
        )
    if isinstance(model, Classifier):
        return model.backbone, model.head
    head = model.get_submodule(f"head_{model.head_name}")
    assert isinstance(head, Head)
    return model.get_submodule(f"backbone_{model.head_name[-1]}"), head


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
    (first two axes) its weights over the places of B, which sum to 1.
    """

    value: Floats
    attention: Floats


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

    a, b: (H, W, 3) uint8, of one shape. model: in eval mode. Near lam 0 and 1 the model mixes
    plainly (see `MixClassifier.mix`) and doesn't use them. Raises UsageError for sides that don't
    fit.
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
        )
        for mask in masks
    ]


def most_uneven(maps: Sequence[BlockMaps]) -> tuple[int, int]:
    """The place of A whose attention is least spread, by its mean entropy over the maps."""
    weights = np.stack([one.attention for one in maps]).astype(np.float64)  # (L, h, w, h, w)
    entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=(3, 4)).mean(axis=0)
    row, column = np.unravel_index(entropy.argmin(), entropy.shape)
    return int(row), int(column)


def map_rows(pairs: Pairs, lams: Sequence[float], *, model: MixClassifier) -> list[Row]:
    """Rows for `draw_grid`: a row for each pair; mix, mask, value and attention for each lam.

    model: in eval mode, whose method mixes. The attention is that of `most_uneven`, whose cell is
    framed in A.
    """
    rows, mixes = [], pairs.mixed(model.method, lams, model=model)
    for (a, b), swept, sources in zip(pairs.pictures, mixes, pairs.sources(), strict=True):
        maps = block_maps(a, b, lams, model, protocol=pairs.protocol)
        (row, column), (h, w) = most_uneven(maps), maps[0].value.shape
        marked = replace(sources.tiles[0], mark=(row / h, column / w, 1 / h, 1 / w))
        columns = [replace(sources, tiles=(marked, sources.tiles[1]))]
        for mixed, one in zip(swept, maps, strict=True):
            upper, lower = (mixed_tile(mixed), mask_tile(mixed)), _block_tiles(one, b, row, column)
            title = f"λ {mixed.lam:g}"
            if len(lams) == 1:  # as high as the sources
                columns += [Column(upper, title), Column(lower, "MixBlock")]
            else:
                columns.append(Column((*upper, *lower), title))
        rows.append(Row(tuple(columns), key=BLOCK_KEY))
    return rows


def _block_tiles(maps: BlockMaps, b: Pixels, row: int, column: int) -> tuple[Tile, Tile]:
    """The value map and the attention of a place of A, as heat over B."""
    low, high = (f"{end:z.2f}".replace("-", "−") for end in (maps.value.min(), maps.value.max()))
    value = enlarged(stretched(maps.value), b.shape[:2])
    weights = maps.attention[row, column]
    attention = enlarged(weights / weights.max(), b.shape[:2])
    return (
        Tile(heat_over(b, value), f"value {low} to {high}"),
        Tile(heat_over(b, attention), f"attention ≤ {weights.max():.2g}"),
    )
