"""One spelling for the entries of a checkpoint, whichever tool or year it comes from.

Spellings known: OpenMixup's present and older releases, and torchvision's and timm's ResNets; all
of them as they are, or inside of whatever modules wrapped the network (DataParallel, torch.compile,
a LightningModule). Renaming never looks at values, except to prove that two names for one thing
hold the same thing.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError

# OpenMixup lists its k side twice: `backbone` is `backbone_k`, `head` is `head_one_k`.
ALIASES = {"backbone.": "backbone_k.", "head.": "head_one_k."}
AVERAGED = "ema_"
"""Starts the names of an averaged copy that mmcv's EMAHook puts beside each entry."""

_BARE = re.compile(r"^(conv1|bn1|layer[1-4])\.")  # torchvision and timm; their head is `fc`
# Wrappers that may stand anywhere in a name: of DataParallel, torch.compile, FSDP, DeepSpeed and
# Lightning
_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_forward_module|_checkpoint_wrapped_module|"
    r"_fsdp_wrapped_module)\."
)
_BACKBONE = re.compile(r"(?:^|(?<=\.))backbone(_[qk])?\.$")
_FIRST, _STEM = "layer1.0.conv1.weight", "conv1.weight"  # of every ResNet


def canonical(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under the names of `mixzoo.zoo.nets`, in their order; same tensors.

    Averaged copies (`ema_*`) are dropped. Raises CheckpointError where two names become one but
    their values differ.
    """
    roots = roots_of(state_dict)
    root = roots[0] if len(roots) == 1 else ""
    names = {old: unwrapped(old).removeprefix(root) for old in state_dict}
    bare = not any(name.startswith(("backbone", "head")) for name in names.values())
    two_sided = any(name.startswith("backbone_q.") for name in names.values())
    entries: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    for old, value in state_dict.items():
        name = names[old]
        if name.startswith(AVERAGED):
            continue
        if "mix_block" in name:  # of releases before 2022-08-22
            name = re.sub(r"\b(query|key)\.(weight|bias)$", r"\1.conv.\2", name)
        name = re.sub(r"\bfc_cls\b", "fc", name)  # likewise
        if bare:
            name = _BARE.sub(r"backbone.\g<0>", re.sub(r"^fc\.", "head.fc.", name))
        for alias, full in ALIASES.items() if two_sided else ():
            name = re.sub(f"^{re.escape(alias)}", full, name)
        if name in entries and not _same(entries[name], value):
            raise CheckpointError(
                f"'{origins[name]}' and '{old}' are two names of one thing but hold different "
                "values; the file was put together wrongly; get another copy."
            )
        entries[name] = value
        origins[name] = old
    return entries


def roots_of(names: Iterable[str]) -> list[str]:
    """What stands before the names of each ResNet classifier among `names`, wrappers left out.

    For `module.model.backbone.conv1.weight` and its like that is `model.`. A network without its
    head counts too, one without its first convolutions doesn't.
    """
    known = {unwrapped(name) for name in names}
    found: dict[str, None] = {}
    for name in known:
        before = name.removesuffix(_FIRST)
        if before != name and (before == "" or before.endswith(".")) and before + _STEM in known:
            own_head = f"{before}fc.weight" in known  # torchvision's and timm's
            found[before if own_head else _BACKBONE.sub("", before)] = None
    return sorted(found)


def unwrapped(name: str) -> str:
    """A name without the modules that only wrap others, wherever and how often they stand."""
    return _WRAPPERS.sub("", name)


def _same(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b))
