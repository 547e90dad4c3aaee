"""Every fault of the disk ends in one clear line; what is there is served."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixzoo.zoo.cache import cache_root, process_lock_path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net import partial
from mixzoo.zoo.net.fetch import fetch, fetch_all

from ...emulator.server import Emulator, Fault, burst
from .one_file import BYTES, SIZE, final, get, ranges, require_line

pytestmark = pytest.mark.usefixtures("small_and_quick")


def test_too_small_a_disk_is_told_first(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where the rest of the file has no room."""
    usage = shutil.disk_usage(manifest.parent)._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    require_line(SourceError, "expected room for 300,001 bytes, the disk has 300,000", manifest)
    assert not final(manifest).parent.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_disk_that_fills_up_is_one_line(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC in the middle says what to do."""

    def full(path: str, flags: int) -> int:
        return os.open("/dev/full" if path.endswith(".part") else path, flags)

    monkeypatch.setattr(partial, "own", full)

    require_line(SourceError, "No space left on device. Make room, or name a folder", manifest)


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
def test_largest_file_of_a_user_is_one_line(manifest: Path) -> None:
    """EFBIG leaves the part that fits, and its note, and nothing else."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        require_line(SourceError, "File too large. Make room", manifest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    here = sorted(path.name for path in final(manifest).parent.iterdir())
    assert here == [".w.pth.part", ".w.pth.part.json"]
    assert get(manifest).read_bytes() == BYTES


LINKS = (".w.pth.part", ".w.pth.part.json")


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("kind", ["symbolic", "hard", "to nothing", "pipe"])
@pytest.mark.parametrize("noted", [False, True])
def test_nothing_is_written_through_a_link_in_a_shared_cache(
    manifest: Path, tmp_path: Path, name: str, kind: str, noted: bool
) -> None:
    """Whoever shares the folder knows the names; the target stays, the file arrives."""
    folder, target = final(manifest).parent, tmp_path / "precious"
    folder.mkdir(parents=True)
    if noted:  # a note that claims the target's bytes as the beginning
        note = {"format": 1, "source": "x", "validator": '"1"', "size": SIZE, "done": [[0, 4]]}
        (folder / ".w.pth.part.json").write_text(json.dumps(note))
        (folder / ".w.pth.part").write_bytes(b"kept")
    link = folder / name
    link.unlink(missing_ok=True)
    target.write_bytes(b"kept")
    if kind == "to nothing":
        link.symlink_to(tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(link)
    elif kind == "symbolic":
        link.symlink_to(target)
    else:
        link.hardlink_to(target)

    assert get(manifest).read_bytes() == BYTES
    assert target.read_bytes() == b"kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "own.lock.json",
        "own.toml",
        "precious",
    ]
    assert [path.name for path in folder.iterdir()] == ["w.pth"]


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_lock_that_is_a_link_is_one_line(manifest: Path, tmp_path: Path) -> None:
    """The lock's target is neither emptied nor held; the line names the lock."""
    target = tmp_path / "precious"
    target.write_bytes(b"kept")
    lock = process_lock_path("own", "w.pth")
    lock.parent.mkdir(parents=True)
    lock.symlink_to(target)

    require_line(SourceError, r"w\.pth\.lock: cannot be written", manifest)
    assert target.read_bytes() == b"kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_part_of_another_user_is_begun_anew(emulator: Emulator, manifest: Path) -> None:
    """What stays in another's hands could change after its hash was taken."""
    emulator.front.plan = burst(None, Fault(status=404))
    emulator.store.plan = burst(Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    os.chown(final(manifest).with_name(".w.pth.part"), 65534, 65534)

    assert get(manifest).stat().st_uid == 0
    assert ranges(emulator) == ["", ""]


def test_cache_that_cannot_be_written_is_one_line(manifest: Path) -> None:
    """Also for root, to whom permissions mean nothing: here a file stands in the folder's place."""
    cache_root().mkdir(exist_ok=True)
    (cache_root() / "assets").write_text("in the way")

    require_line(SourceError, "cannot be written: .*MIXZOO_CACHE", manifest)


@pytest.fixture
def read_only_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A cache that the function given makes read-only, also for root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("MIXZOO_CACHE", folder)

        def forbid() -> None:
            for path in (Path(folder), *Path(folder).rglob("*")):
                path.chmod(0o555)
            if user == 0:
                os.seteuid(65534)

        yield forbid
        os.seteuid(user)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_read_only_cache_serves_what_it_has(
    manifest: Path, read_only_cache: Callable[[], None]
) -> None:
    """A colleague's shared cache needs no right to write for a file that is whole."""
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    asset = benchmark.asset(row.id)
    fetch(benchmark, asset)
    read_only_cache()

    assert [one.done for one in fetch_all([(benchmark, asset)])] == ["already here"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_read_only_cache_is_one_line(manifest: Path, read_only_cache: Callable[[], None]) -> None:
    """What can't be written is told with the way out."""
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    read_only_cache()

    with pytest.raises(SourceError, match=r"Permission denied.*MIXZOO_CACHE"):
        fetch(benchmark, benchmark.asset(row.id))
