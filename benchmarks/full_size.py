"""At full size: iNaturalist-2018's numbers of files, classes and rows, in parts that can be run
alone.

python benchmarks/full_size.py [--parts list,verify,report,merge,table] [--sizes 1000 24426 461939]

The images are mini's 1,000 drawn JPEGs under as many names as the official layout has (hard links),
so disks and caches see few files; decoding one costs what any of its size does. Measured is growth:
time per image must not rise from 1,000 to 24,426 to 461,939 images (train and val), and memory
only with what is kept of each. Every part runs in a process of its own, which tells its processor
time and its peak of memory. Parts:

list     find and label the images, hash the list
verify   mixzoo data verify: read every file
report   a report on one row from kept predictions, with 437,513 training annotations: first, and
again
merge    64 parts of invented predictions into one report
table    mixzoo eval of 20 synthetic rows in one command, networks of 8,142 classes that are small
         enough for this (a ResNet-18 of an eighth of its width, 64 pixels), on 1 and 2 processes

Results: benchmarks/results/full_size.json, to which each part adds what it measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

RESULTS = Path(__file__).parent / "results"
CLASSES, TRAIN = 8142, 437_513
SIZES = (1_000, 24_426, 461_939)
TABLE, NETWORK, SMALL = (2_442, 24_426), "resnet18_w8", 64  # images, a network, pixels
LINEAR = 1.5  # times the time per image of the smallest size, that a larger one may take


def main() -> None:
    """Run the parts asked for, each in a process, and write what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="list,verify,report,merge")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--images", type=int, nargs="+", default=TABLE, help="of the part table")
    parser.add_argument("--rows", type=int, default=20, help="of the part table")
    parser.add_argument("--folder", type=Path, default=Path("build/full_size"))
    parser.add_argument("--out", type=Path, default=RESULTS / "full_size.json")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        part, size = arguments.run
        if part not in PARTS:
            networks(Path(part), int(size))
            return
        PARTS[part](made(arguments.folder, int(size)), int(size))
        return
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for part in arguments.parts.split(","):
        steps = table(arguments) if part == "table" else [growth(part, arguments)]
        for found[part] in steps:  # a table is written after each of its runs
            found["machine"] = machine("mixzoo", "torch", "numpy", "pillow")
            arguments.out.write_text(json.dumps(found, indent=2) + "\n")
            print(part, json.dumps(found[part]), flush=True)


def growth(part: str, arguments: argparse.Namespace) -> dict[str, object]:
    """What a part takes at each size, and whether time grows no faster than the images."""
    runs = {}
    for size in arguments.sizes:
        made(arguments.folder, size)
        words = ["--folder", str(arguments.folder), "--run", part, str(size)]
        runs[str(size)] = timed([sys.executable, __file__, *words])
    least = min(arguments.sizes)
    rest = {n: one["processor_seconds"] - one["before"] for n, one in runs.items()}
    each = {n: 1e6 * seconds / int(n) for n, seconds in rest.items()}
    linear = all(value <= LINEAR * each[str(least)] + 1 for value in each.values())
    rounded = {n: round(value, 1) for n, value in each.items()}
    return {"runs": runs, "microseconds_per_image": rounded, "linear": linear}


def timed(words: list[str]) -> dict[str, float]:
    """A program's wall and processor time, its peak of memory, and what it says of itself."""
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    told = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": round(time.perf_counter() - start, 2), **told}


def made(folder: Path, size: int) -> Path:
    """Files and annotations in the official layout; made once. size: of the list."""
    root = folder / str(size)
    if (root / "val2018.json").exists():
        return root
    from mixzoo.zoo.mini import draw

    drawn = sorted((draw(folder / "mini", "val") / "train_val2018").rglob("*.jpg"))
    images, annotations = [], []
    for i in range(size):
        label = i * CLASSES // size
        name = f"train_val2018/Plantae/{label}/{i:032x}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).hardlink_to(drawn[i % len(drawn)])
        images.append({"id": i, "file_name": name})
        annotations.append({"id": i, "image_id": i, "category_id": label})
    train = [{"id": i, "file_name": f"train_val2018/x/{i:032x}.jpg"} for i in range(TRAIN)]
    labels = [{"id": i, "image_id": i, "category_id": i % CLASSES} for i in range(TRAIN)]
    (root / "train2018.json").write_text(json.dumps({"images": train, "annotations": labels}))
    content = json.dumps({"images": images, "annotations": annotations})
    (root / "val2018.json").write_text(content)
    return root


def told(before: float, **more: object) -> None:
    """Print what this process took. before: processor seconds before the work itself."""
    status = Path("/proc/self/status").read_text()  # getrusage's would be the parent's, if larger
    peak = int(status.split("VmHWM:")[1].split()[0]) / 2**10
    now = time.process_time()
    facts = {"processor_seconds": round(now, 3), "before": round(before, 3)}
    print(json.dumps(facts | {"peak_mib": round(peak)} | more))


def listed(root: Path, size: int) -> None:
    """The part `list`."""
    from mixzoo.zoo.data import find_images

    before = time.process_time()
    images = find_images(root)
    assert len(images) == size
    images.sha256()
    assert int(images.sizes.min()) > 0
    told(before)


def verify(root: Path, size: int) -> None:
    """The part `verify`, by the functions behind the command."""
    from mixzoo.zoo.data import find_images
    from mixzoo.zoo.parallel import each_in_parallel

    images = find_images(root)
    before = time.process_time()
    sizes = images.sizes.tolist()
    each_in_parallel(lambda i, seen: seen(len(images.read(i))), range(size), sizes)
    middle = time.process_time()
    for i in range(size):  # what a plain loop takes
        images.read(i)
    told(before + time.process_time() - middle, plain_loop=round(time.process_time() - middle, 2))


def invented(root: Path, shards: int) -> tuple[object, list[Path]]:
    """Invented predictions of a list: whole ones, and parts of them in folders."""
    import msgspec
    from mixzoo.eval import guard, parts, store
    from mixzoo.eval.known import Said, training_of
    from mixzoo.eval.predictions import Predictions, Rows
    from mixzoo.eval.report import versions
    from mixzoo.eval.shard import Shard
    from mixzoo.zoo.catalog import open_catalog
    from mixzoo.zoo.checkpoint.facts import TrainingFacts
    from mixzoo.zoo.data import find_images
    from mixzoo.zoo.report import Claims, Weights

    images, benchmark = find_images(root), open_catalog().benchmark("inat2018")
    n, rng = len(images), np.random.default_rng(0)
    known = Predictions.empty(images.labels)
    top = rng.integers(0, CLASSES, (n, 5)).astype(np.int32)
    top[: n // 2, 0] = known.labels[: n // 2]
    floats = rng.random((3, n)).astype(np.float32)
    known.put(Rows(np.arange(n), top, *floats, np.ones(n, bool), np.zeros(n, bool)))
    key = store.Key("a" * 64, benchmark.manifest.protocol, images.sha256(), "guarded")
    weights = Weights(
        file="x.pth", sha256="a" * 64, architecture="resnet50", method="automix",
        num_classes=CLASSES, heads=("head0",),
    )  # fmt: skip
    about = {
        "weights": msgspec.to_builtins(weights), "epoch": 100, "device": "cpu", "torch": "2",
        "created": "2026-01-01", "files_sha256": None, "bounds": {"head0": 0.1}, "calibrated": 128,
    }  # fmt: skip
    about["precision"] = guard.summary("guarded", "fp32", {"head0": known}, {"head0": 0.1}, 128)
    whole = store.Stored(key.facts(), {"head0": known}, images.files, images.sizes, about)
    store.write(key.path, whole)
    folders = []
    for number in range(1, shards + 1):
        share = whole.at(Shard(number, shards).positions(n, 64))
        said = Said(
            name="x.pth", judged_as=None, own=False, claims=Claims(), facts=TrainingFacts(), ref="x"
        )
        part = parts.Part(
            number=number, of=shards, images=n, batch_size=64, precision="guarded",
            benchmark="inat2018", published=benchmark.manifest.protocol, labels="x", data="DIR",
            run={"device": "cpu"}, versions=versions(), created="2026", command=("eval",),
            allow_missing=False, training=training_of(images, benchmark),
            checkpoints=(parts.Of(said=said, key=share.key, file="0.safetensors"),),
            failures={}, unreadable={}, files={},
        )  # fmt: skip
        folders.append(root / "parts" / str(number))
        parts.write(folders[-1], part, [share], [])
    return whole, folders


def report(root: Path, size: int) -> None:
    """The part `report`: what the training list says, and the row, the first time and again."""
    import shutil

    from mixzoo.eval.known import training_of
    from mixzoo.eval.report import report_of, row_of
    from mixzoo.zoo.cache import cache_root
    from mixzoo.zoo.catalog import open_catalog
    from mixzoo.zoo.data import find_images

    stored, _ = invented(root, 0)
    benchmark = open_catalog().benchmark("inat2018")
    shutil.rmtree(cache_root() / "training", ignore_errors=True)

    def once() -> float:
        start = time.process_time()
        training = training_of(find_images(root), benchmark)
        assert training
        assert len(training.counts) == CLASSES
        row = row_of(stored, "x.pth", benchmark, None, training_images=training.counts)
        report_of([row], stored, benchmark, labels="", run={}, created="").to_json()
        return round(time.process_time() - start, 2)

    first = once()
    before = time.process_time()
    again = once()
    told(before, first=first, again=again)


def merge(root: Path, size: int) -> None:
    """The part `merge`."""
    from mixzoo.eval import parts
    from mixzoo.zoo.catalog import open_catalog

    _, folders = invented(root, min(64, size // 64))
    before = time.process_time()
    merged = parts.merge(folders, open_catalog())
    assert merged.report.rows[0].heads[0].total == size
    told(before)


def networks(folder: Path, rows: int) -> None:
    """Small networks of all classes, each of another seed, as checkpoint files."""
    import torch
    from mixzoo.zoo.nets import Classifier, ResNetConfig

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(rows):
        torch.manual_seed(seed)
        model = Classifier(ResNetConfig.from_name(NETWORK), CLASSES)
        torch.save({"state_dict": model.state_dict()}, folder / f"{seed}.pth")


def table(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """The whole table of synthetic rows in one command, on 1 and on 2 processes."""
    folder, rows = arguments.folder, arguments.rows
    home = folder / NETWORK
    subprocess.run([sys.executable, __file__, "--run", str(home), str(rows)], check=True)
    runs: dict[str, object] = {}
    for size in arguments.images:
        made(folder, size)
        for processes in (1, 2):
            launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
            where = [*(launcher if processes > 1 else []), "-m", "mixzoo.eval"]
            out = folder / f"table-{processes}-{size}.json"
            files = [str(home / f"{seed}.pth") for seed in range(rows)]
            words = [*where, *files, "--data", str(folder / str(size)), "--out", str(out)]
            pixels = ["--resize", str(SMALL), "--crop", str(SMALL)]
            took = resources([*words, *pixels, "--workers", "1", "--device", "cpu", "--fresh"])
            heads = [row["heads"][0] for row in json.loads(out.read_text())["rows"]]
            took["correct"] = [head["correct"] for head in heads]
            runs[f"{size} images, {processes} processes"] = took
            yield {"rows": rows, "network": NETWORK, "pixels": SMALL, "runs": runs}


def resources(words: list[str]) -> dict[str, Any]:
    """What a Python program took, with all that it started; the peak of the largest process."""
    start = time.perf_counter()
    pid = os.spawnve(os.P_NOWAIT, sys.executable, [sys.executable, *words], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"exit code {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib_of_a_process": round(used.ru_maxrss / 2**10),
    }


PARTS = {"list": listed, "verify": verify, "report": report, "merge": merge}

if __name__ == "__main__":
    os.environ.setdefault("MIXZOO_CACHE", str(Path("build/full_size/cache").absolute()))
    main()
