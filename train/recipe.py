"""What decides a training run, apart from the images."""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Recipe:
    """One run: the network, the mixing method, and the PyTorch recipe of the benchmark.

    SGD with momentum, cosine by epoch from `lr` to 0, RandomResizedCrop (bicubic) to `crop` pixels
    and flip. `method` is one of `mixing.METHODS`; `alpha` is that of Beta(alpha, alpha), which
    vanilla doesn't draw.
    """

    architecture: str
    num_classes: int
    method: str
    alpha: float
    epochs: int
    batch_size: int
    crop: int
    seed: int
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    log_every: int = 10  # iterations per train line of the log

    def text(self) -> str:
        """One `name = value` a line, in Python's notation, for logs and checkpoints."""
        return "".join(f"{name} = {value!r}\n" for name, value in asdict(self).items())

    def lr_at(self, epoch: int) -> float:
        """Learning rate of an epoch counted from 0: the reference's cosine by epoch."""
        return 0.5 * self.lr * (1 + math.cos(math.pi * epoch / self.epochs))
