"""Every fault of the line, and of what arrived by it, ends in the right bytes or in one clear line."""

import os
import random
from pathlib import Path

import pytest
from mixzoo.zoo.errors import IntegrityError, SourceError

from ...emulator.server import Emulator, Fault, always, burst
from .one_file import ADDRESS, BYTES, SIZE, final, get, ranges, require_line

pytestmark = pytest.mark.usefixtures("small_and_quick")

CUTS = random.Random(2).sample(range(SIZE), 50)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("first", range(0, 50, 10))
def test_resets_at_random_bytes_cost_nothing_but_time(
    emulator: Emulator, manifest: Path, first: int, connections: int
) -> None:
    """Each of 50 cuts is followed by a request for the rest, within one call."""
    emulator.store.plan = burst(*(Fault(cut=cut % 30_000) for cut in CUTS[first : first + 10]))

    path = get(manifest, connections)

    assert path.read_bytes() == BYTES
    assert sorted(p.name for p in path.parent.iterdir()) == ["w.pth"]


def test_what_has_arrived_is_asked_for_only_once(emulator: Emulator, manifest: Path) -> None:
    """After a cut the next request begins at the first missing byte, if the file is unchanged."""
    emulator.store.plan = burst(Fault(end=100_000))

    get(manifest)

    assert ranges(emulator) == ["", "bytes=100000-"]
    assert emulator.store.requests[1].headers["if-range"] == emulator.etag(BYTES)
    assert [request.path for request in emulator.front.requests] == [ADDRESS, ADDRESS]


def test_several_ranges_are_fetched_at_once_and_cover_the_file(
    emulator: Emulator, manifest: Path
) -> None:
    """With 4 connections the file comes in pieces, each asked for once."""
    path = get(manifest, connections=4)

    asked = [r for r in ranges(emulator) if r]
    assert path.read_bytes() == BYTES
    assert len(asked) > 4
    assert len(set(asked)) == len(asked)


def test_another_call_goes_on_where_one_gave_up(emulator: Emulator, manifest: Path) -> None:
    """What a failed call got stays in a part file; the next one, even hours later, uses it."""
    gone = Fault(status=404)
    emulator.store.plan = burst(Fault(end=100_000))
    emulator.front.plan = burst(None, gone)
    require_line(SourceError, "got HTTP 404", manifest)

    path = get(manifest)

    assert path.read_bytes() == BYTES
    assert ranges(emulator) == ["", "bytes=100000-"]


def test_stall_for_ever_is_an_error(emulator: Emulator, manifest: Path) -> None:
    """A server that never sends a byte is given up after some tries."""
    emulator.store.plan = always(Fault(stall=0))

    require_line(SourceError, r"[Tt]imed? ?out.*gave up after 5 tries", manifest)


def test_truncated_body_with_wrong_length_is_refused(emulator: Emulator, manifest: Path) -> None:
    """A shorter file that says so is refused before its first byte."""
    emulator.store.plan = always(Fault(body=BYTES[:-9]))

    require_line(IntegrityError, f"expected {SIZE} bytes, got an offer of {SIZE - 9}", manifest)


@pytest.mark.parametrize("connections", [1, 4])
def test_same_size_corruption_is_an_error(
    emulator: Emulator, manifest: Path, connections: int
) -> None:
    """Bytes of the right number and the wrong hash never get the final name, nor stay."""
    emulator.files[ADDRESS] = BYTES[:-1] + b"x"

    require_line(IntegrityError, "expected sha256", manifest, connections)
    assert list(final(manifest).parent.iterdir()) == []


def test_rotten_part_file_costs_one_restart(emulator: Emulator, manifest: Path) -> None:
    """Bytes that changed on the disk between two runs are fetched anew, once."""
    emulator.front.plan = burst(None, Fault(status=404))
    emulator.store.plan = burst(Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    part = final(manifest).with_name(".w.pth.part")
    part.write_bytes(bytes(100_000))

    assert get(manifest).read_bytes() == BYTES


def test_longer_part_file_of_unknown_origin_leaves_no_tail(manifest: Path) -> None:
    """A part file whose note was lost is overwritten, and what is beyond the end goes."""
    final(manifest).parent.mkdir(parents=True)
    final(manifest).with_name(".w.pth.part").write_bytes(bytes(SIZE + 10))

    assert get(manifest).read_bytes() == BYTES


def test_note_that_claims_too_much_is_not_believed(emulator: Emulator, manifest: Path) -> None:
    """A part file that is shorter than its note says is begun anew."""
    emulator.front.plan = burst(None, Fault(status=404))
    emulator.store.plan = burst(Fault(end=100_000))
    require_line(SourceError, "404", manifest)
    os.truncate(final(manifest).with_name(".w.pth.part"), 50_000)

    assert get(manifest).read_bytes() == BYTES
    assert ranges(emulator) == ["", ""]
