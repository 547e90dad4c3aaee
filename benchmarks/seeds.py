"""Does the judgement by seeds cover what it says? Honest tables and others, simulated.

    python benchmarks/seeds.py [--draws 10000]

A recipe's top-1 scatters by seed; the published number is one more draw, rounded to the table's
digits, and runs are whole images. Honest: the same recipe. Off: a table so many standard deviations
above the recipe's mean draw. Writes results/seeds.json: percent of tables that the runs contain.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine
from mixzoo.eval.judge import judge_seeds
from mixzoo.zoo.looks import WITHIN_SEEDS
from mixzoo.zoo.manifest import Metric

OUT = Path(__file__).parent / "results" / "seeds.json"
SEEDS = (3, 5, 10)
TABLES = {  # images, digits, standard deviation between seeds in points
    "24,426 images, sd 0.25": (24426, 2, 0.25),
    "1,000 images, sd 1.2": (1000, 1, 1.2),
    "1,000 images, sd 0.1": (1000, 1, 0.1),
}
Draw = Callable[[np.random.Generator, int], np.ndarray]
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails (t, 5)": lambda rng, n: rng.standard_t(5, size=n) / np.sqrt(5 / 3),
    "skewed (gamma, 4)": lambda rng, n: 2 - rng.gamma(4, 0.5, size=n),
}


def share_within(
    rng: np.random.Generator, table: str, seeds: int, draws: int, shape: Draw, off: float = 0.0
) -> float:
    """Percent of simulated tables that are called within the spread of so many seeds."""
    images, digits, scale = TABLES[table]
    metric, hits = Metric(statistic="last_epoch", decimals=digits), 0
    for _ in range(draws):
        points = 64 + scale * shape(rng, seeds + 1)
        points[-1] += off * scale
        *runs, published = np.rint(points / 100 * images) / images * 100
        found = judge_seeds(
            dict(enumerate(runs)), round(float(published), digits), metric, images=images
        )
        hits += found.word == WITHIN_SEEDS
    return round(100 * hits / draws, 2)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=10_000)
    draws, rng, found = parser.parse_args().draws, np.random.default_rng(0), {}
    first = next(iter(TABLES))
    cases = [(f"honest, {name}", name, SHAPES["normal"], 0.0) for name in TABLES]
    cases += [(f"honest, {name}", first, SHAPES[name], 0.0) for name in list(SHAPES)[1:]]
    cases += [(f"off by {off} sd", first, SHAPES["normal"], off) for off in (2, 4, 8)]
    print("| table | " + " | ".join(f"{n} seeds" for n in SEEDS) + " |")
    print("|---|" + "---|" * len(SEEDS))
    for name, table, shape, off in cases:
        found[name] = {str(n): share_within(rng, table, n, draws, shape, off) for n in SEEDS}
        print(f"| {name} | " + " | ".join(f"{found[name][str(n)]:.1f}" for n in SEEDS) + " |")
    content = {"draws": draws, "percent_within": found, "machine": machine("numpy", "scipy")}
    OUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
