"""Whatever a checkpoint of a run was made into: one line, or the run that it belongs to."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mixzoo.train.data import Data
from mixzoo.train.loop import train
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How
from mixzoo.zoo.errors import InterruptedRunError, MixzooError

NAN, INF = float("nan"), float("inf")
WEIGHT = "backbone.conv1.weight"


@pytest.fixture(scope="module")
def content(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A `last.pth` after two steps of eight."""
    out = tmp_path_factory.mktemp("run")
    with pytest.raises(InterruptedRunError):
        train(tiny, data, out, "run", How(stop_at=2))
    return (out / "last.pth").read_bytes()


@pytest.fixture
def folder(content: bytes, tmp_path: Path) -> Path:
    """A folder with that checkpoint."""
    (tmp_path / "last.pth").write_bytes(content)
    (tmp_path / "run.log.json").write_text("{}\n" * 1000)
    return tmp_path


def put(*path: Any) -> Callable[[Any], None]:
    """Puts the last of `path` where the others lead."""

    def change(content: Any) -> None:
        *parents, name, value = path
        for key in parents:
            content = content[key]
        content[name] = value(content[name]) if callable(value) else value

    return change


def drop(*path: Any) -> Callable[[Any], None]:
    """Takes away what `path` leads to."""

    def change(content: Any) -> None:
        *parents, name = path
        for key in parents:
            content = content[key]
        del content[name]

    return change


STATE = ("optimizer", "state", 0, "momentum_buffer")
TAMPERED: dict[str, Callable[[Any], None]] = {
    "meta is a list": put("meta", []),
    "meta is none": put("meta", None),
    "no config": drop("meta", "config"),
    "config is bytes": put("meta", "config", b"x"),
    "another recipe": put("meta", "config", lambda text: text.replace("lr = 0.1", "lr = 0.2")),
    "no step": drop("meta", "iter"),
    "step is text": put("meta", "iter", "2"),
    "step is a fraction": put("meta", "iter", 2.5),
    "step is nan": put("meta", "iter", NAN),
    "step is true": put("meta", "iter", True),
    "step is negative": put("meta", "iter", -1),
    "step is beyond the end": put("meta", "iter", 9),
    "step is huge": put("meta", "iter", 10**30),
    "step is another epoch's": put("meta", "iter", 6),
    "validated is text": put("run", "validated", "0"),
    "validated is too many": put("run", "validated", 1),
    "no validated": drop("run", "validated"),
    "run is a tensor": put("run", torch.zeros(2)),
    "no log": drop("run", "log"),
    "log is none": put("run", "log", None),
    "log has no bytes": drop("run", "log", "bytes"),
    "log bytes is negative": put("run", "log", "bytes", -1),
    "log bytes is huge": put("run", "log", "bytes", 1 << 62),
    "log bytes is more than there is": put("run", "log", "bytes", 10**9),
    "log sums is a list": put("run", "log", "sums", [1]),
    "log sums are text": put("run", "log", "sums", {"loss": "x"}),
    "log count is text": put("run", "log", "count", "x"),
    "best is none": put("run", "best", None),
    "best correct is text": put("run", "best", {"correct": "x", "epoch": 1}),
    "scaler is none": put("run", "scaler", None),
    "no optimizer": drop("optimizer"),
    "optimizer is a list": put("optimizer", []),
    "optimizer is empty": put("optimizer", {}),
    "no groups": drop("optimizer", "param_groups"),
    "groups is none": put("optimizer", "param_groups", None),
    "no group": put("optimizer", "param_groups", []),
    "group is a number": put("optimizer", "param_groups", [3]),
    "params are fewer": put("optimizer", "param_groups", 0, "params", [0]),
    "params are text": put("optimizer", "param_groups", 0, "params", "x"),
    "momentum is text": put("optimizer", "param_groups", 0, "momentum", "x"),
    "momentum is another": put("optimizer", "param_groups", 0, "momentum", 0.5),
    "momentum is nan": put("optimizer", "param_groups", 0, "momentum", NAN),
    "state is a list": put("optimizer", "state", [1]),
    "state is nan": put(*STATE, lambda t: torch.full_like(t, NAN)),
    "state is of another shape": put(*STATE, torch.zeros(3)),
    "state is of another kind": put(*STATE, lambda t: t.long()),
    "state is text": put(*STATE, "x"),
    "no weights": put("state_dict", {}),
    "weights is none": put("state_dict", None),
    "a weight is gone": drop("state_dict", WEIGHT),
    "a weight is more": put("state_dict", "more", torch.zeros(1)),
    "a weight is text": put("state_dict", WEIGHT, "x"),
    "a weight is of another shape": put("state_dict", WEIGHT, torch.zeros(2, 2)),
    "a weight is complex": put("state_dict", WEIGHT, lambda t: t.to(torch.complex64)),
    "a weight is whole numbers": put("state_dict", WEIGHT, lambda t: t.long()),
    "a weight is infinite": put("state_dict", WEIGHT, lambda t: t.fill_(INF)),
    "a weight is sparse": put("state_dict", WEIGHT, lambda t: t.to_sparse()),
}


def refused(recipe: Recipe, data: Data, folder: Path) -> str:
    """The one line with which a run doesn't go on from a folder; nothing in it was changed."""
    before = {path.name: path.stat().st_size for path in folder.iterdir()}

    with pytest.raises(MixzooError) as raised:
        train(recipe, data, folder, "run")
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before
    line = str(raised.value)
    assert "\n" not in line
    assert str(folder) in line
    assert len(line) < 700
    return line


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_contents_are_refused(name: str, folder: Path, tiny: Recipe, data: Data) -> None:
    """Other types, missing and new entries, other shapes, numbers that are none, other runs."""
    last = folder / "last.pth"
    content = torch.load(last, weights_only=True)
    TAMPERED[name](content)
    torch.save(content, last)

    refused(tiny, data, folder)


def _packed(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


BYTES: dict[str, Callable[[bytes, Path], object]] = {
    "empty": lambda content, path: path.write_bytes(b""),
    "text": lambda content, path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "random": lambda content, path: path.write_bytes(bytes(range(256)) * 64),
    "half": lambda content, path: path.write_bytes(content[: len(content) // 2]),
    "without its head": lambda content, path: path.write_bytes(content[100:]),
    "a flipped bit": lambda content, path: path.write_bytes(
        content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    ),
    "a plain pickle": lambda content, path: path.write_bytes(pickle.dumps({"meta": {}})),
    "a list": lambda content, path: torch.save([1, 2], path),
    "a tensor": lambda content, path: torch.save(torch.zeros(2), path),
    "an object": lambda content, path: torch.save({"meta": Path("x")}, path),
    "packed": _packed,
}


@pytest.mark.parametrize("name", BYTES)
def test_other_bytes_are_refused(
    name: str, content: bytes, folder: Path, tiny: Recipe, data: Data
) -> None:
    """What isn't a whole checkpoint, if there is none to fall back on."""
    BYTES[name](content, folder / "last.pth")

    assert "No whole checkpoint is left to go on from" in refused(tiny, data, folder)


def test_the_untouched_one_goes_on(content: bytes, folder: Path, tiny: Recipe, data: Data) -> None:
    """So that the tables above say something."""
    with pytest.raises(InterruptedRunError):
        train(tiny, data, folder, "run", How(stop_at=3))
