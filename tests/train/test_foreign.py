"""Networks of timm are trained, judged and published as ours are, under the name that they say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mixzoo as package
import numpy as np
import pytest
import torch
from mixzoo.train.network import check_network, fresh_network, in_training
from mixzoo.train.recipe import Recipe
from mixzoo.train.steps import step_of
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import CheckpointError, UsageError
from mixzoo.zoo.nets import ForeignClassifier, check_name, make
from torch import nn

timm: Any = pytest.importorskip("timm")
Run = Callable[..., tuple[int, str, str]]
METHODS = ("vanilla", "cutmix", "manifoldmix", "puzzlemix", "automix", "samix")
TIMM = ("--set", "architecture=timm/test_resnet")


def _recipe(method: str, **values: Any) -> Recipe:
    common = {"architecture": "timm/test_resnet", "num_classes": 5, "batch_size": 4, "crop": 64}
    return Recipe(mix_mode=(method,), alpha=(1.0,), micro_batch=4, **common | values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050", "test_convnext"])
def test_every_kind_of_method_trains_them(name: str, method: str) -> None:
    """Whatever learns gets a gradient, in one step on a batch."""
    recipe = _recipe(method, architecture=f"timm/{name}")
    model = fresh_network(recipe)
    step = step_of(model, recipe)
    draw: Any = step.draw(np.random.default_rng(3), (4, 3, 64, 64))

    loss = step(torch.randn((4, 3, 64, 64)), torch.arange(4), draw, 0.1)["loss"]
    loss.backward()

    assert loss.isfinite()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_hidden_states_are_mixed_where_all_passes() -> None:
    """Exchanged at the end of a stage, images come out exchanged; elsewhere it is refused."""
    model = make("timm/test_resnet", 5).eval()
    assert isinstance(model, ForeignClassifier)
    x = torch.randn((2, 3, 64, 64))

    swapped = model.through(x, 2, lambda maps: maps.flip(0))

    torch.testing.assert_close(swapped, model(x).flip(0))

    class Forked(nn.Module):
        """Its head sees the images by two ways."""

        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.other = (nn.Conv2d(3, 3, 4, 4), nn.Conv2d(3, 3, 2, 2),
                                              nn.Conv2d(3, 3, 32, 32))  # fmt: skip
            self.fc = nn.Linear(3, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Logits."""
            return self.fc(self.two(self.one(x)).mean((2, 3)) + self.other(x).mean((2, 3)))

    with pytest.raises(UsageError, match="passed by all"):
        ForeignClassifier(Forked(), "forked", "fc", 64).check_stages()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (lambda: _recipe("manifoldmix", architecture="timm/test_vit"), "one map alone, of 16 px"),
        (lambda: _recipe("automix", architecture="timm/test_vit"), "one map alone, of 16 px"),
        (
            lambda: _recipe("mixup", architecture="timm/vit_tiny_patch16_224"),
            "images .N, 3, 64, 64.",
        ),
        (lambda: _recipe("mixup", architecture="timm/levit_128s"), "one classifier"),
        (lambda: _recipe("mixup", architecture="timm/resnet10"), "Did you mean timm/resnet10t"),
        (lambda: _recipe("mixup", architecture="timm/resnet10t.c3"), "--init timm/resnet10t.c3"),
        (lambda: _recipe("mixup", freeze=True), "begins at random"),
    ],
)
def test_what_cannot_work_is_refused(recipe: Callable[[], Recipe], message: str) -> None:
    """Before any step, in a line that says why."""
    with pytest.raises(UsageError, match=message):
        check_network(recipe(), 64)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row or a file is of such a network."""
    monkeypatch.setitem(__import__("sys").modules, "timm", None)

    with pytest.raises(UsageError, match=r"pip install 'mixzoo\[timm\]'"):
        check_name("timm/test_resnet")


def test_the_backbone_can_stay_as_it_is() -> None:
    """Only the head has gradients; batch norms see no batch, also after a validation."""
    recipe = _recipe("mixup", init="x.pth", freeze=True)
    model = fresh_network(recipe)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    in_training(model.eval(), recipe)
    model(torch.randn((4, 3, 64, 64))).sum().backward()

    assert {n for n, p in model.named_parameters() if p.grad is not None} == {
        "backbone.fc.weight",
        "backbone.fc.bias",
    }
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("method", ["mixup", "samix"])
def test_a_run_becomes_timms_own_network(
    method: str, jobs: Any, mixzoo: Run, tmp_path: Path
) -> None:
    """Trained by two processes and stopped on the way, it is an uninterrupted run's to the bit; then
    a row, judged by its own number, and a repository that timm loads with equal logits."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    more = {"architecture": "timm/test_resnet"}
    jobs.finish(jobs.words(method, whole, **more), 2)
    stopped = jobs.ranks(jobs.words(method, out, "--stop-at", 5, **more), 2)
    assert {job.wait() for job in stopped} == {75}
    jobs.finish(jobs.words(method, out, **more), 2)
    assert jobs.folder(out, method).result == jobs.folder(whole, method).result

    places = [str(it) for it in jobs.places if it != "--device" and it != "cpu"]
    own = tmp_path / "own.toml"
    code, _, err = mixzoo("train", "publish", out, "--manifest", own, "--benchmark", places[1])
    assert (code, err) == (0, "")
    row = f"timm_test_resnet.{method}_own"
    code, told, _ = mixzoo("eval", row, "--manifest", own, *places[2:], "--device", "cpu", "--json")
    assert code == 0
    assert '"verdict": "reproduced"' in told
    hub = tmp_path / "hub"
    code, _, err = mixzoo(
        *("zoo", "publish", row, "--manifest", own, "--repo", "me/tiny"),
        *("--folder", hub, "--dry-run"),
    )
    assert code == 0, err
    ours = load_file(out / f"resnet18_w4.{method}_colours.pth")
    theirs = timm.create_model(f"local-dir:{hub}", pretrained=True).eval()
    x = torch.randn((2, 3, 32, 32))
    assert torch.equal(ours(x), theirs(x))
    assert theirs.pretrained_cfg["input_size"] == [3, 32, 32]
    assert torch.equal(package.load(hub / f"{row}.safetensors")(x), ours(x))


def test_files_say_their_network(tmp_path: Path) -> None:
    """One that doesn't is taken where a row does; one that says another is none of the row's."""
    network = timm.create_model("test_resnet", num_classes=3)
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    said = {"meta": {"architecture": "timm/test_convnext"}, "state_dict": network.state_dict()}
    torch.save(said, tmp_path / "other.pth")

    with pytest.raises(CheckpointError, match="no entry"):
        load_file(tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match="a timm/test_convnext"):
        load_file(tmp_path / "other.pth")
    assert read_checkpoint(tmp_path / "other.pth").network == "timm/test_convnext"
