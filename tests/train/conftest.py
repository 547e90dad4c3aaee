"""A benchmark of noisy colours, small enough to train on in a second, and processes that do so."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixzoo.train.data import Data
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol
from PIL import Image

from ..nursery import Job, Nursery, free_port

METHODS = ("vanilla", "mixup", "puzzlemix", "samix")
MANIFEST = """
format = 1
name = "colours"
title = "Noisy colours"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = 36
crop = 32
[dataset]
name = "Colours"
num_classes = 6
[dataset.train]
images = 29
annotations = ["train.txt"]
[dataset.val]
images = 70
annotations = ["val.txt"]
"""
ROW = """
[[rows]]
id = "resnet18_w4.{0}_colours"
architecture = "resnet18_w4"
method = "{0}"
alpha = 2.0
reported_top1 = 10.0
"""


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 29 training and 70 validation pictures of six noisy colours, with their lists."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for split, count in (("train", 29), ("val", 70)):
        for i in range(count):
            pixels = rng.integers(0, 90, (44, 40 + i % 3 * 6, 3))
            pixels[..., i % 3] += 120 if i % 6 < 3 else 60
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{split}{i}.png")
        lines = [f"{split}{i}.png,{i % 6}\n" for i in range(count)]
        (root / f"{split}.txt").write_text("".join(lines))
    return root


@pytest.fixture(scope="session")
def data(colours: Path) -> Data:
    """The colours as training data."""
    train, val = (find_images(colours, colours / f"{split}.txt") for split in ("train", "val"))
    return Data(train, val, Protocol(resize=36, crop=32))


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """Two epochs of four steps, each of two micro batches of four images."""
    return Recipe(
        architecture="resnet18_w4",
        num_classes=6,
        mix_mode=("mixup",),
        alpha=(2.0,),
        epochs=2,
        batch_size=8,
        micro_batch=4,
        crop=32,
        log_every=1,
    )


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of the colours, with rows of a few methods."""
    path = tmp_path_factory.mktemp("benchmark") / "colours.toml"
    path.write_text(MANIFEST + "".join(ROW.format(method) for method in METHODS))
    return path


class Folder:
    """The folder of a run of `method`, seen from outside."""

    def __init__(self, path: Path, method: str) -> None:
        self.path, self.name = path, f"resnet18_w4.{method}_colours"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log, without what depends on the clock."""
        path = self.path / f"{self.name}.log.json"
        text = path.read_text() if path.exists() else ""
        whole = [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
        return [{k: v for k, v in line.items() if "time" not in k} for line in whole]

    @property
    def result(self) -> dict[str, Any]:
        """Everything that an interruption must not change: weights to the byte, and the log."""
        files = (f"{self.name}.pth", f"{self.name}.safetensors", "best.pth")
        return {file: (self.path / file).read_bytes() for file in files} | {"log": self.lines}

    def wait_for(self, lines: int, job: Job, seconds: float = 60) -> None:
        """Return when the log has as many lines, or the job has ended."""
        end = time.monotonic() + seconds
        while len(self.lines) < lines and job.poll() is None:
            assert time.monotonic() < end, f"{len(self.lines)} lines: {job.err}"
            time.sleep(0.005)


class Jobs:
    """Runs of the colours' rows in processes."""

    def __init__(self, nursery: Nursery, places: list[object], root: Path) -> None:
        self.nursery, self.places, self.root = nursery, places, root
        self.port = free_port

    def words(self, method: str, out: Path, *more: object, **settings: object) -> list[str]:
        """The command that trains the `tiny` recipe with some method in some folder."""
        tiny = {"epochs": 2, "batch_size": 8, "micro_batch": 4, "log_every": 1} | settings
        words = ["train", f"resnet18_w4.{method}_colours", *self.places, "--out", out, *more]
        words += [word for k, v in tiny.items() for word in ("--set", f"{k}={v}")]
        return [str(word) for word in words]

    def start(self, words: Sequence[object], **env: object) -> Job:
        """Start a `mixzoo` command, with more variables in its environment."""
        return self.nursery.start(words, **{"MIXZOO_CACHE": self.root / "cache"} | env)

    def ranks(self, words: Sequence[object], size: int, others: Sequence[object] = ()) -> list[Job]:
        """As those of the nursery."""
        return self.nursery.ranks(words, size, others, MIXZOO_CACHE=self.root / "cache")

    def folder(self, path: Path, method: str) -> Folder:
        """What a run of `method` leaves in a folder."""
        return Folder(path, method)

    def whole(self, method: str, size: int = 1, **settings: object) -> Folder:
        """A run on some processes that nothing happened to, once for all tests."""
        name = "-".join([method, str(size), *(f"{k}={v}" for k, v in settings.items())])
        if not (out := self.root / name).exists():
            self.finish(self.words(method, out, **settings), size)
        return Folder(out, method)

    def finish(self, words: list[str], size: int = 1) -> None:
        """Run a command to its good end."""
        for job in (jobs := self.ranks(words, size)):
            assert job.wait() == 0, [job.err for job in jobs]


@pytest.fixture(scope="session")
def jobs(
    colours: Path, manifest: Path, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Jobs:
    """Starts and watches commands that train on the colours."""
    places = ["--manifest", manifest, "--data", colours, "--device", "cpu"]
    return Jobs(nursery, places, tmp_path_factory.mktemp("jobs"))


class Replay:
    """Stands in for a `numpy.random.Generator`: gives recorded values, and only in recorded order.

    The reference drew from other generators; each recorded call is matched with the call of ours
    that has the same distribution.
    """

    def __init__(
        self, draws: list[dict[str, Any]], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        choices = [draw for draw in draws if draw["fn"] == "random.choices"]
        assert all(len(draw["args"][0]) == 1 for draw in choices)  # nothing is chosen there
        self.draws = [draw for draw in draws if draw not in choices]
        self.arrays = arrays or {}

    def _next(self, functions: str, *expected: Any) -> tuple[list[Any], Any]:
        assert self.draws, f"{functions} was drawn after the reference had stopped drawing"
        draw = self.draws.pop(0)
        assert draw["fn"] in functions.split()
        assert not expected or draw["args"] == list(expected)
        value = draw["value"]
        name = value.get("array") if isinstance(value, dict) else None
        return draw["args"], self.arrays.get(name, value)

    def choice(self, candidates: list[int], p: None = None) -> int:
        """The one method that there is."""
        assert len(candidates) == 1
        return candidates[0]

    def beta(self, *args: Any) -> Any:
        """A recorded weight, or two."""
        return np.array(self._next("np.random.beta scipy.stats.beta.rvs", *args)[1])[()]

    def permutation(self, n: int) -> np.ndarray:
        """Recorded partners."""
        return np.array(self._next("torch.randperm", n)[1])

    def integers(self, low: int, high: int | None = None) -> int:
        """A recorded index, from the same range."""
        args, value = self._next("np.random.randint")
        recorded = args if len(args) == 2 else [0, *args]
        drawn = [low, high] if high is not None else [0, low]
        # some puzzlemix cases were recorded with fewer block sizes to choose from
        assert drawn[0] <= recorded[0]
        assert recorded[1] <= drawn[1]
        return value

    def uniform(self, low: float, high: float) -> float:
        """A recorded number, from the same range."""
        return self._next("np.random.uniform", low, high)[1]

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Rows 0 and 1 of recorded noise, all that the reference uses of it."""
        _, value = self._next("np.random.randn")
        rows = (self.arrays["randn_rows01"] if isinstance(value, dict) else value)[0]
        assert shape == rows.shape
        return rows

    def random(self, shape: tuple[int, ...] = ()) -> Any:
        """A recorded number in [0, 1); with a shape, 1 where dropout kept a value and 0 elsewhere."""
        functions = "dropout_multiplier" if shape else "random.random np.random.rand"
        _, value = self._next(functions)
        assert np.shape(value) == shape
        return value


@pytest.fixture(scope="session")
def replay() -> type[Replay]:
    """`Replay`."""
    return Replay
