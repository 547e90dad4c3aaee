"""What has to be right before a run begins: its images, and a folder that is its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..eval.world import ALONE, World
from ..zoo.cache import data_path
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import DataError, UsageError
from ..zoo.files import clear, write
from ..zoo.manifest import Manifest
from .checkpoints import is_taken
from .overrides import differences
from .recipe import Recipe
from .run import Data

RECORD = "run.json"
PATIENCE = 15.0
"""Seconds to wait for a folder: with older versions of filelock the decoding processes of a killed run
hold its lock until they see, within five, that they are orphans."""


def find_data(
    manifest: Manifest,
    data: Path | None,
    train_list: Path | None = None,
    val_list: Path | None = None,
) -> Data:
    """The training and validation images of a benchmark below the folder `data`.

    train_list, val_list: the splits' labels, annotations (`.json`) or lists of `path,label`; None
    looks for the names that the manifest knows. Drawn benchmarks are drawn where `data` is None.
    Raises DataError or UsageError for what is missing or labelled beyond the classes.
    """
    if data is None:
        if not manifest.dataset.drawn_by_package:
            raise UsageError(f"{manifest.name}: expected --data DIR, the folder of its images.")
        from ..zoo.mini import draw

        data = draw(data_path(manifest.name), "all")
    known = manifest.dataset.train.annotations if manifest.dataset.train else []
    train_list = train_list or _first(
        data, [*known, "train*.json", "train*.txt", "meta/train*.txt"]
    )
    val_names = manifest.dataset.val.annotations
    return Data(
        train=_labelled(data, train_list),
        val=_labelled(data, val_list) if val_list else find_images(data, names=val_names),
        protocol=manifest.protocol,
    )


def check_name(name: str) -> None:
    """Raise UsageError for a name that is no file's, or one of a run's checkpoints'."""
    if not name or name != Path(name).name or name.startswith(".") or is_taken(name):
        raise UsageError(
            f"--name {name!r}: expected the name of a file that isn't hidden and none of a run's "
            "checkpoints (last, previous, best, epoch_1, ...). Choose another."
        )


def check_labels(recipe: Recipe, data: Data) -> None:
    """Raise DataError for a label that the recipe's network has no class for."""
    for images in (data.train, data.val):
        largest = max(images.labels, default=0)
        if largest >= recipe.num_classes:
            raise DataError(
                f"{images.origin}: expected labels below num_classes {recipe.num_classes}, got "
                f"{largest}. Set num_classes, or give the labels of this benchmark."
            )


@contextmanager
def claimed(out: Path, facts: Mapping[str, Any], world: World = ALONE) -> Iterator[None]:
    """Make `out` the folder of one run while the body runs.

    facts: what a run is, apart from where it stands (see `facts_of`); they are written to `run.json`
    at the first time, and compared at every other. Raises UsageError, on all ranks, where another
    job trains in the folder, where it holds another run, or where ranks have different facts.
    """
    lock, error = FileLock(out / ".lock"), None
    _require_agreement(world.gather(facts))
    if world.leads:
        try:
            _claim(lock, out, facts)
        except UsageError as raised:
            error = raised
    try:
        world.agree(error)
        yield
    finally:
        lock.release()


def _require_agreement(facts: Sequence[Mapping[str, Any]]) -> None:
    for rank, other in enumerate(facts):
        if other != facts[0]:
            names = ", ".join(name for name in other if other[name] != facts[0].get(name))
            raise UsageError(
                f"Rank {rank} has another run than rank 0; different: {names}. Start all processes "
                "with the same command, the same images and the same version of mixzoo."
            )


def _claim(lock: FileLock, out: Path, facts: Mapping[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UsageError(
            f"--out {out}: another process is training here. Wait for it, or choose another folder."
        ) from None
    clear(out)
    record = out / RECORD
    if record.exists():
        _require_same(out, _read(record), facts)
        return
    write(record, json.dumps(facts, indent=2) + "\n")


def facts_of(name: str, recipe: Recipe, data: Data) -> dict[str, Any]:
    """What makes a run the same run: its name, its recipe, its labelled images."""
    return {
        "name": name,
        "recipe": json.loads(json.dumps(recipe.to_dict())),
        "train": {"images": len(data.train), "sha256": data.train.sha256()},
        "val": {"images": len(data.val), "sha256": data.val.sha256()},
    }


def _read(record: Path) -> dict[str, Any]:
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or not isinstance(facts.get("recipe"), dict):
        raise UsageError(
            f"{record}: expected what this run is, in JSON, got something else. Remove that file to go "
            "on with the same command (the checkpoints tell their recipe too), or choose another folder."
        )
    return facts


def _require_same(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if before == now:
        return
    changed = [name for name in now if before.get(name) != now[name]]
    if "recipe" in changed:
        old, new = (Recipe.from_dict(facts["recipe"]) for facts in (before, now))
        changed = [*(f"--set {d}" for d in differences(old, new)), *changed]
        changed.remove("recipe")
    raise UsageError(
        f"--out {out}: holds another run; now different: {', '.join(changed)}. Give the same command "
        "to go on with that run, or another folder to begin a new one."
    )


def _first(data: Path, patterns: list[str]) -> Path:
    found = (path for pattern in patterns for path in sorted(data.glob(pattern)))
    path = next(found, None)
    if path is None:
        raise DataError(
            f"{data}: expected the training split's labels ({', '.join(patterns)}), found none. "
            "Put them there, or name them with --train-list FILE."
        )
    return path


def _labelled(data: Path, labels: Path) -> LabelledImages:
    if labels.suffix == ".json":
        return find_images(data, annotations=labels)
    return find_images(data, list_file=labels)
