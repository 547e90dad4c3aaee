"""Downloads end in the locked bytes, or in one clear error and nothing under the final name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, SourceError
from mixzoo.zoo.net import stream
from mixzoo.zoo.net.fetch import fetch, fetch_all
from mixzoo.zoo.shelf import weights_of
from mixzoo.zoo.verify import State, check

BYTES = bytes(range(256)) * 8192  # 2 MiB: more than one chunk
HTTP = '[[sources]]\nkind = "http"\nurl = "{url}/files"'


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.0)


def fetch_own(manifest: Path) -> tuple[Path, str | None]:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    (one,) = fetch_all([(benchmark, weights_of(benchmark, row))], quiet=True)
    if one.error:
        raise one.error
    return one.path, one.done


def cached_files(manifest: Path) -> list[str]:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return sorted(p.name for p in asset_path("own", weights_of(benchmark, row)).parent.glob("*"))


def test_http_source_delivers_the_bytes(server, write_benchmark: Callable[..., Path]) -> None:
    """A file from a web server of one's own is fetched once, then kept."""
    server.answers["/files/w.pth"] = (200, {}, BYTES)
    manifest = write_benchmark(HTTP.format(url=server.url), BYTES)

    path, first = fetch_own(manifest)
    _, second = fetch_own(manifest)

    assert path.read_bytes() == BYTES
    assert (first, second) == ("fetched", "already here")
    assert server.requests == ["/files/w.pth"]
    assert cached_files(manifest) == ["w.pth"]


def test_file_source_is_relative_to_the_manifest(write_benchmark: Callable[..., Path]) -> None:
    """A folder beside the manifest is a source."""
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "store"', BYTES)
    (manifest.parent / "store").mkdir()
    (manifest.parent / "store" / "w.pth").write_bytes(BYTES)

    path, _ = fetch_own(manifest)

    assert path.read_bytes() == BYTES


FAULTS = {
    "not there": ((404, {}, b"no"), SourceError, "got HTTP 404"),
    "server error": ((502, {}, b"bad gateway"), SourceError, "got HTTP 502"),
    "web page": (
        (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
        SourceError,
        "got a web page",
    ),
    "short": (
        (200, {}, BYTES[:-9]),
        IntegrityError,
        f"expected {len(BYTES)} bytes, got an offer of {len(BYTES) - 9}",
    ),
    "same size, other bytes": ((200, {}, BYTES[:-1] + b"x"), IntegrityError, "expected sha256"),
}


@pytest.mark.parametrize(("answer", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_leaves_nothing_behind(
    server, write_benchmark: Callable[..., Path], answer, error: type[Exception], message: str
) -> None:
    """Each fault is one clear line; no file and no partial file stays."""
    server.answers["/files/w.pth"] = answer
    manifest = write_benchmark(HTTP.format(url=server.url), BYTES)

    with pytest.raises(error) as caught:
        fetch_own(manifest)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cached_files(manifest) == []


def test_refused_connection_is_one_line(write_benchmark: Callable[..., Path]) -> None:
    """A server that isn't there is named with its address."""
    manifest = write_benchmark(HTTP.format(url="http://127.0.0.1:9"), BYTES)

    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/files/w\.pth: .*refused"):
        fetch_own(manifest)


def test_second_source_is_asked_when_the_first_lies(
    server, write_benchmark: Callable[..., Path]
) -> None:
    """Wrong bytes from one source are no end: the hash decides, the next source is asked."""
    server.answers["/files/w.pth"] = (200, {}, b"wrong")
    sources = HTTP.format(url=server.url) + '\n[[sources]]\nkind = "file"\npath = "."'
    manifest = write_benchmark(sources, BYTES)
    (manifest.parent / "w.pth").write_bytes(BYTES)

    path, _ = fetch_own(manifest)

    assert path.read_bytes() == BYTES


def test_damaged_file_is_set_aside_and_fetched_again(
    server, write_benchmark: Callable[..., Path]
) -> None:
    """A file that rotted in the cache is replaced, and kept under another name."""
    server.answers["/files/w.pth"] = (200, {}, BYTES)
    manifest = write_benchmark(HTTP.format(url=server.url), BYTES)
    path, _ = fetch_own(manifest)
    path.write_bytes(BYTES[:-1] + b"x")

    again, action = fetch_own(manifest)

    assert action == "fetched again"
    assert again.read_bytes() == BYTES
    assert path.with_name("w.pth.damaged").read_bytes() == BYTES[:-1] + b"x"


def test_unlocked_hash_is_trusted_on_first_use(
    server, write_benchmark: Callable[..., Path]
) -> None:
    """Without a locked hash the first download is recorded, and a later change is corruption."""
    server.answers["/files/w.pth"] = (200, {}, BYTES)
    manifest = write_benchmark(HTTP.format(url=server.url), BYTES, sha256=None, size=None)
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    asset = weights_of(benchmark, row)

    path = fetch(benchmark, asset, quiet=True)
    before = check(path, asset).state
    path.write_bytes(b"changed")

    assert before is State.FIRST_USE
    assert check(path, asset).state is State.DAMAGED


def test_later_download_must_equal_the_first_use(
    server, write_benchmark: Callable[..., Path]
) -> None:
    """A file that was trusted once isn't silently exchanged by a release that changed."""
    server.answers["/files/w.pth"] = (200, {}, BYTES)
    manifest = write_benchmark(HTTP.format(url=server.url), BYTES, sha256=None, size=None)
    path, _ = fetch_own(manifest)
    path.unlink()
    server.answers["/files/w.pth"] = (200, {}, BYTES[:-1] + b"x")

    with pytest.raises(IntegrityError, match=r"changed on purpose, remove .*w\.pth\.sha256"):
        fetch_own(manifest)


def test_unlocked_row_says_how_to_get_it_by_hand() -> None:
    """A published row without a lock names release page, Baidu link with code, and next command."""
    benchmark, row = open_catalog().row("resnet50.automix_inat2018")

    with pytest.raises(SourceError) as caught:
        weights_of(benchmark, row)

    for part in (
        "releases/tag/mixup-inat2018-weights",
        "wy2v",
        "mixzoo zoo import FILE --row resnet50.automix_inat2018",
    ):
        assert part in str(caught.value)
