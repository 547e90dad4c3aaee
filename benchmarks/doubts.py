"""Are planted wrong labels found? Of mini's 1,000 validation labels 20 are flipped, many times.

    mixzoo eval --all --benchmark mini        # once: the predictions of all ten rows are kept
    python benchmarks/doubts.py [--draws 200]

Flipped to any other class, or to another class of the same supercategory, which rows confuse most.
Writes results/doubts.json: labels in doubt, precision and recall in percent, means over the draws.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import machine
from mixzoo.eval.doubts import ODDS, find_doubts
from mixzoo.eval.kept import rows_of
from mixzoo.zoo.catalog import open_catalog

OUT = Path(__file__).parent / "results" / "doubts.json"
FLIPPED = 20
CUTS = (3.0, ODDS, 30.0)


def flipped(
    labels: np.ndarray, above: np.ndarray, rng: np.random.Generator, near: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Labels with some flipped, and where. above: supercategory of each class."""
    changed, at = labels.copy(), rng.choice(len(labels), FLIPPED, replace=False)
    for place in at:
        fits = np.arange(len(above)) != labels[place]
        changed[place] = rng.choice(
            np.flatnonzero(fits & (~near | (above == above[labels[place]])))
        )
    return changed, at


def main() -> None:
    """Plant, count, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    draws, catalog = parser.parse_args().draws, open_catalog()
    every = [row.id for row in catalog.benchmark("mini").manifest.rows]
    found = {}
    print("| rows | flipped to | odds | in doubt | precision | recall |\n|---|---|---|---|---|---|")
    for refs in (every, every[:3]):
        rows, _ = rows_of(refs, catalog)
        labels = rows[0].predictions.labels
        names = np.array([file.split("/")[1] for file in rows[0].files])
        above = np.array([names[labels == one][0] for one in range(labels.max() + 1)])
        for near in (False, True):
            rng, counts = np.random.default_rng(0), {cut: [] for cut in CUTS}
            for _ in range(draws):
                changed, at = flipped(labels, above, rng, near)
                planted = [
                    row._replace(predictions=replace(row.predictions, labels=changed))
                    for row in rows
                ]
                doubts = [d for d in find_doubts(planted, min(CUTS)).doubts if d.in_doubt]
                wrong = {rows[0].files[place] for place in at}
                for cut in CUTS:
                    told = {one.file for one in doubts if one.odds >= cut}
                    hits = len(told & wrong)
                    counts[cut].append((len(told), hits / max(1, len(told)), hits / FLIPPED))
            for cut, of in counts.items():
                number, precision, recall = np.mean(of, axis=0)
                to = "a near class" if near else "any class"
                found[f"{len(refs)} rows, {to}, odds {cut:g}"] = {
                    "in_doubt": round(float(number), 1),
                    "precision": round(100 * float(precision), 1),
                    "recall": round(100 * float(recall), 1),
                }
                print(
                    f"| {len(refs)} | {to} | {cut:g} | {number:.1f} | {100 * precision:.0f}% | "
                    f"{100 * recall:.0f}% |"
                )
    content = {"draws": draws, "flipped": FLIPPED, "found": found, "machine": machine("numpy")}
    OUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
