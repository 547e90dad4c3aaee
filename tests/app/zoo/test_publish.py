"""`mixzoo zoo publish`: a dry run builds and tells, an upload arrives, refusals are one line."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from huggingface_hub import constants
from mixzoo.app.zoo.publish import command
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.errors import SourceError, UsageError
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.shelf import weights_of

# The library's LFS transfer uses its HTTP client in a way that the client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROW = "resnet18_w6.mixup_mini"
REPO = "jane/models"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "MIXZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A hub on loopback that HF_ENDPOINT and HF_TOKEN lead to."""
    path = Path(__file__).parents[2] / "emulator" / "hub_upload.py"
    spec = importlib.util.spec_from_file_location("hub_upload", path)
    emulator = importlib.util.module_from_spec(spec)
    sys.modules["hub_upload"] = emulator  # dataclasses look their module up
    spec.loader.exec_module(emulator)
    # Xet is a binary protocol of the hub's own storage; without it the same files go by LFS.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", emulator.TOKEN)
    with emulator.running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def run(*arguments: object) -> str:
    words = [ROW, "--repo", REPO, *map(str, arguments)]
    result = CliRunner().invoke(command, words, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_a_dry_run_needs_no_network_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is built under the repository's name, its files are listed, nothing is sent."""
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")

    printed = run("--dry-run")

    assert {"README.md", "mixzoo.toml"} <= {path.name for path in (tmp_path / "models").iterdir()}
    for part in (f"{ROW}.safetensors", "No --report", "nothing was uploaded"):
        assert part in printed


def test_what_was_uploaded_is_a_source_for_a_stranger(server, tmp_path: Path) -> None:
    """Manifest and lock from the hub are enough to fetch the weights from it, verified."""
    printed = run("--license", "apache-2.0", "--folder", tmp_path / "mine")

    assert f"{server.url}/{REPO}" in printed
    for name in ("mixzoo.toml", "mixzoo.lock.json"):
        answer = requests.get(f"{server.url}/{REPO}/resolve/main/{name}", timeout=10)
        (tmp_path / name).write_bytes(answer.content)
    benchmark, row = open_catalog([tmp_path / "mixzoo.toml"]).row("resnet18_w6.mixup_jane_models")
    path = fetch(benchmark, weights_of(benchmark, row), quiet=True)
    assert path.read_bytes() == (tmp_path / "mine" / f"{ROW}.safetensors").read_bytes()
    assert load_file(path).num_classes == 40


def test_json_is_for_programs(server) -> None:
    """Files, models, notes and the commit."""
    facts = json.loads(run("--json"))

    assert facts["uploaded"]
    assert facts["url"] == f"{server.url}/{REPO}"
    assert {file["path"] for file in facts["files"]} == server.repos[REPO].files.keys()
    [model] = facts["models"]
    assert (model["row"], model["released"], model["top1"]) == (ROW, True, None)


def test_a_missing_token_is_told_before_anything_is_built(tmp_path: Path) -> None:
    """One line that names both ways to give one."""
    with pytest.raises(SourceError, match="set HF_TOKEN"):
        run()

    assert list(tmp_path.iterdir()) == []


def test_a_wrong_name_is_told_before_the_token(tmp_path: Path) -> None:
    """Usage errors come first."""
    with pytest.raises(UsageError, match="expected OWNER/NAME"):
        run("--repo", "models")


def test_a_refused_upload_leaves_the_folder(server, tmp_path: Path) -> None:
    """After 403 the built folder is still there, to be uploaded with another token."""
    server.faults["create"] = [403]

    with pytest.raises(SourceError, match="may not write there"):
        run()

    assert (tmp_path / "models" / "README.md").is_file()
