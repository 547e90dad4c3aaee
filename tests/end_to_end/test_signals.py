"""A command that is stopped at a random moment ends soon, with a documented exit code, leaves nothing
half-written and no process; and the same command goes on to the same result.

`make signals` tries 30 moments of each command, spread over its whole life; here it is one.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mixzoo.app.cli import EXIT_CODES

from ..mini_rows import MIXUP, weights
from ..train.conftest import colours, manifest  # noqa: F401, fixtures

MOMENTS = int(os.environ.get("MIXZOO_SIGNAL_MOMENTS", "1"))
PATIENCE = 15.0 if MOMENTS > 1 else 60.0  # beside other tests a machine is slow
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WEIGHTS = weights(MIXUP)

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


@dataclass
class Command:
    """A command below a folder, and what it gives. life: seconds that it takes, about.

    ranks: processes that a launcher would start. asks: whether it is a training, which saves and
    asks to be run again. serves: whether it ends by a signal only.
    """

    words: Sequence[object]
    result: Callable[[Path, str], Any]
    life: float = 4.0
    ranks: int = 1
    asks: bool = False
    serves: bool = False
    env: dict[str, str] = field(default_factory=dict)

    def codes(self, number: signal.Signals) -> set[int]:
        """Those that it may end with after a signal: its own, or those of any command."""
        own = {0, 75} if self.asks else {0}
        lost = {8} if self.ranks > 1 else set()
        return own | lost | {128 + number, -number}  # the last before Python is there


def files_of(folder: Path, _: str) -> dict[str, str]:
    """Every file below a folder, by its hash."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def counts_of(_: Path, printed: str) -> list[Any]:
    """What an evaluation found."""
    heads = [head for row in json.loads(printed)["rows"] for head in row["heads"]]
    return [(head["head"], head["correct"], head["correct5"], head["total"]) for head in heads]


def weights_of(folder: Path, _: str) -> list[bytes]:
    """What a training made, to the byte."""
    return [
        path.read_bytes() for path in sorted(folder.glob("*colours.*")) if ".log" not in path.name
    ]


def nothing(_: Path, __: str) -> None:
    """For who gives nothing."""


@pytest.fixture
def commands(mini_images: Path, colours: Path, manifest: Path) -> dict[str, Command]:  # noqa: F811
    """All commands, by name. `OUT` stands for a folder of their own."""
    evaluate = ["eval", WEIGHTS, "--row", MIXUP, "--data", mini_images, "--json"]
    evaluate += ["--device", "cpu", "--precision", "fp32"]
    places = ["--manifest", manifest, "--data", colours, "--device", "cpu", "--threads", 1]
    tiny = {"epochs": 3 if MOMENTS == 1 else 30, "batch_size": 8, "micro_batch": 4, "log_every": 1}
    train = ["train", "resnet18_w4.mixup_colours", *places, "--out", "OUT", "--checkpoint-every", 3]
    train += [word for key, value in tiny.items() for word in ("--set", f"{key}={value}")]
    row = ["--row", MIXUP]
    return {
        "eval": Command([*evaluate, "--workers", 0], counts_of),
        "eval with workers": Command([*evaluate, "--workers", 2], counts_of),
        "eval on two": Command([*evaluate, "--workers", 0], counts_of, life=6.0, ranks=2),
        "train": Command([*train, "--workers", 0], weights_of, asks=True),
        "train with workers": Command([*train, "--workers", 2], weights_of, asks=True),
        "train on two": Command([*train, "--workers", 0], nothing, life=6.0, ranks=2, asks=True),
        "prepare": Command(["data", "prepare", "mini", "--root", "OUT"], files_of),
        "import": Command(["zoo", "import", WEIGHTS, *row], nothing, life=0.5),
        "app": Command(["app", "--port", 0, "--no-browser"], nothing, life=6.0, serves=True),
    }


def started(command: Command, out: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The processes of a command, each leading a group, with a folder for temporary files."""
    words = [str(out) if word == "OUT" else str(word) for word in command.words]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for rank in range(command.ranks):
        place = {"WORLD_SIZE": str(command.ranks), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if command.ranks > 1 else {}
        with (out.parent / f"{rank}.err").open("wb") as err:
            yield subprocess.Popen(
                [sys.executable, "-m", "mixzoo", *words],
                env=os.environ | env | place,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )


def left_by(process: "subprocess.Popen[bytes]") -> list[str]:
    """Processes of the group that are there after its leader; decoding ones get five seconds."""
    end = time.monotonic() + 6
    while True:
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                _, _, rest = status.read_text().rpartition(")")
                state, _, group = rest.split()[:3]
                found += [status.parent.name] if int(group) == process.pid and state != "Z" else []
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


NAMES = ["eval", "eval with workers", "eval on two", "train", "train with workers", "train on two"]
NAMES += ["prepare", "import", "app"]
CI = {"eval with workers", "eval on two", "train with workers", "prepare", "import", "app"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("name", [name for name in NAMES if MOMENTS > 1 or name in CI])
def test_a_signal_at_a_random_moment(
    name: str,
    moment: int,
    commands: dict[str, Command],
    mixzoo: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the process or its whole group; of several, to one or to all."""
    command, rng = commands[name], random.Random(f"{name} {moment}")
    number = rng.choice([*ENDING, signal.SIGUSR1] if command.asks else ENDING)
    whole_group, all_ranks = rng.random() < 0.5, rng.random() < 0.7
    out, temporary, cache = (tmp_path / part for part in ("out", "temporary", "cache"))
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "MIXZOO_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    environment["MIXZOO_MEETING_SECONDS"] = "5"  # who comes alone doesn't wait for long

    processes = list(started(command, out, environment))
    time.sleep(command.life * (moment + rng.random()) / MOMENTS)
    for process in processes if all_ranks else processes[-1:]:
        with suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, number)
    asked = time.monotonic()
    try:
        codes = [process.wait(PATIENCE) for process in processes]
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    took = time.monotonic() - asked
    orphans = [pid for process in processes for pid in left_by(process)]
    errs = [(tmp_path / f"{rank}.err").read_text() for rank in range(command.ranks)]
    told = (name, number.name, whole_group, all_ranks, codes, took, errs)

    assert set(codes) <= command.codes(number), told
    assert {code for code in codes if code > 0} <= EXIT_CODES.keys(), told
    if -number not in codes:  # else Python was still importing the command
        assert not any("Traceback" in err or "Exception ignored" in err for err in errs), told
    assert not orphans, told
    ours = [path for path in temporary.iterdir() if not path.name.startswith("torchinductor")]
    assert not ours, told  # torch keeps its own cache
    parts = [p for folder in (out, cache) if folder.exists() for p in folder.rglob("*.part")]
    # A download keeps its beginning, to go on from there.
    assert all(part.is_relative_to(cache / "assets") for part in parts), told
    if not command.serves:
        monkeypatch.setenv("MIXZOO_CACHE", str(cache))
        ours = finished(mixzoo, command, out)
        monkeypatch.setenv("MIXZOO_CACHE", str(tmp_path / "another"))
        assert ours == finished(mixzoo, command, tmp_path / "whole"), told
    print(f"outcome {name}: {number.name} -> {codes} in {took:.1f} s")  # with -rP


def finished(mixzoo: Run, command: Command, out: Path) -> Any:
    """What a command gives when it is run to its end in `out`."""
    words = [out if word == "OUT" else word for word in command.words]
    code, printed, err = mixzoo(*words)
    assert code == 0, err
    result = command.result(out, printed)
    shutil.rmtree(out, ignore_errors=True)
    return result
