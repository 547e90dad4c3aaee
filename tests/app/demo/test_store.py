"""How much room visitors' files take, and that old ones go."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.app.demo import store
from mixzoo.app.demo.settings import MIB, Settings
from mixzoo.app.demo.store import A_FILE, Store
from mixzoo.zoo.errors import UsageError

LIMITS = Settings(max_stored=2 * MIB, keep_files=100)


def test_small_files_count_as_files(tmp_path: Path) -> None:
    """Whoever stores little in many files is bounded by their number."""
    kept = Store(tmp_path, LIMITS)
    for number in range(MIB // A_FILE):
        with kept.promise(0):
            (tmp_path / f"{number}").write_bytes(b"12345678")

    kept.measure()

    with pytest.raises(UsageError, match="full"), kept.promise(0):
        pass


def test_results_make_way_for_new_ones(tmp_path: Path) -> None:
    """A mix is never refused; who looks at one again and again keeps it."""
    kept = Store(tmp_path, LIMITS)
    liked = kept.keep(b"liked", "a.png")

    for number in range(100):
        newest = kept.keep(number.to_bytes(4), "a.png")
        kept.keep(b"liked", "a.png")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == MIB // A_FILE
    assert {Path(liked), Path(newest)} <= {*files}
    with kept.promise(MIB - A_FILE):  # they take no upload's room
        pass


def test_measurement_replaces_promises(tmp_path: Path) -> None:
    """What was promised and never came, or is gone, makes room again; what came counts."""
    kept = Store(tmp_path, LIMITS)
    for _ in range(3):
        with kept.promise(MIB // 4):
            (tmp_path / "a").write_bytes(bytes(300_000))
    with pytest.raises(UsageError), kept.promise(MIB // 2):
        pass

    kept.measure()

    with kept.promise(MIB // 2):
        pass
    with pytest.raises(UsageError), kept.promise(MIB - 300_000 - A_FILE):
        pass


@settings(max_examples=50)
@given(st.lists(st.integers(0, MIB), max_size=12))
def test_promises_never_exceed_the_room(tmp_path_factory: pytest.TempPathFactory, sizes) -> None:
    """However many write at a time, all that they may write fits."""
    kept = Store(tmp_path_factory.mktemp("store"), LIMITS)
    flying = []
    for size in sizes:
        promise = kept.promise(size)
        try:
            promise.__enter__()
        except UsageError:
            assert sum(s + A_FILE for _, s in flying) + size + A_FILE > MIB
        else:
            flying.append((promise, size))

    assert sum(size + A_FILE for _, size in flying) <= MIB
    for promise, _ in flying:
        promise.__exit__(None, None, None)


def test_result_is_written_once(tmp_path: Path) -> None:
    """The same picture has the same path and isn't touched while somebody reads it."""
    kept = Store(tmp_path, LIMITS)
    path = Path(kept.keep(b"picture", "a.png"))
    before = path.stat().st_ino, path.stat().st_mtime_ns
    os.utime(path, (1, 1))

    assert kept.keep(b"picture", "a.png") == str(path)
    assert path.read_bytes() == b"picture"
    assert path.stat().st_ino == before[0]
    assert path.stat().st_mtime > 1  # it is as new as the last who asked for it


def test_old_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What visitors left is removed with its folder; the page's own pictures stay."""
    own = tmp_path / "x" / "fox.png"
    own.parent.mkdir()
    own.write_bytes(b"fox")
    kept = Store(tmp_path, LIMITS)
    path = Path(kept.keep(b"picture", "a.png"))
    (tmp_path / "tmpcutoff").write_bytes(b"half an upload")
    kept.measure()
    assert path.exists()

    later = time.time() + LIMITS.keep_files + store.CLEANING + 1
    monkeypatch.setattr(store.time, "time", lambda: later)
    kept.measure()

    assert [*tmp_path.rglob("*")] == [own.parent, own]
