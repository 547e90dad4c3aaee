"""Every fault of the disk ends in one clear line; what is there is served."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net.fetch import fetch, fetch_all

from ...emulator.server import Emulator
from .one_file import SIZE, final, require_line

pytestmark = pytest.mark.usefixtures("small_and_quick")


def test_too_small_a_disk_is_told_first(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where the rest of the file has no room."""
    usage = shutil.disk_usage(manifest.parent)._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    require_line(SourceError, "expected room for 300,001 bytes, the disk has 300,000", manifest)
    assert list(final(manifest).parent.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_disk_that_fills_up_is_one_line(emulator: Emulator, manifest: Path) -> None:
    """ENOSPC in the middle says what to do."""
    final(manifest).parent.mkdir(parents=True)
    final(manifest).with_name(".w.pth.part").symlink_to("/dev/full")

    require_line(SourceError, "No space left on device. Make room, or name a folder", manifest)


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
    fetch(benchmark, asset, quiet=True)
    read_only_cache()

    assert [one.done for one in fetch_all([(benchmark, asset)])] == ["already here"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_read_only_cache_is_one_line(manifest: Path, read_only_cache: Callable[[], None]) -> None:
    """What can't be written is told with the way out."""
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    read_only_cache()

    with pytest.raises(SourceError, match=r"Permission denied.*MIXZOO_CACHE"):
        fetch(benchmark, benchmark.asset(row.id), quiet=True)
