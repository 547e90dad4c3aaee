"""verify, import, prune and unpack at the command line: what is printed, and which error comes."""

import ctypes
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixzoo.zoo.cache import assets_folder
from mixzoo.zoo.errors import SourceError

ROW = "resnet18_w4.vanilla_own"
BYTES = b"weights" * 1000
Write = Callable[..., Path]  # the fixture `write_benchmark`
Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


def cache_file(name: str, content: bytes) -> Path:
    assets_folder("own").mkdir(parents=True, exist_ok=True)
    path = assets_folder("own") / name
    path.write_bytes(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def test_verify_lists_foreign_files_without_failing(mixzoo: Run, write_benchmark: Write) -> None:
    """A stranger is told, with no row; it breaks nothing."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    cache_file("holiday.jpg", b"?")

    code, out, _ = mixzoo("zoo", "verify", "own", "--manifest", manifest, "--json")

    assert code == 0
    assert {f["name"]: (f["id"], f["state"]) for f in json.loads(out)} == {
        "w.pth": (ROW, "verified"),
        "holiday.jpg": (None, "foreign"),
    }


def test_a_manifest_that_is_named_is_listed(mixzoo: Run, write_benchmark: Write) -> None:
    """Its rows alone, unless others are named."""
    manifest = write_benchmark("", BYTES)

    alone = mixzoo("zoo", "list", "--manifest", manifest, "--json")
    other = mixzoo("zoo", "list", "mini", "--manifest", manifest, "--json")

    assert [row["id"] for row in json.loads(alone[1])] == [ROW]
    assert len(json.loads(other[1])) == 10


def test_verify_of_any_file(mixzoo: Run, write_benchmark: Write, tmp_path: Path) -> None:
    """The bytes of a locked one, unknown ones that are whole, damaged ones, and none."""
    manifest = write_benchmark("", BYTES)
    copy, other, cut = (tmp_path / name for name in ("copy.pth", "other.pth", "cut.pth"))
    copy.write_bytes(BYTES)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("data.pkl", b"weights")
    cut.write_bytes(other.read_bytes()[:-9])

    code, out, _ = mixzoo("zoo", "verify", copy, other, "--manifest", manifest, "--json")
    damaged = mixzoo("zoo", "verify", cut)
    absent = mixzoo("zoo", "verify", tmp_path / "no.pth")

    assert code == 0
    assert [(f["id"], f["state"]) for f in json.loads(out)] == [
        (ROW, "verified"),
        (None, "foreign"),
    ]
    assert "its 1 entries have their CRC-32" in out
    assert (damaged[0], absent[0]) == (5, 2)
    assert "cut.pth: is cut off or damaged" in damaged[2]
    assert "expected a row, a benchmark, a file or a folder" in absent[2]
    assert sorted(tmp_path.glob(".*")) == []


def test_verify_names_what_has_nothing_to_verify(mixzoo: Run, write_benchmark: Write) -> None:
    """A row without lock or file isn't passed over because another row is whole."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)

    code, out, err = mixzoo(
        "zoo", "verify", ROW, "resnet50.automix_inat2018", "--manifest", manifest
    )

    assert code == 2
    assert "verified" in out
    assert err.startswith("error: resnet50.automix_inat2018: no file is locked or here")


def test_verify_quick_then_full_finds_silent_damage(mixzoo: Run, write_benchmark: Write) -> None:
    """--quick says what it goes by; the full check reads, and makes room only when told to."""
    manifest = write_benchmark("", BYTES)
    path = cache_file("w.pth", BYTES)
    mixzoo("zoo", "verify", "own", "--manifest", manifest)
    cache_file("w.pth", BYTES[:-1] + b"x")

    _, quick, _ = mixzoo("zoo", "verify", "own", "--quick", "--manifest", manifest)
    code, _, full = mixzoo("zoo", "verify", "own", "--manifest", manifest)
    here = path.exists()
    _, _, aside = mixzoo("zoo", "verify", "own", "--set-aside", "--manifest", manifest)

    assert "unchanged since" in quick
    assert (code, here) == (5, True)
    assert "mixzoo zoo download resnet18_w4.vanilla_own --manifest" in full
    assert "w.pth: set aside as w.pth.damaged" in aside
    assert not path.exists()
    assert path.with_name("w.pth.damaged").read_bytes() == BYTES[:-1] + b"x"


def test_import_then_verify(
    mixzoo: Run, write_benchmark: Write, small_weights: Callable[..., bytes], tmp_path: Path
) -> None:
    """A row without a lock: imported by hand, it is verified by the hash of its first use."""
    manifest = write_benchmark("")
    brought = tmp_path / "from_baidu.pth"
    brought.write_bytes(small_weights())

    said = mixzoo("zoo", "import", brought, "--row", ROW, "--copy", "--manifest", manifest)
    _, first, _ = mixzoo("zoo", "verify", ROW, "--manifest", manifest, "--json")
    (assets_folder("own") / brought.name).write_bytes(b"changed")
    changed = mixzoo("zoo", "verify", ROW, "--manifest", manifest)

    assert said[0] == 0
    assert "copied" in said[1]
    assert "trusted on first use" in said[1]
    assert json.loads(first)[0]["state"] == "trusted on first use"
    assert changed[0] == 5


@pytest.mark.parametrize("content", [BYTES[:-1] + b"x", BYTES + b"x"], ids=["hash", "size"])
def test_import_fails_on_a_file_that_differs_from_the_lock(
    mixzoo: Run, write_benchmark: Write, tmp_path: Path, content: bytes
) -> None:
    """The error is the gravest one; the table still says all; the good file is here."""
    manifest = write_benchmark("", BYTES)
    for name, data in {"w.pth": content, "good.pth": BYTES, "notes.txt": b"hi"}.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)

    code, out, err = mixzoo("zoo", "import", tmp_path / "in", "--manifest", manifest)

    assert code == 5
    assert "2 of 3 files were refused" in err
    assert err.count("\n") == 1
    assert err.endswith("download it again.\n")
    assert "\nnotes.txt: " in out  # on a line of its own, whose commands no table breaks
    assert "see below" in out
    assert (assets_folder("own") / "w.pth").read_bytes() == BYTES


def test_import_as_json(mixzoo: Run, write_benchmark: Write, tmp_path: Path) -> None:
    """A program reads what was recognised, how, and where it is."""
    manifest = write_benchmark("", BYTES)
    (tmp_path / "x.bin").write_bytes(BYTES)

    _, out, _ = mixzoo("zoo", "import", tmp_path / "x.bin", "--manifest", manifest, "--json")

    (entry,) = json.loads(out)
    assert (entry["result"], entry["detail"], entry["id"]) == ("linked", "by its hash", ROW)
    assert Path(entry["path"]).read_bytes() == BYTES
    assert entry["locked"] is True


def test_prune_lists_first_and_removes_with_yes(mixzoo: Run, write_benchmark: Write) -> None:
    """Nothing goes by surprise; the sum is the same both times."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)
    damaged = cache_file("w.pth.damaged", b"1234567890")

    _, listed, _ = mixzoo("zoo", "prune", "--manifest", manifest)
    here = damaged.exists()
    _, removed, _ = mixzoo("zoo", "prune", "--yes", "--manifest", manifest)

    assert "frees 10 bytes. To remove them, add --yes" in listed
    assert here
    assert "Removed 1 file, 10 bytes freed" in removed
    assert not damaged.exists()
    assert (assets_folder("own") / "w.pth").read_bytes() == BYTES


def test_prune_as_json_and_by_name(mixzoo: Run, write_benchmark: Write) -> None:
    """An intact file goes only by name; --only has no place beside a name."""
    manifest = write_benchmark("", BYTES)
    cache_file("w.pth", BYTES)

    _, unnamed, _ = mixzoo("zoo", "prune", "--manifest", manifest, "--json")
    _, named, _ = mixzoo("zoo", "prune", "own", "--manifest", manifest, "--json")

    assert json.loads(unnamed) == {"removed": False, "frees": 0, "files": []}
    assert json.loads(named)["frees"] == len(BYTES)
    assert mixzoo("zoo", "prune", "own", "--only", "damaged", "--manifest", manifest)[0] == 2


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A zip of visualisations."""
    path = tmp_path / "r18_vanilla_vis.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("epoch_1/lam.png", b"\x89PNG")
        archive.writestr("epoch_2/lam.png", b"\x89PNG")
    return path


def test_unpack_lists_and_unpacks_a_file(mixzoo: Run, pictures: Path, tmp_path: Path) -> None:
    """Each archive in a folder of its own name."""
    _, listed, _ = mixzoo("zoo", "unpack", pictures, "--list", "--json")
    _, unpacked, _ = mixzoo("zoo", "unpack", pictures, "--to", tmp_path / "out")

    names = [entry["name"] for entry in json.loads(listed)[0]["entries"]]
    assert names == ["epoch_1/lam.png", "epoch_2/lam.png"]
    assert "2 files in" in unpacked
    assert (tmp_path / "out" / "r18_vanilla_vis" / "epoch_2" / "lam.png").is_file()


def test_unpack_a_rows_imported_pictures(
    mixzoo: Run, write_benchmark: Write, pictures: Path, tmp_path: Path
) -> None:
    """By row id, once the archive is imported; before, the way to it is told."""
    own = ("--manifest", write_benchmark(""))

    code, _, err = mixzoo("zoo", "unpack", ROW, *own)
    mixzoo("zoo", "import", pictures, "--row", ROW, *own)
    after = mixzoo("zoo", "unpack", ROW, "--to", tmp_path / "out", *own)

    assert code == SourceError.exit_code
    assert f"mixzoo zoo import FILE --row {ROW}" in err
    assert after[0] == 0, after
    assert (tmp_path / "out" / pictures.stem / "epoch_1" / "lam.png").is_file()


def test_listing_cannot_steer_the_terminal(mixzoo: Run, tmp_path: Path) -> None:
    """Escape codes in a name are shown, not sent."""
    path = tmp_path / "v.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\x1b[2Jb", b"")

    _, out, _ = mixzoo("zoo", "unpack", path, "--list")

    assert "\x1b" not in out
    assert "will not be unpacked" in out


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
    mixzoo: Run, write_benchmark: Write, tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    """A shared cache of an administrator: verify works, import and prune fail in one line."""
    own = ("--manifest", write_benchmark("", BYTES))
    cache_file("w.pth", BYTES)
    cache_file("w.pth.damaged", b"1")
    (tmp_path / "w2.pth").write_bytes(BYTES)
    (tmp_path / "new.log.json").write_bytes(b"{}")
    read_only(assets_folder("own"))

    verified = mixzoo("zoo", "verify", "own", *own)
    known = mixzoo("zoo", "import", tmp_path / "w2.pth", *own)
    new = mixzoo("zoo", "import", tmp_path / "new.log.json", "--row", ROW, *own)
    pruned = mixzoo("zoo", "prune", "--yes", *own)

    assert verified[0] == 0
    assert "already here" in known[1]
    assert "Permission denied" in new[2]
    assert "Permission denied" in pruned[2]
    assert {p.name for p in assets_folder("own").iterdir()} == {"w.pth", "w.pth.damaged"}
