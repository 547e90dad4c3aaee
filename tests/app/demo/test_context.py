"""The checkpoints that visitors share."""

import threading
from pathlib import Path

import pytest
import torch
from mixzoo.app.demo.context import Models
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import CheckpointError, UsageError

from ...mini_rows import AUTOMIX, MIXUP, VANILLA, weights

CHECKPOINT = weights(VANILLA)


@pytest.fixture
def models() -> Models:
    return Models(open_catalog(), size=1)


def test_rows_of_the_package_are_available_at_once(models: Models) -> None:
    """`mini` needs no download; what was released elsewhere isn't offered before one."""
    here = models.available()

    assert {VANILLA, MIXUP} <= set(here)
    assert all(ref.endswith("_mini") for ref in here)


def test_imported_file_is_available(write_benchmark, tmp_path: Path) -> None:
    """A row is offered as soon as its file lies in the cache."""
    sources = f'[[sources]]\nkind = "file"\npath = "{tmp_path}"'
    models = Models(open_catalog([write_benchmark(sources, b"weights")]), size=1)
    assert "resnet18_w4.vanilla_own" not in models.available()

    from mixzoo.zoo.cache import cache_root

    place = cache_root() / "assets" / "own" / "w.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert "resnet18_w4.vanilla_own" in models.available()


def test_same_row_is_loaded_once(models: Models) -> None:
    """The second visitor gets the first one's classifier."""
    assert models.get(VANILLA) is models.get(VANILLA)


def test_oldest_classifier_leaves_at_the_bound(models: Models) -> None:
    """Never more than `size` stay in memory."""
    first = models.get(VANILLA)
    models.get(MIXUP)

    assert len(models) == 1
    assert models.get(VANILLA) is not first


def test_simultaneous_visitors_wait_for_one_load() -> None:
    """Ten threads that want one row share a single classifier."""
    models, got = Models(open_catalog(), size=2), []
    threads = [threading.Thread(target=lambda: got.append(models.get(MIXUP))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == 10
    assert len({id(model) for model in got}) == 1


@pytest.mark.parametrize(
    "ref", ["../../etc/passwd", str(CHECKPOINT), "w.pth", "", "resnet50.automx_inat2018"]
)
def test_only_listed_rows_are_loaded(models: Models, ref: str) -> None:
    """A path or an unknown name is no checkpoint, even if a good one lies there."""
    with pytest.raises(UsageError, match="No row"):
        models.get(ref)


def test_missing_row_is_not_downloaded(models: Models) -> None:
    """A listed row that isn't here is refused with the command that fetches it."""
    with pytest.raises(UsageError, match=r"mixzoo zoo download resnet50\.automix_inat2018"):
        models.get("resnet50.automix_inat2018")


def own_file(folder: Path, row: str) -> str:
    """A checkpoint file that no manifest knows: a row's weights, written by another torch.save."""
    path = folder / "latest.pth"
    path.parent.mkdir()
    torch.save({"state_dict": torch.load(weights(row))["state_dict"]}, path)
    return str(path)


def test_owners_files_are_offered_first(tmp_path: Path) -> None:
    """Files of one name are told apart by as little of their path as that takes, and say what
    mixes them; one that is a known row is called by it."""
    refs = [own_file(tmp_path / "r1", AUTOMIX), own_file(tmp_path / "r2", MIXUP), str(CHECKPOINT)]

    models = Models(open_catalog(), 2, refs)

    assert models.chosen == ["r1/latest.pth", "r2/latest.pth", VANILLA]
    assert models.available()[:3] == models.chosen
    assert len(set(models.available())) == len(models.available())
    told = [
        (one.method, one.benchmark and one.benchmark.name)
        for one in map(models.about, models.chosen)
    ]
    assert told == [("automix", None), ("", None), ("vanilla", "mini")]
    assert models.about("r1/latest.pth").protocol.crop == 224
    assert models.get("r1/latest.pth").num_classes == 40
    near = models.of_method("automix", models.about("r2/latest.pth"))
    assert near == models.about("r1/latest.pth")


def test_owners_file_that_is_no_checkpoint_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything is served, not when a visitor chooses it."""
    (tmp_path / "w.pth").write_bytes(b"PK not a checkpoint")

    with pytest.raises(CheckpointError):
        Models(open_catalog(), 2, [str(tmp_path / "w.pth")])


@pytest.mark.parametrize("other", ["latest.pth", "r1/../r1/latest.pth"])
def test_one_file_named_twice_is_served(tmp_path: Path, monkeypatch, other: str) -> None:
    """However its path is written."""
    path = own_file(tmp_path / "r1", MIXUP)
    monkeypatch.chdir(tmp_path if ".." in other else tmp_path / "r1")

    assert len(Models(open_catalog(), 1, [path, other]).available()) >= 11
