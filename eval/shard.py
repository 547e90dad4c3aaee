"""Which images are a part of an evaluation that several machines share without meeting."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..zoo.errors import UsageError

T = TypeVar("T")
MOST = 1_000_000


@dataclass(frozen=True)
class Shard:
    """Part `number`, counted from 1, of `of`: every of-th batch of the list, from its number on.

    Batches of the whole list are dealt out, so that each is made of the same images everywhere; by
    turns, since lists are sorted by class.
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def share(self, groups: Sequence[T]) -> Sequence[T]:
        """Its batches among those of all images."""
        return groups[self.number - 1 :: self.of]

    def count(self, images: int, batch_size: int) -> int:
        """How many of so many images are its."""
        starts = range((self.number - 1) * batch_size, images, self.of * batch_size)
        return len(starts) * batch_size - max(0, starts[-1] + batch_size - images) if starts else 0

    def positions(self, images: int, batch_size: int) -> list[int]:
        """Its images among so many, in the list's order."""
        return [at for group in self.share(batches(range(images), batch_size)) for at in group]


ALL = Shard()


def batches(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """An order of images, cut into batches; the last may be smaller."""
    return [order[i : i + size] for i in range(0, len(order), size)]


def parse(text: str, environment: Mapping[str, str]) -> Shard:
    """A shard as people name it: `3/64`, or `auto` for that of this task of a SLURM array.

    Raises UsageError for anything else, and for an array that isn't whole.
    """
    if text == "auto":
        return _of_array(environment)
    match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
    if match and 1 <= int(match[1]) <= int(match[2]) <= MOST:
        return Shard(int(match[1]), int(match[2]))
    raise UsageError(
        f"--shard {text!r}: expected N/OF with N from 1 to OF, as 3/64, or auto in a SLURM array. "
        "Give one."
    )


def _of_array(environment: Mapping[str, str]) -> Shard:
    values = {}
    for name in ("ID", "MIN", "MAX", "COUNT"):
        text = environment.get(f"SLURM_ARRAY_TASK_{name}", "")
        if not re.fullmatch(r"[0-9]{1,9}", text):
            got = f"got {text[:40]!r}" if text else "but it isn't set"
            raise UsageError(
                f"--shard auto: expected a whole number in SLURM_ARRAY_TASK_{name}, as in a task "
                f"of sbatch --array=1-64, {got}. Name the shard elsewhere: --shard 3/64."
            )
        values[name] = int(text)
    if values["MAX"] - values["MIN"] + 1 != values["COUNT"] or values["COUNT"] > MOST:
        raise UsageError(
            f"--shard auto: expected an array without gaps, got {values['COUNT']} tasks from "
            f"{values['MIN']} to {values['MAX']}. Name the shard instead: "
            "--shard $SLURM_ARRAY_TASK_ID/64."
        )
    return parse(f"{values['ID'] - values['MIN'] + 1}/{values['COUNT']}", {})
