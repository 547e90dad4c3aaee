"""Whatever keys, prefixes, objects and protocols weights are wrapped in: they load as what they are,
or one line says why not. Whatever bytes a file has: one line, or weights."""

import argparse
import enum
import functools
import io
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
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
from mixzoo.zoo.checkpoint.unpickle import MOST_OPCODES
from mixzoo.zoo.errors import CheckpointError, MixzooError, UsageError
from mixzoo.zoo.nets import Classifier, ResNetConfig
from safetensors.torch import save

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
    torch.float16,
    torch.device("cpu"),
    torch.Size([2]),
    torch.nn.Linear(2, 2),
    {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
]


PLAIN = read_checkpoint(MINI / "resnet18_w6.mixup_mini.pth").state_dict


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
        expected = load_file(MINI / "resnet18_w6.mixup_mini.pth")(images)
        assert torch.equal(load_file(path)(images), expected)


def test_the_four_headed_networks_are_found_under_a_prefix_too(tmp_path: Path) -> None:
    """AutoMix's two backbones are one network, and its short names stay aliases."""
    entries = read_checkpoint(MINI / "resnet18_w6.automix_mini.pth").state_dict
    wrapped = {f"model._orig_mod.{name}": value for name, value in entries.items()}

    model = load_file(saved({"module": wrapped}, tmp_path))

    assert (model.method, model.remarks) == ("automix", ())
    expected = load_file(MINI / "resnet18_w6.automix_mini.pth").state_dict()
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


FRAGMENTS = [
    *(b"}", b"]", b")", b"(", b"0", b"1", b"2", b"N", b"\x88", b"u", b"s", b"e", b"a", b"t"),
    *(b"\x85", b"\x86", b"\x87", b"R", b"\x81", b"\x92", b"b", b"o", b"Q", b"\x93", b"\x94"),
    *(b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"h\x07", b"\x8f", b"\x90", b"\x91", b"d", b"l"),
    *(b"K\x00", b"K\x04", b"M\xff\xff", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 7 + b"\x7f"),
    *(b"G" + struct.pack(">d", 0.5), b"X\x07\x00\x00\x00storage", b"X\x01\x00\x00\x000"),
    *(b"X\x0c\x00\x00\x00conv1.weight", b"X\x15\x00\x00\x00layer1.0.conv1.weight", b"\x8c\x03cpu"),
    *(b"ctorch\nFloatStorage\n", b"ctorch\nQInt8Storage\n", b"ctorch._utils\n_rebuild_tensor_v2\n"),
    *(b"ctorch._utils\n_rebuild_parameter\n", b"ctorch._tensor\n_rebuild_from_type_v2\n"),
    *(b"ctorch\nTensor\n", b"ccollections\nOrderedDict\n", b"cbuiltins\ngetattr\n", b"cx\ny\n"),
    *(
        b"itorch\nTensor\n",
        b"cposix\nsystem\n",
        b"\x95" + bytes(8),
        b"\x80\x05",
        b"I01\n",
        b"L5L\n",
    ),
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ",
    b"(h\x00K\x00K\x04\x85K\x01\x85\x89}t",
]


@settings(max_examples=400, **QUIETLY)
@given(fragments=st.lists(st.sampled_from(FRAGMENTS), max_size=40), as_zip=st.booleans())
def test_any_opcodes_are_one_line_or_a_dict(
    fragments: list[bytes], as_zip: bool, tmp_path: Path
) -> None:
    """No sequence of opcodes ends in anything but tensors or a CheckpointError."""
    pickled = b"\x80\x02" + b"".join(fragments) + b"."
    path = tmp_path / "a.pth"
    if as_zip:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", pickled)
            archive.writestr("a/data/0", bytes(16))
    else:
        start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        end = pickle.dumps(["0"], 2) + struct.pack("<q", 4) + bytes(16)
        path.write_bytes(start + pickle.dumps({}, 2) + pickled + end)

    found, said = {}, "a.pth: "
    try:
        found = read_checkpoint(path).state_dict
    except CheckpointError as error:
        said = str(error)

    assert said.startswith("a.pth: ")
    assert said.isprintable()
    assert all(type(value) is torch.Tensor for value in found.values())


@settings(max_examples=150, **QUIETLY)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5),
    cut=st.none() | st.floats(0, 1),
    kind=st.sampled_from(["zip", "packed", "legacy", "safetensors"]),
)
def test_any_damage_is_one_line_or_a_whole_network(
    changes: list[tuple[float, int]], cut: float | None, kind: str, tmp_path: Path
) -> None:
    """Bytes that are changed or cut off: a MixzooError of one line, or all 122 weights."""
    content = bytearray(_whole(kind))
    for place, byte in changes:
        content[int(place * (len(content) - 1))] = byte
    path = tmp_path / "a.pth"
    path.write_bytes(content if cut is None else content[: int(cut * len(content))])

    architecture, said = "resnet18_w2", ""
    try:
        architecture = load_file(path).architecture
    except MixzooError as error:
        said = str(error)

    assert architecture == "resnet18_w2"
    assert said.isprintable()


@functools.cache
def _whole(kind: str) -> bytes:
    """A small network in a container; most of its bytes aren't weights."""
    entries = Classifier(ResNetConfig.from_name("resnet18_w2"), 3).state_dict()
    if kind == "safetensors":
        return save(entries)
    written, packed = io.BytesIO(), io.BytesIO()
    content = {"state_dict": entries, "meta": {"epoch": 3}}
    torch.save(content, written, _use_new_zipfile_serialization=kind != "legacy")
    if kind != "packed":
        return written.getvalue()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return packed.getvalue()


def _zip(path: Path, pickled: bytes, storage: bytes = b"", packing: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", storage)
    return path


def _bombs(folder: Path) -> dict[str, Path]:
    """Files that ask for far more memory or time than they have bytes."""
    huge = b"\x80\x02}X\x01\x00\x00\x00xcbuiltins\nbytearray\n\x8a\x05\x00\x5e\xd0\xb2\x00\x85Rs."
    nested = b"\x80\x02})" + b"\x86q\x00h\x00" * 60 + b"K\x01s."
    deep = b"\x80\x02})" + b"\x85" * (MOST_OPCODES // 2) + b"K\x01s."
    copies = b"".join(
        (b"\x80\x02](", b"]K\x01aK\x01a" * 1000, b"eq\x00ccollections\nOrderedDict\nq\x01")
    )
    claimed = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"text"
    (folder / "i.pth").write_bytes(claimed)
    (folder / "many").mkdir()
    names = b"\x80\x04X\xff\xff\x0f\x00" + b"a" * 0xFFFFF + b"\x94" + b"h\x00h\x00\x93" * 90_000
    shared = torch.zeros(1 << 20)
    listed = OrderedDict((f"layer{i}.weight", shared.view(1 << 10, 1 << 10)) for i in range(900))
    return {
        "a bytearray": _zip(folder / "a.pth", huge),
        "a tuple of tuples as a key": _zip(folder / "b.pth", nested),
        "a deep tuple as a key": _zip(folder / "c.pth", deep),
        "a million dicts": _zip(folder / "d.pth", b"\x80\x02" + b"}q\x01" * 500_000 + b"."),
        "copies of a list": _zip(folder / "e.pth", copies + b"h\x01h\x00\x85R0" * 5000 + b"."),
        "zeros, packed": _zip(folder / "f.pth", huge[:3] + b".", bytes(64 << 20), 8),
        "a text, packed": _zip(
            folder / "g.pth", b"\x80\x02X\x00\x00\x00\x04" + bytes(64 << 20) + b".", packing=8
        ),
        "a length without a text": folder / "i.pth",
        "names of a million letters": _zip(folder / "j.pth", names + b"."),
        "one storage for all": saved(listed, folder / "many"),
    }


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """Every one is a line, within memory of the order of its own size."""
    for name, path in _bombs(tmp_path).items():
        tracemalloc.start()
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < 100 << 20, name
