"""What a release or a hub repository holds is read to its last page; each refusal is one line."""

import json
import logging
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mixzoo.zoo.errors import SourceError, UsageError
from mixzoo.zoo.manifest import GitHubSource, HuggingFaceSource
from mixzoo.zoo.release.listing import release_files, repository_files

from ...emulator.github import GitHub
from ...emulator.server import Emulator, Reply, Request

SOURCE = GitHubSource(repository="owner/zoo", tag="weights/v1")
SECRET = "ghp_notarealtoken0123456789"
Answer = tuple[int, dict[str, str], bytes]
MIRROR = HuggingFaceSource(repository="owner/mirror", revision="v1", path="inat2018")
JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture
def github(github: GitHub) -> GitHub:
    """With one release of three files."""
    release = github.release("owner/zoo", "weights/v1")
    for name in ("a.pth", "b.pth", "c.log"):
        github.upload(release, name, name.encode())
    return github


def one_line() -> str:
    with pytest.raises(SourceError) as caught:
        release_files(SOURCE)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_assets_carry_what_the_lock_needs(github: GitHub) -> None:
    """Name, size, release and time of change; no hash where GitHub has none."""
    first = release_files(SOURCE)[0]

    assert (first.name, first.size, first.sha256) == ("a.pth", 5, None)
    assert first.release_id == github.releases[0].id
    assert first.updated_at == "2022-08-22T03:11:22Z"
    assert first.finished


def test_published_digest_is_taken(github: GitHub) -> None:
    """`sha256:<hex>` is a hash; another algorithm, or an upload going on, isn't."""
    github.upload(github.releases[0], "d.pth", b"d", digest=f"sha256:{'0a' * 32}")
    github.upload(github.releases[0], "e.pth", b"e", digest="sha512:" + "0" * 128, state="open")

    _, _, _, d, e = release_files(SOURCE)

    assert (d.sha256, d.finished) == ("0a" * 32, True)
    assert (e.sha256, e.finished) == (None, False)


def test_every_page_is_read(github: GitHub) -> None:
    """230 files on pages of at most 100 arrive in order, each once."""
    for number in range(227):
        github.upload(github.releases[0], f"n{number:03}.pth", b"x")

    names = [file.name for file in release_files(SOURCE)]

    assert names == ["a.pth", "b.pth", "c.log", *(f"n{number:03}.pth" for number in range(227))]
    assert len(github.emulator.front.requests) == 1 + 3


def test_renamed_repository_is_followed(github: GitHub) -> None:
    """GitHub's 301 on its own host leads to the new name."""
    github.moved = {"owner/old": "owner/zoo"}

    files = release_files(GitHubSource(repository="owner/old", tag="weights/v1"))

    assert len(files) == 3


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_token_goes_with_every_request_to_the_api(
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    variable: str,
) -> None:
    """Also with a line end around it, and before ~/.netrc; in no library's log, at no level."""
    monkeypatch.setenv(variable, f"{SECRET}\n")
    github.tokens = {SECRET}
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    with caplog.at_level(logging.DEBUG):
        release_files(SOURCE)

    sent = [request.headers.get("authorization") for request in github.emulator.front.requests]
    assert sent == [f"Bearer {SECRET}"] * 2
    assert caplog.records
    assert SECRET not in caplog.text


@pytest.mark.parametrize("way", ["redirect", "link"])
def test_token_is_never_sent_to_another_host(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Wherever a redirect or a `Link` header leads."""
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    github.tokens = {SECRET}
    elsewhere = github.emulator.store.url + "/repos/owner/zoo/releases/tags/weights%2Fv1"
    link = {"Link": f'<{elsewhere}>; rel="next"'} | JSON
    github.answers = {
        "redirect": [(302, {"Location": elsewhere}, b"")],
        "link": [(200, JSON, b'{"id": 1}'), (200, link, b"[]"), (200, JSON, b"[]")],
    }[way]

    release_files(SOURCE)

    sent = [request.headers.get("authorization") for request in github.emulator.store.requests]
    assert sent == [None]


def test_refused_token_is_named_by_its_variable(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 says which variable to renew or unset, and not what is in it."""
    monkeypatch.setenv("GH_TOKEN", SECRET)

    message = one_line()

    assert "got HTTP 401 Unauthorized: GitHub refuses the token in GH_TOKEN" in message


@pytest.mark.parametrize("url", ["api.github.com", "ftp://x", "https://me:secret@host/api"])
def test_unusable_api_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """GITHUB_API_URL has to be a plain web address, and a password in it isn't printed."""
    monkeypatch.setenv("GITHUB_API_URL", url)

    with pytest.raises(UsageError, match="GITHUB_API_URL") as caught:
        release_files(SOURCE)

    assert "secret" not in str(caught.value)


def test_used_up_limit_says_when_to_try_again(github: GitHub) -> None:
    """The reset time becomes minutes and a clock time, with the way to a higher limit."""
    github.remaining = 0
    github.reset = int(time.time()) + 23 * 60 - 1

    message = one_line()

    clock = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(github.reset))
    assert f"Try again in 23 min, at {clock}, or set GITHUB_TOKEN" in message
    assert len(github.emulator.front.requests) == 1


def test_limit_is_counted_on_the_servers_clock(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong clock here doesn't change how many minutes are left there."""
    github.remaining = 0
    github.reset = int(time.time()) + 23 * 60 - 1
    wrong = SimpleNamespace(**vars(time) | {"time": lambda: 0.0})
    monkeypatch.setattr("mixzoo.zoo.net.http.time", wrong)

    assert "in 23 min" in one_line()


def test_unknown_release_is_named(github: GitHub) -> None:
    """404 says which repository and tag to check."""
    with pytest.raises(SourceError, match="owner/zoo@weights/v2: GitHub has no such release"):
        release_files(GitHubSource(repository="owner/zoo", tag="weights/v2"))


def test_burst_of_bad_gateways_is_outlasted(github: GitHub) -> None:
    """Three 502 in a row are tried again; the answer after them counts."""
    github.answers = [(502, {}, b"bad gateway")] * 3

    assert len(release_files(SOURCE)) == 3


RELEASE = json.dumps({"id": 7, "assets": []}).encode()
LINK = {"Link": '</repos/owner/zoo/releases/7/assets>; rel="next"'} | JSON
CUT = JSON | {"Content-Length": str(len(RELEASE)), "Connection": "close"}
LIMIT = "got HTTP 429 Too Many Requests: GitHub's rate limit is used up. Try again "
ANSWERS: dict[str, tuple[list[Answer], str]] = {
    "429 with seconds": ([(429, {"Retry-After": "90"}, b"")], LIMIT + "in 2 min, at "),
    "429 with a date": (
        [(429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b"")],
        "at 2100-01-01 00:00 UTC",
    ),
    "429 alone": ([(429, {}, b"")], LIMIT + "in a minute"),
    "403 that is no limit": ([(403, JSON, b"{}")], "HTTP 403 Forbidden, expected a list of files"),
    "lasting bad gateway": ([(502, {}, b"bad gateway")] * 4, "HTTP 502 Bad Gateway"),
    "web page": ([(200, {"Content-Type": "text/html"}, b"<html>")], "got text/html"),
    "truncated JSON": ([(200, JSON, RELEASE[:-5])], "expected the API's JSON"),
    "truncated body": ([(200, CUT, RELEASE[:-5])] * 4, "IncompleteRead"),
    "nothing": ([(200, JSON, b"")], "expected the API's JSON"),
    "other JSON": ([(200, JSON, b'{"message": "hi"}')], "missing required field `id`"),
    "not UTF-8": ([(200, JSON, b'{"id": "\xff"}')], "expected the API's JSON"),
    "pages in a circle": ([(200, JSON, RELEASE)] + [(200, LINK, b"[]")] * 60, "no end after 50"),
    "redirect to no address": (
        [(302, {"Location": "http://[x"}, b"")],
        "an address, a proxy or a header that cannot be used",
    ),
    "redirect loop": ([(302, {"Location": "/repos/a"}, b"")] * 10, "more than 6 redirects"),
}


@pytest.mark.parametrize(("answers", "said"), ANSWERS.values(), ids=ANSWERS)
def test_refusals_and_strange_answers_are_one_line(
    github: GitHub, answers: list[Answer], said: str
) -> None:
    """Told for what they are; only 5xx and a broken connection are asked again."""
    github.answers = list(answers)

    assert said in one_line()


def test_asset_without_a_time_is_not_taken(github: GitHub) -> None:
    """A field of another form is named, not written to a lock."""
    github.upload(github.releases[0], "d.pth", b"d", updated="yesterday")

    assert "updated_at" in one_line()


def test_api_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection names the address and what to do."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("GITHUB_API_URL", url)

        with pytest.raises(SourceError, match=r"refused.*Try again, or check the network"):
            release_files(SOURCE)


SHA256 = "0b" * 32


def entry(path: str, size: int, sha256: str | None = None) -> dict[str, Any]:
    """One entry of the hub's tree endpoint."""
    lfs = {"lfs": {"oid": sha256, "size": size, "pointerSize": 134}} if sha256 else {}
    return {"type": "file", "oid": "c" * 40, "size": size, "path": path} | lfs


@pytest.fixture
def hub(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[Reply]:
    """What a hub answers to the requests for a folder's files, one after the other."""
    monkeypatch.setenv("HF_ENDPOINT", emulator.front.url)
    monkeypatch.setenv("HF_TOKEN", "hf_notreal")
    replies: list[Reply] = []

    def tree(request: Request) -> Reply | None:
        return replies.pop(0) if "/api/models/owner/mirror/tree/" in request.path else None

    emulator.handlers.append(tree)
    return replies


def test_hub_files_are_listed_with_size_and_lfs_hash(emulator: Emulator, hub: list[Reply]) -> None:
    """Names without the folder; a small file that isn't in LFS has no hash; folders don't count."""
    tree = "/api/models/owner/mirror/tree/v1/inat2018"
    folder = {"type": "directory", "oid": "d" * 40, "size": 0, "path": "inat2018/old"}
    pages = [[entry("inat2018/a.pth", 5, SHA256), folder], [entry("inat2018/a.log", 3)]]
    link = {"Link": f'<{emulator.front.url}{tree}?cursor=1>; rel="next"'}
    hub += [Reply(200, JSON | link, json.dumps(pages[0]).encode())]
    hub += [Reply(200, JSON, json.dumps(pages[1]).encode())]

    files = repository_files(MIRROR)

    assert [(f.name, f.size, f.sha256) for f in files] == [("a.pth", 5, SHA256), ("a.log", 3, None)]
    assert {f.release_id for f in files} == {None}
    asked = [request for request in emulator.front.requests if request.path == tree]
    assert [request.headers["authorization"] for request in asked] == ["Bearer hf_notreal"] * 2


def test_housekeeping_of_a_repository_is_no_asset(hub: list[Reply]) -> None:
    """README.md and .gitattributes at the top of every repository are passed over."""
    entries = [entry("README.md", 9), entry(".gitattributes", 9)]
    hub += [Reply(200, JSON, json.dumps(entries).encode())]

    assert repository_files(HuggingFaceSource(repository="owner/mirror")) == []


REFUSALS = {
    "no repository": (404, {"X-Error-Code": "RepoNotFound"}, b"{}", "no such repository"),
    "wrong token": (401, JSON, b"{}", "the hub refuses the token in HF_TOKEN"),
    "private": (403, JSON, b"{}", "no such repository, or a private one"),
    "web page": (200, {"Content-Type": "text/html"}, b"<html>", "got text/html"),
    "not a tree": (200, JSON, b'[{"name": "a"}]', "missing required field `type`"),
}


@pytest.mark.parametrize(("status", "headers", "body", "said"), REFUSALS.values(), ids=REFUSALS)
def test_hubs_refusal_is_one_line(
    hub: list[Reply], status: int, headers: dict[str, str], body: bytes, said: str
) -> None:
    """What goes wrong is said for what it is, and never the token."""
    hub += [Reply(status, headers, body)] * 9

    with pytest.raises(SourceError) as caught:
        repository_files(MIRROR)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hf_notreal" not in str(caught.value)
