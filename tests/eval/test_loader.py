"""Batches hold the same images in the same order, whoever decodes them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mixzoo.eval.crops import Batch, CropCache, batches, load_crops
from mixzoo.eval.pixels import load_crop
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=36, crop=32)


def groups_of(size: int, images: LabelledImages) -> list[range]:
    """All positions, cut into groups."""
    return [range(len(images))[at : at + size] for at in range(0, len(images), size)]


@pytest.fixture
def damaged(pictures: LabelledImages, tmp_path: Path) -> LabelledImages:
    """Seven pictures; number 1 isn't there, numbers 4, 5 and 6 are no images."""
    files = pictures.files[:7]
    for number, file in enumerate(files):
        if number in (0, 2, 3):
            (tmp_path / file).hardlink_to(pictures.root / file)
        elif number != 1:
            (tmp_path / file).write_bytes(b"nonsense")
    return LabelledImages(FolderStore(tmp_path), files, pictures.labels[:7], "here")


def joined(parts: list[Batch]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    columns = [(part.indices, part.crops, part.labels) for part in parts]
    return tuple(torch.cat(column) for column in zip(*columns, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_hold_every_image_once(pictures: LabelledImages, workers: int) -> None:
    """299 images in batches of 64: each once, in order, with its label and its own crop."""
    parts = list(batches(pictures, PROTOCOL, groups=groups_of(64, pictures), workers=workers))

    indices, crops, labels = joined(parts)
    assert [len(part.labels) for part in parts] == [64, 64, 64, 64, 43]
    assert indices.tolist() == list(range(299))
    assert labels.tolist() == list(pictures.labels)
    single = load_crop(pictures.root / pictures.files[298], PROTOCOL)
    assert torch.equal(crops[298], torch.from_numpy(single.copy()))


def test_groups_come_in_the_order_asked_for(pictures: LabelledImages) -> None:
    """Each group is a batch; nothing else is decoded."""
    parts = list(batches(pictures, PROTOCOL, groups=[[256, 298], range(3)], workers=0))

    assert [part.indices.tolist() for part in parts] == [[256, 298], [0, 1, 2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_named(damaged: LabelledImages, workers: int) -> None:
    """Missing and corrupt files are in no crop, and are named with position, path and reason."""
    parts = list(batches(damaged, PROTOCOL, groups=groups_of(4, damaged), workers=workers))

    assert [part.indices.tolist() for part in parts] == [[0, 2, 3], []]
    assert parts[1].crops.shape == (0, 32, 32, 3)
    reasons = dict(parts[0].unreadable + parts[1].unreadable)
    assert sorted(reasons) == [1, 4, 5, 6]
    assert "001.jpg: cannot be read" in reasons[1]
    assert "004.jpg: expected an image" in reasons[4]


def test_crops_come_in_the_order_asked_for(pictures: LabelledImages) -> None:
    """Some images again, in any order, in groups, as often as named."""
    crops = load_crops(pictures, PROTOCOL, [7, 3, 7], batch_size=2)

    assert torch.equal(crops[[0, 1]], load_crops(pictures, PROTOCOL, [7, 3]))
    assert torch.equal(crops[0], crops[2])
    assert load_crops(pictures, PROTOCOL, []).shape == (0, 32, 32, 3)


def test_an_unreadable_image_asked_for_is_an_error(damaged: LabelledImages) -> None:
    """Where a crop is needed, its absence can't be passed over."""
    with pytest.raises(DataError, match=r"004\.jpg"):
        load_crops(damaged, PROTOCOL, [0, 4])


def test_a_full_disk_is_one_warning(
    pictures: LabelledImages, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache that can't be written is told of once; all crops still come."""
    cache = CropCache.open(tmp_path, pictures, PROTOCOL)
    cache.path.unlink()
    cache.path.symlink_to("/dev/full")

    with caplog.at_level(logging.WARNING):
        parts = list(
            batches(pictures, PROTOCOL, groups=groups_of(64, pictures), workers=0, cache=cache)
        )

    assert sum(len(part.labels) for part in parts) == 299
    assert len(caplog.messages) == 1
    assert "No space left on device" in caplog.messages[0]


PROGRAM = """
import multiprocessing, sys
from pathlib import Path
from mixzoo.eval.crops import CropCache
from mixzoo.eval.crops import batches
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    images, protocol = find_images(Path(sys.argv[2])), Protocol(resize=36, crop=32)
    cache = CropCache.open(Path(sys.argv[3]), images, protocol)
    parts = batches(images, protocol, groups=[range(150), range(150, 299)], workers=1, cache=cache)
    print(sum(int(part.crops.sum()) for part in parts))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_may_be_forked_or_spawned(
    pictures: LabelledImages, tmp_path: Path, method: str
) -> None:
    """All that decoding processes need can be pickled, the cache too."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), method, str(pictures.root)]

    run = subprocess.run(
        [*command, str(tmp_path / "cache")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )

    expected = int(load_crops(pictures, PROTOCOL, range(299)).sum())
    assert int(run.stdout) == expected
