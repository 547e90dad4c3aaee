"""What is known of a row's file without reading it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.zoo import shelf
from mixzoo.zoo.cache import asset_path, assets_folder
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.files import sha256_of
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.net.partial import Partial
from mixzoo.zoo.release.by_hand import import_files
from mixzoo.zoo.shelf import State
from mixzoo.zoo.verify import check_all

from ..mini_rows import MIXUP

CONTENT = bytes(range(256)) * 400
AGED = 10**18  # ns: before the clock's last tick, so that a check of the file is remembered


def missing(own: Benchmark) -> None:
    """Nothing was fetched."""


def arrived(own: Benchmark) -> Path:
    """The file came whole; nobody has read it on the disk yet."""
    return fetch(own, own.lock.assets[0])


def checked(own: Benchmark, content: bytes = CONTENT) -> Path:
    """A full check has seen these bytes."""
    path = arrived(own)
    path.write_bytes(content)
    os.utime(path, ns=(AGED, AGED))
    check_all([(path, own.lock.assets[0])])
    return path


def checked_and_touched(own: Benchmark) -> None:
    """It has another time than when it was checked."""
    checked(own).touch()


def damaged(own: Benchmark) -> None:
    """A full check found another byte."""
    checked(own, CONTENT[:-1] + b"x")


def short(own: Benchmark) -> None:
    """Its size tells at a glance."""
    arrived(own).write_bytes(b"short")


def interrupted(own: Benchmark) -> None:
    """A part of it has arrived."""
    partial = Partial(asset_path("own", own.lock.assets[0]))
    partial.part.parent.mkdir(parents=True)
    partial.part.write_bytes(CONTENT[:1000])
    partial.add(0, 1000)
    partial.save()


@pytest.mark.parametrize(
    ("happened", "state", "is_here"),
    [
        (missing, State.ABSENT, False),
        (arrived, State.HERE, True),
        (checked, State.VERIFIED, True),
        (checked_and_touched, State.HERE, True),
        (damaged, State.DAMAGED, False),
        (short, State.DAMAGED, False),
        (interrupted, State.PARTIAL, False),
    ],
)
def test_state_of_a_file(
    write_benchmark: Callable[..., Path],
    tmp_path: Path,
    happened: Callable[[Benchmark], object],
    state: State,
    is_here: bool,
) -> None:
    """Each state is told by what is on the disk and what the last full check saw."""
    (tmp_path / "released").mkdir()
    (tmp_path / "released" / "w.pth").write_bytes(CONTENT)
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "released"', CONTENT)
    own = open_catalog([manifest]).benchmark("own")

    happened(own)

    found = shelf.file(own, own.manifest.rows[0])
    assert (found.state, found.is_here) == (state, is_here)
    assert found.sha256 == own.lock.assets[0].sha256


def test_package_has_its_files() -> None:
    """The embedded benchmark's can be had without a network, before their first use."""
    benchmark, row = open_catalog().row(MIXUP)

    found = shelf.file(benchmark, row)

    assert (found.state, found.local) == (State.PACKAGED, True)


def test_release_that_is_not_locked() -> None:
    """Nobody knows its file's name."""
    found = shelf.file(*open_catalog().row("resnet50.automix_inat2018"))

    assert (found.state, found.asset, found.path) == (State.UNKNOWN, None, None)


def test_what_not_locked_means_depends_on_the_release() -> None:
    """Only one that can be asked is asked."""
    catalog = open_catalog()

    released = shelf.rule(catalog.benchmark("inat2018"), State.UNKNOWN)
    own = shelf.rule(catalog.benchmark("mini"), State.UNKNOWN)

    assert "zoo lock BENCHMARK`, asks the release" in released
    assert own.endswith("no source lists its files: train and publish the row first")


def test_imported_files_are_the_rows(
    write_benchmark: Callable[..., Path], tmp_path: Path, tiny: Callable[..., dict]
) -> None:
    """With the hash of their first use; of two logs the one with more decimals."""
    catalog = open_catalog([write_benchmark("")])
    benchmark, row = catalog.row("resnet18_w4.vanilla_own")
    (tmp_path / "run.log").write_bytes(b"text")
    torch.save(tiny(num_classes=10), mine := tmp_path / "mine.pth")
    import_files([mine, tmp_path / "run.log"], catalog, row=row.id)

    weights, text = shelf.file(benchmark, row), shelf.log(benchmark, row)
    (tmp_path / "run.log.json").write_bytes(b"{}")
    import_files([tmp_path / "run.log.json"], catalog, row=row.id)
    log = shelf.log(benchmark, row)

    assert weights.sha256 == sha256_of(mine)
    assert (weights.state, weights.local) == (State.HERE, True)
    assert [one.asset and one.asset.kind for one in (text, log)] == ["text_log", "log"]


ROW = "resnet18_w4.vanilla_own"
NOTES = ["", "{}", '{"row": "a.b", "kind": "weights"}', f'{{"row": "{ROW}", "kind": "x"}}']


@pytest.mark.parametrize("text", [*NOTES, "[" * 99_999, "[]", '{"row": 1}', "\xff"])
def test_note_that_cannot_be_understood_is_none(
    text: str, write_benchmark: Callable[..., Path]
) -> None:
    """It says no row of the file beside it."""
    benchmark = open_catalog([write_benchmark("")]).benchmark("own")
    folder = assets_folder("own")
    folder.mkdir(parents=True)
    (folder / "w.pth").write_bytes(b"w")
    (folder / "w.pth.adopted.json").write_text(text, encoding="latin-1")

    assert shelf.known_assets(benchmark) == benchmark.assets


def test_files_that_names_mean(write_benchmark: Callable[..., Path]) -> None:
    """A row's own; with its benchmark, and without a name, what else lies in the folder too."""
    catalog = open_catalog([write_benchmark("", CONTENT)])
    own = catalog.benchmark("own")
    path, stranger = asset_path("own", own.lock.assets[0]), assets_folder("own") / "holiday.jpg"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"?")

    row = shelf.files_of(catalog, [own.manifest.rows[0].id])
    whole = shelf.files_of(catalog, ["own"])
    everything = shelf.files_of(catalog)

    assert row == [(path, own.lock.assets[0])]
    assert whole == [*row, (stranger, None)]
    assert set(whole) < set(everything)
