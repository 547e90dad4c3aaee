"""Whose a folder is: one run at a time, and always the same one."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ..eval.world import ALONE, World
from ..zoo.errors import UsageError
from ..zoo.files import alone, clear, write
from .data import Data
from .recipe import Recipe, settings_between

RECORD = "run.json"
PATIENCE = 15.0
"""Seconds to wait for a folder: with older versions of filelock the decoding processes of a killed
run hold its lock until they see, within five, that they are orphans."""


def facts_of(name: str, recipe: Recipe, data: Data, begun: Any = None) -> dict[str, Any]:
    """What makes a run the same run: its name, its recipe, its labelled images, what it began with.

    begun: a `begin.Begun`, None where that is nothing but the seed.
    """
    return {
        "name": name,
        "recipe": json.loads(json.dumps(recipe.stated())),
        "train": {"images": len(data.train), "sha256": data.train.sha256()},
        "val": {"images": len(data.val), "sha256": data.val.sha256()},
        **({"begun": msgspec.to_builtins(begun)} if begun else {}),
    }


def require_same(facts: Mapping[str, Any], world: World) -> None:
    """Raise UsageError, on all ranks, where they have different facts."""
    for rank, other in enumerate(every := world.gather(facts)):
        if other != every[0]:
            names = ", ".join(name for name in other if other[name] != every[0].get(name))
            raise UsageError(
                f"Rank {rank} has another run than rank 0; different: {names}. Start all processes "
                "with the same command, the same images and the same version of mixzoo."
            )


@contextmanager
def claimed(out: Path, facts: Mapping[str, Any], world: World = ALONE) -> Iterator[None]:
    """Make `out` the folder of one run while the body runs.

    facts: what a run is, apart from where it stands (see `facts_of`); they are written to
    `run.json` at the first time, and compared at every other. Raises UsageError, on all ranks,
    where another job trains in the folder, or where it holds another run. The facts are the same on
    all ranks (see `require_same`).
    """
    error = None
    with ExitStack() as held:
        if world.leads:
            try:
                held.enter_context(alone(out / ".lock", _patience(out)))
                clear(out)
                _remember(out, facts)
            except UsageError as raised:
                error = raised
            except OSError as raised:
                error = UsageError(
                    f"--out {out}: can't be the folder of a run: {raised.strerror}. Choose another."
                )
        world.agree(error)
        yield


def _patience(out: Path) -> Callable[[], None]:
    end = time.monotonic() + PATIENCE

    def waiting() -> None:
        if time.monotonic() > end:
            raise UsageError(
                f"--out {out}: another process is training here. Wait for it, or choose another "
                "folder."
            )

    return waiting


def _remember(out: Path, now: Mapping[str, Any]) -> None:
    """Write down what the run is, or hold it against what is written."""
    record = out / RECORD
    if not record.exists():
        write(record, json.dumps(now, indent=2) + "\n")
        return
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict) or not isinstance(before.get("recipe"), dict):
        raise UsageError(
            f"{record}: expected what this run is, in JSON, got something else. Remove that file "
            "to go on with the same command (the checkpoints tell their recipe too), or choose "
            "another folder."
        )
    changed = [f"--set {s}" for s in settings_between(before["recipe"], now["recipe"])]
    changed += [name for name in now if name != "recipe" and before.get(name) != now[name]]
    if before != now:
        raise UsageError(
            f"--out {out}: holds another run; now different: {', '.join(changed) or 'recipe'}. "
            "Give the same command to go on with that run, or another folder to begin a new one."
        )
