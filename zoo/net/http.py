"""One HTTP answer: redirects and ranges, what each refusal means, and the outer wall of the
network.

Redirects are followed here, hop by hop, because every one is a decision: a token goes to the host
it is meant for and no further, https never falls back to http, and a signed address is used once.
"""

import email.utils
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ..errors import MixzooError, SourceError
from ..looks import printable
from .hosts import shown, token_for, without_secrets

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18  # bytes read at most at once
TIMEOUT = (10.0, 30.0)  # seconds to connect, and of silence that count as a stall
LARGEST_ANSWER = 16 << 20  # bytes that an API may answer; GitHub's page of 100 files has 0.2 MB
LONGEST_ANSWER = 60.0  # seconds that it may take
REDIRECTS = 6  # GitHub needs one, the hub two
LAST_YEAR = 2**33  # seconds since 1970: a date after 2242 is no date, nor a wait that leads there
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED_SIGNATURE = frozenset({400, 401, 403, 404, 410})  # from the host redirected to


class TransientError(Exception):
    """This request failed in a way that the next may not. wait: seconds the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class ChangedError(Exception):
    """The server can't go on with the bytes we have: they aren't of the file it has now."""


@dataclass(frozen=True, eq=False)
class Answer:
    """A file's bytes, from the first that was asked for.

    size: of the whole file, None if the server doesn't say. validator: for If-Range, a strong ETag
    or else the date. ranges: whether parts can be asked for. stop: ends `chunks` from another
    thread.
    """

    size: int | None
    validator: str | None
    ranges: bool
    chunks: Iterator[bytes]
    stop: Callable[[], None]


@contextmanager
def open_url(
    session: "requests.Session", url: str, start: int, stop: int | None, validator: str | None
) -> Iterator[Answer]:
    """Ask a URL for its bytes [start, stop), following redirects from this very URL.

    validator: of the answer that the bytes before `start` came from.
    Raises TransientError, also while the chunks are read; ChangedError; SourceError for what stays
    wrong.
    """
    # identity: a transparently unpacked body would have neither the stated size nor the hash
    headers = {"Accept-Encoding": "identity"}
    if start or stop is not None:
        headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        headers |= {"If-Range": validator} if validator else {}
    with _wall(url), follow(session, url, headers) as response:
        _check_status(response, url, start)
        yield _answer(response, url, start, stop)


def read_whole(
    session: "requests.Session", url: str, headers: dict[str, str]
) -> tuple["requests.Response", bytes]:
    """A small answer of an API, whatever its status, and its body, read to the end.

    Raises SourceError for what is too large, too slow or packed, and where no answer can be had.
    """
    ends = time.monotonic() + LONGEST_ANSWER
    body = bytearray()
    try:
        # plain, so that a small answer can't unpack to a large one
        with _wall(url), follow(session, url, headers | {"Accept-Encoding": "identity"}) as answer:
            _require_plain(answer, url)
            while chunk := answer.raw.read1(CHUNK, decode_content=False):
                body += chunk
                if len(body) > LARGEST_ANSWER or time.monotonic() > ends:
                    raise SourceError(
                        f"{shown(url)}: expected an answer of at most {LARGEST_ANSWER >> 20} MB "
                        f"within {LONGEST_ANSWER:.0f} s, got {len(body):,} bytes and no end. Try "
                        "again later."
                    )
            return answer, bytes(body)
    except TransientError as error:
        raise SourceError(f"{shown(url)}: {error}. Try again, or check the network.") from None


@contextmanager
def _wall(url: str) -> Iterator[None]:
    """Whatever the network and its libraries do, as TransientError, or SourceError if it will stay.

    What they say of an address is shown without its secrets.
    """
    import requests
    import urllib3

    try:
        yield
    except (MixzooError, TransientError, ChangedError, MemoryError):
        raise
    except Exception as error:
        said = reason_of(error)
        hint = "Check the address, the proxy and the certificates, or use another source."
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "Behind a proxy, name its certificates in REQUESTS_CA_BUNDLE."
        elif "SOCKS" in str(error):
            said = f"goes by {_proxy_of(url)}, which takes a package that isn't installed"
            hint = "Install it: pip install 'requests[socks]'. Or unset the proxy."
        elif isinstance(
            error, requests.RequestException | urllib3.exceptions.HTTPError
        ) and not isinstance(error, ValueError):  # a ValueError: what can't be sent at all
            dead = isinstance(error, requests.exceptions.ProxyError)
            by = f" by {_proxy_of(url)}" if dead else ""
            raise TransientError(said + by) from None
        raise SourceError(f"{shown(url)}: {said}. {hint}") from None


def _proxy_of(url: str) -> str:
    """The proxy that the environment names for a URL, in words."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url)) or "?"
    names = (name for name, value in os.environ.items() if value == proxy)
    return f"the proxy {shown(proxy)} ({next(names, 'of the system')})"


def next_hop(url: str, target: str) -> str:
    """The address that a redirect from `url` leads to.

    Raises SourceError if it isn't http(s), or leaves https for http.
    """
    address = urljoin(url, target)
    old, new = urlsplit(url).scheme, urlsplit(address).scheme
    if new not in ("http", "https") or (old, new) == ("https", "http"):
        raise SourceError(
            f"{shown(url)}: redirects to {shown(address)}; expected an https address, refused. "
            "Check the network, or use another source."
        )
    return address


def new_session(connections: int = 1, *, retries: int = 0) -> "requests.Session":
    """A session with so many kept connections; proxies and certificates are the environment's.

    retries: of refused connections and of 5xx answers. A `Retry-After` isn't waited for: the user
    is told, instead of waiting up to an hour.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        retries,
        status_forcelist=BUSY - {408, 425, 429} if retries else (),
        backoff_factor=0.25,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    session = requests.Session()
    # `follow` does that; the library looks even if it isn't to, and lets a connection go on odd bytes
    session.get_redirect_target = lambda resp: None
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=retry))
    return session


@contextmanager
def follow(
    session: "requests.Session", url: str, headers: dict[str, str]
) -> Iterator["requests.Response"]:
    """The answer that an address's redirects lead to, with the token that its host may have.

    Raises SourceError for a redirect that isn't http(s) or leaves https for http, or that goes on.
    """
    token, here = token_for(url), url
    for _ in range(REDIRECTS + 1):
        home = urlsplit(here)[:2] == urlsplit(url)[:2]
        bearer = {"Authorization": f"Bearer {token}"} if home and token else {}
        with session.get(
            here,
            headers=headers | bearer,
            # None lets ~/.netrc speak: not over a token, nor off the first host
            auth=None if home and not token else lambda request: request,
            stream=True,
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            if not response.is_redirect:
                yield response
                return
            here = next_hop(here, response.headers["location"])
    raise SourceError(
        f"{shown(url)}: expected an answer, got more than {REDIRECTS} redirects, the last to "
        f"{urlsplit(here).hostname}. Use another source."
    )


def _check_status(response: "requests.Response", url: str, start: int) -> None:
    code, headers = response.status_code, response.headers
    if code in (200, 206):
        if headers.get("content-type", "").startswith("text/html"):
            raise SourceError(
                f"{shown(url)}: expected the file, got a web page (HTML). Use another source, or "
                "fetch it in a browser."
            )
        return _require_plain(response, url)
    said = f"got {status_of(response)}"
    if code == 416 and start:
        raise ChangedError(f"{said} for bytes from {start} on")
    limited = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    if code in BUSY or (code == 403 and limited):
        raise TransientError(said, asked_wait(headers))
    if response.url != url and code in REFUSED_SIGNATURE:
        # the signature ran out
        raise TransientError(f"{said} from {urlsplit(response.url).hostname}")
    raise SourceError(
        f"{shown(url)}: expected the file, {said}. Try again later, or use another source."
    )


def status_of(response: "requests.Response") -> str:
    """An answer's status as it is told, `HTTP 404 Not Found`, whatever its server wrote."""
    return f"HTTP {response.status_code} {printable(response.reason or '')[:60]}".rstrip()


def _require_plain(response: "requests.Response", url: str) -> None:
    coding = response.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise SourceError(
            f"{shown(url)}: expected plain bytes, got {coding} encoding. Use another source."
        )


def server_time(headers: Any) -> float:
    """Seconds since 1970 by the server's clock, if it tells it: this machine's may be wrong."""
    return _epoch(headers.get("date", "")) or time.time()


def asked_wait(headers: Any) -> float | None:
    """Seconds until the server wants to be asked again, by its own clock; None if it says no time."""
    now = server_time(headers)
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if (seconds := _number(after)) is not None:
        return None if now + seconds > LAST_YEAR else float(seconds)
    until = _epoch(after) or _number(reset)
    return None if until is None or until > LAST_YEAR else max(0.0, until - now)


def _epoch(date: str) -> float | None:
    parsed = email.utils.parsedate_tz(date)
    try:
        moment = None if parsed is None else float(email.utils.mktime_tz(parsed))
    except (ValueError, OverflowError):  # a year or an hour that there is not
        return None
    return moment if moment is not None and 0 <= moment <= LAST_YEAR else None


def _number(text: str) -> int | None:
    """A count in a header; None for what isn't one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _size(response: "requests.Response", url: str) -> int | None:
    """The stated length of a body; None if it isn't stated."""
    stated = response.headers.get("content-length")
    if (
        stated is None or "transfer-encoding" in response.headers
    ):  # which goes first (RFC 9112, 6.3)
        return None
    lengths = {_number(one.strip()) for one in stated.split(",")}  # one that stands twice is one
    if None in lengths or len(lengths) > 1:
        raise SourceError(
            f"{shown(url)}: expected a length, got Content-Length: {stated[:40]}. Use another "
            "source."
        )
    return lengths.pop()


def _answer(response: "requests.Response", url: str, start: int, stop: int | None) -> Answer:
    headers, raw = response.headers, response.raw
    size = _size(response, url)
    if response.status_code == 206:
        begin, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
        size = _number(total)
        if not begin.startswith(f"{start}-") or size is None:
            raise SourceError(
                f"{shown(url)}: expected bytes from {start} on, got {begin[:40] or '?'}. Use "
                "another source."
            )
    elif start or stop is not None:
        raise ChangedError("the server sent the whole file where a part was asked for")
    etag = headers.get("etag", "")  # a weak one may stay while bytes change (RFC 9110, 13.1.5)
    validator = etag if etag.startswith('"') else headers.get("last-modified", "")
    return Answer(
        size=size,
        # it is sent back, and kept in a note
        validator=validator if 0 < len(validator) < 256 and validator.isprintable() else None,
        ranges=response.status_code == 206 or headers.get("accept-ranges") == "bytes",
        chunks=iter(lambda: raw.read1(CHUNK, decode_content=False), b""),
        stop=raw.shutdown,
    )


def reason_of(error: BaseException) -> str:
    """The innermost reason of a nested network error, on one line, without secrets."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        # whose words would quote what cannot be sent
        return f"an address, a proxy or a header that cannot be used ({type(error).__name__})"
    words = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return without_secrets(words)[:200].rstrip(".")
