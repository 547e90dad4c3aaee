"""Arithmetics: IEEE fp32, which defines what is exact, and what this machine does faster."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache, partial
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from ..zoo.errors import UsageError
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.foreign import Foreign
from .folded import EmulatedConv, Fold, FoldedConv, FoldedResNet, OneDnnConv

HeadLogits = Callable[[Tensor], Mapping[str, Tensor]]
"""(N, 3, H, W) float32, normalised -> {head name: (N, C)}."""

Arithmetic = Literal["fp32", "tf32", "fp16", "bf16", "emulated-bf16"]
"""What the folded convolutions compute in; pooling and classifier are fp32 in each.

emulated-bf16 gives bf16's results at the speed of fp32: for studies on machines without bf16."""

DTYPES: dict[Arithmetic, torch.dtype] = {"fp16": torch.float16, "bf16": torch.bfloat16}
CANDIDATES: dict[str, tuple[Arithmetic, ...]] = {
    "cuda": ("fp32", "fp16", "tf32", "bf16"),
    "cpu": ("fp32", "fp16", "bf16"),
}
"""What the probe tries, the finest first: tf32 and fp16 round alike, bf16 8 times coarser."""
Switch = tuple[Any, str, object]  # where, name, value
WORTH = 1.1  # a coarser arithmetic has more images to recompute, so it must be this much faster


class Network:
    """One backbone and the heads that see it: (N, 3, H, W) float32 -> {head: (N, C) float32}."""

    def __init__(
        self,
        backbone: Callable[[Tensor], Tensor],
        heads: Mapping[str, nn.Module],
        arithmetic: Arithmetic | None = None,
    ) -> None:
        """arithmetic: None is the model itself in IEEE fp32."""
        self.backbone, self.heads = backbone, heads
        self.arithmetic: Arithmetic | None = arithmetic
        self.dtype = DTYPES.get(arithmetic or "fp32", torch.float32)

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every head. x: on the weights' device, in any memory format."""
        # In true fp32 cuDNN's NCHW kernels are the fast ones, everywhere else channels-last.
        plain = self.arithmetic is None and x.device.type == "cuda"
        layout = torch.contiguous_format if plain else torch.channels_last
        with _convolutions(self.arithmetic):
            features = self.backbone(x.to(self.dtype, memory_format=layout))
        with exact_fp32():  # 0.4% of a ResNet-50's time; logits of 8 bits would tie often
            return {name: head(features.float()) for name, head in self.heads.items()}

    @property
    def peaks(self) -> list[Tensor]:
        """Of the last call, each image's largest activation (N,) in every folded convolution."""
        return getattr(self.backbone, "peaks", [])


def exact_networks(model: nn.Module | HeadLogits) -> list[HeadLogits]:
    """The model in fp32, one function for each backbone; any other callable as one function.

    Weights on a CPU are laid out channels-last, in place: the same numbers, faster convolutions.
    """
    if isinstance(model, Classifier | MixClassifier) and not isinstance(model, Foreign):
        if next(model.parameters()).device.type == "cpu":
            model.to(memory_format=torch.channels_last)
        return [Network(backbone, heads) for backbone, heads in _sides(model)]
    return [partial(_in_fp32, getattr(model, "logits", model))]


def fast_networks(
    model: nn.Module | HeadLogits, arithmetic: Arithmetic, device: torch.device
) -> list[HeadLogits]:
    """The same heads in the same groups as `exact_networks`, by folded convolutions.

    A foreign network isn't folded: it is exact here, too. Raises UsageError for anything but the
    zoo's classifiers: a function can't be folded.
    """
    if isinstance(model, Foreign):
        return exact_networks(model)
    if not isinstance(model, Classifier | MixClassifier):
        raise UsageError(
            "fast arithmetic folds a classifier's weights; expected one, got "
            f"{type(model).__name__}. Use precision fp32."
        )
    fold_pair = _fold_pair(arithmetic, device)
    return [
        Network(FoldedResNet(backbone, fold_pair), heads, arithmetic)
        for backbone, heads in _sides(model)
    ]


def _sides(model: Classifier | MixClassifier) -> list[tuple[Any, dict[str, nn.Module]]]:
    """Each backbone with its heads by name."""
    if isinstance(model, Classifier):
        return [(model.backbone, {"head0": model.head})]
    return [
        (
            model.get_submodule(f"backbone_{side}"),
            {n: model.get_submodule(f"head_{n}") for n in model.heads if n.endswith(side)},
        )
        for side in "kq"
    ]


def _in_fp32(logits: HeadLogits, x: Tensor) -> Mapping[str, Tensor]:
    with exact_fp32():
        return logits(x)


def _fold_pair(arithmetic: Arithmetic, device: torch.device) -> Fold:
    if arithmetic == "emulated-bf16":
        return partial(EmulatedConv, dtype=torch.bfloat16)
    conv = OneDnnConv if device.type == "cpu" and OneDnnConv.available() else FoldedConv
    return partial(conv, dtype=DTYPES.get(arithmetic, torch.float32))


def choose(name: str, device: torch.device) -> Arithmetic:
    """The arithmetic called `name`, or for "auto" the one that a probe found fastest here."""
    if name == "auto":
        return fastest(device)
    if name not in get_args(Arithmetic):
        known = ", ".join(("auto", *get_args(Arithmetic)))
        raise UsageError(f"expected an arithmetic of {known}, got {name!r}")
    return cast(Arithmetic, name)


@lru_cache
def fastest(device: torch.device) -> Arithmetic:
    """What runs a ResNet's convolutions fastest on this device, by a measurement of a moment.

    A coarser arithmetic must be 10% faster than a finer one to be chosen.
    """
    times = probe(device)
    best = min(times.values())
    return next(name for name in times if times[name] <= WORTH * best)


def probe(device: torch.device) -> dict[Arithmetic, float]:
    """Seconds that one convolution takes in each arithmetic that the device has, finest first.

    An arithmetic that runs but has no hardware (bf16 before AVX-512: some 100 times slower than
    fp32) is found out on a small convolution first.
    """
    small: dict[Arithmetic, float] = {}
    for name in CANDIDATES["cuda" if device.type == "cuda" else "cpu"]:
        try:
            small[name] = _time_convolution(name, device, channels=64, images=2)
        except RuntimeError:  # torch's word for a format that this processor lacks
            continue
    real: list[Arithmetic] = [
        name for name, seconds in small.items() if seconds < 3 * small["fp32"]
    ]
    images = 64 if device.type == "cuda" else 8
    return {name: _time_convolution(name, device, channels=256, images=images) for name in real}


def _time_convolution(
    arithmetic: Arithmetic, device: torch.device, channels: int, images: int
) -> float:
    """Best of five runs of a 3x3 convolution of stage 3's shape, after one to warm up.

    On a CPU it is processor time, on which other processes have no say: processes that share a
    list out without meeting should choose alike.
    """
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device)
    norm = nn.BatchNorm2d(channels, device=device)
    run = _fold_pair(arithmetic, device)(conv, norm)
    x = torch.ones(images, channels, 14, 14, device=device)
    x = x.to(DTYPES.get(arithmetic, torch.float32), memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode(), _convolutions(arithmetic):
        for _ in range(6):
            start = clock()
            run(x)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(clock() - start)
    return min(seconds[1:])


def _convolutions(arithmetic: Arithmetic | None) -> AbstractContextManager[None]:
    """Settings for convolutions; None is exact."""
    if arithmetic in (None, "fp32"):
        return exact_fp32()
    cudnn = torch.backends.cudnn
    return _set(*_convolution_format(tf32=arithmetic == "tf32"), (cudnn, "benchmark", True))


@contextmanager
def exact_fp32() -> Iterator[None]:
    """IEEE fp32 on every device, whatever the caller allowed.

    cuDNN uses TF32 for convolutions by default, and `torch.set_float32_matmul_precision` gives
    matrix products TF32 on GPUs and bf16 on CPUs.
    """
    cudnn = torch.backends.cudnn
    kernels = ((cudnn, "benchmark", False), (cudnn, "deterministic", True))
    with _exact_products(), _set(*_convolution_format(tf32=False), *kernels):
        yield


@contextmanager
def _exact_products() -> Iterator[None]:
    """IEEE matrix products, set in the way in which the caller did: torch refuses a mixture."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # set by device, torch >= 2.9
        backends: Any = torch.backends
        products = (backends.cuda.matmul, backends.mkldnn.matmul)
        with _set(*((product, "fp32_precision", "ieee") for product in products)):
            yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _convolution_format(*, tf32: bool) -> list[Switch]:
    """TF32 or IEEE for convolutions of fp32 tensors."""
    backends: Any = torch.backends
    if not hasattr(backends.mkldnn, "conv"):  # torch < 2.9
        return [(backends.cudnn, "allow_tf32", tf32)]
    return [
        (backends.cudnn.conv, "fp32_precision", "tf32" if tf32 else "ieee"),
        (backends.mkldnn.conv, "fp32_precision", "ieee"),
    ]


def cudnn_setting(name: str, *, value: bool) -> AbstractContextManager[None]:
    """A setting of `torch.backends.cudnn` for a while."""
    return _set((torch.backends.cudnn, name, value))


@contextmanager
def _set(*settings: Switch) -> Iterator[None]:
    with ExitStack() as undo:
        for where, name, value in settings:
            undo.callback(setattr, where, name, getattr(where, name))
            setattr(where, name, value)
        yield
