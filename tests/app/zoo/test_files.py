"""verify, import, prune and unpack at the command line: what is printed, and which error comes."""

import ctypes
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from mixzoo.app.zoo import adopt, prune, unpack, verify
from mixzoo.zoo.cache import assets_folder
from mixzoo.zoo.errors import IntegrityError, MixzooError, UsageError

ROW = "resnet18_w4.vanilla_own"
BYTES = b"weights" * 1000
Write = Callable[..., Path]  # the fixture `write_benchmark`


def run(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)))


def cache_file(name: str, content: bytes) -> Path:
    assets_folder("own").mkdir(parents=True, exist_ok=True)
    path = assets_folder("own") / name
    path.write_bytes(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def test_verify_lists_foreign_files_without_failing(write_benchmark: Write) -> None:
    """A stranger is told, with no row; it breaks nothing."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    cache_file("holiday.jpg", b"?")

    result = run(verify.command, "own", "--manifest", manifest, "--json")

    found = {f["name"]: (f["id"], f["state"]) for f in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert found == {"w.pth": (ROW, "verified"), "holiday.jpg": (None, "foreign")}


def test_verify_quick_then_full_finds_silent_damage(write_benchmark: Write) -> None:
    """--quick says what it goes by; the full check reads."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    run(verify.command, "own", "--manifest", manifest)
    cache_file("w.pth", BYTES[:-1] + b"x")

    quick = run(verify.command, "own", "--quick", "--manifest", manifest)
    full = run(verify.command, "own", "--manifest", manifest)

    assert "unchanged since" in quick.stdout
    assert isinstance(full.exception, IntegrityError)
    assert "mixzoo zoo download own" in str(full.exception)


def test_verify_sets_aside_only_when_told(write_benchmark: Write) -> None:
    """Looking changes nothing; --set-aside makes room for a new download, and says so."""
    manifest = write_benchmark("", BYTES)
    path = cache_file("w.pth", b"rotten")

    run(verify.command, "own", "--manifest", manifest)
    here = path.exists()
    result = run(verify.command, "own", "--set-aside", "--manifest", manifest)

    assert here
    assert not path.exists()
    assert path.with_name("w.pth.damaged").read_bytes() == b"rotten"
    assert "w.pth: now w.pth.damaged" in result.stderr


def test_import_then_verify(write_benchmark: Write, tmp_path: Path) -> None:
    """A row without a lock: imported by hand, it is verified by the hash of its first use."""
    manifest = write_benchmark("")
    brought = tmp_path / "from_baidu.pth"
    brought.write_bytes(BYTES)

    result = run(adopt.command, brought, "--row", ROW, "--copy", "--manifest", manifest)
    first = run(verify.command, ROW, "--manifest", manifest, "--json")
    (assets_folder("own") / brought.name).write_bytes(b"changed")
    then = run(verify.command, ROW, "--manifest", manifest)

    assert result.exit_code == 0
    assert "copied" in result.stdout
    assert "trusted on first use" in result.stdout
    assert json.loads(first.stdout)[0]["state"] == "trusted on first use"
    assert isinstance(then.exception, IntegrityError)


@pytest.mark.parametrize(
    ("content", "error"), [(BYTES[:-1] + b"x", IntegrityError), (BYTES + b"x", IntegrityError)]
)
def test_import_fails_on_a_file_that_differs_from_the_lock(
    write_benchmark: Write, tmp_path: Path, content: bytes, error: type[MixzooError]
) -> None:
    """The error is the gravest one; the table still says all; the good file is here."""
    manifest = write_benchmark("", BYTES)
    for name, data in {"w.pth": content, "good.pth": BYTES, "notes.txt": b"hi"}.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)

    result = run(adopt.command, tmp_path / "in", "--manifest", manifest)

    assert type(result.exception) is error
    assert "2 of 3 files were refused" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert "notes.txt" in result.stdout
    assert (assets_folder("own") / "w.pth").read_bytes() == BYTES


def test_import_as_json(write_benchmark: Write, tmp_path: Path) -> None:
    """A program reads what was recognised, how, and where it is."""
    manifest = write_benchmark("", BYTES)
    (tmp_path / "x.bin").write_bytes(BYTES)

    result = run(adopt.command, tmp_path / "x.bin", "--manifest", manifest, "--json")

    (entry,) = json.loads(result.stdout)
    assert (entry["result"], entry["detail"], entry["id"]) == ("linked", "by its hash", ROW)
    assert Path(entry["path"]).read_bytes() == BYTES
    assert entry["locked"] is True


def test_prune_lists_first_and_removes_with_yes(write_benchmark: Write) -> None:
    """Nothing goes by surprise; the sum is the same both times."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    damaged = cache_file("w.pth.damaged", b"1234567890")

    listed = run(prune.command, "--manifest", manifest)
    here = damaged.exists()
    removed = run(prune.command, "--yes", "--manifest", manifest)

    assert "frees 10 bytes. To remove them, add --yes" in listed.stdout
    assert here
    assert "Removed 1 files, 10 bytes freed" in removed.stdout
    assert not damaged.exists()
    assert (assets_folder("own") / "w.pth").read_bytes() == BYTES


def test_prune_as_json_and_by_name(write_benchmark: Write) -> None:
    """An intact file goes only by name; --only has no place beside a name."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)

    unnamed = run(prune.command, "--manifest", manifest, "--json")
    named = run(prune.command, "own", "--manifest", manifest, "--json")
    both = run(prune.command, "own", "--only", "damaged", "--manifest", manifest)

    assert json.loads(unnamed.stdout) == {"removed": False, "frees": 0, "files": []}
    assert json.loads(named.stdout)["frees"] == len(BYTES)
    assert isinstance(both.exception, UsageError)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A zip of visualisations."""
    path = tmp_path / "r18_vanilla_vis.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("epoch_1/lam.png", b"\x89PNG")
        archive.writestr("epoch_2/lam.png", b"\x89PNG")
    return path


def test_unpack_lists_and_unpacks_a_file(pictures: Path, tmp_path: Path) -> None:
    """Each archive in a folder of its own name."""
    listed = run(unpack.command, pictures, "--list", "--json")
    result = run(unpack.command, pictures, "--to", tmp_path / "out")

    assert [e["name"] for e in json.loads(listed.stdout)[0]["entries"]] == [
        "epoch_1/lam.png",
        "epoch_2/lam.png",
    ]
    assert "2 files in" in result.stdout
    assert (tmp_path / "out" / "r18_vanilla_vis" / "epoch_2" / "lam.png").is_file()


def test_unpack_a_rows_imported_pictures(
    write_benchmark: Write, pictures: Path, tmp_path: Path
) -> None:
    """By row id, once the archive is imported; before, the way to it is told."""
    manifest = write_benchmark("")

    before = run(unpack.command, ROW, "--manifest", manifest)
    run(adopt.command, pictures, "--row", ROW, "--manifest", manifest)
    after = run(unpack.command, ROW, "--to", tmp_path / "out", "--manifest", manifest)

    assert isinstance(before.exception, UsageError)
    assert f"mixzoo zoo import FILE --row {ROW}" in str(before.exception)
    assert after.exit_code == 0, after.exception
    assert (tmp_path / "out" / pictures.stem / "epoch_1" / "lam.png").is_file()


def test_listing_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Escape codes in a name are shown, not sent."""
    path = tmp_path / "v.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\x1b[2Jb", b"")

    result = run(unpack.command, path, "--list")

    assert "\x1b" not in result.stdout
    assert "will not be unpacked" in result.stdout


class _Capabilities(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only, for root too: the capability to write anywhere is laid down."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's capabilities")
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    before = (_Capabilities * 2)()
    assert libc.capget(header, before) == 0
    folders: list[Path] = []

    def lock(folder: Path) -> None:
        folders.append(folder)
        folder.chmod(0o555)
        fewer = (_Capabilities * 2)(*before)
        fewer[0].effective &= ~(1 << 1)  # CAP_DAC_OVERRIDE
        assert libc.capset(header, fewer) == 0

    yield lock
    assert libc.capset(header, before) == 0
    for folder in folders:
        folder.chmod(0o755)


def test_read_only_cache_can_be_verified_and_is_otherwise_left(
    write_benchmark: Write, tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    """A shared cache of an administrator: verify works, import and prune fail in one line."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    cache_file("w.pth.damaged", b"1")
    (tmp_path / "w2.pth").write_bytes(BYTES)
    (tmp_path / "new.log.json").write_bytes(b"{}")
    read_only(assets_folder("own"))

    verified = run(verify.command, "own", "--manifest", manifest)
    known = run(adopt.command, tmp_path / "w2.pth", "--manifest", manifest)
    new = run(adopt.command, tmp_path / "new.log.json", "--row", ROW, "--manifest", manifest)
    pruned = run(prune.command, "--yes", "--manifest", manifest)

    assert verified.exit_code == 0
    assert "already here" in known.stdout
    assert "Permission denied" in str(new.exception)
    assert "Permission denied" in str(pruned.exception)
    assert {p.name for p in assets_folder("own").iterdir()} == {"w.pth", "w.pth.damaged"}
