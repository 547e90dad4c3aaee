"""What only a GPU can show of evaluations: exact there too, and faster arithmetic is guarded."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import Subject, evaluate, evaluate_all
from mixzoo.eval.precision import CANDIDATES, Arithmetic, exact_networks, fast_networks, probe
from mixzoo.eval.predictions import FAST, Predictions
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.world import World, join
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.data import LabelledImages, find_images
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.mini import draw
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

from ..mini_rows import ROWS, SAMIX

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

GPU = World(rank=0, size=1, local_size=1, device=torch.device("cuda", 0))
MINI = open_catalog().benchmark("mini").manifest


@pytest.fixture
def allow_tf32() -> Iterator[None]:
    """A caller who allowed TF32 wherever torch can, and any kernel."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    """The validation images of the embedded benchmark."""
    return find_images(draw(tmp_path_factory.mktemp("mini"), "val"))


def _model(name: str = "resnet50_w16") -> Any:
    torch.manual_seed(0)
    if name == "automix":
        return MixClassifier(ResNetConfig.from_name("resnet18_w16"), 7, "automix").eval()
    return Classifier(ResNetConfig.from_name(name), 7).eval()


def _logits(networks: list[Any], x: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        return {head: z.cpu() for network in networks for head, z in network(x).items()}


@pytest.mark.parametrize("name", ["resnet50_w16", "automix"])
def test_exact_is_ieee_fp32(name: str, allow_tf32: None) -> None:
    """Within fp32's rounding of float64 on the CPU, where TF32 would be a thousand times further off."""
    model = _model(name)
    x = torch.randn(8, 3, 96, 96)
    reference = copy.deepcopy(model).double()
    with torch.inference_mode():
        expected = reference.logits(x.double())

    found = _logits(exact_networks(model.to(GPU.device)), x.to(GPU.device))

    assert found.keys() == expected.keys()
    for head, z in found.items():
        scale = float(expected[head].abs().max())
        torch.testing.assert_close(z.double(), expected[head], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("arithmetic", "least", "most"),
    [("fp32", 0, 1e-5), ("tf32", 1e-6, 5e-3), ("fp16", 1e-6, 5e-3), ("bf16", 1e-5, 5e-2)],
)
def test_fast_arithmetics_round_as_they_should(
    arithmetic: Arithmetic, least: float, most: float
) -> None:
    """The folded network, as near to the model as its format allows, and really in that format."""
    model = _model().to(GPU.device)
    x = torch.randn(8, 3, 96, 96, device=GPU.device)
    expected = _logits(exact_networks(model), x)["head0"]

    found = _logits(fast_networks(model, arithmetic, GPU.device), x)["head0"]

    error = float((found - expected).abs().max() / expected.abs().max())
    assert least <= error <= most


def test_the_probe_knows_all_that_a_gpu_has() -> None:
    """Times of every format; how they compare is the GPU's matter."""
    times = probe(GPU.device)

    assert "fp32" in times
    assert set(times) <= set(CANDIDATES["cuda"])


@pytest.mark.parametrize("row", MINI.rows, ids=lambda row: row.id)
def test_counts_are_those_of_the_table(row: Any, drawn: LabelledImages) -> None:
    """Every row of the embedded benchmark, recomputed to the image."""
    model = load(row.id, device=GPU.device)

    counts = evaluate(model.logits, Work(drawn, MINI.protocol, workers=2), world=GPU)

    assert counts[model.heads[0]].top1 == row.reported_top1


@pytest.mark.parametrize("arithmetic", ["tf32", "fp16", "bf16"])
@pytest.mark.parametrize("method", ["mixup", "automix"])
def test_guarded_is_fp32(method: str, arithmetic: Arithmetic, drawn: LabelledImages) -> None:
    """Image by image and head by head."""
    model = load(ROWS[method], device=GPU.device)

    def predicted(*how: Any, **more: Any) -> dict[str, Predictions]:
        subject = Subject(method, Predictor(model, MINI.protocol, GPU.device, *how, **more))
        evaluate_all([subject], Work(drawn, MINI.protocol, 64, 2), world=GPU)
        assert subject.error is None
        return subject.known

    exact, guarded = predicted(), predicted("guarded", arithmetic=arithmetic)

    for head, known in exact.items():
        assert guarded[head].complete
        assert (guarded[head].state == FAST).mean() > 0.3
        np.testing.assert_array_equal(guarded[head].top[:, 0], known.top[:, 0])
        np.testing.assert_array_equal(guarded[head].correct5, known.correct5)


def test_the_command_evaluates_on_the_gpu(mixzoo: Any, tmp_path: Path) -> None:
    """By itself, since there is one, with a report that names it."""
    code, _, err = mixzoo("eval", SAMIX, "--out", tmp_path / "report.json")

    assert code == 0, err
    assert torch.cuda.get_device_name() in (tmp_path / "report.json").read_text()


def test_more_processes_than_gpus_are_refused() -> None:
    """Named by the GPU that there isn't."""
    with (
        pytest.raises(UsageError, match="at most one process per GPU"),
        join(f"cuda:{torch.cuda.device_count()}"),
    ):
        pass
