"""Training steps of OpenMixup itself, one for each line on stdin; run by train_steps.py.

It runs inside an environment of its own, which mixzoo isn't in (Python 3.8 to 3.10):

    python3.10 -m venv peer
    peer/bin/pip install "setuptools<65" wheel torch==1.13.1 torchvision==0.14.1 "numpy<1.24"
    MMCV_WITH_OPS=0 peer/bin/pip install --no-build-isolation --no-deps mmcv==1.7.2
    peer/bin/pip install --no-deps openmixup==0.2.9
    peer/bin/pip install "numpy<1.24" "opencv-python-headless<4.11" einops matplotlib pandas \\
        "scipy<1.11" scikit-learn seaborn six tensorboard "timm<1" tqdm addict pyyaml yapf attrs
    peer/bin/pip install --no-build-isolation gco-wrapper==3.0.9   # PuzzleMix's graph cut

    openmixup_step.py METHOD ARCHITECTURE CLASSES BATCH.npz THREADS DEVICE PRECISION STEPS

BATCH.npz: x (N, 3, H, W) float32, normalised; y (N,) int64. The first line of its output says the
versions. For the first line on stdin it takes one step, whose operations are counted where its
torch can; for every further one STEPS steps. It answers with JSON: the seconds of a step, those of
the processor in it, the peak of memory on a GPU, and a step's operations. METHOD "plain" is the
loop of torchvision's reference, with the same versions. PRECISION: fp32, or bf16 for forward passes
under torch's autocast.

With what `stand_in_for_what_is_missing` does it also runs with Python 3.12 and torch 2.11: the peer
on a GPU, where all contestants had that torch.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

SGD = {"type": "SGD", "lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}
CROSS_ENTROPY = {"type": "CrossEntropyLoss", "loss_weight": 1.0}
AUTOMIX_BLOCK = {
    "unsampling_mode": ["nearest"],
    "lam_concat": True,
    "lam_mul": False,
    "lam_residual": False,
    "value_neck_cfg": None,
    "x_qk_concat": False,
    "mask_loss_mode": "L1",
}
SAMIX_BLOCK = {
    "unsampling_mode": ["bilinear"],
    "lam_concat": False,
    "lam_mul": True,
    "lam_residual": True,
    "x_qk_concat": True,
    "mask_loss_mode": "L1+Variance",
}


def automix_config(method: str, depth: int, classes: int) -> dict[str, Any]:
    """The released config of AutoMix or SAMix. Channels: 4 times as many in bottlenecks."""
    wide = 4 if depth >= 50 else 1
    channels, features = 256 * wide, 512 * wide
    own: dict[str, Any] = dict(AUTOMIX_BLOCK if method == "automix" else SAMIX_BLOCK)
    if method == "samix":
        own["value_neck_cfg"] = {
            "type": "ConvNeck",
            "in_channels": channels,
            "hid_channels": channels // 2,
            "out_channels": 1,
            "num_layers": 2,
            "kernel_size": 1,
            "with_last_norm": False,
            "norm_cfg": {"type": "BN"},
            "with_last_dropout": 0.1,
            "with_avg_pool": False,
            "with_residual": False,
        }
    head = {"with_avg_pool": True, "in_channels": features, "num_classes": classes}
    loss = {**CROSS_ENTROPY, "use_soft": False, "use_sigmoid": False}
    config: dict[str, Any] = {
        "type": "AutoMixup",
        "alpha": 2.0,
        "momentum": 0.999,
        "mask_layer": 2,
        "mask_loss": 0.1,
        "mask_adjust": 0,
        "lam_margin": 0.08,
        "backbone": _backbone("ResNet", depth, (2, 3)),
        "mix_block": {
            "type": "PixelMixBlock",
            "in_channels": channels,
            "reduction": 2,
            "use_scale": True,
            "lam_concat_v": False,
            "lam_mul_k": -1,
            "x_v_concat": False,
            "mask_loss_margin": 0.1,
            "frozen": False,
            **own,
        },
        "head_one": {"type": "ClsHead", "loss": loss, **head},
        "head_mix": {"type": "ClsMixupHead", "loss": loss, **head},
        "head_weights": {
            "head_mix_q": 1,
            "head_one_q": 1,
            "head_mix_k": 1,
            "head_one_k": 1,
            "decent_weight": [],
            "accent_weight": [],
        },
    }
    if method == "samix":
        config["head_mix_k"] = {
            "type": "ClsMixupHead",
            "loss": {**loss, "use_soft": True},
            "multi_label": True,
            "neg_weight": 1,
            **head,
        }
    return config


def mixup_config(method: str, depth: int, classes: int) -> dict[str, Any]:
    """The released config of the methods whose mixing isn't learnt."""
    puzzle = {"transport": True, "t_batch_size": 32, "t_size": -1, "mp": None, "block_num": 4}
    puzzle.update({"beta": 1.2, "gamma": 0.5, "eta": 0.2, "neigh_size": 4, "n_labels": 3})
    return {
        "type": "MixUpClassification",
        "alpha": 1.0,
        "mix_mode": method,
        "mix_args": {"puzzlemix": {**puzzle, "t_eps": 0.8}},
        "backbone": _backbone("ResNet_Mix", depth, (3,)),
        "head": {
            "type": "ClsHead",
            "loss": CROSS_ENTROPY,
            "with_avg_pool": True,
            "in_channels": 2048 if depth >= 50 else 512,
            "num_classes": classes,
        },
    }


def stand_in_for_what_is_missing() -> None:
    """Let OpenMixup import an mmcv without compiled operators (no ResNet has any), and a newer torch."""
    operators = ModuleType("mmcv.ops")
    operators.DeformConv2dPack = torch.nn.Module  # type: ignore[attr-defined]
    sys.modules["mmcv.ops"] = operators
    sys.modules.setdefault("imp", ModuleType("imp"))  # imported, unused, and gone in Python 3.12
    from mmcv.runner import OPTIMIZERS

    OPTIMIZERS.module_dict.pop("Adafactor", None)  # of newer torch; OpenMixup registers its own


def openmixup_step(
    method: str, architecture: str, classes: int, x: torch.Tensor, y: torch.Tensor, precision: str
) -> Callable[[], None]:
    """One iteration as mmcv's runner and OpenMixup's hooks make it."""
    stand_in_for_what_is_missing()
    from openmixup.core import build_optimizer
    from openmixup.models import build_model

    depth, learnt = int(architecture[len("resnet") :]), method in ("automix", "samix")
    config = (automix_config if learnt else mixup_config)(method, depth, classes)
    model = build_model(config).to(x.device).train()
    groups = {"paramwise_options": {"mix_block": {"lr": SGD["lr"], "momentum": 0.9}}}
    optimizer = build_optimizer(model, {**SGD, **(groups if learnt else {})})

    def step() -> None:
        with autocast(x, precision):
            outputs = model.train_step({"img": x, "gt_label": y}, optimizer)
        optimizer.zero_grad()
        outputs["loss"].backward()
        optimizer.step()
        if learnt:
            model.momentum_update()

    return step


def plain_step(
    architecture: str, classes: int, x: torch.Tensor, y: torch.Tensor, precision: str
) -> Callable[[], None]:
    """The loop of torchvision's reference."""
    import torchvision

    model = getattr(torchvision.models, architecture)(num_classes=classes).to(x.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        with autocast(x, precision):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def autocast(x: torch.Tensor, precision: str) -> torch.autocast:
    """The arithmetic of the forward pass."""
    return torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16")


def _backbone(kind: str, depth: int, stages: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "depth": depth,
        "num_stages": 4,
        "out_indices": stages,
        "style": "pytorch",
    }


def _answer(values: dict[str, Any], out: Any) -> None:
    out.write(json.dumps(values) + "\n")
    out.flush()


def _counted(step: Callable[[], None]) -> int | None:
    """Take a step; returns its operations, None with the torch that OpenMixup supports."""
    try:
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError:
        step()
        return None
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def main(words: list[str]) -> None:
    """Build, then step whenever a line comes in."""
    method, architecture, classes, batch, threads, device, precision, steps = words
    out, sys.stdout = sys.stdout, sys.stderr  # what the libraries print is no answer
    torch.set_num_threads(int(threads))
    torch.backends.cudnn.benchmark = True
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if device == "cpu":
        # OpenMixup moves every draw to a GPU, whether there is one or not.
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
    arrays = np.load(batch)
    x, y = (torch.from_numpy(arrays[name]).to(device) for name in ("x", "y"))
    if method == "plain":
        step = plain_step(architecture, int(classes), x, y, precision)
    else:
        step = openmixup_step(method, architecture, int(classes), x, y, precision)
    _answer({"python": sys.version.split()[0], "torch": torch.__version__}, out)
    flop: int | None = None
    for number, _ in enumerate(sys.stdin):
        if not number:
            if method == "puzzlemix":  # asks for gradients as torch's counter can't bear
                step()
            else:
                flop = _counted(step)
            _answer({"wall": 0, "processor": 0}, out)
            continue
        if device != "cpu":
            step()  # takes the memory that the turn before gave back
            torch.cuda.synchronize()
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(int(steps)):
            step()
        if device != "cpu":
            torch.cuda.synchronize()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        took = {"wall": wall / int(steps), "processor": processor / int(steps)}
        peak = torch.cuda.max_memory_allocated() if device != "cpu" else None
        torch.cuda.empty_cache()  # for the others
        _answer({**took, "peak_bytes": peak, "flop": flop}, out)


if __name__ == "__main__":
    main(sys.argv[1:])
