"""How fast the validation images come out of the published archive, beside `tar xzf` of all of it.

The archive is made here, in the data set's layout: JPEGs of about the real ones' size in random
order, 5% of them in val, packed by gzip at its usual level. Each tool runs as its user runs it,
from the start of its process to its end: `mixzoo data prepare --split val` with the archive's md5
taken and compared, `tar xzf` without any check; `md5sum` beside it is what a user would add. The
stages that bound it (md5, inflating by zlib, ISA-L and rapidgzip) are timed alone. Runs are
interleaved, so that a busy machine is busy for all.

    python benchmarks/extract.py [--megabytes 1000] [--folder DIR]
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable
from importlib import util
from pathlib import Path

import numpy as np
from machine import machine
from PIL import Image

TREE = "train_val2018"
VAL_SHARE = 20  # one of so many images is in val
PHOTOGRAPHS = 48  # different ones; gzip looks back 32 KiB, so repeating them saves it nothing
CLASSES = 100
CHUNK = 1 << 20
TARGETS = {"files_against_tar_xzf": 3.0}

MANIFEST = """
format = 1
name = "bench"
title = "An archive"
[metric]
statistic = "last_epoch"
[protocol]
resize = 256
crop = 224
[dataset]
name = "none"
num_classes = {classes}
image_tree = "{tree}"
files = [{{ name = "{tree}.tar.gz", md5 = "{md5}" }}]
[dataset.val]
images = {images}
annotations = ["val2018.json"]
[[rows]]
id = "resnet50.vanilla_bench"
architecture = "resnet50"
method = "vanilla"
reported_top1 = 50.0
"""


def photograph(generator: np.random.Generator) -> bytes:
    """A JPEG of 800x600 pixels with detail at every scale, of about 260 kB."""
    picture = np.zeros((600, 800, 3))
    for cells in (3, 12, 50, 200, 800):
        noise = generator.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)
        scaled = Image.fromarray(noise).resize((800, 600), Image.Resampling.BICUBIC)
        picture += np.asarray(scaled, dtype=np.float64)
    content = io.BytesIO()
    Image.fromarray((picture / 5).astype(np.uint8)).save(content, "JPEG", quality=93)
    return content.getvalue()


def make_archive(folder: Path, size: int) -> int:
    """Write archive, annotations and manifest of `size` bytes of images; returns how many images."""
    generator = np.random.default_rng(0)
    photographs = [photograph(generator) for _ in range(PHOTOGRAPHS)]
    names: list[str] = []
    with tarfile.open(folder / f"{TREE}.tar.gz", "w:gz", compresslevel=6) as tar:
        while sum(len(photographs[i % PHOTOGRAPHS]) for i in range(len(names))) < size:
            data = photographs[len(names) % PHOTOGRAPHS]
            label = int(generator.integers(CLASSES))
            names.append(f"{TREE}/Group{label % 10}/{label}/{generator.bytes(16).hex()}.jpg")
            info = tarfile.TarInfo(names[-1])
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    val = names[::VAL_SHARE]
    annotations = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(val)],
        "annotations": [
            {"image_id": i, "category_id": int(name.split("/")[2])} for i, name in enumerate(val)
        ],
    }
    (folder / "val2018.json").write_text(json.dumps(annotations))
    with (folder / f"{TREE}.tar.gz").open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    facts = {"classes": CLASSES, "tree": TREE, "md5": md5, "images": len(val)}
    (folder / "bench.toml").write_text(MANIFEST.format(**facts))
    return len(names)


def seconds(command: list[str]) -> float:
    """Wall time of a process, begun when the disk has all that was written before."""
    os.sync()
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def mixzoo(folder: Path, form: str) -> float:
    """Seconds of `mixzoo data prepare`, its md5 compared."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        named = ["--manifest", f"{folder}/bench.toml", "--archive", f"{folder}/{TREE}.tar.gz"]
        command = [sys.executable, "-m", "mixzoo", "data", "prepare", "bench", *named]
        took = seconds([*command, "--root", root, "--as", form])
        mark = json.loads((Path(root) / "prepared-val2018.json").read_text())
        assert mark["archive"]["md5"] == mark["archive"]["expected_md5"]
        return took


def tar_xzf(folder: Path) -> float:
    """Seconds of `tar xzf` of the whole archive."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        return seconds(["tar", "xzf", f"{folder}/{TREE}.tar.gz", "-C", root])


def timed(read: Callable[[Path], object], folder: Path) -> float:
    """Seconds of one stage in this process."""
    start = time.perf_counter()
    read(folder / f"{TREE}.tar.gz")
    return time.perf_counter() - start


def take_md5(path: Path) -> None:
    """The bytes and their hash, nothing else."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "md5")


def inflate_zlib(path: Path) -> None:
    """What Python's own `gzip` does, without its layers."""
    inflater = zlib.decompressobj(31)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            inflater.decompress(chunk)


def inflate_isal(path: Path) -> None:
    """What mixzoo does."""
    from isal import isal_zlib

    inflater = isal_zlib.decompressobj(31)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            inflater.decompress(chunk)


def inflate_rapidgzip(path: Path) -> None:
    """On all cores, which takes a local file."""
    import rapidgzip

    with rapidgzip.open(str(path), parallelization=0) as file:
        while file.read(4 * CHUNK):
            pass


def tools(folder: Path) -> dict[str, Callable[[], float]]:
    """Everything that is timed, by name."""
    found = {
        "tar xzf, all": lambda: tar_xzf(folder),
        "mixzoo val, files": lambda: mixzoo(folder, "files"),
        "mixzoo val, tar": lambda: mixzoo(folder, "tar"),
        "md5sum": lambda: seconds(["md5sum", f"{folder}/{TREE}.tar.gz"]),
        "stage: md5": lambda: timed(take_md5, folder),
        "stage: zlib": lambda: timed(inflate_zlib, folder),
        "stage: isal": lambda: timed(inflate_isal, folder),
    }
    if util.find_spec("rapidgzip"):
        found["stage: rapidgzip"] = lambda: timed(inflate_rapidgzip, folder)
    return found


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of every tool in every round."""
    measured: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, tool in tools(folder).items():
            measured.setdefault(name, []).append(round(tool(), 3))
    return measured


def main() -> None:
    """Time everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Val-only preparing beside tar xzf.")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="for the archive and all output; of one disk")
    default = Path(__file__).parent / "results/extract.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    if arguments.folder:
        Path(arguments.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        images = make_archive(folder, arguments.megabytes * 1_000_000)
        size = (folder / f"{TREE}.tar.gz").stat().st_size
        print(f"{images:,} images, {size / 1e6:,.0f} MB packed; free {free(folder):,.0f} MB")
        measured = measure(folder, arguments.rounds)
    for name, values in measured.items():
        median = statistics.median(values)
        print(
            f"  {name:20} {median:7.2f} s  (min {min(values):.2f})  {size / median / 1e6:6.0f} MB/s"
        )
    theirs = measured["tar xzf, all"]
    ratios = {
        f"{form}_against_tar_xzf": round(
            statistics.median(
                a / b for a, b in zip(theirs, measured[f"mixzoo val, {form}"], strict=True)
            ),
            2,
        )
        for form in ("files", "tar")
    }
    for name, ratio in ratios.items():
        target = TARGETS.get(name)
        late = f" (target {target})" + " LATE" * (ratio < target) if target else ""
        print(f"{name}: {ratio} times as fast{late}")
    result = {
        "images": images,
        "packed_bytes": size,
        "seconds": measured,
        "times_as_fast": ratios,
        "targets": TARGETS,
        "machine": machine("mixzoo", "isal", "pillow"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def free(folder: Path) -> float:
    """Megabytes left on the disk."""
    return shutil.disk_usage(folder).free / 1e6


if __name__ == "__main__":
    main()
