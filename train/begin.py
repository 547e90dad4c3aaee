"""What a run begins with in place of random weights: those of a row, of a file, or timm's own."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import safetensors.torch
import torch.distributed as dist
from torch import Tensor

from ..eval.world import World
from ..zoo.catalog import open_catalog
from ..zoo.checkpoint.config import pick
from ..zoo.checkpoint.infer import COUNT
from ..zoo.checkpoint.load import examine, tell
from ..zoo.checkpoint.names import canonical
from ..zoo.checkpoint.peers import has_peer
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.errors import IntegrityError, MixzooError, UsageError
from ..zoo.net.progress import tell as say
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.named import TIMM, classifier_of, pretrained
from ..zoo.refs import is_path, resolve
from .checkpoints import LAST, PREVIOUS
from .claim import RECORD
from .network import fresh_network
from .recipe import Recipe
from .rows import RowRun

SIDE = re.compile(r"(backbone|head_one|head_mix)_[qk]\.")


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run began with, as its `run.json` keeps it. sha256: of the file; of timm's weights, of
    their tensors as safetensors. taken: number of the tensors, left: names of those that are new."""

    init: str
    sha256: str
    taken: int
    left: list[str]


@dataclass(frozen=True)
class Source:
    """Weights to begin with. entries: of one classifier, `backbone.` and `head.`, and as far as it
    has them `head_mix.` and `mix_block.`, for a network called `architecture`."""

    architecture: str
    num_classes: int
    method: str
    sha256: str
    entries: Mapping[str, Tensor]


def begin(run: RowRun, world: World) -> tuple[RowRun, Begun | None, dict[str, Tensor]]:
    """The run with the sha256 of what it begins with, what was taken of it, and those tensors.

    A run that has a checkpoint goes on from there, and nothing is read but its `run.json`. The
    leader reads, all ranks get the same. Raises on all ranks: UsageError for another network,
    IntegrityError for another file than the row's recipe names, and what finding or fetching it
    raises.
    """
    ref, error = run.init or run.recipe.init, None
    found: list[tuple[Begun, dict[str, Tensor]] | None] = [None]
    if ref and world.leads:
        try:
            kept = _kept(run)
            found = [(kept, {}) if kept else _taken(ref, run.recipe, run.manifests)]
        except MixzooError as raised:
            error = raised
    world.agree(error)
    if ref and world.size > 1:
        dist.broadcast_object_list(found)
    if not found[0]:
        return run, None, {}
    begun, taken = found[0]
    return replace(run, recipe=replace(run.recipe, init_sha256=begun.sha256)), begun, taken


def _kept(run: RowRun) -> Begun | None:
    """What the run began with, if it has a checkpoint to go on from."""
    if not any((run.out / name).exists() for name in (LAST, PREVIOUS)):
        return None
    with suppress(OSError, ValueError):  # `claim` names what is wrong with it
        begun = pick(json.loads((run.out / RECORD).read_bytes()), "begun", kind=Begun)
        return begun if begun and begun.init == run.recipe.init else None
    return None


def _taken(ref: str, recipe: Recipe, manifests: Sequence[Path]) -> tuple[Begun, dict[str, Tensor]]:
    source = _of_timm(ref, recipe) if ref.startswith(TIMM) else _of_file(ref, recipe, manifests)
    if recipe.init_sha256 not in (None, source.sha256):
        raise IntegrityError(
            f"--init {ref}: sha256 is {source.sha256}, the row's recipe began with "
            f"{recipe.init_sha256}. Name that file with --init, or say --set init_sha256=none."
        )
    entries = _in_network(source, recipe.architecture)
    model = fresh_network(replace(recipe, freeze=False))
    taken, left = {}, []
    for name, own in model.state_dict().items():
        value = next((entries[it] for it in _names(name, model) if it in entries), None)
        if value is not None and value.shape == own.shape:
            taken[name] = value.to(own.dtype, copy=True)
        elif not name.endswith(COUNT):
            left.append(name)
    say(
        f"Begins with {recipe.init} (sha256 {source.sha256[:12]}…): {len(taken)} of "
        f"{len(taken) + len(left)} tensors are taken."
    )
    if source.num_classes != recipe.num_classes:
        say(
            f"The head is new: {recipe.num_classes:,} classes where the file has "
            f"{source.num_classes:,}."
        )
    if any(name.startswith("mix_block.") for name in left):
        has = "none" if source.method == "plain" else f"that of {source.method}"
        say(f"The mix block is new: the file has {has}.")
    assert recipe.init
    return Begun(init=recipe.init, sha256=source.sha256, taken=len(taken), left=left), taken


def _of_timm(ref: str, recipe: Recipe) -> Source:
    architecture = ref.partition(".")[0]
    _require_same(ref, architecture, recipe.architecture)
    network = pretrained(ref)
    entries = network.state_dict()
    sha256 = hashlib.sha256(safetensors.torch.save(entries)).hexdigest()
    head = entries[f"{classifier_of(architecture)}.weight"]
    named = {f"backbone.{name}": value for name, value in entries.items()}
    return Source(architecture, len(head), "plain", sha256, named)


def _of_file(ref: str, recipe: Recipe, manifests: Sequence[Path]) -> Source:
    file = Path(ref)
    if is_path(ref) and not file.exists():
        raise UsageError(
            f"--init {ref}: expected the file that the run begins with, but it isn't there"
            + (f" (its sha256 is {recipe.init_sha256})" if recipe.init_sha256 else "")
            + ". Name it: --init FILE."
        )
    catalog = open_catalog(manifests)
    if not is_path(ref):  # before it is fetched
        _require_same(ref, catalog.row(ref)[1].architecture, recipe.architecture)
    resolved = resolve(ref, catalog)
    model, entries = examine(
        read_checkpoint(resolved.path),
        resolved.row,
        resolved.num_classes,
        architecture=_in_ours(recipe.architecture),
    )
    _require_same(ref, model.architecture, recipe.architecture)
    tell(resolved.name, model.remarks)
    if isinstance(model, MixClassifier):  # k, as the reference infers
        sides = {"backbone_k.": "backbone.", "head_one_k.": "head.", "head_mix_k.": "head_mix."}
        sides |= {"mix_block.": "mix_block."}
        entries = {
            plain + name.removeprefix(full): value
            for full, plain in sides.items()
            for name, value in entries.items()
            if name.startswith(full)
        }
    return Source(model.architecture, model.num_classes, model.method, resolved.sha256, entries)


def _in_ours(architecture: str) -> str:
    """Our name of a network that timm has, too; else its own."""
    bare = architecture.removeprefix(TIMM)
    with suppress(UsageError):
        return bare if has_peer(bare) else architecture
    return architecture


def _require_same(ref: str, got: str, wanted: str) -> None:
    if _in_ours(got) != _in_ours(wanted):
        raise UsageError(
            f"--init {ref}: is a {got}, the run trains a {wanted}. Begin with the same network, or "
            f"train that one: --set architecture={got}"
        )


def _in_network(source: Source, architecture: str) -> Mapping[str, Tensor]:
    """The entries by the names of the network called `architecture`."""
    if source.architecture == architecture:
        return source.entries
    bare = {re.sub(r"^(backbone|head)\.", "", name): v for name, v in source.entries.items()}
    if not architecture.startswith(TIMM):
        return canonical(bare)
    return {f"backbone.{name}": value for name, value in bare.items()}


def _names(name: str, model: Classifier | MixClassifier) -> list[str]:
    """The names that a tensor of the run's network may have in a `Source`, the best first."""
    plain = SIDE.sub(lambda side: "head." if side[1] == "head_one" else f"{side[1]}.", name)
    if not plain.startswith("head_mix."):
        return [plain]
    classifier = getattr(model, "classifier", "")
    head = f"backbone.{classifier}." if classifier else "head."
    return [plain, head + plain.removeprefix("head_mix.")]
