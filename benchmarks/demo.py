"""What the demo holds: many visitors at once, and how long a page and a new lam take in a browser.

Four questions. How much processor time until the page's address is told, and until the first mix is
warm, beside a bare page of Gradio, in turn; how long from `mixzoo app` to a page that shows its
first mix, in Debian's chromium; how long from a moved slider to the new picture there, by each
method; and, with 20 visitors for half a minute who each upload two pictures and go on asking for
mixes by all methods, how many requests fail, how long they take, and how much memory the server has
at its highest.

    python benchmarks/demo.py [--visitors 20] [--seconds 30] [--out benchmarks/results/demo.json]

Needs `pip install playwright` and chromium for the first two questions.
"""

import argparse
import io
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from machine import machine
from mixzoo.zoo.mini import example

PROGRAM = "from mixzoo.app.serve import command; command()"
BARE = """import time, gradio as gr
with gr.Blocks() as page:
    image, lam = gr.Image(), gr.Slider(0, 1)
    lam.change(lambda one: one, image, image)
print(page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)[1], flush=True)
time.sleep(60)"""
STARTS = 5  # of each program, in turn
WARM = 4.0  # seconds that a page gets to warm up
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REF = "resnet18_w12.mixup_mini"
METHODS = ("mixup", "cutmix", "fmix", "resizemix", "puzzlemix")
PAUSE = 0.5  # seconds that a visitor looks at a picture, on average
MOVES = 6  # of the slider, by each method
PICTURED = ("mixup", "cutmix", "saliencymix", "fmix", "resizemix", "puzzlemix", "automix", "samix")
TARGETS = {"first_mix_s": 6.0, "new_lam_s": 0.2, "failed_requests": 0, "median_s": 1.0}
MOVE = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }"
MOVED = """(before) => {
  const image = document.querySelector('#mix-mixed img');
  return image && image.src !== before && image.complete && image.naturalWidth > 0;
}"""


@dataclass
class Seen:
    """What the visitors met. seconds: of each mix, from the request to its pictures' names."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def server() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The demo in a process of its own; its address, and the process."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.send_signal(signal.SIGINT)


def processor_seconds(process: "subprocess.Popen[str]") -> float:
    """What the process has used of all processors together."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start() -> dict[str, Any]:
    """Processor time of starting, ours and a bare page of Gradio in turn, of both the median."""
    quiet = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}
    programs = {"bare": [BARE], "mixzoo": [PROGRAM, "--port", "0", "--no-browser"]}
    found: dict[str, list[float]] = {}
    for _ in range(STARTS):
        for name, words in programs.items():
            began = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, "-c", *words], stdout=subprocess.PIPE, text=True, env=quiet
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                told = {"address_s": time.perf_counter() - began}
                told["address_processor_s"] = processor_seconds(process)
                time.sleep(WARM)
                told["warm_processor_s"] = processor_seconds(process)
                process.terminate()
            for key, value in told.items():
                found.setdefault(f"{name}_{key}", []).append(value)
    return {key: statistics.median(values) for key, values in found.items()}


def peak_megabytes(process: "subprocess.Popen[str]") -> float:
    """The most memory that the process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def visit(api: str, number: int, until: float, seen: Seen) -> None:
    """One visitor: two pictures, then mixes until the time is over."""
    rng = random.Random(number)
    try:
        files = [upload(api, number % 40, k) for k in (0, 1)]
    except (requests.RequestException, KeyError) as error:
        seen.errors.append(f"upload: {error}")
        return
    while time.monotonic() < until:
        started = time.perf_counter()
        arguments = [*files, rng.choice(METHODS), rng.randint(0, 100) / 100, rng.randint(0, 9), REF]
        try:
            asked = requests.post(f"{api}call/mix", json={"data": arguments}, timeout=60)
            told = requests.get(f"{api}call/mix/{asked.json()['event_id']}", timeout=60).text
        except (requests.RequestException, KeyError, ValueError) as error:
            seen.errors.append(str(error))
            continue
        seen.seconds.append(time.perf_counter() - started)
        if "event: complete" not in told:
            seen.errors.append(told.strip()[-200:])
        time.sleep(rng.expovariate(1 / PAUSE))


def upload(api: str, species_id: int, number: int) -> dict[str, Any]:
    """A drawn picture, uploaded; what names it in requests."""
    content = io.BytesIO()
    example(species_id, number).save(content, "PNG")
    answer = requests.post(
        f"{api}upload", files={"files": ("a.png", content.getvalue())}, timeout=60
    )
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def crowd(visitors: int, seconds: float) -> dict[str, Any]:
    """Many visitors at once."""
    seen = Seen()
    with server() as (url, process):
        until = time.monotonic() + seconds
        api = f"{url}gradio_api/"
        threads = [
            threading.Thread(target=visit, args=(api, number, until, seen))
            for number in range(visitors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = peak_megabytes(process)
    return {
        "visitors": visitors,
        "seconds": seconds,
        "mixes": len(seen.seconds),
        "failed_requests": len(seen.errors),
        "errors": sorted(set(seen.errors))[:5],
        "median_s": statistics.median(seen.seconds) if seen.seconds else None,
        "slowest_s": max(seen.seconds, default=None),
        "peak_megabytes": peak,
    }


def in_browser() -> dict[str, Any]:
    """The first mix and a moved slider, as a visitor sees them."""
    from playwright.sync_api import sync_playwright

    started = time.perf_counter()
    with server() as (url, _), sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        page = chromium.new_page()
        page.goto(url)
        page.wait_for_selector("#mix-mixed img")
        first = time.perf_counter() - started
        page.locator("#mix-same button").first.click()
        slider, taken = page.locator("#mix-lam input[type=range]"), {}
        for method in PICTURED:
            page.locator("#mix-method").get_by_label(method, exact=True).check()
            page.wait_for_selector(f"#mix-cli :text('--methods {method}')")
            for move in range(MOVES):
                page.wait_for_timeout(400)
                before = page.get_attribute("#mix-mixed img", "src")
                began = time.perf_counter()
                slider.evaluate(MOVE, 0.1 + 0.8 * ((move * 7) % MOVES) / MOVES)
                page.wait_for_function(MOVED, arg=before)
                taken.setdefault(method, []).append(time.perf_counter() - began)
        chromium.close()
    return {
        "first_mix_s": first,
        "new_lam_s": statistics.median(one for times in taken.values() for one in times),
        "new_lam_by_method_s": {name: statistics.median(times) for name, times in taken.items()},
        "moves": MOVES,
    }


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "targets": TARGETS}
    result |= {"load": os.getloadavg(), "start": start()}
    if shutil.which("chromium"):
        result["browser"] = in_browser()
    result["crowd"] = crowd(options.visitors, options.seconds)
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
