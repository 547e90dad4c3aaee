"""Processes that start at once: forks of one that has imported torch and the package already."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One line of JSON in, one out: {"program": source, "words": [...], "env": {...}, "to": stem} -> pid;
# {"poll": pid} -> exit status, null as long as it runs. What a program changes in modules is its own.
SOURCE = """
import atexit, json, os, sys
import mixzoo.app.cli
import mixzoo.eval.evaluate, mixzoo.eval.world, mixzoo.train.loop, mixzoo.train.claim
import torch
sys.stdout.write("ready\\n"); sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    if "poll" in asked:
        pid, status = os.waitpid(asked["poll"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
        answer = os.fork()
        if not answer:
            os.setsid()
            for number, name in ((0, os.devnull), (1, asked["to"] + ".out"), (2, asked["to"] + ".err")):
                file = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
                os.dup2(file, number)
            os.environ.clear()
            os.environ.update(asked["env"])
            sys.argv = ["mixzoo", *asked["words"]]
            code = 1
            try:
                exec(compile(asked["program"], "program", "exec"), {"__name__": "__main__"})
                code = 0
            except SystemExit as left:
                code = left.code or 0
            except BaseException:
                import traceback
                traceback.print_exc()
            sys.stdout.flush(); sys.stderr.flush()
            atexit._run_exitfuncs()  # as a command ends, waiting for its processes
            sys.stdout.flush(); sys.stderr.flush()
            os._exit(code)
    sys.stdout.write(json.dumps(answer) + "\\n"); sys.stdout.flush()
"""
COMMAND = "import mixzoo.app.cli; mixzoo.app.cli.main()"


class Job:
    """A program in a process of its own, which leads a process group."""

    def __init__(self, nursery: "Nursery", pid: int, stem: Path) -> None:
        self.nursery, self.pid, self.stem = nursery, pid, stem
        self.code: int | None = None

    def poll(self) -> int | None:
        """The exit code (a signal's is negative), None as long as it runs."""
        if self.code is None:
            self.code = self.nursery.ask({"poll": self.pid})
        return self.code

    def wait(self, seconds: float = 90) -> int:
        """The exit code; fails where the job hangs."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, f"still running: {self.err}"
            time.sleep(0.01)
        assert self.code is not None
        return self.code

    def first_line(self, stream: str = "out", seconds: float = 60) -> str:
        """The first line of `out` or `err`, once it is whole or the job has ended."""
        end = time.monotonic() + seconds
        while "\n" not in getattr(self, stream) and self.poll() is None:
            assert time.monotonic() < end, f"nothing on {stream}: {self.err}"
            time.sleep(0.01)
        return getattr(self, stream).partition("\n")[0]

    def signal(self, number: signal.Signals, group: bool = False) -> None:
        """Send a signal, unless it has ended by itself."""
        if self.poll() is None:
            (os.killpg if group else os.kill)(self.pid, number)

    @property
    def out(self) -> str:
        """What it wrote to stdout."""
        return self.stem.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        """What it wrote to stderr."""
        return self.stem.with_suffix(".err").read_text()


class Nursery:
    """Starts programs, `mixzoo` itself if none is given, in a copy of this process's environment."""

    def __init__(self, process: "subprocess.Popen[str]", root: Path) -> None:
        self.process, self.root = process, root
        self.started: list[Job] = []

    def ask(self, question: dict[str, Any]) -> Any:
        """One question, one answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        return json.loads(self.process.stdout.readline())

    def start(self, words: Sequence[object], program: str = COMMAND, **variables: object) -> Job:
        """Start a program with these words and more variables in its environment."""
        stem = self.root / str(len(self.started))
        for suffix in (".out", ".err"):
            stem.with_suffix(suffix).touch()
        env: Mapping[str, str] = os.environ | {"OMP_NUM_THREADS": "1"}
        asked = {
            "program": program,
            "words": [str(word) for word in words],
            "to": str(stem),
            "env": dict(env) | {name: str(value) for name, value in variables.items()},
        }
        self.started.append(Job(self, self.ask(asked), stem))
        return self.started[-1]

    def ranks(
        self,
        words: Sequence[object],
        size: int,
        others: Sequence[object] = (),
        program: str = COMMAND,
        **variables: object,
    ) -> list[Job]:
        """Start one program on some processes, as a launcher would that watches nobody.

        others: further words of all but the first.
        """
        if size == 1:
            return [self.start(words, program, **variables)]
        place = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1"}
        place = variables | place | {"MASTER_PORT": free_port()}
        return [
            self.start(
                [*words, *(others if rank else ())], program, **place, RANK=rank, LOCAL_RANK=rank
            )
            for rank in range(size)
        ]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_nursery(root: Path) -> Iterator[Nursery]:
    """A nursery whose programs write below `root`; at the end they are killed."""
    with subprocess.Popen(
        [sys.executable, "-c", SOURCE],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        nursery = Nursery(process, root)
        yield nursery
        for job in nursery.started:
            job.signal(signal.SIGKILL, group=True)
        process.kill()
