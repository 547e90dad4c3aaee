"""Every fault of line, server, disk and process ends in the right bytes or in one clear line."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.cache import asset_path, cache_root
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, MixzooError, SourceError
from mixzoo.zoo.fetching import transfer, transport
from mixzoo.zoo.fetching.fetch import Action, fetch, fetch_all, weights_of

SIZE = 300_001
BYTES = random.Random(0).randbytes(SIZE)
OTHER = random.Random(1).randbytes(SIZE)
SOURCE = '[[sources]]\nkind = "http"\nurl = "{url}/files"\n'
ADDRESS = "/files/w.pth"


@pytest.fixture(autouse=True)
def _small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CHUNK", 4096)
    monkeypatch.setattr(transport, "TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(transfer, "PIECE", 20_000)
    monkeypatch.setattr(transfer, "FIRST_PAUSE", 0.0)


@pytest.fixture
def manifest(emulator: Any, write_benchmark: Callable[..., Path]) -> Path:
    """A benchmark whose one file the emulator has."""
    emulator.files[ADDRESS] = BYTES
    return write_benchmark(SOURCE.format(url=emulator.front.url), BYTES)


def get(manifest: Path, connections: int = 1) -> tuple[Path, Action]:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return fetch(benchmark, weights_of(benchmark, row), quiet=True, connections=connections)


def final(manifest: Path) -> Path:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return asset_path("own", weights_of(benchmark, row))


def require_line(error: type[MixzooError], message: str, manifest: Path, connections: int = 1):
    """The download fails with this one line, and nothing has the final name."""
    with pytest.raises(error) as caught:
        get(manifest, connections)
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)
    assert not final(manifest).exists()


def ranges(emulator: Any) -> list[str]:
    return [request.headers.get("range", "") for request in emulator.store.requests]


CUTS = random.Random(2).sample(range(SIZE), 50)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("first", range(0, 50, 10))
def test_resets_at_random_bytes_cost_nothing_but_time(
    emulator: Any, faults: Any, manifest: Path, first: int, connections: int
) -> None:
    """Each of 50 cuts is followed by a request for the rest, within one call."""
    emulator.store.plan = faults.burst(
        *(faults.Fault(cut=cut % 30_000) for cut in CUTS[first : first + 10])
    )

    path, action = get(manifest, connections)

    assert action is Action.FETCH
    assert path.read_bytes() == BYTES
    assert sorted(p.name for p in path.parent.iterdir()) == ["w.pth"]


def test_what_has_arrived_is_asked_for_only_once(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """After a cut the next request begins at the first missing byte, if the file is unchanged."""
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))

    get(manifest)

    assert ranges(emulator) == ["", "bytes=100000-"]
    assert emulator.store.requests[1].headers["if-range"] == emulator.etag(BYTES)
    assert [request.path for request in emulator.front.requests] == [ADDRESS, ADDRESS]


def test_several_ranges_are_fetched_at_once_and_cover_the_file(
    emulator: Any, manifest: Path
) -> None:
    """With 4 connections the file comes in pieces, each asked for once."""
    path, _ = get(manifest, connections=4)

    asked = [r for r in ranges(emulator) if r]
    assert path.read_bytes() == BYTES
    assert len(asked) > 4
    assert len(set(asked)) == len(asked)


def test_another_call_goes_on_where_one_gave_up(emulator: Any, faults: Any, manifest: Path) -> None:
    """What a failed call got stays in a part file; the next one, even hours later, uses it."""
    gone = faults.Fault(status=404)
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    emulator.front.plan = faults.burst(None, gone)
    require_line(SourceError, "got HTTP 404", manifest)

    path, _ = get(manifest)

    assert path.read_bytes() == BYTES
    assert ranges(emulator) == ["", "bytes=100000-"]


def test_stall_is_noticed_and_the_rest_asked_for(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """A connection that falls silent is given up after the read timeout."""
    emulator.store.plan = faults.burst(faults.Fault(stall=100_000))

    assert get(manifest)[0].read_bytes() == BYTES


def test_stall_for_ever_is_an_error(emulator: Any, faults: Any, manifest: Path) -> None:
    """A server that never sends a byte is given up after some tries."""
    emulator.store.plan = faults.always(faults.Fault(stall=0))

    require_line(SourceError, r"[Tt]imed? ?out.*gave up after 5 tries", manifest)


@pytest.mark.parametrize("connections", [1, 4])
def test_truncated_body_with_right_length_is_completed(
    emulator: Any, faults: Any, manifest: Path, connections: int
) -> None:
    """An orderly end before the announced one isn't an end."""
    emulator.store.plan = faults.burst(*[faults.Fault(end=n) for n in (9, 1, 15_000, 0)])

    assert get(manifest, connections)[0].read_bytes() == BYTES


def test_truncated_body_with_wrong_length_is_refused(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """A shorter file that says so is refused before its first byte."""
    emulator.store.plan = faults.always(faults.Fault(body=BYTES[:-9]))

    require_line(IntegrityError, f"expected {SIZE} bytes, got an offer of {SIZE - 9}", manifest)


def test_body_without_length_is_cut_or_whole(emulator: Any, faults: Any, manifest: Path) -> None:
    """Where closing ends the body, the locked size tells a cut one."""
    emulator.lengths = False
    emulator.store.plan = faults.burst(faults.Fault(end=1000))

    assert get(manifest)[0].read_bytes() == BYTES


@pytest.mark.parametrize("connections", [1, 4])
def test_same_size_corruption_is_an_error(emulator: Any, manifest: Path, connections: int) -> None:
    """Bytes of the right number and the wrong hash never get the final name, nor stay."""
    emulator.files[ADDRESS] = BYTES[:-1] + b"x"

    require_line(IntegrityError, "expected sha256", manifest, connections)
    assert list(final(manifest).parent.iterdir()) == []


def test_rotten_part_file_costs_one_restart(emulator: Any, faults: Any, manifest: Path) -> None:
    """Bytes that changed on the disk between two runs are fetched anew, once."""
    emulator.front.plan = faults.burst(None, faults.Fault(status=404))
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    part = final(manifest).with_name(".w.pth.part")
    part.write_bytes(bytes(100_000))

    assert get(manifest)[0].read_bytes() == BYTES


def test_longer_part_file_of_unknown_origin_leaves_no_tail(manifest: Path) -> None:
    """A part file whose note was lost is overwritten, and what is beyond the end goes."""
    final(manifest).parent.mkdir(parents=True)
    final(manifest).with_name(".w.pth.part").write_bytes(bytes(SIZE + 10))

    assert get(manifest)[0].read_bytes() == BYTES


def test_note_that_claims_too_much_is_not_believed(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """A part file that is shorter than its note says is begun anew."""
    emulator.front.plan = faults.burst(None, faults.Fault(status=404))
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    os.truncate(final(manifest).with_name(".w.pth.part"), 50_000)

    assert get(manifest)[0].read_bytes() == BYTES
    assert ranges(emulator) == ["", ""]


def test_server_without_ranges_is_asked_once(emulator: Any, manifest: Path) -> None:
    """Several connections are for servers that say they can."""
    emulator.ranges = False

    assert get(manifest, connections=4)[0].read_bytes() == BYTES
    assert ranges(emulator) == [""]


@pytest.mark.parametrize("runs", [1, 2])
def test_unlocked_file_without_validator_is_never_joined(
    emulator: Any, faults: Any, write_benchmark: Callable[..., Path], runs: int
) -> None:
    """Neither hash nor ETag: after a cut, in this run or the last, it begins from zero."""
    emulator.files[ADDRESS] = BYTES
    emulator.etags = False
    source = SOURCE.format(url=emulator.front.url)
    manifest = write_benchmark(source, BYTES, sha256=None, size=None)
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    if runs == 2:
        emulator.front.plan = faults.burst(None, faults.Fault(status=404))
        require_line(SourceError, "404", manifest)

    assert get(manifest)[0].read_bytes() == BYTES
    assert set(ranges(emulator)) == {""}


def test_empty_file_is_a_file(emulator: Any, write_benchmark: Callable[..., Path]) -> None:
    """No bytes are soon fetched."""
    emulator.files[ADDRESS] = b""
    manifest = write_benchmark(SOURCE.format(url=emulator.front.url), b"")

    assert get(manifest)[0].read_bytes() == b""


def test_ignored_range_means_from_zero(emulator: Any, faults: Any, manifest: Path) -> None:
    """A server that answers 200 to a range is taken at its word, with one connection."""
    ignore = faults.Fault(ignore_range=True)
    emulator.store.plan = faults.burst(faults.Fault(end=100_000), ignore, ignore)

    assert get(manifest, connections=4)[0].read_bytes() == BYTES


def test_line_that_never_holds_without_ranges_is_an_error(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """Restarts from zero are bounded."""
    emulator.store.plan = faults.always(faults.Fault(ignore_range=True, end=100_000))

    require_line(SourceError, "sent the whole file where a part was asked for, 4 times", manifest)


def test_unsatisfiable_range_means_from_zero(emulator: Any, faults: Any, manifest: Path) -> None:
    """416 says that what is here can't be the beginning of what is there."""
    emulator.store.plan = faults.burst(faults.Fault(end=100_000), faults.Fault(status=416))

    assert get(manifest)[0].read_bytes() == BYTES


def test_part_of_another_file_means_from_zero(emulator: Any, faults: Any, manifest: Path) -> None:
    """A server that doesn't heed If-Range is found out by its ETag."""
    other = faults.Fault(headers={"ETag": '"other"'})
    emulator.store.plan = faults.burst(faults.Fault(end=100_000), other)

    assert get(manifest)[0].read_bytes() == BYTES
    assert ranges(emulator) == ["", "bytes=100000-", ""]


def test_wrong_part_is_refused(emulator: Any, faults: Any, manifest: Path) -> None:
    """A 206 with other bytes than those asked for is a broken server, and isn't written."""
    shifted = faults.Fault(headers={"Content-Range": f"bytes 99999-{SIZE - 1}/{SIZE}"})
    emulator.store.plan = faults.burst(faults.Fault(end=100_000), shifted)

    require_line(SourceError, "expected bytes from 100000 on, got 99999-", manifest)


def test_web_page_is_refused(emulator: Any, faults: Any, manifest: Path) -> None:
    """Status 200 with HTML is a login or error page."""
    page = faults.Fault(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
    emulator.store.plan = faults.always(page)

    require_line(SourceError, "expected the file, got a web page", manifest)


def test_packed_answer_is_refused(emulator: Any, faults: Any, manifest: Path) -> None:
    """Bytes that would have to be unpacked have neither the size nor the hash."""
    emulator.store.plan = faults.always(faults.Fault(headers={"Content-Encoding": "gzip"}))

    require_line(SourceError, "expected plain bytes, got gzip", manifest)


REFUSALS = {
    "403 with reset": (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "{soon}"}),
    "429 with Retry-After": (429, {"Retry-After": "0"}),
    "503 with a date": (503, {"Retry-After": "Mon, 22 Aug 2022 08:00:00 GMT"}),
    "502": (502, {}),
}


@pytest.mark.parametrize(("status", "headers"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("connections", [1, 4])
def test_bursts_of_refusals_are_waited_out(
    emulator: Any, faults: Any, manifest: Path, status: int, headers: dict, connections: int
) -> None:
    """A few refusals at both hosts, at the beginning and in the middle, don't end a download."""
    headers = {name: value.format(soon=int(time.time())) for name, value in headers.items()}
    refusal = faults.Fault(status=status, headers=headers)
    emulator.front.plan = faults.burst(refusal, refusal, None, refusal)
    emulator.store.plan = faults.burst(refusal, faults.Fault(cut=9000), refusal, refusal)

    assert get(manifest, connections)[0].read_bytes() == BYTES


def test_long_wait_is_told_instead_of_waited(emulator: Any, faults: Any, manifest: Path) -> None:
    """Half an hour is the user's to wait, by the server's clock even if ours is wrong."""
    date = "Mon, 22 Aug 2022 08:00:00 GMT"
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1661157000", "Date": date}
    emulator.front.plan = faults.always(faults.Fault(status=403, headers=limit))

    require_line(SourceError, "HTTP 403 Forbidden, and to come back in 30 minutes", manifest)


def test_server_errors_for_ever_are_an_error(emulator: Any, faults: Any, manifest: Path) -> None:
    """Tries without a new byte are bounded."""
    emulator.store.plan = faults.always(faults.Fault(status=502))

    require_line(SourceError, "got HTTP 502 .*; gave up after 5 tries", manifest)
    assert len(emulator.store.requests) == 5


@pytest.mark.parametrize("connections", [1, 4])
def test_signed_address_is_never_used_twice(
    emulator: Any, faults: Any, manifest: Path, connections: int
) -> None:
    """Every range and every resume goes to the original address, which signs a new one."""
    emulator.uses = 1
    emulator.store.plan = faults.burst(*[faults.Fault(cut=9000)] * 3)

    assert get(manifest, connections)[0].read_bytes() == BYTES
    assert all(request.query["sig"] for request in emulator.store.requests)
    assert len({request.query["sig"] for request in emulator.store.requests}) == len(
        emulator.store.requests
    )


def test_signature_that_expires_on_the_way_is_renewed(
    emulator: Any, faults: Any, manifest: Path
) -> None:
    """403 from the store asks for another signature, not for a password."""
    expired = faults.Fault(status=403, headers={"Content-Type": "application/xml"})
    emulator.store.plan = faults.burst(expired, faults.Fault(cut=9000), expired)

    assert get(manifest)[0].read_bytes() == BYTES


BAD_REDIRECTS = {
    "loop": (ADDRESS, "got more than 6 redirects"),
    "file": ("file:///etc/passwd", "redirects to file:///etc/passwd; expected an https address"),
    "ftp": ("ftp://127.0.0.1/w.pth", "redirects to ftp://127.0.0.1/w.pth"),
}


@pytest.mark.parametrize(("target", "message"), BAD_REDIRECTS.values(), ids=BAD_REDIRECTS)
def test_bad_redirect_is_refused(
    emulator: Any, faults: Any, manifest: Path, target: str, message: str
) -> None:
    """Loops, and addresses that aren't of the web, are one line."""
    emulator.front.plan = faults.always(faults.Fault(status=302, headers={"Location": target}))

    require_line(SourceError, message, manifest)


def test_redirect_never_leaves_https() -> None:
    """https -> http is refused before a byte is sent; the signed query isn't printed."""
    with pytest.raises(
        SourceError, match=r"redirects to http://b/w\.pth; expected an https"
    ) as error:
        transport.next_hop("https://a/w.pth", "http://b/w.pth?sig=secret")

    assert "secret" not in str(error.value)
    assert transport.next_hop("https://a/x/w.pth", "../y") == "https://a/y"
    assert transport.next_hop("http://a/w", "https://b/w") == "https://b/w"


@pytest.mark.parametrize("connections", [1, 4])
def test_asset_replaced_between_two_tries_is_fetched_from_zero(
    emulator: Any, faults: Any, manifest: Path, connections: int
) -> None:
    """Halves of two files are never joined: If-Range tells, and the new file comes whole."""
    emulator.files[ADDRESS] = OTHER

    def replace_after_first(_: Any) -> Any:
        if emulator.files[ADDRESS] is OTHER and len(emulator.store.requests) == 2:
            emulator.files[ADDRESS] = BYTES
        return faults.Fault(end=15_000) if len(emulator.store.requests) == 1 else None

    emulator.store.plan = replace_after_first

    assert get(manifest, connections)[0].read_bytes() == BYTES


def test_unlocked_file_replaced_between_two_runs_is_the_new_one(
    emulator: Any, faults: Any, write_benchmark: Callable[..., Path]
) -> None:
    """Without a locked hash only If-Range protects from a mixture."""
    emulator.files[ADDRESS] = OTHER
    source = SOURCE.format(url=emulator.front.url)
    manifest = write_benchmark(source, BYTES, sha256=None, size=None)
    emulator.front.plan = faults.burst(None, faults.Fault(status=404))
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    emulator.files[ADDRESS] = BYTES

    assert get(manifest, connections=4)[0].read_bytes() == BYTES


def test_unlocked_file_without_any_length_is_refused(
    emulator: Any, write_benchmark: Callable[..., Path]
) -> None:
    """Nothing could tell a cut file from a whole one."""
    emulator.files[ADDRESS] = BYTES
    emulator.lengths = False
    source = SOURCE.format(url=emulator.front.url)
    manifest = write_benchmark(source, BYTES, sha256=None, size=None)

    require_line(SourceError, "neither the lock nor the server says how long", manifest)


def test_next_source_goes_on_where_the_first_gave_up(
    emulator: Any, faults: Any, manifest: Path, write_benchmark: Callable[..., Path]
) -> None:
    """The hash decides in the end, so bytes of two sources may be joined."""
    second = SOURCE.format(url=emulator.front.url).replace("/files", "/mirror")
    emulator.files["/mirror/w.pth"] = BYTES
    manifest = write_benchmark(SOURCE.format(url=emulator.front.url) + second, BYTES)
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    emulator.front.plan = faults.burst(None, faults.Fault(status=404))

    assert get(manifest)[0].read_bytes() == BYTES
    assert emulator.store.requests[-1].path == "/mirror/w.pth"
    assert ranges(emulator)[-1] == "bytes=100000-"


def test_second_source_is_whole_when_the_first_sent_rubbish(
    emulator: Any, faults: Any, write_benchmark: Callable[..., Path]
) -> None:
    """A mixture with the wrong hash costs one restart from the good source."""
    second = SOURCE.format(url=emulator.front.url).replace("/files", "/mirror")
    emulator.files |= {ADDRESS: OTHER, "/mirror/w.pth": BYTES}
    manifest = write_benchmark(SOURCE.format(url=emulator.front.url) + second, BYTES)
    emulator.store.plan = faults.burst(faults.Fault(end=100_000))
    emulator.front.plan = faults.burst(None, faults.Fault(status=404))

    assert get(manifest)[0].read_bytes() == BYTES
    assert ranges(emulator) == ["", "bytes=100000-", ""]


def test_too_small_a_disk_is_told_first(
    emulator: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where the rest of the file has no room."""
    usage = shutil.disk_usage(manifest.parent)._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    require_line(SourceError, "expected room for 300,001 bytes, the disk has 300,000", manifest)
    assert list(final(manifest).parent.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_disk_that_fills_up_is_one_line(emulator: Any, manifest: Path) -> None:
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
    asset = weights_of(benchmark, row)
    fetch(benchmark, asset, quiet=True)
    read_only_cache()

    assert fetch(benchmark, asset, quiet=True)[1] is Action.KEEP


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_read_only_cache_is_one_line(manifest: Path, read_only_cache: Callable[[], None]) -> None:
    """What can't be written is told with the way out."""
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    read_only_cache()

    with pytest.raises(SourceError, match=r"Permission denied.*MIXZOO_CACHE"):
        fetch(benchmark, weights_of(benchmark, row), quiet=True)


CHILD = """
import sys
from pathlib import Path
from mixzoo.zoo.fetching import fetch, transfer, transport
from mixzoo.zoo.catalog import open_catalog
transport.CHUNK, transfer.PIECE, transfer.SAVE_EVERY = 4096, 20_000, 0.005
benchmark, row = open_catalog([Path(sys.argv[1])]).row("resnet18_w4.vanilla_own")
import requests, filelock
print("ready", flush=True)
sys.stdin.readline()
asset, connections = fetch.weights_of(benchmark, row), int(sys.argv[2])
if sys.argv[3] == "all":
    list(fetch.fetch_all([(benchmark, asset)], connections=connections))
else:
    print(fetch.fetch(benchmark, asset, connections=connections)[1].value)
"""


@contextmanager
def process(
    manifest: Path, connections: int = 1, how: str = "one"
) -> Iterator[subprocess.Popen[str]]:
    """Another process that fetches the file once a line is written to it."""
    command = [sys.executable, "-c", CHILD, str(manifest), str(connections), how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        child.kill()


def test_two_processes_fetch_one_file_once(emulator: Any, manifest: Path) -> None:
    """The second waits, then finds the file done."""
    emulator.rate = 1_000_000
    with process(manifest) as first, process(manifest) as second:
        first_out, second_out = [], []
        threads = [
            threading.Thread(target=lambda c=c, o=o: o.extend(c.communicate("go\n", timeout=30)))
            for c, o in ((first, first_out), (second, second_out))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted([first_out[0], second_out[0]]) == ["fetch\n", "keep\n"]
    assert "another process is fetching it; waiting" in first_out[1] + second_out[1]
    assert final(manifest).read_bytes() == BYTES
    assert len(emulator.store.requests) == 1


@pytest.mark.parametrize("connections", [1, 4])
def test_killed_processes_leave_what_the_next_goes_on_from(
    emulator: Any, manifest: Path, connections: int
) -> None:
    """SIGKILL at 15 random moments each: no wrong bytes ever, and the last run completes."""
    rng = random.Random(connections)
    emulator.rate = 2_000_000 / connections  # the file in about 0.15 s
    for _ in range(15):
        with process(manifest, connections) as child:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            time.sleep(rng.uniform(0, 0.12))
            child.kill()
        assert not final(manifest).exists() or final(manifest).read_bytes() == BYTES
    emulator.rate = None

    path, _ = get(manifest, connections)

    assert path.read_bytes() == BYTES
    assert any(asked and not asked.startswith("bytes=0-") for asked in ranges(emulator))


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", ["one", "all"])
@pytest.mark.parametrize("connections", [1, 4])
def test_interrupt_is_quick_and_leaves_what_the_next_goes_on_from(
    emulator: Any, faults: Any, manifest: Path, connections: int, how: str
) -> None:
    """Ctrl-C doesn't wait for a stalled server; what had come by then is kept."""
    emulator.store.plan = faults.always(faults.Fault(stall=15_000))
    with process(manifest, connections, how) as child:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        part = final(manifest).with_name(".w.pth.part")
        for _ in range(1000):
            if part.exists() and part.stat().st_size >= 15_000:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        assert child.wait(10) != 0
    emulator.store.plan = lambda _: None
    before = len(emulator.store.requests)

    assert get(manifest)[0].read_bytes() == BYTES
    assert ranges(emulator)[before].startswith("bytes=")


def test_several_files_come_in_the_order_asked_for(
    emulator: Any, write_benchmark: Callable[..., Path]
) -> None:
    """Errors are outcomes of their file; the others arrive."""
    emulator.files[ADDRESS] = BYTES
    source = SOURCE.format(url=emulator.front.url)
    good = write_benchmark(source, BYTES, benchmark="good")
    bad = write_benchmark(source, OTHER, benchmark="bad")
    wanted = [
        (benchmark, weights_of(benchmark, row))
        for benchmark, row in open_catalog([good, bad]).select(["bad", "good"])
    ]

    outcomes = list(fetch_all(wanted, jobs=2, quiet=True))

    assert isinstance(outcomes[0].error, IntegrityError)
    assert (outcomes[1].action, outcomes[1].path.read_bytes()) == (Action.FETCH, BYTES)


def test_clock_that_goes_backwards_changes_nothing(
    emulator: Any, faults: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits and saves go by the monotonic clock, rate limits by the server's."""
    clock = iter(range(10**6, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1661155200"}
    headers = limit | {"Date": "Mon, 22 Aug 2022 08:00:00 GMT"}
    emulator.front.plan = faults.burst(faults.Fault(status=429, headers=headers))
    emulator.store.plan = faults.burst(*[faults.Fault(cut=50_000)] * 3)

    assert get(manifest)[0].read_bytes() == BYTES
