"""A sweep as bash: one script that runs it here, one that submits it to SLURM as an array of jobs.

Both hold every command in full, so what was submitted doesn't change when the files are written
again. A run that ends with exit code 75 has saved where it stands and goes on with the same command
(`zoo.errors.InterruptedRunError`).
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..zoo.errors import UsageError
from ..zoo.files import becoming
from .sweep import PlannedRun

SHELL, SLURM = "sweep.sh", "sweep.sbatch"
AGAIN = 75
WARNING_SECONDS = 120  # before the time limit; a checkpoint takes seconds
_OPTION = re.compile(r"[a-z][a-z-]*(=[^\n\r]+)?")


@dataclass(frozen=True)
class Cluster:
    """What each run asks SLURM for. gpus, cpus: per node, per process. time: SLURM's notation.

    at_once: how many runs at a time, None is no limit. more: sbatch's other long options, without
    their dashes: `account=me`.
    """

    nodes: int = 1
    gpus: int = 1
    cpus: int = 8  # the released configs have 8 loader processes per GPU
    partition: str | None = None
    time: str | None = None
    at_once: int | None = None
    more: Sequence[str] = ()

    @property
    def processes(self) -> int:
        """Processes of a run: one per GPU, or one per node without GPUs."""
        return self.nodes * max(1, self.gpus)


def write_scripts(runs: Sequence[PlannedRun], cluster: Cluster, out: Path) -> list[Path]:
    """Write the scripts into `out`; the same sweep gives the same bytes. Returns their paths.

    Runs on several nodes have no script for this machine alone.
    """
    texts = {SLURM: slurm_script(runs, cluster, out)}
    if cluster.nodes == 1:
        texts = {SHELL: shell_script(runs, cluster.gpus)} | texts
    out.mkdir(parents=True, exist_ok=True)
    return [_write(out / name, text) for name, text in texts.items()]


def shell_script(runs: Sequence[PlannedRun], gpus: int) -> str:
    """Bash that trains one run after the other on this machine; started again, it goes on.

    A run that fails doesn't keep the others from training; the script then ends with 1.
    """
    launcher = ["torchrun", "--standalone", "--nproc_per_node", str(gpus), "-m"] if gpus > 1 else []
    commands = [f"run {shlex.join([run.name, *launcher, *run.words])}" for run in runs]
    return "\n".join([*_head(runs, f"bash {SHELL}"), _SHELL, *commands, "", _SHELL_END])


def slurm_script(runs: Sequence[PlannedRun], cluster: Cluster, out: Path) -> str:
    """A batch script whose array has one task per run, requeued until its run has ended.

    Processes are started by srun, one per GPU, since torchrun turns every exit code into 1.
    Raises UsageError for what can't stand in a directive.
    """
    cases = (f"  {index}) set -- {shlex.join(run.words)} ;;" for index, run in enumerate(runs))
    return "\n".join(
        [
            *_head(runs, f"sbatch {SLURM}"),
            *(_directive(option) for option in _options(len(runs), cluster, out)),
            _SLURM,
            'case "$SLURM_ARRAY_TASK_ID" in',
            *cases,
            _SLURM_END,
        ]
    )


def _head(runs: Sequence[PlannedRun], start: str) -> list[str]:
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return ["#!/bin/bash", f"# {count}, written by `mixzoo train sweep`. Start with: {start}"]


def _options(runs: int, cluster: Cluster, out: Path) -> Iterator[str]:
    limit = f"%{cluster.at_once}" if cluster.at_once else ""
    yield f"job-name={re.sub('[^A-Za-z0-9_.-]', '_', out.name)}"
    yield f"array=0-{runs - 1}{limit}"
    yield f"nodes={cluster.nodes}"
    yield f"ntasks-per-node={max(1, cluster.gpus)}"
    if cluster.gpus:
        yield f"gpus-per-node={cluster.gpus}"
    yield f"cpus-per-task={cluster.cpus}"
    if cluster.partition:
        yield f"partition={cluster.partition}"
    if cluster.time:
        yield f"time={cluster.time}"
    yield "requeue"
    yield "open-mode=append"
    # To the processes, not to this script: it is still there to requeue the run.
    yield f"signal=USR1@{WARNING_SECONDS}"
    logs = str(out).replace("%", "%%")
    yield f"output={logs}/slurm-%A_%a.out"
    yield from cluster.more


def _directive(option: str) -> str:
    if not _OPTION.fullmatch(option):
        raise UsageError(
            f"{option!r} can't stand in a batch script; expected one line, a long option of sbatch "
            "without its dashes, such as account=me."
        )
    name, equals, value = option.partition("=")
    return f"#SBATCH --{name}{equals}{shlex.quote(value) if value else ''}"


def _write(path: Path, text: str) -> Path:
    with becoming(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.chmod(0o755)
    return path


_SHELL = f"""\
set -uo pipefail
stops=0 child='' failed=()
# To the run alone: a scheduler tells only this script. TERM, since bash hides INT from the background.
trap 'stops=$((stops + 1)); [[ -n $child ]] && kill -TERM "$child"' INT TERM

run() {{
  local name=$1 code before
  shift
  ((stops)) && exit {AGAIN}
  printf '== %s\\n' "$name"
  "$@" &
  child=$!
  ((stops)) && kill -TERM "$child" # asked to stop before its number was known
  while :; do
    before=$stops code=0
    wait "$child" || code=$?
    ((stops == before)) && break # else a signal cut the waiting short
  done
  child=''
  if ((stops || code == {AGAIN})); then
    printf 'Stopped at %s; start this script again to go on.\\n' "$name" >&2
    exit {AGAIN}
  elif ((code)); then
    printf '%s failed with exit code %s.\\n' "$name" "$code" >&2
    failed+=("$name")
  fi
}}
"""

_SHELL_END = """\
if ((${#failed[@]})); then
  printf '%s failed: %s\\n' "${#failed[@]}" "${failed[*]}" >&2
  exit 1
fi
"""

_SLURM = """
set -uo pipefail
"""

_SLURM_END = f"""\
  *) printf 'no run %s\\n' "$SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac

code=0
# --wait: if one process dies, the others have so long to say what they know of it.
srun --wait={WARNING_SECONDS} --kill-on-bad-exit=0 --cpus-per-task="$SLURM_CPUS_PER_TASK" "$@" || code=$?
if ((code == {AGAIN})); then # warned of the time limit, or preempted, and saved
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && exit 0
fi
exit "$code"
"""
