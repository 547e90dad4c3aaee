"""Predictions equal a plain loop's for every batch size, head and world; one pass serves many."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval import crops
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import Subject, evaluate, evaluate_all
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.predictions import (
    COLUMNS,
    EXACT,
    FAST,
    PENDING,
    UNREADABLE,
    Counts,
    Predictions,
)
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.protocol import normalise
from mixzoo.eval.shard import Shard
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import CheckpointError
from mixzoo.zoo.manifest import Protocol

from ..nursery import Nursery

PROTOCOL = Protocol(resize=36, crop=32)
CPU = torch.device("cpu")
WEIGHT = torch.randn(7, 3 * 16, generator=torch.Generator().manual_seed(1))


def two_heads(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A linear classifier on 4x4 means, and its reverse."""
    z = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ WEIGHT.T
    return {"up": z, "down": -z}


def one_head(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first of them."""
    return {"head0": two_heads(x)["up"]}


def plain_loop(images: LabelledImages) -> dict[str, Counts]:
    """The same counts one image at a time, with sorting instead of topk."""
    hits = {"up": [0, 0], "down": [0, 0]}
    for index, label in enumerate(images.labels):
        pixels = decode_crop(images.read(index), PROTOCOL, images.files[index])
        crop = torch.from_numpy(pixels.copy())
        for head, z in two_heads(normalise(crop[None], PROTOCOL)).items():
            ranked = sorted(range(7), key=lambda c: -float(z[0, c]))
            hits[head][0] += ranked[0] == label
            hits[head][1] += label in ranked[:5]
    return {head: Counts(top1, top5, len(images)) for head, (top1, top5) in hits.items()}


@pytest.mark.parametrize(("batch_size", "workers"), [(64, 0), (7, 2), (299, 0), (1000, 1)])
def test_counts_equal_a_plain_loop(pictures: LabelledImages, batch_size: int, workers: int) -> None:
    """Batches and worker processes change nothing."""
    counts = evaluate(two_heads, Work(pictures, PROTOCOL, batch_size, workers))

    assert counts == plain_loop(pictures)


def test_progress_counts_every_image(pictures: LabelledImages) -> None:
    """A progress bar fed with the calls ends at the number of images."""
    seen: list[int] = []

    evaluate(two_heads, Work(pictures, PROTOCOL, workers=0), progress=seen.append)

    assert sum(seen) == len(pictures)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded in this process."""
    found: Counter[str] = Counter()
    decode = crops.decode_crop

    def counted(content: bytes, protocol: Protocol, name: str) -> crops.Pixels:
        found[name] += 1
        return decode(content, protocol, name)

    monkeypatch.setattr(crops, "decode_crop", counted)
    return found


def subject(name: str, logits: object) -> Subject:
    return Subject(name, Predictor(logits, PROTOCOL, CPU))  # type: ignore[arg-type]


def test_each_image_is_decoded_once_for_all(pictures: LabelledImages, reads: Counter[str]) -> None:
    """Two checkpoints with three heads read every file once, and get what each gets alone."""
    both = [subject("a", one_head), subject("b", two_heads)]
    alone = subject("b", two_heads)

    evaluate_all(both, Work(pictures, PROTOCOL, workers=0))
    once = dict(reads)
    evaluate_all([alone], Work(pictures, PROTOCOL, workers=0))

    assert set(once.values()) == {1}
    assert both[0].known["head0"].counts() == both[1].known["up"].counts()
    for head in ("up", "down"):
        assert both[1].known[head].top.tolist() == alone.known[head].top.tolist()


def test_a_failing_checkpoint_fails_alone(pictures: LabelledImages) -> None:
    """One whose logits aren't finite keeps its error; the other is evaluated."""
    broken = subject("broken", lambda x: {"head0": torch.full((len(x), 7), torch.nan)})
    sound = subject("sound", one_head)

    evaluate_all([broken, sound], Work(pictures, PROTOCOL, workers=0))

    assert isinstance(broken.error, CheckpointError)
    assert sound.error is None
    assert sound.known["head0"].complete


def test_only_what_is_pending_is_read(pictures: LabelledImages, reads: Counter[str]) -> None:
    """A second pass over a partly known list reads whole batches, and those alone."""
    one = subject("a", one_head)
    work = Work(pictures, PROTOCOL, batch_size=64, workers=0)
    evaluate_all([one], work)
    whole = one.known["head0"].top.tolist()
    one.known["head0"].state[[70, 290]] = PENDING
    reads.clear()

    evaluate_all([one], work)

    assert set(reads) == {*pictures.files[64:128], *pictures.files[256:299]}
    assert one.known["head0"].top.tolist() == whole


def test_some_images_alone(pictures: LabelledImages) -> None:
    """An order names the images to predict; all others stay pending."""
    one = subject("a", one_head)

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
    one = subject("a", one_head)

    unreadable = evaluate_all([one], Work(images, PROTOCOL, workers=0))

    known = one.known["head0"]
    assert list(unreadable) == [11]
    assert known.state[11] == UNREADABLE
    assert not known.correct[11]
    assert known.counts().total == 20


def test_a_bound_that_rises_late_reaches_back(pictures: LabelledImages) -> None:
    """Fast arithmetic that errs more at the end: what was believed at the start is recomputed."""
    exact = one_head

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


def errs_by_image(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Fast arithmetic whose errors are an image's own, and rarely large."""
    z = two_heads(x)
    size = 0.02 * (1 + 30 * torch.sin(1e3 * z["up"][:, :1]).clamp(min=0) ** 40)
    return {head: one + size * torch.sin(1e4 * one) for head, one in z.items()}


def guarded_subject() -> Subject:
    options: dict[str, Any] = {"fast": [errs_by_image], "batch_size": 16, "calibration": 32}
    return Subject("a", Predictor(two_heads, PROTOCOL, CPU, "guarded", **options))


@pytest.mark.parametrize(("of", "told"), [(2, False), (7, False), (19, False), (7, True)])
def test_guarded_shards_are_one_process_to_the_bit(
    pictures: LabelledImages, of: int, told: bool
) -> None:
    """Each knows its own bound; once the largest is known to all, every column is the same.

    told: each begins with what those before it learnt, as where they share a cache.
    """
    work = Work(pictures, PROTOCOL, batch_size=16, workers=0)
    one, together = guarded_subject(), guarded_subject()
    evaluate_all([one], work)
    bounds = []
    for number in range(of, 0, -1):
        shard, part = Shard(number, of), guarded_subject()
        if told:
            part.predictor.raise_bounds(together.predictor.bounds)
        evaluate_all([part], replace(work, shard=shard))
        at = shard.positions(len(pictures), 16)
        for head, known in part.known.items():
            together.known.setdefault(head, Predictions.empty(pictures.labels)).set(
                at, known.at(at)
            )
        together.predictor.raise_bounds(part.predictor.bounds)
        bounds.append(part.predictor.bounds["up"])

    evaluate_all([together], work)

    assert len(set(bounds)) > 1 or told
    assert together.predictor.bounds == one.predictor.bounds
    for head, known in one.known.items():
        assert (known.state == FAST).mean() > 0.2
        for column in COLUMNS:
            found = getattr(together.known[head], column)
            np.testing.assert_array_equal(found, getattr(known, column), column)
    summaries = [each.predictor.summary(each.known) for each in (one, together)]
    assert summaries[0] == summaries[1]


INTERRUPTED = """
import time
import mixzoo.eval.crops as crops
import mixzoo.eval.evaluator as evaluator
from mixzoo.app.cli import main
evaluator.SAVE_EVERY = 0.0
decode, done = crops.decode_crop, []
def decode_some(*arguments):
    done.append(1)
    if len(done) > 25:
        time.sleep(60)
    return decode(*arguments)
crops.decode_crop = decode_some
main()
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_evaluation_goes_on(
    how: signal.Signals,
    nursery: Nursery,
    golden: Path,
    tmp_path: Path,
    pictures: LabelledImages,
    mixzoo: Run,
    monkeypatch: pytest.MonkeyPatch,
    reads: Counter[str],
) -> None:
    """Stopped in the third batch, the command run again predicts the rest and gives the same."""
    lines = (pictures.root / "val.txt").read_text().splitlines(keepends=True)
    (tmp_path / "some.txt").write_text("".join(lines[:45]))
    arguments = ["eval", str(golden / "runs/tiny_cutmix_ep8/epoch_8.pth"), "--json"]
    arguments += ["--data", str(pictures.root), "--list", str(tmp_path / "some.txt")]
    arguments += ["--resize", "36", "--crop", "32", "--batch-size", "10", "--workers", "0"]
    arguments += ["--device", "cpu", "--precision", "fp32"]  # guarded calibrates on all of these
    cache = tmp_path / "cache"
    monkeypatch.setenv("MIXZOO_CACHE", str(cache))
    job = nursery.start(arguments, INTERRUPTED)
    while not list(cache.glob("predictions/*/*.parts/*-of-1.safetensors")):
        time.sleep(0.01)
        assert job.poll() is None, job.err
    time.sleep(0.1)
    job.signal(how)
    code = job.wait(60)
    left = list(cache.rglob("*.safetensors"))

    _, again, _ = mixzoo(*arguments)

    assert code in (-signal.SIGKILL, 128 + signal.SIGTERM, 130)
    assert "Traceback" not in job.err
    assert len(left) == 1
    assert not list(cache.rglob("*.parts"))
    assert 0 < len(reads) < 45
    _, other, _ = mixzoo(*arguments, "--fresh")
    heads: list[Any] = [json.loads(out)["rows"][0]["heads"][0] for out in (again, other)]
    assert [heads[0][key] for key in ("correct", "correct5", "total")] == [
        heads[1][key] for key in ("correct", "correct5", "total")
    ]


PROGRAM = """
import json, sys, torch
from pathlib import Path
from mixzoo.eval.world import join
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.zoo.data import find_images
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.manifest import Protocol

weight = torch.randn(7, 3 * 16, generator=torch.Generator().manual_seed(1))
def two_heads(x):
    z = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ weight.T
    return {"up": z, "down": -z}

*cases, out = sys.argv[1:]
results = []
with join("cpu") as world:
    for root, batch_size in zip(cases[::2], cases[1::2]):
        try:
            counts = evaluate(two_heads, Work(find_images(Path(root)), Protocol(resize=36, crop=32),
                                              int(batch_size), workers=0), world=world)
            results.append({head: [c.correct, c.correct5, c.total] for head, c in counts.items()})
        except MixzooError as error:
            results.append(str(error))
Path(out, f"{world.rank}.json").write_text(json.dumps(results))
"""


@pytest.fixture(scope="module", params=[2, 3])
def ranks(
    request: pytest.FixtureRequest,
    pictures: LabelledImages,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[list[object]]:
    """What every rank got: in batches of 64, of 200, with a damaged image."""
    out, damaged = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("damaged")
    for file in (*pictures.files, "val.txt"):
        (damaged / file).hardlink_to(pictures.root / file)
    (damaged / "070.jpg").unlink()
    (damaged / "070.jpg").write_bytes(b"nonsense")
    cases = [pictures.root, 64, pictures.root, 200, damaged, 64]
    for job in nursery.ranks([*cases, out], request.param, program=PROGRAM):
        assert job.wait() == 0, job.err
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(request.param)]


@pytest.mark.parametrize(("case", "batch_size"), [(0, 64), (1, 200)])
def test_every_world_size_counts_the_same(
    pictures: LabelledImages, ranks: list[list[object]], case: int, batch_size: int
) -> None:
    """2 and 3 processes give every rank the counts of one; with batches of 200 one of 3 idles."""
    alone = evaluate(two_heads, Work(pictures, PROTOCOL, batch_size, workers=0))

    expected = {head: [c.correct, c.correct5, c.total] for head, c in alone.items()}
    assert [results[case] for results in ranks] == [expected] * len(ranks)


def test_an_error_on_one_rank_is_raised_on_all(ranks: list[list[object]]) -> None:
    """A corrupt image that only the second rank meets ends the job everywhere, with its name."""
    told = {str(results[2]) for results in ranks}

    assert len(told) == 1
    assert "070.jpg: expected an image" in told.pop()
