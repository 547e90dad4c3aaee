"""Whatever bytes a file has: weights or one line, in memory of the order of the file's own size."""

import functools
import io
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.checkpoint.unpickle import MOST_OPCODES
from mixzoo.zoo.errors import CheckpointError, MixzooError
from mixzoo.zoo.nets import Classifier, ResNetConfig
from safetensors.torch import save

# Files are written over in one folder
QUIETLY: Any = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}

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
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ",
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
    many = folder / "many.pth"
    names = b"\x80\x04X\xff\xff\x0f\x00" + b"a" * 0xFFFFF + b"\x94" + b"h\x00h\x00\x93" * 90_000
    shared = torch.zeros(1 << 20)
    listed = OrderedDict((f"layer{i}.weight", shared.view(1 << 10, 1 << 10)) for i in range(900))
    torch.save(listed, many)
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
        "one storage for all": many,
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
