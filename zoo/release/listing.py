"""Asks a source what it holds: the GitHub Releases API, or the Hugging Face hub or a mirror of it.

GitHub's address is GITHUB_API_URL, a token GITHUB_TOKEN or GH_TOKEN: the names that GitHub's own
tools read; the token goes to the API's own host alone. See docs.github.com/rest/releases.
HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are huggingface_hub's to honour.
"""

import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin

import msgspec

from ..errors import SourceError, UsageError
from ..lock import Time
from ..manifest import GitHubSource, HuggingFaceSource
from ..net.http import (
    asked_wait,
    follow,
    github_api,
    github_token,
    new_session,
    reason_of,
    server_time,
)

if TYPE_CHECKING:
    import requests

RETRIES = 3  # of refused connections and of 5xx answers, after 0, 0.5 and 1 s
PAGES = 50  # of 100 assets: GitHub allows 1,000 to a release, so more pages are a loop
HOUSEKEEPING = frozenset({".gitattributes", "README.md"})  # every repository of the hub has them
T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """A file as one source lists it.

    origin: the source in words. size: bytes. sha256: as published, None if it isn't.
    finished: False while its upload goes on. release_id, updated_at: GitHub's, else None.
    """

    name: str
    origin: str
    size: int
    sha256: str | None = None
    finished: bool = True
    release_id: int | None = None
    updated_at: str | None = None


class _Release(msgspec.Struct):
    id: int


class _Asset(msgspec.Struct):
    name: str
    state: str  # `uploaded`, or `open` while the upload isn't finished
    size: int
    updated_at: Time
    digest: str | None = None  # `sha256:<hex>`; null for files from before June 2025


def release_files(source: GitHubSource) -> list[Listed]:
    """All files of a GitHub release, page by page.

    Raises SourceError in one line if GitHub can't be reached, refuses, or answers what isn't its
    API's; over the rate limit the line says when to try again. UsageError if the environment's
    address or token cannot be used.
    """
    origin = f"GitHub release {source.repository}@{source.tag}"
    base = github_api()
    if not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./-]*)?", base):
        raise UsageError(
            "GITHUB_API_URL: expected an address such as https://api.github.com, without a name "
            "or password. Correct it, or unset it."
        )
    releases = f"{base}/repos/{source.repository}/releases"
    with new_session(retries=RETRIES) as session:
        answer = _get(session, f"{releases}/tags/{quote(source.tag, safe='')}")
        if answer.status_code == 404:
            raise SourceError(
                f"{origin}: GitHub has no such release. Check repository and tag in the manifest."
            )
        release = _read(answer, _Release)
        files: list[Listed] = []
        page = f"{releases}/{release.id}/assets?per_page=100"
        for _ in range(PAGES):
            answer = _get(session, page)
            files += [_listed(asset, release.id, origin) for asset in _read(answer, list[_Asset])]
            following = answer.links.get("next")
            if following is None:
                return files
            page = urljoin(page, following["url"])
    raise SourceError(f"{origin}: its list of files has no end after {PAGES} pages. Try again.")


def repository_files(source: HuggingFaceSource) -> list[Listed]:
    """The files of the source's folder at its revision; those stored by LFS with their sha256.

    Raises SourceError in one line if the hub can't be reached, refuses, or has no such place.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (  # of httpx or httpx2, whichever its version uses
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )
    from huggingface_hub.hf_api import RepoFile

    origin = f"hub repository {source.repository}@{source.revision}"
    # the library reads HF_ENDPOINT once, when it is imported
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="mixzoo")
    folder = source.path.strip("/") or None
    try:
        entries = list(api.list_repo_tree(source.repository, folder, revision=source.revision))
    # not the hub's JSON, its refusals, no network, offline: each of its own family
    except (HTTPError, OSError, ValueError, TypeError, KeyError) as error:
        line = next((line for line in str(error).splitlines() if line.strip()), "").strip()
        raise SourceError(
            f"{origin}: {type(error).__name__}: {line.rstrip('.')}. Check repository, revision and "
            "network."
        ) from None
    return [
        Listed(
            name=PurePosixPath(file.path).name,
            origin=origin,
            size=file.size,
            sha256=file.lfs.sha256 if file.lfs else None,
        )
        for file in entries
        if isinstance(file, RepoFile) and file.path not in HOUSEKEEPING
    ]


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


def _get(session: "requests.Session", url: str) -> "requests.Response":
    """One answer of the API: 200, or 404 for the caller to explain."""
    import requests

    from ... import __version__

    headers = {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": f"mixzoo/{__version__}",
    }
    try:
        with follow(session, url, headers) as answer:
            _ = answer.content  # read as long as the connection is open
    except (requests.RequestException, ValueError) as error:  # ValueError: not an address
        raise SourceError(f"{url}: {reason_of(error)}. Try again, or check the network.") from None
    if answer.status_code not in {200, 404}:
        raise SourceError(_refusal(answer))
    return answer


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
    token = github_token()
    status = f"HTTP {answer.status_code} {answer.reason}"
    if answer.status_code == 401 and token:
        return (
            f"{answer.url}: GitHub refuses the token in {token[0]} ({status}). Renew it or unset "
            "it; public releases need none."
        )
    when = _try_again(answer.headers, answer.status_code)
    if when is None:
        return f"{answer.url}: expected the release, got {status}. Try again later."
    hint = "" if token else ", or set GITHUB_TOKEN for a higher limit"
    return f"{answer.url}: GitHub's rate limit is used up ({status}). Try again {when}{hint}."


def _try_again(headers: Any, status: int) -> str | None:
    """When a rate limit ends, in words; None if the answer is about no rate limit."""
    if status not in {403, 429}:
        return None
    limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    wait = asked_wait(headers) if limited else None
    if wait is None:
        return "in a minute" if status == 429 else None
    ends = datetime.fromtimestamp(server_time(headers) + wait, UTC)
    return f"in {max(1, math.ceil(wait / 60))} min, at {ends:%Y-%m-%d %H:%M} UTC"
