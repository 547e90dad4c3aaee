"""How fast a full verification reads, beside hashlib alone.

One file of 400 MB, then four of 100 MB at once, all in the page cache; each way in turn, the best
of several runs. Targets: one file at 90% of `hashlib.file_digest` or more; several in parallel
faster.

    python benchmarks/verify.py [--out benchmarks/results/verify.json]
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from machine import machine
from mixzoo.zoo.lock import Asset
from mixzoo.zoo.verify import State, check, check_all

SIZE = 400 << 20  # bytes
PARTS = 4
REPEATS = 5
TARGET = 0.9


def fastest(*ways: Callable[[], object]) -> list[float]:
    """Least seconds of each way; the ways take turns, so that the machine's moods meet all."""
    best = [float("inf")] * len(ways)
    for _ in range(REPEATS):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            way()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def digest(path: Path) -> str:
    """The hash as hashlib reads a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(folder: Path, count: int) -> list[tuple[Path, Asset]]:
    """Files of random bytes, `SIZE` together, and their lock entries."""
    files = []
    for i in range(count):
        path = folder / f"{count}-{i}.pth"
        path.write_bytes(os.urandom(SIZE // count))
        row = "resnet50.mixup_own"
        files.append((path, Asset(row=row, kind="weights", name=path.name, sha256=digest(path))))
    return files


def verify(files: Sequence[tuple[Path, Asset]]) -> None:
    """A full check of all files, which must be intact."""
    assert all(finding.state is State.VERIFIED for finding in check_all(files))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/verify.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ((path, asset),) = make(Path(folder), 1)
        several = make(Path(folder), PARTS)
        content = path.read_bytes()
        memory, alone, one, many = fastest(
            lambda: hashlib.sha256(content).digest(),
            lambda: digest(path),
            lambda: check(path, asset),
            lambda: verify(several),
        )
    results = {
        "machine": machine(),
        "megabytes": SIZE / 1e6,
        "seconds": {
            "sha256 of memory": memory,
            "hashlib.file_digest": alone,
            "check, one file": one,
            f"check_all, {PARTS} files": many,
        },
        "speed_of_one_file_to_file_digest": alone / one,
        "speed_of_one_file_to_sha256_of_memory": memory / one,
        "target": TARGET,
    }
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
