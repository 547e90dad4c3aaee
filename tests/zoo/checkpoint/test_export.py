"""Exports give the source's logits to the bit and say where they come from."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.export import Exported, export, export_name
from mixzoo.zoo.checkpoint.facts import training_facts
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import CheckpointError, UsageError
from mixzoo.zoo.refs import resolve

from ...mini_rows import ARCHITECTURE, EPOCHS, TRAINING
from ...mini_rows import MIXUP as ROW


def save(entries: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save({"state_dict": entries}, path)
    return path


def images(size: int = 32) -> torch.Tensor:
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))


def exported(source: str | Path, path: Path, **options: Any) -> Exported:
    return export(resolve(str(source), open_catalog()), path, **options)


@pytest.mark.parametrize("method", ["plain", "automix", "samix"])
def test_the_network_gives_the_same_bits(method: str, tiny: Callable, tmp_path: Path) -> None:
    """Logits of all heads, mixed images and masks before and after are equal, not close."""
    source = save(tiny(method), tmp_path / "a.pth")

    done = exported(source, tmp_path / "out" / "a.safetensors")

    before, after = load_file(source), load_file(done.path)
    with torch.inference_mode():
        mine, theirs = after.logits(images()), before.logits(images())
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[head], theirs[head]) for head in mine)
    if method != "plain":
        perm = torch.tensor([1, 2, 0])
        mine, theirs = (model.mix(images(), 0.4, perm) for model in (after, before))
        assert torch.equal(mine.images, theirs.images)
        assert torch.equal(mine.mask, theirs.mask)


def test_a_row_is_exported_with_its_history(tmp_path: Path) -> None:
    """The header names file, hash, row, benchmark, network and recipe, as strings."""
    resolved = resolve(ROW, open_catalog())

    done = export(resolved, tmp_path / export_name(resolved))

    locked = open_catalog().benchmark("mini").asset(ROW)
    content = done.path.read_bytes()
    assert done.path.name == f"{ROW}.safetensors"
    assert (done.size, done.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert read_checkpoint(done.path).meta == done.metadata
    assert done.metadata.items() >= {
        ("source_file", locked.name),
        ("source_sha256", locked.sha256),
        ("row", ROW),
        ("benchmark", "mini"),
        ("architecture", ARCHITECTURE),
        ("method", "mixup"),
        ("num_classes", "40"),
        ("heads", "head0"),
    }
    recipe = training_facts(done.metadata).recipe
    assert (recipe["alpha"], recipe["epochs"], recipe["lr"]) == (
        [0.2],
        EPOCHS,
        TRAINING.learning_rate,
    )


def test_a_file_without_a_row_claims_none(tiny: Callable, tmp_path: Path) -> None:
    """An unknown checkpoint is exported under its own name, without row or number."""
    resolved = resolve(str(save(tiny(), tmp_path / "mine.pth")), open_catalog())

    done = export(resolved, tmp_path / export_name(resolved))

    assert done.path.name == "mine.safetensors"
    assert done.metadata["method"] == "plain"
    assert not {"row", "benchmark", "config"} & done.metadata.keys()


def test_stored_precision_stays(tiny: Callable, tmp_path: Path) -> None:
    """Half precision isn't blown up, counters stay whole numbers."""
    entries = {k: v.half() if v.is_floating_point() else v for k, v in tiny().items()}
    source = save(entries, tmp_path / "half.pth")

    done = exported(source, tmp_path / "a.safetensors")

    written = read_checkpoint(done.path).state_dict
    assert {name: value.dtype for name, value in written.items()} == {
        name: value.dtype for name, value in entries.items()
    }


def test_tied_and_channels_last_tensors_are_written(tiny: Callable, tmp_path: Path) -> None:
    """Two names of one tensor, or another memory layout, are no special case."""
    entries = tiny("automix")
    entries["head_mix_k.fc.bias"] = entries["head_one_k.fc.bias"]
    conv = entries["backbone_q.layer1.0.conv2.weight"]
    entries["backbone_q.layer1.0.conv2.weight"] = conv.to(memory_format=torch.channels_last)
    source = save(entries, tmp_path / "a.pth")

    done = exported(source, tmp_path / "a.safetensors")

    written = read_checkpoint(done.path).state_dict
    assert torch.equal(written["head_mix_k.fc.bias"], entries["head_one_k.fc.bias"])
    assert torch.equal(written["backbone_q.layer1.0.conv2.weight"], conv)


def test_an_export_of_an_export_keeps_the_first_source(tiny: Callable, tmp_path: Path) -> None:
    """The chain of hashes leads back to the released file."""
    paths = [save(tiny(), tmp_path / "a.pth")]

    for name in ("b", "c", "d"):
        paths.append(exported(paths[-1], tmp_path / f"{name}.safetensors").path)

    meta = read_checkpoint(paths[-1]).meta
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    chain = [(link["file"], link["sha256"]) for link in json.loads(meta["earlier_sources"])]
    assert chain == [("a.pth", hashes[0]), ("b.safetensors", hashes[1])]
    assert meta["source_sha256"] == hashes[2]


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    """Nothing random and no time goes in: a second process writes the same file."""
    program = (
        "import sys; from pathlib import Path\n"
        "from mixzoo.zoo.checkpoint.export import export\n"
        "from mixzoo.zoo.catalog import open_catalog\n"
        "from mixzoo.zoo.refs import resolve\n"
        f"print(export(resolve({ROW!r}, open_catalog()), Path(sys.argv[1])).sha256)"
    )

    here = exported(ROW, tmp_path / "a.safetensors").sha256
    there = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "b.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert there == here


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    """Overwriting must be asked for."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"precious")

    with pytest.raises(UsageError, match="Give --force"):
        exported(ROW, path)

    assert path.read_bytes() == b"precious"
    assert exported(ROW, path, force=True).size == path.stat().st_size


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    """An export onto itself is refused, forced or not."""
    path = exported(ROW, tmp_path / "a.safetensors").path
    before = path.read_bytes()

    with pytest.raises(UsageError, match="is the checkpoint itself"):
        exported(path, path, force=True)

    assert path.read_bytes() == before


def test_a_failed_export_leaves_nothing(tiny: Callable, tmp_path: Path) -> None:
    """A checkpoint of another row is refused, and no file or partial file stays."""
    source = save(tiny(), tmp_path / "a.pth")

    with pytest.raises(CheckpointError, match="expects 40 classes"):
        export(resolve(str(source), open_catalog(), row_id=ROW), tmp_path / "out" / "a.safetensors")

    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(
    tiny: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The final name appears only after the last byte is on the disk."""
    source, out = save(tiny(), tmp_path / "a.pth"), tmp_path / "out"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(OSError, match="No space left"):
        exported(source, out / "a.safetensors")

    assert list(out.iterdir()) == []
