"""Commands of mixzoo as jobs: submitit starts them, under SLURM or here, and starts them again.

A job that is told to stop tells its command, which saves where it stands and ends (training with
exit code 75); it is then requeued, and the same command goes on. Where a job is killed, its command
is told by the kernel.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from .errors import InterruptedRunError, UsageError

Cluster = Literal["slurm", "local"]
CPUS = 8  # of a process: the released configs have 8 loader processes per GPU
LONG = 60 * 24 * 365  # minutes; a local job has no limit of its own
OFTEN = 1000  # times that a job may run into its time limit, and be requeued
MOST_HERE = 64  # processes, and GPUs, of a job on this machine
WARNING = 120  # seconds before the time limit; saving takes seconds
PATIENCE = 100  # of them, that a command may take to save before it is killed
# Local ones outlive this process, and Python warns where it forgets them.
_SUBMITTED: list[Any] = []
STOPPED = (InterruptedRunError.exit_code, 128 + signal.SIGTERM, -signal.SIGTERM)  # exit codes
PROGRAM = (sys.executable, "-m", "mixzoo")


@dataclass
class Commands:
    """What a job runs: commands, one after the other. One that fails doesn't keep the others back.

    commands: their words, without `mixzoo`. One task of a job of several is one process of each.
    """

    commands: Sequence[Sequence[str]]
    program: Sequence[str] = PROGRAM
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def __call__(self) -> None:
        """Run them. Raises RuntimeError, which submitit keeps, naming those that failed."""
        from submitit.core.job_environment import JobEnvironment

        requeue = JobEnvironment._usr_sig()
        if JobEnvironment().cluster == "local":
            _end_with_parent(signal.SIGKILL)
        failed = []
        for words in self.commands:
            self._child = subprocess.Popen(
                [*self.program, *words],
                env=os.environ | _ranks(),
                preexec_fn=partial(_begin, requeue),  # noqa: PLW1509 - a job has no threads
            )
            try:
                code = self._child.wait()
            finally:
                self._stop()
            if code in STOPPED:  # by a signal of its own, not by ours
                os.kill(os.getpid(), requeue)  # the handler requeues, and exits
                return  # of a task that isn't the first: that one requeues
            if code:
                failed.append(f"exit code {code}: mixzoo {' '.join(words)}")
        if failed:
            raise RuntimeError("; ".join(failed))

    def checkpoint(self) -> Any:
        """Let the command save where it stands; the job that goes on, for submitit."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(Commands(self.commands, self.program))

    def _stop(self) -> None:
        if self._child and self._child.returncode is None:
            # Not by its `wait`, in which this handler may have interrupted us: it holds a lock.
            child, ended = self._child.pid, os.WEXITED | os.WNOWAIT
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGTERM)
                until = time.monotonic() + PATIENCE
                while time.monotonic() < until:
                    if os.waitid(os.P_PID, child, ended | os.WNOHANG):
                        return
                    time.sleep(0.1)
                os.kill(child, signal.SIGKILL)
                os.waitid(os.P_PID, child, ended)


def _begin(requeue: int) -> None:
    """In a command's process, first: schedulers signal all of a job's, but mean the job itself."""
    if requeue != signal.SIGTERM:
        signal.signal(requeue, signal.SIG_IGN)
    _end_with_parent(signal.SIGTERM)


def _end_with_parent(number: signal.Signals) -> None:
    """Let the kernel send this process a signal once its parent is gone, where it can (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


def _ranks() -> dict[str, str]:
    """Under which a task's command finds the others; SLURM's own say it, a task alone needs none."""
    from submitit.helpers import TorchDistributedEnvironment

    job = TorchDistributedEnvironment()
    if job.world_size == 1 or "SLURM_STEP_NUM_TASKS" in os.environ:
        return {}
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(job.master_port),
        "RANK": str(job.rank),
        "WORLD_SIZE": str(job.world_size),
        "LOCAL_RANK": str(job.local_rank),
        "LOCAL_WORLD_SIZE": str(job.local_world_size),
    }


def of_processes(gpus: int) -> dict[str, int]:
    """The settings of a job with a process for each GPU; 0 is one process without."""
    each = {"gpus_per_node": gpus} if gpus else {}
    return {"tasks_per_node": max(1, gpus), "cpus_per_task": CPUS, **each}


def submit(
    cluster: Cluster,
    folder: Path,
    jobs: Sequence[Commands],
    settings: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> list[str]:
    """Submit jobs, under SLURM as one array; what they print is written in `folder`.

    settings: `key=value` of submitit's `update_parameters`. Returns the jobs' numbers. Raises
    UsageError without submitit or SLURM, and for settings that it doesn't take.
    """
    try:
        import submitit
    except ImportError:
        raise UsageError(
            "--submit: needs submitit, which isn't installed. Run: pip install 'mixzoo[submitit]'"
        ) from None
    values = dict(defaults or {})
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"--job {setting!r}: expected KEY=VALUE. Write it as timeout_min=600.")
        most = MOST_HERE if cluster == "local" and key.endswith("_per_node") else 10**9
        if text.isdecimal() and (len(text) > 10 or int(text) > most):
            raise UsageError(
                f"--job {key}: expected at most {most:,}, got {text[:20]}. Give a smaller number."
            )
        values[key] = int(text) if text.isdecimal() else text
    try:
        executor = submitit.AutoExecutor(
            folder, cluster=cluster, **{f"{cluster}_max_num_timeout": OFTEN}
        )
        if cluster == "local":
            values = {"timeout_min": LONG} | {k: v for k, v in values.items() if k != "name"}
        elif cluster == "slurm":
            values = {"slurm_signal_delay_s": WARNING} | values
        executor.update_parameters(**values)
        with executor.batch():
            submitted = [executor.submit(job) for job in jobs]
    except OSError as error:
        raise UsageError(
            f"--submit {cluster}: {folder}: {error.strerror or error}. Choose another --out."
        ) from None
    except Exception as error:  # submitit's own are of every kind
        said = " ".join(str(error).split())[:300].rstrip(".?")
        raise UsageError(
            f"--submit {cluster}: {said or type(error).__name__}. Change --job, or run it here "
            "without --submit."
        ) from None
    _SUBMITTED.extend(getattr(job, "_process", None) for job in submitted)
    return [job.job_id for job in submitted]
