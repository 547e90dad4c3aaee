"""A row, a checkpoint or a run's folder: each becomes one checkpoint, one row and its log."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import slug
from mixzoo.zoo.publish.candidates import Candidate, find_candidates

from ...mini_rows import ARCHITECTURE, MIXUP, log, weights


def find(*refs: object, **options: object) -> list[Candidate]:
    return find_candidates([str(ref) for ref in refs], open_catalog(), **options)


@pytest.fixture
def run(tiny: Callable, tmp_path: Path) -> Path:
    """A run's folder as OpenMixup leaves it: a checkpoint, a link to it, a log under another name."""
    folder = tmp_path / "work_dir"
    folder.mkdir()
    torch.save({"state_dict": tiny(name=ARCHITECTURE, num_classes=40)}, folder / "epoch_60.pth")
    (folder / "latest.pth").symlink_to("epoch_60.pth")
    (folder / "20261122_154252.log.json").write_text('{"mode": "val"}\n')
    return folder


def test_a_row_brings_its_released_weights_and_log() -> None:
    """A row id is enough, and the lock vouches for the bytes."""
    [found] = find(MIXUP)

    assert found.row.id == MIXUP
    assert found.is_released
    assert found.log is not None
    assert found.log.read_bytes() == log(MIXUP).read_bytes()


def test_a_released_file_is_recognised_by_its_hash(tmp_path: Path) -> None:
    """Under any name the released bytes are the row's."""
    path = shutil.copy(weights(MIXUP), tmp_path / "renamed.pth")

    [found] = find(path)

    assert (found.row.id, found.is_released, found.log) == (MIXUP, True, None)


def test_a_runs_folder_has_one_checkpoint_and_its_log(run: Path) -> None:
    """The link `latest.pth` is no second checkpoint; the log is found beside it."""
    [found] = find(run, row_id=MIXUP)

    assert found.checkpoint.path == run / "epoch_60.pth"
    assert found.log == run / "20261122_154252.log.json"
    assert (found.row.id, found.is_released) == (MIXUP, False)


def test_a_file_named_after_a_row_is_of_that_row(run: Path) -> None:
    """The project's own training names its files after the row that it retrains."""
    path = (run / "epoch_60.pth").rename(run / f"{MIXUP}.pth")
    own = path.with_name(f"{MIXUP}.log.json")
    own.write_text("{}")

    [found] = find(path)

    assert (found.row.id, found.is_released, found.log) == (MIXUP, False, own)


def test_two_logs_are_named_unless_one_is_given(run: Path) -> None:
    """A resumed run has two logs; which one to publish is the publisher's word."""
    second = run / "20261123_000000.log.json"
    second.write_text("{}")

    with pytest.raises(UsageError, match="Give --log FILE"):
        find(run, row_id=MIXUP)

    assert find(run, row_id=MIXUP, log=second)[0].log == second


def test_what_leaves_a_choice_or_none_is_refused(run: Path, tmp_path: Path) -> None:
    """A folder of several checkpoints or none; one row for two runs. Weights don't tell mixup from cutmix."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="Give --row ROW"):
        find(run)
    with pytest.raises(UsageError, match="expected one checkpoint, got none"):
        find(empty)
    with pytest.raises(UsageError, match="--row: expected one row or run with it, got 2"):
        find(run, run, row_id=MIXUP)

    shutil.copy(run / "epoch_60.pth", run / "epoch_59.pth")

    with pytest.raises(UsageError, match=r"one checkpoint, got epoch_59.pth, epoch_60.pth"):
        find(run, row_id=MIXUP)


def test_two_benchmarks_do_not_mix(write_benchmark: Callable, tiny: Callable) -> None:
    """A repository has one data set and one protocol."""
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "store"')
    path = manifest.with_name("resnet18_w4.vanilla_own.pth")
    torch.save({"state_dict": tiny(num_classes=10)}, path)
    catalog = open_catalog([manifest])

    with pytest.raises(UsageError, match=r"several benchmarks \(mini, own\)"):
        find_candidates([MIXUP, str(path)], catalog)


def test_a_log_that_cannot_be_had_is_told(write_benchmark: Callable, tmp_path: Path) -> None:
    """Weights are publishable without their log, but nobody leaves it out in silence."""
    content = b"weights, not read here"
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "store"', content)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "w.pth").write_bytes(content)
    lock = manifest.with_name("own.lock.json")
    locked = json.loads(lock.read_text())
    locked["assets"].append(locked["assets"][0] | {"kind": "log", "name": "w.log.json"})
    lock.write_text(json.dumps(locked))

    [found] = find_candidates(["resnet18_w4.vanilla_own"], open_catalog([manifest]))

    assert found.log is None
    assert found.why_no_log.startswith("w.log.json is left out: ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Jane-Doe/My.Models_2", "jane_doe_my_models_2"), ("a/" + "b" * 90, "a_" + "b" * 62)],
)
def test_a_repository_name_becomes_a_manifest_name(name: str, expected: str) -> None:
    """Lower case, digits and `_`, at most 64."""
    assert slug(name) == expected
