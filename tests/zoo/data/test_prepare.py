"""A prepared split holds the published bytes, nothing else, and says what was checked."""

import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest
from mixzoo.zoo.data import find_images
from mixzoo.zoo.data.prepare import prepare
from mixzoo.zoo.data.request import read_mark
from mixzoo.zoo.errors import DataError, SourceError, UsageError
from mixzoo.zoo.net.sources import Location

from .conftest import Publish, Tree, annotation_json, md5


def images_below(root: Path, tree: Tree) -> dict[str, bytes]:
    """The images that lie in a folder as files."""
    return {name: data for name, data in tree(root).items() if name.startswith("train_val2018/")}


def images_in(tar: Path) -> dict[str, bytes]:
    """What a tar holds, by the standard library."""
    with tarfile.open(tar) as opened:
        return {it.name: opened.extractfile(it).read() for it in opened}  # type: ignore[union-attr]


@pytest.mark.parametrize("splits", [("val",), ("train",), ("train", "val")], ids="-".join)
@pytest.mark.parametrize("form", ["files", "tar"])
def test_images_of_the_split_and_nothing_else(
    publish: Publish, root: Path, tree: Tree, form: Any, splits: tuple[Any, ...]
) -> None:
    """Of the archive of both splits only the asked ones are stored, byte for byte.

    Beside them lie annotations and marks; as a tar each split has one that any program reads.
    """
    published = publish()

    prepare(published.request(root, splits, form=form))

    wanted = {name: data for split in splits for name, data in published.images[split].items()}
    if form == "files":
        assert images_below(root, tree) == wanted
    else:
        for split in splits:
            assert images_in(root / f"{split}2018.tar") == published.images[split]
        wanted = {f"{split}2018.tar{end}": b"" for split in splits for end in ("", ".index.npz")}
    notes = {f"{start}{split}2018.json" for split in splits for start in ("", "prepared-")}
    assert set(tree(root)) == {*wanted, *notes}


@pytest.mark.parametrize("stated", [True, False])
def test_mark_says_which_md5_was_compared(publish: Publish, root: Path, stated: bool) -> None:
    """Both archives were hashed whole; what the manifest doesn't state isn't claimed to be right."""
    published = publish(stated=stated)

    (done,) = prepare(published.request(root))

    mark = read_mark(root, "val2018.json")
    assert mark == done.mark
    assert mark.archive.checked == mark.annotations.checked == stated
    assert mark.archive.md5 == md5(published.archive)
    assert mark.archive.size == published.archive.stat().st_size
    assert mark.list_sha256 == find_images(root).sha256()


def test_second_run_reads_nothing(publish: Publish, root: Path) -> None:
    """A prepared folder is known by its mark, without the archive."""
    published = publish()
    (first,) = prepare(published.request(root))
    published.archive.unlink()

    (second,) = prepare(published.request(root))

    assert second.mark == first.mark
    assert not second.images


@pytest.mark.parametrize("form", ["files", "tar"])
def test_mark_without_all_images_vouches_for_nothing(
    publish: Publish, root: Path, tree: Tree, form: Any
) -> None:
    """If something went away after preparing, the next run mends it."""
    published = publish()
    prepare(published.request(root, form=form))
    whole = tree(root)
    lost = "val2018.tar" if form == "tar" else next(iter(published.images["val"]))
    (root / lost).unlink()

    prepare(published.request(root, form=form))

    assert tree(root) == whole


def test_mark_of_another_list_vouches_for_nothing(publish: Publish, root: Path) -> None:
    """Whoever shortened the annotations afterwards gets the published ones again."""
    published = publish()
    prepare(published.request(root))
    whole = (root / "val2018.json").read_bytes()
    (root / "val2018.json").write_bytes(annotation_json(list(published.images["val"])[:20]))

    (done,) = prepare(published.request(root))

    assert done.images == {"kept": 24}
    assert (root / "val2018.json").read_bytes() == whole


def test_unchecked_mark_is_not_enough_for_a_checked_run(publish: Publish, root: Path) -> None:
    """Once the manifest states an md5, an archive that had another one is read again."""
    published = publish()
    prepare(published.request(root))
    mark = root / "prepared-val2018.json"
    mark.write_text(mark.read_text().replace(published.dataset.files[0].md5, "0" * 32))

    (done,) = prepare(published.request(root))

    assert done.mark.archive.checked
    assert done.images == {"kept": 24}


def test_foreign_bytes_are_replaced(publish: Publish, root: Path, tree: Tree) -> None:
    """An image that lies there already counts only if it is the archive's, to the byte."""
    published = publish()
    same, other, longer, *_ = published.images["val"]
    for name in (same, other, longer):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    content = published.images["val"][other]
    (root / same).write_bytes(published.images["val"][same])
    (root / other).write_bytes(content[:-1] + b"\0")
    (root / longer).write_bytes(b"x" * 9999)

    (done,) = prepare(published.request(root))

    assert images_below(root, tree) == published.images["val"]
    assert done.images == {"written": 21, "kept": 1, "replaced": 2}


def test_missing_members_are_counted_and_named(publish: Publish, root: Path) -> None:
    """An archive without all images of the split prepares nothing."""
    published = publish(
        lambda entries: [it for it in entries if "/7/" not in it[0].name], stated=False
    )
    first = min(name for name in published.images["val"] if "/7/" in name)

    with pytest.raises(DataError, match=rf"2 of 24 images .* aren't in it, first {first}"):
        prepare(published.request(root))

    assert not (root / "prepared-val2018.json").exists()
    assert not (root / "val2018.json").exists()


@pytest.mark.parametrize("lie", ["beside the archive", "in the root"])
def test_archives_are_found_where_they_lie(publish: Publish, root: Path, lie: str) -> None:
    """Whoever names the archive needn't name what is beside it; what is in the root needs no name."""
    published = publish()
    plan = replace(published.request(root), annotations=())
    if lie == "in the root":
        plan = replace(plan, root=published.folder, archive=None)

    (done,) = prepare(plan)

    assert done.mark.annotations.checked
    assert done.images == {"written": 24}


def test_annotations_of_another_split_are_refused(publish: Publish, root: Path) -> None:
    """A file of another number of images, or with labels beyond the classes, isn't this split's."""
    published = publish()
    request, dataset = published.request(root), published.dataset
    fewer = msgspec.structs.replace(dataset.val, images=23)

    for facts, message in (
        ({"val": fewer}, r"expected 23 images, .* got 24"),
        ({"num_classes": 11}, "expected labels from 0 to 10, got 11"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(replace(request, dataset=msgspec.structs.replace(dataset, **facts)))


def test_two_runs_at_once(publish: Publish, root: Path) -> None:
    """The second is told to wait rather than to write into the same files."""
    from filelock import FileLock

    published = publish()
    root.mkdir()

    with (
        FileLock(root / ".preparing.lock"),
        pytest.raises(DataError, match="another process prepares it"),
    ):
        prepare(published.request(root))


def test_full_disk_is_one_line(publish: Publish, root: Path) -> None:
    """What the system refuses to write is told with its reason."""
    published = publish()
    (root / "train_val2018").mkdir(parents=True)
    (root / "train_val2018/Aves").write_text("a file where a folder must be")

    with pytest.raises(DataError, match=r"cannot be prepared: .* Make room or name"):
        prepare(published.request(root))


def test_fsspec_address(publish: Publish, root: Path, tree: Tree) -> None:
    """Any store that fsspec knows can hold the archive."""
    published = publish()
    fsspec.filesystem("memory").pipe("/prepare/all.tar.gz", published.archive.read_bytes())

    (done,) = prepare(published.request(root, archive="memory://prepare/all.tar.gz"))

    assert images_below(root, tree) == published.images["val"]
    assert done.mark.archive.checked


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("memory://nothing/here.tar.gz", SourceError, "memory://nothing/here.tar.gz: .*Check the"),
        ("warp://x/y.tar.gz", UsageError, "expected a path or URL; .*warp"),
        ("absent.tar.gz", SourceError, r"absent\.tar\.gz: cannot be read: No such file"),
    ],
)
def test_absent_source(publish: Publish, root: Path, address: str, kind: Any, message: str) -> None:
    """What can't be opened is named."""
    published = publish()
    archive = address if "://" in address else Path(address)

    with pytest.raises(kind, match=message):
        prepare(published.request(root, archive=archive))


def test_offline_refuses_addresses(
    publish: Publish, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIXZOO_OFFLINE holds for archives too."""
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")

    with pytest.raises(SourceError, match="MIXZOO_OFFLINE is set"):
        prepare(publish().request(root, archive="http://127.0.0.1:1/a.tar.gz"))


@pytest.mark.parametrize("form", ["files", "tar"])
def test_cifar_in_the_published_layout(shared: Path, root: Path, tree: Tree, form: Any) -> None:
    """3,000 real validation photos out of 9,806 equal what `tarfile` unpacks."""
    from mixzoo.zoo.data.request import Request
    from mixzoo.zoo.manifest import Dataset, Split

    folder = shared / "data/cifar-inat2018"
    val = Split(images=3000, annotations=["val2018.json"])
    dataset = Dataset(name="CIFAR", num_classes=10, val=val, image_tree="train_val2018")
    plan = Request(dataset, root, ["val"], Location(folder / "train_val2018.tar.gz"), (), form)

    prepare(plan)

    here = images_below(root, tree) if form == "files" else images_in(root / "val2018.tar")
    with tarfile.open(folder / "train_val2018.tar.gz") as tar:
        every = {it.name: tar.extractfile(it).read() for it in tar if it.isfile()}  # type: ignore[union-attr]
    named = set(find_images(root, root / "val2018.json").files)
    assert len(named) == 3000
    assert here == {name: data for name, data in every.items() if name in named}
