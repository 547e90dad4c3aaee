"""Requests that nobody sends who means well, drawn from a seed; the same seed draws the same ones."""

import json
import random
import socket
from collections.abc import Iterator
from typing import Any

from mixzoo.app.demo.gate import API, READ, WRITE

from ...mini_rows import MIXUP

PATHS = (  # noqa: SIM905
    "/ /config /theme.css /robots.txt /manifest.json /login_check /static/x /assets/../x /svelte/%00 /info "
    "/openapi.json /app_id /startup-events /upload_progress /queue/data /queue/status /heartbeat/x /call/mix/x "
    "/file= /upload /queue/join /cancel /reset /run/mix /api/mix /call/mix /call/grid /call/audit /call/log "
    "/call/table /call/zoo /call/verify /call/nothing /stream/x /component_server /queue/data/x"
).split()
FILES = (
    "/etc/passwd ../../etc/passwd %2e%2e/%2e%2e/etc/passwd /proc/self/environ /proc/self/fd/0 /dev/zero . .. "
    "%00 a%00b //example.org/x file:///etc/passwd http://127.0.0.1:9/ ~/x \\..\\..\\x {folder}/secret.txt "
    "{folder}/temporary/../secret.txt {folder}/temporary {folder}/cache/assets/own/automix.pth "
    + "a"
    * 5000
).split()
QUERIES = (
    "",
    "?",
    "?upload_id=x",
    "?session_hash=x",
    "?session_hash=%00&x[]=1",
    "?" + "a=b&" * 500,
)
HEADERS = (
    "Range: bytes=0-1",
    "Range: bytes=9-1,-5,1-",
    "Range: bytes=" + "0-1," * 3000,
    "Range: lines=x",
    "If-Range: x",
    "Accept-Language: \xff\xfe",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: gopher",
    "X-Gradio-Server: http://evil.example/",
    "X-Gradio-User: app",
    "Origin: null",
    "Origin: http://[::1",
    "Sec-Fetch-Site: cross-site",
    "Cookie: session_id=../../x; access-token=x",
    "Authorization: Basic ====",
    "Content-Encoding: gzip",
    "Expect: 100-continue",
    "Transfer-Encoding: chunked",
)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, -1e400, 2**70, 10**400, float("nan"), "", "\0", "\x1b[31m", "../../etc/passwd",
    "<img src=x onerror=alert(1)>", MIXUP, "mixup", "mini", "\ud800", [], {}, [[[[]]]], {"a": {}},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": None}, {"path": ["x"]},
    {"path": "a\0b", "meta": {"_type": "gradio.FileData"}}, {"__type__": "update", "value": 1},
    {"path": "", "url": "http://example.org", "meta": {"_type": "gradio.FileData"}},
    [{"image": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "caption": None}],
)  # fmt: skip


def requests(seed: int, count: int, folder: str) -> Iterator[bytes]:
    """That many whole requests, as bytes. folder: of the server, which it must not read from."""
    rng = random.Random(seed)
    for _ in range(count):
        name = rng.choice(PATHS)
        path = name if READ.fullmatch(name) else API + name
        if name == "/file=":
            path += rng.choice(FILES).format(folder=folder)
        writes = bool(WRITE.fullmatch(path))
        body, kind = _body(rng, name) if writes else (b"", "")
        method = (
            rng.choice(("POST",) * 9 + ("PUT",))
            if writes
            else rng.choice(("GET", "HEAD", "OPTIONS"))
        )
        lines = [
            f"{method} {path}{rng.choice(QUERIES)} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
        ]
        if rng.random() < 0.3:
            lines += rng.sample(HEADERS, rng.randint(1, 3))
        if writes:
            length = rng.choice(
                (len(body),) * 60 + (0, len(body) + 9, 10**12, -1, "many", 10**4000)
            )
            lines += [f"Content-Type: {kind}", f"Content-Length: {length}"]
        yield "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def send(port: int, request: bytes) -> bytes:
    """What the server answers, as far as it comes within half a second of silence."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        connection.settimeout(0.5)
        try:
            while len(answer) < 10**6 and (some := connection.recv(65536)):
                answer += some
        except OSError:
            pass  # a stream, or it hung up
    return answer


def _body(rng: random.Random, name: str) -> tuple[bytes, str]:
    """A body, and what its header says of it."""
    if name == "/upload":
        return _form(rng)
    data = [rng.choice(VALUES) for _ in range(rng.randint(0, 8))]
    content: Any = {"data": data, "fn_index": rng.choice((0, 3, 999, -1, "x", None, 1.5))}
    content |= rng.choice(
        ({}, {"session_hash": "s"}, {"session_hash": 5}, {"event_id": "x"}, {"event_data": {}})
    )
    content |= rng.choice(
        ({}, {"trigger_id": 1}, {"event_id": {}}, {"session_hash": "s", "trigger_id": "x"})
    )
    text = json.dumps(rng.choice((content,) * 8 + (data, None, "x", 5)))
    odd = (
        "",
        "{",
        "[" * 10000,
        '{"data":' * 5000,
        "null",
        text[:-1],
        '{"data":[],"data":' + "9" * 6000 + "}",
        "\0",
    )
    text = rng.choice((text,) * 16 + odd)
    return text.encode("utf-8", "surrogatepass"), rng.choice(
        ("application/json",) * 6 + ("text/plain", "", "a/b;" * 99)
    )


def _form(rng: random.Random) -> tuple[bytes, str]:
    names = (
        "a.png",
        "",
        ".",
        "..",
        "../../x.png",
        "/etc/x",
        "a\0b.png",
        "é" * 300,
        "a" * 3000,
        "\x1b[31m.png",
        "<b>.svg",
    )
    body = b""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 9, 200))):
        disposition = f'form-data; name="{rng.choice(("files",) * 6 + ("x", ""))}"; filename="{rng.choice(names)}"'
        head = rng.choice(
            (f"Content-Disposition: {disposition}",) * 9
            + ("", "x: y\r\n" * 2000, "X" * 9000 + ": 1")
        )
        body += (
            f"--B\r\n{head}\r\n\r\n".encode() + rng.randbytes(rng.choice((0, 3, 4000))) + b"\r\n"
        )
    body += rng.choice((b"--B--\r\n", b"--B", b"", b"--B--" + b"x" * 5000))
    return body, rng.choice(
        ("multipart/form-data; boundary=B",) * 9
        + ("multipart/form-data", "multipart/form-data; boundary=" + "b" * 5000)
    )
