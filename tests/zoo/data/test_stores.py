"""Images read out of a tar are the files' bytes, in any process, and are found unasked."""

import json
import multiprocessing
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixzoo.zoo.data import FolderStore, TarStore, find_images
from mixzoo.zoo.data.prepare import prepare
from mixzoo.zoo.data.stores import index_path
from mixzoo.zoo.errors import DataError

from .conftest import Publish


@pytest.fixture
def both(publish: Publish, tmp_path: Path) -> tuple[Path, Path, dict[str, bytes]]:
    """One split prepared twice: folder of files, folder with a tar; and its images."""
    published = publish()
    for form in ("files", "tar"):
        prepare(published.request(tmp_path / form, form=form))
    return tmp_path / "files", tmp_path / "tar", published.images["val"]


def test_reads_what_the_files_hold(both: Any) -> None:
    """Byte for byte, and only what is there."""
    _, root, images = both
    store = TarStore(root / "val2018.tar")

    assert {name: store.read(name) for name in store.index} == images
    assert all(store.has(name) for name in images)
    assert not store.has("train_val2018/Aves/0/x.jpg")


def test_part_of_a_file(both: Any) -> None:
    """A few bytes can be had without the rest."""
    _, root, images = both
    name, data = next(iter(images.items()))

    assert TarStore(root / "val2018.tar").part(name, 5, 7) == data[5:12]


@pytest.mark.parametrize("where", [".", "val2018.tar"], ids=["folder", "tar"])
def test_found_by_folder_and_by_name(both: Any, where: str) -> None:
    """`find_images` needs no flag for either form, and the lists are equal."""
    files, root, images = both

    found = find_images(root / where)

    assert isinstance(found.store, TarStore)
    assert found.sha256() == find_images(files).sha256()
    assert found.files_sha256() == find_images(files).files_sha256()
    assert sorted(found.sizes) == sorted(find_images(files).sizes)
    assert len(found) == len(images)


def test_files_are_found_as_files(both: Any) -> None:
    """Without a tar, the folder itself is the store."""
    files, _, _ = both

    assert find_images(files).store == FolderStore(files)


@pytest.mark.parametrize("last", ["files", "tar"])
def test_form_that_was_prepared_last_is_read(publish: Publish, root: Path, last: Any) -> None:
    """Where a folder holds both, the mark tells which of them was checked."""
    published = publish()
    forms: dict[str, Any] = {"files": "tar", "tar": "files"}

    prepare(published.request(root, form=forms[last]))
    prepare(published.request(root, form=last))

    assert isinstance(find_images(root).store, TarStore if last == "tar" else FolderStore)


def test_tar_without_labels_is_a_question(both: Any, tmp_path: Path) -> None:
    """A tar elsewhere needs its labels named."""
    _, root, _ = both
    tar = Path(shutil.copy(root / "val2018.tar", tmp_path / "moved.tar"))

    with pytest.raises(DataError, match=r"expected moved\.json beside it"):
        find_images(tar)
    assert len(find_images(tar, root / "val2018.json")) == 24


def test_packed_archive_is_no_folder_of_images(publish: Publish) -> None:
    """The published archive has to be prepared first: the line says how."""
    with pytest.raises(DataError, match=r"is packed.*mixzoo data prepare BENCHMARK .* --archive"):
        find_images(publish().archive)


def test_copy_through_pickle(both: Any) -> None:
    """A pickle carries the path alone, also of a store that is open."""
    _, root, images = both
    store = TarStore(root / "val2018.tar")
    store.read(next(iter(images)))

    copy = pickle.loads(pickle.dumps(store))

    assert copy == store
    assert len(pickle.dumps(store)) < 300
    assert copy.read(next(iter(images))) == images[next(iter(images))]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_read_in_other_processes(both: Any, start: str) -> None:
    """Decoding processes read from a store that this process has open, all at once."""
    _, root, images = both
    store = TarStore(root / "val2018.tar")
    names = list(images) * 4
    store.read(names[0])

    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        read = list(pool.map(store.read, names, chunksize=5))

    assert read == [images[name] for name in names]


def test_descriptor_is_closed_with_the_store(both: Any) -> None:
    """Stores that went away leave no open file."""
    _, root, images = both
    store = TarStore(root / "val2018.tar")
    store.read(next(iter(images)))
    descriptor = store._descriptor
    os.fstat(descriptor)

    del store

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


INDEX_FAULTS: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "empty": lambda path: path.write_bytes(b""),
    "of another tar": lambda path: np.savez(
        path, names=np.zeros(1, np.uint8), offsets=[0], sizes=[9], tar_size=1
    ),
    "of negative places": lambda path: np.savez(
        path, **dict(np.load(path)) | {"offsets": np.full(24, -5), "sizes": np.full(24, -5)}
    ),
    "of huge arrays": lambda path: path.write_bytes(
        path.read_bytes().replace(b"'shape': (24,)", b"'shape': (9<<60,)"[:14])
    ),
    "of a deep header": lambda path: path.write_bytes(
        path.read_bytes().replace(b"{'descr'", b"{[[[[[[[")
    ),
    "without sizes": lambda path: np.savez(
        path,
        names=np.zeros(1, np.uint8),
        tar_size=path.with_suffix("").with_suffix("").stat().st_size,
    ),
}


@pytest.mark.parametrize("spoil", INDEX_FAULTS.values(), ids=INDEX_FAULTS)
def test_index_only_saves_time(both: Any, spoil: Callable[[Path], object]) -> None:
    """Where it is missing or wrong the headers are read."""
    _, root, images = both
    spoil(index_path(root / "val2018.tar"))
    store = TarStore(root / "val2018.tar")

    assert {name: store.read(name) for name in store.index} == images


def test_index_equals_the_headers(both: Any) -> None:
    """Stored and walked index are the same."""
    _, root, _ = both
    stored = TarStore(root / "val2018.tar").index

    index_path(root / "val2018.tar").unlink()

    assert TarStore(root / "val2018.tar").index == stored


def test_any_tar_will_do(both: Any, tmp_path: Path) -> None:
    """A tar that another program wrote beside the annotations is read as well."""
    files, _, images = both
    root = tmp_path / "packed"
    root.mkdir()
    shutil.copy(files / "val2018.json", root)
    with tarfile.open(root / "val2018.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(files / "train_val2018", "train_val2018")

    found = find_images(root)

    assert [found.read(i) for i in range(24)] == [images[name] for name in found.files]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tar: os.truncate(tar, 3000), "expected a whole tar of images, but"),
        (lambda tar: tar.write_bytes(b"<html>" * 999), "header is damaged"),
        (lambda tar: tar.unlink(), "cannot be read: No such file"),
    ],
    ids=["cut", "HTML", "absent"],
)
def test_tar_that_is_none(both: Any, spoil: Callable[[Path], object], message: str) -> None:
    """One line says what is wrong."""
    _, root, images = both
    spoil(root / "val2018.tar")

    with pytest.raises(DataError, match=message):
        TarStore(root / "val2018.tar").read(next(iter(images)))


def test_missing_file_is_named(both: Any) -> None:
    """What the tar doesn't hold is told with its name."""
    _, root, _ = both

    with pytest.raises(DataError, match=r"val2018\.tar: holds no a\.jpg"):
        TarStore(root / "val2018.tar").read("a.jpg")


def test_evaluation_is_the_same_from_both(
    shared: Path, golden: Path, tmp_path: Path, mixzoo: Callable[..., Any]
) -> None:
    """Predictions on ten real photographs don't depend on how they are stored."""
    folder, files, tar = shared / "data/cifar-inat2018", tmp_path / "files", tmp_path / "tar"
    for root in (files, tar):
        root.mkdir()
    with tarfile.open(folder / "val2018.json.tar.gz") as packed:
        content = json.load(packed.extractfile("val2018.json"))  # type: ignore[arg-type]
    content["images"] = content["images"][:10]
    ids = {image["id"] for image in content["images"]}
    content["annotations"] = [it for it in content["annotations"] if it["image_id"] in ids]
    names = {image["file_name"] for image in content["images"]}
    with tarfile.open(folder / "train_val2018.tar.gz") as packed:
        packed.extractall(files, [it for it in packed if it.name in names], filter="data")
    with tarfile.open(tar / "val2018.tar", "w") as packed:
        packed.add(files / "train_val2018", "train_val2018")
    for root in (files, tar):
        (root / "val2018.json").write_text(json.dumps(content))
    checkpoint = golden / "runs/tiny_cutmix_ep8/epoch_8.pth"

    rows = []
    for place in (files, tar / "val2018.tar"):
        flags = ["--resize", 36, "--crop", 32, "--workers", 0, "--precision", "fp32", "--fresh"]
        code, out, err = mixzoo("eval", checkpoint, "--data", place, *flags, "--json")
        assert code == 0, err
        rows.append(json.loads(out.replace(str(place), "DIR"))["rows"])

    assert rows[0][0]["heads"][0]["total"] == 10
    assert rows[0] == rows[1]
