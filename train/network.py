"""The networks of a run: how they begin, how k follows q, who optimises them, who shares them.

Of AutoMix and SAMix, q is the classifier, k a slow copy of it, and the mix block makes the images
(AutoMix, Liu et al., 2022, arXiv:2103.13027).
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..eval.world import World
from ..zoo.nets import Classifier, ForeignClassifier, MixClassifier, make
from ..zoo.nets.classifiers import draw_new
from ..zoo.nets.foreign import Foreign, try_size
from ..zoo.nets.named import TIMM
from ..zoo.nets.resnet import BasicBlock, Bottleneck
from .recipe import Recipe


def fresh_network(recipe: Recipe) -> Classifier | MixClassifier:
    """The recipe's network with weights drawn from its seed, on the CPU, in training mode.

    Of AutoMix and SAMix, k is a frozen copy of q.
    """
    kind = recipe.method if recipe.learnt else "plain"
    model = make(recipe.architecture, recipe.num_classes, kind, recipe.seed)
    if not isinstance(model, Foreign):
        initialise(model, torch.Generator().manual_seed(recipe.seed))
    elif isinstance(model, ForeignClassifier) and "manifoldmix" in recipe.mix_mode:
        model.check_stages()
    if isinstance(model, MixClassifier):
        copy_q_to_k(model)
        freeze_k(model)
    if recipe.freeze:
        for name, parameter in model.named_parameters():
            if is_backbone(model, name):
                parameter.requires_grad_(False)
    return in_training(model, recipe)


def check_network(recipe: Recipe, crop: int) -> None:
    """Raise UsageError for a foreign network that can't be trained by the recipe, or can't see the
    images of its crop or of the validation's."""
    if recipe.architecture.startswith(TIMM):
        model = fresh_network(recipe)
        for size in sorted({recipe.crop, crop}):
            try_size(model, size, recipe.architecture)


def is_backbone(model: Classifier | MixClassifier, name: str) -> bool:
    """Whether a parameter belongs to a backbone: neither to a head nor to the mix block."""
    own_head = f".{model.classifier}." if isinstance(model, Foreign) else "."
    return name.startswith("backbone") and (own_head == "." or own_head not in name)


def in_training(model: Classifier | MixClassifier, recipe: Recipe) -> Classifier | MixClassifier:
    """The model in training mode, in place; frozen backbones keep their batch norms' statistics."""
    model.train()
    for name, part in model.named_children():
        if recipe.freeze and name.startswith("backbone"):
            part.eval()
    return model


def initialise(model: nn.Module, rng: torch.Generator) -> None:
    """Draw fresh weights as OpenMixup does, in place.

    Backbone: Kaiming normal on fan-out (He et al., 2015, arXiv:1502.01852), and each block's last
    batch norm at 0, so that blocks start as their shortcuts (Goyal et al., 2017, arXiv:1706.02677).
    Heads and mix block: normal with deviation 0.01, biases 0.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear) or "mix_block" in name:
            draw_new(module, rng)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=rng
            )
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)


@torch.no_grad()
def copy_q_to_k(model: MixClassifier) -> None:
    """Make k's parameters those of q, in place, as they are when training starts."""
    for k, q in zip(model.side("k"), model.side("q"), strict=True):
        k.copy_(q)


def freeze_k(model: MixClassifier) -> None:
    """Keep gradients from the k side, in place: from now on it only follows q."""
    for parameter in model.side("k"):
        parameter.requires_grad_(False)


@torch.no_grad()
def momentum_update(model: MixClassifier, momentum: float) -> None:
    """Move the k side to momentum * k + (1 - momentum) * q, in place, after the optimizer's step.

    The backbone and both heads; parameters only, the statistics of k's batch norm are its own.
    momentum: in [0, 1], 0.999 when training starts.
    """
    k, q = (list[Tensor](model.side(side)) for side in "kq")
    get_ema_multi_avg_fn(momentum)(k, q, 0)  # all at once: a few launches on a GPU, not hundreds


def optimizer_of(model: Classifier | MixClassifier, recipe: Recipe) -> torch.optim.SGD:
    """SGD with a group of its own for the mix block, whose rate falls to another floor, and one for
    the backbones where their rate is another than the heads'."""
    own = recipe.backbone_lr_mult != 1
    block, backbones, networks = [], [], []
    for name, parameter in model.named_parameters():
        if name.startswith("mix_block."):
            block.append(parameter)
        else:
            (backbones if own and is_backbone(model, name) else networks).append(parameter)
    groups = [{"params": networks}, {"params": backbones}, {"params": block}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        recipe.lr,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def parallel(step: nn.Module, world: World) -> nn.Module:
    """The step, its gradients averaged over all processes; rank 0's batch norm counts for all.

    Looking for unused parameters keeps the buckets in which gradients are summed as they are: torch
    would regroup them after the first step, and so again after an interruption, and the last bits
    of a sum over three or more processes may depend on it.
    """
    if world.size == 1:
        return step
    gpu = world.device.type == "cuda"
    group = dist.new_group(backend="nccl") if gpu else None
    return DistributedDataParallel(step, process_group=group, find_unused_parameters=not gpu)


def share_buffers(model: nn.Module, step: nn.Module) -> None:
    """Give all processes the first one's batch norm statistics, in place. step: of `parallel`."""
    if isinstance(step, DistributedDataParallel):
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0, group=step.process_group)
