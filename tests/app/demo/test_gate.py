"""What reaches Gradio's server, and what doesn't."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mixzoo.app.demo import gate, limits
from mixzoo.app.demo.gate import Gate
from mixzoo.app.demo.hosts import Hosts
from mixzoo.app.demo.limits import MIB
from mixzoo.app.demo.settings import Settings
from mixzoo.app.demo.store import Store

HANG_UP, STALL = b"(hangs up)", b"(stalls)"  # instead of a chunk
UPLOAD = "/gradio_api/upload"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UPLOAD", 1000)
    monkeypatch.setattr(limits, "MAX_BODY", 500)


def gate_before(app, folder: Path) -> Gate:
    """A gate with a store and names of its own."""
    return Gate(app, Store(folder), Hosts(Settings()), threading.Event(), lambda query: b"")


def form(*files: bytes) -> bytes:
    """The body of an upload."""
    head = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--B--\r\n"


def upload(folder: Path, *chunks: bytes, length: int | None = None) -> "Answer":
    """One upload that declares its length, or another one."""
    declared = str(sum(map(len, chunks)) if length is None else length)
    kind = "multipart/form-data; boundary=B"
    return ask(folder, "POST", UPLOAD, [*chunks], content_length=declared, content_type=kind)


@dataclass
class Answer:
    """status: of the gate, or 200 if the app behind it was asked. seen: the body that it got."""

    status: int
    headers: dict[str, str]
    seen: bytes | None


def ask(
    folder: Path, method: str, path: str, chunks: list[bytes] | None = None, **headers: str
) -> Answer:
    """One request to a gate before an app that takes everything."""
    answer = Answer(0, {}, None)
    waiting: Iterator[bytes] = iter(chunks or [b""])
    left = len(chunks or [b""])

    async def app(scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        answer.seen = body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        nonlocal left
        left -= 1
        body = next(waiting)
        if body == HANG_UP:
            return {"type": "http.disconnect"}
        if body == STALL:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": body, "more_body": left > 0}

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "http",
        "query_string": b"",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(gate_before(app, folder)(scope, receive, send))
    return answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config"),
        ("GET", "/assets/index-x.js"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/queue/data"),
        ("GET", "/gradio_api/heartbeat/abc"),
        ("GET", "/gradio_api/file=/tmp/mixzoo-app-x/files/a.png"),
        ("GET", "/gradio_api/call/mix/123"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/call/mix"),
    ],
)
def test_what_the_page_needs_goes_through(tmp_path: Path, method: str, path: str) -> None:
    """The page's own requests and the documented ones of programs pass."""
    assert ask(tmp_path, method, path).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=http://example.org/x.png"),
        ("GET", "/gradio_api/file=https%3A//example.org/x.png"),
        ("GET", "/gradio_api/file=//example.org/x"),
        ("GET", "/gradio_api/proxy=https://x.hf.space/file"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/gradio_api/vibe-code"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/run-history/connect"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/docs"),
        ("PUT", "/gradio_api/upload"),
        ("DELETE", "/"),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, method: str, path: str) -> None:
    """What Gradio offers beside that never reaches it."""
    answer = ask(tmp_path, method, path)

    assert answer.status in (403, 404)
    assert answer.headers["content-type"] == "application/json"
    assert answer.seen is None


@pytest.mark.parametrize(
    "content",
    [
        {"data": [{"path": "http://169.254.169.254/latest", "meta": {"_type": "gradio.FileData"}}]},
        {"data": [[{"image": {"path": " https://example.org/a.png"}}]]},
        {"data": [{"path": "//example.org/a.png"}]},
        {"data": [{"path": "a", "url": "data:image/png;base64,AAAA"}]},
        {"data": [{"path": "FTP://example.org/a"}]},
    ],
)
def test_no_address_is_fetched_for_a_visitor(tmp_path: Path, content: object) -> None:
    """A file that is named by an address, or sent inside the request, is refused."""
    answer = ask(tmp_path, "POST", "/gradio_api/queue/join", [json.dumps(content).encode()])

    assert answer.status == 400
    assert answer.seen is None


def test_uploaded_file_is_named_by_its_path(tmp_path: Path) -> None:
    """What a browser sends after an upload arrives byte for byte, also in pieces."""
    path = "/tmp/mixzoo-app-x/files/a.png"
    url = f"http://127.0.0.1:7860/gradio_api/file={path}"
    body = json.dumps({"data": [{"path": path, "url": url}]}).encode()

    answer = ask(tmp_path, "POST", "/gradio_api/queue/join", [body[:20], body[20:]])
    assert answer.seen == body


def test_large_request_is_refused(tmp_path: Path) -> None:
    """A body that isn't an upload ends at its limit, whatever it declares."""
    assert ask(tmp_path, "POST", "/gradio_api/call/mix", [b"x" * 400, b"x" * 101]).status == 413
    assert ask(tmp_path, "POST", "/gradio_api/call/mix", [b"x" * 400, b"x" * 100]).status == 200


def test_upload_goes_through(tmp_path: Path) -> None:
    """As many files of the largest size as are taken at once, byte for byte."""
    body = form(*[bytes(1000)] * limits.MAX_FILES)

    assert upload(tmp_path, body[:700], body[700:]).seen == body


@pytest.mark.parametrize(
    ("chunks", "length", "status"),
    [
        ([b""], 100_000, 413),  # more than so many files of the largest size
        ([form(b"x" * 900)], 500, 413),  # declares too little
        ([form(b"x")[:40], HANG_UP], 500, 400),
        ([form(b"x")[:40], STALL], 500, 408),
    ],
    ids=["declared", "lies", "hangs up", "stalls"],
)
def test_upload_beyond_a_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: list[bytes], length, status: int
) -> None:
    """In words, as JSON."""
    monkeypatch.setattr(gate, "PATIENCE", 0.05)
    answer = upload(tmp_path, *chunks, length=length)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.seen is None


def test_upload_without_a_length_is_refused(tmp_path: Path) -> None:
    """No room can be kept for what isn't announced."""
    assert ask(tmp_path, "POST", UPLOAD, [form(b"x")]).status == 411


def test_uploads_in_flight_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 uploads of 152 MiB at once, so many begin as 2 GiB have room for, each counted as if of
    a thousand files."""
    monkeypatch.setattr(limits, "MAX_UPLOAD", 2**30)
    statuses: list[int] = []
    done = asyncio.Event()

    async def app(scope, receive, send) -> None:
        statuses.append(200)
        await done.wait()

    async def visit(one: Gate) -> None:
        async def send(message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        said = {"content-length": str(152 * MIB), "content-type": "multipart/form-data; boundary=B"}
        headers = [(name.encode(), value.encode()) for name, value in said.items()]
        scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": headers}
        await one(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]

    async def crowd() -> None:
        one = gate_before(app, tmp_path)
        visitors = [asyncio.create_task(visit(one)) for _ in range(24)]
        await asyncio.sleep(0)
        while len(statuses) < 24:
            await asyncio.sleep(0.01)
        done.set()
        await asyncio.gather(*visitors)

    asyncio.run(crowd())
    assert sorted(statuses) == [200] * 9 + [507] * 15


def test_trip_over_an_odd_request_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What Gradio doesn't expect becomes a refusal; the log gets a line, what is printed is harmless."""

    async def app(scope, receive, send) -> None:
        raise KeyError("\x1b[31m")

    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/config", "headers": []}
    asyncio.run(gate_before(app, tmp_path)(scope, send, send))  # type: ignore[arg-type]

    assert sent[0]["status"] == 400
    assert caplog.messages == ["GET '/config': KeyError('\\x1b[31m')"]


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_browser_is_told_to_load_nothing_from_elsewhere(tmp_path: Path, path: str) -> None:
    """Every answer has the policy that keeps a page to its own server."""
    headers = ask(tmp_path, "GET", path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_web_sockets_are_closed(tmp_path: Path) -> None:
    """The page uses none, so nobody gets one."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    async def never(*_) -> None:
        raise AssertionError

    asyncio.run(gate_before(never, tmp_path)({"type": "websocket", "path": "/"}, never, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
