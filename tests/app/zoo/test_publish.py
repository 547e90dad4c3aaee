"""`mixzoo zoo publish`: a dry run builds and tells, an upload arrives, refusals are one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from huggingface_hub import constants
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.net.fetch import fetch

from ...emulator.hub_upload import Hub
from ...mini_rows import MIXUP as ROW

# The library's LFS transfer uses its HTTP client in a way that the client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "jane/models"


@pytest.fixture
def run(
    mixzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Publishes ROW from tmp_path, where no token is stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    return lambda *arguments: mixzoo("zoo", "publish", ROW, "--repo", REPO, *arguments)


def test_a_dry_run_needs_no_network_and_no_token(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is built under the repository's name, its files are listed, nothing is sent."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")

    _, printed, _ = run("--dry-run")

    assert {"README.md", "mixzoo.toml"} <= {path.name for path in (tmp_path / "models").iterdir()}
    for part in (f"{ROW}.safetensors", "No --report", "nothing was uploaded"):
        assert part in printed


def test_what_was_uploaded_is_a_source_for_a_stranger(run, hub_server: Hub, tmp_path: Path) -> None:
    """Manifest and lock from the hub are enough to fetch the weights from it, verified."""
    _, printed, _ = run("--license", "apache-2.0", "--folder", tmp_path / "mine")

    assert f"{hub_server.url}/{REPO}" in printed
    for name in ("mixzoo.toml", "mixzoo.lock.json"):
        answer = requests.get(f"{hub_server.url}/{REPO}/resolve/main/{name}", timeout=10)
        (tmp_path / name).write_bytes(answer.content)
    benchmark, row = open_catalog([tmp_path / "mixzoo.toml"]).row(
        ROW.replace("_mini", "_jane_models")
    )
    path = fetch(benchmark, benchmark.asset(row.id))
    assert path.read_bytes() == (tmp_path / "mine" / f"{ROW}.safetensors").read_bytes()
    assert load_file(path).num_classes == 40


def test_json_is_for_programs(run, hub_server: Hub) -> None:
    """Files, models, notes and the commit."""
    facts = json.loads(run("--json")[1])

    assert facts["uploaded"]
    assert facts["url"] == f"{hub_server.url}/{REPO}"
    assert {file["path"] for file in facts["files"]} == hub_server.repos[REPO].files.keys()
    [model] = facts["models"]
    assert (model["row"], model["released"], model["top1"]) == (ROW, True, None)


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [((), 4, "set HF_TOKEN"), (("--repo", "models"), 2, "expected OWNER/NAME")],
)
def test_what_is_lacking_is_told_before_anything_is_built(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, expected: int, message: str
) -> None:
    """A token, and before that a name."""
    monkeypatch.delenv("HF_TOKEN", raising=False)

    code, _, err = run(*arguments)

    assert code == expected
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_refused_upload_leaves_the_folder(run, hub_server: Hub, tmp_path: Path) -> None:
    """After 403 the built folder is still there, to be uploaded with another token."""
    hub_server.faults["create"] = [403]

    code, _, err = run()

    assert code == 4
    assert "may not write there" in err
    assert (tmp_path / "models" / "README.md").is_file()
