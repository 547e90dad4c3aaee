"""What every test gets: a cache of its own, no internet, and the photographs if they are here."""

import hashlib
import importlib.util
import io
import ipaddress
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest
from mixzoo.app import cli
from mixzoo.zoo.files import alone
from mixzoo.zoo.mini import draw

from .emulator.github import GitHub
from .emulator.hub_upload import TOKEN, Hub, running_hub
from .emulator.server import Emulator, Reply, Request, emulate
from .nursery import Nursery, running_nursery

hypothesis.settings.register_profile("untimed", deadline=None)  # machines differ, and are shared
hypothesis.settings.load_profile("untimed")

GOLDEN = Path(__file__).parent / "golden"
# Photographs of the reference recordings and real data sets. They aren't ours to publish.
SHARED = Path(os.environ.get("MIXZOO_SHARED", Path(__file__).parents[2] / "shared"))

# A shell's background job ignores SIGINT, one of nohup SIGHUP, and so would what a test starts.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The name of bytes in a test's name: a packed file holds the time, and workers compare names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("MIXZOO_LOCKS", str(tmp_path_factory.mktemp("locks")))
    monkeypatch.delenv("MIXZOO_MANIFESTS", raising=False)


@pytest.fixture(scope="session")
def mini_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation images of `mini`, drawn once for all tests and workers; not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with alone(folder / "mini.lock", waiting=lambda: None):
        return draw(folder / "mini", "val")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Starts programs without waiting for torch to be imported."""
    with running_nursery(tmp_path_factory.mktemp("nursery")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple):
            host = "127.0.0.1" if address[0] == "localhost" else str(address[0])
            if not ipaddress.ip_address(host).is_loopback:
                raise OSError(f"tests must not reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of numbers recorded from the reference."""
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the photographs; skips where it is absent, except in CI, which has it."""
    if not SHARED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the photographs in {SHARED}")
        pytest.skip(f"the reference photographs are not published with this repository ({SHARED})")
    return SHARED


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A release server of two hosts, with switchable faults."""
    with emulate() as emulator:
        yield emulator


@dataclass
class FileServer:
    """A plain web server of files in memory. answers: path -> (status, headers, body)."""

    url: str
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def handle(self, request: Request) -> Reply:
        """Answer what a test has put here."""
        self.requests.append(request.target)
        return Reply(*self.answers.get(request.target, (404, {}, b"not here")))


@pytest.fixture
def server(emulator: Emulator) -> FileServer:
    """A web server that a test fills."""
    server = FileServer(emulator.front.url)
    emulator.handlers.append(server.handle)
    return server


@pytest.fixture
def github(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """GitHub emulated, its API and its downloads, without any release; no token is set."""
    for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL"):
        monkeypatch.setenv(name, emulator.front.url)
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return GitHub(emulator)


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hugging Face hub on loopback that HF_ENDPOINT and HF_TOKEN lead to."""
    from huggingface_hub import constants

    # Xet is a binary protocol of the hub's own storage; without it the same files go by LFS.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("MIXZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


MANIFEST = """
format = 1
name = "{name}"
title = "A benchmark for tests"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = 36
crop = 32
[dataset]
name = "Ten"
num_classes = 10
[dataset.val]
images = 20
annotations = ["val2018.json"]
{extra}
[[rows]]
id = "resnet18_w4.vanilla_{name}"
architecture = "resnet18_w4"
method = "vanilla"
reported_top1 = 10.0
"""


@pytest.fixture
def write_benchmark(tmp_path: Path) -> Callable[..., Path]:
    """Writes a one-row benchmark of the user's own: manifest, and lock of the bytes given."""

    def write(
        sources: str, weights: bytes | None = None, *, benchmark: str = "own", **asset: Any
    ) -> Path:
        path = tmp_path / f"{benchmark}.toml"
        path.write_text(MANIFEST.format(name=benchmark, extra=sources))
        if weights is not None:
            entry = {
                "row": f"resnet18_w4.vanilla_{benchmark}",
                "kind": "weights",
                "name": "w.pth",
                "size": len(weights),
                "sha256": hashlib.sha256(weights).hexdigest(),
            } | asset
            lock = {"format": 1, "benchmark": benchmark, "assets": [entry]}
            path.with_name(f"{benchmark}.lock.json").write_text(json.dumps(lock))
        return path

    return write


@pytest.fixture(scope="session")
def small_weights() -> Callable[..., bytes]:
    """Makes checkpoints of the row that `write_benchmark` writes, small and as torch writes them."""

    def small_weights(seed: int = 0, num_classes: int = 10, **meta: Any) -> bytes:
        import torch
        from mixzoo.zoo.nets import Classifier, ResNetConfig

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Classifier(ResNetConfig.from_name("resnet18_w4"), num_classes)
        torch.nn.init.ones_(model.backbone.bn1.running_mean)  # as if it had seen images
        file = io.BytesIO()
        torch.save({"state_dict": model.state_dict(), "meta": meta}, file)
        return file.getvalue()

    return small_weights


@pytest.fixture
def mixzoo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process; returns exit code, stdout and stderr.

    An error that isn't a whole sentence fails the test.
    """

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mixzoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        for line in re.findall(r"^error: (.*)", err, re.MULTILINE):
            assert re.search(r"[^.][.?)]$|\b(mixzoo|pip|hf|torchrun) \S.*$", line), (
                f"no end: {line}"
            )
            assert ".. " not in line.replace("... ", ""), f"two full stops: {line}"
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture(scope="session")
def regenerate() -> ModuleType:
    """`tests/regenerate.py`, which isn't part of any package."""
    path = Path(__file__).with_name("regenerate.py")
    spec = importlib.util.spec_from_file_location("regenerate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
