"""Which process of a job this is, by what torchrun or SLURM's srun left in the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UsageError

PORTS = range(20000, 40000)  # one is picked by SLURM's job id, so that jobs on one node don't meet


@dataclass(frozen=True)
class Place:
    """This process among `size`, of which `local_size` are on this machine; alone if none started.

    host, port: where rank 0 waits for the others. patience: seconds for which all wait for each
    other at first. variable: by which this job is known to be one.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1
    local_rank: int = 0
    host: str = ""
    port: int = 0
    patience: int = 300
    variable: str = ""

    @property
    def advice(self) -> str:
        """How to go on where nobody meant to start several processes, or in another way."""
        return (
            f"To run alone: env -u {self.variable} mixzoo ... To run on several processes: "
            "torchrun --nproc_per_node N -m mixzoo ..., or srun mixzoo ..."
        )


def launched(environment: Mapping[str, str]) -> Place:
    """This process by the launcher's variables.

    torchrun sets WORLD_SIZE and RANK. srun sets SLURM_STEP_NUM_TASKS for the tasks of this step;
    a batch script itself has none and is alone, whatever its job reserved.
    Raises UsageError naming a variable that is missing, no number, or out of range.
    """
    variable = "WORLD_SIZE" if "WORLD_SIZE" in environment else "SLURM_STEP_NUM_TASKS"

    def number(name: str, default: str | None = None, low: int = 0, high: int = 10**6) -> int:
        text = environment.get(name, default)
        if (
            text is not None
            and re.fullmatch(r"\s*[0-9]{1,10}\s*", text)
            and low <= int(text) < high
        ):
            return int(text)
        got = f"got {text[:40]!r}" if text is not None else "but it isn't set"
        raise UsageError(
            f"{name}: expected a number from {low} to {high - 1}, as {variable} is set, {got}. "
            f"{Place(variable=variable).advice}"
        )

    size = number(variable, "1", low=1)
    if size == 1:
        return Place()
    if variable == "WORLD_SIZE":
        local_size = number("LOCAL_WORLD_SIZE", str(size), low=1, high=size + 1)
        rank, local_rank = number("RANK", high=size), number("LOCAL_RANK", "0", high=local_size)
        host = environment.get("MASTER_ADDR", "").strip()
        port = number("MASTER_PORT", low=1, high=1 << 16) if host else 0
    else:
        per_node = environment.get("SLURM_STEP_TASKS_PER_NODE") or str(size)
        local_size = _tasks_on(per_node, number("SLURM_NODEID", "0"))
        rank, local_rank = number("SLURM_PROCID", high=size), number("SLURM_LOCALID", "0")
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
        host = environment.get("MASTER_ADDR", "").strip() or first_node(nodes)
        job = number("SLURM_JOB_ID", "0", high=10**10) + number("SLURM_STEP_ID", "0", high=10**10)
        port = number("MASTER_PORT", str(PORTS[job % len(PORTS)]), low=1, high=1 << 16)
    if not host:
        raise UsageError(
            f"MASTER_ADDR: expected the address at which rank 0 of {size} processes waits, as "
            f"{variable} is set, but it isn't set. {Place(variable=variable).advice}"
        )
    patience = number("MIXZOO_MEETING_SECONDS", "300", low=1)
    return Place(rank, size, local_size, local_rank, host, port, patience, variable)


def speaks() -> bool:
    """Whether this process says what all processes of its job would say: rank 0, or one alone."""
    try:
        return launched(os.environ).rank == 0
    except UsageError:
        return True


def first_node(nodes: str) -> str:
    """The first host of SLURM's list, like `node-[007-009,12],login`: "node-007".

    Several brackets in a name stand for all combinations, the first of each for the first host.

    Raises UsageError if there is none.
    """
    match = re.match(r"[^\[,\s]+(?:\[\w[^\]]*\]|[^\[,\s]+)*", nodes.strip())
    if not match:
        raise UsageError(
            f"SLURM_STEP_NODELIST: expected the names of this step's nodes, got {nodes!r}. "
            "Set MASTER_ADDR to the first node's name."
        )
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", match[0])


def _tasks_on(per_node: str, node: int) -> int:
    """SLURM's `4(x2),3` means 4, 4, 3 tasks on the nodes 0, 1, 2."""
    counts: list[int] = []
    for tasks, repeated in re.findall(r"(\d{1,9})(?:\(x(\d{1,6})\))?", per_node):
        counts += [int(tasks)] * int(repeated or 1)
    return max(1, counts[min(node, len(counts) - 1)]) if counts else 1
