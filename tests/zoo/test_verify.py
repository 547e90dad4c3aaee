"""Every file in the cache is judged by its bytes; a quick check reads only what may have changed."""

import hashlib
import json
import os
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo import verify
from mixzoo.zoo.errors import IntegrityError
from mixzoo.zoo.files import CHUNK, sha256_of
from mixzoo.zoo.lock import Asset
from mixzoo.zoo.verify import (
    State,
    bytes_of,
    check,
    check_all,
    own_sums,
    record_first_use,
    require_sound,
    set_aside,
)

ROW = "resnet18_w4.vanilla_own"
LONG_AGO = 1_600_000_000


def asset(name: str, content: bytes | None) -> Asset:
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    return Asset(row=ROW, kind="weights", name=name, sha256=sha256)


def write(path: Path, content: bytes, when: int = LONG_AGO) -> Path:
    """A file that was last changed `when` (seconds)."""
    path.write_bytes(content)
    os.utime(path, (when, when))
    return path


def test_each_state_is_told_and_all_bytes_are_reported(tmp_path: Path) -> None:
    """Verified, damaged (bytes, size, unreadable), absent, of first use, foreign: one pass, in order."""
    (tmp_path / "folder").mkdir()
    files = [
        (write(tmp_path / "good", b"good"), asset("good", b"good")),
        (write(tmp_path / "bad", b"baad"), asset("bad", b"good")),
        (tmp_path / "gone", asset("gone", b"gone")),
        (write(tmp_path / "new", b"new"), asset("new", None)),
        (write(tmp_path / "alien", b"?"), None),
        (write(tmp_path / "short", b"sh"), Asset(row=ROW, kind="log", name="short", size=5)),
        (tmp_path / "folder", asset("folder", b"x")),
    ]
    counts: list[int] = []

    findings = check_all(files, on_bytes=counts.append)

    assert [f.state for f in findings] == [
        State.VERIFIED,
        State.DAMAGED,
        State.ABSENT,
        State.FIRST_USE,
        State.FOREIGN,
        State.DAMAGED,
        State.DAMAGED,
    ]
    assert "expected sha256" in findings[1].detail
    assert findings[5].detail == "expected 5 bytes, got 2"
    assert "cannot be read" in findings[6].detail
    assert sum(counts) == bytes_of(files[:-1]) == 13


def test_quick_check_believes_an_untouched_file(tmp_path: Path) -> None:
    """Same size and time as at the last full check: not read again, which only --quick would miss."""
    path = write(tmp_path / "w", b"good")
    files = [(path, asset("w", b"good"))]
    check_all(files)
    write(path, b"rots")  # as a failing disk does: bytes change, the time doesn't

    quick, full = check_all(files, quick=True)[0], check_all(files)[0]

    assert (quick.state, full.state) == (State.VERIFIED, State.DAMAGED)
    assert "unchanged since" in quick.detail


@pytest.mark.parametrize(
    ("content", "when", "locked"),
    [
        pytest.param(b"longer", LONG_AGO, b"good", id="another size"),
        pytest.param(b"goot", LONG_AGO + 1, b"good", id="newer"),
        pytest.param(b"goot", LONG_AGO - 9, b"good", id="older: a clock set back, an old copy"),
        pytest.param(b"good", LONG_AGO, b"other", id="today's lock has another hash"),
    ],
)
def test_quick_check_believes_nothing_that_has_changed(
    tmp_path: Path, content: bytes, when: int, locked: bytes
) -> None:
    """The record says which bytes were seen when, not that they were right."""
    path = write(tmp_path / "w", b"good")
    check_all([(path, asset("w", b"good"))])
    write(path, content, when)

    assert check_all([(path, asset("w", locked))], quick=True)[0].state is State.DAMAGED


def test_file_changed_just_now_is_not_believed_by_its_time(tmp_path: Path) -> None:
    """A change within a tick of a coarse clock keeps the time, so fresh files aren't recorded."""
    path = tmp_path / "w"
    path.write_bytes(b"good")
    files = [(path, asset("w", b"good"))]
    check_all(files)
    stat = path.stat()
    path.write_bytes(b"evil")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert check_all(files, quick=True)[0].state is State.DAMAGED


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"format": 2, "files": {}}', '{"format": 1, "files": {"w": 3}}']
)
def test_damaged_record_means_that_files_are_read(tmp_path: Path, record: str) -> None:
    """The record only saves work; without it all is read, and it is written anew."""
    path = write(tmp_path / "w", b"evil")
    (tmp_path / verify.RECORD).write_text(record)
    files = [(path, asset("w", b"good"))]

    assert check_all(files, quick=True)[0].state is State.DAMAGED
    assert json.loads((tmp_path / verify.RECORD).read_text())["files"]["w"]["size"] == 4


def test_record_forgets_files_that_are_gone_and_keeps_the_others(tmp_path: Path) -> None:
    """Checking one file doesn't lose what is known of another."""
    first, second = write(tmp_path / "a", b"a"), write(tmp_path / "b", b"b")
    check_all([(first, asset("a", b"a")), (second, asset("b", b"b"))])
    first.unlink()

    check_all([(first, asset("a", b"a"))])

    assert set(verify.read_checks(tmp_path)) == {"b"}


def test_first_use_is_held_against_later_bytes(tmp_path: Path) -> None:
    """Without a lock the noted hash decides, also where the note is damaged."""
    path = write(tmp_path / "w", b"first")
    record_first_use(path, hashlib.sha256(b"first").hexdigest())

    assert check(path, asset("w", None)).state is State.FIRST_USE
    path.with_name("w.sha256").write_bytes(b"\xff\xfe garbage")
    assert check(path, asset("w", None)).state is State.DAMAGED


def test_damaged_files_are_numbered_not_overwritten(tmp_path: Path) -> None:
    """Every damaged copy stays for whoever wants to look at it."""
    names = [set_aside(write(tmp_path / "w", content)).name for content in (b"1", b"2", b"3")]

    assert names == ["w.damaged", "w.damaged.2", "w.damaged.3"]
    assert (tmp_path / "w.damaged").read_bytes() == b"1"


def test_interruption_stops_the_threads_at_their_next_chunk(tmp_path: Path) -> None:
    """Ctrl-C while a large file is read doesn't wait for its end, and leaves no record."""
    path = write(tmp_path / "w", bytes(64 * CHUNK))
    counts: list[int] = []

    def interrupt(count: int) -> None:
        counts.append(count)
        if len(counts) == 1:
            raise KeyboardInterrupt
        time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        check_all([(path, asset("w", b"x"))] * 4, on_bytes=interrupt)

    assert len(counts) < 64
    assert not (tmp_path / verify.RECORD).exists()


def zipped(path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip file as torch writes it: names in a folder, bytes one after the other."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in ("w/data.pkl", "w/data/0", "w/data/1"):
            archive.writestr(name, random.Random(name).randbytes(1000))
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_wrong_bit_of_a_zip_names_its_entry(tmp_path: Path, compression: int) -> None:
    """Where no hash is published, the file's own sums tell; before first use, and in every check."""
    path = zipped(tmp_path / "w.pth", compression)
    plain = asset("w.pth", None)
    sound = check(path, plain)
    content = bytearray(path.read_bytes())
    content[content.index(b"w/data/0") + 500] ^= 1
    path.write_bytes(content)

    assert (sound.state, sound.detail[-34:]) == (
        State.FIRST_USE, "…; its 3 entries have their CRC-32")  # fmt: skip
    assert check(path, plain).state is State.DAMAGED
    record_first_use(path, sha256_of(path))  # by who didn't look
    (found,) = check_all([(path, plain)])
    assert (found.state, "entry 'w/data/0' doesn't have the CRC-32" in found.detail) == (
        State.DAMAGED, True)  # fmt: skip
    with pytest.raises(IntegrityError, match="w/data/0"):
        require_sound(path, "w.pth", "Get it again.")


def test_sums_are_read_once_where_the_first_use_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note vouches for the bytes from then on; only a whole check reads them again."""
    path = zipped(tmp_path / "w.pth")
    record_first_use(path, sha256_of(path))
    monkeypatch.setattr(verify, "own_sums", lambda _: ("read", ""))

    assert check(path, asset("w.pth", None)).state is State.FIRST_USE


SILENT = {
    "legacy": (b"\x80\x02\x8a\nl\xfc\x9cF", "it carries no checksums, so nothing vouches"),
    "empty": (b"", "it carries no checksums"),
}


@pytest.mark.parametrize(("content", "said"), SILENT.values(), ids=SILENT)
def test_file_without_sums_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    """It isn't wrong, and nothing says that it is right."""
    found = check(write(tmp_path / "w.pth", content), asset("w.pth", None))

    assert (found.state, said in found.detail) == (State.FIRST_USE, True)


def test_zip_whose_writer_left_the_sums_out_says_so(tmp_path: Path) -> None:
    """As torch does after `set_crc32_options(False)`: all are 0, none is meant."""
    path = zipped(tmp_path / "w.pth")
    with zipfile.ZipFile(path) as archive:
        sums = [struct.pack("<I", entry.CRC) for entry in archive.infolist()]
    content = path.read_bytes()
    for one in sums:
        content = content.replace(one, bytes(4))
    path.write_bytes(content)

    wrong, remark = own_sums(path)

    assert (wrong, "left the checksums out" in remark) == ("", True)


def test_zip_that_unpacks_without_end_is_not_read(tmp_path: Path) -> None:
    """10 MB of zeros are 10 kB; a stranger's file could hold terabytes."""
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(10_000_000))

    assert "unpacks to more than 200 times" in own_sums(path)[0]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_to_a_zip_is_anything_but_a_clause(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes are changed, cut or added: no exception."""
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    content = bytearray(zipped(path, data.draw(st.sampled_from([0, 8]))).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    path.write_bytes(bytes(content[:cut]) + data.draw(st.binary(max_size=4)))

    wrong, _ = own_sums(path)

    assert wrong.isprintable()
