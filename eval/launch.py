"""Which process this is among those that a launcher started: torchrun, or SLURM's srun."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..zoo.errors import UsageError

PORTS = range(20000, 40000)  # one is picked by SLURM's job id, so that jobs on one node don't meet


@dataclass(frozen=True)
class Place:
    """One process among `size`. rendezvous: variables that torch needs and the launcher didn't set."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    rendezvous: Mapping[str, str] = field(default_factory=dict)


def launched(environment: Mapping[str, str]) -> Place:
    """Read the launcher's variables; a process that nobody launched is alone.

    torchrun sets WORLD_SIZE and RANK. srun sets SLURM_STEP_NUM_TASKS for the tasks of this step;
    a batch script itself has none and is alone, whatever its job reserved.
    Raises UsageError naming a variable that is missing or no number.
    """
    if "WORLD_SIZE" in environment:
        size = _number(environment, "WORLD_SIZE")
        return Place(
            rank=_number(environment, "RANK"),
            size=size,
            local_rank=_number(environment, "LOCAL_RANK", "0"),
            local_size=_number(environment, "LOCAL_WORLD_SIZE", str(size)),
        )
    if _number(environment, "SLURM_STEP_NUM_TASKS", "1") > 1:
        return _slurm(environment)
    return Place()


def _slurm(environment: Mapping[str, str]) -> Place:
    rendezvous = {}
    if "MASTER_ADDR" not in environment:
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
        rendezvous["MASTER_ADDR"] = first_node(nodes)
    if "MASTER_PORT" not in environment:
        job = _number(environment, "SLURM_JOB_ID", "0") + _number(environment, "SLURM_STEP_ID", "0")
        rendezvous["MASTER_PORT"] = str(PORTS[job % len(PORTS)])
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment["SLURM_STEP_NUM_TASKS"]
    node = _number(environment, "SLURM_NODEID", "0")
    return Place(
        rank=_number(environment, "SLURM_PROCID"),
        size=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(environment, "SLURM_LOCALID", "0"),
        local_size=_tasks_on(per_node, node),
        rendezvous=rendezvous,
    )


def first_node(nodes: str) -> str:
    """The first host of SLURM's list, like `node-[007-009,12],login`: "node-007".

    Raises UsageError if there is none.
    """
    match = re.match(r"([^\[,\s]+)(?:\[(\w+)[^\]]*\]([^,\s\[]*))?", nodes.strip())
    if not match:
        raise UsageError(
            f"SLURM_STEP_NODELIST: expected the names of this step's nodes, got {nodes!r}. "
            "Set MASTER_ADDR to the first node's name."
        )
    return "".join(part or "" for part in match.groups())


def _tasks_on(per_node: str, node: int) -> int:
    """SLURM's `4(x2),3` means 4, 4, 3 tasks on the nodes 0, 1, 2."""
    counts: list[int] = []
    for tasks, repeated in re.findall(r"(\d+)(?:\(x(\d+)\))?", per_node):
        counts += [int(tasks)] * int(repeated or 1)
    return counts[min(node, len(counts) - 1)] if counts else 1


def _number(environment: Mapping[str, str], name: str, default: str | None = None) -> int:
    text = environment.get(name, default)
    if text is None or not text.strip().isdecimal():
        raise UsageError(
            f"{name}: expected a number from the launcher, got {text!r}. Start with "
            "torchrun --nproc_per_node N -m mixzoo.eval ..., or srun mixzoo eval ..."
        )
    return int(text)
