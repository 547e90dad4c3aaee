"""One spelling for the entries of a checkpoint, whichever tool or year it comes from.

Spellings known: OpenMixup's present and older releases, wrapped by DataParallel or not, and
torchvision's and timm's ResNets. Renaming never looks at values, except to prove that two names
for one thing hold the same thing.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError

# OpenMixup lists its k side twice: `backbone` is `backbone_k`, `head` is `head_one_k`.
ALIASES = {"backbone.": "backbone_k.", "head.": "head_one_k."}
_BARE = re.compile(r"(conv1|bn1|layer[1-4])\.")  # torchvision and timm; their head is `fc`


def canonical(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under the names of `mixzoo.zoo.nets`, in their order; same tensors.

    Averaged copies (`ema_*`) are dropped. Raises CheckpointError where two names become one but
    their values differ.
    """
    bare = not any(_unwrapped(name).startswith(("backbone", "head")) for name in state_dict)
    two_sided = any(_unwrapped(name).startswith("backbone_q.") for name in state_dict)
    entries: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    for old, value in state_dict.items():
        name = _unwrapped(old)
        if name.startswith("ema_"):
            continue
        name = _todays(name)
        if bare:
            name = _prefixed(name)
        if two_sided:
            name = _k_side(name)
        if name in entries and not _same(entries[name], value):
            raise CheckpointError(
                f"'{origins[name]}' and '{old}' are two names of one thing but hold different "
                "values; the file was put together wrongly, get another copy"
            )
        entries[name] = value
        origins[name] = old
    return entries


def _unwrapped(name: str) -> str:
    return name.removeprefix("module.")


def _todays(name: str) -> str:
    """Names of releases before 2022-08-22 in today's spelling."""
    if "mix_block" in name:
        name = re.sub(r"\b(query|key)\.(weight|bias)$", r"\1.conv.\2", name)
    return re.sub(r"\bfc_cls\b", "fc", name)


def _prefixed(name: str) -> str:
    if name.startswith("fc."):
        return f"head.{name}"
    return f"backbone.{name}" if _BARE.match(name) else name


def _k_side(name: str) -> str:
    for alias, full in ALIASES.items():
        if name.startswith(alias):
            return full + name.removeprefix(alias)
    return name


def _same(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b))
