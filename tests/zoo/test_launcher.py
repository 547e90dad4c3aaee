"""Each process learns its place from its launcher, and leftovers of one are explained."""

import pytest
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.launcher import first_node, launched, speaks

SLURM = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,2",
    "SLURM_STEP_NODELIST": "gpu-[07-08]",
    "SLURM_JOB_ID": "123456",
}
TORCHRUN = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
TORCHRUN |= {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
BATCH_SCRIPT = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}
"""sbatch and salloc tell the script or shell of the job's tasks, but it is one process."""


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, (0, 1, 1, 0)),
        (TORCHRUN, (3, 4, 2, 1)),
        (BATCH_SCRIPT, (0, 1, 1, 0)),
        (SLURM, (4, 6, 2, 0)),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, (4, 6, 2, 0)),
        ({"WORLD_SIZE": "1"}, (0, 1, 1, 0)),
        ({"RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "node1"}, (0, 1, 1, 0)),
    ],
)
def test_the_launcher_tells_the_place(environment: dict[str, str], place: tuple[int, ...]) -> None:
    """torchrun's and srun's variables are taken as they are; whom nobody launched is alone, also
    with leftovers that don't say how many there are."""
    found = launched(environment)

    assert (found.rank, found.size, found.local_size, found.local_rank) == place


def test_all_tasks_of_a_step_meet_at_one_address() -> None:
    """The step's first node; a port that depends on the job, not on the task, and is free to use."""
    met = [launched(SLURM | {"SLURM_PROCID": str(i)}) for i in range(6)]

    assert {(place.host, place.port) for place in met} == {("gpu-07", met[0].port)}
    assert 20000 <= met[0].port < 40000


def test_srun_keeps_an_address_that_was_given() -> None:
    """MASTER_ADDR and MASTER_PORT of the user win."""
    given = launched(SLURM | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"})

    assert (given.host, given.port) == ("10.0.0.1", 29500)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node[3-5,9],login1", "node3"),
        ("a-[012-015]", "a-012"),
        ("rack1-node2.cluster,rack1-node3.cluster", "rack1-node2.cluster"),
        ("n[1-2]-ib", "n1-ib"),
        ("rack[2-3]n[04-07]-ib,login", "rack2n04-ib"),
    ],
)
def test_first_node_of_a_list(nodes: str, first: str) -> None:
    """SLURM's compressed host lists, with their zeros and what follows the brackets."""
    assert first_node(nodes) == first


BROKEN = [
    (TORCHRUN | {"WORLD_SIZE": "two"}, "WORLD_SIZE"),
    (TORCHRUN | {"WORLD_SIZE": "0"}, "WORLD_SIZE"),
    (TORCHRUN | {"WORLD_SIZE": "-1"}, "WORLD_SIZE"),
    (TORCHRUN | {"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE"),
    ({"WORLD_SIZE": "2"}, "RANK"),
    (TORCHRUN | {"RANK": "x"}, "RANK"),
    (TORCHRUN | {"RANK": "4"}, "RANK"),
    (TORCHRUN | {"LOCAL_RANK": "2"}, "LOCAL_RANK"),
    (TORCHRUN | {"LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE"),
    (TORCHRUN | {"MASTER_PORT": "99999"}, "MASTER_PORT"),
    (TORCHRUN | {"MASTER_PORT": ""}, "MASTER_PORT"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR"),
    (TORCHRUN | {"MIXZOO_MEETING_SECONDS": "soon"}, "MIXZOO_MEETING_SECONDS"),
    (SLURM | {"SLURM_PROCID": ""}, "SLURM_PROCID"),
    (SLURM | {"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST"),
]


@pytest.mark.parametrize(("environment", "name"), BROKEN, ids=[name for _, name in BROKEN])
def test_a_broken_environment_is_named(environment: dict[str, str], name: str) -> None:
    """The variable, what it holds, and how to start instead; in one line."""
    with pytest.raises(UsageError, match=f"^{name}: expected [^\n]*$") as raised:
        launched(environment)
    assert len(str(raised.value)) < 400
    if name != "SLURM_STEP_NODELIST":
        variable = "WORLD_SIZE" if "WORLD_SIZE" in environment else "SLURM_STEP_NUM_TASKS"
        assert f"To run alone: env -u {variable} mixzoo" in str(raised.value)
        assert "torchrun" in str(raised.value)


def test_one_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0, by SLURM's variables too; and whoever can't know who is."""
    said = []
    for environment in ({}, TORCHRUN, TORCHRUN | {"RANK": "0"}, SLURM, TORCHRUN | {"RANK": "x"}):
        for name in (*TORCHRUN, *SLURM):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        said.append(speaks())

    assert said == [True, False, True, False, True]
