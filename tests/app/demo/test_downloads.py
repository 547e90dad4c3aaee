"""The one download that visitors can have running."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixzoo.app.demo.downloads import Downloads
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.errors import SourceError, UsageError
from mixzoo.zoo.lock import Asset

from ...emulator.server import Emulator, Fault, Request
from ...mini_rows import MIXUP

CONTENT = bytes(range(256)) * 4096
ROW = "resnet18_w4.vanilla_own"


class Gate:
    """A server that sends half of the file, and the rest when it is opened."""

    def __init__(self, emulator: Emulator) -> None:
        """Closed at first."""
        self.open = threading.Event()
        self.asked = threading.Event()
        self.status: int | None = None
        self.url = emulator.front.url
        emulator.files["/w.pth"] = CONTENT
        emulator.redirect = emulator.ranges = False
        emulator.front.plan = self.plan

    def plan(self, _: Request) -> Fault:
        """How the next answer goes."""
        self.asked.set()
        return Fault(status=self.status, stall=len(CONTENT) // 2, until=self.open)


@pytest.fixture
def gate(emulator: Emulator) -> Iterator[Gate]:
    """The server, on loopback."""
    gate = Gate(emulator)
    yield gate
    gate.open.set()


@pytest.fixture
def manifest(write_benchmark: Callable[..., Path], gate: Gate) -> Path:
    """A benchmark whose weights lie on that server."""
    return write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{gate.url}"', CONTENT)


@pytest.fixture
def own(manifest: Path) -> Benchmark:
    """The same, read."""
    return open_catalog([manifest]).benchmark("own")


@pytest.fixture
def weights(own: Benchmark) -> Asset:
    """Its only file."""
    asset = own.asset(ROW)
    assert asset is not None
    return asset


def test_file_arrives_and_is_counted(
    own: Benchmark, weights: Asset, manifest: Path, gate: Gate
) -> None:
    """In the end all bytes are here, the locked ones."""
    running = Downloads([manifest]).begin(own, [weights])
    assert gate.asked.wait(60)
    under_way = running.running
    gate.open.set()

    assert running.wait(60)
    running.raise_problem()
    assert under_way
    assert running.received == running.total == len(CONTENT)
    assert asset_path("own", weights).read_bytes() == CONTENT


def test_one_at_a_time(own: Benchmark, weights: Asset, manifest: Path, gate: Gate) -> None:
    """Who wants the same row joins; who wants another is told to wait."""
    downloads = Downloads([manifest])
    other = open_catalog().benchmark("mini")
    asset = other.asset(MIXUP)
    assert asset is not None
    running = downloads.begin(own, [weights])

    joined = downloads.begin(own, [weights])

    with pytest.raises(UsageError, match=f"^{ROW} is being downloaded"):
        downloads.begin(other, [asset])
    assert joined is running
    gate.open.set()
    assert running.wait(60)


def test_stopped_download_says_so(
    own: Benchmark, weights: Asset, manifest: Path, gate: Gate
) -> None:
    """The process ends, and nothing stands under the file's name."""
    downloads = Downloads([manifest])
    running = downloads.begin(own, [weights])
    assert gate.asked.wait(60)

    downloads.stop()

    assert running.wait(60)
    with pytest.raises(SourceError, match="stopped; the next download goes on"):
        running.raise_problem()
    assert not asset_path("own", weights).exists()


def test_failure_is_the_commands_own_line(
    own: Benchmark, weights: Asset, manifest: Path, gate: Gate
) -> None:
    """Expected, got, what to do; no traceback."""
    gate.status = 403
    gate.open.set()
    running = Downloads([manifest]).begin(own, [weights])
    assert running.wait(60)

    with pytest.raises(SourceError, match="403") as error:
        running.raise_problem()

    assert "\n" not in str(error.value)
    assert not str(error.value).startswith("error:")


def test_next_one_may_begin_after_the_end(
    own: Benchmark, weights: Asset, manifest: Path, gate: Gate
) -> None:
    """A finished download blocks nobody."""
    gate.open.set()
    downloads = Downloads([manifest])
    assert downloads.begin(own, [weights]).wait(60)

    again = downloads.begin(own, [weights])

    assert again.wait(60)
    again.raise_problem()
