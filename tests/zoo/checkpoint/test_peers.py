"""timm and torchvision take exported weights as they are, and compute the same logits from them."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.export import Exported, export_all
from mixzoo.zoo.checkpoint.infer import infer
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.names import canonical
from mixzoo.zoo.checkpoint.peers import how_to_load, peer_entries, timm_config
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from mixzoo.zoo.refs import CheckpointFile, resolve
from PIL import Image
from safetensors.torch import load_file as load_safetensors

CLASSES = 3
OF_TIMM = (
    *("custom_load", "input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode"),
    *("mean", "std", "num_classes", "first_conv", "classifier"),
)
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a checkpoint once, of drawn weights and batch-norm statistics."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def save(architecture: str, method: str = "plain") -> Path:
        path = folder / f"{architecture}.{method}.pth"
        if not path.exists():
            config = ResNetConfig.from_name(architecture)
            torch.manual_seed(0)
            if method == "plain":
                model: torch.nn.Module = Classifier(config, CLASSES)
            else:
                model = MixClassifier(config, CLASSES, method)
            entries = model.state_dict()
            for name, value in entries.items():
                if name.endswith("running_mean"):
                    value.normal_(0, 0.1)  # of both signs, or nothing passes the ReLUs
                elif name.endswith("running_var"):
                    value.uniform_(0.3, 1)
            torch.save({"state_dict": entries}, path)
        return path

    return save


def export(path: Path, folder: Path, **options: Any) -> Exported:
    [done] = export_all([resolve(str(path), open_catalog())], folder, **options)
    return done


@pytest.mark.parametrize("architecture", ["resnet18", "resnext50_32x4d"])
@pytest.mark.parametrize("names", ["timm", "torchvision"])
def test_the_line_that_is_printed_loads_them(
    names: Any, architecture: str, saved: Callable, tmp_path: Path
) -> None:
    """Run as it stands, it gives a model with our logits: difference 0 in fp32."""
    if names == "timm":
        pytest.importorskip("timm")
    path = saved(architecture)
    line = how_to_load(names, architecture, CLASSES, export(path, tmp_path, names=names).path)

    place: dict[str, Any] = {}
    exec(f"import safetensors.torch, torchvision\nimport {names}\n{line}", place)

    with torch.inference_mode():
        ours = load_file(path)(IMAGES)
        assert torch.equal(place["model"].eval()(IMAGES), ours)
        assert not torch.equal(ours[0], ours[1])


@pytest.mark.parametrize("head", [None, "mix_q"])
def test_one_head_of_automix_is_a_plain_classifier(
    head: str | None, saved: Callable, tmp_path: Path
) -> None:
    """Inference's, or the one that is asked for; the header says which."""
    path = saved("resnet18", "automix")

    done = export(path, tmp_path, names="torchvision", head=head)

    model = torchvision.models.resnet18(num_classes=CLASSES)
    model.load_state_dict(load_safetensors(done.path))
    assert done.metadata["head"] == (head or "one_k")
    with torch.inference_mode():
        assert torch.equal(model.eval()(IMAGES), load_file(path, head=head)(IMAGES))


@pytest.mark.parametrize("config", ["mixups_r50", "automix_r50"])
def test_names_and_shapes_are_timms(config: str, inventory: Callable, golden: Path) -> None:
    """As recorded of timm 1.0.31, for the files of OpenMixup's own configs."""
    entries = canonical({name: torch.zeros(()).expand(s) for name, s in inventory(config).items()})

    found = peer_entries(infer(entries), entries)

    assert shapes(found) == json.loads((golden / "timm_names.json").read_text())["resnet50"]


def test_torchvision_builds_the_resnext_that_it_has_no_name_for(golden: Path) -> None:
    """The line for it gives the network whose names were recorded of timm."""
    line = how_to_load("torchvision", "resnext101_32x4d", 8142, Path("x"))
    with torch.device("meta"):
        place: dict[str, Any] = {"torchvision": torchvision}
        exec(line.partition(";")[0], place)
        ours = Classifier(ResNetConfig.from_name("resnext101_32x4d"), 8142)

    expected = json.loads((golden / "timm_names.json").read_text())["resnext101_32x4d"]
    assert shapes(place["model"].state_dict()) == expected
    assert shapes(peer_entries(ours, ours.state_dict())) == expected


def shapes(entries: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in entries.items()}


def test_what_cant_be_is_one_line(saved: Callable, tmp_path: Path) -> None:
    """A narrow network has no counterpart; a head is of those that there are."""
    narrow = saved("resnet18_w4")
    learnt = saved("resnet18", "automix")

    for path, options, message in (
        (narrow, {"names": "timm"}, "resnet18_w4: timm and torchvision have no network"),
        (learnt, {"names": "timm", "head": "two"}, "expected one of one_k, mix_k"),
        (learnt, {"head": "one_q"}, "expected --names timm or torchvision"),
    ):
        with pytest.raises(UsageError, match=message):
            export(path, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_timm_comes_to_the_protocols_size() -> None:
    """It takes floor(crop / crop_pct), where a quotient's last bit may be a pixel."""
    for resize in range(1, 100):
        for crop in range(1, resize + 1):
            text = timm_config("resnet50", 10, Protocol(crop=crop, resize=resize))
            pixels = json.loads(text)["pretrained_cfg"]
            assert math.floor(crop / pixels["crop_pct"]) == resize


def test_timm_is_given_no_config_for_pixels_that_it_does_not_make() -> None:
    """It would silently evaluate with red and blue exchanged."""
    with pytest.raises(UsageError, match="timm makes RGB pixels, and the protocol wants BGR"):
        timm_config("resnet50", 10, Protocol(crop=224, resize=256, channels="BGR"))


def test_timm_takes_a_rows_folder_with_its_pixels(saved: Callable, tmp_path: Path) -> None:
    """Network, weights and transform come from the folder: those of the row's protocol."""
    timm = pytest.importorskip("timm")
    path = saved("resnet18")
    found = resolve(str(path), open_catalog())
    benchmark = open_catalog().benchmark("mini")
    protocol = benchmark.manifest.protocol
    [done] = export_all(
        [CheckpointFile(path, found.sha256, benchmark, None)], tmp_path, names="timm"
    )

    model = timm.create_model(f"local-dir:{done.path.parent}", pretrained=True).eval()

    timm.models._hub.save_config_for_hf(model, str(tmp_path / "theirs.json"))  # timm's own writer
    written, read = (
        json.loads(file.read_text())
        for file in (done.path.with_name("config.json"), tmp_path / "theirs.json")
    )
    assert written["pretrained_cfg"] == {name: read["pretrained_cfg"][name] for name in OF_TIMM}
    assert written.items() <= (read | {"pretrained_cfg": written["pretrained_cfg"]}).items()
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (190, 260, 3), dtype=np.uint8)
    )
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    file = io.BytesIO()
    picture.save(file, "png")
    ours = normalise(torch.from_numpy(decode_crop(file.getvalue(), protocol, "x"))[None], protocol)
    assert torch.equal(transform(picture)[None], ours)
    with torch.inference_mode():
        assert torch.equal(model(ours), load_file(path)(ours))
