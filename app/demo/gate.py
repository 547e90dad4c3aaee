"""Stands before Gradio's server: lets through what the page needs, within limits, and nothing else.

Gradio serves more than this page uses: it fetches addresses that a visitor names, forwards to other
hosts, edits the app, converts videos. None of that is let through, so the server asks nothing of
any other machine on a visitor's behalf.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Settings

API = "/gradio_api"
UPLOAD = f"{API}/upload"
READ = re.compile(
    rf"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|login_check)/?|"
    rf"/(static|assets|svelte)/.+|"
    rf"{API}/(info|openapi\.json|theme\.css|app_id|startup-events|upload_progress|queue/data|queue/status)/?|"
    rf"{API}/(heartbeat|call)/.+|{API}/file=.+"
)
WRITE = re.compile(rf"{API}/(upload|queue/join|cancel|reset)/?|{API}/(run|api|call)/.+")
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|data:", re.IGNORECASE)
UPLOADS_AT_ONCE = 8  # files of one request
SIZED_FOR = 5.0  # seconds that a measured size of the folder is believed

# The browser is told to load nothing from elsewhere either. Gradio's page runs inline scripts and
# compiles the JavaScript of events.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Gate:
    """ASGI middleware. folder: where Gradio keeps uploads and results."""

    def __init__(self, app: ASGIApp, settings: Settings, folder: Path) -> None:
        self._app = app
        self._settings = settings
        self._folder = folder
        self._sized = (0.0, 0)  # when the folder was measured, and its bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request in one line, as JSON as Gradio's own answers are, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page uses no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            received = await self._admit(scope, receive)
        except _Refused as refused:
            answer = JSONResponse({"detail": refused.line}, refused.status, HEADERS)
            await answer(scope, receive, send)
            return
        await self._app(scope, received, _with_headers(send))

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """The request's body within its limits. Raises _Refused."""
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD") and READ.fullmatch(path):
            if ADDRESS.match(unquote(path.partition("file=")[2])):
                raise _Refused(403, "Files of other machines are not fetched.")
            return receive
        if method == "POST" and WRITE.fullmatch(path):
            if path.rstrip("/") == UPLOAD:
                return self._upload(scope, receive)
            return await self._small(receive)
        if method == "OPTIONS":
            return receive
        raise _Refused(404, "There is nothing here.")

    def _upload(self, scope: Scope, receive: Receive) -> Receive:
        """An upload, cut off at its limit while it arrives; Gradio counts each file's bytes."""
        limit = UPLOADS_AT_ONCE * self._settings.max_upload
        declared = int(Headers(scope=scope).get("content-length") or 0)
        if self._stored() + declared > self._settings.max_stored:
            raise _Refused(507, "The server's room for uploads is full. Try again later.")
        if declared > limit:
            raise _Refused(413, "Too much at once. Send fewer or smaller files.")
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:  # a request that declared less, or nothing: as if it hung up
                return {"type": "http.disconnect"}
            return message

        return counted

    async def _small(self, receive: Receive) -> Receive:
        """A request's JSON, held against the limit and searched for addresses to fetch."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._settings.max_body:
                raise _Refused(413, "The request is too large. Upload files first.")
        if any(ADDRESS.match(path) for path in _file_paths(bytes(body))):
            raise _Refused(400, "Expected an uploaded file, got an address. Upload the file first.")
        whole: Message = {"type": "http.request", "body": bytes(body), "more_body": False}
        given = False

        async def replayed() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return whole

        return replayed

    def _stored(self) -> int:
        """Bytes in the folder, measured now and then."""
        measured, size = self._sized
        if time.monotonic() - measured > SIZED_FOR:
            size = sum(_size(file) for file in self._folder.rglob("*"))
            self._sized = (time.monotonic(), size)
        return size


class _Refused(Exception):  # noqa: N818 - says what happened, and never leaves this module
    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sent


def _file_paths(body: bytes) -> Iterator[str]:
    """What a JSON body names as files: `path` anywhere, `url` where it holds the file itself."""
    try:
        waiting: list[Any] = [json.loads(body or b"null")]
    except (ValueError, RecursionError):
        return  # Gradio refuses it in its own words
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
            if isinstance(one.get("path"), str):
                yield one["path"].strip()
            if str(one.get("url") or "").strip().lower().startswith("data:"):
                yield one["url"].strip()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:  # deleted meanwhile
        return 0
