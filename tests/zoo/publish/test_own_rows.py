"""Rows of one's own stand in a manifest with their files, and nothing published is overwritten."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.errors import ManifestError, UsageError
from mixzoo.zoo.manifest import FileSource, Row
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.publish.own_rows import AddedRow, add_row, manifest_for
from mixzoo.zoo.verify import State, check

MINI = open_catalog().benchmark("mini")


def row(method: str = "mixup", number: float = 50.0, tag: str | None = None) -> Row:
    plain = Row(id="a.b_c", method=method, architecture="resnet18", reported_top1=number, tag=tag)
    return msgspec.structs.replace(plain, id=plain.id_in("own"))


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., AddedRow]:
    """Adds a row with the weights given to tmp_path/own.toml."""

    def add_(added: Row, weights: bytes = b"weights", *, force: bool = False) -> AddedRow:
        target = tmp_path / "own.toml"
        catalog = open_catalog([target] if target.is_file() else [])
        base = catalog.benchmarks.get("own", MINI)
        files = {"weights": tmp_path / "run.pth", "log": tmp_path / "run.log.json"}
        files["weights"].write_bytes(weights)
        files["log"].write_bytes(b"log of " + weights)
        return add_row(target, manifest_for(target, base, catalog), added, files, force=force)

    return add_


def own(tmp_path: Path) -> Benchmark:
    return open_catalog([tmp_path / "own.toml"]).benchmark("own")


def test_a_new_manifest_measures_what_its_base_does(tmp_path: Path, add: Callable) -> None:
    """Data, protocol, rule and heads are the base's; the source is a folder beside it."""
    added = add(row())

    manifest = own(tmp_path).manifest
    assert added.new
    assert manifest.rows == [row()]
    assert (manifest.dataset, manifest.protocol) == (MINI.manifest.dataset, MINI.manifest.protocol)
    assert (manifest.metric, manifest.heads) == (MINI.manifest.metric, MINI.manifest.heads)
    assert manifest.sources == [FileSource(path="own.files")]


def test_files_are_locked_and_move_with_the_manifest(tmp_path: Path, add: Callable) -> None:
    """Weights and log, byte for byte, from the folder beside the manifest, wherever that lies."""
    add(row(), b"these very bytes")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tmp_path.glob("own*"):
        path.rename(moved / path.name)

    benchmark = open_catalog([moved / "own.toml"]).benchmark("own")
    for kind, content in (("weights", b"these very bytes"), ("log", b"log of these very bytes")):
        asset = benchmark.asset(row().id, kind)
        assert asset is not None
        path = fetch(benchmark, asset)
        assert path.read_bytes() == content
        assert check(path, asset).state is State.VERIFIED


def test_rows_are_added_one_by_one(tmp_path: Path, add: Callable) -> None:
    """Methods and tags stand apart; the lock holds two files of each."""
    for one in (row("mixup"), row("cutmix"), row("mixup", tag="seed1")):
        add(one, one.id.encode())

    benchmark = own(tmp_path)
    assert [one.id for one in benchmark.manifest.rows] == [
        "resnet18.mixup_own",
        "resnet18.cutmix_own",
        "resnet18.mixup_seed1_own",
    ]
    assert benchmark.lock is not None
    assert len(benchmark.lock.assets) == 6


def test_the_same_again_changes_nothing(tmp_path: Path, add: Callable) -> None:
    """Neither manifest nor lock nor files."""
    add(row("cutmix"))
    add(row())
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("own*")) if p.is_file()}

    again = add(row("cutmix"))

    assert not again.new
    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("own*")) if p.is_file()} == before


@pytest.mark.parametrize(("number", "weights"), [(51.0, b"weights"), (50.0, b"others")])
def test_another_result_takes_force(
    tmp_path: Path, add: Callable, number: float, weights: bytes
) -> None:
    """A published number or its weights don't change by accident."""
    add(row())
    before = (tmp_path / "own.toml").read_text()

    with pytest.raises(UsageError, match="--force to replace it, or --id with a tag"):
        add(row(number=number), weights)

    assert (tmp_path / "own.toml").read_text() == before


def test_force_replaces_row_and_hashes_but_no_file(tmp_path: Path, add: Callable) -> None:
    """What was published before stays in the folder under its own hash; pictures stay locked."""
    add(row("cutmix"))
    old = add(row())
    lock = json.loads((tmp_path / "own.lock.json").read_text())
    lock["assets"].append({"row": row().id, "kind": "visualisation", "name": "v.zip"})
    (tmp_path / "own.lock.json").write_text(json.dumps(lock))
    new = add(row(number=51.0), b"others", force=True)

    benchmark = own(tmp_path)
    asset = benchmark.asset(row().id)
    assert [r.reported_top1 for r in benchmark.manifest.rows] == [50.0, 51.0]
    assert asset is not None
    assert fetch(benchmark, asset).read_bytes() == b"others"
    assert all(path.is_file() for path in (*old.files, *new.files))
    kinds = [one.kind for one in benchmark.lock.assets if one.row == row().id]
    assert sorted(kinds) == ["log", "visualisation", "weights"]


def test_a_row_without_a_number_is_filled_in(tmp_path: Path, add: Callable) -> None:
    """A manifest may name the rows that are yet to be trained."""
    add(row("cutmix"))
    planned = '\n[[rows]]\nid = "resnet18.mixup_own"\nmethod = "mixup"\narchitecture = "resnet18"\n'
    with (tmp_path / "own.toml").open("a") as file:
        file.write(planned)

    added = add(row())

    assert not added.new
    assert own(tmp_path).manifest.row(row().id) == row()


def test_a_growing_log_does_not_change_what_was_published(tmp_path: Path, add: Callable) -> None:
    """The run's own files stay its own: copies, not links."""
    added = add(row())
    with (tmp_path / "run.log.json").open("a") as file:
        file.write("more")

    assert added.files[1].read_bytes() == b"log of weights"


def test_a_manifest_without_a_folder_is_refused(tmp_path: Path, add: Callable) -> None:
    """Weights can't be put on a web server from here."""
    add(row("cutmix"))
    target = tmp_path / "own.toml"
    text = target.read_text().replace(
        'kind = "file"\npath = "own.files"', 'kind = "http"\nurl = "http://x/"'
    )
    target.write_text(text)

    with pytest.raises(ManifestError, match='expected a source of kind "file"'):
        add(row())

    assert target.read_text() == text


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    """A second `mini` could not be told from the package's own."""
    catalog = open_catalog()

    with pytest.raises(UsageError, match="'mini' is the name of another benchmark"):
        manifest_for(tmp_path / "mini.toml", MINI, catalog)


def test_two_at_once_lose_no_row(tmp_path: Path, add: Callable) -> None:
    """Jobs of a sweep publish into one manifest at the same time."""
    add(row("vanilla"))
    catalog = open_catalog([tmp_path / "own.toml"])
    manifest = catalog.benchmark("own").manifest
    weights = tmp_path / "run.pth"

    def publish(number: int) -> None:
        add_row(tmp_path / "own.toml", manifest, row(tag=f"seed{number}"), {"weights": weights})

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lock = json.loads((tmp_path / "own.lock.json").read_text())
    assert len(own(tmp_path).manifest.rows) == 9
    assert len({asset["row"] for asset in lock["assets"]}) == 9
