"""Files downloaded by hand are recognised, and adopted without ever harming a good one."""

import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.zoo.cache import assets_folder, cache_root, process_lock_path
from mixzoo.zoo.catalog import Catalog, open_catalog
from mixzoo.zoo.errors import CheckpointError, IntegrityError, SourceError, UsageError
from mixzoo.zoo.nets import Classifier, ResNetConfig
from mixzoo.zoo.release.by_hand import Adoption, adopt, find_files, import_files
from mixzoo.zoo.release.identify import Arrival, Identity, identify
from mixzoo.zoo.shelf import file, known_assets
from mixzoo.zoo.verify import State, check

from ..packing import zipped

ROW = "resnet18_w4.vanilla_own"


def _weights(name: str = "resnet18_w4", classes: int = 10, damage: float = 0.0) -> bytes:
    """A file of the network that ROW names, or of another one."""
    model = Classifier(ResNetConfig.from_name(name), classes)
    torch.nn.init.constant_(model.head.fc.bias, damage)
    torch.nn.init.constant_(model.backbone.bn1.running_mean, 1)
    return _saved(model.state_dict())


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


BYTES = b"weights" * 1000
RULES = '[matching.kinds]\nweights = [".pth"]\nlog = [".log.json"]'
Write = Callable[..., Path]  # the fixture `write_benchmark`
Give = Callable[..., Adoption]


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder of downloads."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


@pytest.fixture
def locked(write_benchmark: Write) -> Catalog:
    """A benchmark whose lock has the weights `BYTES` under the name w.pth."""
    return open_catalog([write_benchmark("", BYTES)])


@pytest.fixture
def give(there: Path) -> Callable[..., Adoption]:
    """Imports a download of this name and content."""

    def give(catalog: Catalog, name: str, content: bytes = BYTES, **options: Any) -> Adoption:
        (adoption,) = import_files([bring(there / name, content)], catalog, **options)
        return adoption

    return give


def bring(path: Path, content: bytes = BYTES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cached() -> dict[str, bytes]:
    """Released files in the cache, without notes."""
    files = sorted(assets_folder("own").glob("*")) if assets_folder("own").is_dir() else []
    notes = (".sha256", ".adopted.json")
    return {p.name: p.read_bytes() for p in files if not p.name.endswith(notes)}


def test_file_is_recognised_by_its_hash_whatever_its_name(locked: Catalog, give: Give) -> None:
    """The locked bytes under a made-up name get the locked name."""
    adoption = give(locked, "model final.bin")

    assert (adoption.what, adoption.detail, adoption.asset.row) == ("linked", "by its hash", ROW)
    assert cached() == {"w.pth": BYTES}


def test_three_files_of_which_one_is_corrupt(locked: Catalog, there: Path) -> None:
    """The good one is adopted, the damaged one refused with expected and got, the stranger listed."""
    bring(there / "a_good.bin")
    bring(there / "readme.txt", b"hello")
    bring(there / "w.pth", BYTES[:-1] + b"x")

    results = import_files(find_files([there]), locked)

    assert [(a.file.name, a.what, a.error) for a in results] == [
        ("a_good.bin", "linked", None),
        ("readme.txt", "refused", UsageError),
        ("w.pth", "refused", IntegrityError),
    ]
    expected = hashlib.sha256(BYTES).hexdigest()[:12]
    got = hashlib.sha256(BYTES[:-1] + b"x").hexdigest()[:12]
    assert f"expected sha256 {expected}…, got {got}…" in results[2].detail
    assert "no lock knows its hash" in results[1].detail
    assert cached() == {"w.pth": BYTES}


def test_truncated_file_is_told_by_its_size(locked: Catalog, give: Give) -> None:
    """The most frequent damage gets the clearest words."""
    adoption = give(locked, "w (1).pth", BYTES[:-9])

    assert adoption.error is IntegrityError
    assert f"expected {len(BYTES)} bytes, got {len(BYTES) - 9}" in adoption.detail


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pth", b"", "is empty"),
        ("w.pth", b"\n<!DOCTYPE html><html>", "web page"),
        ("w.pth.baiduyun.p.downloading", BYTES, "unfinished download"),
        ("w.pth.crdownload", BYTES, "unfinished download"),
        ("w.pth", zipped(("a", b"a" * 100))[:-10], "cut short"),
    ],
)
def test_what_browsers_leave_behind_is_never_adopted(
    write_benchmark: Write, give: Give, name: str, content: bytes, message: str
) -> None:
    """Also where no lock could tell."""
    catalog = open_catalog([write_benchmark("", BYTES, sha256=None, size=None)])

    adoption = give(catalog, name, content)

    assert adoption.what == "refused"
    assert message in adoption.detail
    assert cached() == {}


def test_unlocked_asset_is_trusted_on_first_use(
    write_benchmark: Write, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """By its locked name; its hash is noted, and other bytes are refused from then on."""
    catalog = open_catalog([write_benchmark("", BYTES, sha256=None, size=None)])

    first = give(catalog, "w.pth", small_weights())
    again = give(catalog, "w (2).pth", small_weights())
    other = give(catalog, "w (3).pth", small_weights(seed=1))

    (asset,) = known_assets(catalog.benchmark("own"))
    assert (first.what, first.detail, again.what) == ("linked", "by its name", "already here")
    assert other.error is IntegrityError
    assert "was first used with sha256" in other.detail
    assert check(assets_folder("own") / "w.pth", asset).state is State.FIRST_USE
    assert cached() == {"w.pth": small_weights()}


def test_row_without_lock_is_adopted_by_the_rules_and_found_again(
    write_benchmark: Write, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """Its own name, a note of row and kind, the hash of first use: enough to load it later."""
    catalog = open_catalog([write_benchmark(RULES)])
    benchmark, row = catalog.row(ROW)

    adoption = give(catalog, "resnet18_w4_vanilla_4xb64.pth", small_weights(), benchmark="own")

    asset = file(benchmark, row).asset
    assert adoption.detail == "by name and content"
    assert asset is not None
    assert (asset.name, asset.row, asset.kind) == ("resnet18_w4_vanilla_4xb64.pth", ROW, "weights")
    path = assets_folder("own") / asset.name
    assert check(path, asset).state is State.FIRST_USE
    assert file(benchmark, row, "log").asset is None
    path.unlink()
    assert file(benchmark, row).asset is None


def test_row_can_be_named(
    write_benchmark: Write, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """A name that says nothing is no obstacle if a person knows; a name that can't be kept is replaced."""
    catalog = open_catalog([write_benchmark("")])

    weights = give(catalog, "模型.pth", small_weights(), row=ROW)
    log = give(catalog, "20220822.log.json", b"{}", row=ROW)
    picture = give(catalog, "x.png", b"?", row=ROW)

    assert (weights.what, weights.asset.kind, log.asset.kind) == ("linked", "weights", "log")
    assert set(cached()) == {f"{ROW}.pth", "20220822.log.json"}
    assert "expected a name ending in .pth" in picture.detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "isn't a whole torch checkpoint"),
        (_weights(classes=7), "heads have 7|it is a resnet18_w4 with 7 classes"),
        (_weights(name="resnet18_w2"), "expects a resnet18_w4, .* resnet18_w2|it is a resnet18_w2"),
        (_weights(damage=float("nan")), "'head.fc.bias' holds a NaN"),
        (
            _saved({"state": {0: {"momentum_buffer": torch.zeros(3)}}}),
            "got no table of tensors; it holds 'state'",
        ),
    ],
    ids=["a text", "other classes", "another network", "no numbers", "an optimizer"],
)
@pytest.mark.parametrize("who", ["person", "lock", "name"])
def test_weights_that_no_hash_proves_must_be_their_rows(
    who: str, content: bytes, message: str, write_benchmark: Write, give: Give
) -> None:
    """Whoever names the row, a person, a name in the lock or the file's own, the file is opened."""
    lock = {"weights": BYTES, "sha256": None, "size": None} if who == "lock" else {}
    catalog = open_catalog([write_benchmark(RULES, **lock)])
    name = "resnet18_w4_vanilla.pth" if who == "name" else "w.pth"

    adoption = give(catalog, name, content, row=ROW if who == "person" else None)

    assert adoption.error is CheckpointError
    assert re.search(message, adoption.detail)
    assert cached() == {}


def test_second_file_for_a_row_does_not_replace_the_first(
    write_benchmark: Write, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """One row has one weights file; the way to change it is told."""
    catalog = open_catalog([write_benchmark("")])
    give(catalog, "a.pth", small_weights(), row=ROW)

    second = give(catalog, "b.pth", small_weights(seed=1), row=ROW)

    assert second.error is UsageError
    assert "remove it first" in second.detail
    assert cached() == {"a.pth": small_weights()}


TWO_ROWS = """
[[rows]]
id = "resnet18_w4.cutmix_own"
architecture = "resnet18_w4"
method = "cutmix"
reported_top1 = 11.0
[[rows]]
id = "resnet18_w4.mixup_own"
architecture = "resnet18_w4"
method = "mixup"
reported_top1 = 12.0
"""
CONFIG = "model = dict(type='MixUpClassification', alpha=1, mix_mode='{}')"
CUTMIX, MIXUP = "resnet18_w4.cutmix_own", "resnet18_w4.mixup_own"


@pytest.fixture
def three_rows(write_benchmark: Write) -> Catalog:
    """A benchmark without a lock, of vanilla, CutMix and Mixup."""
    path = write_benchmark(RULES)
    path.write_text(path.read_text() + TWO_ROWS)
    return open_catalog([path])


def rows_of(adoptions: list[Adoption]) -> dict[str, str]:
    """What is in the cache, and whose it is."""
    return {one.path.name: one.asset.row for one in adoptions if one.path and one.asset}


def test_everything_of_a_share_at_once(
    three_rows: Catalog, there: Path, small_weights: Callable[..., bytes]
) -> None:
    """Files of one name in folders named after the runs, copies, blanks, other endings, a readme.

    All that is clear is taken under a name of its own, the same again is said to be here.
    """
    files = {
        "r18_w4_inat/mix_modecutmix/epoch_100.pth": small_weights(1),
        "r18_w4_inat/mix_modecutmix/20220822_101010.log.json": b'{"mode": "cutmix"}',
        "r18_w4_inat/mix_modemixup/epoch_100.pth": small_weights(2),
        "r18_w4_inat/mix_modemixup/20220822_101010.log.json": b'{"mode": "mixup"}',
        "ResNet18_w4 vanilla (final) (1).pth.tar": small_weights(3),
        "说明.txt": b"?",
    }
    for name, content in files.items():
        bring(there / name, content)

    first = import_files(find_files([there]), three_rows, benchmark="own")
    second = import_files(find_files([there]), three_rows, benchmark="own")

    vanilla = f"{ROW}.pth.tar"
    assert rows_of(first) == {
        f"{CUTMIX}.pth": CUTMIX,
        f"{CUTMIX}.log.json": CUTMIX,
        f"{MIXUP}.pth": MIXUP,
        f"{MIXUP}.log.json": MIXUP,
        vanilla: ROW,
    }
    assert cached()[f"{MIXUP}.pth"] == small_weights(2)
    assert [one.what for one in first].count("linked") == 5
    assert [one.what for one in second].count("already here") == 5
    assert [one.file.name for one in second if one.error] == ["说明.txt"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_parts_of_an_archive_are_taken(
    three_rows: Catalog, there: Path, small_weights: Callable[..., bytes], kind: str
) -> None:
    """Of weights and logs, by its folders' names; nothing else of it, and nothing is left over."""
    parts = {
        "all/cutmix/epoch_100.pth": small_weights(1),
        "all/cutmix/run.log.json": b"{}",
        "all/cutmix/.hidden.pth": b"?",
        "__MACOSX/all/cutmix/._epoch_100.pth": b"?",
        "all/notes.docx": b"?",
    }
    path = archive_of(there / f"resnet18_w4.{kind}", parts)

    adoptions = import_files([path], three_rows, as_copies=True)

    assert rows_of(adoptions) == {f"{CUTMIX}.pth": CUTMIX, f"{CUTMIX}.log.json": CUTMIX}
    assert sorted(one.file for one in adoptions) == [
        path / "all/cutmix/epoch_100.pth",
        path / "all/cutmix/run.log.json",
    ]
    assert cached()[f"{CUTMIX}.pth"] == small_weights(1)
    assert [one.name for one in cache_root().iterdir() if one.name.startswith(".import")] == []


def archive_of(path: Path, parts: dict[str, bytes]) -> Path:
    folder = path.parent.parent / "to_pack"
    for name, content in parts.items():
        bring(folder / name, content)
    kind = "gztar" if path.name.endswith("gz") else path.suffix[1:]
    return Path(shutil.make_archive(str(path).removesuffix(f".{kind}"), kind, folder)).rename(path)


@pytest.mark.parametrize(
    ("start", "said"),
    [(b"Rar!\x1a\x07\x01\x00", "RAR"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"BZh9", "bzip2")],
)
def test_archive_that_cannot_be_opened_is_named(
    three_rows: Catalog, give: Give, start: bytes, said: str
) -> None:
    """With what to do."""
    adoption = give(three_rows, "r18_w4_cutmix.zip", start + b"?" * 600)

    assert adoption.error is UsageError
    assert said in adoption.detail
    assert "unpack it first" in adoption.detail


def test_archive_that_is_a_trap_is_refused_whole(three_rows: Catalog, there: Path) -> None:
    """A link, a way out, a bomb: nothing of it is taken."""
    there.joinpath("bomb").mkdir()
    bomb = archive_of(there / "bomb.zip", {"cutmix/a.pth": b"", "mixup/a.pth": bytes(8 << 20)})
    out = bring(there / "out.zip", zipped(("../cutmix/a.pth", b"")))

    adoptions = import_files([bomb, out], three_rows)

    assert [one.error for one in adoptions] == [IntegrityError] * 2
    assert "to grow at most" in adoptions[0].detail
    assert "leads out of the folder" in adoptions[1].detail
    assert cached() == {}


def test_content_says_the_row_where_no_name_does(
    three_rows: Catalog, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """By the config in it; without one the rows are told that it could be, and how to say it."""
    told = give(three_rows, "model_a.pth", small_weights(1, config=CONFIG.format("mixup")))
    silent = give(three_rows, "model_b.pth", small_weights(2), benchmark="own")
    odd = give(
        three_rows, "cutmix_resnet18_w4.pth", small_weights(3, config=CONFIG.format("mixup"))
    )

    assert told.asset is not None
    assert told.asset.row == MIXUP
    assert f"it could be {ROW} or {CUTMIX} or {MIXUP}" in silent.detail
    assert f"--row {ROW}" in silent.detail
    assert "its name says one thing, its content another" in odd.detail


def test_same_bytes_under_two_rows_are_asked_about(
    three_rows: Catalog, there: Path, small_weights: Callable[..., bytes]
) -> None:
    """One of both names is wrong; a copy under the same row's name is only a copy."""
    for name in ("r18_w4_cutmix.pth", "r18_w4_mixup.pth"):
        bring(there / "two" / name, small_weights(1))
    for name in ("resnet18_w4_vanilla.pth", "b/resnet18_w4_vanilla (1).pth"):
        bring(there / "copies" / name, small_weights(2))

    two = import_files(find_files([there / "two"]), three_rows, benchmark="own")
    copies = import_files(find_files([there / "copies"]), three_rows, benchmark="own")

    assert [one.error for one in two] == [UsageError] * 2
    assert all("under the names of several rows" in one.detail for one in two)
    assert [one.what for one in copies] == ["linked", "already here"]
    again = import_files([there / "copies/resnet18_w4_vanilla.pth"], three_rows, row=MIXUP)
    assert f"it is here as weights of {ROW}" in again[0].detail


STARTS = [
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"\x80\x02",
    b"\x08\0\0\0\0\0\0\0{",
    b"Rar!\x1a\x07",
    b"",
    b"{",
]
ENDS = [".pth", ".zip", ".tar.gz", ".safetensors", ".log.json", ".pth.tar", ".txt", ""]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=12),
    end=st.sampled_from(ENDS),
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=700),
)
def test_whatever_is_brought_is_taken_or_refused_in_one_line(
    three_rows: Catalog, there: Path, name: str, end: str, start: bytes, rest: bytes
) -> None:
    """Bytes of any kind under any name: never another error, and never taken for weights."""
    path = there / f"f{name}{end}"
    path.write_bytes(start + rest)

    for adoption in import_files([path], three_rows, row=ROW):
        assert adoption.error or adoption.asset is None or adoption.asset.kind == "log"
        assert "\n" not in adoption.detail


def test_name_that_fits_two_benchmarks_needs_a_word(
    write_benchmark: Write, give: Give, small_weights: Callable[..., bytes]
) -> None:
    """Two benchmarks have files of the same name; a name that says the benchmark needs no word."""
    manifests = [write_benchmark(RULES), write_benchmark(RULES, benchmark="other")]
    catalog = open_catalog(manifests)

    unsure = give(catalog, "resnet18_w4_vanilla.pth", small_weights())
    told = give(catalog, "resnet18_w4_vanilla.pth", small_weights(), benchmark="other")
    clear = give(catalog, "resnet18_w4_vanilla_own.pth", small_weights())

    assert "its name fits own, other. Say which: mixzoo zoo import" in unsure.detail
    assert "--benchmark other" in unsure.detail
    assert told.asset.row == "resnet18_w4.vanilla_other"
    assert clear.asset.row == ROW


def test_hash_overrules_what_a_person_says(write_benchmark: Write, give: Give) -> None:
    """A file that is another row's by its hash isn't taken for the named one."""
    text = write_benchmark("", BYTES)
    second = 'id = "resnet18_w4.mixup_own"\narchitecture = "resnet18_w4"\nmethod = "mixup"'
    text.write_text(text.read_text() + f"[[rows]]\n{second}\nreported_top1 = 11.0\n")
    catalog = open_catalog([text])

    adoption = give(catalog, "x.pth", row="resnet18_w4.mixup_own")

    assert f"its hash says that it is {ROW}" in adoption.detail
    assert ROW in give(catalog, "x.pth", benchmark="inat2018").detail
    assert cached() == {}


def test_what_lies_in_the_place_gives_way(locked: Catalog, give: Give) -> None:
    """A damaged file is kept under another name; what a broken line has delivered isn't needed."""
    bring(assets_folder("own") / "w.pth", b"rotten")
    bring(assets_folder("own") / ".w.pth.part", BYTES[:9])
    bring(assets_folder("own") / ".w.pth.part.json", b"{}")

    give(locked, "w.pth")

    assert cached() == {"w.pth": BYTES, "w.pth.damaged": b"rotten"}


def test_link_shares_the_bytes_and_copy_does_not(locked: Catalog, there: Path, give: Give) -> None:
    """A link costs no space; a copy survives whatever happens to the download."""
    source, target = bring(there / "w.pth"), assets_folder("own") / "w.pth"

    linked = give(locked, source.name)
    same = target.samefile(source)
    target.unlink()
    copied = give(locked, source.name, as_copies=True)

    assert (linked.what, same) == ("linked", True)
    assert (copied.what, target.samefile(source)) == ("copied", False)
    assert target.read_bytes() == BYTES


def test_link_to_a_file_adopts_the_file(locked: Catalog, there: Path) -> None:
    """A symbolic link would die with its target's folder."""
    (there / "link.pth").symlink_to(bring(there / "real.pth"))

    import_files([there / "link.pth"], locked)

    assert not (assets_folder("own") / "w.pth").is_symlink()
    assert cached() == {"w.pth": BYTES}


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on another file system, with the cache on it; skips where there is none."""
    import tempfile

    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        monkeypatch.setenv("MIXZOO_CACHE", folder)
        yield Path(folder)


@pytest.mark.usefixtures("other_disk")
def test_across_file_systems_files_are_copied(locked: Catalog, give: Give) -> None:
    """No hard link is possible there."""
    adoption = give(locked, "w.pth")

    assert adoption.what == "copied"
    assert cached() == {"w.pth": BYTES}


def test_full_disk_leaves_the_old_state(
    locked: Catalog, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC in the middle of a copy: one line, no temporary file."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    adoption = give(locked, "w.pth", as_copies=True)

    assert adoption.error is SourceError
    assert "No space left on device" in adoption.detail
    assert list(assets_folder("own").iterdir()) == []


@pytest.mark.parametrize(("as_copy", "keeps_time"), [(False, False), (True, False), (True, True)])
def test_file_that_changes_between_hash_and_adoption_is_refused(
    locked: Catalog, there: Path, as_copy: bool, keeps_time: bool
) -> None:
    """A download that still goes on; for a copy even if size and time stay the same."""
    path = bring(there / "w.pth")
    stat = path.stat()
    sha256 = hashlib.sha256(BYTES).hexdigest()
    arrival = Arrival(path, stat.st_size, stat.st_mtime_ns, sha256, BYTES[:512])
    (identity,) = identify([arrival], locked, [locked.benchmark("own")])
    assert isinstance(identity, Identity)
    bring(path, BYTES[:-1] + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + (0 if keeps_time else 1_000_000)))

    with pytest.raises(IntegrityError, match="changed while it was read"):
        adopt(arrival, identity, as_copy)

    assert list(assets_folder("own").iterdir()) == []


def test_file_that_a_download_holds_is_left_to_it(locked: Catalog, give: Give) -> None:
    """Two processes never write one file at once."""
    lock = process_lock_path("own", "w.pth")
    lock.parent.mkdir(parents=True)

    with FileLock(lock):
        adoption = give(locked, "w.pth")

    assert "another process is fetching it" in adoption.detail
    assert cached() == {}


def test_folders_are_searched_without_hidden_files_and_the_cache(tmp_path: Path) -> None:
    """Each file once, in order; links to folders aren't followed."""
    there = tmp_path / "downloads"
    for name in ("b.pth", "sub/a.pth", ".DS_Store", "sub/.git/x"):
        bring(there / name)
    (there / "loop").symlink_to(there)
    inside = bring(cache_root() / "w.pth")

    found = find_files([there, there / "b.pth", inside])

    assert [p.relative_to(there).as_posix() for p in found] == ["b.pth", "sub/a.pth"]
    with pytest.raises(UsageError, match="does not exist"):
        find_files([tmp_path / "gone"])
