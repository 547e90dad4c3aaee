"""Many checkpoints in one pass: decoded once, failing alone, resumed, settled together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from mixzoo.eval.evaluator import Subject, Work, evaluate_all
from mixzoo.eval.predictions import EXACT, PENDING, UNREADABLE
from mixzoo.eval.predictor import Predictor
from mixzoo.zoo.data import FolderStore, ImageStore, LabelledImages
from mixzoo.zoo.errors import CheckpointError
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=36, crop=32)
CPU = torch.device("cpu")
WEIGHT = torch.randn(7, 3 * 16, generator=torch.Generator().manual_seed(1))


def linear(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A linear classifier on 4x4 means."""
    return {"head0": torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ WEIGHT.T}


def reverse(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two heads, one of them the negative."""
    z = linear(x)["head0"]
    return {"up": z, "down": -z}


@dataclass
class _CountingStore:
    """A store that remembers what was read."""

    inner: ImageStore
    reads: Counter[str] = field(default_factory=Counter)

    @property
    def root(self) -> Path:
        return self.inner.root

    def has(self, file: str) -> bool:
        return self.inner.has(file)

    def size(self, file: str) -> int:
        return self.inner.size(file)

    def read(self, file: str) -> bytes:
        self.reads[file] += 1
        return self.inner.read(file)


@pytest.fixture
def counted(pictures: LabelledImages) -> tuple[LabelledImages, Counter[str]]:
    """The pictures, and how often each was read."""
    store = _CountingStore(pictures.store)
    return LabelledImages(store, pictures.files, pictures.labels, pictures.origin), store.reads


def subject(name: str, logits: object) -> Subject:
    return Subject(name, Predictor(logits, PROTOCOL, CPU))  # type: ignore[arg-type]


def test_each_image_is_decoded_once_for_all(
    counted: tuple[LabelledImages, Counter[str]],
) -> None:
    """Two checkpoints with three heads read every file once, and get what each gets alone."""
    images, reads = counted
    both = [subject("a", linear), subject("b", reverse)]
    alone = subject("b", reverse)

    evaluate_all(both, Work(images, PROTOCOL, workers=0))
    once = dict(reads)
    evaluate_all([alone], Work(images, PROTOCOL, workers=0))

    assert set(once.values()) == {1}
    assert both[0].known["head0"].counts() == both[1].known["up"].counts()
    for head in ("up", "down"):
        assert both[1].known[head].top.tolist() == alone.known[head].top.tolist()


def test_a_failing_checkpoint_fails_alone(pictures: LabelledImages) -> None:
    """One whose logits aren't finite keeps its error; the other is evaluated."""
    broken = subject("broken", lambda x: {"head0": torch.full((len(x), 7), torch.nan)})
    sound = subject("sound", linear)

    evaluate_all([broken, sound], Work(pictures, PROTOCOL, workers=0))

    assert isinstance(broken.error, CheckpointError)
    assert sound.error is None
    assert sound.known["head0"].complete


def test_only_what_is_pending_is_read(counted: tuple[LabelledImages, Counter[str]]) -> None:
    """A second pass over a partly known list reads whole batches, and those alone."""
    images, reads = counted
    one = subject("a", linear)
    work = Work(images, PROTOCOL, batch_size=64, workers=0)
    evaluate_all([one], work)
    whole = one.known["head0"].top.tolist()
    one.known["head0"].state[[70, 290]] = PENDING
    reads.clear()

    evaluate_all([one], work)

    assert set(reads) == {*images.files[64:128], *images.files[256:299]}
    assert one.known["head0"].top.tolist() == whole


def test_some_images_alone(pictures: LabelledImages) -> None:
    """An order names the images to predict; all others stay pending."""
    one = subject("a", linear)

    evaluate_all([one], Work(pictures, PROTOCOL, workers=0), order=[7, 3, 200])

    state = one.known["head0"].state
    assert [int(i) for i in (state != PENDING).nonzero()[0]] == [3, 7, 200]


def test_unreadable_images_are_named_and_wrong(pictures: LabelledImages, tmp_path: Path) -> None:
    """A damaged file is reported with its place; it's neither pending nor a hit."""
    for file in pictures.files[:20]:
        (tmp_path / file).write_bytes(pictures.store.read(file))
    (tmp_path / pictures.files[11]).write_bytes(b"nonsense")
    images = LabelledImages(
        FolderStore(tmp_path), pictures.files[:20], pictures.labels[:20], "here"
    )
    one = subject("a", linear)

    unreadable = evaluate_all([one], Work(images, PROTOCOL, workers=0))

    known = one.known["head0"]
    assert list(unreadable) == [11]
    assert known.state[11] == UNREADABLE
    assert not known.correct[11]
    assert known.counts().total == 20


def test_a_bound_that_rises_late_reaches_back(pictures: LabelledImages) -> None:
    """Fast arithmetic that errs more at the end: what was believed at the start is recomputed."""
    exact = linear

    def fast(x: torch.Tensor) -> dict[str, torch.Tensor]:
        z = exact(x)["head0"]
        late = seen[0] > 200
        seen[0] += len(x)
        return {"head0": z + (0.9 if late else 1e-4) * torch.sin(1e4 * z)}

    seen = [0]
    guarded = Subject(
        "a", Predictor(exact, PROTOCOL, CPU, "guarded", fast=[fast], batch_size=16, calibration=16)
    )
    plain = subject("b", exact)
    work = Work(pictures, PROTOCOL, batch_size=16, workers=0)

    evaluate_all([guarded], work)
    evaluate_all([plain], work)

    known = guarded.known["head0"]
    assert known.correct.tolist() == plain.known["head0"].correct.tolist()
    assert known.top[:, 0].tolist() == plain.known["head0"].top[:, 0].tolist()
    early = known.margin[:200] < guarded.predictor.bounds["head0"]
    assert (known.state[:200][early] == EXACT).all()


SLOW = """
import sys, time, torch
import mixzoo.eval.evaluator as evaluator
evaluator.SAVE_EVERY = 0.0
import mixzoo.eval.crops as crops
decode = crops.decode_crop
def slow(*arguments, **options):
    time.sleep(0.01)
    return decode(*arguments, **options)
crops.decode_crop = slow
from mixzoo.app.cli import main
main()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_evaluation_goes_on(
    how: signal.Signals, golden: Path, tmp_path: Path, pictures: LabelledImages
) -> None:
    """Stopped in the middle, the command run again predicts the rest and gives the same table."""
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["eval", str(golden / "runs/tiny_cutmix_ep8/epoch_8.pth"), "--json"]
    arguments += ["--data", str(pictures.root), "--resize", "36", "--crop", "32"]
    arguments += ["--batch-size", "10", "--workers", "0", "--device", "cpu"]
    command = [sys.executable, str(tmp_path / "slow.py"), *arguments]
    cache = tmp_path / "cache"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MIXZOO_CACHE": str(cache)}

    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not list(cache.glob("predictions/*/*.parts/*-of-1.safetensors")):
        time.sleep(0.05)
        assert process.poll() is None, process.communicate()
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    left = list(cache.rglob("*.safetensors"))
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM, 130)
    assert "Traceback" not in err
    assert len(left) == 1
    assert not list(cache.rglob("*.parts"))
    other = subprocess.run(
        [*command, "--fresh"], env=environment, capture_output=True, text=True, check=True
    )
    rows = [json.loads(run.stdout)["rows"][0] for run in (again, other)]
    assert rows[0]["correct"] == rows[1]["correct"]
    assert rows[0]["correct5"] == rows[1]["correct5"]
