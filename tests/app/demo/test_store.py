"""How much room visitors' files take, and that old ones go."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.app.demo import limits, store
from mixzoo.app.demo.limits import MIB
from mixzoo.app.demo.store import A_FILE, Store
from mixzoo.zoo.errors import UsageError


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STORED", 2 * MIB)


def test_small_files_count_as_files(tmp_path: Path) -> None:
    """Whoever stores little in many files is bounded by their number."""
    kept = Store(tmp_path)
    for number in range(MIB // A_FILE):
        claimed = kept.claim(0)
        (tmp_path / f"{number}").write_bytes(b"12345678")
        kept.release(claimed)

    with pytest.raises(UsageError, match="full"):
        kept.claim(0)


def test_results_make_way_for_new_ones(tmp_path: Path) -> None:
    """A mix is never refused; who looks at one again and again keeps it."""
    kept = Store(tmp_path)
    liked = kept.keep(b"liked", "a.png")

    for number in range(100):
        newest = kept.keep(number.to_bytes(4), "a.png")
        kept.keep(b"liked", "a.png")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == MIB // A_FILE
    assert {Path(liked), Path(newest)} <= {*files}
    kept.claim(MIB - A_FILE)  # they take no upload's room


def test_only_what_came_counts_in_the_end(tmp_path: Path) -> None:
    """What was claimed and never came, or is gone, makes room again."""
    kept = Store(tmp_path)
    claimed = kept.claim(MIB // 2)
    (tmp_path / "a").write_bytes(bytes(300_000))
    with pytest.raises(UsageError):
        kept.claim(MIB // 2)

    kept.release(claimed)

    kept.release(kept.claim(MIB // 2))
    with pytest.raises(UsageError):
        kept.claim(MIB - 300_000 - A_FILE)


@settings(max_examples=50)
@given(st.lists(st.integers(0, MIB), max_size=12))
def test_claims_never_exceed_the_room(tmp_path_factory: pytest.TempPathFactory, sizes) -> None:
    """However many write at a time, all that they may write fits."""
    kept, claimed = Store(tmp_path_factory.mktemp("store")), 0
    for size in sizes:
        try:
            claimed += kept.claim(size)
        except UsageError:
            assert claimed + size + A_FILE > MIB

    assert claimed <= MIB


def test_result_is_written_once(tmp_path: Path) -> None:
    """The same picture has the same path and isn't touched while somebody reads it."""
    kept = Store(tmp_path)
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
    kept = Store(tmp_path)
    path = Path(kept.keep(b"picture", "a.png"))
    (tmp_path / "tmpcutoff").write_bytes(b"half an upload")
    kept.measure()
    assert path.exists()

    later = time.time() + limits.KEEP_FILES + store.CLEANING + 1
    monkeypatch.setattr(store.time, "time", lambda: later)
    kept.measure()

    assert [*tmp_path.rglob("*")] == [own.parent, own]
