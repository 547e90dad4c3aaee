"""How fast a file arrives whole and verified, beside other tools, from one server on loopback.

Three questions: one stream with its hash checked, against `curl | sha256sum`, pooch and
huggingface_hub; eight connections against one where the server gives each 10 MB/s; and the same
for aria2c. Runs are interleaved, so that a busy machine is busy for all. Tools that aren't found
are left out.

    python benchmarks/download.py [--megabytes 400] [--pooch-python VENV/bin/python]
"""

import argparse
import hashlib
import json
import os
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from random import Random
from typing import Any

from machine import machine

LIMIT = 10_000_000  # bytes a second and connection
CONNECTIONS = 8
NAME = "w.pth"
ROW = "resnet50.vanilla_bench"
HUB_PATH = f"/owner/zoo/resolve/main/{NAME}"
TARGETS = {"single_stream_against_curl": 1.0, "eight_connections_against_one": 6.0}

MANIFEST = """
format = 1
name = "bench"
title = "One large file"
[metric]
statistic = "last_epoch"
[protocol]
resize = 256
crop = 224
[dataset]
name = "none"
num_classes = 2
[dataset.val]
images = 1
annotations = ["val.json"]
[[rows]]
id = "{row}"
architecture = "resnet50"
method = "vanilla"
reported_top1 = 50.0
[[sources]]
kind = "http"
url = "{url}"
"""

# Each child prints the seconds of the call alone: the interpreter's start isn't the download.
MIXZOO = """
import sys, time
from pathlib import Path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.net.fetch import fetch
import requests, filelock
benchmark, row = open_catalog([Path(sys.argv[1])]).row(sys.argv[2])
start = time.perf_counter()
fetch(benchmark, benchmark.asset(row.id), connections=int(sys.argv[3]))
print(time.perf_counter() - start)
"""
POOCH = """
import sys, time, pooch
start = time.perf_counter()
pooch.retrieve(sys.argv[1], "sha256:" + sys.argv[2], fname="w.pth", path=sys.argv[3])
print(time.perf_counter() - start)
"""
HUB = """
import sys, time
from huggingface_hub import hf_hub_download
start = time.perf_counter()
hf_hub_download("owner/zoo", "w.pth", endpoint=sys.argv[1], cache_dir=sys.argv[2])
print(time.perf_counter() - start)
"""


def serve(size: int, rate: float) -> None:
    """Serve `size` bytes until stdin closes. rate: bytes a second, 0 for no limit."""
    path = Path(__file__).parents[1] / "tests/emulator/server.py"
    emulate, fault = map(runpy.run_path(str(path)).get, ("emulate", "Fault"))
    assert emulate is not None
    assert fault is not None
    body = (Random(0).randbytes(1_000_000) * (size // 1_000_000 + 1))[:size]
    with emulate() as emulator:
        emulator.redirect = False
        emulator.rate = rate or None
        emulator.files = {f"/{NAME}": body, HUB_PATH: body}
        emulator.etag(body)  # computed once, before the clock starts
        hub = fault(headers={"X-Repo-Commit": "0" * 40})
        emulator.front.plan = lambda request: hub if request.path == HUB_PATH else None
        print(emulator.front.url, hashlib.sha256(body).hexdigest(), flush=True)
        sys.stdin.read()


@contextmanager
def server(size: int, rate: float = 0) -> Iterator[tuple[str, str]]:
    """A server in a process of its own: its address, and the file's hash."""
    command = [sys.executable, __file__, "--serve", str(size), str(rate)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdin
        assert process.stdout
        url, sha256 = process.stdout.readline().split()
        yield url, sha256
        process.stdin.close()


def run(script: str, *arguments: object, python: str = sys.executable, **extra: str) -> float:
    """Seconds that a child Python says its download took."""
    command = [python, "-c", script, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | extra
    )
    return float(done.stdout.split()[-1])


def mixzoo(url: str, sha256: str, size: int, connections: int) -> float:
    """Seconds of `mixzoo.zoo.net.fetch`, to a file on the disk with its hash checked."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "bench.toml"
        manifest.write_text(MANIFEST.format(row=ROW, url=url))
        asset = {"row": ROW, "kind": "weights", "name": NAME, "size": size, "sha256": sha256}
        lock = {"format": 1, "benchmark": "bench", "assets": [asset]}
        manifest.with_name("bench.lock.json").write_text(json.dumps(lock))
        return run(MIXZOO, manifest, ROW, connections, MIXZOO_CACHE=folder)


def curl(url: str, sha256: str) -> float:
    """Seconds of `curl | sha256sum`; nothing is written to a disk."""
    start = time.perf_counter()
    command = f"curl --silent --fail {url}/{NAME} | sha256sum"
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(sha256)
    return time.perf_counter() - start


def aria2c(url: str, sha256: str) -> float:
    """Seconds of aria2c with eight connections and its own hash check."""
    with tempfile.TemporaryDirectory() as folder:
        n = str(CONNECTIONS)
        options = ["-q", "-x", n, "-s", n, "-k", "1M", "-d", folder, f"--checksum=sha-256={sha256}"]
        start = time.perf_counter()
        subprocess.run(["aria2c", *options, f"{url}/{NAME}"], check=True)
        return time.perf_counter() - start


def pooch(url: str, sha256: str, python: str) -> float:
    """Seconds of `pooch.retrieve` with the hash known."""
    with tempfile.TemporaryDirectory() as folder:
        return run(POOCH, f"{url}/{NAME}", sha256, folder, python=python)


def hub(url: str) -> float:
    """Seconds of `hf_hub_download`, which compares the size alone."""
    with tempfile.TemporaryDirectory() as folder:
        return run(HUB, url, folder, HF_HUB_DISABLE_XET="1")


def single_stream(size: int, rounds: int, pooch_python: str | None) -> dict[str, list[float]]:
    """Seconds of every tool in every round."""
    seconds: dict[str, list[float]] = {}
    with server(size) as (url, sha256):
        tools = {"curl | sha256sum": lambda: curl(url, sha256)} if shutil.which("curl") else {}
        tools["mixzoo, 1 connection"] = lambda: mixzoo(url, sha256, size, 1)
        tools["mixzoo, 4 connections"] = lambda: mixzoo(url, sha256, size, 4)
        if pooch_python:
            tools["pooch"] = lambda: pooch(url, sha256, pooch_python)
        if util.find_spec("huggingface_hub"):
            tools["huggingface_hub"] = lambda: hub(url)
        for _ in range(rounds):
            for name, tool in tools.items():
                seconds.setdefault(name, []).append(round(tool(), 3))
    return seconds


def limited(size: int) -> dict[str, list[float]]:
    """Seconds where each connection gets LIMIT, one run each."""
    with server(size, LIMIT) as (url, sha256):
        seconds = {
            f"mixzoo, {n} connection{'s' * (n > 1)}": [round(mixzoo(url, sha256, size, n), 2)]
            for n in (CONNECTIONS, 1)
        }
        if shutil.which("aria2c"):
            seconds[f"aria2c, {CONNECTIONS} connections"] = [round(aria2c(url, sha256), 2)]
    return seconds


def surroundings(pooch_python: str | None) -> dict[str, object]:
    """What the numbers depend on."""
    facts = machine("mixzoo", "requests", "urllib3", "huggingface_hub")
    for name in filter(shutil.which, ("curl", "aria2c")):
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=True)
        facts[name] = said.stdout.split("\n")[0]
    if pooch_python:
        ask = "from importlib.metadata import version; print(version('pooch'))"
        said = subprocess.run([pooch_python, "-c", ask], capture_output=True, text=True, check=True)
        facts["pooch"] = said.stdout.strip()
    return facts


def main() -> None:
    """Time everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Downloads beside other tools, on loopback.")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pooch-python", help="a Python that has pooch")
    default = Path(__file__).parent / "results/download.json"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--serve", nargs=2, type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(int(arguments.serve[0]), arguments.serve[1])
        return

    size = arguments.megabytes * 1_000_000
    pooch_python = arguments.pooch_python or (sys.executable if util.find_spec("pooch") else None)
    single = single_stream(size, arguments.rounds, pooch_python)
    slow = limited(size)
    for title, seconds in (("one server", single), (f"{LIMIT:,} B/s a connection", slow)):
        print(title)
        for name, values in seconds.items():
            print(f"  {name:24} {statistics.median(values):7.2f} s  (min {min(values):.2f})")
    one, many = slow["mixzoo, 1 connection"][0], slow[f"mixzoo, {CONNECTIONS} connections"][0]
    ratios = {"eight_connections_against_one": round(one / many, 2)}
    if "curl | sha256sum" in single:
        pairs = zip(single["curl | sha256sum"], single["mixzoo, 1 connection"], strict=True)
        times = [theirs / ours for theirs, ours in pairs]
        ratios["single_stream_against_curl"] = round(statistics.median(times), 2)
    for name, ratio in ratios.items():
        late = " LATE" * (ratio < TARGETS[name])
        print(f"{name}: {ratio} times as fast (target {TARGETS[name]}){late}")
    result = {
        "bytes": size,
        "seconds": single,
        "seconds_at_limit": slow,
        "limit_bytes_per_second_and_connection": LIMIT,
        "times_as_fast": ratios,
        "targets": TARGETS,
        "machine": surroundings(pooch_python),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
