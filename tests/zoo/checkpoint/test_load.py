"""From a file to a model: strict, in eval mode, with the numbers of the reference's own runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mixzoo.zoo.checkpoint.load import build, hold_against_row, load_file
from mixzoo.zoo.checkpoint.reading import Checkpoint, read_checkpoint
from mixzoo.zoo.errors import CheckpointError, UsageError
from mixzoo.zoo.manifest import Row
from PIL import Image
from torchvision.transforms import functional as pixels

RUNS = {"tiny_cutmix_ep8": "plain", "tiny_automix_ep8": "automix"}


def _checkpoint(entries: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint(Path("some.pth"), entries, {}, "torch-zip")


@pytest.fixture(scope="module")
def tiny_val(shared: Path) -> torch.Tensor:
    """The 300 validation images of the reference's runs through their evaluation pipeline."""
    folder = shared / "golden" / "tiny_val"
    images = []
    for line in (folder / "val_tiny.txt").read_text().splitlines():
        with Image.open(folder / line.split(",")[0]) as image:
            resized = pixels.resize(image.convert("RGB"), 110, pixels.InterpolationMode.BICUBIC)
        images.append(pixels.to_tensor(pixels.center_crop(resized, 96)))
    return pixels.normalize(torch.stack(images), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("run", RUNS)
def test_a_run_of_the_reference_gives_its_recorded_logits(
    run: str, golden: Path, tiny_val: torch.Tensor
) -> None:
    """A real checkpoint on its real validation images: its network, logits and hits of every head."""
    with np.load(golden / "tiny_eval" / f"{run}.npz", allow_pickle=False) as arrays:
        recorded = dict(arrays)
    model = load_file(golden / "runs" / run / "epoch_8.pth")

    with torch.inference_mode():
        logits = model.logits(tiny_val)

    assert (model.architecture, model.num_classes, model.method) == ("resnet50_w4", 10, RUNS[run])
    assert not model.training
    for head, mine in logits.items():
        theirs = recorded[f"tinyval_{head if head == 'head0' else 'acc_' + head}"]
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-5)
        hits = mine.argmax(dim=1).numpy() == recorded["labels"]
        assert hits.sum() == (theirs.argmax(axis=1) == recorded["labels"]).sum()


@pytest.mark.parametrize("head", ["one_k", "mix_k", "one_q", "mix_q"])
def test_forward_gives_the_chosen_head(head: str, tiny: Callable) -> None:
    """The head that is asked for is the one that `forward` answers with."""
    model = build(_checkpoint(tiny("automix")), head=head)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        answer, all_heads = model(images), model.logits(images)

    torch.testing.assert_close(answer, all_heads[head], rtol=0, atol=0)
    assert len({tuple(z.flatten().tolist()) for z in all_heads.values()}) == 4


def test_an_unknown_head_is_answered_with_the_known_ones(tiny: Callable) -> None:
    """A misspelt head names the ones that are there."""
    with pytest.raises(UsageError) as caught:
        build(_checkpoint(tiny("automix")), head="one_x")

    assert str(caught.value) == ("No head 'one_x'. This checkpoint has: one_k, mix_k, one_q, mix_q")


@pytest.mark.parametrize(
    ("architecture", "method", "num_classes", "message"),
    [
        ("resnet18_w4", "automix", 8142, "expects 8142 classes, the checkpoint's heads have 3"),
        ("resnet50", "automix", 3, "expects a resnet50, the checkpoint is a resnet18_w4"),
        ("resnet18_w4", "samix", 3, "expects samix weights, the checkpoint's are automix"),
        ("resnet18_w4", "cutmix", 3, "expects cutmix weights, the checkpoint's are automix"),
    ],
)
def test_weights_of_another_row_are_refused(
    architecture: str, method: str, num_classes: int, message: str, tiny: Callable
) -> None:
    """A file that isn't what the row says is named by what differs."""
    row = Row(id="a.b", architecture=architecture, method=method)
    model = build(_checkpoint(tiny("automix")))

    with pytest.raises(CheckpointError, match=f"a.b {message}"):
        hold_against_row(model, row, num_classes)


@pytest.mark.parametrize("method", ["vanilla", "cutmix"])
def test_methods_without_a_mix_block_look_alike(method: str, tiny: Callable) -> None:
    """CutMix leaves no trace in the weights, so a plain checkpoint fits any such row."""
    row = Row(id="a.b", architecture="resnet18_w4", method=method)

    hold_against_row(build(_checkpoint(tiny())), row, 3)


def test_a_model_does_not_share_memory_with_its_file(tiny: Callable, tmp_path: Path) -> None:
    """Training on from a model can't write to what was read."""
    torch.save({"state_dict": tiny()}, tmp_path / "some.pth")
    checkpoint = read_checkpoint(tmp_path / "some.pth")

    model = build(checkpoint)

    stored = checkpoint.state_dict["head.fc.bias"]
    assert model.head.fc.bias.data_ptr() != stored.data_ptr()
    assert torch.equal(model.head.fc.bias, stored)


def test_an_entry_that_does_not_fit_is_told_with_the_file(tiny: Callable) -> None:
    """Errors about entries say which file they are in."""
    entries = tiny() | {"neck.weight": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=r"some.pth: a resnet18_w4 .* no place for 1 entry"):
        build(_checkpoint(entries))
