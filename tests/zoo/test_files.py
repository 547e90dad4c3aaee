"""A file is whole or absent, whatever happens while it is written; one process at a time."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.files import alone, becoming, clear, replacing, sha256_of, write

from ..mini_rows import VANILLA as ROW

CAUSES = {
    "Ctrl-C": KeyboardInterrupt(),
    "a full disk": OSError(errno.ENOSPC, "No space left on device"),
    "a mistake": ValueError("of the caller"),
}


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    """UTF-8, no line end changed, and readable for colleagues as the umask says."""
    write(tmp_path / "text", "Łódź\r\n")
    write(tmp_path / "bytes", b"\x00\xff")

    assert (tmp_path / "text").read_bytes() == "Łódź\r\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """What is written is flushed meanwhile, but under another name."""
    path = tmp_path / "f"
    path.write_text("old")

    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("there", [True, False])
def test_an_error_leaves_nothing_behind(cause: str, there: bool, tmp_path: Path) -> None:
    """Neither a part, nor a changed file."""
    path = tmp_path / "f"
    if there:
        path.write_text("old")

    with pytest.raises(type(CAUSES[cause])):
        _break_off(path, CAUSES[cause])

    assert [entry.name for entry in tmp_path.iterdir()] == (["f"] if there else [])
    assert not there or path.read_text() == "old"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_refuses_late_leaves_nothing_behind(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems find out that they are full when the bytes must be on the disk."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "f", "text")

    assert not list(tmp_path.iterdir())


def test_a_file_over_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    """`ulimit -f`: the write is cut, and closing the file fails again."""
    path = tmp_path / "f"
    code = f"from mixzoo.zoo.files import *; write(Path({str(path)!r}), b'.' * 99_999)"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_480, 20_480))

    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )

    assert "File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_becomes_a_file_may_be_made_by_name(tmp_path: Path) -> None:
    """Such as by a hard link or by another program; what isn't made is an error."""
    (tmp_path / "source").write_text("x")

    with becoming(tmp_path / "link") as part:
        part.hardlink_to(tmp_path / "source")
    with pytest.raises(FileNotFoundError), becoming(tmp_path / "nothing"):
        pass

    assert (tmp_path / "link").samefile(tmp_path / "source")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "source"]


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    """And nothing else."""
    code = f"from mixzoo.zoo.files import *; path = Path({str(tmp_path / 'f')!r})\n"
    code += "with becoming(path) as part: part.touch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    (tmp_path / ".w.pth.part").touch()
    assert len(list(tmp_path.iterdir())) == 2

    clear(tmp_path)

    assert [entry.name for entry in tmp_path.iterdir()] == [".w.pth.part"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The second asks its caller what to do, may give up, and gets the lock when it is free."""
    asked: list[int] = []
    lock = tmp_path / "locks" / "f.lock"
    first = alone(lock, _busy)
    first.__enter__()

    with pytest.raises(TimeoutError), alone(lock, _busy):
        pytest.fail("both have it")

    def let_go() -> None:
        asked.append(1)
        first.__exit__(None, None, None)

    with alone(lock, let_go):
        assert asked == [1]


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 << 20)])
def test_the_hash_is_that_of_all_bytes(data: bytes, tmp_path: Path) -> None:
    """And progress adds up to the size."""
    seen: list[int] = []
    (tmp_path / "f").write_bytes(data)

    assert sha256_of(tmp_path / "f", seen.append) == hashlib.sha256(data).hexdigest()
    assert sum(seen) == len(data)


def _break_off(path: Path, cause: BaseException) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise cause


def _busy() -> None:
    raise TimeoutError


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


WRITERS = {
    f"exported/{ROW}": ("zoo", "export", ROW, "--to", "exported"),
    "mix.png": ("viz", "mix", "--size", "64", "--methods", "mixup", "--out", "mix.png"),
    "table.svg": ("viz", "table", "mini", "--out", "table.svg"),
    f"{ROW}.pth": ("zoo", "download", ROW),
    "data": ("data", "prepare", "mini", "--root", "data"),
}


@pytest.mark.parametrize(("file", "command"), WRITERS.items(), ids=WRITERS)
def test_full_disk_is_one_line_and_leaves_no_part(
    mixzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    file: str, command: tuple[str, ...],
) -> None:  # fmt: skip
    """Every command that writes names the file; nothing of an unfinished one stays."""
    if "download" not in command:
        mixzoo("zoo", "download", ROW)
    else:
        monkeypatch.setenv("MIXZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        code, _, err = mixzoo(*command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert code in (1, 4, 7)
    assert err.splitlines()[-1].startswith("error: ")
    assert file in err
    assert "File too large" in err
    assert [path.name for path in tmp_path.rglob(".*") if ".part" in path.name] == []
