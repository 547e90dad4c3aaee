"""How many processes validated, as far as the number of batches per process tells.

Each of W processes gets ceil(N / W) images (the last ones repeated where N doesn't divide) and cuts
them into batches of B, so a validation line's `iter` is ceil(ceil(N / W) / B). The released configs
validate with 128 images per process: 191, 96, 48 and 24 batches of iNaturalist-2018 for 1, 2, 4, 8.
"""

from dataclasses import dataclass
from math import ceil

from .reading import TrainingLog, spans

RELEASED_BATCH = 128
MOST_PROCESSES = 64


@dataclass(frozen=True)
class WorldSize:
    """batches: seen per validation line, in order of appearance.

    batch: images per process, from the config if `batch_told`, else the released configs' 128.
    processes: the numbers of them that fit, as far as MOST_PROCESSES. remarks: what contradicts.
    """

    batches: tuple[int, ...]
    batch: int
    batch_told: bool
    processes: tuple[int, ...]
    remarks: tuple[str, ...]


def batches_per_process(images: int, processes: int, batch: int) -> int:
    """Validation batches that each process sees."""
    share = ceil(images / processes)
    return ceil(share / batch)


def infer_world_size(log: TrainingLog, images: int) -> WorldSize:
    """The numbers of processes that give the numbers of batches in a log on `images` images."""
    seen = tuple(dict.fromkeys(v.batches for v in log.validations))
    told, ranks = log.settings.val_batch, log.settings.ranks
    batch = told or RELEASED_BATCH
    processes = tuple(
        count
        for count in range(1, MOST_PROCESSES + 1)
        if batches_per_process(images, count, batch) == seen[-1]
    )
    remarks = []
    if len(seen) > 1:
        parts = (
            f"{count} in {spans(v.epoch for v in log.validations if v.batches == count)}"
            for count in seen
        )
        remarks.append(f"the number of validation batches changes: {'; '.join(parts)}")
    if told and not processes:
        remarks.append(
            f"{seen[-1]} batches of {told} per process fit no number of processes up to "
            f"{MOST_PROCESSES} on {images:,} images"
        )
    if told and processes and ranks and ranks not in processes:
        remarks.append(
            f"the config names {ranks} GPUs, but {seen[-1]} batches of {told} on {images:,} images "
            f"need {either(processes)}"
        )
    return WorldSize(seen, batch, told is not None, processes, tuple(remarks))


def either(numbers: tuple[int, ...]) -> str:
    """`4`, or `5 to 7` of a range."""
    low, high = numbers[0], numbers[-1]
    return f"{low}" if low == high else f"{low} to {high}"
