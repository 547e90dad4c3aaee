"""Stands before Gradio's server: lets through what the page needs, within limits, and nothing else.

Gradio serves more than this page uses: it fetches addresses that a visitor names, forwards to other
hosts, edits the app, converts videos. None of that is let through, so the server asks nothing of
any other machine on a visitor's behalf.
"""

import asyncio
import html
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...zoo.errors import UsageError
from . import limits
from .hosts import Hosts
from .store import Store
from .toasts import UNEXPECTED

log = logging.getLogger(__name__)

API = "/gradio_api"
UPLOAD = f"{API}/upload"
READ = re.compile(
    rf"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|login_check)/?|"
    rf"/(static|assets|svelte)/.+|"
    rf"{API}/(info|openapi\.json|theme\.css|app_id|startup-events|upload_progress|queue/data|queue/status)/?|"
    rf"{API}/(heartbeat|call)/.+|{API}/file=.+"
)
TOOLS = re.compile(rf"{API}/mcp/?")
WRITE = re.compile(rf"{API}/(upload|queue/join|cancel|reset)/?|{API}/(run|api|call)/.+")
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|data:", re.IGNORECASE)
PATIENCE, SLOWEST = 30.0, 16 << 10  # seconds that a body may take, and bytes per second beside
A_HEAD = 8 << 10  # bytes of a part beside its file, at most
MOST_PARTS, A_PART = 1000, 48  # that Gradio takes of an upload; bytes that a part has at least
ODD = "Expected a request as the page makes it; see `Use via API`."
TOO_LARGE = "The request is too large. Upload files first."

FOREIGN_PREVIEW = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*')
PREVIEW = """<meta property="og:type" content="website"><meta property="og:title" content="mixzoo">
<meta property="og:description" content="Mix two pictures as published models do, and see what they make of it.">
<meta property="og:url" content="{page}"><meta property="og:image" content="{image}">
<meta name="twitter:card" content="summary_large_image">
</head>"""
PREVIEW_IMAGE = "/preview.png"
A_DAY = {"Cache-Control": "max-age=86400"}

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
    """ASGI middleware. store: where uploads and results go. hosts: the page's names.

    tools_open: set where programs may speak MCP. preview: the picture of a link, from its query.
    """

    def __init__(
        self,
        app: ASGIApp,
        store: Store,
        hosts: Hosts,
        tools_open: threading.Event,
        preview: Callable[[str], bytes],
    ) -> None:
        self._app = app
        self._preview, self._drawing = preview, asyncio.Semaphore(1)
        self._asking = asyncio.Semaphore(limits.MAX_QUEUE)
        self._tools_open = tools_open
        self._store = store
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request in one line, as JSON as Gradio's own answers are, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page uses no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        try:
            await self._admit(scope, receive, answer)
        except _Refused as refused:
            if not answer.begun:
                said = JSONResponse({"detail": refused.line}, refused.status)
                await said(scope, receive, answer)
        except Exception as error:  # Gradio trips over odd requests, and ends streams by raising
            log.warning("%s %r: %r", scope["method"], scope["path"], error)
            log.debug("the request failed", exc_info=True)
            if answer.begun:
                with suppress(RuntimeError):  # it was to be longer
                    await send({"type": "http.response.body", "body": b""})
            elif isinstance(error, OSError):
                await JSONResponse({"detail": UNEXPECTED}, 500)(scope, receive, answer)
            else:
                await JSONResponse({"detail": ODD}, 400)(scope, receive, answer)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body within its limits. Raises _Refused."""
        path, method, headers = scope["path"], scope["method"], Headers(scope=scope)
        if line := self._hosts.refusal(headers, writes=method not in ("GET", "HEAD")):
            raise _Refused(403, line)
        if method in ("GET", "HEAD") and READ.fullmatch(path):
            if ADDRESS.match(unquote(path.partition("file=")[2])):
                raise _Refused(403, "Files of other machines are not fetched.")
            own = _with_own_preview(send, scope) if (method, path) == ("GET", "/") else send
            await self._app(scope, receive, own)
        elif method == "GET" and path == PREVIEW_IMAGE:
            query = scope["query_string"].decode("latin-1")
            async with self._drawing:
                content = await asyncio.to_thread(self._preview, query)
            await Response(content, headers=A_DAY, media_type="image/png")(scope, receive, send)
        elif method == "POST" and WRITE.fullmatch(path):
            if path.rstrip("/") == UPLOAD:
                await self._upload(scope, receive, send)
            else:
                await self._app(scope, await self._small(headers, receive), send)
        elif TOOLS.fullmatch(path) and self._tools_open.is_set():
            if method != "POST":  # each answer comes with its question
                raise _Refused(405, "MCP is spoken here; each message is sent by POST.")
            if self._asking.locked():
                raise _Refused(503, "The server is busy. Try again in a minute.")
            async with self._asking:
                await self._app(scope, await self._small(headers, receive), send)
        else:
            raise _Refused(404, "There is nothing here.")

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an upload on, with room kept for it; Gradio judges each file while it arrives."""
        headers = Headers(scope=scope)
        declared = _declared(headers)
        if declared is None:
            raise _Refused(411, "Expected the upload's Content-Length, and got none.")
        if declared > limits.MAX_FILES * (limits.MAX_UPLOAD + A_HEAD):
            raise _Refused(413, "Too much at once. Send fewer or smaller files.")
        files = min(MOST_PARTS, declared // A_PART + 1)
        try:
            room = await asyncio.to_thread(self._store.claim, declared, files)
        except UsageError as full:
            raise _Refused(507, str(full)) from None
        try:
            await self._app(scope, _arriving(receive, declared, declared), _refusing(send))
        finally:
            self._store.release(room)

    async def _small(self, headers: Headers, receive: Receive) -> Receive:
        """A request's JSON, held against the limit and searched for addresses to fetch."""
        most = limits.MAX_BODY
        declared = _declared(headers) or 0
        if declared > most:
            raise _Refused(413, TOO_LARGE)
        arriving, body, more = _arriving(receive, most, declared), bytearray(), True
        while more:
            message = await arriving()
            body += message["body"]
            more = message["more_body"]
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


class _Answer:
    """Sends an answer with the page's headers, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await self._send(message)


def _with_own_preview(send: Send, scope: Scope) -> Send:
    """Sends the page with what other programs show of a link to it: Gradio tells of itself."""
    headers, body, start = Headers(scope=scope), bytearray(), {}
    proxied = headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    scheme = proxied if proxied in ("http", "https") else scope["scheme"]
    host = (headers.get("x-forwarded-host") or headers.get("host", "")).partition(",")[0].strip()
    root = f"{scheme}://{host}{os.environ.get('GRADIO_ROOT_PATH', '').rstrip('/')}"
    query = f"?{scope['query_string'].decode('latin-1')}".rstrip("?")
    own = PREVIEW.format(
        page=html.escape(f"{root}/{query}"), image=html.escape(f"{root}{PREVIEW_IMAGE}{query}")
    )

    async def sent(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            page = FOREIGN_PREVIEW.sub(b"", bytes(body)).replace(b"</head>", own.encode(), 1)
            MutableHeaders(scope=start)["content-length"] = str(len(page))
            await send(start)
            await send({"type": "http.response.body", "body": page})

    return sent


def _refusing(send: Send) -> Send:
    """Sends an answer; Gradio's refusals come as plain text, where its page expects JSON."""
    status, text = 200, bytearray()

    async def sent(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        if status == 200:
            await send(message)
        elif message["type"] == "http.response.body":
            text.extend(message.get("body", b""))
            if not message.get("more_body", False):
                raise _Refused(status, text.decode(errors="replace"))

    return sent


class _Refused(MultiPartException):
    """Raised where Gradio reads an upload, it makes Gradio remove what has arrived, and say it."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


def _declared(headers: Headers) -> int | None:
    """The length that a request declares; None if it declares none."""
    text = headers.get("content-length", "")
    return int(text[:20]) if text.isascii() and text.isdecimal() else None


def _arriving(receive: Receive, most: int, declared: int) -> Receive:
    """The parts of a body as they come. They raise _Refused beyond `most` bytes, for one that
    comes too slowly, and for one that breaks off."""
    arrived, until = 0, time.monotonic() + PATIENCE + declared / SLOWEST

    async def part() -> Message:
        nonlocal arrived
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            raise _Refused(408, "The request came too slowly. Try again.") from None
        if message["type"] == "http.disconnect":
            raise _Refused(400, "The request broke off.")
        body, more = message.get("body", b""), message.get("more_body", False)
        arrived += len(body)
        if arrived > most:
            raise _Refused(413, TOO_LARGE)
        return {"type": "http.request", "body": body, "more_body": more}

    return part


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
