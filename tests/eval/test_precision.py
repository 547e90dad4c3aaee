"""Fast arithmetic computes the same network; exact arithmetic is IEEE fp32 whatever was allowed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mixzoo.eval.precision import (
    CANDIDATES,
    Arithmetic,
    choose,
    exact_fp32,
    exact_networks,
    fast_networks,
    fastest,
    probe,
)
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from torch import nn

CPU = torch.device("cpu")


def randomised(model: nn.Module, seed: int = 0) -> Any:
    """The model in eval mode, its batch norms as after training."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low in (
                (module.weight, 0.5),
                (module.bias, -0.5),
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
            ):
                assert value is not None
                value.data.copy_(torch.rand(value.shape, generator=generator) + low)
    return model.eval()


MODELS = {
    "basic": lambda: Classifier(ResNetConfig.from_name("resnet18_w4"), 7),
    "bottleneck": lambda: Classifier(ResNetConfig.from_name("resnet50_w4"), 7),
    "cifar": lambda: Classifier(ResNetConfig.from_name("resnet18_cifar_w4"), 7),
    "grouped": lambda: Classifier(ResNetConfig(50, groups=4, width_per_group=4, base_width=8), 7),
    "automix": lambda: MixClassifier(ResNetConfig.from_name("resnet18_w4"), 7, "automix"),
}


@pytest.mark.parametrize(("arithmetic", "tolerance"), [("fp32", 2e-5), ("emulated-bf16", 0.1)])
@pytest.mark.parametrize("name", MODELS)
def test_fast_networks_give_the_models_logits(
    name: str, arithmetic: Arithmetic, tolerance: float
) -> None:
    """Every head of every kind of net, in float32, in the model's order; inputs stay as they were."""
    torch.manual_seed(3)
    model = randomised(MODELS[name]())
    x = torch.randn(3, 3, 64, 64)
    before = x.clone()
    networks = fast_networks(model, arithmetic, CPU)

    with torch.inference_mode():
        expected = model.logits(x)
        found = {head: z for network in networks for head, z in network(x).items()}
        again = {head: z for network in networks for head, z in network(x).items()}

    assert list(found) == list(expected) == list(model.heads)
    assert torch.equal(x, before)
    for head, z in found.items():
        scale = float(expected[head].abs().max())
        assert z.dtype == torch.float32
        torch.testing.assert_close(z, expected[head], rtol=0, atol=tolerance * scale)
        torch.testing.assert_close(again[head], z, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["bottleneck", "automix"])
def test_exact_networks_are_the_model(name: str) -> None:
    """The same logits, one function for each backbone, that runs only its own."""
    torch.manual_seed(3)
    model = randomised(MODELS[name]())
    x = torch.randn(3, 3, 64, 64)
    networks = exact_networks(model)

    with torch.inference_mode():
        expected = model.logits(x)
        found = [network(x) for network in networks]

    assert [list(logits) for logits in found] == (
        [["head0"]] if name == "bottleneck" else [["one_k", "mix_k"], ["one_q", "mix_q"]]
    )
    for logits in found:
        for head, z in logits.items():
            torch.testing.assert_close(z, expected[head], rtol=1e-5, atol=1e-5)


def test_a_function_has_no_fast_arithmetic() -> None:
    """There are no weights to fold; the message says what to do."""
    with pytest.raises(UsageError, match="Use precision fp32"):
        fast_networks(lambda x: {"head0": x}, "fp32", CPU)


def test_probe_measures_what_runs_here() -> None:
    """fp32 runs everywhere; what the probe then picks is no slower than fp32."""
    times = probe(CPU)

    assert "fp32" in times
    assert set(times) <= set(CANDIDATES["cpu"])
    assert all(seconds > 0 for seconds in times.values())
    assert fastest(CPU) in CANDIDATES["cpu"]
    assert choose("auto", CPU) == fastest(CPU)


def test_an_arithmetic_can_be_chosen_by_name() -> None:
    """Known names are taken, others are answered with the known ones."""
    assert choose("emulated-bf16", CPU) == "emulated-bf16"
    with pytest.raises(UsageError, match="auto, fp32, tf32, fp16, bf16, emulated-bf16, got 'int8'"):
        choose("int8", CPU)


@pytest.fixture
def allow_everything() -> Any:
    """A caller who allowed TF32 and bf16 wherever torch can; undone afterwards."""
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False


def settings() -> dict[str, object]:
    """What torch would do with fp32 tensors."""
    backends = torch.backends
    parts: dict[str, Callable[[], object]] = {
        "gpu products": lambda: backends.cuda.matmul.fp32_precision,
        "cpu products": lambda: backends.mkldnn.matmul.fp32_precision,
        "gpu convolutions": lambda: backends.cudnn.conv.fp32_precision,
        "cpu convolutions": lambda: backends.mkldnn.conv.fp32_precision,
        "benchmark": lambda: backends.cudnn.benchmark,
        "deterministic": lambda: backends.cudnn.deterministic,
    }
    return {name: get() for name, get in parts.items()}


def test_exact_fp32_overrides_and_restores(allow_everything: None) -> None:
    """Nothing but IEEE fp32 inside; the caller's settings again outside."""
    before = settings()
    with exact_fp32():
        inside = settings()

    assert before["cpu products"] == "bf16"
    assert inside == {
        "gpu products": "ieee",
        "cpu products": "ieee",
        "gpu convolutions": "ieee",
        "cpu convolutions": "ieee",
        "benchmark": False,
        "deterministic": True,
    }
    assert settings() == before
    assert torch.get_float32_matmul_precision() == "medium"


def test_exact_fp32_overrides_settings_by_device() -> None:
    """Also what was allowed through torch's newer, separate switches."""
    torch.set_float32_matmul_precision("highest")
    try:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        before = settings()
        with exact_fp32():
            inside = settings()
        after = settings()
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
        torch.backends.mkldnn.conv.fp32_precision = "none"

    assert before["cpu products"] == before["cpu convolutions"] == "bf16"
    assert inside["cpu products"] == inside["cpu convolutions"] == "ieee"
    assert after == before


def test_exact_fp32_restores_after_an_error() -> None:
    """Also where the block raises."""
    torch.set_float32_matmul_precision("highest")
    before = settings()
    with pytest.raises(ZeroDivisionError), exact_fp32():
        _ = 1 / 0

    assert settings() == before
