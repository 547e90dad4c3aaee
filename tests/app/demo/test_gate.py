"""What reaches Gradio's server, and what doesn't."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mixzoo.app.demo.gate import Gate
from mixzoo.app.demo.settings import Settings

LIMITS = Settings(max_upload=1000, max_body=500, max_stored=20_000)


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
            if message["type"] == "http.disconnect":
                body = b"hung up"
                break
            body, more = body + message["body"], message["more_body"]
        answer.seen = body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": next(waiting), "more_body": left > 0}

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Gate(app, LIMITS, folder)(scope, receive, send))
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
        ("POST", "/gradio_api/upload"),
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


def test_large_upload_is_refused_by_its_declared_length(tmp_path: Path) -> None:
    """Eight files of the largest size go through at once, more don't."""
    assert ask(tmp_path, "POST", "/gradio_api/upload", content_length="8001").status == 413
    assert ask(tmp_path, "POST", "/gradio_api/upload", content_length="8000").status == 200


def test_upload_that_lies_about_its_length_is_cut_off(tmp_path: Path) -> None:
    """One that says nothing of its length, or too little, ends as if the visitor had hung up."""
    answer = ask(tmp_path, "POST", "/gradio_api/upload", [b"x" * 5000, b"x" * 5000])

    assert answer.seen == b"hung up"


def test_full_folder_takes_no_more_uploads(tmp_path: Path) -> None:
    """What all visitors may store together is bounded."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_bytes(bytes(19_500))

    assert ask(tmp_path, "POST", "/gradio_api/upload", content_length="400").status == 200
    assert ask(tmp_path, "POST", "/gradio_api/upload", content_length="600").status == 507


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

    asyncio.run(Gate(never, LIMITS, tmp_path)({"type": "websocket", "path": "/"}, never, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
