"""`mixzoo train publish` from a run's folder to every command that takes --manifest."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import from_file
from mixzoo.zoo.nets import Classifier, ResNetConfig
from PIL import Image

RECIPE = Recipe("resnet18_w4", 10, ("mixup",), (0.2,), epochs=1, batch_size=8, micro_batch=8)
NAME = "resnet18_w4.vanilla_base"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty images of noise, two of each class, in iNaturalist-2018's annotation format."""
    root, rng = tmp_path / "images", np.random.default_rng(0)
    root.mkdir()
    for number in range(20):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(20)],
        "annotations": [{"id": n, "image_id": n, "category_id": n // 2} for n in range(20)],
        "categories": [{"id": n, "name": str(n), "supercategory": "Noise"} for n in range(10)],
    }
    (root / "val2018.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def run(
    tmp_path: Path,
    data: Path,
    write_benchmark: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A run of one epoch that was honestly validated: random weights on these images."""
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "base"', benchmark="base")
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(manifest))
    out = tmp_path / "run"
    out.mkdir()
    torch.manual_seed(0)
    model = Classifier(ResNetConfig.from_name(RECIPE.architecture), RECIPE.num_classes).eval()
    notes = {"epoch": 1, "config": RECIPE.text()}
    torch.save({"meta": notes, "state_dict": model.state_dict()}, out / f"{NAME}.pth")
    images = from_file(data, data / "val2018.json")
    protocol = open_catalog().benchmark("base").manifest.protocol
    counts = evaluate(model.logits, Work(images, protocol, workers=0))["head0"]
    lines = [
        {"config": RECIPE.text(), "exp_name": NAME},
        {"mode": "val", "epoch": 1, "iter": 1, "lr": 0.1}
        | {"head0_top1": counts.top1, "head0_top5": counts.top5},
    ]
    (out / f"{NAME}.log.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return out


def test_a_published_run_is_a_row_like_any_other(
    run: Path, data: Path, tmp_path: Path, mixzoo: Callable
) -> None:
    """Listed as here, verified, evaluated as reproduced, its log audited, published to the hub."""
    own = tmp_path / "own.toml"
    row = "resnet18_w4.mixup_own"

    code, said, _ = mixzoo("train", "publish", run, "--manifest", own)

    assert code == 0
    assert said.startswith(f"{row}: ")
    _, listed, _ = mixzoo("zoo", "list", "own", "--manifest", own, "--json")
    assert [entry["id"] for entry in json.loads(listed)] == [row]
    assert mixzoo("zoo", "verify", "own", "--manifest", own)[0] == 0
    code, report, _ = mixzoo("eval", row, "--manifest", own, "--data", data, "--json")
    assert (code, json.loads(report)["rows"][0]["verdict"]) == (0, "reproduced")
    assert "reproduced" in mixzoo("logs", row, "--manifest", own)[1]
    folder = tmp_path / "repository"
    hub = ("--repo", "me/own", "--folder", folder, "--dry-run")
    assert mixzoo("zoo", "publish", row, "--manifest", own, *hub)[0] == 0
    assert (folder / f"{row}.safetensors").is_file()


def test_json_says_where_the_number_comes_from(run: Path, tmp_path: Path, mixzoo: Callable) -> None:
    """For scripts that publish a sweep."""
    _, said, _ = mixzoo("train", "publish", run, "--manifest", tmp_path / "own.toml", "--json")

    facts = json.loads(said)

    assert facts["id"] == "resnet18_w4.mixup_own"
    assert (facts["rule"], facts["head"], facts["epochs"]) == ("last epoch", "head0", [1])
    assert facts["new"] is True
    assert all(Path(path).is_file() for path in facts["files"])
