"""Uploads end as one commit with the folder's bytes, or in one clear line, and the token stays home."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.publish.upload import hub, upload

from ...emulator.hub_upload import TOKEN, Hub, Repo

# The library's LFS transfer uses its HTTP client in a way that the client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "jane/models"
FILES = {
    "README.md": b"---\nlicense: apache-2.0\n---\n\n# models\n",
    "mixzoo.toml": b"format = 1\n",
    "a.safetensors": bytes(range(256)) * 4096,
    ".eval_results/own.yaml": b"- value: 1\n",
}


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Uploads a folder that holds FILES, and a file that isn't named."""
    for name, content in {**FILES, "private-notes.txt": b"mine"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    def send(**options: bool) -> tuple[str, str]:
        return upload(hub(), REPO, tmp_path, list(FILES), waits=(0, 0), **options)

    return send


def test_the_hub_has_the_folders_bytes(hub_server: Hub, send) -> None:
    """Repository, large and small files, one commit, its address; nothing that wasn't named."""
    done = send()

    repo = hub_server.repos[REPO]
    assert repo.files == FILES
    assert repo.commits == ["Published with mixzoo"]
    assert done == (f"{hub_server.url}/{REPO}", f"{1:040x}")


def test_the_storage_host_never_sees_the_token(hub_server: Hub, send) -> None:
    """The signed address on the second host gets bytes, not the token."""
    send()

    assert [header for endpoint, header in hub_server.seen if endpoint == "put"] == [None]
    assert ("commit", f"Bearer {TOKEN}") in hub_server.seen


def test_an_existing_repository_gets_a_further_commit(
    hub_server: Hub, send, tmp_path: Path
) -> None:
    """409 at creation means that it is there; only what changed is sent, and nothing if all is there."""
    first = send()
    again = send()
    (tmp_path / "mixzoo.toml").write_bytes(b"format = 1\nname = 'b'\n")

    send()

    assert again == first
    assert len(hub_server.repos[REPO].commits) == 2
    assert hub_server.repos[REPO].files["mixzoo.toml"] == b"format = 1\nname = 'b'\n"
    assert hub_server.asked("put") == 1


def test_private_is_created_private_and_never_public(hub_server: Hub, send) -> None:
    """Files meant to be private don't go to a public repository that happens to exist."""
    send(private=True)
    created = hub_server.repos[REPO].private
    hub_server.repos[REPO] = Repo(private=False)

    with pytest.raises(SourceError, match="exists and is public"):
        send(private=True)

    assert created
    assert hub_server.repos[REPO].files == {}


@pytest.mark.parametrize("endpoint", ["create", "preupload", "batch", "put", "verify", "commit"])
def test_a_server_that_recovers_is_asked_again(endpoint: str, hub_server: Hub, send) -> None:
    """500 at any step, then success: the upload is whole, in one commit."""
    hub_server.faults[endpoint] = [500]

    send()

    assert hub_server.repos[REPO].files == FILES
    assert len(hub_server.repos[REPO].commits) == 1


REFUSALS = {
    ("commit", 401): "the hub rejected the token",
    ("commit", 403): "the token may not write there",
    ("commit", 409): "was changed by somebody else",
    ("commit", 500): r"the hub fails \(HTTP 500\)",
    ("create", 403): "may not write there",  # a repository of somebody else
    ("put", 403): "not uploaded: as the test wished",  # an expired address, not the token's fault
}


@pytest.mark.parametrize(("endpoint", "status"), REFUSALS)
def test_a_refusal_is_one_line(endpoint: str, status: int, hub_server: Hub, send) -> None:
    """Each says what it means and what to do; nothing is committed, and only 5xx is tried again."""
    hub_server.faults[endpoint] = [status] * 9

    with pytest.raises(SourceError, match=REFUSALS[endpoint, status]) as caught:
        send()

    assert "\n" not in str(caught.value)
    assert not any(repo.commits for repo in hub_server.repos.values())
    assert hub_server.asked(endpoint) == (3 if status == 500 else 1)


def test_a_rejected_token_is_told_at_once(
    hub_server: Hub, send, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong token creates nothing and is never shown."""
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")

    with pytest.raises(SourceError, match=r"rejected the token \(HTTP 401\)") as caught:
        send()

    assert hub_server.repos == {}
    assert "hf_wrong" not in str(caught.value) + "".join(capfd.readouterr())


def test_a_card_that_the_hub_refuses_is_one_line(hub_server: Hub, send, tmp_path: Path) -> None:
    """The hub's own check of the front matter ends the upload before a byte is sent."""
    (tmp_path / "README.md").write_text("---\ntags: []\n---\n")

    with pytest.raises(SourceError, match="no license") as caught:
        send()

    assert "\n" not in str(caught.value)
    assert hub_server.asked("put") == 0


def test_no_server_is_one_line(hub_server: Hub, send, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection names the repository and what to check."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(SourceError, match=r"jane/models: not uploaded: .*refused.*network"):
            send()


@pytest.mark.parametrize("name", ["MIXZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_uploads_nothing(
    name: str, hub_server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline mode is said before anything is tried."""
    monkeypatch.setenv(name, "1")

    with pytest.raises(SourceError, match=f"{name} is set"):
        hub()


def test_a_missing_token_is_one_line(
    hub_server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither variable nor stored token: the line names both ways."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))

    with pytest.raises(SourceError, match="set HF_TOKEN, or run `hf auth login`"):
        hub()
