"""`make bench`: in an hour, ours beside peers, limits and targets; what can't be run is skipped.

python benchmarks/bench.py [--only forward,verify] [--minutes 60] [--rehearse]

Each benchmark is run with few rounds and a share of the hour, into build/bench; the files in
benchmarks/results are of longer runs. Peers are asked where they are: timm, pooch and curl in this
environment or on PATH, OpenMixup and gco under OPENMIXUP_PYTHON and GCO_PYTHON. Nothing fails: what
ends badly or late is named, and so is a benchmark in which other processes took more than a
twentieth of the processors, since its timings can't be trusted (ratios within one run bear more).
--rehearse runs all with settings so small that the figures mean nothing: to see that none breaks.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOUD = 0.05  # share of the processors that others may take
HEAD = ("benchmark", "what", "ours", "peer", "limit", "target", "remark")
HERE = Path(__file__).parent
Line = tuple[str, str, str, str, str]
"""What is measured, ours, the best peer, the limit, the target."""


@dataclass(frozen=True)
class Bench:
    """A script with its words. minutes: its share of an hour. lines: of its JSON.

    tiny: words of a rehearsal, instead of or beside the others.
    """

    name: str
    words: Sequence[str]
    minutes: float
    lines: Callable[[Any], Iterator[Line]]
    tiny: str = ""


def _forward(found: Any) -> Iterator[Line]:
    rate = {name: one["images_per_second"] for name, one in found["variants"].items()}
    peers = {name: value for name, value in rate.items() if name.startswith("timm")}
    best = max(peers.items(), key=lambda one: one[1], default=None)
    said = f"{best[1]} ({best[0]})" if best else "timm skipped"
    limit = f"{rate['fast']} (fast, {found['fast_over_matrix_product']:.0%} of the product)"
    yield "ResNet-50, guarded, images/s", f"{rate['guarded']}", said, limit, "85% of fast"


def _evaluation(found: Any) -> Iterator[Line]:
    rate = {name: one["images_per_second"] for name, one in found["runs"].items()}
    peer = f"{rate['timm']} (timm)" if "timm" in rate else "timm skipped"
    limit = f"{rate['fast']} (fast)" if "fast" in rate else ""
    target = f"{found['target']['guarded_times_timm']} times timm"
    yield "JPEGs to a number, images/s", f"{rate['guarded']}", peer, limit, target


def _pixels(found: Any) -> Iterator[Line]:
    rate, target = found["images_per_second"], found["target_speedup"]
    peer = f"{rate['reference']} (torchvision)"
    yield "JPEG to crop, images/s", f"{rate['mixzoo']}", peer, "", f"{target} times"


def _verify(found: Any) -> Iterator[Line]:
    ratio, limit = found["speed_of_one_file_to_file_digest"], "1.00 (hashlib.file_digest)"
    yield "verify, speed to hashlib's", f"{ratio:.2f}", "", limit, f"{found['target']}"


def _times(what: str) -> Callable[[Any], Iterator[Line]]:
    def lines(found: Any) -> Iterator[Line]:
        for name, ratio in found["times_as_fast"].items():
            target = found["targets"].get(name)
            yield f"{what}: {name.replace('_', ' ')}", f"{ratio}", "1.0", "", f"{target or ''}"

    return lines


def _gridcut(found: Any) -> Iterator[Line]:
    peer = f"{found['gco_swap_ms']} (gco)" if "gco_swap_ms" in found else "gco skipped"
    yield "PuzzleMix's masks, exactly, ms", f"{found['exact_ms']}", peer, "", "gco's on a GPU"


def _mixing(found: Any) -> Iterator[Line]:
    static = {n: one["share_of_step"] for n, one in found["methods"].items() if "puzzle" not in n}
    worst = max(static, key=lambda name: static[name])
    target = f"at most {found['target_share_of_static_methods']:.0%}"
    yield f"mixing ({worst}), share of a step", f"{static[worst]:.1%}", "", "", target


def _steps(found: Any) -> Iterator[Line]:
    for method, ways in found["methods"].items():
        own, target = ways.get("openmixup"), "1.4 times" if method == "automix" else ""
        peer = f"{own['images_per_second']} (OpenMixup)" if own else "OpenMixup skipped"
        product = f"{ways['mixzoo'].get('of_matrix_product', 0):.0%} of the product"
        ours = f"{ways['mixzoo']['images_per_second']}"
        yield f"{method}'s step, images/s", ours, peer, product, target


def _full_size(found: Any) -> Iterator[Line]:
    for part in ("list", "verify", "report", "merge"):
        if part in found:
            each = found[part]["microseconds_per_image"]
            told = " to ".join(str(value) for value in each.values())
            yield f"full size, {part}, us an image", told, "", "", "doesn't rise"


def benches() -> list[Bench]:
    """All that compare something, those that take longest last."""
    timm = ["--timm-python", sys.executable] if find_spec("timm") else []
    pooch = ["--pooch-python", sys.executable] if find_spec("pooch") else []
    gco, openmixup = os.environ.get("GCO_PYTHON"), os.environ.get("OPENMIXUP_PYTHON")
    peer = ["--openmixup-python", openmixup] if openmixup else []
    steps = ["--rounds", "1", "--batch", "8", "--methods", "vanilla,cutmix,automix", *peer]
    return [
        Bench("verify", [], 2, _verify),
        Bench("pixels", ["--repeats", "10"], 2, _pixels, "--repeats 1"),
        Bench("gridcut", ["--gco-python", gco] if gco else [], 3, _gridcut),
        Bench(
            "download",
            ["--megabytes", "100", "--rounds", "2", *pooch],
            4,
            _times("download"),
            "--megabytes 4 --rounds 1",
        ),
        Bench(
            "extract",
            ["--megabytes", "200", "--rounds", "2"],
            4,
            _times("extract"),
            "--megabytes 20 --rounds 1",
        ),
        Bench("full_size", ["--sizes", "1000", "24426"], 8, _full_size, "--sizes 500 1000"),
        Bench("forward", ["--rounds", "2", *timm], 8, _forward, "--rounds 1 --batch 4 --batches 1"),
        Bench("evaluation", ["--photographs", "256", *timm], 9, _evaluation, "--photographs 6"),
        Bench("mixing", [], 8, _mixing, "--step-batch 2"),
        Bench(
            "train_steps",
            steps,
            12,
            _steps,
            "--batch 2 --size 64 --classes 10 --architecture resnet18",
        ),
    ]


def main() -> None:
    """Run them and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(one.name for one in benches()))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = arguments.only.split(",")
    lines = [HEAD]
    with suppress(KeyboardInterrupt):  # what was measured until then is shown
        for bench in (one for one in benches() if one.name in wanted):
            sys.stderr.write(f"{bench.name} ...\n")
            limit = bench.minutes * arguments.minutes  # seconds: shares of an hour
            words = [*bench.words, *(bench.tiny.split() if arguments.rehearse else [])]
            lines += [(bench.name, *line) for line in run(bench, words, arguments.out, limit)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        cells = zip(line, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())


def run(bench: Bench, words: Sequence[str], folder: Path, limit: float) -> list[tuple[str, ...]]:
    """A benchmark's lines with a remark on how far they can be trusted; or why there are none."""
    out = folder / f"{bench.name}.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / f"{bench.name}.py"), *words, "--out", str(out)]
    nothing = ("", "", "", "", "")
    others = taken_by_others()
    with (folder / f"{bench.name}.log").open("w+") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            child.wait(limit)
        except subprocess.TimeoutExpired:
            return [(*nothing, f"skipped: not done in {limit / 60:.0f} minutes")]
        finally:
            with suppress(ProcessLookupError):  # all that it started would disturb the next
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        log.seek(0)
        said = log.read().strip().splitlines() or [f"code {child.returncode}"]
    if child.returncode or not out.exists():
        return [(*nothing, f"skipped: {said[-1][:90]} ({log.name})")]
    share = others()
    remark = "quiet"
    if share is None:
        remark = "not known whether the machine was quiet"
    elif share > LOUD:
        remark = f"not to be trusted: others took {share:.0%} of the processors"
    try:
        return [(*line, remark) for line in bench.lines(json.loads(out.read_text()))]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return [(*nothing, f"skipped: its JSON has no {error}")]


def taken_by_others() -> Callable[[], float | None]:
    """A measurement from now on: the share of all processors that other processes, or another
    machine on the same hardware, took; None where the system doesn't tell."""
    begun, start = time.perf_counter(), busy()

    def share() -> float | None:
        end, cores = busy(), os.cpu_count() or 1
        if start is None or end is None:
            return None
        used = (end[0] - start[0]) - (end[1] - start[1])
        return max(0.0, used / (cores * (time.perf_counter() - begun)))

    return share


def busy() -> tuple[float, float] | None:
    """Processor seconds since the start: of everybody, stolen ones too, and of our children."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft, steal = map(int, first[:8])
    everybody = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = time.process_time() + own.ru_utime + own.ru_stime
    return everybody, mine


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", str(shutil.get_terminal_size((160, 40)).columns))
    main()
