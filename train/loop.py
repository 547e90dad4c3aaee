"""The training loop, from images to a checkpoint and a log, in one process."""

import io
import math
import platform
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import nn

from .. import __version__
from ..eval.distributed import World
from ..eval.evaluator import BATCH_SIZE, evaluate
from ..eval.protocol import normalise
from ..zoo.architectures import Classifier, ResNetConfig
from ..zoo.data import LabelledImages
from ..zoo.manifest import Protocol
from .augment import decode_all, random_crops
from .log import JsonLog
from .mixed_step import mixed_losses
from .mixing import draw_method
from .recipe import Recipe


@dataclass(frozen=True)
class Data:
    """The images of a run, and the pixels that they are validated with."""

    train: LabelledImages
    val: LabelledImages
    protocol: Protocol


def train(recipe: Recipe, data: Data, out: Path, name: str, device: torch.device) -> Path:
    """Train a classifier; write `<name>.pth` and `<name>.log.json` below `out`.

    The validation number of each epoch is that of `mixzoo eval`: same pixels, same counting. On
    one machine with one thread the same recipe gives the same weights. Returns the checkpoint.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(recipe.seed)
    model = Classifier(ResNetConfig.from_name(recipe.architecture), recipe.num_classes)
    initialise(model, torch.Generator().manual_seed(recipe.seed))
    model.to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
    )
    images, labels = decode_all(data.train), torch.tensor(data.train.labels)
    log = JsonLog(out / f"{name}.log.json")
    log.header(env_info=environment(), config=recipe.text(), seed=recipe.seed, exp_name=name)
    world = World(rank=0, size=1, local_size=1, device=device)
    iterations = len(images) // recipe.batch_size  # an incomplete last batch is left out
    for epoch in range(recipe.epochs):
        lr = recipe.lr_at(epoch)
        for group in optimizer.param_groups:
            group["lr"] = lr
        model.train()
        order = rng.permutation(len(images))
        clock = time.perf_counter()
        for i in range(iterations):
            rows = order[i * recipe.batch_size : (i + 1) * recipe.batch_size]
            crops = random_crops([images[row] for row in rows], recipe.crop, rng)  # (N, H, W, 3)
            x = normalise(crops.to(device), data.protocol)  # (N, 3, H, W)
            y = labels[torch.from_numpy(rows)].to(device)  # (N,)
            data_time = time.perf_counter() - clock
            losses = mixed_losses(
                model, x, y, draw_method(rng, recipe.method, x.shape, recipe.alpha)
            )
            optimizer.zero_grad()
            losses["loss"].backward()
            optimizer.step()
            scalars = {"loss": losses["loss"].item(), "acc": losses["acc"].item()}
            elapsed, clock = time.perf_counter() - clock, time.perf_counter()
            log.add({"data_time": data_time, **scalars, "time": elapsed})
            if (i + 1) % recipe.log_every == 0:
                log.train(epoch=epoch + 1, iteration=i + 1, lr=lr)
        counts = evaluate(model.eval().logits, data.val, data.protocol, workers=0, world=world)
        batches = math.ceil(len(data.val) / BATCH_SIZE)
        log.val(epoch=epoch + 1, batches=batches, lr=lr, heads=counts)
    return save(model, recipe, out / f"{name}.pth", iterations=recipe.epochs * iterations)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw fresh weights as torchvision's ResNet does, in place.

    Convolutions: Kaiming normal on fan-out (He et al., 2015, arXiv:1502.01852). Linear layers:
    torch's default, uniform in +-1/sqrt(fan_in). Batch norm: ones and zeros.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def save(model: nn.Module, recipe: Recipe, path: Path, iterations: int) -> Path:
    """Write weights and recipe atomically, in the layout of OpenMixup's checkpoints.

    Neither paths nor times go in, so equal weights give equal bytes. Returns `path`.
    """
    weights = OrderedDict((name, value.cpu()) for name, value in model.state_dict().items())
    meta = {
        "epoch": recipe.epochs,
        "iter": iterations,
        "seed": recipe.seed,
        "config": recipe.text(),
        "mixzoo_version": __version__,
    }
    # Through memory: torch writes a file's name into the file.
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": weights}, buffer)
    partial = path.with_suffix(".part")
    partial.write_bytes(buffer.getvalue())
    return partial.replace(path)


def environment() -> str:
    """The versions that a run depends on, one a line."""
    versions = {
        "sys.platform": platform.system().lower(),
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "Pillow": PIL.__version__,
        "mixzoo": __version__,
    }
    return "\n".join(f"{name}: {version}" for name, version in versions.items())
