"""How fast the trainer's steps are, beside a plain loop and beside OpenMixup's own steps.

For each method all contestants take turns, one step each a round (on a GPU ten in a row, after one
to take the memory, so that the processor may run ahead as in training), on the same images; each
has a process of its own (in one process they fragment each other's memory, which costs up to 15%):

  plain            torchvision's network and reference loop: SGD, cross-entropy, loss.item()
  plain_last       the same in channels-last memory format, which the trainer uses by default
  mixzoo           the step of `mixzoo train`, from uint8 crops to the moved k, its logging included
  mixzoo_compiled  the same with --compile (only if asked for)
  openmixup        OpenMixup's model, optimizer and hooks, in an environment of its own
  openmixup_plain  the plain loop there: how much of the difference its older torch makes

All compute in the same precision (OpenMixup under torch's autocast), on a GPU with cuDNN's search
for the fastest kernels, as torchvision's reference does and the trainer.

    python benchmarks/train_steps.py --openmixup-python peer/bin/python
    python benchmarks/train_steps.py --architecture resnet18 --size 96 --batch 8 --classes 100
    python benchmarks/train_steps.py --device cuda --precision bf16 --batch 128 --compile

benchmarks/openmixup_step.py says how that environment is made. Targets: vanilla within 3% of
plain_last, AutoMix at least 1.4 times OpenMixup's step. Ratios are medians over the rounds, of wall
time and of processor time; the latter means something on a busy machine, with --threads 1, too.
of_matrix_product says what share of the machine's own matrix product a step reaches, both measured
in the same rounds; OpenMixup's operations are counted where its torch can. (With one thread and 4
images torch 2.15 took its slow convolutions for 33 of ResNet-50's 53.)
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
from machine import machine, matrix_product
from mixzoo.eval.precision import cudnn_setting
from mixzoo.eval.protocol import normalise
from mixzoo.eval.world import ALONE, keep_freed_memory
from mixzoo.train.data import Data, MicroBatch
from mixzoo.train.loop import take_step
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How, Run
from mixzoo.train.schedules import mask_loss_weights
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.manifest import Protocol
from torch.utils.flop_counter import FlopCounterMode

ALPHAS = {row.method: row.alpha for row in open_catalog().benchmark("inat2018").manifest.rows}

METHODS = ("vanilla", "cutmix", "puzzlemix", "automix", "samix")
WARM_UP = 3  # turns; the first counts operations, or compiles
ALL_STEPS = 100_000  # of a run that is never finished here
PEER = Path(__file__).with_name("openmixup_step.py")
LR = 1e-3  # the same images come again and again; nothing is to diverge


class Took(NamedTuple):
    """Seconds of one step, the most memory that the GPU held so far, and one step's operations."""

    wall: float
    processor: float
    peak_bytes: int | None = None
    flop: int | None = None


Step = Callable[[], Took]
Builder = AbstractContextManager[Step]  # entering it builds the step


@dataclass(frozen=True)
class Setting:
    """What all contestants have in common."""

    architecture: str
    classes: int
    size: int
    batch: int
    device: torch.device
    precision: str
    steps: int
    """In one turn."""

    def crops(self) -> torch.Tensor:
        """Images (N, size, size, 3) uint8: coarse blobs under noise, so that saliency has shapes."""
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (self.batch, 8, 8, 3))
        cells = np.repeat(np.repeat(coarse, -(-self.size // 8), 1), -(-self.size // 8), 2)
        noise = rng.integers(-40, 41, (self.batch, self.size, self.size, 3))
        mixed = cells[:, : self.size, : self.size] + noise
        return torch.from_numpy(mixed.clip(0, 255).astype(np.uint8))

    def labels(self) -> torch.Tensor:
        """Classes (N,) int64."""
        return torch.from_numpy(np.random.default_rng(1).integers(0, self.classes, self.batch))

    @property
    def pixels(self) -> Protocol:
        """How crops are normalised."""
        return Protocol(resize=self.size, crop=self.size)

    def timed(self, step: Callable[[], object], counted: bool = True) -> Step:
        """The steps of a turn with a clock around them; the first turn is one step, and is counted.

        counted: not if the step is to be compiled. While operations are counted torch compiles
        nothing, nor later what it met then.
        """
        flop: int | None = None
        begun = False

        def first() -> Took:
            nonlocal flop, begun
            begun = True
            if not counted:
                step()
                return Took(0, 0)
            with FlopCounterMode(display=False) as counter:
                step()
            flop = counter.get_total_flops()
            return Took(0, 0)

        def turn() -> Took:
            if not begun:
                return first()
            gpu = self.device.type == "cuda"
            if gpu:
                step()  # takes the memory that the turn before gave back
                torch.cuda.synchronize()
            wall, processor = time.perf_counter(), time.process_time()
            for _ in range(self.steps):
                step()
            if gpu:
                torch.cuda.synchronize()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            peak = torch.cuda.max_memory_allocated() if gpu else None
            torch.cuda.empty_cache()  # for the others
            return Took(wall / self.steps, processor / self.steps, peak, flop)

        return turn


@contextmanager
def mixzoo_step(setting: Setting, method: str, compiled: bool = False) -> Iterator[Step]:
    """The trainer's own step; see `train.loop.take_step`."""
    recipe = Recipe(
        setting.architecture,
        setting.classes,
        (method,),
        (ALPHAS[method] or 1.0,),
        epochs=1,
        batch_size=setting.batch,
        micro_batch=setting.batch,
        crop=setting.size,
        lr=LR,
        precision=setting.precision,  # type: ignore[arg-type]
    )
    keep_freed_memory()  # as the command does
    crops, labels = setting.crops(), setting.labels()
    names = tuple(str(row) for row in range(setting.batch))
    with tempfile.TemporaryDirectory() as folder:
        images = LabelledImages(FolderStore(Path(folder)), names, tuple(labels.tolist()), "memory")
        data = Data(images, images, setting.pixels)
        how = How(replace(ALONE, device=setting.device), compile=compiled)
        run = Run(recipe, Path(folder), method, ALL_STEPS, how)
        if setting.device.type == "cuda":
            crops = crops.pin_memory()  # as the trainer's loader does
        batches = repeat(MicroBatch(crops, labels, tuple(range(setting.batch))))
        weights = mask_loss_weights(recipe.automix, recipe.epochs * ALL_STEPS)

        def step() -> None:
            take_step(run, data, batches, weights, stop=False)
            run.iteration += 1

        with cudnn_setting("benchmark", value=True):
            # torch's counter can't bear the gradient of the input that PuzzleMix asks for.
            yield setting.timed(step, counted=not compiled and method != "puzzlemix")


@contextmanager
def plain_step(setting: Setting, layout: torch.memory_format) -> Iterator[Step]:
    """The loop of torchvision's reference, on normalised images."""
    model = getattr(torchvision.models, setting.architecture)(num_classes=setting.classes)
    model.to(setting.device, memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9, weight_decay=1e-4)
    x = normalise(setting.crops().to(setting.device), setting.pixels).contiguous(
        memory_format=layout
    )
    y = setting.labels().to(setting.device)
    half = setting.precision == "bf16"

    def step() -> None:
        with torch.autocast(setting.device.type, torch.bfloat16, enabled=half):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    with cudnn_setting("benchmark", value=True):
        yield setting.timed(step)


@contextmanager
def peer_step(setting: Setting, python: str, method: str) -> Iterator[Step]:
    """A step of OpenMixup, in a process of its own that waits between its steps."""
    with tempfile.TemporaryDirectory() as folder:
        batch = Path(folder) / "batch.npz"
        x = normalise(setting.crops(), setting.pixels)
        np.savez(batch, x=x.numpy(), y=setting.labels().numpy())
        words = [python, str(PEER), method, setting.architecture, str(setting.classes)]
        words += [str(batch), str(torch.get_num_threads()), setting.device.type]
        words += [setting.precision, str(setting.steps)]
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(Path(folder) / "stderr").open("w"),
            text=True,
        ) as child:
            assert child.stdin
            assert child.stdout

            def answer() -> dict[str, Any]:
                line = child.stdout.readline()  # type: ignore[union-attr]
                if not line:
                    raise SystemExit((Path(folder) / "stderr").read_text()[-2000:])
                return json.loads(line)

            print(f"{method} in {answer()}", file=sys.stderr)

            def step() -> Took:
                child.stdin.write("\n")  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
                return Took(**answer())

            yield step
            child.stdin.close()


OWN: dict[str, Callable[[Setting, str], Builder]] = {
    "plain": lambda setting, _: plain_step(setting, torch.contiguous_format),
    "plain_last": lambda setting, _: plain_step(setting, torch.channels_last),
    "mixzoo": mixzoo_step,
    "mixzoo_compiled": partial(mixzoo_step, compiled=True),
}


def serve(pipe: Connection, setting: Setting, threads: int, name: str, method: str) -> None:
    """In a process of its own: a step for each True, until False."""
    torch.set_num_threads(threads)
    with OWN[name](setting, method) as step:
        while pipe.recv():
            pipe.send(step())


@contextmanager
def own_step(setting: Setting, name: str, method: str) -> Iterator[Step]:
    """A step of a contestant of OWN."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    words = (there, setting, torch.get_num_threads(), name, method)
    child = context.Process(target=serve, args=words, daemon=True)
    child.start()
    there.close()  # so that a child that died is an end of file here

    def step() -> Took:
        here.send(True)
        return here.recv()

    yield step
    here.send(False)
    child.join()


def measured(
    setting: Setting, method: str, own: Iterable[str], python: str | None, rounds: int
) -> dict[str, Any]:
    """One method's contestants, in turns after some steps each to warm up."""
    took: dict[str, list[Took]] = {}
    products: list[float] = []
    dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    product = matrix_product(dtype, setting.device)
    with ExitStack() as stack:
        builders: dict[str, Builder] = {name: own_step(setting, name, method) for name in own}
        if python:
            builders["openmixup"] = peer_step(setting, python, method)
            builders["openmixup_plain"] = peer_step(setting, python, "plain")
        steps = {name: stack.enter_context(builder) for name, builder in builders.items()}
        for _ in range(WARM_UP + rounds):
            products.append(product())
            for name, step in steps.items():
                took.setdefault(name, []).append(step())
    return {
        name: summarised(setting, values, took["mixzoo"], products) for name, values in took.items()
    }


def summarised(
    setting: Setting, took: list[Took], mixzoo: list[Took], products: list[float]
) -> dict[str, Any]:
    """Medians; ratios are medians of the rounds' own ratios, above 1 where mixzoo is faster."""
    walls = [one.wall for one in took[WARM_UP:]]
    processor = statistics.median(one.processor for one in took[WARM_UP:])

    def faster(clock: str) -> float:
        pairs = zip(took[WARM_UP:], mixzoo[WARM_UP:], strict=True)
        return round(statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs), 3)

    row = {
        "images_per_second": round(setting.batch / statistics.median(walls), 2),
        "processor_ms_per_image": round(1000 * processor / setting.batch, 1),
        "mixzoo_is_faster": faster("wall"),
        "mixzoo_is_faster_by_processor_time": faster("processor"),
    }
    if flop := took[-1].flop:
        shares = [flop / a / b for a, b in zip(walls, products[WARM_UP:], strict=True)]
        row["gflop_per_image"] = round(flop / setting.batch / 1e9, 1)
        row["of_matrix_product"] = round(statistics.median(shares), 3)
    if peak := took[-1].peak_bytes:
        row["peak_gib"] = round(peak / 2**30, 2)
    return row


def main() -> None:
    """Time everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Images per second of training steps.")
    parser.add_argument("--architecture", choices=("resnet18", "resnet50"), default="resnet50")
    parser.add_argument("--classes", type=int, default=8142)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true", help="mixzoo train --compile, too")
    parser.add_argument("--steps", type=int, help="of one turn  [1, on a GPU 10]")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--openmixup-python", help="python of an environment that has OpenMixup")
    default = Path(__file__).parent / "results/train_steps.json"
    parser.add_argument("--out", type=Path, default=default)
    given = parser.parse_args()

    if given.threads:
        torch.set_num_threads(given.threads)
    setting = Setting(
        given.architecture,
        given.classes,
        given.size,
        given.batch,
        torch.device(given.device),
        given.precision,
        given.steps or (10 if given.device == "cuda" else 1),
    )
    own = [name for name in OWN if given.compile or name != "mixzoo_compiled"]
    result: dict[str, Any] = {
        "setting": {k: str(v) for k, v in vars(setting).items()} | {"rounds": given.rounds},
        "methods": {},
        "machine": machine("mixzoo", "torch", "torchvision", "numpy"),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for method in given.methods.split(","):
        rows = measured(setting, method, own, given.openmixup_python, given.rounds)
        for name, row in rows.items():
            print(
                f"{method:10} {name:16} {row['images_per_second']:8.2f} images/s"
                f"  mixzoo is {row['mixzoo_is_faster']:5.2f} times as fast"
                f" ({row['mixzoo_is_faster_by_processor_time']:.2f} by processor time)"
                f"  {row.get('of_matrix_product', '')} {row.get('peak_gib', '')}",
                flush=True,
            )
        result["methods"][method] = rows
        result["load_average"] = os.getloadavg()
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
