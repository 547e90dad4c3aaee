"""Asks a source what it holds: the GitHub Releases API, or the Hugging Face hub or a mirror of it.

Both speak JSON in pages that link to the next. GitHub's address is GITHUB_API_URL, a token
GITHUB_TOKEN or GH_TOKEN (docs.github.com/rest/releases), the hub's HF_ENDPOINT and HF_TOKEN
(huggingface.co/docs/hub/api): the names that their own tools read. A token goes to its own host.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urljoin

import msgspec

from ..errors import SourceError, UsageError, wall
from ..lock import Time
from ..manifest import Count, GitHubSource, HuggingFaceSource
from ..net.hosts import github_api, github_token, hub_endpoint, hub_token, shown
from ..net.http import asked_wait, new_session, read_whole, server_time, status_of

if TYPE_CHECKING:
    import requests

RETRIES = 3  # of refused connections and of 5xx answers, after 0, 0.5 and 1 s
PAGES = 50  # of 100 files: GitHub allows 1,000 to a release, so more pages are a loop
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
    id: Count


class _Asset(msgspec.Struct):
    name: str
    state: str  # `uploaded`, or `open` while the upload isn't finished
    size: Count
    updated_at: Time
    digest: str | None = None  # `sha256:<hex>`; null for files from before June 2025


class _Large(msgspec.Struct):
    oid: str  # sha256


class _Entry(msgspec.Struct):
    type: str  # `file` or `directory`
    path: str
    size: Count = 0
    lfs: _Large | None = None


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
    gone = f"{origin}: GitHub has no such release. Check repository and tag in the manifest."
    with new_session(retries=RETRIES) as session:
        tag = quote(source.tag, safe="")
        _, release = _get(session, f"{releases}/tags/{tag}", _Release, gone)
        first = f"{releases}/{release.id}/assets?per_page=100"
        return [
            Listed(
                name=one.name,
                origin=origin,
                size=one.size,
                sha256=_sha256(one.digest),
                finished=one.state == "uploaded",
                release_id=release.id,
                updated_at=one.updated_at,
            )
            for one in _pages(session, first, _Asset, origin)
        ]


def repository_files(source: HuggingFaceSource) -> list[Listed]:
    """The files of the source's folder at its revision; those stored by LFS with their sha256.

    Raises SourceError in one line if the hub can't be reached, refuses, or has no such place;
    UsageError if the environment's token cannot be used.
    """
    origin = f"hub repository {source.repository}@{source.revision}"
    base = f"{hub_endpoint()}/api/models/{source.repository}/tree"
    place = "/".join([quote(source.revision, safe=""), quote(source.path.strip("/"))]).rstrip("/")
    with new_session(retries=RETRIES) as session:
        entries = _pages(session, f"{base}/{place}?recursive=false&expand=false", _Entry, origin)
    return [
        Listed(PurePosixPath(one.path).name, origin, one.size, _sha256(one.lfs and one.lfs.oid))
        for one in entries
        if one.type == "file" and one.path not in HOUSEKEEPING
    ]


def _sha256(said: str | None) -> str | None:
    """A hash as a service writes it; None for one of another algorithm."""
    found = re.fullmatch("(?:sha256:)?([0-9a-f]{64})", said or "")
    return found[1] if found else None


def _pages(session: "requests.Session", page: str, kind: type[T], origin: str) -> list[T]:
    """All entries of a list, page by page."""
    gone = (
        f"{origin}: no such repository, revision or folder. Check the manifest; a private one "
        "needs a token."
    )
    found: list[T] = []
    for _ in range(PAGES):
        answer, entries = _get(session, page, list[kind], gone)
        found += entries
        with wall(SourceError, origin, "Try again later."):  # links that are no addresses
            following = answer.links.get("next")
            if following is None:
                return found
            page = urljoin(page, following["url"])
    raise SourceError(f"{origin}: its list of files has no end after {PAGES} pages. Try again.")


def _get(
    session: "requests.Session", url: str, kind: type[T], gone: str
) -> tuple["requests.Response", T]:
    """One answer of an API and its JSON, checked for the fields that are used. gone: of a 404."""
    from ... import __version__

    headers = {"User-Agent": f"mixzoo/{__version__}"}
    if url.startswith(github_api()):
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    answer, body = read_whole(session, url, headers)
    if answer.status_code != 200:
        raise SourceError(gone if answer.status_code == 404 else _refusal(answer))
    got = answer.headers.get("content-type", "").partition(";")[0] or "an unnamed type"
    where = f"{shown(answer.url)}: expected the API's JSON, got {got}"
    with wall(SourceError, where, "A proxy or login page may stand between; try again."):
        return answer, msgspec.json.decode(body, type=kind)


def _refusal(answer: "requests.Response") -> str:
    """One line on an answer that is neither the data nor a 404."""
    github, status, headers = (
        answer.url.startswith(github_api()),
        answer.status_code,
        answer.headers,
    )
    if github:
        variable, token = github_token() or ("GITHUB_TOKEN", None)
    else:
        variable, token = "HF_TOKEN", hub_token()
    service = "GitHub" if github else "the hub"
    got = f"{shown(answer.url)}: got {status_of(answer)}"
    if status == 401 and token:
        return (
            f"{got}: {service} refuses the token in {variable}. Renew it or unset it; what is "
            "public needs none."
        )
    if status in {401, 403} and not github:
        return f"{got}: no such repository, or a private one. Check the manifest, or set HF_TOKEN."
    limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    wait = asked_wait(headers) if limited else None
    if status != 429 and (status != 403 or wait is None):
        return f"{got}, expected a list of files. Try again later."
    when = "in a minute"
    if wait is not None:
        ends = datetime.fromtimestamp(server_time(headers) + wait, UTC)
        when = f"in {max(1, math.ceil(wait / 60))} min, at {ends:%Y-%m-%d %H:%M} UTC"
    hint = "" if token else f", or set {variable} for a higher limit"
    return f"{got}: {service}'s rate limit is used up. Try again {when}{hint}."
