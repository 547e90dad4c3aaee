"""A hub mirror's folder is listed through huggingface_hub, with the hashes that LFS has."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.manifest import HuggingFaceSource
from mixzoo.zoo.release.listing import repository_files

SERVER = runpy.run_path(str(Path(__file__).parents[2] / "emulator" / "server.py"))
SOURCE = HuggingFaceSource(repository="owner/mirror", revision="v1", path="inat2018")
JSON = {"Content-Type": "application/json"}
SHA256 = "0b" * 32


def entry(path: str, size: int, sha256: str | None = None) -> dict[str, Any]:
    """One entry of the hub's tree endpoint."""
    lfs = {"lfs": {"oid": sha256, "size": size, "pointerSize": 134}} if sha256 else {}
    return {"type": "file", "oid": "c" * 40, "size": size, "path": path} | lfs


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server whose `pages` are what the tree endpoint answers."""
    with SERVER["emulate"]() as emulator:
        monkeypatch.setenv("HF_ENDPOINT", emulator.front.url)
        monkeypatch.setenv("HF_TOKEN", "hf_notreal")
        emulator.pages = []

        def tree(request: Any) -> Any:
            if request.path != "/api/models/owner/mirror/tree/v1/inat2018":
                return None
            number = int(request.query.get("cursor", 0))
            headers = dict(JSON)
            if number + 1 < len(emulator.pages):
                url = f"{emulator.front.url}{request.path}?cursor={number + 1}"
                headers["Link"] = f'<{url}>; rel="next"'
            return SERVER["Reply"](200, headers, json.dumps(emulator.pages[number]).encode())

        emulator.handlers.append(tree)
        yield emulator


def test_files_are_listed_with_size_and_lfs_hash(hub: Any) -> None:
    """Names without the folder; a small file that isn't in LFS has no hash; folders don't count."""
    folder = {"type": "directory", "oid": "d" * 40, "size": 0, "path": "inat2018/old"}
    hub.pages = [
        [entry("inat2018/a.pth", 5, SHA256), folder],
        [entry("inat2018/a.log", 3)],
    ]

    files = repository_files(SOURCE)

    assert [(f.name, f.size, f.sha256) for f in files] == [("a.pth", 5, SHA256), ("a.log", 3, None)]
    assert {f.release_id for f in files} == {None}
    asked = [request for request in hub.front.requests if "/tree/" in request.path]
    assert [request.headers["authorization"] for request in asked] == ["Bearer hf_notreal"] * 2


def test_housekeeping_of_a_repository_is_no_asset(hub: Any) -> None:
    """README.md and .gitattributes at the top of every repository are passed over."""
    hub.handlers.insert(
        0,
        lambda _: SERVER["Reply"](
            200, JSON, json.dumps([entry("README.md", 9), entry(".gitattributes", 9)]).encode()
        ),
    )

    assert repository_files(HuggingFaceSource(repository="owner/mirror")) == []


REFUSALS = {
    "no repository": (404, {"X-Error-Code": "RepoNotFound"}, b"{}", "RepositoryNotFoundError"),
    "no revision": (404, {"X-Error-Code": "RevisionNotFound"}, b"{}", "RevisionNotFoundError"),
    "web page": (200, {"Content-Type": "text/html"}, b"<html>", "JSONDecodeError"),
    "not a tree": (200, JSON, b'[{"name": "a"}]', "KeyError"),
}


@pytest.mark.parametrize(("status", "headers", "body", "said"), REFUSALS.values(), ids=REFUSALS)
def test_refusal_is_one_line(
    hub: Any, status: int, headers: dict[str, str], body: bytes, said: str
) -> None:
    """What goes wrong names repository and revision, and never the token."""
    hub.handlers.insert(0, lambda _: SERVER["Reply"](status, headers, body))

    with pytest.raises(SourceError) as caught:
        repository_files(SOURCE)

    assert str(caught.value).startswith(f"hub repository owner/mirror@v1: {said}")
    assert "\n" not in str(caught.value)
    assert "hf_notreal" not in str(caught.value)
