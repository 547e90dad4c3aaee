"""The networks of a run as they are before the first step."""

import torch
from torch import nn

from ..zoo.nets import Classifier, MixClassifier, ResNetConfig
from ..zoo.nets.resnet import BasicBlock, Bottleneck
from .automix_step import copy_q_to_k, freeze_k
from .recipe import Recipe

HEAD_STD = MIX_BLOCK_STD = 0.01


def fresh_network(recipe: Recipe) -> Classifier | MixClassifier:
    """The recipe's network with weights drawn from its seed, on the CPU, in training mode.

    Of AutoMix and SAMix, k is a frozen copy of q.
    """
    config = ResNetConfig.from_name(recipe.architecture)
    rng = torch.Generator().manual_seed(recipe.seed)
    if not recipe.learnt:
        plain = Classifier(config, recipe.num_classes)
        initialise(plain, rng)
        return plain.train()
    model = MixClassifier(config, recipe.num_classes, recipe.method)
    initialise(model, rng)
    copy_q_to_k(model)
    freeze_k(model)
    return model.train()


def initialise(model: nn.Module, rng: torch.Generator) -> None:
    """Draw fresh weights as OpenMixup does, in place.

    Backbone: Kaiming normal on fan-out (He et al., 2015, arXiv:1502.01852), and each block's last
    batch norm at 0, so that blocks start as their shortcuts (Goyal et al., 2017, arXiv:1706.02677).
    Heads and mix block: normal with deviation 0.01, biases 0.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=HEAD_STD, generator=rng)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d) and "mix_block" in name:
            nn.init.normal_(module.weight, std=MIX_BLOCK_STD, generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=rng
            )
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
