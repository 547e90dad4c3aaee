"""Counts equal a plain loop over images, for every batch size, head and number of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mixzoo.eval.evaluator import Counts, evaluate
from mixzoo.eval.pixels import load_crop
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import CheckpointError, DataError
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=36, crop=32)
WEIGHT = torch.randn(7, 3 * 16, generator=torch.Generator().manual_seed(1))


def two_heads(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A linear classifier on 4x4 means, and its reverse."""
    z = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ WEIGHT.T
    return {"up": z, "down": -z}


def plain_loop(images: LabelledImages) -> dict[str, Counts]:
    """The same counts one image at a time, with sorting instead of topk."""
    hits = {"up": [0, 0], "down": [0, 0]}
    for file, label in zip(images.files, images.labels, strict=True):
        crop = torch.from_numpy(load_crop(images.root / file, PROTOCOL).copy())
        for head, z in two_heads(normalise(crop[None], PROTOCOL)).items():
            ranked = sorted(range(7), key=lambda c: -float(z[0, c]))
            hits[head][0] += ranked[0] == label
            hits[head][1] += label in ranked[:5]
    return {head: Counts(top1, top5, len(images)) for head, (top1, top5) in hits.items()}


@pytest.mark.parametrize(("batch_size", "workers"), [(64, 0), (7, 2), (299, 0), (1000, 1)])
def test_counts_equal_a_plain_loop(pictures: LabelledImages, batch_size: int, workers: int) -> None:
    """Batches and worker processes change nothing."""
    counts = evaluate(two_heads, pictures, PROTOCOL, batch_size=batch_size, workers=workers)

    assert counts == plain_loop(pictures)


def test_accuracy_is_divided_once() -> None:
    """Percentages are k / N * 100 of whole numbers."""
    counts = Counts(correct=15301, correct5=20000, total=24426)

    assert counts.top1 == 100 * 15301 / 24426


def test_progress_counts_every_image(pictures: LabelledImages) -> None:
    """A progress bar fed with the calls ends at the number of images."""
    seen: list[int] = []

    evaluate(two_heads, pictures, PROTOCOL, workers=0, progress=seen.append)

    assert sum(seen) == len(pictures)


def test_label_beyond_the_classes_is_named(pictures: LabelledImages) -> None:
    """Data with more classes than the head is a mismatch, not a miss."""
    with pytest.raises(DataError, match=r"label 6, but head few has only 3 classes"):
        evaluate(lambda x: {"few": torch.zeros(len(x), 3)}, pictures, PROTOCOL, workers=0)


def test_logits_that_are_not_finite_are_refused(pictures: LabelledImages) -> None:
    """NaN ranks nothing, so there is no accuracy."""
    with pytest.raises(CheckpointError, match="aren't finite"):
        evaluate(
            lambda x: {"head0": torch.full((len(x), 7), torch.nan)}, pictures, PROTOCOL, workers=0
        )


def test_corrupt_image_in_a_worker_is_one_line(pictures: LabelledImages, tmp_path: Path) -> None:
    """The error crosses the process border as itself, without a worker's traceback."""
    (tmp_path / "a.jpg").write_bytes(b"nonsense")

    with pytest.raises(DataError) as caught:
        evaluate(
            two_heads,
            LabelledImages(FolderStore(tmp_path), ("a.jpg",), (0,), "here"),
            PROTOCOL,
            workers=1,
        )

    assert "\n" not in str(caught.value)
    assert "a.jpg" in str(caught.value)


PROGRAM = """
import json, sys, torch
from pathlib import Path
from mixzoo.eval.world import join
from mixzoo.eval.evaluator import evaluate
from mixzoo.zoo.data import find_images
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.manifest import Protocol

weight = torch.randn(7, 3 * 16, generator=torch.Generator().manual_seed(1))
def two_heads(x):
    z = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ weight.T
    return {"up": z, "down": -z}

root, out, batch_size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with join("cpu") as world:
    try:
        counts = evaluate(two_heads, find_images(root), Protocol(resize=36, crop=32),
                          batch_size=batch_size, workers=0, world=world)
        result = {head: [c.correct, c.correct5, c.total] for head, c in counts.items()}
    except MixzooError as error:
        result = str(error)
(out / f"{world.rank}.json").write_text(json.dumps(result))
"""


def run_ranks(processes: int, root: Path, out: Path, batch_size: int) -> list[object]:
    """What every rank got, under torchrun with gloo."""
    out.mkdir()
    (out / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
    command += ["--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, str(out / "program.py"), str(root), str(out), str(batch_size)],
        check=True,
        env=environment,
        capture_output=True,
        timeout=200,
    )
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(processes)]


@pytest.mark.parametrize(("processes", "batch_size"), [(2, 64), (3, 64), (3, 200)])
def test_every_world_size_counts_the_same(
    pictures: LabelledImages, tmp_path: Path, processes: int, batch_size: int
) -> None:
    """2 and 3 processes give every rank the counts of one; with batches of 200 one rank idles."""
    alone = evaluate(two_heads, pictures, PROTOCOL, batch_size=batch_size, workers=0)

    ranks = run_ranks(processes, pictures.root, tmp_path / "out", batch_size)

    expected = {head: [c.correct, c.correct5, c.total] for head, c in alone.items()}
    assert ranks == [expected] * processes


def test_an_error_on_one_rank_is_raised_on_all(pictures: LabelledImages, tmp_path: Path) -> None:
    """A corrupt image that only the second rank meets ends the job everywhere, with its name."""
    root = tmp_path / "pictures"
    root.mkdir()
    for file in pictures.files:
        (root / file).hardlink_to(pictures.root / file)
    (root / "070.jpg").unlink()
    (root / "070.jpg").write_bytes(b"nonsense")
    (root / "val.txt").write_text((pictures.root / "val.txt").read_text())

    ranks = run_ranks(2, root, tmp_path / "out", 64)

    assert ranks[0] == ranks[1]
    assert "070.jpg: expected an image" in str(ranks[0])
