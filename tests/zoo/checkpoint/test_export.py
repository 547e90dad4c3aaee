"""Exports give the source's logits to the bit and say where they come from."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.export import export, export_name
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import CheckpointError, UsageError
from mixzoo.zoo.refs import resolve

ROW = "resnet18_w6.mixup_mini"


def save(entries: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save({"state_dict": entries}, path)
    return path


def images(size: int = 32) -> torch.Tensor:
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["plain", "automix", "samix"])
def test_every_head_gives_the_same_bits(method: str, tiny: Callable, tmp_path: Path) -> None:
    """Logits of all heads before and after are equal, not close."""
    source = save(tiny(method), tmp_path / "a.pth")

    done = export(resolve(str(source), open_catalog()), tmp_path / "out" / "a.safetensors")

    with torch.inference_mode():
        before, after = load_file(source).logits(images()), load_file(done.path).logits(images())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[head], after[head]) for head in before)


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_the_mix_block_gives_the_same_bits(method: str, tiny: Callable, tmp_path: Path) -> None:
    """Mixed images and masks are equal too: the MixBlock travels with its networks."""
    source = save(tiny(method), tmp_path / "a.pth")

    done = export(resolve(str(source), open_catalog()), tmp_path / "b.safetensors")

    perm = torch.tensor([1, 2, 0])
    before = load_file(source).mix(images(), 0.4, perm)
    after = load_file(done.path).mix(images(), 0.4, perm)
    assert torch.equal(before.images, after.images)
    assert torch.equal(before.mask, after.mask)


def test_a_row_is_exported_with_its_history(tmp_path: Path) -> None:
    """The header names file, hash, row, benchmark, network and published number, as strings."""
    resolved = resolve(ROW, open_catalog())

    done = export(resolved, tmp_path / export_name(resolved))

    locked = open_catalog().benchmark("mini").asset(ROW)
    assert done.path.name == f"{ROW}.safetensors"
    assert read_checkpoint(done.path).meta == done.metadata
    assert done.metadata.items() >= {
        ("source_file", locked.name),
        ("source_sha256", locked.sha256),
        ("row", ROW),
        ("benchmark", "mini"),
        ("architecture", "resnet18_w6"),
        ("method", "mixup"),
        ("num_classes", "40"),
        ("heads", "head0"),
        ("reported_top1", "59.6"),
    }


def test_size_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    """What is printed is what lies on the disk."""
    done = export(resolve(ROW, open_catalog()), tmp_path / "a.safetensors")

    content = done.path.read_bytes()
    assert (done.size, done.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_file_without_a_row_claims_none(tiny: Callable, tmp_path: Path) -> None:
    """An unknown checkpoint is exported under its own name, without row or number."""
    resolved = resolve(str(save(tiny(), tmp_path / "mine.pth")), open_catalog())

    done = export(resolved, tmp_path / export_name(resolved))

    assert done.path.name == "mine.safetensors"
    assert done.metadata["method"] == "plain"
    assert not {"row", "benchmark", "reported_top1"} & done.metadata.keys()


def test_stored_precision_stays(tiny: Callable, tmp_path: Path) -> None:
    """Half precision isn't blown up, counters stay whole numbers."""
    entries = {k: v.half() if v.is_floating_point() else v for k, v in tiny().items()}
    source = save(entries, tmp_path / "half.pth")

    done = export(resolve(str(source), open_catalog()), tmp_path / "a.safetensors")

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

    done = export(resolve(str(source), open_catalog()), tmp_path / "a.safetensors")

    written = read_checkpoint(done.path).state_dict
    assert torch.equal(written["head_mix_k.fc.bias"], entries["head_one_k.fc.bias"])
    assert torch.equal(written["backbone_q.layer1.0.conv2.weight"], conv)


def test_an_export_of_an_export_keeps_the_first_source(tiny: Callable, tmp_path: Path) -> None:
    """The chain of hashes leads back to the released file."""
    source = save(tiny(), tmp_path / "a.pth")
    done = [resolve(str(source), open_catalog())]

    for name in ("b", "c", "d"):
        path = export(done[-1], tmp_path / f"{name}.safetensors").path
        done.append(resolve(str(path), open_catalog()))

    meta = read_checkpoint(done[-1].path).meta
    chain = [*json.loads(meta["earlier_sources"])]
    assert [link["file"] for link in chain] == ["a.pth", "b.safetensors"]
    assert [link["sha256"] for link in chain] == [done[0].sha256, done[1].sha256]
    assert meta["source_sha256"] == done[2].sha256


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    """Nothing random and no time goes in: a second process writes the same file."""
    program = (
        "import sys; from pathlib import Path\n"
        "from mixzoo.zoo.checkpoint.export import export\n"
        "from mixzoo.zoo.catalog import open_catalog\n"
        "from mixzoo.zoo.refs import resolve\n"
        f"print(export(resolve({ROW!r}, open_catalog()), Path(sys.argv[1])).sha256)"
    )

    here = export(resolve(ROW, open_catalog()), tmp_path / "a.safetensors").sha256
    there = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "b.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert there == here


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    """Overwriting must be asked for."""
    resolved, path = resolve(ROW, open_catalog()), tmp_path / "a.safetensors"
    path.write_bytes(b"precious")

    with pytest.raises(UsageError, match="Give --force"):
        export(resolved, path)

    assert path.read_bytes() == b"precious"
    assert export(resolved, path, force=True).size == path.stat().st_size


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    """An export onto itself is refused, forced or not."""
    path = export(resolve(ROW, open_catalog()), tmp_path / "a.safetensors").path
    before = path.read_bytes()

    with pytest.raises(UsageError, match="is the checkpoint itself"):
        export(resolve(str(path), open_catalog()), path, force=True)

    assert path.read_bytes() == before


def test_a_failed_export_leaves_nothing(tiny: Callable, tmp_path: Path) -> None:
    """A checkpoint of another row is refused, and no file or partial file stays."""
    source = save(tiny(), tmp_path / "a.pth")

    with pytest.raises(CheckpointError, match="expects 40 classes"):
        export(resolve(str(source), open_catalog(), row_id=ROW), tmp_path / "out" / "a.safetensors")

    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The final name appears only after the last byte is on the disk."""
    resolved, out = resolve(ROW, open_catalog()), tmp_path / "out"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(OSError, match="No space left"):
        export(resolved, out / "a.safetensors")

    assert list(out.iterdir()) == []
