"""How many processes a log's batches tell of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.eval.logs.lines import Validation
from mixzoo.eval.logs.reading import Settings, TrainingLog, read_log
from mixzoo.eval.logs.world import batches_per_process, infer_world_size

Write = Callable[..., Path]


@pytest.mark.parametrize(("processes", "batches"), [(1, 191), (2, 96), (4, 48), (8, 24)])
def test_released_configs(write_log: Write, processes: int, batches: int) -> None:
    """With 128 images per process each of the usual numbers of GPUs has batches of its own."""
    assert batches_per_process(24426, processes, 128) == batches

    found = infer_world_size(read_log([write_log(batches=batches)]), 24426)

    assert found.processes == (processes,)
    assert not found.batch_told
    assert found.remarks == ()


def test_genuine_log(golden: Path) -> None:
    """The reference's run had one process and 50 images a batch, as its config says."""
    path = next((golden / "runs" / "tiny_cutmix_ep8").glob("*.log.json"))

    found = infer_world_size(read_log([path]), 300)

    assert (found.batches, found.batch, found.batch_told) == ((6,), 50, True)
    assert found.processes == (1,)
    assert found.remarks == ()


def test_several_numbers_of_processes() -> None:
    """One batch each is all that 20 processes and more have of 1,000 images."""
    log = TrainingLog(
        "", (), "json", 5, 1, (Validation(1, 1, {}, 1),), (), (), Settings(val_batch=50), ()
    )

    assert infer_world_size(log, 1000).processes == tuple(range(20, 65))


def test_number_of_batches_that_fits_nothing(write_log: Write) -> None:
    """Without a config that names a batch size there is nothing to contradict."""
    found = infer_world_size(read_log([write_log(batches=7000)]), 24426)

    assert (found.processes, found.remarks) == ((), ())


def test_number_of_batches_that_changes(write_log: Write) -> None:
    """A run resumed on other machines, or a log put together from two."""
    first = write_log("a.log.json", epochs=range(1, 61), batches=48)
    second = write_log("b.log.json", epochs=range(61, 101), batches=24)

    found = infer_world_size(read_log([first, second]), 24426)

    assert found.processes == (8,)
    assert found.remarks == (
        "the number of validation batches changes: 48 in epochs 1 to 60; 24 in epochs 61 to 100",
    )


def _with_config(path: Path, config: str) -> Path:
    text = path.read_text().replace('"env_info"', f'"config": "{config}", "env_info"', 1)
    path.write_text(text)
    return path


def test_config_that_contradicts_the_batches(write_log: Write) -> None:
    """The config's batch size fits no number of processes."""
    path = _with_config(write_log(batches=400), "evaluation = dict(imgs_per_gpu=128)")

    found = infer_world_size(read_log([path]), 24426)

    assert found.remarks == (
        "400 batches of 128 per process fit no number of processes up to 64 on 24,426 images",
    )


def test_config_that_contradicts_the_processes(write_log: Write) -> None:
    """The config's GPUs aren't those that validated."""
    config = r"evaluation = dict(imgs_per_gpu=128)\ngpu_ids = range(0, 8)"
    path = _with_config(write_log(batches=48), config)

    found = infer_world_size(read_log([path]), 24426)

    assert found.remarks == (
        "the config names 8 GPUs, but 48 batches of 128 on 24,426 images need 4",
    )


def test_last_image_needs_a_batch_of_its_own() -> None:
    """257 images on two processes are 129 each, repeated where they don't divide."""
    assert batches_per_process(257, 2, 128) == 2
    assert batches_per_process(256, 2, 128) == 1
