"""Class activation maps: where in a picture a classifier finds a class."""

from collections.abc import Sequence

import numpy as np
import torch

from ..eval.protocol import normalise
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.classifiers import Head
from .grid import Column, Key, Row, Tile
from .mixes import Names, Pair, mixed_tile
from .pairs import IMAGENET, Floats, Model, Pixels, enlarged, heat_over, mix_pair, stretched

KEY = Key(
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
        rows.append(Row(tuple(columns), key=KEY))
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
