"""GitHub, the hub, mirrors and proxies are asked at the right address, with the right token."""

import logging
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net import stream
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.net.sources import locations, offline

from ...emulator.server import Emulator, Reply, emulate

BYTES = bytes(range(256)) * 400
GITHUB = '[[sources]]\nkind = "github"\nrepository = "owner/zoo"\ntag = "v1"\n'
HUB = '[[sources]]\nkind = "huggingface"\nrepository = "owner/zoo"\nrevision = "refs/pr/1"\npath = "a"\n'
HTTP = '[[sources]]\nkind = "http"\nurl = "{url}"\n'
GITHUB_PATH = "/owner/zoo/releases/download/v1/w.pth"
HUB_PATH = "/owner/zoo/resolve/refs/pr/1/a/w.pth"
TOKEN = "not-a-real-token-0123456789"


@pytest.fixture(autouse=True)
def _plain_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.0)
    emulator.files |= {GITHUB_PATH: BYTES, HUB_PATH: BYTES, "/w.pth": BYTES}


def get(manifest: Path) -> bytes:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return fetch(benchmark, benchmark.asset(row.id)).read_bytes()


def authorizations(site: Any) -> set[str | None]:
    return {request.headers.get("authorization") for request in site.requests}


@pytest.mark.parametrize(
    ("source", "server", "path", "variable"),
    [
        (GITHUB, "GITHUB_SERVER_URL", GITHUB_PATH, "GITHUB_TOKEN"),
        (GITHUB, "GITHUB_SERVER_URL", GITHUB_PATH, "GH_TOKEN"),
        (HUB, "HF_ENDPOINT", HUB_PATH, "HF_TOKEN"),
        (HTTP, "", "/w.pth", "GITHUB_TOKEN"),
        (HTTP, "", "/w.pth", "HF_TOKEN"),
    ],
)
def test_token_goes_to_its_host_and_not_where_that_redirects(
    emulator: Emulator,
    write_benchmark: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    source: str,
    server: str,
    path: str,
    variable: str,
) -> None:
    """The front sees it, the store never, nor a log; a server of one's own is neither service."""
    if server:
        monkeypatch.setenv(server, emulator.front.url)
    monkeypatch.setenv(variable, TOKEN)
    caplog.set_level(logging.DEBUG)

    assert get(write_benchmark(source.format(url=emulator.front.url), BYTES)) == BYTES
    assert {request.path for request in emulator.front.requests} == {path}
    assert authorizations(emulator.front) == {f"Bearer {TOKEN}" if server else None}
    assert authorizations(emulator.store) == {None}
    assert TOKEN not in caplog.text


def test_netrc_default_entry_stays_at_the_first_host(
    emulator: Emulator,
    write_benchmark: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """requests reads ~/.netrc; a signed address must not get a password too."""
    (tmp_path / "netrc").write_text("default login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert get(write_benchmark(HTTP.format(url=emulator.front.url), BYTES)) == BYTES
    assert authorizations(emulator.front) != {None}
    assert authorizations(emulator.store) == {None}


def test_proxy_of_the_environment_is_used(
    emulator: Emulator, write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that only the proxy can reach is asked there."""
    emulator.handlers.append(lambda _: Reply(body=BYTES))
    monkeypatch.setenv("http_proxy", emulator.front.url)

    assert get(write_benchmark(HTTP.format(url="http://mirror.invalid"), BYTES)) == BYTES
    assert [one.target for one in emulator.front.requests] == ["http://mirror.invalid/w.pth"]


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of https with a certificate of its own. Returns its address and the certificate."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *kind, *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with emulate(context) as emulator:
        emulator.handlers.append(lambda _: Reply(body=BYTES))
        yield emulator.front.url, certificate


def test_certificates_of_the_environment_are_used(
    secure: tuple[str, Path],
    write_benchmark: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A company's own certificates are believed if they are named, and only then."""
    manifest = write_benchmark(HTTP.format(url=secure[0]), BYTES)

    with pytest.raises(SourceError, match=r"certificate verify failed.* REQUESTS_CA_BUNDLE"):
        get(manifest)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[1]))
    assert get(manifest) == BYTES


@pytest.mark.parametrize(
    ("value", "forbids"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_offline_is_a_word_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, forbids: bool
) -> None:
    """Set to anything but a no, it forbids the network."""
    monkeypatch.setenv("MIXZOO_OFFLINE", value)

    assert bool(offline()) is forbids


def test_offline_uses_local_sources(
    emulator: Emulator, write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder isn't the network; the sources before it are passed over."""
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")
    local = '[[sources]]\nkind = "file"\npath = "store"\n'
    manifest = write_benchmark(HTTP.format(url=emulator.front.url) + local, BYTES)
    (manifest.parent / "store").mkdir()
    (manifest.parent / "store" / "w.pth").write_bytes(BYTES)

    assert get(manifest) == BYTES
    assert emulator.front.requests == []


def test_plan_names_the_places_in_order(
    write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub and the hub at their own addresses, unless the environment names others."""
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    benchmark, row = open_catalog([write_benchmark(GITHUB + HUB, BYTES)]).row(
        "resnet18_w4.vanilla_own"
    )

    assert [str(place) for place in locations(benchmark, benchmark.asset(row.id))] == [
        "https://github.com/owner/zoo/releases/download/v1/w.pth",
        "https://huggingface.co/owner/zoo/resolve/refs%2Fpr%2F1/a/w.pth",
    ]
