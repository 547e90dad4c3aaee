"""The training loop: its steps against recorded ones, its logged number, its repeatability."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.augment import random_box, random_crop
from mixzoo.train.loop import Data, initialise, train
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.architectures import Classifier, ResNetConfig
from mixzoo.zoo.checkpoint import read_checkpoint
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.load import load_file
from mixzoo.zoo.manifest import Protocol
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

CPU = torch.device("cpu")
TINY = Recipe(
    architecture="resnet18_w4",
    num_classes=6,
    method="mixup",
    alpha=0.5,
    epochs=3,
    batch_size=8,
    crop=32,
    seed=0,
    log_every=2,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Six noisy colours: 36 pictures for training, 13 for validation."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)

    def write(split: str, count: int) -> LabelledImages:
        files = [f"{split}{i}.png" for i in range(count)]
        for i, file in enumerate(files):
            pixels = rng.integers(0, 90, (44, 40 + i % 3 * 6, 3))
            pixels[..., i % 3] += 120 if i % 6 < 3 else 60
            Image.fromarray(pixels.astype(np.uint8)).save(root / file)
        return LabelledImages(
            FolderStore(root), tuple(files), tuple(i % 6 for i in range(count)), split
        )

    return Data(write("train", 36), write("val", 13), Protocol(resize=36, crop=32))


def _lines(checkpoint: Path) -> list[dict[str, Any]]:
    lines = checkpoint.with_suffix(".log.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_learning_rates_equal_the_recorded_ones(golden: Path) -> None:
    """Each epoch has the rate that the reference's cosine hook gave it."""
    recorded = json.loads((golden / "schedules.json").read_text())["inat2018_100ep"]
    recipe = replace(TINY, epochs=recorded["max_epochs"], lr=recorded["lr"])

    for row in recorded["table"]:
        assert recipe.lr_at(row["epoch"]) == pytest.approx(row["lr"], rel=1e-9)


def test_the_logged_number_is_the_checkpoints(data: Data, tmp_path: Path) -> None:
    """The loaded checkpoint, evaluated afresh, gives the last validation line to the image."""
    checkpoint = train(TINY, data, tmp_path, "tiny", CPU)
    model = load_file(checkpoint)

    counts = evaluate(model.logits, data.val, data.protocol, workers=0)["head0"]

    last = _lines(checkpoint)[-1]
    assert last["mode"] == "val"
    assert (last["head0_top1"], last["head0_top5"]) == (
        round(counts.top1, 5),
        round(counts.top5, 5),
    )


def test_a_seed_gives_the_same_bytes_and_log(data: Data, tmp_path: Path) -> None:
    """Two runs of one recipe write equal checkpoints and, but for times, equal logs."""
    first = train(TINY, data, tmp_path / "first", "tiny", CPU)
    second = train(TINY, data, tmp_path / "second", "tiny", CPU)

    def timeless(path: Path) -> list[dict[str, Any]]:
        return [{k: v for k, v in line.items() if "time" not in k} for line in _lines(path)]

    assert first.read_bytes() == second.read_bytes()
    assert timeless(first) == timeless(second)


@pytest.mark.parametrize("change", [{"seed": 1}, {"method": "vanilla"}, {"alpha": 5.0}])
def test_another_recipe_gives_another_network(
    change: dict[str, Any], data: Data, tmp_path: Path
) -> None:
    """Seed, method and alpha each reach the weights."""
    first = train(TINY, data, tmp_path, "first", CPU)
    other = train(replace(TINY, **change), data, tmp_path, "other", CPU)

    weights = [read_checkpoint(path).state_dict["head.fc.weight"] for path in (first, other)]
    assert not torch.equal(*weights)


def test_the_schedules_rate_reaches_the_weights(data: Data, tmp_path: Path) -> None:
    """At a rate of zero nothing is learnt: the parameters stay as they were drawn."""

    class Still(Recipe):
        def lr_at(self, epoch: int) -> float:
            return 0.0

    still = Still(**asdict(TINY))
    model = Classifier(ResNetConfig.from_name(still.architecture), still.num_classes)
    initialise(model, torch.Generator().manual_seed(still.seed))

    trained = read_checkpoint(train(still, data, tmp_path, "still", CPU)).state_dict

    assert all(torch.equal(trained[name], value) for name, value in model.named_parameters())


def test_training_learns(data: Data, tmp_path: Path) -> None:
    """Six colours are told apart after some epochs, where chance is one in six."""
    recipe = replace(TINY, method="vanilla", epochs=20, lr=0.02)

    checkpoint = train(recipe, data, tmp_path, "tiny", CPU)

    assert _lines(checkpoint)[-1]["head0_top1"] > 60


def test_log_lines_stand_where_the_published_ones_do(data: Data, tmp_path: Path) -> None:
    """A header, train lines at every interval, one validation line per epoch; rates fall."""
    lines = _lines(train(TINY, data, tmp_path, "tiny", CPU))

    assert lines[0].keys() == {"env_info", "config", "seed", "exp_name"}
    assert [(line["mode"], line["epoch"], line["iter"]) for line in lines[1:4]] == [
        ("train", 1, 2),
        ("train", 1, 4),
        ("val", 1, 1),
    ]
    assert list(lines[1]) == ["mode", "epoch", "iter", "lr", "data_time", "loss", "acc", "time"]
    assert [line["lr"] for line in lines[1:] if line["mode"] == "val"] == [0.1, 0.075, 0.025]


def test_a_checkpoint_tells_its_recipe_and_nothing_of_the_machine(
    data: Data, tmp_path: Path
) -> None:
    """Meta holds epoch, iteration, seed, recipe and version; no file name or path goes in."""
    checkpoint = train(TINY, data, tmp_path, "tiny", CPU)

    meta = read_checkpoint(checkpoint).meta

    assert meta.keys() == {"epoch", "iter", "seed", "config", "mixzoo_version"}
    assert (meta["epoch"], meta["iter"], meta["seed"]) == (3, 12, 0)
    assert "method = 'mixup'\nalpha = 0.5\n" in meta["config"]
    assert str(tmp_path).encode() not in checkpoint.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_initial_weights_are_kaiming_on_fan_out() -> None:
    """Convolutions have variance 2 / fan_out, batch norms are neutral, the head is uniform."""
    model = Classifier(ResNetConfig.from_name("resnet18"), 40)

    initialise(model, torch.Generator().manual_seed(0))

    convolution = model.backbone.layer3[0].conv1.weight  # (256, 128, 3, 3), stride 2
    assert convolution.var().item() == pytest.approx(2 / (256 * 9), rel=0.02)
    assert torch.equal(model.backbone.bn1.weight, torch.ones(64))
    assert model.head.fc.weight.abs().max().item() == pytest.approx(1 / 512**0.5, rel=0.01)


def test_initial_weights_come_from_the_generator_alone() -> None:
    """Equal generators give equal weights, whatever torch's global state."""
    weights = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        model = Classifier(ResNetConfig.from_name("resnet18_w4"), 3)
        initialise(model, torch.Generator().manual_seed(0))
        weights.append(model.state_dict())

    assert all(torch.equal(a, weights[1][name]) for name, a in weights[0].items())


@pytest.mark.parametrize("size", [(200, 150), (33, 180), (1, 1), (400, 9)])
def test_random_boxes_lie_inside_and_have_the_asked_area_and_ratio(size: tuple[int, int]) -> None:
    """Boxes are never empty; where the image isn't too narrow, area and ratio are in range."""
    rng = np.random.default_rng(0)
    width, height = size

    for _ in range(300):
        left, top, right, bottom = random_box(width, height, rng)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if size == (200, 150):
            w, h = right - left, bottom - top
            assert 0.079 < w * h / (width * height) <= 1
            assert 0.73 < w / h < 1.36


def test_a_random_crop_has_torchvisions_pixels() -> None:
    """The crop equals torchvision's resized_crop of the same box, mirrored or not."""
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    mirrored = set()

    for seed in range(8):
        left, top, right, bottom = random_box(80, 60, np.random.default_rng(seed))
        crop = random_crop(image, 32, np.random.default_rng(seed))
        expected = np.asarray(
            resized_crop(
                image, top, left, bottom - top, right - left, [32, 32], InterpolationMode.BICUBIC
            )
        )
        flipped = not np.array_equal(crop, expected)
        assert np.array_equal(crop, expected[:, ::-1] if flipped else expected)
        mirrored.add(flipped)

    assert mirrored == {False, True}
