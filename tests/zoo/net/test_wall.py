"""Whatever a server answers, to a download or to a question for its files: one line, or the bytes."""

import gzip
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.manifest import GitHubSource, HuggingFaceSource
from mixzoo.zoo.net.http import asked_wait, next_hop
from mixzoo.zoo.net.sources import parse_source
from mixzoo.zoo.net.stream import Patience, open_stream
from mixzoo.zoo.release import listing

from ...emulator.server import Emulator, Fault, always
from .one_file import ADDRESS, BYTES, SOURCE, final, get

pytestmark = pytest.mark.usefixtures("small_and_quick")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
BUSY = b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nConnection: close\r\n"
DIGITS = b"9" * 5000
RAW = {
    "length: a word": OK + b"Content-Length: many\r\n\r\n[]",
    "length: negative": OK + b"Content-Length: -5\r\n\r\n[]",
    "length: 5,000 digits": OK + b"Content-Length: " + DIGITS + b"\r\n\r\n[]",
    "length: none": OK + b"Content-Length: \r\n\r\n[]",
    "length: two": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "length: too long": OK + b"Content-Length: 300\r\n\r\n[]",
    "length and chunks": OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "chunk: a word": OK + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n[]\r\n",
    "chunk: negative": OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n",
    "coding: unknown": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "packed": OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
    "to half an address": MOVED + b"http://[::1/x\r\n\r\n",
    "to a port beyond": MOVED + b"http://127.0.0.1:99999/x\r\n\r\n",
    "to a port of words": MOVED + b"http://127.0.0.1:many/x\r\n\r\n",
    "to a file": MOVED + b"file:///etc/passwd\r\n\r\n",
    "to ftp": MOVED + b"ftp://127.0.0.1/x\r\n\r\n",
    "to nowhere": MOVED + b"\r\n\r\n",
    "to no host": MOVED + b"http:///x\r\n\r\n",
    "to controls": MOVED + b"http://127.0.0.1:9/\x1b[2J\x07\r\n\r\n",
    "to rubbish": MOVED + b"http://\xff\xfe\x80/\r\n\r\n",
    "to a long name": MOVED + b"http://" + b"a" * 300 + b".invalid/\r\n\r\n",
    "to a far place": MOVED + b"http://127.0.0.1:9/" + b"a" * 50_000 + b"\r\n\r\n",
    "in a circle": MOVED + b"/files/w.pth\r\n\r\n",
    "wait: the year 9999999": BUSY + b"Retry-After: Mon, 22 Aug 9999999 08:00:00 GMT\r\n\r\n",
    "wait: the year 9999": BUSY + b"Retry-After: Mon, 22 Aug 9999 08:00:00 GMT\r\n\r\n",
    "wait: negative": BUSY + b"Retry-After: -5\r\n\r\n",
    "wait: a fraction": BUSY + b"Retry-After: 1.5\r\n\r\n",
    "wait: a word": BUSY + b"Retry-After: soon\r\n\r\n",
    "wait: 5,000 digits": BUSY + b"Retry-After: " + DIGITS + b"\r\n\r\n",
    "wait: a year": BUSY + b"Retry-After: 31536000\r\n\r\n",
    "reset: 5,000 digits": BUSY + b"X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: " + DIGITS + b"\r\n\r\n",
    "date: of no calendar": BUSY + b"Date: Mon, 99 Foo 2022 99:99:99\r\nRetry-After: 900\r\n\r\n",
    "reason: controls": b"HTTP/1.1 404 \x1b[2J\x1b]0;title\x07\r\nContent-Length: 0\r\n\r\n",
    "reason: 60 kB": b"HTTP/1.1 404 " + b"a" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "status: no number": b"HTTP/1.1 many OK\r\n\r\n",
    "status: 99": b"HTTP/1.1 99 OK\r\n\r\n",
    "status: 1000": b"HTTP/1.1 1000 OK\r\n\r\n",
    "status: 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status: 206 unasked": b"HTTP/1.1 206 P\r\nContent-Range: bytes 5-x/y\r\nContent-Length: 2\r\n\r\n[]",
    "version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "half a head": OK,
    "header without a colon": OK + b"rubbish\r\nContent-Length: 2\r\n\r\n[]",
    "header of 70 kB": OK + b"X: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n[]",
    "200 headers": OK + b"X: y\r\n" * 200 + b"Content-Length: 2\r\n\r\n[]",
    "mark: controls": OK + b'ETag: "\x1b[2J\x07"\r\nContent-Length: 300\r\n\r\n[]',
    "mark: 50 kB": OK + b'ETag: "' + b"a" * 50_000 + b'"\r\nContent-Length: 300\r\n\r\n[]',
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
}  # fmt: skip
GITHUB = GitHubSource(repository="owner/zoo", tag="v1")
HUB = HuggingFaceSource(repository="owner/zoo")


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API is asked once."""
    monkeypatch.setattr(listing, "RETRIES", 0)


@pytest.fixture
def services(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """GitHub and the hub, to be filled with answers."""
    for name in ("GITHUB_API_URL", "HF_ENDPOINT"):
        monkeypatch.setenv(name, emulator.front.url)
    return emulator


def require_lines(err: str) -> None:
    """Of printable characters, the last an error's."""
    lines = err.splitlines()
    assert lines[-1].startswith("error: ")
    assert len(lines[-1]) < 2500
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_odd_answer_to_a_download_is_one_line(
    emulator: Emulator, manifest: Path, mixzoo: Callable[..., tuple[int, str, str]], raw: bytes
) -> None:
    """Nothing has the final name; after it, the file is still had."""
    emulator.front.plan = always(Fault(raw=raw))

    code, _, err = mixzoo("zoo", "download", "own", "--manifest", manifest)

    assert code in (4, 5)
    require_lines(err)
    assert not final(manifest).exists()
    emulator.front.plan = always(Fault())
    assert get(manifest).read_bytes() == BYTES


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_odd_answer_of_an_api_is_one_line(
    services: Emulator, write_benchmark: Callable[..., Path],
    mixzoo: Callable[..., tuple[int, str, str]], raw: bytes,
) -> None:  # fmt: skip
    """Of both services; without a list there is no lock."""
    sources = '[[sources]]\nkind = "github"\nrepository = "owner/zoo"\ntag = "v1"\n'
    sources += '[[sources]]\nkind = "huggingface"\nrepository = "owner/zoo"\n'
    manifest = write_benchmark(sources)
    services.front.plan = always(Fault(raw=raw))

    code, _, err = mixzoo("zoo", "lock", "own", "--manifest", manifest)

    assert code in (2, 3, 4)
    require_lines(err)
    assert not manifest.with_name("own.lock.json").exists()


BODIES = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "deep in a field": b'[{"name":' + b"[" * 100_000,
    "5,000 digits": b'{"id": ' + DIGITS + b"}",
    "1e999": b'{"id": 1e999}',
    "NaN": b'{"id": NaN}',
    "negative": b'{"id": -1}',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "surrogate": b'[{"name": "\\ud800", "state": "uploaded", "size": 1}]',
    "NUL": b"\0" * 1000,
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
    "17 MB": b" " * (17 << 20) + b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("ask", [lambda: listing.release_files(GITHUB),
                                 lambda: listing.repository_files(HUB)])  # fmt: skip
def test_odd_json_is_one_line(services: Emulator, ask: Callable[[], Any], body: bytes) -> None:
    """Depth, numbers, size and bytes that are none of the API's."""
    services.front.plan = always(Fault(status=200, body=body))

    with pytest.raises(MixzooError) as caught:
        ask()

    assert len(str(caught.value).splitlines()) == 1


def test_packed_answer_is_not_unpacked(services: Emulator) -> None:
    """1 GB of blanks is 1 MB of gzip; nobody asked for gzip."""
    bomb = gzip.compress(b" " * (64 << 20), 1)
    services.front.plan = always(Fault(status=200, body=bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(MixzooError, match="expected plain bytes, got gzip"):
        listing.release_files(GITHUB)
    assert {r.headers["accept-encoding"] for r in services.front.requests} == {"identity"}


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
fields = st.sampled_from(
    ["id", "name", "state", "size", "updated_at", "digest", "type", "path", "lfs", "oid"]
)
asset = {"name": "a.pth", "state": "uploaded", "size": 1, "updated_at": "2022-08-22T03:11:22Z"}
entry = {"type": "file", "path": "a.pth", "size": 1, "lfs": {"oid": "0" * 64}}
answers = st.recursive(
    values | st.dictionaries(fields, values).map(lambda odd: asset | odd)
    | st.dictionaries(fields, values).map(lambda odd: entry | odd),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
header = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30)
links = st.none() | header | st.sampled_from(
    ["http://[::1/x", "file:///etc/passwd", "http://127.0.0.1:99999/", "?page=2", "//", "\\", "https:"])  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=answers, link=links, release=st.booleans())
def test_any_json_is_files_or_one_line(
    services: Emulator, body: Any, link: str | None, release: bool
) -> None:
    """What is taken has a name and a size that is one; nothing else passes, no other error."""
    text = json.dumps(body).encode()
    head = {} if link is None else {"Link": f'<{link}>; rel="next"'}
    first = Fault(status=200, body=b'{"id": 1}')

    def plan(request: Any) -> Fault:
        return first if "/tags/" in request.path else Fault(status=200, body=text, headers=head)

    services.front.plan = plan
    with suppress(MixzooError):
        files = listing.release_files(GITHUB) if release else listing.repository_files(HUB)
        assert all(isinstance(file.name, str) and file.size >= 0 for file in files)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.sampled_from([200, 206, 301, 302, 304, 403, 404, 416, 429, 503]),
    headers=st.dictionaries(
        st.sampled_from(["Content-Range", "Content-Length", "ETag", "Last-Modified", "Location", "Date",
                         "Retry-After", "X-RateLimit-Reset", "X-RateLimit-Remaining", "Content-Encoding",
                         "Content-Type", "Accept-Ranges", "Transfer-Encoding", "Connection"]),
        header | st.integers().map(str) | st.sampled_from(["bytes 0-2/3", "0", "http://127.0.0.1:9/"]),
        max_size=5),
)  # fmt: skip
def test_any_head_gives_the_bytes_or_one_line(
    emulator: Emulator, write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch,
    status: int, headers: dict[str, str],
) -> None:  # fmt: skip
    """And never wrong ones, nor another error."""
    monkeypatch.setattr("mixzoo.zoo.net.stream.TRIES", 2)
    monkeypatch.setattr("mixzoo.zoo.net.fetch.Patience", lambda *_, **__: Patience(longest=0.0))
    emulator.files[ADDRESS] = BYTES
    manifest = write_benchmark(SOURCE.format(url=emulator.front.url), BYTES)
    head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
    raw = b"HTTP/1.1 %d Odd\r\nConnection: close\r\n" % status + head + b"\r\nabc"
    emulator.front.plan = always(Fault(raw=raw))
    with suppress(MixzooError):
        assert get(manifest).read_bytes() == BYTES


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), header))
def test_any_wait_is_a_number_of_seconds_or_none(headers: dict[str, str]) -> None:
    """Never negative, never without end."""
    wait = asked_wait(headers)

    assert wait is None or 0 <= wait <= 2**33


@given(header)
def test_any_redirect_leads_to_the_web_or_to_one_line(target: str) -> None:
    """ValueError is the wall's to catch; nothing else is raised."""
    try:
        address = next_hop("https://a/w", target)
    except (MixzooError, ValueError):
        return
    assert address.startswith("https://")


class OddStore(fsspec.AbstractFileSystem):
    """A store whose library has errors of its own, which are no OSError: there are many."""

    protocol = "odd"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Facts of a file, or the refusal of one that is locked."""
        if path == "locked":
            raise LookupError("no credentials for odd://me:secret@host")
        return {"name": path, "size": 3, "type": "file"}

    def _open(self, path: str, *_: Any, **__: Any) -> Any:
        raise LookupError("the line broke")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
@pytest.mark.parametrize(
    "address",
    [
        *("odd://locked", "odd://broken", "zip://a::{0}/text", "tar://a::{0}/text", "github://x"),
        *("generic://memory://x", "data://x", "file://{0}", "{0}", "{0}/pipe", "~nobody-here/x"),
    ],
)
def test_odd_address_is_one_line(tmp_path: Path, address: str) -> None:
    """As a person may type it: a store's own errors, folders, and a pipe, which isn't waited for."""
    fsspec.register_implementation("odd", OddStore, clobber=True)
    (tmp_path / "text").write_text("no archive")
    os.mkfifo(tmp_path / "pipe")
    place = parse_source(address.format(tmp_path))

    with pytest.raises(MixzooError, match=r"expected|Check|cannot") as raised, open_stream(place):
        pass

    assert str(raised.value).startswith(str(place))
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
