"""Whatever keys, prefixes, objects and protocols weights are wrapped in: they load as they are.

Or one line says why not.
"""

import argparse
import enum
import re
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.zoo.catalog import package_path
from mixzoo.zoo.checkpoint.load import build, load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import CheckpointError, UsageError

from ...mini_rows import AUTOMIX, MIXUP, weights

MINI = package_path("zoo") / "mini" / "assets"
Entries = dict[str, torch.Tensor]
# Files are written over in one folder
QUIETLY: Any = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}


class Phase(enum.Enum):
    """A setting, as configurations have them."""

    TRAIN = "train"


@dataclass
class Settings:
    """A configuration of one's own."""

    lr: float = 0.1


class Config(dict):
    """As yacs and mmengine have them: a dict with attributes."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.__dict__["frozen"] = True


OBJECTS = [
    Phase.TRAIN,
    Settings(),
    Config(model=Config(depth=18)),
    SimpleNamespace(lr=0.1, out=Path("runs")),
    argparse.Namespace(lr=0.1),
    defaultdict(list, loss=[1.0, 2.0]),
    datetime(2022, 8, 22, 12, 30),
    date(2022, 8, 22),
    Decimal("0.1"),
    PurePosixPath("runs"),
    np.float64(59.6),
    np.arange(5),
    {"a", "b"},
    frozenset({1}),
    bytearray(b"abc"),
    b"abc",
    1 + 2j,
    range(3),
    slice(1, 2),
    re.compile("a+"),
    Fraction(1, 3),
    datetime(2022, 8, 22, tzinfo=UTC),
    torch.float16,
    torch.device("cpu"),
    torch.Size([2]),
    torch.nn.Linear(2, 2),
    {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
]


PLAIN = read_checkpoint(weights(MIXUP)).state_dict


def saved(content: Any, folder: Path, protocol: int = 2, *, as_zip: bool = True) -> Path:
    """The file that torch writes."""
    path = folder / "a.pth"
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=as_zip)
    return path


def spelt(entries: Entries, *, bare: bool, prefix: str = "", inner: str = "") -> Entries:
    """Entries under torchvision's names, behind a prefix, or with a wrapped backbone."""
    if bare:
        names = {name: re.sub(r"^(backbone|head)\.", "", name) for name in entries}
    else:
        names = {name: name.replace("backbone.", f"backbone.{inner}") for name in entries}
    return {prefix + names[name]: value for name, value in entries.items()}


def same(model: torch.nn.Module, entries: Entries) -> bool:
    """Whether a model has these weights; batch norms' counts take no part."""
    found = model.state_dict()
    return found.keys() >= entries.keys() and all(
        torch.equal(found[name], value.to(found[name].dtype)) for name, value in entries.items()
    )


WRAPPERS = ["module.", "_orig_mod.", "model.", "net.", "_forward_module.", "resnet."]
KEYS = ["state_dict", "model", "net", "module", "model_state_dict", "weights", "params"]
AVERAGES = ["state_dict_ema", "model_ema", "ema", "swa_model", "names"]


@settings(max_examples=40, **QUIETLY)
@given(data=st.data())
def test_any_wrapping_gives_the_same_weights_or_says_what_is_ambiguous(
    data: st.DataObject, tmp_path: Path
) -> None:
    """Keys, prefixes, protocols, objects beside the weights, counts, half precision, averages."""
    draw = data.draw
    counted = draw(st.booleans())
    dtype = draw(st.sampled_from([torch.float32, torch.float32, torch.float16, torch.bfloat16]))
    kept = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in PLAIN.items()
        if counted or not name.endswith("num_batches_tracked")
    }
    averaged = {n: v + 1 if v.is_floating_point() else v for n, v in kept.items()}
    spelling = {
        "bare": draw(st.booleans()),
        "prefix": "".join(draw(st.lists(st.sampled_from(WRAPPERS), max_size=3))),
        "inner": draw(st.sampled_from(["", "", "_orig_mod."])),
    }
    weights: dict[str, Any] = OrderedDict(spelt(kept, **spelling))
    average = draw(st.none() | st.sampled_from(AVERAGES))
    if average == "names":
        ema = {f"ema_{name.replace('.', '_')}": value for name, value in averaged.items()}
        weights |= {spelling["prefix"] + name: value for name, value in ema.items()}
        spelling = {"bare": False, "prefix": spelling["prefix"], "inner": ""}
        weights = spelt(kept, **spelling) | {spelling["prefix"] + n: v for n, v in ema.items()}
    keys = draw(st.lists(st.sampled_from(KEYS), max_size=3))
    content = weights
    for key in reversed(keys):
        content = {key: content}
    if keys:
        content["epoch"] = 40
        for i, beside in enumerate(draw(st.lists(st.sampled_from(OBJECTS), max_size=4))):
            content[f"object_{i}"] = beside
        if average not in (None, "names"):
            content[average] = spelt(averaged, bare=True, prefix="module.")
    teacher = draw(st.booleans()) and bool(keys)
    if teacher:
        content["teacher"] = spelt(averaged, bare=True)
    protocol, as_zip = draw(st.integers(2, 5)), draw(st.booleans())

    path = saved(content, tmp_path, protocol, as_zip=as_zip)

    if teacher:
        with pytest.raises(CheckpointError, match=r"holds 2 networks, .*'teacher'"):
            load_file(path)
        assert same(build(read_checkpoint(path, "teacher")), averaged)
        return
    model = load_file(path)
    assert same(model, kept)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert any("stored as" in text for text in model.remarks) == (dtype != torch.float32)
    left_out = read_checkpoint(path).averaged
    assert bool(left_out) == (average == "names" or (average is not None and bool(keys)))
    assert any("averaged copy" in text for text in model.remarks) == bool(left_out)
    for part in left_out:
        assert same(build(read_checkpoint(path, part)), averaged)


def test_a_wrapped_file_gives_the_logits_of_the_plain_one(tmp_path: Path) -> None:
    """Equal weights are equal answers."""
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    wrapped = spelt(PLAIN, bare=True, prefix="module._orig_mod.model.")

    path = saved({"net": wrapped, "config": OBJECTS[2]}, tmp_path, 4)

    with torch.inference_mode():
        expected = load_file(weights(MIXUP))(images)
        assert torch.equal(load_file(path)(images), expected)


def test_the_four_headed_networks_are_found_under_a_prefix_too(tmp_path: Path) -> None:
    """AutoMix's two backbones are one network, and its short names stay aliases."""
    entries = read_checkpoint(weights(AUTOMIX)).state_dict
    wrapped = {f"model._orig_mod.{name}": value for name, value in entries.items()}

    model = load_file(saved({"module": wrapped}, tmp_path))

    assert (model.method, model.remarks) == ("automix", ())
    expected = load_file(weights(AUTOMIX)).state_dict()
    assert same(model, expected)


def test_what_stands_beside_a_network_is_left_out_and_said(tmp_path: Path) -> None:
    """A LightningModule has its loss and its metrics beside the network."""
    names = spelt(PLAIN, bare=True, prefix="model.") | {"loss.weight": torch.ones(40)}
    path = saved({"state_dict": names, "pytorch-lightning_version": "2.2"}, tmp_path)

    model = load_file(path)

    assert same(model, PLAIN)
    assert model.remarks == (
        "what stands beside the network in the file was left out: loss.weight",
    )
    with pytest.raises(UsageError, match="--part x: expected a part of the file: state_dict"):
        read_checkpoint(path, "x")


def test_an_averaged_model_says_what_it_is(tmp_path: Path) -> None:
    """torch.optim.swa_utils writes a count beside the weights, torch_ema a list without names."""
    averaged = spelt(PLAIN, bare=True, prefix="module.") | {"n_averaged": torch.tensor(5)}
    listed = {"model": PLAIN, "ema": {"shadow_params": list(PLAIN.values()), "decay": 0.9}}

    (said,) = load_file(saved(averaged, tmp_path)).remarks
    (left_out,) = load_file(saved(listed, tmp_path)).remarks

    assert said == "its weights are an averaged copy, not those of the last step"
    assert left_out.startswith("an averaged copy of the weights (ema.shadow_params) stands in")


def test_two_names_for_the_same_tensors_are_no_choice(tmp_path: Path) -> None:
    """A module that is registered twice is saved twice, with shared memory."""
    twice = {f"{name}{key}": v for key, v in PLAIN.items() for name in ("model.", "net.")}

    assert same(load_file(saved({"state_dict": twice, "model": PLAIN}, tmp_path)), PLAIN)


def test_an_average_alone_is_taken_and_said(tmp_path: Path) -> None:
    """Nothing else could be meant."""
    model = load_file(saved({"model_ema": PLAIN, "model": None}, tmp_path))

    assert same(model, PLAIN)
    assert model.remarks == (
        "its weights are an averaged copy (model_ema), not those of the last step",
    )


@pytest.mark.parametrize(
    ("content", "epoch"),
    [
        ({"arch": "resnet18", "version": 2, "epoch": 39}, 40),
        ({"model": {}, "optimizer": {}, "lr_scheduler": {}, "args": None, "epoch": 39}, 40),
        ({"pytorch-lightning_version": "2.2.1", "global_step": 1080, "epoch": 39}, 40),
        ({"meta": {"epoch": 40}, "epoch": 39}, 40),
        ({"epoch": 39}, None),
    ],
    ids=["timm", "torchvision", "Lightning", "mmcv", "nobody known"],
)
def test_epochs_count_from_1_or_not_at_all(
    content: dict[str, Any], epoch: int | None, tmp_path: Path
) -> None:
    """Who counts from 0 is known by what else it writes; of others no claim is made."""
    where = "model" if "model" in content else "state_dict"

    meta = read_checkpoint(saved(content | {where: PLAIN}, tmp_path)).meta

    assert meta.get("epoch") == epoch
    assert str(meta.get("epoch_written", "39")).startswith("39")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("backbone.bn1.running_var", lambda x: x.fill_(torch.nan), "holds a NaN"),
        ("backbone.conv1.weight", lambda x: x.fill_(torch.inf), "holds an infinity"),
        ("backbone.bn1.running_var", lambda x: x.neg_(), "holds a negative variance"),
        ("head.fc.weight", lambda x: x.to(torch.complex64), "holds complex64 numbers"),
        ("head.fc.weight", lambda x: x.to(torch.int32), "holds int32 numbers"),
        ("head.fc.weight", lambda x: x > 0, "holds bool numbers"),
        ("head.fc.weight", lambda x: x.to_sparse(), r"no plain tensor \(torch._utils._rebuild_sp"),
        ("head.fc.weight", lambda x: x.to("meta"), r"no plain tensor \(torch._utils._rebuild_meta"),
        ("head.fc.weight", lambda x: x[:1].clone().expand(x.shape), "no plain tensor"),
        (
            "head.fc.weight",
            lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
            r"no plain tensor \(torch._utils._rebuild_qtensor",
        ),
        ("head.fc.weight", lambda x: x.numpy(), "no plain tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize.*")
def test_weights_that_are_no_sound_numbers_are_refused_by_name(
    name: str, change: Any, message: str, tmp_path: Path
) -> None:
    """One line, whatever a file holds in the place of a weight."""
    path = saved({"state_dict": PLAIN | {name: change(PLAIN[name].clone())}}, tmp_path)

    with pytest.raises(CheckpointError, match=message) as caught:
        load_file(path)

    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: torch.cat([x, x])[len(x) :],  # a view into a larger storage
        lambda x: x.T.contiguous().T,
        torch.nn.Parameter,
        lambda x: x.double(),
    ],
)
def test_other_layouts_of_the_same_numbers_load(change: Any, tmp_path: Path) -> None:
    """Views, transposed memory, parameters, float64."""
    changed = PLAIN | {"head.fc.weight": change(PLAIN["head.fc.weight"])}

    assert same(load_file(saved(changed, tmp_path)), PLAIN)


def test_untrained_statistics_are_said(tmp_path: Path) -> None:
    """A network whose batch norms never saw an image."""
    fresh = {
        name: torch.zeros_like(value)
        if name.endswith("running_mean")
        else torch.ones_like(value)
        if name.endswith("running_var")
        else value
        for name, value in PLAIN.items()
    }

    (remark,) = load_file(saved(fresh, tmp_path)).remarks

    assert "those of an untrained network" in remark


@pytest.mark.parametrize("part", ["backbone.layer4.1.bn2.", "head.fc.bias"])
def test_what_is_as_it_was_made_is_said(tmp_path: Path, part: str) -> None:
    """A loader that takes the keys it knows left these out, and the network was saved again."""
    trained = {
        name: torch.full_like(value, 7) if name.endswith("num_batches_tracked") else value
        for name, value in PLAIN.items()
    }
    trained["head.fc.bias"] = torch.ones_like(PLAIN["head.fc.bias"])
    left = {
        name: torch.zeros_like(value) if name.startswith(part) and "var" not in name else value
        for name, value in trained.items()
    }

    (remark,) = load_file(saved(left, tmp_path)).remarks

    assert load_file(saved(trained, tmp_path)).remarks == ()
    assert f"as a new network has them, and no trained one: {part.rstrip('.')}" in remark
