"""Reading files: every format, nothing run, and a clear line for what isn't a checkpoint."""

import argparse
import gzip
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import CheckpointError

from ..packing import tarred, zipped
from .test_wrappings import OBJECTS

WEIGHTS = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "bn1.num": torch.tensor(3)}
FORMATS = {"torch-zip": True, "torch-legacy": False}


class Payload:
    """Leaves a file behind where unpickling runs it."""

    def __init__(self, call: Callable, *arguments: Any) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> tuple:
        """The call that a careless reader would make."""
        return self.reduced


def _save(stored: Any, path: Path, kind: str = "torch-zip", protocol: int = 2) -> Path:
    torch.save(
        stored,
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=FORMATS[kind],
    )
    return path


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path).state_dict


def _rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int) -> Path:
    """The zip at `path` with other bytes in its entries."""
    copy = path.with_suffix(".copy.pth")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return copy


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("wrapper", ["state_dict", "model", None])
def test_weights_are_found_in_every_wrapper(wrapper: str | None, kind: str, tmp_path: Path) -> None:
    """Both torch formats, wrapped by OpenMixup, by torchvision, or bare."""
    stored = {wrapper: WEIGHTS, "state_dict_ema": {}, "epoch": 3} if wrapper else WEIGHTS
    path = _save(stored, tmp_path / "a.pth", kind)

    checkpoint = read_checkpoint(path)

    assert checkpoint.format == kind
    assert checkpoint.state_dict.keys() == WEIGHTS.keys()
    assert all(torch.equal(checkpoint.state_dict[name], WEIGHTS[name]) for name in WEIGHTS)


def test_safetensors_are_read_with_their_notes(tmp_path: Path) -> None:
    """The content decides, so the file's name doesn't matter."""
    safetensors.torch.save_file(WEIGHTS, tmp_path / "weights.bin", metadata={"epoch": "3"})

    checkpoint = read_checkpoint(tmp_path / "weights.bin")

    assert checkpoint.format == "safetensors"
    assert torch.equal(checkpoint.state_dict["conv1.weight"], WEIGHTS["conv1.weight"])
    assert checkpoint.meta == {"epoch": "3"}


def test_a_checkpoint_of_the_reference_keeps_its_notes(golden: Path) -> None:
    """A real OpenMixup file: 968 entries, and what its writer noted as plain values."""
    checkpoint = read_checkpoint(golden / "runs" / "tiny_automix_ep8" / "epoch_8.pth")

    assert len(checkpoint.state_dict) == 968
    assert checkpoint.meta["epoch"] == 8
    assert checkpoint.meta["openmixup_version"] == "0.2.10"


def test_parameters_come_out_as_plain_tensors(tmp_path: Path) -> None:
    """Gradients have no business in a file that is only read."""
    path = _save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "a.pth")

    value = _read_weights(path)["w"]

    assert type(value) is torch.Tensor
    assert not value.requires_grad


def test_other_zips_and_protocols_are_read_too(tmp_path: Path) -> None:
    """A zip that was packed again can't be mapped to memory; of protocol 3 torch warns, which is no
    concern of a user's."""
    path = _save(WEIGHTS, tmp_path / "a.pth")
    packed = _rewritten(path, lambda _, data: data, zipfile.ZIP_DEFLATED)

    assert torch.equal(_read_weights(packed)["conv1.weight"], WEIGHTS["conv1.weight"])
    assert _read_weights(_save(WEIGHTS, path, protocol=3)).keys() == WEIGHTS.keys()


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """An instance of a class from a package that isn't installed, with a NumPy history."""

    def foreign(module: str, name: str) -> Any:
        cls = type(name, (), {"__module__": module, "least": lambda self: min(self.history)})
        cls.least.__qualname__ = f"{name}.least"
        cls.least.__module__ = module
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(parts[depth - 1]))
        setattr(sys.modules[module], name, cls)
        made = cls()
        made.history = np.arange(3.0)
        made.statistics = {"least": cls.least}
        return made

    return foreign


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mmengine.logging.history_buffer", "HistoryBuffer"),
        ("mmcv.runner.log_buffer", "LogBuffer"),
    ],
)
def test_training_statistics_of_mmcv_do_not_hinder(
    module: str, name: str, kind: str, foreign: Callable, tmp_path: Path
) -> None:
    """Checkpoints of mmcv and mmengine load although neither is installed."""
    stored = {"state_dict": WEIGHTS, "message_hub": {"loss": foreign(module, name)}}

    path = _save(stored, tmp_path / "a.pth", kind)

    assert _read_weights(path).keys() == WEIGHTS.keys()


HARMLESS = [one for one in OBJECTS if not isinstance(one, torch.dtype)]  # whose name is a text


@pytest.mark.parametrize("extra", [*HARMLESS, 10**600], ids=lambda extra: type(extra).__name__)
def test_harmless_extras_are_left_behind(extra: Any, tmp_path: Path) -> None:
    """NumPy values, arguments and paths beside the weights neither hinder nor come out."""
    meta = {"epoch": 3, "extra": extra}
    path = _save({"state_dict": WEIGHTS, "meta": meta}, tmp_path / "a.pth")

    assert read_checkpoint(path).meta == {"epoch": 3}


def test_the_older_spelling_of_numpy_is_known(tmp_path: Path) -> None:
    """NumPy moved its modules in version 2; released files have the names of version 1."""
    path = _save({"state_dict": WEIGHTS, "best": np.float64(1)}, tmp_path / "a.pth")
    older = _rewritten(
        path, lambda _, data: data.replace(b"numpy._core.", b"numpy.core."), zipfile.ZIP_STORED
    )

    assert b"numpy.core." in older.read_bytes()
    assert _read_weights(older).keys() == WEIGHTS.keys()


def _places(payload: Payload) -> dict[str, Any]:
    """A payload wherever a file could hide one."""
    return {
        "alone": payload,
        "beside the weights": {"state_dict": WEIGHTS, "optimizer": payload},
        "in meta": {"state_dict": WEIGHTS, "meta": {"config": [payload]}},
        "among the weights": {"state_dict": WEIGHTS | {"w": payload}},
        "inside arguments": {"state_dict": WEIGHTS, "args": argparse.Namespace(a=payload)},
        "inside a call": {"state_dict": WEIGHTS, "a": Payload(OrderedDict, [("a", payload)])},
        "inside a harmless call": {"state_dict": WEIGHTS, "a": Payload(getattr, payload, "real")},
    }


@pytest.mark.parametrize("place", _places(Payload(len)))
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("call", "asked"),
    [(os.mkdir, "posix.mkdir"), (os.system, "posix.system"), (open, f"{open.__module__}.open")],
)
def test_code_in_a_file_is_refused_by_name_and_not_run(
    call: Callable, asked: str, kind: str, place: str, tmp_path: Path
) -> None:
    """Whatever a file wants to call, wherever it hides it: named, refused, and not called."""
    trace = tmp_path / "trace"
    argument = {"posix.system": f"touch {trace}"}.get(asked, str(trace))
    arguments = (argument, "w") if asked.endswith("io.open") else (argument,)
    path = _save(_places(Payload(call, *arguments))[place], tmp_path / "a.pth", kind)

    with pytest.raises(CheckpointError, match=rf"asks for {asked}; nothing of it was run. Don't"):
        read_checkpoint(path)

    assert not trace.exists()


def test_a_whole_pickled_model_is_refused_by_its_class(tmp_path: Path) -> None:
    """Files of `torch.save(model)` name the class that they would need."""
    with pytest.raises(CheckpointError, match=r"asks for torch.nn.modules.linear.Linear"):
        read_checkpoint(_save(torch.nn.Linear(2, 2), tmp_path / "a.pth"))


def test_the_payload_of_these_tests_would_run(tmp_path: Path) -> None:
    """Python's own unpickler runs the payload, so that its absence above means something."""
    pickle.loads(pickle.dumps(Payload(os.mkdir, str(tmp_path / "trace"))))

    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("ending", [b".", b")R.", b")R)R}b."])
def test_what_stands_for_an_object_stands_for_what_it_gives(ending: bytes, tmp_path: Path) -> None:
    """A class's method, and whatever its call would make, is nothing: neither looked up nor run."""
    method = (
        b"\x80\x02c__builtin__\ngetattr\ncmmengine.logging.history_buffer\nHistoryBuffer\n"
        b"X\x07\x00\x00\x00__new__\x86R"
    )
    hostile = _rewritten(
        _save(WEIGHTS, tmp_path / "a.pth"),
        lambda name, data: method + ending if name.endswith("data.pkl") else data,
        zipfile.ZIP_STORED,
    )

    with pytest.raises(CheckpointError, match="expected a dict of tensors"):
        read_checkpoint(hostile)


def test_two_pickles_in_a_zip_are_one_too_many(tmp_path: Path) -> None:
    """Which of several torch would read is for torch to know."""
    path = _save(WEIGHTS, tmp_path / "a.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b/data.pkl", pickle.dumps({}, 2))

    with pytest.raises(CheckpointError, match=r"holds a/data.pkl and b/data.pkl"):
        read_checkpoint(path)


def test_memory_that_an_older_file_does_not_fill_is_never_read(tmp_path: Path) -> None:
    """A tensor without bytes of its own is refused, also where other bytes make up for them."""
    path = _save({"a": torch.ones(1000)}, tmp_path / "a.pth", "torch-legacy")
    whole = path.read_bytes()
    cut = whole[: whole.rindex(b"\x80\x02]")] + b"\x80\x02]."  # no storage is listed as delivered

    for content in (cut, cut + bytes(4000)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="isn't a whole torch checkpoint"):
            read_checkpoint(path)


class Hiding:
    """Is pickled as the weights, with attributes that hide methods."""

    def __reduce__(self) -> tuple:
        """An empty OrderedDict, its attributes, no list items, and its entries."""
        value = torch.nn.Parameter(torch.ones(2))
        value.detach = 1
        hidden = {"items": 1, "values": 1, "get": 1}
        return (OrderedDict, (), hidden, None, iter([("w", value)]))


def test_attributes_that_hide_methods_are_left_behind(tmp_path: Path) -> None:
    """A state dict whose `items` is a number, and a tensor like it, are read as what they are."""
    path = _save({"state_dict": Hiding()}, tmp_path / "a.pth")

    assert torch.equal(_read_weights(path)["w"], torch.ones(2))


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_plain_pickle_is_refused_by_what_it_asks_for(protocol: int, tmp_path: Path) -> None:
    """Newer protocols too, which torch can't read."""
    trace = tmp_path / "trace"
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"w": Payload(os.mkdir, str(trace))}, protocol))

    with pytest.raises(CheckpointError, match=r"asks for posix.mkdir; nothing"):
        read_checkpoint(path)

    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file; download it again"),
        (b"\n<!DOCTYPE html><title>404</title>", "a web page: the server sent it in place"),
        (b"<html><body>Rate limit</body></html>", "a web page: the server sent it in place"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-LFS pointer"),
        (gzip.compress(b"weights", mtime=0), "a gzip archive; unpack it"),
        (tarred(("a.pth", b"weights")), "a tar archive; unpack it"),
        (zipped(("log.txt", b"x")), "is a zip archive but not a checkpoint; unpack it"),
        (zipped(("archive/constants.pkl", b"x")), "is a TorchScript program"),
        (b"Not Found", "isn't a whole torch checkpoint: it is damaged, cut short, or"),
        (b"\x80\x02", "isn't a whole torch checkpoint: it is damaged, cut short, or"),
        (bytes(range(256)), "isn't a whole torch checkpoint: it is damaged, cut short, or"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_told_for_what_it_is(
    content: bytes, message: str, tmp_path: Path
) -> None:
    """One line: the file's name, what it is instead, what to do."""
    (tmp_path / "a.pth").write_bytes(content)

    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "a.pth")

    assert str(caught.value).startswith("a.pth: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["torch-zip", "torch-legacy", "safetensors"])
def test_a_truncated_file_is_told_as_such(kind: str, share: float, tmp_path: Path) -> None:
    """Half a download is never half a model."""
    path = tmp_path / "a.pth"
    if kind == "safetensors":
        safetensors.torch.save_file(WEIGHTS, path)
    else:
        _save(WEIGHTS, path, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    with pytest.raises(CheckpointError, match=r"(truncated|whole).*[Dd]ownload it again"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_told_with_their_path(tmp_path: Path) -> None:
    """A path that leads nowhere is repeated in full."""
    with pytest.raises(
        CheckpointError, match=rf"{tmp_path}/a.pth: cannot be read: No such file or directory"
    ):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=f"{tmp_path}: cannot be read: Is a directory"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            {"epoch": 3, "optimizer": {}},
            "got no table of tensors; it holds 'epoch', 'optimizer'",
        ),
        ({"state_dict": {}}, "got no table of tensors; it holds 'state_dict'"),
        ([torch.ones(1)], "expected a dict of tensors, got list"),
        ({"w": torch.ones(1), "v": 3}, "'v' stands among the weights but is no plain tensor"),
        ({1: torch.ones(1)}, "1 is no name for a tensor"),
        ({"w\n\033[2J": torch.ones(1)}, r"'w\\n\\x1b\[2J' is no name for a tensor"),
    ],
)
def test_what_is_not_a_dict_of_tensors_is_refused(
    stored: Any, message: str, tmp_path: Path
) -> None:
    """Only dense tensors under names count as weights."""
    path = _save(stored, tmp_path / "a.pth")

    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)
