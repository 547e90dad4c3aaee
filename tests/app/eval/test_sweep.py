"""`mixzoo eval sweep` finds the protocol that gives a published number."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.network import initialise
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier, ResNetConfig
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def case(tmp_path: Path, write_benchmark: Callable[..., Path]) -> tuple[list[str], float]:
    """A checkpoint whose published number was measured on bilinear pixels: arguments, number."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(80):
        colours = rng.integers(0, 256, (1, 1, 3))
        pixels = (colours + rng.integers(0, 256, (60, 70, 3))) // 2
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{i % 10}\n")
    (tmp_path / "val.txt").write_text("".join(lines))
    model = Classifier(ResNetConfig.from_name("resnet18_w4"), 10)
    initialise(model, torch.Generator().manual_seed(1))
    noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model.train()(noise)  # statistics, so that classes differ
    torch.save({"state_dict": model.state_dict()}, tmp_path / "w.pth")
    bilinear = Protocol(resize=36, crop=32, interpolation="bilinear")
    files = find_images(tmp_path)
    counts = evaluate(model.eval().logits, Work(files, bilinear, workers=0))["head0"]
    own = Work(files, Protocol(resize=36, crop=32), workers=0)
    assert counts != evaluate(model.logits, own)["head0"]
    manifest = write_benchmark("")
    text = manifest.read_text().replace("reported_top1 = 10.0", f"reported_top1 = {counts.top1}")
    manifest.write_text(
        text.replace("images = 20", "images = 80").replace("decimals = 1", "decimals = 2")
    )
    arguments = [tmp_path / "w.pth", "--row", "resnet18_w4.vanilla_own", "--data", tmp_path]
    return [*map(str, arguments), "--manifest", str(manifest), "--workers", "0"], counts.top1


def test_the_protocol_that_gives_the_number_is_found(
    case: tuple[list[str], float], mixzoo: Run
) -> None:
    """Of crop ratios, interpolations and precisions, bilinear pixels give the published digits."""
    arguments, published = case

    code, out, err = mixzoo("eval", "sweep", *arguments, "--json")

    assert code == 0, err
    found = json.loads(out)
    assert found["reported_top1"] == published
    hits = [v for v in found["variants"] if v.get("top1") == published]
    assert any("bilinear" in json.dumps(hit) for hit in hits)


def test_people_get_a_table_and_sentences(case: tuple[list[str], float], mixzoo: Run) -> None:
    """Every variant has a line, and words follow."""
    code, out, err = mixzoo("eval", "sweep", *case[0])

    assert code == 0, err
    assert "bilinear" in out
    assert "published" in out


def test_a_row_without_a_number_has_nothing_to_explain(
    case: tuple[list[str], float], mixzoo: Run
) -> None:
    """One line says what is missing."""
    arguments = [a for a in case[0] if a not in ("--row", "resnet18_w4.vanilla_own")]

    code, _, err = mixzoo("eval", "sweep", *arguments)

    assert code == 2
    assert "published number" in err
