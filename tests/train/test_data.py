"""The images of a run and its micro batches: which ones, in which order, cropped how."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import mixzoo.train.data as module
import numpy as np
import pytest
import torch
from mixzoo.train.data import (
    Data,
    MicroBatch,
    Slot,
    TrainingImages,
    check_labels,
    check_size,
    find_data,
    fit_in_memory,
    micro_batches,
    random_box,
    random_crop,
    slots,
)
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import DataError, UsageError
from mixzoo.zoo.manifest import Manifest
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import resized_crop

EPOCH = 4  # batches: 29 images, 8 at a time


@pytest.fixture
def benchmark(manifest: Path) -> Manifest:
    """The colours' manifest."""
    return open_catalog([manifest]).benchmark("colours").manifest


def test_images_are_found_by_the_manifests_names(benchmark: Manifest, colours: Path) -> None:
    """Both splits, with the protocol of the benchmark."""
    data = find_data(benchmark, colours)

    assert (len(data.train), len(data.val)) == (29, 70)
    assert data.train.labels[:7] == (0, 1, 2, 3, 4, 5, 0)
    assert (data.protocol.resize, data.protocol.crop) == (36, 32)


def test_lists_can_be_named(benchmark: Manifest, colours: Path, tmp_path: Path) -> None:
    """Annotations elsewhere, of some of the images."""
    few = tmp_path / "few.txt"
    few.write_text("train3.png,3\ntrain4.png,4\n")

    data = find_data(benchmark, colours, few, few)

    assert data.train.files == data.val.files == ("train3.png", "train4.png")


def test_what_is_missing_is_named_with_the_way_out(benchmark: Manifest, tmp_path: Path) -> None:
    """What was looked for, and the option; only drawn benchmarks can do without a folder."""
    with pytest.raises(DataError, match=r"train\.txt.*found none.*--train-list"):
        find_data(benchmark, tmp_path)
    with pytest.raises(UsageError, match="expected --data DIR"):
        find_data(benchmark, None)


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_without_a_class_are_refused(split: str, tiny: Recipe, data: Data) -> None:
    """Before the first step, with the largest label."""
    images = getattr(data, split)
    wrong = replace(data, **{split: replace(images, labels=(*images.labels[:-1], 6))})

    with pytest.raises(DataError, match=r"below num_classes 6, got 6"):
        check_labels(tiny, wrong)
    check_labels(tiny, data)


@pytest.fixture(scope="module")
def images(data: Data, tiny: Recipe) -> TrainingImages:
    """The colours under the tiny recipe."""
    return TrainingImages(data.train, tiny)


@pytest.fixture
def damaged(colours: Path, data: Data, tmp_path: Path) -> LabelledImages:
    """The colours, of which one is no image."""
    for file in data.train.files:
        (tmp_path / file).write_bytes((colours / file).read_bytes())
    (tmp_path / "train17.png").write_bytes(b"no picture")
    return replace(data.train, store=FolderStore(tmp_path))


def _epoch(images: TrainingImages, epoch: int) -> list[int]:
    """All rows of an epoch in their order."""
    slots = [Slot(epoch, batch, slot) for batch in range(EPOCH) for slot in range(2)]
    return [int(row) for slot in slots for row in images.rows(slot)]


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_has_every_image_once_and_its_own_beginning_again(
    images: TrainingImages, epoch: int
) -> None:
    """As OpenMixup fills up the last batch."""
    rows = _epoch(images, epoch)

    assert sorted(rows[:29]) == list(range(29))
    assert rows[29:] == rows[:3]


def test_an_epoch_may_show_every_image_several_times(data: Data, tiny: Recipe) -> None:
    """As OpenMMLab's RepeatDataset: all of them shuffled as one, the last batch filled up."""
    images = TrainingImages(data.train, replace(tiny, repeat=3))
    assert images.batches == 11

    rows = [
        int(row)
        for batch in range(images.batches)
        for slot in range(2)
        for row in images.rows(Slot(0, batch, slot))
    ]

    assert Counter(rows[: 3 * 29]) == dict.fromkeys(range(29), 3)
    assert len(set(rows[:29])) < 29
    assert rows[3 * 29 :] == rows[:1]


def test_a_run_of_too_many_steps_is_refused(
    data: Data, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of all epochs: here 2 of 4."""
    monkeypatch.setattr(module, "MOST_STEPS", 8)

    check_size(tiny, data)

    with pytest.raises(UsageError, match="at most 8 steps, got 12"):
        check_size(replace(tiny, epochs=3), data)


def test_fewer_images_than_a_batch_are_repeated(data: Data, tiny: Recipe) -> None:
    """Five images, eight places."""
    few = replace(data.train, files=data.train.files[:5], labels=data.train.labels[:5])
    images = TrainingImages(few, tiny)

    rows = [int(row) for slot in (0, 1) for row in images.rows(Slot(0, 0, slot))]

    assert images.batches == 1
    assert set(Counter(rows).values()) == {1, 2}


def test_the_order_is_another_in_each_epoch_and_for_each_seed(
    images: TrainingImages, data: Data, tiny: Recipe
) -> None:
    """And the same for the same."""
    other = TrainingImages(data.train, replace(tiny, seed=1))
    orders = [_epoch(images, 0), _epoch(images, 1), _epoch(other, 0)]

    assert len({tuple(order) for order in orders}) == 3
    assert _epoch(images, 0) == orders[0]


def test_labels_and_crops_are_those_of_the_rows(images: TrainingImages, data: Data) -> None:
    """uint8 crops in the recipe's size."""
    micro = images.micro_batch(Slot(0, 1, 1))

    assert micro.labels.tolist() == [data.train.labels[row] for row in micro.rows]
    assert micro.crops.shape == (4, 32, 32, 3)
    assert micro.crops.dtype == torch.uint8
    brightest = micro.crops.float().mean((1, 2)).argmax(1)
    assert brightest.tolist() == [row % 3 for row in micro.rows]


def test_an_image_is_cropped_anew_in_each_epoch(images: TrainingImages) -> None:
    """Also the second time that a small data set has it in one epoch."""
    row = images.rows(Slot(0, 0, 0))[0]  # again at the end of the epoch

    crops = [images.micro_batch(Slot(0, 0, 0)).crops[0]]
    crops.append(images.micro_batch(Slot(0, 3, 1)).crops[1])
    at = _epoch(images, 1).index(row)
    crops.append(images.micro_batch(Slot(1, at // 8, at % 8 // 4)).crops[at % 4])

    assert int(images.rows(Slot(0, 3, 1))[1]) == row
    assert len({crop.numpy().tobytes() for crop in crops}) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(images: TrainingImages, workers: int) -> None:
    """Rows, labels and pixels, from the middle of the run on."""
    alone = list(micro_batches(images, 3, range(2), 0, pin=False))

    shared = list(micro_batches(images, 3, range(2), workers, pin=False))

    assert len(alone) == (2 * EPOCH - 3) * 2
    for one, other in zip(alone, shared, strict=True):
        assert one.rows == other.rows
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.crops, other.crops)


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_share_batches_out_by_their_slots(images: TrainingImages, processes: int) -> None:
    """Together they have the slots of every batch, from an iteration to the end."""
    mine = 2 // processes

    parts = [
        list(slots(images, 6, range(rank * mine, (rank + 1) * mine))) for rank in range(processes)
    ]

    expected = {Slot(1, batch, slot) for batch in (2, 3) for slot in (0, 1)}
    assert sum(map(len, parts)) == len(expected)
    assert set().union(*parts) == expected


def test_kept_images_give_the_same_crops(data: Data, tiny: Recipe, images: TrainingImages) -> None:
    """Those that were decoded before, too."""
    keeping = TrainingImages(data.train, tiny, keep=True)

    first, again = (keeping.micro_batch(Slot(0, 0, 0)).crops for _ in range(2))

    assert torch.equal(first, images.micro_batch(Slot(0, 0, 0)).crops)
    assert torch.equal(first, again)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named_in_one_line(
    damaged: LabelledImages, tiny: Recipe, workers: int
) -> None:
    """Whoever decodes it: no traceback of another process."""
    images = TrainingImages(damaged, tiny)

    with pytest.raises(DataError, match=r"^[^\n]*train17\.png[^\n]*$"):
        list(micro_batches(images, 0, range(2), workers, pin=False))


def test_small_data_sets_fit_in_memory(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by their decoded size, estimated from some of them."""
    size = sum(44 * (40 + i % 3 * 6) * 3 for i in range(29))

    fits = {}
    for limit in (size * 0.9, size * 1.1):
        monkeypatch.setattr(module, "KEPT_BYTES", limit)
        fits[limit] = fit_in_memory(data.train)

    assert list(fits.values()) == [False, True]


def test_no_training_image_is_an_error(data: Data) -> None:
    """It names where the labels were looked for."""
    none = replace(data.train, files=(), labels=())

    with pytest.raises(DataError, match=r"train\.txt: expected training images, got none"):
        fit_in_memory(none)


def test_micro_batches_can_be_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tensors; rows stay."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    micro = MicroBatch(torch.from_numpy(np.zeros((1, 2, 2, 3), np.uint8)), torch.tensor([4]), (9,))

    pinned = micro.pin_memory()

    assert (pinned.crops == 1).all()
    assert pinned.labels.tolist() == [5]
    assert pinned.rows == (9,)


@pytest.mark.parametrize("size", [(200, 150), (33, 180), (1, 1), (400, 9)])
def test_random_boxes_lie_inside_and_have_the_asked_area_and_ratio(size: tuple[int, int]) -> None:
    """Boxes are never empty; where the image isn't too narrow, area and ratio are in range."""
    rng = np.random.default_rng(0)
    width, height = size

    for _ in range(300):
        left, top, right, bottom = random_box(width, height, rng)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if size == (200, 150):
            w, h = right - left, bottom - top
            assert 0.079 < w * h / (width * height) <= 1
            assert 0.73 < w / h < 1.36


@pytest.mark.parametrize(
    ("size", "box"), [((400, 9), (194, 0, 206, 9)), ((9, 400), (0, 194, 9, 206))]
)
def test_images_without_room_get_the_largest_central_box(
    size: tuple[int, int], box: tuple[int, ...]
) -> None:
    """As in torchvision, where ten tries find none."""

    class Large(np.random.Generator):
        """Asks for all of the area, each time."""

        def uniform(self, low: float, high: float) -> float:  # type: ignore[override]
            return high

    assert random_box(*size, Large(np.random.PCG64(0))) == box


@pytest.mark.parametrize("size", [(900, 900), (500, 375)])
def test_boxes_are_distributed_as_torchvisions(size: tuple[int, int]) -> None:
    """Areas, ratios and corners, by the Kolmogorov-Smirnov test on fixed seeds."""
    width, height = size
    rng = np.random.default_rng(0)
    image = torch.empty(3, height, width)
    torch.manual_seed(0)

    ours = np.array([random_box(width, height, rng) for _ in range(1500)])
    theirs = np.array(
        [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(1500)]
    )  # top, left, height, width

    w, h = ours[:, 2] - ours[:, 0], ours[:, 3] - ours[:, 1]
    pairs = [
        (w * h, theirs[:, 2] * theirs[:, 3]),
        (w / h, theirs[:, 3] / theirs[:, 2]),
        (ours[:, 0], theirs[:, 1]),
        (ours[:, 1], theirs[:, 0]),
    ]
    assert all(ks_2samp(*pair).pvalue > 0.01 for pair in pairs)


def test_a_random_crop_has_torchvisions_pixels() -> None:
    """The crop equals torchvision's resized_crop of the same box, mirrored or not."""
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    mirrored = set()

    for seed in range(8):
        left, top, right, bottom = random_box(80, 60, np.random.default_rng(seed))
        crop = random_crop(pixels, 32, np.random.default_rng(seed))
        expected = np.asarray(
            resized_crop(
                Image.fromarray(pixels),
                top,
                left,
                bottom - top,
                right - left,
                [32, 32],
                InterpolationMode.BICUBIC,
            )
        )
        flipped = not np.array_equal(crop, expected)
        assert np.array_equal(crop, expected[:, ::-1] if flipped else expected)
        mirrored.add(flipped)

    assert mirrored == {False, True}
