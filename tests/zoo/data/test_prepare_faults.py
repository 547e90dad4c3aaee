"""Damaged, wrong and hostile archives: one clear line, nothing outside the folder, no mark."""

import errno
import gzip
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mixzoo.zoo.data.prepare import prepare
from mixzoo.zoo.data.texts import unpacked
from mixzoo.zoo.errors import DataError, IntegrityError, MixzooError, SourceError
from mixzoo.zoo.tars import StrictTar

from ...emulator.server import Emulator, Fault, Request, always, burst
from .conftest import NewEntry, Publish, Tree

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixzoo.zoo.net.stream.FIRST_PAUSE", 0.01)


@pytest.fixture
def refused(tmp_path: Path, tree: Tree) -> Callable[..., str]:
    """Prepares below a folder, expects a refusal that leaves no mark, and returns its line."""

    def refused(
        published: Any,
        kind: type[MixzooError] = IntegrityError,
        archive: str | None = None,
        form: str = "files",
        splits: tuple[str, ...] = ("val",),
    ) -> str:
        root = tmp_path / "deep/down/root"
        outside = tree(tmp_path)

        with pytest.raises(kind) as error:
            prepare(published.request(root, splits, archive, form))

        inside = {name for name in tree(root) if not name.startswith(".preparing/")}
        assert inside <= {name for split in splits for name in published.images[split]}
        below = root.relative_to(tmp_path).as_posix()
        here = tree(tmp_path).items()
        assert {name: data for name, data in here if not name.startswith(below)} == outside
        message = str(error.value)
        assert "\n" not in message
        return message

    return refused


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda it: it[: len(it) * 2 // 3], "expected a whole .tar.gz, but after"),
    "cut at its last byte": (lambda it: it[:-1], "expected a whole .tar.gz, but after"),
    "one byte flipped": (
        lambda it: it[:9000] + bytes([it[9000] ^ 255]) + it[9001:],
        "expected a whole .tar.gz, but after",
    ),
    "checksum flipped": (
        lambda it: it[:-8] + bytes([it[-8] ^ 1]) + it[-7:],
        "expected a whole .tar.gz, but after",
    ),
    "checksum flipped far behind the tar's end": (
        lambda it: gzip.compress(gzip.decompress(it) + bytes(3_000_000))[:-8] + bytes(8),
        "expected a whole .tar.gz, but after",
    ),
    "HTML": (lambda _: b"\n<!DOCTYPE html><html>Forbidden</html>", "got a web page (HTML)"),
    "empty": (lambda _: b"", "got an empty file"),
    "unpacked tar": (gzip.decompress, "expected a .tar.gz, got bytes that begin"),
    "no tar inside": (
        lambda _: gzip.compress(b"<html>" * 999),
        "a member's header is damaged",
    ),
    "tar cut inside": (
        lambda it: gzip.compress(gzip.decompress(it)[:40_000]),
        "expected a whole .tar.gz, but after",
    ),
    "tar without end": (
        lambda it: gzip.compress(gzip.decompress(it).rstrip(b"\0")),
        "expected a whole .tar.gz, but after",
    ),
}


@pytest.mark.parametrize("form", ["files", "tar"])
@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_archive(
    publish: Publish, refused: Refused, damage: Callable[[bytes], bytes], message: str, form: str
) -> None:
    """Where no md5 would tell, gzip's and tar's own structure does."""
    published = publish(stated=False)
    published.archive.write_bytes(damage(published.archive.read_bytes()))

    assert message in refused(published, form=form)


@pytest.mark.parametrize("seed", range(20))
def test_any_flipped_byte_is_noticed(publish: Publish, refused: Refused, seed: int) -> None:
    """One changed byte anywhere is an error, even if the archive still unpacks."""
    published, random = publish(), Random(seed)
    content = bytearray(published.archive.read_bytes())
    content[random.randrange(len(content))] ^= random.randint(1, 255)
    published.archive.write_bytes(content)

    message = refused(published)

    assert re.search(r"md5 is \w{32}, the manifest says|expected a (whole )?\.tar\.gz", message)


@pytest.mark.parametrize("form", ["files", "tar"])
def test_wrong_md5_then_the_right_archive(
    publish: Publish, refused: Refused, tmp_path: Path, tree: Tree, form: str
) -> None:
    """Images of another archive are replaced by the published ones; then it is prepared."""
    published = publish(folder="right")
    prepare(published.request(tmp_path / "undisturbed", form=form))

    def falsify(entries: list[Any]) -> list[Any]:
        last = [it.name for it, _ in entries if it.name in published.images["val"]][-1]
        return [(it, b"\0" * len(data) if it.name == last else data) for it, data in entries]

    other = publish(falsify, folder="wrong")
    right = published.archive.read_bytes()
    published.archive.write_bytes(other.archive.read_bytes())

    message = refused(published, form=form)

    expected = published.dataset.files[0].md5
    assert f"md5 is {other.dataset.files[0].md5}, the manifest says {expected}" in message
    assert "count as not prepared" in message
    published.archive.write_bytes(right)
    root = tmp_path / "deep/down/root"
    (done,) = prepare(published.request(root, form=form))
    assert done.mark.archive.checked
    assert bool(done.images["kept"]) == (form == "files")
    assert tree(root) == tree(tmp_path / "undisturbed")


def test_older_mark_is_gone_after_a_refusal(publish: Publish, root: Path) -> None:
    """A run that may have replaced images withdraws what an earlier one vouched for."""
    published = publish()
    prepare(published.request(root))
    (root / min(published.images["val"])).unlink()
    content = bytearray(published.archive.read_bytes())
    content[4] ^= 1  # the time in gzip's header, which nothing but the md5 covers
    published.archive.write_bytes(content)

    with pytest.raises(IntegrityError, match="the manifest says"):
        prepare(published.request(root))

    assert not (root / "prepared-val2018.json").exists()


def test_wrong_md5_of_the_annotations(publish: Publish, refused: Refused, tmp_path: Path) -> None:
    """Annotations are compared before the large archive is opened at all."""
    published = publish()
    path = published.folder / "val2018.json.tar.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=1))
    published.archive.unlink()

    message = refused(published)

    assert "val2018.json.tar.gz: md5 is" in message
    assert "Nothing was changed" in message


NO_FILE = "is a link or a device, not an image"
HOSTILE: dict[str, tuple[str | None, bytes, str]] = {
    "parent": ("../x.jpg", tarfile.REGTYPE, "leads out of the folder"),
    "parent within": ("train_val2018/../../../x.jpg", tarfile.REGTYPE, "leads out of the folder"),
    "absolute": ("/tmp/mixzoo-x.jpg", tarfile.REGTYPE, "has an absolute path"),
    "backslashes": ("..\\..\\x.jpg", tarfile.REGTYPE, "leads out of the folder"),
    "folder": ("../evil/", tarfile.DIRTYPE, "leads out of the folder"),
    "link's own name": ("../link", tarfile.SYMTYPE, "leads out of the folder"),
    "symlink": (None, tarfile.SYMTYPE, NO_FILE),
    "hard link": (None, tarfile.LNKTYPE, NO_FILE),
    "device": (None, tarfile.CHRTYPE, NO_FILE),
    "block device": (None, tarfile.BLKTYPE, NO_FILE),
    "pipe": (None, tarfile.FIFOTYPE, NO_FILE),
}


@pytest.mark.parametrize(("name", "kind", "message"), HOSTILE.values(), ids=HOSTILE)
def test_member_that_no_honest_archive_has(
    publish: Publish,
    new_entry: NewEntry,
    refused: Refused,
    name: str | None,
    kind: bytes,
    message: str,
) -> None:
    """A path out of the folder, though nothing asked for it; a link in the place of an image."""

    def replaced(entries: list[Any]) -> list[Any]:
        bad = new_entry(name or entries[20][0].name, b"", kind, "/etc/passwd")
        return [*entries[:20], bad, *entries[21:]]

    published = publish(replaced, stated=False)

    assert message in refused(published, splits=("train", "val"))


def test_links_through_which_a_member_would_leave(
    publish: Publish, new_entry: NewEntry, tmp_path: Path, root: Path, tree: Tree
) -> None:
    """A link that stands before the images is never made, so nothing can be written through it."""
    (tmp_path / "outside").mkdir()
    link = new_entry("train_val2018/Aves", b"", tarfile.SYMTYPE, str(tmp_path / "outside"))
    published = publish(lambda entries: [link, *entries])

    prepare(published.request(root))

    assert not (root / "train_val2018/Aves").is_symlink()
    assert not tree(tmp_path / "outside")


OUTSIDE = {
    "annotations": "val2018.json",
    "hook": ".git/hooks/post-checkout",
    "hidden image": "train_val2018/.git/a.jpg",
    "other tree": "train_val2017/Aves/0/a.jpg",
    "tree alone": "train_val2018",
    "program": "train_val2018/Aves/0/a.sh",
    "absolute": "/etc/a.jpg",
    "parent": "train_val2018/../../a.jpg",
    "backslashes": "train_val2018\\..\\..\\a.jpg",
    "drive": "C:/train_val2018/a.jpg",
    "control bytes": "train_val2018/\x1b[2J/a.jpg",
}


@pytest.mark.parametrize("form", ["files", "tar"])
@pytest.mark.parametrize("name", OUTSIDE.values(), ids=OUTSIDE)
def test_annotations_that_name_files_elsewhere(
    publish: Publish, new_entry: NewEntry, refused: Refused, name: str, form: str
) -> None:
    """Only images of the tree are ever written, though the archive holds what is asked for."""
    published = publish(lambda entries: [*entries, new_entry(name, b"evil")], stated=False)
    packed = published.folder / "val2018.json.tar.gz"
    content = json.loads(unpacked(packed.read_bytes(), packed))
    content["images"][0]["file_name"] = name
    packed.write_bytes(gzip.compress(json.dumps(content).encode()))

    message = refused(published, DataError, form=form)

    assert "Nothing was changed" in message or "expected image paths below" in message


def test_names_that_differ_by_case_alone(publish: Publish, refused: Refused) -> None:
    """On some disks one of two images would replace the other."""
    published = publish(stated=False)
    packed = published.folder / "val2018.json.tar.gz"
    content = json.loads(unpacked(packed.read_bytes(), packed))
    twin = content["images"][0]["file_name"].replace("train_val2018/", "train_val2018/x/").upper()
    content["images"][1]["file_name"] = twin.replace("TRAIN_VAL", "train_val")
    content["images"][0]["file_name"] = twin.lower()
    content["annotations"][1]["category_id"] = content["annotations"][0]["category_id"]
    packed.write_bytes(gzip.compress(json.dumps(content).encode()))

    assert "would be one file on some disks" in refused(published, DataError)


@pytest.mark.parametrize("where", ["train_val2018", "train_val2018/Aves", "train_val2018/Aves/0"])
def test_folder_that_is_a_link_out_of_the_root(
    publish: Publish, tmp_path: Path, root: Path, tree: Tree, where: str
) -> None:
    """Nothing is written through it, and the line says what to do."""
    (tmp_path / "outside").mkdir()
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).symlink_to(tmp_path / "outside")

    with pytest.raises(DataError, match=r"leads out of .*, to .*outside.*Remove the link"):
        prepare(publish().request(root))

    assert not list((tmp_path / "outside").iterdir())


def test_links_in_the_place_of_files(
    publish: Publish, tmp_path: Path, root: Path, tree: Tree
) -> None:
    """An image, the annotations, and what isn't whole yet take a link's place, not its target's."""
    published = publish()
    name, data = next(iter(published.images["val"].items()))
    outside = tmp_path / "outside"
    outside.write_bytes(data)
    (root / ".preparing").mkdir(parents=True)
    for link in (name, "val2018.json", ".preparing/image.part", "prepared-val2018.json"):
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(outside)

    prepare(published.request(root))

    assert outside.read_bytes() == data
    assert not [path for path in root.rglob("*") if path.is_symlink()]
    assert {it: found for it, found in tree(root).items() if it in published.images["val"]} == (
        published.images["val"]
    )


def test_work_folder_that_is_a_link(publish: Publish, tmp_path: Path, root: Path) -> None:
    """It is a folder of this run's own, or none."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").touch()
    root.mkdir()
    (root / ".preparing").symlink_to(tmp_path / "outside")

    prepare(publish().request(root))

    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["kept"]


def test_full_disk_leaves_nothing_half_written(
    publish: Publish, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are whole stay; what the disk had no room for is gone, and the rest follows."""
    published, write, left = publish(), Path.write_bytes, iter(range(8))

    def full(path: Path, data: bytes) -> int:
        if next(left, None) is None:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        message = refused(published, DataError)

    assert "No space left on device" in message
    assert not (tmp_path / "deep/down/root/.preparing").exists()
    (done,) = prepare(published.request(tmp_path / "deep/down/root"))
    assert done.images["kept"] > 0


@pytest.mark.parametrize("form", ["files", "tar"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_stopped_at_an_image(
    publish: Publish, root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, form: str, stop: Any
) -> None:
    """Ctrl-C and SIGTERM leave whole images alone, and the same command goes on."""
    published, taken = publish(), iter(range(7))
    body = StrictTar.body

    def stopped(tar: StrictTar, member: tarfile.TarInfo) -> bytes:
        if next(taken, None) is None:
            raise stop
        return body(tar, member)

    with monkeypatch.context() as patched:
        patched.setattr(StrictTar, "body", stopped)
        with pytest.raises(stop):
            prepare(published.request(root, form=form))

    here = {name: data for name, data in tree(root).items() if not name.startswith(".preparing.")}
    assert all(published.images["val"].get(name) == data for name, data in here.items())
    assert not (root / ".preparing").exists()
    (done,) = prepare(published.request(root, form=form))
    assert sum(done.images.values()) == 24


def test_member_that_stands_twice(publish: Publish, refused: Refused) -> None:
    """Which of the two is the image can't be known."""
    published = publish(lambda entries: [*entries, *entries], stated=False)

    assert "stands twice" in refused(published)


def test_size_that_no_image_has(publish: Publish, refused: Refused) -> None:
    """A header's lie of a terabyte is refused before memory is asked for."""
    published = publish(stated=False)
    content = bytearray(gzip.decompress(published.archive.read_bytes()))
    name = min(published.images["val"]).encode()
    start = content.index(name)
    header = tarfile.TarInfo(name.decode())
    header.size = 1 << 40
    content[start : start + 512] = header.tobuf(tarfile.GNU_FORMAT)
    published.archive.write_bytes(gzip.compress(bytes(content)))

    assert "claims 1,099,511,627,776 bytes" in refused(published)


def test_dropped_connections_are_resumed(
    publish: Publish, emulator: Emulator, root: Path, tree: Tree
) -> None:
    """After a reset, an early end and a busy server it goes on: one stream, one md5."""
    published = publish()
    emulator.files = {"/all.tar.gz": published.archive.read_bytes()}
    cuts = [Fault(cut=3000), Fault(end=2000), Fault(status=503)]
    emulator.store.plan = burst(*cuts, Fault(cut=1000))

    (done,) = prepare(published.request(root, archive=f"{emulator.front.url}/all.tar.gz"))

    assert done.mark.archive.checked
    assert {it: data for it, data in tree(root).items() if it in published.images["val"]} == (
        published.images["val"]
    )
    ranges = [request.headers.get("range") for request in emulator.store.requests]
    starts = [f"bytes={start}-" for start in (3000, 5000, 5000, 6000)]
    assert ranges == [None, *starts]


def test_server_without_ranges_cannot_go_on(
    publish: Publish, emulator: Emulator, refused: Refused
) -> None:
    """A broken connection is an error there that says what else can be done."""
    published = publish()
    emulator.files = {"/all.tar.gz": published.archive.read_bytes()}
    emulator.ranges = False
    emulator.store.plan = burst(Fault(cut=9000))

    message = refused(published, SourceError, f"{emulator.front.url}/all.tar.gz")

    assert "broke after 9,000 bytes, and can't be resumed" in message
    assert "fetch it with a download manager" in message


@pytest.mark.parametrize("heeds", [True, False])
def test_file_that_changes_on_the_server(
    publish: Publish, emulator: Emulator, refused: Refused, heeds: bool
) -> None:
    """Bytes of two files are never joined, whichever way the server tells that it changed."""
    published = publish(stated=False)
    content = published.archive.read_bytes()
    emulator.files = {"/all.tar.gz": content}

    def plan(_: Request) -> Fault | None:
        if len(emulator.store.requests) == 1:
            return Fault(cut=5000)
        if not heeds:
            return Fault(headers={"ETag": '"other"'})
        emulator.files["/all.tar.gz"] = content[::-1]
        return None

    emulator.store.plan = plan

    message = refused(published, SourceError, f"{emulator.front.url}/all.tar.gz")

    assert "The file changed there" in message


def test_server_that_never_answers_whole(
    publish: Publish, emulator: Emulator, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries without one new byte are bounded."""
    monkeypatch.setattr("mixzoo.zoo.net.stream.TRIES", 2)
    published = publish()
    emulator.files = {"/all.tar.gz": published.archive.read_bytes()}
    emulator.store.plan = always(Fault(cut=0))

    message = refused(published, SourceError, f"{emulator.front.url}/all.tar.gz")

    assert "gave up after 2 tries" in message


@pytest.mark.parametrize(("status", "message"), [(404, "HTTP 404"), (200, "a web page")])
def test_page_in_place_of_the_archive(
    publish: Publish, server: Any, refused: Refused, status: int, message: str
) -> None:
    """A missing file and a login page are told apart from a broken archive."""
    server.answers["/a.tar.gz"] = (status, {"Content-Type": "text/html"}, b"<html>")

    assert message in refused(publish(), SourceError, f"{server.url}/a.tar.gz")
