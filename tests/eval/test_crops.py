"""Batches hold the same crops in the same order, whoever decodes or kept them."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.crops import Batch, CropCache, KeptWork, Work
from mixzoo.eval.pixels import decode_crop
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Protocol

from ..nursery import Nursery

PROTOCOL = Protocol(resize=36, crop=32)
CROP = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def all_of(work: Work) -> list[Batch]:
    return list(work.batches(work.groups()))


def crops_of(images: LabelledImages, some: list[int], **how: Any) -> torch.Tensor:
    """Some images' crops, decoded in this process."""
    (batch,) = Work(images, PROTOCOL, workers=0, **how).batches([some])
    return batch.crops


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


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_hold_every_image_once(pictures: LabelledImages, workers: int) -> None:
    """299 images in batches of 64: each once, in order, with its label and its own crop."""
    parts = all_of(Work(pictures, PROTOCOL, workers=workers))

    crops = torch.cat([part.crops for part in parts])
    assert [len(part.labels) for part in parts] == [64, 64, 64, 64, 43]
    assert torch.cat([part.indices for part in parts]).tolist() == list(range(299))
    assert torch.cat([part.labels for part in parts]).tolist() == list(pictures.labels)
    single = decode_crop(pictures.read(298), PROTOCOL, "298")
    assert torch.equal(crops[298], torch.from_numpy(single.copy()))


@pytest.mark.parametrize("workers", [0, 1])
def test_kept_work_is_done_once(pictures: LabelledImages, workers: int, tmp_path: Path) -> None:
    """A second walk gives the first one's batches, from files that are gone; half a walk keeps
    nothing."""
    for file in pictures.files[:70]:
        (tmp_path / file).hardlink_to(pictures.root / file)
    some = LabelledImages(FolderStore(tmp_path), pictures.files[:70], pictures.labels[:70], "here")
    work = KeptWork(some, PROTOCOL, workers=workers)

    next(half := work.batches(work.groups()))
    half.close()
    assert not work.kept
    first = all_of(work)
    for file in some.files:
        (tmp_path / file).unlink()
    again = all_of(work)

    assert [len(batch.indices) for batch in again] == [64, 6]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.crops, other.crops)
        assert torch.equal(one.labels, other.labels)


def test_groups_come_in_the_order_asked_for(pictures: LabelledImages) -> None:
    """Each group is a batch; nothing else is decoded."""
    parts = list(Work(pictures, PROTOCOL, workers=0).batches([[256, 298], range(3)]))

    assert [part.indices.tolist() for part in parts] == [[256, 298], [0, 1, 2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_named(damaged: LabelledImages, workers: int) -> None:
    """Missing and corrupt files are in no crop, and are named with position, path and reason."""
    parts = all_of(Work(damaged, PROTOCOL, 4, workers))

    assert [part.indices.tolist() for part in parts] == [[0, 2, 3], []]
    assert parts[1].crops.shape == (0, 32, 32, 3)
    reasons = dict(parts[0].unreadable + parts[1].unreadable)
    assert sorted(reasons) == [1, 4, 5, 6]
    assert "001.jpg: cannot be read" in reasons[1]
    assert "004.jpg: expected an image" in reasons[4]


@pytest.fixture
def images(tmp_path: Path) -> LabelledImages:
    """Three files; the cache never looks into them."""
    root = tmp_path / "data"
    root.mkdir()
    for name in "abc":
        (root / name).write_bytes(name.encode() * 9)
    return LabelledImages(FolderStore(root), ("a", "b", "c"), (0, 1, 2), "here")


@pytest.fixture
def cache(images: LabelledImages, tmp_path: Path) -> CropCache:
    """An empty cache of the three."""
    return CropCache.open(tmp_path / "cache", images, PROTOCOL)


def test_a_row_comes_back(cache: CropCache, images: LabelledImages, tmp_path: Path) -> None:
    """What was written is read, by another opening too; other rows are empty."""
    cache.write(1, CROP)

    again = CropCache.open(tmp_path / "cache", images, PROTOCOL).read(1)

    assert again is not None
    assert np.array_equal(again, CROP)
    assert cache.read(0) is None
    assert cache.read(2) is None


def test_black_is_a_picture(cache: CropCache) -> None:
    """A crop of zeros is told from a row never written."""
    cache.write(0, np.zeros_like(CROP))

    kept = cache.read(0)

    assert kept is not None
    assert not kept.any()


@pytest.mark.parametrize("at", [0, 8, 16, 20, 24, 500, 24 + 32 * 32 * 3 - 1])
def test_a_damaged_row_is_no_row(cache: CropCache, at: int) -> None:
    """One wrong byte anywhere in header or pixels, and the image is decoded again."""
    cache.write(0, CROP)
    content = bytearray(cache.path.read_bytes())
    content[at] ^= 1
    cache.path.write_bytes(content)

    assert cache.read(0) is None


def test_a_row_at_another_place_is_no_row(cache: CropCache) -> None:
    """Rows can't be taken for one another, even of files that look alike."""
    for name in "ab":
        os.utime(cache.images.root / name, ns=(0, 10**18))
    cache.write(0, CROP)
    content = bytearray(cache.path.read_bytes())
    row = len(content) // 3
    content[row : 2 * row] = content[:row]
    cache.path.write_bytes(content)

    assert cache.read(1) is None


def test_a_replaced_image_is_noticed(cache: CropCache) -> None:
    """Another size or another time of change make the row old."""
    cache.write(0, CROP)
    cache.write(1, CROP)
    (cache.images.root / "a").write_bytes(b"longer than before")
    os.utime(cache.images.root / "b", ns=(0, 10**18))

    assert cache.read(0) is None
    assert cache.read(1) is None


def test_a_cut_file_is_filled_up_again(
    cache: CropCache, images: LabelledImages, tmp_path: Path
) -> None:
    """Rows before the cut stay, the others are empty."""
    cache.write(0, CROP)
    cache.write(2, CROP)
    with cache.path.open("r+b") as file:
        file.truncate(cache.size // 2)

    again = CropCache.open(tmp_path / "cache", images, PROTOCOL)

    assert again.read(0) is not None
    assert again.read(2) is None


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(resize=40, crop=32),
        Protocol(resize=36, crop=30),
        Protocol(resize=36, crop=32, interpolation="bilinear"),
    ],
)
def test_other_pixels_have_another_file(
    cache: CropCache, images: LabelledImages, protocol: Protocol
) -> None:
    """Resize, crop and interpolation decide; mean and deviation don't."""
    other = CropCache.open(cache.path.parent, images, protocol)
    same = CropCache.open(cache.path.parent, images, Protocol(resize=36, crop=32, mean=(0, 0, 0)))

    assert other.path != cache.path
    assert same.path == cache.path


def test_another_order_has_another_file(cache: CropCache, images: LabelledImages) -> None:
    """The list's hash is the same for every order, the rows aren't."""
    turned = LabelledImages(images.store, images.files[::-1], images.labels[::-1], "here")

    assert turned.sha256() == images.sha256()
    assert CropCache.open(cache.path.parent, turned, PROTOCOL).path != cache.path


def test_a_full_disk_is_told_beforehand(
    images: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole file must fit before the first row is written."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 9000))

    with pytest.raises(DataError, match=r"the crops need .* more"):
        CropCache.open(tmp_path / "new", images, PROTOCOL)


def test_a_folder_that_is_a_file_is_one_line(images: LabelledImages, tmp_path: Path) -> None:
    """Nothing can be kept below a file."""
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match="no crop cache can be kept here"):
        CropCache.open(tmp_path / "file", images, PROTOCOL)


def test_cached_crops_are_the_decoded_ones(pictures: LabelledImages, tmp_path: Path) -> None:
    """First pass fills, second pass reads; the pixels are the same and come from the cache."""
    cache = CropCache.open(tmp_path, pictures, PROTOCOL)
    some = [5, 280, 17]

    filled = crops_of(pictures, some, cache=cache)
    cache.write(17, CROP)
    reread = crops_of(pictures, some, cache=cache)

    assert np.array_equal(filled.numpy(), crops_of(pictures, some).numpy())
    assert np.array_equal(reread[:2].numpy(), filled[:2].numpy())
    assert np.array_equal(reread[2].numpy(), CROP)


def test_a_full_disk_is_one_warning(
    pictures: LabelledImages, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache that can't be written is told of once; all crops still come."""
    cache = CropCache.open(tmp_path, pictures, PROTOCOL)
    cache.path.unlink()
    cache.path.symlink_to("/dev/full")

    with caplog.at_level(logging.WARNING):
        parts = all_of(Work(pictures, PROTOCOL, workers=0, cache=cache))

    assert sum(len(part.labels) for part in parts) == 299
    assert len(caplog.messages) == 1
    assert "No space left on device" in caplog.messages[0]


PROGRAM = """
import multiprocessing, sys
from pathlib import Path
import numpy as np
from mixzoo.eval.crops import CropCache, Work
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol

def write_for_ever(cache):
    print("go", flush=True)
    while True:
        for index in range(len(cache.images)):
            cache.write(index, np.full((32, 32, 3), index % 256, np.uint8))

if __name__ == "__main__":
    images, protocol = find_images(Path(sys.argv[1])), Protocol(resize=36, crop=32)
    cache = CropCache.open(Path(sys.argv[2]), images, protocol)
    if sys.argv[3] == "write":
        write_for_ever(cache)
    multiprocessing.set_start_method(sys.argv[3])
    parts = Work(images, protocol, workers=1, cache=cache).batches([range(150), range(150, 299)])
    print(sum(int(part.crops.sum()) for part in parts))
"""


def test_decoding_processes_may_be_spawned(pictures: LabelledImages, tmp_path: Path) -> None:
    """All that they need can be pickled, the cache too."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py", pictures.root, tmp_path / "c", "spawn"]
    run = subprocess.run(command, check=True, capture_output=True, timeout=300)

    assert int(run.stdout) == int(crops_of(pictures, list(range(299))).sum())


def test_killed_writers_leave_whole_rows_or_none(
    pictures: LabelledImages, nursery: Nursery, tmp_path: Path
) -> None:
    """Two processes write all rows over and over; killed at once, every row is right or absent."""
    words = [pictures.root, tmp_path / "c", "write"]
    writers = [nursery.start(words, PROGRAM) for _ in range(2)]
    for writer in writers:
        assert writer.first_line() == "go", writer.err
    time.sleep(0.05)
    for writer in writers:
        writer.signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL

    cache = CropCache.open(tmp_path / "c", pictures, PROTOCOL)
    rows = [cache.read(index) for index in range(len(pictures))]

    assert any(row is not None for row in rows)
    assert all(row is None or (row == i % 256).all() for i, row in enumerate(rows))
