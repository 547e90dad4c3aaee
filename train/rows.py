"""The recipe of every row: the values of the released configs, and the command that trains it.

Sources: the benchmark pages ("100 epochs using the PyTorch training recipe") and the configs below
configs/classification/{inaturalist2017,inaturalist2018,place205} of Westlake-AI/openmixup (Apache-2.0)
at commit 11d4167 (Places205's AutoMix for ResNet-18: 90dab92). They have in common what are the defaults of `Recipe`: SGD 0.1/0.9/1e-4, cosine by
epoch to 0, 4 processes of 64 images, fp32; for AutoMix and SAMix alpha 2, mask_layer 2, mask_loss
0.1, lam_margin 0.08, momentum 0.999 to 0.99999. What differs stands here.
"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..zoo.errors import UsageError
from ..zoo.manifest import Manifest, Row
from .recipe import Automix, Recipe, differences

BENCHMARKS: dict[str, dict[str, Any]] = {
    "mini": {
        "epochs": 40,
        "batch_size": 64,
        "log_every": 9,
        "automix": Automix(momentum=0.9, momentum_end=0.999),
    }
}
"""Benchmark -> what its recipes have in common and the released configs don't. `mini` has 1,080
steps where the released runs had 171,000: k has to follow as much faster, to be as near to q."""


MIX_BLOCK_FLOORS = {
    ("inat2017", "resnet18", "automix"): 1e-3,
    ("inat2017", "resnet18", "samix"): 1e-3,
    ("places205", "resnet18", "automix"): 1e-3,
    ("places205", "resnet50", "automix"): 1e-3,
}
"""Where the mix block's learning rate falls to another value than 1e-4 (`mlr1e_3` in the configs'
names). Places205's SAMix has 1e-4."""


ALPHAS = {"mixup": 0.2, "manifoldmix": 0.2, "automix": 2.0, "samix": 2.0}
"""The alphas that iNaturalist-2018's rows have, where they aren't 1."""


def recipe_of(manifest: Manifest, row: Row, *, seed: int = 0) -> Recipe:
    """The recipe whose result a row publishes.

    A benchmark of one's own has the released recipe at its own crop. Raises UsageError if the row's
    method or architecture isn't one that can be trained here.
    """
    values: dict[str, Any] = BENCHMARKS.get(manifest.name, {})
    floor = MIX_BLOCK_FLOORS.get((manifest.name, row.architecture, row.method))
    if floor is not None:
        values = {**values, "automix": Automix(min_lr=floor)}
    try:
        return Recipe(
            architecture=row.architecture,
            num_classes=manifest.dataset.num_classes,
            mix_mode=(row.method,),
            alpha=(row.alpha or 1.0,),  # vanilla has none and draws none
            crop=manifest.protocol.crop,
            seed=seed,
            **values,
        )
    except UsageError as error:
        raise UsageError(f"{row.id} can't be trained: {error}") from None


def command(
    manifest: Manifest,
    row: Row,
    recipe: Recipe,
    *,
    data: str | Path | None = "DIR",
    out: str | Path = "DIR",
    manifests: Sequence[Path] = (),
) -> list[str]:
    """The words of the command that trains this recipe as this row, in one process.

    data: None for images that the package draws itself. manifests: files that the command has to be
    told of, for a benchmark of one's own.
    """
    settings = differences(recipe_of(manifest, row), recipe)
    images = [] if data is None else ["--data", str(data)]
    words = ["mixzoo", "train", row.id, *images, "--out", str(out)]
    words += [word for path in manifests for word in ("--manifest", str(path))]
    return words + [word for setting in settings for word in ("--set", setting)]


def describe(
    manifest: Manifest,
    row: Row,
    recipe: Recipe,
    *,
    data: str | Path | None = "DIR",
    out: str | Path = "DIR",
    manifests: Sequence[Path] = (),
) -> str:
    """A recipe in words: what it should reach, the exact commands, and every value."""
    words = command(manifest, row, recipe, data=data, out=out, manifests=manifests)
    lines = [f"{row.id}: {_network(recipe)}", *_expectation(manifest, row, recipe), ""]
    lines.append(shlex.join(words))
    if (processes := recipe.batch_size // recipe.micro_batch) > 1:
        launcher = ["torchrun", "--nproc_per_node", str(processes), "-m"]
        each = f"{processes} processes of {recipe.micro_batch} images"
        lines.append(f"{shlex.join([*launcher, *words])}  # {each}")
    return "\n".join([*lines, "", recipe.text()])


def _network(recipe: Recipe) -> str:
    methods = " or ".join(
        name if name == "vanilla" else f"{name} (alpha {alpha:g})"
        for name, alpha in zip(recipe.mix_mode, recipe.alpha, strict=True)
    )
    return (
        f"{recipe.architecture}, {methods}, {recipe.num_classes:,} classes, {recipe.epochs} epochs"
    )


def _expectation(manifest: Manifest, row: Row, recipe: Recipe) -> Iterator[str]:
    metric = manifest.metric
    if row.reported_top1 is None:
        yield "expected top-1: not known, the row has no number"
    else:
        rule = (
            f"median of the last {metric.epochs} epochs"
            if metric.statistic == "median_of_last_epochs"
            else "last epoch"
        )
        yield f"expected top-1: {row.reported_top1:.{metric.decimals}f}% ({rule})"
    changed = [
        s for s in differences(recipe_of(manifest, row), recipe) if not s.startswith("seed=")
    ]
    if changed:
        yield f"but this isn't the row's recipe: {' '.join(changed)}"
