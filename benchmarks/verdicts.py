"""How often the judge errs: words of honest checkpoints, and of checkpoints with forged logs.

    python benchmarks/verdicts.py [--runs 2000]

A run's last epochs scatter about its accuracy; the table takes the median of five; the checkpoint
is the last of them, on which another decoder flips a few images. A forger has a checkpoint two
points below the table and types its number into the last line of an honest log, in whole images.
Writes results/verdicts.json: for each case, the share of each word in percent.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from machine import machine
from mixzoo.eval.judge import judge, what_log_says
from mixzoo.eval.logs import audit_files, claim_of
from mixzoo.eval.predictions import Counts
from mixzoo.zoo.catalog import open_catalog

OUT = Path(__file__).parent / "results" / "verdicts.json"
N = 24426
EPOCHS = 100
SCATTER = 0.092  # points; 99% of |last - median of five| is then 0.25
FLIPS = 4  # images, at most
HEADS = {"plain": ("head0",), "four heads": ("one_k", "mix_k", "one_q", "mix_q")}
ROWS = {"plain": "resnet50.cutmix_inat2018", "four heads": "resnet50.automix_inat2018"}


def run(
    rng: np.random.Generator, heads: tuple[str, ...], correlation: float
) -> dict[str, np.ndarray]:
    """Right images of each head in the last ten epochs; neighbours correlate as given."""
    made = {}
    for head in heads:
        noise = rng.normal(size=10)
        for at in range(1, 10):
            noise[at] = correlation * noise[at - 1] + np.sqrt(1 - correlation**2) * noise[at]
        top1 = 64 + rng.normal(scale=0.5) + SCATTER * noise
        made[head] = np.rint(top1 / 100 * N).astype(int)
    return made


def write_log(path: Path, hits: Mapping[str, np.ndarray]) -> Path:
    """A log as the reference writes it."""
    names = {head: head if head == "head0" else f"acc_{head}" for head in hits}
    lines = [
        json.dumps(
            {"mode": "val", "epoch": EPOCHS - 9 + at, "iter": 24, "lr": 0.001}
            | {f"{names[head]}_top1": round(100 * int(k[at]) / N, 5) for head, k in hits.items()}
        )
        for at in range(10)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def words(
    rng: np.random.Generator,
    kind: str,
    runs: int,
    folder: Path,
    *,
    correlation: float,
    forged: bool,
) -> dict[str, dict[str, float]]:
    """Word -> percent of runs, with the log and without."""
    benchmark = open_catalog().benchmark("inat2018").manifest
    found = benchmark.row(ROWS[kind])
    assert found
    counted: dict[str, Counter[str]] = {"with its log": Counter(), "without": Counter()}
    for _ in range(runs):
        hits = run(rng, HEADS[kind], correlation)
        table = max(float(np.median(hits[head][-5:])) for head in list(hits)[:2])
        row = msgspec.structs.replace(found, reported_top1=round(100 * table / N, 2))
        if forged:
            for head in hits:
                hits[head][-1] -= round(0.02 * N)
        last = {h: int(k[-1]) + int(rng.integers(-FLIPS, FLIPS + 1)) for h, k in hits.items()}
        counts = {head: Counts(correct, correct, N) for head, correct in last.items()}
        audit = audit_files(
            [write_log(folder / "r.log.json", hits)], claim_of(benchmark, row), epochs=EPOCHS
        )
        logged = what_log_says(audit, EPOCHS, row.reported_top1)
        for case, told in (("with its log", logged), ("without", None)):
            verdict = judge(counts, row.reported_top1, benchmark.metric, logged=told)
            counted[case][verdict.word] += 1
    return {
        case: {word: round(100 * count / runs, 2) for word, count in found.most_common()}
        for case, found in counted.items()
    }


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    result: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in HEADS:
            for name, correlation, forged in (
                ("honest", 0.0, False),
                ("honest, neighbours correlate by 0.5", 0.5, False),
                ("forged last line", 0.0, True),
            ):
                told = words(rng, kind, runs, Path(folder), correlation=correlation, forged=forged)
                result[f"{kind}: {name}"] = told
                print(f"{kind}: {name}: {told}")
    content = {"runs": runs, "percent": result, "machine": machine("numpy")}
    OUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
