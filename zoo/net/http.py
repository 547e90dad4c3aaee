"""One HTTP answer: redirects, tokens and ranges, and what each refusal means.

Redirects are followed here, hop by hop, because every one is a decision: a token goes to the host
it is meant for and no further, https never falls back to http, and a signed address is used once.
"""

import email.utils
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ..errors import SourceError, UsageError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18  # bytes read at most at once
TIMEOUT = (10.0, 30.0)  # seconds to connect, and of silence that count as a stall
REDIRECTS = 6  # GitHub needs one, the hub two
LONGEST_WAIT = 120.0  # seconds that a server may ask us to wait
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
    import requests
    import urllib3

    # identity: a transparently unpacked body would have neither the stated size nor the hash
    headers = {"Accept-Encoding": "identity"}
    if start or stop is not None:
        headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        headers |= {"If-Range": validator} if validator else {}
    try:
        with follow(session, url, headers) as response:
            _check_status(response, url, start)
            yield _answer(response, url, start, stop)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise SourceError(f"{shown(url)}: {reason_of(error)}. Correct the manifest.") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "Behind a proxy, name its certificates in REQUESTS_CA_BUNDLE."
            raise SourceError(f"{shown(url)}: {reason_of(error)}. {hint}") from None
        raise TransientError(reason_of(error)) from None
    except OSError as error:  # such as missing certificates
        raise SourceError(f"{shown(url)}: {error}") from None


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


def token_for(url: str) -> str | None:
    """The token that the environment holds for this URL's host, if any."""
    host = urlsplit(url).netloc
    if host in (urlsplit(github_server()).netloc, urlsplit(github_api()).netloc):
        token = github_token()
        return token[1] if token else None
    if host == urlsplit(hub_endpoint()).netloc:
        from huggingface_hub import get_token

        return get_token()  # HF_TOKEN, else the file that `hf auth login` wrote below HF_HOME
    return None


def github_token() -> tuple[str, str] | None:
    """The environment's variable for GitHub and the token in it, if one is set."""
    for variable in ("GITHUB_TOKEN", "GH_TOKEN"):
        token = os.environ.get(variable, "").strip()
        if token and not re.fullmatch(r"[!-~]+", token):
            # the HTTP library would say so too, and print the token with it
            raise UsageError(f"{variable}: holds characters that no token has. Set it anew.")
        if token:
            return variable, token
    return None


def github_server() -> str:
    """Address of GitHub's downloads: GITHUB_SERVER_URL (as GitHub Actions sets it), or its own."""
    return os.environ.get("GITHUB_SERVER_URL", "").rstrip("/") or "https://github.com"


def github_api() -> str:
    """Address of GitHub's API: GITHUB_API_URL (as GitHub Actions sets it), else its own."""
    return os.environ.get("GITHUB_API_URL", "").rstrip("/") or "https://api.github.com"


def hub_endpoint() -> str:
    """Address of the Hugging Face hub: HF_ENDPOINT, for mirrors of it, else its own."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def shown(url: str) -> str:
    """A URL as it may be printed: without password and without a signed query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


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
        kind, coding = headers.get("content-type", ""), headers.get("content-encoding", "identity")
        if kind.startswith("text/html"):
            raise SourceError(f"{shown(url)}: expected the file, got a web page (HTML).")
        if coding != "identity":
            raise SourceError(f"{shown(url)}: expected plain bytes, got {coding} encoding.")
        return
    said = f"got HTTP {code} {response.reason}"
    if code == 416 and start:
        raise ChangedError(f"{said} for bytes from {start} on")
    limited = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    if code in BUSY or (code == 403 and limited):
        wait = asked_wait(headers)
        if wait is not None and wait > LONGEST_WAIT:
            raise SourceError(
                f"{shown(url)}: {said}, and to come back in {wait / 60:.0f} minutes. Run the same "
                "command then, or use another source."
            )
        raise TransientError(said, wait)
    if response.url != url and code in REFUSED_SIGNATURE:
        # the signature ran out
        raise TransientError(f"{said} from {urlsplit(response.url).hostname}")
    raise SourceError(f"{shown(url)}: expected the file, {said}.")


def server_time(headers: Any) -> float:
    """Seconds since 1970 by the server's clock, if it tells it: this machine's may be wrong."""
    return _epoch(headers.get("date", "")) or time.time()


def asked_wait(headers: Any) -> float | None:
    """Seconds until the server wants to be asked again, by its own clock, or None."""
    now = server_time(headers)
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        return float(after)
    until = _epoch(after) or (float(reset) if reset.isdecimal() else None)
    return None if until is None else max(0.0, until - now)


def _epoch(date: str) -> float | None:
    parsed = email.utils.parsedate_tz(date)
    return None if parsed is None else float(email.utils.mktime_tz(parsed))


def _answer(response: "requests.Response", url: str, start: int, stop: int | None) -> Answer:
    headers, raw = response.headers, response.raw
    length = int(headers.get("content-length", -1))
    size: int | None = None if length < 0 else length
    if response.status_code == 206:
        begin, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
        if not begin.startswith(f"{start}-") or not total.isdecimal():
            raise SourceError(f"{shown(url)}: expected bytes from {start} on, got {begin or '?'}.")
        size = int(total)
    elif start or stop is not None:
        raise ChangedError("the server sent the whole file where a part was asked for")
    etag = headers.get("etag", "")  # a weak one may stay while bytes change (RFC 9110, 13.1.5)
    return Answer(
        size=size,
        validator=etag if etag.startswith('"') else headers.get("last-modified"),
        ranges=response.status_code == 206 or headers.get("accept-ranges") == "bytes",
        chunks=iter(lambda: raw.read1(CHUNK, decode_content=False), b""),
        stop=raw.shutdown,
    )


def reason_of(error: Exception) -> str:
    """The innermost reason of a nested network error, on one line, without addresses' queries."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.partition("?")[0][:200]
