"""`mixzoo app`: its options, and what it refuses before it serves anything."""

import re
import socket
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from mixzoo.app.demo.serve import elsewhere
from mixzoo.app.demo.settings import Settings
from mixzoo.app.serve import command
from mixzoo.zoo.errors import UsageError

from ...mini_rows import MIXUP


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command, ["--no-browser", *arguments])

    return run


@pytest.fixture
def taken() -> int:
    """A port that somebody else serves at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_taken_port_is_named(app, taken: int) -> None:
    """A port that isn't free ends in one line, before anything is loaded."""
    result = app("--port", str(taken))

    assert isinstance(result.exception, UsageError)
    assert f"127.0.0.1:{taken} can't be served at" in str(result.exception)


def test_port_may_come_from_gradios_variable(app, taken: int, monkeypatch) -> None:
    """GRADIO_SERVER_PORT and GRADIO_SERVER_NAME say what no option says."""
    monkeypatch.setenv("GRADIO_SERVER_NAME", "localhost")
    monkeypatch.setenv("GRADIO_SERVER_PORT", str(taken))

    assert f"localhost:{taken}" in str(app().exception)


def test_foreign_address_is_named(app) -> None:
    """An address that isn't this machine's is refused."""
    result = app("--host", "192.0.2.7", "--port", "0")

    assert isinstance(result.exception, UsageError)
    assert "192.0.2.7:0 can't be served at" in str(result.exception)


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        (MIXUP.replace("mini", "mni"), f"Did you mean {MIXUP!r}"),
        ("resnet50.automix_inat2018", "mixzoo zoo download resnet50.automix_inat2018"),
        ("w.pth", "w.pth: expected a checkpoint file, but it does not exist"),
    ],
)
def test_row_that_cannot_be_shown_is_named(app, ref: str, told: str) -> None:
    """An unknown row, one that isn't here and a file that isn't there are refused."""
    result = app("--port", "0", "--ref", ref)

    assert isinstance(result.exception, UsageError)
    assert told in str(result.exception)


def test_all_addresses_are_told_by_one_that_others_reach() -> None:
    """`localhost`, which Gradio tells, is the visitor's own machine."""
    url = "http://localhost:7860/"

    told = elsewhere(Settings(host="0.0.0.0"), url)

    assert told == "" or re.fullmatch(r" at http://[0-9.]+:7860/", told)  # "" without a network
    assert "127.0.0.1" not in told
    assert elsewhere(Settings(host="demo.example.org"), "http://demo.example.org:7860/") == ""


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("localhost", False),
        ("::1", False),
        ("[::1]", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.5", True),
        ("demo.example.org", True),
    ],
)
def test_public_addresses_are_told_from_private_ones(host: str, public: bool) -> None:
    """Downloads are allowed by default only where no other machine can ask for them."""
    assert Settings(host=host).is_public is public
    assert Settings(host=host).visitors_may_download is not public
    assert Settings(host=host, allow_downloads=public).visitors_may_download is public
