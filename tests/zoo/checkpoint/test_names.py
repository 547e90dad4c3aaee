"""One spelling for all checkpoints: the reference's own converters, torchvision, aliases."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.zoo.checkpoint.names import canonical
from mixzoo.zoo.errors import CheckpointError

CASES = [
    "old_automix_module_ema",
    "old_samix",
    "old_mixups",
    "new_names_untouched",
    "mixed_prefix",
]
# Two slips of the reference's converter that aren't repeated: it looks for `ema_` before it takes
# `module.` away, and takes seven letters from every name that starts with `module`.
SLIPS = {"module.ema_backbone_conv1_weight": None, "modulelist.0.weight": "modulelist.0.weight"}


@pytest.mark.parametrize("case", CASES)
def test_old_names_become_those_of_the_reference_converter(case: str, golden: Path) -> None:
    """Every recorded rename is repeated, with the entry's own tensor, in the same order."""
    mapping = json.loads((golden / "state_dict" / "legacy_keys.json").read_text())[case]["mapping"]
    entries = {old: torch.tensor(float(i)) for i, (old, _) in enumerate(mapping)}
    expected = {SLIPS.get(old, new): entries[old] for old, new in mapping}
    expected.pop(None, None)

    assert list(canonical(entries).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (
            ["conv1.weight", "layer1.0.bn1.bias", "fc.bias"],
            ["backbone.conv1.weight", "backbone.layer1.0.bn1.bias", "head.fc.bias"],
        ),
        (["patch_embed.proj.weight"], ["patch_embed.proj.weight"]),
        (["backbone.conv1.weight", "head.fc.bias"], ["backbone.conv1.weight", "head.fc.bias"]),
    ],
    ids=["torchvision and timm", "another network", "one backbone"],
)
def test_names_of_one_backbone(stored: list[str], expected: list[str]) -> None:
    """A ResNet becomes a backbone and a head; whatever has its names already keeps them."""
    assert list(canonical({name: torch.zeros(1) for name in stored})) == expected


def test_equal_copies_of_the_k_side_become_one(tiny: Callable) -> None:
    """Files from GPU runs hold the k side twice, as separate copies with equal values."""
    entries = {name: value.clone() for name, value in tiny("automix").items()}

    names = set(canonical(entries))

    assert not [name for name in names if name.startswith(("backbone.", "head."))]
    assert {name for name in entries if "_k." in name} <= names


def test_the_k_side_under_its_short_names_alone_is_enough(tiny: Callable) -> None:
    """`backbone` and `head` stand for `backbone_k` and `head_one_k` where only they are stored."""
    entries = tiny("automix")
    short = {
        name: value
        for name, value in entries.items()
        if not name.startswith(("backbone_k.", "head_one_k."))
    }

    assert set(canonical(short)) == set(canonical(entries))


def test_copies_that_differ_are_refused_with_the_first_name(tiny: Callable) -> None:
    """Two names of one tensor with different values can't both be right."""
    entries = tiny("samix")
    entries["head.fc.bias"] = entries["head.fc.bias"] + 1

    with pytest.raises(CheckpointError, match=r"'head_one_k.fc.bias' and 'head.fc.bias'"):
        canonical(entries)


def test_the_aliases_of_the_inventory_are_those_that_are_folded(golden: Path) -> None:
    """The pairs that share storage in the reference are exactly the ones that `keys` unites."""
    recorded = json.loads((golden / "state_dict" / "automix_r50.json").read_text())
    for pair in recorded["shared_storage_groups"]:
        value = torch.zeros(1)

        folded = canonical({"backbone_q.x": value, **dict.fromkeys(pair, value)})

        assert list(folded) == ["backbone_q.x", pair[1]]
