"""`mixzoo zoo download` parses, fetches several files, and says what it did or would do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.errors import IntegrityError, SourceError

WEIGHTS = b"some weights"
Mixzoo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def own(server: Any, write_benchmark: Callable[..., Path]) -> Path:
    """A benchmark with weights, a log and an archive on a web server."""
    manifest = write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{server.url}"', WEIGHTS)
    lock = manifest.with_name("own.lock.json")
    content = json.loads(lock.read_text())
    row = content["assets"][0]["row"]
    content["assets"] += [
        {"row": row, "kind": "log", "name": "w.log.json", "size": 3},
        {"row": row, "kind": "visualisation", "name": "w_vis.zip", "size": 3},
    ]
    lock.write_text(json.dumps(content))
    server.answers |= {
        "/w.pth": (200, {}, WEIGHTS),
        "/w.log.json": (200, {}, b"log"),
        "/w_vis.zip": (200, {}, b"zip"),
    }
    return manifest


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["w.pth"]),
        (["--logs"], ["w.log.json", "w.pth"]),
        (["--logs", "--viz"], ["w.log.json", "w.pth", "w_vis.zip"]),
    ],
)
def test_options_choose_the_kinds(
    mixzoo: Mixzoo, own: Path, options: list[str], names: list[str]
) -> None:
    """Weights always; logs and archives when asked for."""
    _, out, _ = mixzoo("zoo", "download", "own", "--manifest", own, "--json", *options)

    outcomes = json.loads(out)
    assert sorted(outcome["name"] for outcome in outcomes) == names
    assert all(Path(outcome["path"]).is_file() for outcome in outcomes)
    assert {outcome["done"] for outcome in outcomes} == {"fetched"}


def test_dry_run_tells_and_touches_nothing(mixzoo: Mixzoo, own: Path, server: Any) -> None:
    """No request, no file; size, place and source of each."""
    _, out, _ = mixzoo("zoo", "download", "own", "--manifest", own, "--dry-run", "--logs")

    assert "not downloaded, " in out
    assert f"from {server.url}/w.pth" in out
    assert "2 of 2 files to fetch, 15 bytes." in out
    assert server.requests == []


def test_one_bad_file_stops_no_other(mixzoo: Mixzoo, own: Path, server: Any) -> None:
    """The good ones arrive; the error comes when all are through."""
    server.answers["/w.pth"] = (200, {}, b"same weightz")

    code, out, _ = mixzoo("zoo", "download", "own", "--manifest", own, "--logs", "--viz")

    assert code == IntegrityError.exit_code
    assert out.count("fetched") == 2


def test_several_bad_files_are_one_line(mixzoo: Mixzoo, own: Path, server: Any) -> None:
    """How many, and the first of them."""
    server.answers.clear()

    code, _, error = mixzoo("zoo", "download", "own", "--manifest", own, "--logs")

    assert code == SourceError.exit_code
    assert error.startswith("error: 2 files failed, the first: ")
    assert error.count("\n") == 1


def test_offline_is_one_clear_line(
    mixzoo: Mixzoo, own: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here is used, what isn't names the variable that forbids it."""
    mixzoo("zoo", "download", "own", "--manifest", own)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = len(server.requests)

    code, out, error = mixzoo("zoo", "download", "own", "--manifest", own, "--logs")

    assert "already here" in out
    assert code == SourceError.exit_code
    assert "HF_HUB_OFFLINE forbids" in error
    assert len(server.requests) == before


def test_mirror_is_looked_at_first(mixzoo: Mixzoo, own: Path, server: Any) -> None:
    """Before the manifest's sources, which are still asked for what it hasn't."""
    server.answers["/mirror/w.pth?key=1"] = server.answers.pop("/w.pth")
    mirror = f"{server.url}/mirror/?key=1"

    code, _, err = mixzoo("zoo", "download", "own", "--manifest", own, "--logs", "--mirror", mirror)

    assert code == 0
    asked = {"/mirror/w.pth?key=1", "/mirror/w.log.json?key=1", "/w.log.json"}
    assert set(server.requests) == asked
    assert f"Going on with {server.url}/w.log.json." in err
    assert "key=1" not in err


@pytest.mark.parametrize("url", ["mirror.example", "ftp://me:secret@a/b", "https://", "/data"])
def test_mirror_that_is_no_web_address_is_one_line(mixzoo: Mixzoo, own: Path, url: str) -> None:
    """What it must be is said, and no password."""
    code, _, err = mixzoo("zoo", "download", "own", "--manifest", own, "--mirror", url)

    assert (code, err.count("\n")) == (2, 1)
    assert "expected the address of a folder" in err
    assert "secret" not in err
