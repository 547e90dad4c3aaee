"""Folded, fast arithmetic computes the same network; exact is IEEE fp32 whatever was allowed."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from mixzoo.eval.folded import EmulatedConv, FoldedConv, FoldedResNet, OneDnnConv, fold, peak
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
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNet, ResNetConfig
from torch import nn

CPU = torch.device("cpu")
needs_onednn = pytest.mark.skipif(not OneDnnConv.available(), reason="torch without oneDNN")


CONFIGS = {
    "basic": ResNetConfig.from_name("resnet18_w4"),
    "bottleneck": ResNetConfig.from_name("resnet50_w4"),
    "cifar": ResNetConfig.from_name("resnet18_cifar_w4"),
    "grouped": ResNetConfig(50, groups=4, width_per_group=4, base_width=8),
}


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


def model_of(name: str) -> Any:
    """A classifier of a config, or AutoMix's two."""
    torch.manual_seed(3)
    if name == "automix":
        return randomised(MixClassifier(CONFIGS["basic"], 7, "automix"))
    return randomised(Classifier(CONFIGS[name], 7))


def pair(groups: int = 1, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution of 8 to 8 channels with its batch norm."""
    torch.manual_seed(1)
    conv = nn.Conv2d(8, 8, 3, stride, padding=1, groups=groups, bias=False)
    return conv, randomised(nn.BatchNorm2d(8))


@pytest.fixture
def x() -> torch.Tensor:
    """Two feature maps (2, 8, 9, 9), channels last."""
    torch.manual_seed(2)
    return torch.randn(2, 8, 9, 9).to(memory_format=torch.channels_last)


@torch.no_grad()
def test_folding_is_exact_in_double(x: torch.Tensor) -> None:
    """Weight and bias give convolution and batch norm to the last digits of float64."""
    conv, norm = pair(groups=2, stride=2)
    weight, bias = fold(conv, norm)

    folded = nn.functional.conv2d(x.double(), weight, bias, stride=2, padding=1, groups=2)

    expected = norm.double()(conv.double()(x.double()))
    torch.testing.assert_close(folded, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize("kind", [FoldedConv, pytest.param(OneDnnConv, marks=needs_onednn)])
@torch.no_grad()
def test_folded_convolution_adds_and_clips(
    kind: type[FoldedConv], with_shortcut: bool, relu: bool, x: torch.Tensor
) -> None:
    """Convolution, batch norm, shortcut, ReLU: as one by one, and the input stays as it was."""
    conv, norm = pair()
    before, shortcut = x.clone(), x.flip(0) if with_shortcut else None

    y = kind(conv, norm, torch.float32)(
        x, None if shortcut is None else shortcut.clone(), relu=relu
    )

    expected = norm(conv(x)) + (0 if shortcut is None else shortcut)
    torch.testing.assert_close(y, expected.relu() if relu else expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before)


@torch.no_grad()
def test_emulated_bf16_is_bf16(x: torch.Tensor) -> None:
    """Weights and results are bf16 numbers, torch's own convolution's but for a last bit."""
    emulated = EmulatedConv(*pair(), torch.bfloat16)

    y = emulated(x, torch.zeros_like(x), relu=False)

    for tensor in (y, emulated.weight, emulated.bias_added):
        assert torch.equal(tensor, tensor.bfloat16().float())
    real = FoldedConv(*pair(), torch.bfloat16)(x.bfloat16(), relu=False).float()
    torch.testing.assert_close(y, real, rtol=2**-7, atol=1e-3)
    assert (y == real).float().mean() > 0.9
    exact = FoldedConv(*pair(), torch.float32)(x, relu=False)
    assert 1e-4 < (y - exact).abs().max() < 0.1


@pytest.mark.parametrize("kind", [EmulatedConv, pytest.param(OneDnnConv, marks=needs_onednn)])
@torch.no_grad()
def test_a_bias_keeps_its_last_digits_where_no_shortcut_is_added(kind: type[FoldedConv]) -> None:
    """A sum near zero of a large bias shows them; torch's own bf16 convolution rounds them away."""
    conv, norm = pair()
    conv.weight.zero_()
    bias = torch.full((8,), 1 + 2**-10, dtype=torch.float64)
    conv.weight[:, 0, 1, 1] = -1 / (norm.weight / (norm.running_var + norm.eps).sqrt())
    x = torch.zeros(1, 8, 4, 4).to(memory_format=torch.channels_last)
    x[:, 0] = 1
    dtype = torch.float32 if kind is EmulatedConv else torch.bfloat16

    y = kind(conv, norm, torch.bfloat16, bias)(x.to(dtype), relu=False)

    assert (y == 2**-10).all()
    assert (FoldedConv(conv, norm, torch.bfloat16, bias)(x.bfloat16(), relu=False) == 0).all()


class _DoubleConv(FoldedConv):
    """The reference: folded, and kept in float64."""

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, bias: torch.Tensor | None = None
    ) -> None:
        super().__init__(conv, norm, torch.float64, bias)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@torch.no_grad()
def test_a_folded_network_is_the_network_in_double(config: ResNetConfig) -> None:
    """Wiring, strides, groups and shortcuts: nothing but the last digits of float64 differs."""
    torch.manual_seed(3)
    net = randomised(ResNet(config))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    folded = FoldedResNet(net, _DoubleConv)

    features = folded(x.clone())

    expected = net.double()(x)
    torch.testing.assert_close(features, expected, rtol=1e-9, atol=1e-9 * float(expected.max()))


def test_folding_refuses_what_it_would_compute_wrongly() -> None:
    """A batch norm that normalises by the batch itself, or a convolution with a bias of its own."""
    bias = nn.Conv2d(8, 8, 3)
    with pytest.raises(ValueError, match="expected batch norm with running statistics"):
        fold(bias, nn.BatchNorm2d(8))
    with pytest.raises(ValueError, match="after a convolution without bias"):
        fold(pair()[0], nn.BatchNorm2d(8, track_running_stats=False))


@pytest.mark.parametrize(("arithmetic", "tolerance"), [("fp32", 2e-5), ("emulated-bf16", 0.1)])
@pytest.mark.parametrize("name", [*CONFIGS, "automix"])
def test_fast_networks_give_the_models_logits(
    name: str, arithmetic: Arithmetic, tolerance: float
) -> None:
    """Every head of every kind of net, in float32, in the model's order; inputs stay."""
    model = model_of(name)
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


@pytest.mark.parametrize("name", ["basic", "bottleneck"])
def test_peaks_are_those_of_every_convolution(name: str) -> None:
    """As many as there are convolutions; those of stem and blocks are the model's own, by image."""
    model = model_of(name)
    own: list[torch.Tensor] = []
    for block in (b for n, b in model.backbone.named_children() if n.startswith("layer")):
        for one in block:
            one.register_forward_hook(lambda *seen: own.append(seen[2].flatten(1).amax(1)))
    model.backbone.bn1.register_forward_hook(lambda *seen: own.append(seen[2].flatten(1).amax(1)))
    x = torch.randn(3, 3, 64, 64)
    network = fast_networks(model, "fp32", CPU)[0]
    with torch.inference_mode():
        model.logits(x)
        network(x)
        network(x)  # those of a call before are gone

    found = torch.stack(network.peaks, 1)

    assert found.shape == (3, sum(isinstance(m, nn.Conv2d) for m in model.modules()))
    assert (found >= 0).all()
    for values in own:
        assert (found - values[:, None]).abs().amin(1).max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_peak_is_the_largest_number(dtype: torch.dtype, layout: torch.memory_format) -> None:
    """In every format and layout, with tiny numbers, zeros, infinities and what is no number."""
    y = torch.rand(6, 5, 3, 3).to(dtype).contiguous(memory_format=layout)
    y[1] *= 1e-5
    y[2] = 0
    y[3, 4, 2, 1], y[4, 0, 0, 0] = torch.inf, torch.nan

    expected = y.float().flatten(1).amax(1)
    torch.testing.assert_close(peak(y), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ["bottleneck", "automix"])
def test_exact_networks_are_the_model(name: str) -> None:
    """The same logits, one function for each backbone, that runs only its own."""
    model = model_of(name)
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
    """Also what torch's newer, separate switches allowed; restored after an error too."""
    torch.set_float32_matmul_precision("highest")
    try:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        before = settings()
        with suppress(ZeroDivisionError), exact_fp32():
            inside = settings()
            _ = 1 / 0
        after = settings()
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
        torch.backends.mkldnn.conv.fp32_precision = "none"

    assert before["cpu products"] == before["cpu convolutions"] == "bf16"
    assert inside["cpu products"] == inside["cpu convolutions"] == "ieee"
    assert after == before
