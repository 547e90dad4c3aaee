"""Uploads end as one commit with the folder's bytes, or in one clear line, and the token stays home."""

import importlib.util
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from huggingface_hub import constants
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.publish.upload import Uploaded, hub, upload

# The library's LFS transfer uses its HTTP client in a way that the client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "jane/models"
CARD = "---\nlicense: apache-2.0\n---\n\n# models\n"


@pytest.fixture(scope="module")
def emulator() -> ModuleType:
    path = Path(__file__).parents[2] / "emulator" / "hub_upload.py"
    spec = importlib.util.spec_from_file_location("hub_upload", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_upload"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server(emulator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A hub that a token was given for."""
    # Xet is a binary protocol of the hub's own storage; without it the same files go by LFS.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", emulator.TOKEN)
    for name in ("MIXZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with emulator.running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, bytes]:
    files = {
        "README.md": CARD.encode(),
        "mixzoo.toml": b"format = 1\n",
        "a.safetensors": bytes(range(256)) * 4096,
        ".eval_results/own.yaml": b"- value: 1\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return files


@pytest.fixture
def send(tmp_path: Path, folder: dict[str, bytes]) -> Callable[..., Uploaded]:
    def send(**options: bool) -> Uploaded:
        return upload(hub(), REPO, tmp_path, list(folder), waits=(0, 0), **options)

    return send


def test_the_hub_has_the_folders_bytes(server, send, folder: dict[str, bytes]) -> None:
    """Repository, large and small files, one commit, and its address."""
    done = send()

    repo = server.repos[REPO]
    assert repo.files == folder
    assert repo.commits == ["Published with mixzoo"]
    assert done == Uploaded(f"{server.url}/{REPO}", f"{1:040x}")


def test_only_named_files_go_up(server, send, tmp_path: Path, folder: dict[str, bytes]) -> None:
    """What else lies in the folder is nobody's business."""
    (tmp_path / "private-notes.txt").write_text("mine")

    send()

    assert server.repos[REPO].files.keys() == folder.keys()


def test_the_storage_host_never_sees_the_token(server, send, emulator: ModuleType) -> None:
    """The signed address on the second host gets bytes, not the token."""
    send()

    assert server.asked("put") == 1
    assert {header for endpoint, header in server.seen if endpoint == "put"} == {None}
    assert ("commit", f"Bearer {emulator.TOKEN}") in server.seen


def test_an_existing_repository_gets_a_further_commit(
    server, send, tmp_path: Path, folder: dict[str, bytes]
) -> None:
    """409 at creation means that it is there; only what changed is sent."""
    send()
    (tmp_path / "mixzoo.toml").write_bytes(b"format = 1\nname = 'b'\n")

    send()

    assert len(server.repos[REPO].commits) == 2
    assert server.repos[REPO].files["mixzoo.toml"] == b"format = 1\nname = 'b'\n"
    assert server.asked("put") == 1


def test_publishing_the_same_again_commits_nothing(server, send) -> None:
    """A repeated command is harmless."""
    first = send()

    again = send()

    assert again == first
    assert len(server.repos[REPO].commits) == 1


def test_private_is_asked_for(server, send) -> None:
    """A repository that doesn't exist is created private."""
    send(private=True)

    assert server.repos[REPO].private


def test_private_never_means_public(server, send, emulator: ModuleType) -> None:
    """Files meant to be private don't go to a public repository that happens to exist."""
    server.repos[REPO] = emulator.Repo(private=False)

    with pytest.raises(SourceError, match="exists and is public"):
        send(private=True)

    assert server.repos[REPO].files == {}


@pytest.mark.parametrize("endpoint", ["create", "preupload", "batch", "put", "verify", "commit"])
def test_a_server_that_recovers_is_asked_again(
    endpoint: str, server, send, folder: dict[str, bytes]
) -> None:
    """500 at any step, then success: the upload is whole, in one commit."""
    server.faults[endpoint] = [500]

    send()

    assert server.repos[REPO].files == folder
    assert len(server.repos[REPO].commits) == 1


REFUSALS = {
    401: "the hub rejected the token",
    403: "the token may not write there",
    409: "was changed by somebody else",
    500: r"the hub fails \(HTTP 500\)",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refused_commit_is_one_line(status: int, server, send) -> None:
    """Each refusal says what it means and what to do; nothing is committed."""
    server.faults["commit"] = [status] * 9

    with pytest.raises(SourceError, match=REFUSALS[status]) as caught:
        send()

    assert "\n" not in str(caught.value)
    assert server.repos[REPO].commits == []
    assert server.asked("commit") == (3 if status == 500 else 1)


def test_a_refusal_of_the_storage_is_not_the_tokens_fault(server, send) -> None:
    """403 from the signed address (it expired) is told as what it is, in one line."""
    server.faults["put"] = [403]

    with pytest.raises(SourceError, match="not uploaded: as the test wished") as caught:
        send()

    assert "\n" not in str(caught.value)
    assert server.repos[REPO].commits == []


def test_a_rejected_token_is_told_at_once(
    server, send, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong token creates nothing and is never shown."""
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")

    with pytest.raises(SourceError, match=r"rejected the token \(HTTP 401\)") as caught:
        send()

    assert server.repos == {}
    assert "hf_wrong" not in str(caught.value) + "".join(capfd.readouterr())


def test_an_owner_of_somebody_else_is_refused(server, send) -> None:
    """403 at creation, where no such repository exists, asks for write access."""
    server.faults["create"] = [403]

    with pytest.raises(SourceError, match="may not write there"):
        send()


def test_a_card_that_the_hub_refuses_is_one_line(server, send, tmp_path: Path) -> None:
    """The hub's own check of the front matter ends the upload before a byte is sent."""
    (tmp_path / "README.md").write_text("---\ntags: []\n---\n")

    with pytest.raises(SourceError, match="no license") as caught:
        send()

    assert "\n" not in str(caught.value)
    assert server.asked("put") == 0


def test_no_server_is_one_line(server, send, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection names the repository and what to check."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(SourceError, match=r"jane/models: not uploaded: .*refused.*network"):
            send()


@pytest.mark.parametrize("name", ["MIXZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_uploads_nothing(name: str, server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline mode is said before anything is tried."""
    monkeypatch.setenv(name, "1")

    with pytest.raises(SourceError, match=f"{name} is set"):
        hub()


def test_a_missing_token_is_one_line(
    server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither variable nor stored token: the line names both ways."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))

    with pytest.raises(SourceError, match="set HF_TOKEN, or run `hf auth login`"):
        hub()
