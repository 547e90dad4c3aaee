"""The launcher's variables tell each process its place; a wrong one is named."""

import pytest
from mixzoo.eval.world import Place, first_node, launched
from mixzoo.zoo.errors import UsageError

SLURM = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,2",
    "SLURM_STEP_NODELIST": "gpu-[07-08]",
    "SLURM_JOB_ID": "123456",
}


def test_nobody_launched_is_alone() -> None:
    """Without a launcher there is one process."""
    assert launched({}) == Place()


def test_torchrun() -> None:
    """torchrun's variables are taken as they are."""
    place = launched({"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})

    assert place == Place(rank=3, size=4, local_rank=1, local_size=2)


def test_srun() -> None:
    """A step of six tasks on two nodes; they meet at the first one."""
    place = launched(SLURM)

    assert (place.rank, place.size, place.local_rank, place.local_size) == (4, 6, 0, 2)
    assert place.rendezvous["MASTER_ADDR"] == "gpu-07"


def test_all_tasks_of_a_step_meet_at_one_port() -> None:
    """The port depends on the job, not on the task, and is one that anybody may use."""
    ports = {launched(SLURM | {"SLURM_PROCID": str(i)}).rendezvous["MASTER_PORT"] for i in range(6)}

    assert len(ports) == 1
    assert 20000 <= int(ports.pop()) < 40000


def test_srun_keeps_an_address_that_was_given() -> None:
    """MASTER_ADDR and MASTER_PORT of the user win."""
    place = launched(SLURM | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"})

    assert place.rendezvous == {}


def test_a_batch_script_is_alone() -> None:
    """sbatch sets the job's task count and a rank for the script itself, which is one process."""
    assert launched({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}) == Place()


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node[3-5,9],login1", "node3"),
        ("a-[012-015]", "a-012"),
        ("rack1-node2.cluster,rack1-node3.cluster", "rack1-node2.cluster"),
        ("n[1-2]-ib", "n1-ib"),
    ],
)
def test_first_node_of_a_list(nodes: str, first: str) -> None:
    """SLURM's compressed host lists, with their zeros and what follows the brackets."""
    assert first_node(nodes) == first


@pytest.mark.parametrize(
    "broken",
    [
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "2"},
        SLURM | {"SLURM_PROCID": ""},
        SLURM | {"SLURM_STEP_NODELIST": ""},
    ],
)
def test_a_broken_environment_is_named(broken: dict[str, str]) -> None:
    """The variable, what it holds, and how to start instead."""
    with pytest.raises(UsageError, match=r"(WORLD_SIZE|RANK|SLURM_\w+): expected"):
        launched(broken)
