"""Every fault of a server, and of several, ends in the right bytes or in one clear line."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net import http
from mixzoo.zoo.net.partial import Partial

from ...emulator.server import Emulator, Fault, Request, always, burst
from .one_file import ADDRESS, BYTES, MIRROR, OTHER, SIZE, SOURCE, get, ranges, require_line

pytestmark = pytest.mark.usefixtures("small_and_quick")


CUT, ALL = Fault(end=100_000), Fault(ignore_range=True)
LIES = Fault(ignore_range=True, headers={"Accept-Ranges": "bytes"})
EXPIRED = Fault(status=403, headers={"Content-Type": "application/xml"})
REST = ["", "bytes=100000-"]
Case = tuple[int, Callable[[Request], Fault | None], dict[str, bool], list[str] | None]
# connections, what the store does, what it can't do, and the ranges that it is asked for
RIDDEN_OUT: dict[str, Case] = {
    "a connection falls silent": (1, burst(Fault(stall=100_000)), {}, REST),
    "orderly ends come too soon": (1, burst(*[Fault(end=n) for n in (9, 1, 15_000, 0)]), {}, None),
    "to several, too": (4, burst(*[Fault(end=n) for n in (9, 1, 15_000, 0)]), {}, None),
    "closing ends a body": (1, burst(Fault(end=1000)), {"lengths": False}, None),
    "no parts are offered": (4, burst(), {"ranges": False}, [""]),
    "a part is answered with the whole": (4, burst(CUT, ALL, ALL), {}, None),
    "parts are promised, the whole is sent": (4, always(LIES), {}, [""]),
    "what is here can't be its begin": (1, burst(CUT, Fault(status=416)), {}, None),
    "If-Range isn't heeded": (1, burst(CUT, Fault(headers={"ETag": '"2"'})), {}, [*REST, ""]),
    "a signature runs out": (1, burst(EXPIRED, Fault(cut=9000), EXPIRED), {}, None),
    # then the hash says that the rest was of another file, and it costs one restart
    "neither ETag nor date": (
        1,
        burst(Fault(body=OTHER, end=100_000)),
        {"etags": False},
        [*REST, ""],
    ),
}


@pytest.mark.parametrize(
    ("connections", "plan", "able", "asked"), RIDDEN_OUT.values(), ids=RIDDEN_OUT
)
def test_file_comes_whole_whatever_its_server_does(
    emulator: Emulator,
    manifest: Path,
    connections: int,
    plan: Callable[[Request], Fault | None],
    able: dict[str, bool],
    asked: list[str] | None,
) -> None:
    """By going on, by starting over, or by asking for it in one piece."""
    for name, can in able.items():
        setattr(emulator, name, can)
    emulator.store.plan = plan

    assert get(manifest, connections).read_bytes() == BYTES
    assert asked is None or ranges(emulator)[-len(asked) :] == asked


@pytest.mark.parametrize("runs", [1, 2])
def test_unlocked_file_without_validator_is_never_joined(
    emulator: Emulator, unlocked: Path, runs: int
) -> None:
    """Neither hash nor ETag: after a cut, in this run or the last, it begins from zero."""
    emulator.etags = False
    emulator.store.plan = burst(CUT)
    if runs == 2:
        emulator.front.plan = burst(None, Fault(status=404))
        require_line(SourceError, "404", unlocked)

    assert get(unlocked).read_bytes() == BYTES
    assert set(ranges(emulator)) == {""}


def test_empty_file_is_a_file(emulator: Emulator, write_benchmark: Callable[..., Path]) -> None:
    """No bytes are soon fetched."""
    emulator.files[ADDRESS] = b""
    manifest = write_benchmark(SOURCE.format(url=emulator.front.url), b"")

    assert get(manifest).read_bytes() == b""


def test_weak_etag_is_no_promise(emulator: Emulator, manifest: Path) -> None:
    """It may stay while bytes change (RFC 9110, 13.1.5), so the date is asked to be the same."""
    weak = {"ETag": 'W/"1"'}
    emulator.store.plan = burst(Fault(end=100_000, headers=weak), Fault(headers=weak))

    assert get(manifest).read_bytes() == BYTES
    assert emulator.store.requests[1].headers["if-range"] == "Mon, 22 Aug 2022 08:00:00 GMT"


@pytest.mark.parametrize(
    ("source", "validator", "hash_known", "kept"),
    [
        ("here", '"1"', False, True),
        ("here", None, False, False),
        ("elsewhere", '"1"', False, False),
        ("elsewhere", None, True, True),
    ],
)
def test_bytes_are_kept_where_a_validator_or_the_hash_can_tell(
    tmp_path: Path, source: str, validator: str | None, hash_known: bool, kept: bool
) -> None:
    """Also in the middle of a file, where the next request can't find out."""
    before = Partial(tmp_path / "w.pth")
    before.part.write_bytes(bytes(200))
    before.adopt("here", 300, hash_known=True)
    before.validator = validator
    before.add(100, 200)
    before.save()

    partial = Partial(tmp_path / "w.pth")
    partial.adopt(source, 300, hash_known=hash_known)

    assert partial.done == ([(100, 200)] if kept else [])


def test_line_that_never_holds_without_ranges_is_an_error(
    emulator: Emulator, manifest: Path
) -> None:
    """Restarts from zero are bounded."""
    emulator.store.plan = always(Fault(ignore_range=True, end=100_000))

    require_line(SourceError, "sent the whole file where a part was asked for, 4 times", manifest)


PAGE = {"Content-Type": "text/html; charset=utf-8"}
BROKEN = {
    "a part of other bytes": (
        [Fault(end=100_000), Fault(headers={"Content-Range": f"bytes 99999-{SIZE - 1}/{SIZE}"})],
        "expected bytes from 100000 on, got 99999-",
    ),
    "a login or error page": ([Fault(body=b"<html>", headers=PAGE)], "got a web page"),
    "packed": ([Fault(headers={"Content-Encoding": "gzip"})], "expected plain bytes, got gzip"),
}


@pytest.mark.parametrize(("faults", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_the_files_bytes_is_refused(
    emulator: Emulator, manifest: Path, faults: list[Fault], message: str
) -> None:
    """Status 200 or 206, but nothing of it is written."""
    emulator.store.plan = burst(*faults)

    require_line(SourceError, message, manifest)


REFUSALS = {
    "403 with reset": (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "{soon}"}),
    "429 with Retry-After": (429, {"Retry-After": "0"}),
    "503 with a date": (503, {"Retry-After": "Mon, 22 Aug 2022 08:00:00 GMT"}),
    "502": (502, {}),
}


@pytest.mark.parametrize(("status", "headers"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("connections", [1, 4])
def test_bursts_of_refusals_are_waited_out(
    emulator: Emulator, manifest: Path, status: int, headers: dict, connections: int
) -> None:
    """A few refusals at both hosts, at the beginning and in the middle, don't end a download."""
    headers = {name: value.format(soon=int(time.time())) for name, value in headers.items()}
    refusal = Fault(status=status, headers=headers)
    emulator.front.plan = burst(refusal, refusal, None, refusal)
    emulator.store.plan = burst(refusal, Fault(cut=9000), refusal, refusal)

    assert get(manifest, connections).read_bytes() == BYTES


def test_long_wait_is_told_instead_of_waited(emulator: Emulator, manifest: Path) -> None:
    """Half an hour is the user's to wait, by the server's clock even if ours is wrong."""
    date = "Mon, 22 Aug 2022 08:00:00 GMT"
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1661157000", "Date": date}
    emulator.front.plan = always(Fault(status=403, headers=limit))

    require_line(SourceError, "HTTP 403 Forbidden, and to come back in 30 minutes", manifest)


def test_server_errors_for_ever_are_an_error(emulator: Emulator, manifest: Path) -> None:
    """Tries without a new byte are bounded."""
    emulator.store.plan = always(Fault(status=502))

    require_line(SourceError, "got HTTP 502 .*; gave up after 5 tries", manifest)
    assert len(emulator.store.requests) == 5


@pytest.mark.parametrize("connections", [1, 4])
def test_signed_address_is_never_used_twice(
    emulator: Emulator, manifest: Path, connections: int
) -> None:
    """Every range and every resume goes to the original address, which signs a new one."""
    emulator.uses = 1
    emulator.store.plan = burst(*[Fault(cut=9000)] * 3)

    assert get(manifest, connections).read_bytes() == BYTES
    assert all(request.query["sig"] for request in emulator.store.requests)
    assert len({request.query["sig"] for request in emulator.store.requests}) == len(
        emulator.store.requests
    )


BAD_REDIRECTS = {
    "loop": (ADDRESS, "got more than 6 redirects"),
    "file": ("file:///etc/passwd", "redirects to file:///etc/passwd; expected an https address"),
    "ftp": ("ftp://127.0.0.1/w.pth", "redirects to ftp://127.0.0.1/w.pth"),
}


@pytest.mark.parametrize(("target", "message"), BAD_REDIRECTS.values(), ids=BAD_REDIRECTS)
def test_bad_redirect_is_refused(
    emulator: Emulator, manifest: Path, target: str, message: str
) -> None:
    """Loops, and addresses that aren't of the web, are one line."""
    emulator.front.plan = always(Fault(status=302, headers={"Location": target}))

    require_line(SourceError, message, manifest)


def test_redirect_never_leaves_https() -> None:
    """https -> http is refused before a byte is sent; the signed query isn't printed."""
    with pytest.raises(
        SourceError, match=r"redirects to http://b/w\.pth; expected an https"
    ) as error:
        http.next_hop("https://a/w.pth", "http://b/w.pth?sig=secret")

    assert "secret" not in str(error.value)
    assert http.next_hop("https://a/x/w.pth", "../y") == "https://a/y"
    assert http.next_hop("http://a/w", "https://b/w") == "https://b/w"


@pytest.mark.parametrize("connections", [1, 4])
def test_asset_replaced_between_two_tries_is_fetched_from_zero(
    emulator: Emulator, manifest: Path, connections: int
) -> None:
    """Halves of two files are never joined: If-Range tells, and the new file comes whole."""
    emulator.files[ADDRESS] = OTHER

    def replace_after_first(_: Request) -> Fault | None:
        if emulator.files[ADDRESS] is OTHER and len(emulator.store.requests) == 2:
            emulator.files[ADDRESS] = BYTES
        return Fault(end=15_000) if len(emulator.store.requests) == 1 else None

    emulator.store.plan = replace_after_first

    assert get(manifest, connections).read_bytes() == BYTES


def test_unlocked_file_replaced_between_two_runs_is_the_new_one(
    emulator: Emulator, unlocked: Path
) -> None:
    """Without a locked hash only If-Range protects from a mixture."""
    emulator.files[ADDRESS] = OTHER
    emulator.front.plan = burst(None, Fault(status=404))
    emulator.store.plan = burst(CUT)
    require_line(SourceError, "404", unlocked)
    emulator.files[ADDRESS] = BYTES

    assert get(unlocked, connections=4).read_bytes() == BYTES


def test_unlocked_file_without_any_length_is_refused(emulator: Emulator, unlocked: Path) -> None:
    """Nothing could tell a cut file from a whole one."""
    emulator.lengths = False

    require_line(SourceError, "neither the lock nor the server says how long", unlocked)


@pytest.mark.parametrize(("first", "asked"), [(BYTES, REST), (OTHER, [*REST, ""])])
def test_next_source_goes_on_where_the_first_gave_up(
    emulator: Emulator, two_sources: Path, first: bytes, asked: list[str]
) -> None:
    """The hash decides, so bytes of two sources may be joined; a mixture costs one restart."""
    emulator.files[ADDRESS] = first
    emulator.store.plan = burst(CUT)
    emulator.front.plan = burst(None, Fault(status=404))

    assert get(two_sources).read_bytes() == BYTES
    assert emulator.store.requests[-1].path == MIRROR
    assert ranges(emulator) == asked
