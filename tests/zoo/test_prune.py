"""Prune offers what isn't needed, and never what a lock, a person or another process needs."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from mixzoo.zoo.cache import assets_folder, cache_root
from mixzoo.zoo.catalog import Catalog, open_catalog
from mixzoo.zoo.errors import MixzooError, UsageError
from mixzoo.zoo.lock import Asset
from mixzoo.zoo.prune import removable, remove, unknown_folders
from mixzoo.zoo.shelf import note_adoption
from mixzoo.zoo.verify import record_first_use

ROW = "resnet18_w4.vanilla_own"
LEFT_OVER = {
    ".w.pth.part": "partial",
    ".w.pth.part.json": "partial",
    ".w.pth.x8yz.part": "partial",
    "w.pth.damaged": "damaged",
    "w.pth.damaged.2": "damaged",
    "holiday.jpg": "foreign",
    "gone.pth.sha256": "orphaned note",
    "gone.pth.adopted.json": "orphaned note",
}
Write = Callable[..., Path]  # the fixture `write_benchmark`


@pytest.fixture
def catalog(write_benchmark: Write) -> Catalog:
    """A benchmark with its file, a record, and all kinds of left-over files of 10 bytes each."""
    folder = assets_folder("own")
    folder.mkdir(parents=True)
    for name in (*LEFT_OVER, "w.pth", ".verified.json"):
        (folder / name).write_bytes(b"0123456789")
    return open_catalog([write_benchmark("", b"0123456789")])


def test_left_over_files_are_offered_with_reason_and_size(catalog: Catalog) -> None:
    """The intact file and the record aren't; nothing is touched by looking."""
    before = sorted(assets_folder("own").iterdir())

    items = removable(catalog)

    assert {item.path.name: item.reason for item in items} == LEFT_OVER
    assert {item.frees for item in items} == {10}
    assert sorted(assets_folder("own").iterdir()) == before


def test_removing_frees_what_was_said_and_nothing_else(catalog: Catalog) -> None:
    """Twice is harmless."""
    items = removable(catalog)

    freed = remove(items, catalog)

    assert freed == 10 * len(LEFT_OVER)
    assert {p.name for p in assets_folder("own").iterdir()} == {"w.pth", ".verified.json"}
    assert removable(catalog) == []


def test_only_some_reasons(catalog: Catalog) -> None:
    """`--only damaged` leaves a download that shall go on."""
    items = removable(catalog, only=["damaged"])

    assert {item.path.name for item in items} == {"w.pth.damaged", "w.pth.damaged.2"}


def test_hard_link_frees_nothing(catalog: Catalog, tmp_path: Path) -> None:
    """The bytes stay with the other name."""
    os.link(assets_folder("own") / "holiday.jpg", tmp_path / "holiday.jpg")

    (item,) = removable(catalog, only=["foreign"])

    assert item.frees == 0


def test_running_download_is_left_alone(catalog: Catalog) -> None:
    """The partial file of a live process stays, the others go, and that is said."""
    (cache_root() / "locks" / "own").mkdir(parents=True)

    with (
        FileLock(cache_root() / "locks" / "own" / "w.pth.lock"),
        pytest.raises(MixzooError, match="another process is fetching it"),
    ):
        remove(removable(catalog), catalog)

    here = {p.name for p in assets_folder("own").iterdir()}
    assert ".w.pth.part" in here
    assert "holiday.jpg" not in here


def test_what_an_earlier_lock_knew_is_superseded(catalog: Catalog) -> None:
    """A file that was fetched or verified once, and that today's lock doesn't name any more."""
    folder = assets_folder("own")
    (folder / "old.pth").write_bytes(b"old")
    record_first_use(folder / "old.pth", "0" * 64)
    seen = {"size": 3, "mtime_ns": 1, "sha256": "0" * 64, "checked": "2026-01-01T00:00:00+00:00"}
    (folder / "older.pth").write_bytes(b"old")
    (folder / ".verified.json").write_text(json.dumps({"format": 1, "files": {"older.pth": seen}}))

    items = removable(catalog, only=["superseded"])

    assert {item.path.name for item in items} == {"old.pth", "old.pth.sha256", "older.pth"}


def test_adopted_file_goes_only_when_the_locked_one_is_here(
    write_benchmark: Write,
) -> None:
    """Until then it is the only copy, and the row's."""
    brought = assets_folder("own") / "mine.pth"
    brought.parent.mkdir(parents=True)
    brought.write_bytes(b"mine")
    record_first_use(brought, "0" * 64)
    asset = Asset(row=ROW, kind="weights", name=brought.name)
    note_adoption(open_catalog([write_benchmark("")]).benchmark("own"), asset)
    locked = open_catalog([write_benchmark("", b"locked")])

    before = removable(locked)
    (assets_folder("own") / "w.pth").write_bytes(b"locked")
    after = {item.path.name for item in removable(locked)}

    assert before == []
    assert after == {"mine.pth", "mine.pth.sha256", "mine.pth.adopted.json"}


def test_first_use_of_a_locked_file_stays_noted(write_benchmark: Write) -> None:
    """When its file goes, by its row's or its benchmark's name; a later download must equal it."""
    catalog = open_catalog([write_benchmark("", b"w", sha256=None)])
    path = assets_folder("own") / "w.pth"
    path.parent.mkdir(parents=True)

    for name in (ROW, "own"):
        path.write_bytes(b"w")
        record_first_use(path, "0" * 64)
        remove(removable(catalog, [name]), catalog)
        assert [one.name for one in path.parent.iterdir()] == ["w.pth.sha256"]
        assert removable(catalog) == []


def test_whole_benchmark_or_row_goes_by_name(catalog: Catalog) -> None:
    """Also a folder whose manifest isn't known any more; its files are never offered unasked."""
    stranger = assets_folder("stranger") / "s.pth"
    stranger.parent.mkdir()
    stranger.write_bytes(b"s")

    assert unknown_folders(catalog) == ["stranger"]
    assert stranger not in {item.path for item in removable(catalog)}
    assert [item.path.name for item in removable(catalog, [ROW])] == ["w.pth"]
    remove(removable(catalog, ["own", "stranger"]), catalog)
    assert list((cache_root() / "assets").iterdir()) == []


@pytest.mark.parametrize("name", ["..", "../locks", ".", "/", "nothing"])
def test_name_cannot_lead_out_of_the_cache(catalog: Catalog, name: str) -> None:
    """A name is a benchmark's or a row's, never a path."""
    with pytest.raises(UsageError, match="No row"):
        removable(catalog, [name])


def test_link_is_removed_and_not_its_target(catalog: Catalog, tmp_path: Path) -> None:
    """What a link in the cache points to isn't ours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    (assets_folder("own") / "link").symlink_to(tmp_path / "mine")
    (assets_folder("own") / "dangling").symlink_to(tmp_path / "gone")

    remove(removable(catalog), catalog)

    assert {p.name for p in assets_folder("own").iterdir()} == {"w.pth", ".verified.json"}
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
