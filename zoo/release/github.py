"""Asks the GitHub Releases API what a release holds.

The API's address is GITHUB_API_URL, a token GITHUB_TOKEN or GH_TOKEN: the names that GitHub's own
tools read. Nothing but the API's own host is ever asked, whatever a redirect or a `Link` header
says, so the token goes nowhere else. See docs.github.com/rest/releases.
"""

import math
import os
import re
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from ..errors import SourceError, UsageError
from ..lock import Time
from ..manifest import GitHubSource
from ..net.http import asked_wait, reason_of, server_time
from .listing import Listed

if TYPE_CHECKING:
    import requests

API = "https://api.github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
TIMEOUT = (10, 30)  # seconds to connect, and between two packets
RETRIES = 3  # of refused connections and of 5xx answers, after 0, 0.5 and 1 s
REDIRECTS = 5
PAGES = 50  # of 100 assets: GitHub allows 1,000 to a release, so more pages are a loop
T = TypeVar("T")


class _Release(msgspec.Struct):
    id: int


class _Asset(msgspec.Struct):
    name: str
    state: str  # `uploaded`, or `open` while the upload isn't finished
    size: int
    updated_at: Time
    digest: str | None = None  # `sha256:<hex>`; null for files from before June 2025


def release_files(source: GitHubSource) -> list[Listed]:
    """All files of a release, page by page.

    Raises SourceError in one line if GitHub can't be reached, refuses, or answers what isn't its
    API's; over the rate limit the line says when to try again. UsageError if the environment's
    address or token cannot be used.
    """
    origin = f"GitHub release {source.repository}@{source.tag}"
    base = _base()
    releases = f"{base}/repos/{source.repository}/releases"
    with closing(_session()) as session:
        answer = _get(session, f"{releases}/tags/{quote(source.tag, safe='')}", base)
        if answer.status_code == 404:
            raise SourceError(
                f"{origin}: GitHub has no such release. Check repository and tag in the manifest."
            )
        release = _read(answer, _Release)
        files: list[Listed] = []
        page = f"{releases}/{release.id}/assets?per_page=100"
        for _ in range(PAGES):
            answer = _get(session, page, base)
            files += [_listed(asset, release.id, origin) for asset in _read(answer, list[_Asset])]
            following = answer.links.get("next")
            if following is None:
                return files
            page = following["url"]
    raise SourceError(f"{origin}: its list of files has no end after {PAGES} pages. Try again.")


def _listed(asset: _Asset, release_id: int, origin: str) -> Listed:
    digest = re.fullmatch("sha256:([0-9a-f]{64})", asset.digest or "")
    return Listed(
        name=asset.name,
        origin=origin,
        size=asset.size,
        sha256=digest[1] if digest else None,
        finished=asset.state == "uploaded",
        release_id=release_id,
        updated_at=asset.updated_at,
    )


def _base() -> str:
    base = (os.environ.get("GITHUB_API_URL") or API).rstrip("/")
    if not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./-]*)?", base):
        raise UsageError(
            "GITHUB_API_URL: expected an address such as https://api.github.com, without a name "
            "or password. Correct it, or unset it."
        )
    return base


def _token() -> tuple[str, str] | None:
    """The environment's token and the variable it is from."""
    for variable in TOKENS:
        token = os.environ.get(variable, "").strip()
        if token and not re.fullmatch(r"[!-~]+", token):
            # the HTTP library would say so too, and print the token with it
            raise UsageError(f"{variable}: holds characters that no token has. Set it anew.")
        if token:
            return variable, token
    return None


def _session() -> "requests.Session":
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    from ... import __version__

    retry = Retry(
        RETRIES,
        status_forcelist=(500, 502, 503, 504),
        backoff_factor=0.25,
        raise_on_status=False,
        respect_retry_after_header=False,  # a user is told, instead of waiting up to an hour
    )
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.headers.update(
        {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": f"mixzoo/{__version__}",
        }
    )
    session.auth = _sign  # an `Authorization` header alone would lose to a ~/.netrc
    return session


def _sign(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    if token := _token():
        request.headers["Authorization"] = f"Bearer {token[1]}"
    return request


def _get(session: "requests.Session", url: str, base: str) -> "requests.Response":
    """One answer of the API's own host: 200, or 404 for the caller to explain."""
    import requests

    for _ in range(REDIRECTS + 1):
        try:
            url = urljoin(base, url)
            if _host(url) != _host(base):
                raise SourceError(
                    f"{base}: sends on to another host, {_host(url)}, which isn't asked. Check "
                    "GITHUB_API_URL."
                )
            answer = session.get(url, timeout=TIMEOUT, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:  # ValueError: not an address
            reason = reason_of(error)
            raise SourceError(f"{url}: {reason}. Try again, or check the network.") from None
        if not answer.is_redirect:
            break
        url = answer.headers["location"]  # a repository that was renamed
    else:
        raise SourceError(f"{base}: redirects more than {REDIRECTS} times. Check GITHUB_API_URL.")
    if answer.status_code not in {200, 404}:
        raise SourceError(_refusal(answer))
    return answer


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.casefold()}"


def _read(answer: "requests.Response", kind: type[T]) -> T:
    """The answer's JSON, checked for the fields that are used."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        got = answer.headers.get("content-type", "").partition(";")[0] or "an unnamed type"
        raise SourceError(
            f"{answer.url}: expected GitHub's JSON, got {got} that isn't ({error}). A proxy or "
            "login page may stand between; try again."
        ) from None


def _refusal(answer: "requests.Response") -> str:
    """One line on an answer that is neither the data nor a 404."""
    token = _token()
    status = f"HTTP {answer.status_code} {answer.reason}"
    if answer.status_code == 401 and token:
        return (
            f"{answer.url}: GitHub refuses the token in {token[0]} ({status}). Renew it or unset "
            "it; public releases need none."
        )
    when = _try_again(answer.headers, answer.status_code)
    if when is None:
        return f"{answer.url}: expected the release, got {status}. Try again later."
    hint = "" if token else f", or set {TOKENS[0]} for a higher limit"
    return f"{answer.url}: GitHub's rate limit is used up ({status}). Try again {when}{hint}."


def _try_again(headers: Any, status: int) -> str | None:
    """When a rate limit ends, in words; None if the answer is about no rate limit.

    Counted from the server's own clock, if it tells it: this machine's may be wrong.
    """
    if status not in {403, 429}:
        return None
    limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    wait = asked_wait(headers) if limited else None
    if wait is None:
        return "in a minute" if status == 429 else None
    ends = server_time(headers) + wait
    minutes = max(1, math.ceil(wait / 60))
    return f"in {minutes} min, at {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC"
