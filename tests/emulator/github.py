"""The GitHub Releases API for `emulator.handlers`: fields, headers and refusals as GitHub's.

A release's files are served by the emulator itself, at GitHub's own download paths, so the front
stands for api.github.com and github.com at once and the store for the host of the signed URLs.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from .server import Emulator, Reply, Request

UPDATED = "2022-08-22T03:11:22Z"


@dataclass
class Release:
    """One release. assets: as the API lists them."""

    id: int
    repository: str
    tag: str
    assets: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class GitHub:
    """The API.

    emulator: of tests/emulator/server.py. digests: publish the hash of files added from now on. tokens: those that are good; a wrong one is refused with 401.
    remaining: requests left, None for no end. reset: when there are more, seconds since 1970.
    most: assets on one page at most. answers: whole answers (status, headers, body) that come
    first, one a request. moved: old -> new repository name.
    """

    emulator: Emulator
    digests: bool = False
    tokens: set[str] = field(default_factory=set)
    remaining: int | None = None
    reset: int = 0
    most: int = 100
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.emulator.handlers.append(self.handle)

    def release(self, repository: str, tag: str) -> Release:
        """Create a release."""
        self.releases.append(Release(71_000_000 + len(self.releases), repository, tag))
        return self.releases[-1]

    def upload(
        self, release: Release, name: str, content: bytes, *, updated: str = UPDATED, **facts: Any
    ) -> dict[str, Any]:
        """Add a file to a release, or replace that of the same name; facts overwrite fields."""
        release.assets = [asset for asset in release.assets if asset["name"] != name]
        path = f"/{release.repository}/releases/download/{release.tag}/{name}"
        self.emulator.files[path] = content
        number = 75_000_000 + sum(len(r.assets) for r in self.releases) + len(content)
        base = f"{self.emulator.front.url}/repos/{release.repository}/releases"
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if self.digests else None
        asset = {
            "url": f"{base}/assets/{number}",
            "id": number,
            "node_id": f"RA_{number}",
            "name": name,
            "label": "",
            "uploader": {"login": "someone", "id": 1, "type": "User"},
            "content_type": "application/octet-stream",
            "state": "uploaded",
            "size": len(content),
            "digest": digest,
            "download_count": 3,
            "created_at": UPDATED,
            "updated_at": updated,
            "browser_download_url": f"{self.emulator.front.url}{path}",
        } | facts
        release.assets.append(asset)
        return asset

    def handle(self, request: Request) -> Reply | None:
        """Answer a request to the API; None leaves it to the files."""
        if not re.match(r"/(repos|repositories)/", request.path):
            return None
        if self.answers:
            return Reply(*self.answers.pop(0))
        return self._refuse(request) or self._route(request)

    def _refuse(self, request: Request) -> Reply | None:
        authorization = request.headers.get("authorization")
        if authorization and authorization.removeprefix("Bearer ") not in self.tokens:
            return self._json(401, {"message": "Bad credentials", "status": "401"})
        if self.remaining == 0:
            text = "API rate limit exceeded for 127.0.0.1."
            return self._json(
                403, {"message": text, "documentation_url": "https://docs.github.com"}
            )
        if self.remaining is not None:
            self.remaining -= 1
        return None

    def _route(self, request: Request) -> Reply:
        for old, new in self.moved.items():
            if request.path.startswith(f"/repos/{old}/"):
                target = request.path.replace(f"/repos/{old}/", f"/repos/{new}/", 1)
                return self._json(301, {"message": "Moved"}, Location=target)
        found = re.fullmatch(
            r"/repos/([^/]+/[^/]+)/releases/(tags/(.+)|(\d+)/assets)", request.path
        )
        for release in self.releases if found else ():
            assert found is not None
            if release.repository == found[1] and found[3] == release.tag:
                return self._json(200, self._release(release))
            if release.repository == found[1] and found[4] == str(release.id):
                return self._page(release, request)
        return self._json(404, {"message": "Not Found", "status": "404"})

    def _release(self, release: Release) -> dict[str, Any]:
        base = f"{self.emulator.front.url}/repos/{release.repository}/releases"
        return {
            "url": f"{base}/{release.id}",
            "assets_url": f"{base}/{release.id}/assets",
            "id": release.id,
            "tag_name": release.tag,
            "name": release.tag,
            "draft": False,
            "prerelease": False,
            "created_at": UPDATED,
            "published_at": UPDATED,
            "assets": release.assets[:30],
            "body": "weights, logs, and zip files",
        }

    def _page(self, release: Release, request: Request) -> Reply:
        size = min(int(request.query.get("per_page", 30)), self.most)
        number = int(request.query.get("page", 1))
        last = max(1, -(-len(release.assets) // size))
        base = f"{self.emulator.front.url}{request.path}?per_page={size}"
        links = []
        if number > 1:
            links += [f'<{base}&page={number - 1}>; rel="prev"', f'<{base}&page=1>; rel="first"']
        if number < last:
            links += [
                f'<{base}&page={number + 1}>; rel="next"',
                f'<{base}&page={last}>; rel="last"',
            ]
        headers = {"Link": ", ".join(links)} if links else {}
        return self._json(200, release.assets[(number - 1) * size : number * size], **headers)

    def _json(self, status: int, content: Any, **headers: str) -> Reply:
        limits = {
            "Content-Type": "application/json; charset=utf-8",
            "X-RateLimit-Limit": "5000" if self.tokens else "60",
            "X-RateLimit-Remaining": str(60 if self.remaining is None else self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Resource": "core",
        }
        return Reply(status, limits | headers, json.dumps(content).encode())
