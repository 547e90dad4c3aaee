"""Jobs by submitit: what they run, that they go on when they were stopped, and what is refused."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.data import find_images
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.submit import Commands, submit

from ..mini_rows import VANILLA

# Counts its starts in a file. The first time it waits for SIGTERM, and ends as a run that saved.
SAVES = """
import signal, sys, time
from pathlib import Path
state = Path(sys.argv[1])
starts = state.read_text() if state.exists() else ""
state.write_text(starts + "x")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[2])))
if not starts:
    time.sleep(60)
"""


def ended(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def program(tmp_path: Path, source: str) -> tuple[str, str]:
    (tmp_path / "program.py").write_text(source)
    return sys.executable, str(tmp_path / "program.py")


@pytest.mark.parametrize(
    ("told", "code"), [("the job", 75), ("the command", 75), ("the command", 143)]
)
def test_a_stopped_job_goes_on(told: str, code: int, tmp_path: Path) -> None:
    """A scheduler's signal to the job, or one to the command itself, which saves and ends."""
    state = tmp_path / "state"
    note = (
        "import os, sys; open(sys.argv[1] + '.pid', 'w').write(f'{os.getpid()} {os.getppid()}')\n"
    )
    job = Commands([[str(state), str(code)]], program(tmp_path, note + SAVES))
    submit("local", tmp_path / "jobs", [job])
    assert ended(lambda: state.exists() and state.read_text() == "x")
    time.sleep(0.2)  # its handler is set
    child, parent = map(int, Path(f"{state}.pid").read_text().split())

    if told == "the job":
        os.kill(parent, signal.SIGUSR2)
    else:
        os.kill(child, signal.SIGTERM)

    assert ended(lambda: state.read_text() == "xx")
    assert ended(lambda: list((tmp_path / "jobs").glob("*_result.pkl")))


def test_a_command_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it had the time to save."""
    monkeypatch.setattr("mixzoo.zoo.submit.PATIENCE", 0.3)
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    job = Commands([], _child=child)

    job.checkpoint()

    with child:
        assert child.wait(10) == -signal.SIGKILL


def test_one_that_fails_does_not_keep_the_others_back(tmp_path: Path) -> None:
    """All commands are run, and the job says in the end which failed."""
    made = program(tmp_path, "import sys; open(sys.argv[1], 'w'); sys.exit(len(sys.argv) - 2)")
    a, b = tmp_path / "a", tmp_path / "b"
    submit("local", tmp_path / "jobs", [Commands([[str(a), "fails"], [str(b)]], made)])

    assert ended(lambda: list((tmp_path / "jobs").glob("*_result.pkl")))

    assert {path.name for path in (a, b) if path.exists()} == {"a", "b"}
    (log,) = (tmp_path / "jobs").glob("*_0_log.err")
    assert f"exit code 1: mixzoo {a} fails" in log.read_text()


def test_tasks_are_processes_of_one_world(tmp_path: Path) -> None:
    """Two tasks find each other by the variables that torchrun sets."""
    source = (
        "import os, sys\n"
        "from mixzoo.zoo.launcher import launched\n"
        "place = launched(os.environ)\n"
        "open(f'{sys.argv[1]}/{place.rank}-of-{place.size}', 'w')\n"
    )
    job = Commands([[str(tmp_path)]], program(tmp_path, source))
    submit("local", tmp_path / "jobs", [job], ["tasks_per_node=2"])

    assert ended(lambda: len(list(tmp_path.glob("?-of-2"))) == 2)


@pytest.mark.parametrize(
    ("cluster", "settings", "complaint"),
    [
        ("local", ["nonsense"], "expected KEY=VALUE"),
        ("local", ["no_such_thing=3"], "no_such_thing"),
        ("local", ["nodes=2"], "only one node"),
        ("local", ["tasks_per_node=65"], "expected at most 64, got 65"),
        ("slurm", ["timeout_min=9007199254740992"], "expected at most 1,000,000,000"),
        ("slurm", [], "srun"),
    ],
)
def test_what_submitit_refuses_is_one_line(
    cluster: str,
    settings: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own errors are of every kind."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(UsageError, match=complaint) as raised:
        submit(cluster, tmp_path / "jobs", [Commands([["--version"]])], settings)

    assert "\n" not in str(raised.value)


def test_an_evaluation_runs_as_jobs_whose_parts_are_merged(
    mixzoo: Callable[..., tuple[int, str, str]], mini_images: Path, tmp_path: Path
) -> None:
    """Through the command line: two jobs make parts of some images, and a merge the evidence."""
    images = find_images(mini_images)
    pairs = list(zip(images.files, images.labels, strict=True))[:96]
    (tmp_path / "few.txt").write_text("".join(f"{file},{label}\n" for file, label in pairs))
    words = ["eval", VANILLA, "--data", mini_images]
    words += ["--list", tmp_path / "few.txt", "--batch-size", "16", "--workers", "0"]
    one, merged = tmp_path / "one", tmp_path / "merged"
    folders = [tmp_path / "r.parts" / number for number in "21"]

    where = ("--out", tmp_path / "r.json", "--evidence", merged)
    _, out, _ = mixzoo(*words, "--submit", "local", "--jobs", "2", *where)
    assert ended(lambda: all((folder / "part.json").exists() for folder in folders), 120)
    codes = [
        mixzoo(*shlex.split(out.split("When all are done: mixzoo ")[1]))[0],
        mixzoo(*words, "--fresh", "--evidence", one)[0],
    ]

    assert codes == [0, 0]
    files = [path.relative_to(one) for path in one.rglob("*.safetensors")]
    assert files
    assert all((one / file).read_bytes() == (merged / file).read_bytes() for file in files)
