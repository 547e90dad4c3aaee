"""Nobody waits where another source can be asked, and what is waited for stands on the screen."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import SourceError
from mixzoo.zoo.net import fetch, progress, stream, transfer
from mixzoo.zoo.net.http import TransientError
from mixzoo.zoo.net.sources import Location
from mixzoo.zoo.net.stream import Patience, Piece, patiently
from mixzoo.zoo.shelf import known_assets

from ...emulator.server import Emulator, Fault, Request, always, burst
from .one_file import ADDRESS, BYTES, MIRROR, SIZE, require_line

pytestmark = pytest.mark.usefixtures("small_and_quick")
BUSY = Fault(status=503, headers={"Retry-After": "60"})


def loudly(manifest: Path) -> bytes:
    """Fetch, and say on stderr what happens."""
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    (weights,) = known_assets(benchmark, row)
    return fetch.fetch(benchmark, weights, connections=1).read_bytes()


def only(path: str, fault: Fault) -> Callable[[Request], Fault | None]:
    """A fault of this address alone."""
    return lambda request: fault if request.path == path else None


def test_second_source_is_asked_at_once_where_the_first_wants_a_wait(
    emulator: Emulator, two_sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minute at one place is no minute of the user's; both the reason and the next are said."""
    emulator.front.plan = only(ADDRESS, BUSY)

    assert loudly(two_sources) == BYTES
    assert [request.path for request in emulator.front.requests] == [ADDRESS, MIRROR]
    said = capsys.readouterr().err
    assert "got HTTP 503 Service Unavailable, and to come back in 60 s" in said
    assert f"Going on with {emulator.front.url}{MIRROR}." in said


def test_who_wanted_a_wait_is_asked_again_after_all_others(
    emulator: Emulator, two_sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then with patience: as if it were alone."""
    monkeypatch.setattr(fetch, "SHORT_WAIT", -1.0)
    now = Fault(status=503, headers={"Retry-After": "0"})
    emulator.front.plan = burst(now, Fault(status=404), now)

    assert loudly(two_sources) == BYTES
    asked = [request.path for request in emulator.front.requests]
    assert asked == [ADDRESS, MIRROR, ADDRESS, ADDRESS]


def test_all_sources_that_want_too_long_a_wait_are_named(
    emulator: Emulator, two_sources: Path
) -> None:
    """Each asked once; when to come back is said."""
    hour = Fault(status=429, headers={"Retry-After": "3600"})
    emulator.front.plan = always(hour)

    require_line(SourceError, "files/w.pth.*60 minutes.*mirror/w.pth.*60 minutes", two_sources)
    assert len(emulator.front.requests) == 2


def test_source_that_crawls_is_left_for_the_next(
    emulator: Emulator, two_sources: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A few bytes and then hardly any; what has come is kept, and the other one asked for the rest."""
    monkeypatch.setattr("mixzoo.zoo.net.http.TIMEOUT", (5.0, 20.0))
    monkeypatch.setattr(transfer, "WINDOW", 0.2)
    emulator.store.plan = only(ADDRESS, Fault(stall=100_000))

    assert loudly(two_sources) == BYTES
    assert emulator.store.requests[-1].headers["range"].startswith("bytes=100000-")
    assert "files/w.pth: crawls, 0 bytes a second" in capsys.readouterr().err


def test_only_source_that_crawls_is_told_and_kept(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A bad line is better than none, but nobody should think that it hangs."""
    monkeypatch.setattr(transfer, "WINDOW", 0.05)
    monkeypatch.setattr(transfer, "CRAWL", 1e12)
    emulator.rate = SIZE * 3

    assert loudly(manifest) == BYTES
    assert capsys.readouterr().err.count("files/w.pth: crawls, ") == 1


def test_waits_are_told_with_the_time_of_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reconnection after half a second is no news; what takes longer is."""
    told: list[str] = []
    waits: list[float] = []
    errors = [TransientError("busy", 2.0), TransientError("busy", 30.0), TransientError("reset")]

    def ask() -> None:
        raise errors.pop()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    monkeypatch.setattr(stream, "clock", lambda seconds: f"<{seconds:g} s>")
    monkeypatch.setattr(stream.random, "uniform", lambda *_: 0.25)
    location, patience = Location("https://a/w"), Patience(tell=told.append)

    assert list(patiently(location, Piece(0, 9), ask, wait, "", patience)) == []  # type: ignore[arg-type]
    assert waits == [0.25, 30.25, 2.25]
    assert told == [
        "https://a/w: busy; waiting, try 3 of 5 at <30.25 s>.",
        "https://a/w: busy; waiting, try 4 of 5 at <2.25 s>.",
    ]


def test_run_without_a_terminal_says_how_far_it_is(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Lines with size, percentage, rate and time left, and no carriage return."""
    monkeypatch.setattr(progress, "EVERY", 0.01)
    emulator.rate = SIZE * 3

    loudly(manifest)

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("w.pth: ")]
    assert lines
    assert all(" of 293k, " in line and " %, " in line and line.endswith(" left") for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_bar_keeps_its_numbers_beside_a_long_name(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """The name loses its middle; begin and end, percentage and speed stay."""
    written: list[str] = []
    stream_ = type("Terminal", (), {"isatty": lambda _: True, "flush": lambda _: None,
                                    "write": lambda _, text: written.append(text)})()  # fmt: skip
    monkeypatch.setattr("sys.stderr", stream_)
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress.byte_bar("r50_mix_modecutmix_8xb64_step_ep100/epoch_100.pth", 1 << 30) as bar:
        bar.ncols, bar.dynamic_ncols = columns, None
        bar.update(1 << 29)
        bar.refresh()

    line = next(text for text in reversed(written) if "50%" in text).strip()
    assert len(line) <= columns
    assert line.startswith("r50_m")
    assert "00.pth:  50%|" in line
    assert line.endswith("B/s]")


def test_stopping_while_waiting_is_quick(two_sources: Path) -> None:
    """A wait between two rounds ends when somebody wants an end."""
    cancelled = threading.Event()
    cancelled.set()

    fetch._Fetcher(1, progress.Progress("w.pth", None), cancelled)._sit_out(
        Location("https://a/w"), 1e12
    )
