"""Runs of rows: the recipe that a row was published with, or a variant of it, and how to train it.

Sources of the recipes: the benchmark pages ("100 epochs using the PyTorch training recipe") and the
configs below configs/classification/{inaturalist2017,inaturalist2018,place205} of
Westlake-AI/openmixup (Apache-2.0) at commit 11d4167 (Places205's AutoMix for ResNet-18: 90dab92).
They have in common what are the defaults of `Recipe`: SGD 0.1/0.9/1e-4, cosine by epoch to 0, 4
processes of 64 images, fp32; for AutoMix and SAMix alpha 2, mask_layer 2, mask_loss 0.1, lam_margin
0.08, momentum 0.999 to 0.99999. What differs stands here.
"""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..zoo.catalog import open_catalog
from ..zoo.errors import UsageError
from ..zoo.looks import counted, naming
from ..zoo.manifest import Manifest, Row
from ..zoo.nets.named import TIMM
from ..zoo.refs import is_path
from .recipe import Automix, Recipe, differences, flat, overridden, settings_between

BENCHMARKS: dict[str, dict[str, Any]] = {
    "mini": {
        "log_every": 33,
        "automix": Automix(momentum=0.935, momentum_end=0.99935, mask_loss_schedule="cosine"),
    }
}
"""Benchmark -> what its recipes have in common beside its manifest's [training]. `mini` has 2,640
steps where the released runs had 170,900: k has to follow 65 times faster, to be as near to q; and
the mask loss falls as the released configs write it. As it fell in the released runs it is gone
after 130 steps here, and AutoMix's masks collapse to one of the two pictures."""

MIX_BLOCK_FLOORS = {
    ("inat2017", "resnet18", "automix"): 1e-3,
    ("inat2017", "resnet18", "samix"): 1e-3,
    ("places205", "resnet18", "automix"): 1e-3,
    ("places205", "resnet50", "automix"): 1e-3,
}
"""Where the mix block's learning rate falls to another value than 1e-4 (`mlr1e_3` in the configs'
names). Places205's SAMix has 1e-4."""


def recipe_of(manifest: Manifest, row: Row) -> Recipe:
    """The recipe whose result a row publishes, with seed 0.

    A benchmark of one's own has the released recipe, with what its manifest says of training, at
    its own crop; a row that keeps the recipe of its run has that one. Raises UsageError if the
    row's method or architecture isn't one that can be trained here.
    """
    values = dict(BENCHMARKS.get(manifest.name, {}))
    floor = MIX_BLOCK_FLOORS.get((manifest.name, row.architecture, row.method))
    if floor is not None:
        values["automix"] = Automix(min_lr=floor)
    if said := manifest.training:
        values |= {
            "epochs": said.epochs,
            "batch_size": said.batch_size,
            "micro_batch": math.gcd(said.batch_size, 64),
            "lr": said.learning_rate,
            "weight_decay": said.weight_decay,
            "precision": said.precision,
            "repeat": said.repeat,
        }
    kept = flat(row.recipe)
    try:
        recipe = Recipe(
            architecture=row.architecture,
            num_classes=manifest.dataset.num_classes,
            mix_mode=kept.pop("mix_mode", (row.method,)),
            alpha=kept.pop("alpha", (row.alpha or 1.0,)),  # vanilla has none and draws none
            crop=manifest.protocol.crop,
            **values,
        )
        return overridden(recipe, settings_between({}, kept))
    except UsageError as error:
        raise UsageError(f"{row.id} can't be trained: {error}") from None


@dataclass(frozen=True)
class RowRun:
    """A run that trains a row's recipe, or a variant of it.

    data: the folder of its images, None where the package draws them. out: the run's own folder,
    from which it also goes on. manifests: files that tell of a benchmark of one's own. init: what
    it begins with, as it was given; None is what the recipe says.
    """

    manifest: Manifest
    row: Row
    recipe: Recipe
    data: Path | None
    out: Path
    manifests: tuple[Path, ...] = ()
    init: str | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """What turns the row's recipe into this run's."""
        return differences(recipe_of(self.manifest, self.row), self.recipe)

    @property
    def expected(self) -> float | None:
        """The table's number in percent, where this is the row's recipe, whatever the seed."""
        return None if self.changed else self.row.reported_top1

    @property
    def words(self) -> list[str]:
        """The words of the command that trains this run in one process."""
        drawn = self.manifest.dataset.drawn_by_package and self.data is None
        images = [] if drawn else ["--data", str(self.data or "DIR")]
        words = ["mixzoo", "train", self.row.id, *images, "--out", str(self.out)]
        words += naming(self.manifests)
        given = self.settings
        if self.init:
            words += ["--init", self.init]
            given = tuple(one for one in given if not one.startswith("init"))
        return words + [word for setting in given for word in ("--set", setting)]

    def describe(self) -> str:
        """The recipe in words: what it should reach, the exact commands, and every value."""
        recipe = self.recipe
        methods = " or ".join(
            name if name == "vanilla" else f"{name} (alpha {alpha:g})"
            for name, alpha in zip(recipe.mix_mode, recipe.alpha, strict=True)
        )
        lines = [
            f"{self.row.id}: {recipe.architecture}, {methods}, {recipe.num_classes:,} classes, "
            f"{counted(recipe.epochs, 'epoch')}",
            *self._expectation(),
            "",
            shlex.join(self.words),
        ]
        if (processes := recipe.batch_size // recipe.micro_batch) > 1:
            launcher = ["torchrun", "--nproc_per_node", str(processes), "-m"]
            each = f"{processes} processes of {recipe.micro_batch} images"
            lines.append(f"{shlex.join([*launcher, *self.words])}  # {each}")
        return "\n".join([*lines, "", recipe.text()])

    @property
    def changed(self) -> tuple[str, ...]:
        """The settings that make it another recipe than the row's: all but the seed, and lines."""
        return tuple(s for s in self.settings if s.partition("=")[0] not in ("seed", "log_every"))

    def _expectation(self) -> Iterator[str]:
        metric, published = self.manifest.metric, self.row.reported_top1
        if published is None:
            yield "expected top-1: not known, the row has no number"
        elif metric.statistic == "median_of_last_epochs":
            rule = f"median of the last {metric.epochs} epochs"
            yield f"expected top-1: {published:.{metric.decimals}f}% ({rule})"
        else:
            yield f"expected top-1: {published:.{metric.decimals}f}% (last epoch)"
        if self.changed:
            yield f"but this isn't the row's recipe: {' '.join(self.changed)}"


def run_of(
    row_id: str,
    settings: Sequence[str] = (),
    data: Path | None = None,
    out: Path | None = None,
    manifests: Sequence[Path] = (),
    init: str | None = None,
) -> RowRun:
    """The run that `mixzoo train ROW` trains. settings: `key=value`, see `recipe.overridden`.

    out: `runs/ROW` where it is None. init: a row, a file or `timm/NAME` to begin with. Raises
    UsageError for a row or a setting that there isn't.
    """
    benchmark, row = open_catalog(manifests).row(row_id)
    if init:  # the recipe keeps no path: it is published
        name = init if init.startswith(TIMM) or not is_path(init) else Path(init).name
        settings = [*settings, f"init={name}", "init_sha256=none"]
    recipe = overridden(recipe_of(benchmark.manifest, row), settings)
    out = out or Path("runs") / row.id
    return RowRun(benchmark.manifest, row, recipe, data, out, tuple(manifests), init)
