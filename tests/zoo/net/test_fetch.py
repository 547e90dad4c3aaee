"""An asset is fetched once, kept, replaced when it rots, and trusted on first use."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, SourceError
from mixzoo.zoo.net.fetch import Fetched, fetch_all
from mixzoo.zoo.verify import State, check

from ...emulator.server import Emulator
from .one_file import ADDRESS, BYTES, SOURCE, final, get

pytestmark = pytest.mark.usefixtures("small_and_quick")


def fetched(manifest: Path) -> Fetched:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    wanted = [(benchmark, benchmark.asset(row.id))]
    (one,) = fetch_all(wanted, connections=1)
    return one


def test_a_file_is_fetched_once_then_kept(emulator: Emulator, manifest: Path) -> None:
    """And nothing but the file stays in the cache."""
    first, second = fetched(manifest), fetched(manifest)

    assert first.path.read_bytes() == BYTES
    assert (first.done, second.done) == ("fetched", "already here")
    assert len(emulator.store.requests) == 1
    assert [path.name for path in first.path.parent.iterdir()] == ["w.pth"]


def test_refused_connection_is_one_line(write_benchmark: Callable[..., Path]) -> None:
    """A server that isn't there is named with its address."""
    manifest = write_benchmark(SOURCE.format(url="http://127.0.0.1:9"), BYTES)

    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/files/w\.pth: .*refused"):
        get(manifest)


def test_second_source_is_asked_when_the_first_lies(
    emulator: Emulator, write_benchmark: Callable[..., Path]
) -> None:
    """Wrong bytes from one source are no end: the hash decides, the next source is asked."""
    emulator.files[ADDRESS] = b"wrong"
    sources = SOURCE.format(url=emulator.front.url) + '\n[[sources]]\nkind = "file"\npath = "."'
    manifest = write_benchmark(sources, BYTES)
    (manifest.parent / "w.pth").write_bytes(BYTES)

    assert get(manifest).read_bytes() == BYTES


def test_damaged_file_is_set_aside_and_fetched_again(manifest: Path) -> None:
    """A file that rotted in the cache is replaced, and kept under another name."""
    path = get(manifest)
    path.write_bytes(BYTES[:-1] + b"x")

    again = fetched(manifest)

    assert again.done == "fetched again"
    assert again.path.read_bytes() == BYTES
    assert path.with_name("w.pth.damaged").read_bytes() == BYTES[:-1] + b"x"


def test_unlocked_hash_is_trusted_on_first_use(unlocked: Path) -> None:
    """Without a locked hash the first download is recorded, and a later change is corruption."""
    benchmark, row = open_catalog([unlocked]).row("resnet18_w4.vanilla_own")
    asset = benchmark.asset(row.id)

    path = get(unlocked)
    before = check(path, asset).state
    path.write_bytes(b"changed")

    assert before is State.FIRST_USE
    assert check(path, asset).state is State.DAMAGED


def test_later_download_must_equal_the_first_use(emulator: Emulator, unlocked: Path) -> None:
    """A file that was trusted once isn't silently exchanged by a release that changed."""
    get(unlocked).unlink()
    emulator.files[ADDRESS] = BYTES[:-1] + b"x"

    with pytest.raises(IntegrityError, match=r"file changed on purpose, remove .*w\.pth\.sha256"):
        get(unlocked)


def test_damaged_zip_without_a_hash_is_never_used(
    emulator: Emulator, write_benchmark: Callable[..., Path]
) -> None:
    """Its own sums name the entry; another source's is taken, else nothing, and no first use noted."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("w/data/0", BYTES)
    damaged = bytearray(whole.getvalue())
    damaged[5000] ^= 1
    emulator.files |= {ADDRESS: bytes(damaged), "/mirror/w.pth": whole.getvalue()}
    first = SOURCE.format(url=emulator.front.url)
    one = write_benchmark(first, b"", sha256=None, size=None)

    with pytest.raises(
        IntegrityError, match=r"entry 'w/data/0' doesn't have the CRC-32.*run again"
    ):
        get(one)

    assert list(final(one).parent.iterdir()) == []
    both = write_benchmark(first + first.replace("/files", "/mirror"), b"", sha256=None, size=None)
    assert get(both).read_bytes() == whole.getvalue()
