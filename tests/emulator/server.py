"""The one server of all tests, on loopback, as GitHub and the hub behave: real sockets, faults.

Two hosts: the front (`front.url`) answers a file's address with 302 and an empty body to a signed
URL that expires, on the store (`store.url`, another port), which serves bytes with Range, If-Range
and ETag. Handlers (`emulator.handlers`) answer before the files do, for APIs.
"""

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

Host = Literal["front", "store"]
STEP = 1 << 16  # bytes written at once where faults or rates need to look in between
PATIENCE = 30.0  # seconds after which a stalled answer ends by itself


@dataclass(frozen=True)
class Request:
    """One request as it came in. target: its path and query as sent. headers: names in lower case."""

    host: Host
    method: str
    target: str
    path: str  # decoded, without the query
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """A whole answer, for handlers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """How one answer goes wrong; what isn't set stays as it should be.

    status: instead of 200 or 206; the body is then `body`, else empty.
    body: instead of the file's (ranges are taken from it). headers: added or replaced.
    cut: the connection is reset after so many bytes of the body. end: it is closed in order.
    stall: after so many bytes nothing more comes, unless until, where it goes on when that is set.
    ignore_range: 200 and everything. raw: these bytes and nothing else, then the connection is closed.
    """

    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    end: int | None = None
    stall: int | None = None
    until: threading.Event | None = None
    ignore_range: bool = False
    raw: bytes | None = None


Plan = Callable[[Request], Fault | None]


def always(fault: Fault) -> Plan:
    """The same fault at every request."""
    return lambda _: fault


def burst(*faults: Fault | None) -> Plan:
    """One fault a request, in this order (None: no fault), then none."""
    left = list(faults)
    lock = threading.Lock()

    def plan(_: Request) -> Fault | None:
        with lock:
            return left.pop(0) if left else None

    return plan


@dataclass
class Site:
    """One of the two hosts. requests: all it got. plan: what goes wrong with which."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    plan: Plan = field(default=lambda _: None)


@dataclass
class Emulator:
    """What is served and how.

    files: path -> bytes. redirect: by way of the store. uses: how often one signed URL works.
    rate: bytes a second and connection, None for no limit. ranges, etags, lengths: whether the
    store speaks Range, sends ETag and Last-Modified, sends Content-Length (else closing ends the body).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirect: bool = True
    uses: int = 1_000_000
    rate: float | None = None
    ranges: bool = True
    etags: bool = True
    lengths: bool = True
    handlers: list[Callable[[Request], Reply | None]] = field(default_factory=list)
    front: Site = field(default_factory=Site)
    store: Site = field(default_factory=Site)
    closing: threading.Event = field(default_factory=threading.Event)
    _signed: dict[str, int] = field(default_factory=dict)  # signature -> uses left
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sign(self, path: str) -> str:
        """A new signed URL of a file on the store."""
        with self._lock:
            signature = f"s{time.monotonic_ns()}x{len(self._signed)}"
            self._signed[signature] = self.uses
        return f"{self.store.url}{quote(path)}?sig={signature}"

    def redeem(self, signature: str) -> bool:
        """Use a signed URL once; False if it has expired."""
        with self._lock:
            left = self._signed.get(signature, 0)
            self._signed[signature] = left - 1
        return left > 0

    @staticmethod
    @lru_cache(maxsize=64)
    def etag(body: bytes) -> str:
        """The ETag of these bytes: changes with them, is no content hash of use to a client."""
        return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()[:16]}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    emulator: Emulator
    host: Host

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        request = Request(
            self.host,
            self.command,
            self.path,
            unquote(url.path),
            {name: values[-1] for name, values in parse_qs(url.query).items()},
            {name.lower(): value for name, value in self.headers.items()},
            self._received(),
        )
        site = self.emulator.front if self.host == "front" else self.emulator.store
        site.requests.append(request)
        fault = site.plan(request) or Fault()
        if fault.raw is not None:
            self.close_connection = True
            self.wfile.write(fault.raw)
        elif fault.status is not None:
            self._reply(Reply(fault.status, fault.headers, fault.body or b""))
        else:
            self._answer(request, fault)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, request: Request, fault: Fault) -> None:
        for handler in self.emulator.handlers:
            reply = handler(request)
            if reply is not None:
                return self._reply(reply)
        body = self.emulator.files.get(request.path)
        if body is None:
            return self._reply(Reply(404, {"Content-Type": "text/plain"}, b"Not Found"))
        if self.host == "front" and self.emulator.redirect:
            return self._reply(Reply(302, {"Location": self.emulator.sign(request.path)}))
        if self.host == "store" and not self.emulator.redeem(request.query.get("sig", "")):
            return self._reply(Reply(403, {"Content-Type": "application/xml"}, b"<Error/>"))
        return self._serve(request, fault, body if fault.body is None else fault.body)

    def _serve(self, request: Request, fault: Fault, body: bytes) -> None:
        start, stop, status = 0, len(body), 200
        headers = {"Content-Type": "application/octet-stream"}
        if self.emulator.etags:
            headers["ETag"] = self.emulator.etag(body)
            headers["Last-Modified"] = "Mon, 22 Aug 2022 08:00:00 GMT"
        if self.emulator.ranges and not fault.ignore_range:
            headers["Accept-Ranges"] = "bytes"
            asked = request.headers.get("range", "").removeprefix("bytes=")
            if asked and request.headers.get("if-range") in (None, *headers.values()):
                first, _, last = asked.partition("-")
                start, stop = int(first), min(int(last) + 1 if last else stop, stop)
                status = 206
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
                if start >= len(body):
                    return self._reply(Reply(416, {"Content-Range": f"bytes */{len(body)}"}))
        part = memoryview(body)[start:stop]
        if self.emulator.lengths:
            headers["Content-Length"] = str(len(part))
        else:
            headers["Connection"] = "close"
        self._head(status, headers | fault.headers)
        return None if request.method == "HEAD" else self._body(part, fault)

    def _body(self, body: memoryview, fault: Fault) -> None:
        limit = min(
            (n for n in (fault.cut, fault.end, fault.stall) if n is not None), default=len(body)
        )
        step = STEP if self.emulator.rate else max(limit, 1)
        began, sent = time.monotonic(), 0
        while sent < min(limit, len(body)) and not self.emulator.closing.is_set():
            sent += self.wfile.write(body[sent : min(sent + step, limit)])
            if self.emulator.rate:
                time.sleep(max(0.0, began + sent / self.emulator.rate - time.monotonic()))
        if fault.until is not None:
            fault.until.wait(PATIENCE)
            sent += self.wfile.write(body[sent:])
        elif fault.stall is not None:
            self.emulator.closing.wait(PATIENCE)
        if fault.cut is not None:  # linger 0: close sends a reset
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if sent < len(body):
            self.close_connection = True

    def _reply(self, reply: Reply) -> None:
        headers = {"Content-Length": str(len(reply.body))} | reply.headers
        self._head(reply.status, headers)
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        headers = {"Date": self.date_time_string()} | headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.close_request(request)  # without the orderly shutdown, which would hide a reset

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that go away are part of the game


@contextmanager
def emulate(tls: ssl.SSLContext | None = None) -> Iterator[Emulator]:
    """Run an emulator for the length of a block. tls: speak https, as "localhost"."""
    emulator = Emulator()
    servers = []
    hosts: tuple[Host, Host] = ("front", "store")
    for host in hosts:
        handler = type("Handler", (_Handler,), {"emulator": emulator, "host": host})
        server = _Server(("127.0.0.1", 0), handler)
        site = emulator.front if host == "front" else emulator.store
        site.url = f"http://127.0.0.1:{server.server_port}"
        if tls:
            site.url = f"https://localhost:{server.server_port}"
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
    try:
        yield emulator
    finally:
        emulator.closing.set()
        for server in servers:
            server.shutdown()
            server.server_close()
