"""The drawn data set: its species, layout and annotations, the same on any machine."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import find_images, from_file
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.mini import dataset, draw, example, silhouette, species
from mixzoo.zoo.mini.dataset import paint
from mixzoo.zoo.mini.species import generator
from PIL import Image

# Equal for Pillow 11.2, 11.3, 12.0 and 13.0; versions before 11.2 draw some edges differently.
PIXELS = "bf83f1577fa2d438714e36febfb3aa0c6c22c0d1f677f4266dc1e97010bcd8c2"


@pytest.fixture(scope="module")
def annotations(mini_images: Path) -> dict[str, Any]:
    """The annotation file of the validation split."""
    return json.loads((mini_images / "val2018.json").read_text())


def test_a_species_id_is_its_position() -> None:
    """40 species, each with a name of its own."""
    known = species()

    assert [one.id for one in known] == list(range(40))
    assert len({one.name for one in known}) == 40


def test_training_counts_have_a_long_tail() -> None:
    """The most common species has 30 training pictures, the rarest 2."""
    counts = sorted((one.train_count for one in species()), reverse=True)

    assert (counts[0], counts[-1], sum(counts)) == (30, 2, 418)
    assert counts != [one.train_count for one in species()]


def test_pixels_are_the_recorded_ones() -> None:
    """The first validation picture of every species has the same pixels on every machine."""
    pixels = hashlib.sha256()

    for one in species():
        pixels.update(paint(one.name, generator(one.name, "val", 0)).tobytes())

    assert pixels.hexdigest() == PIXELS


def test_layout_is_read_like_the_official_one(mini_images: Path) -> None:
    """The reader of iNaturalist annotations finds 25 pictures of each species."""
    images = find_images(mini_images, names=["val2018.json"])

    assert Counter(images.labels) == dict.fromkeys(range(40), 25)
    assert all(file.startswith("train_val2018/") for file in images.files)


def test_records_have_the_official_fields(annotations: dict[str, Any], shared: Path) -> None:
    """Every record has the same fields as in a data set that follows the official format."""
    archive = shared / "data" / "cifar-inat2018" / "val2018.json.tar.gz"
    unpacked = subprocess.run(["tar", "-xzOf", archive], capture_output=True, check=True).stdout

    genuine = json.loads(unpacked)

    assert annotations.keys() == genuine.keys()
    for section in ("images", "annotations", "categories", "licenses"):
        assert annotations[section][0].keys() == genuine[section][0].keys()
    assert annotations["info"].keys() == genuine["info"].keys()


def test_images_do_not_stand_in_the_order_of_labels(annotations: dict[str, Any]) -> None:
    """Whoever pairs images and annotations by position gets wrong labels, as officially."""
    images = [image["id"] for image in annotations["images"]]
    labelled = [annotation["image_id"] for annotation in annotations["annotations"]]

    assert sorted(images) == sorted(labelled)
    assert images != labelled


def test_annotated_sizes_are_those_of_the_files(
    mini_images: Path, annotations: dict[str, Any]
) -> None:
    """Width and height are right, the long side is 160 to 200 pixels, and all shapes occur."""
    sizes = set()
    for image in annotations["images"][:100]:
        with Image.open(mini_images / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
        sizes.add((image["width"] > image["height"]) - (image["width"] < image["height"]))
        assert 160 <= max(image["width"], image["height"]) <= 200

    assert sizes == {-1, 0, 1}


def test_splits_share_no_file(tmp_path: Path, annotations: dict[str, Any]) -> None:
    """A training picture is never a validation picture, by name, number or content."""
    train = [example(one.id, 0, "train").tobytes() for one in species()]
    val = [example(one.id, 0).tobytes() for one in species()]

    assert not set(train) & set(val)
    assert min(image["id"] for image in annotations["images"]) == 418 + 1


def test_categories_are_listed_on_their_own(mini_images: Path, annotations: dict[str, Any]) -> None:
    """categories.json holds the same records as the annotation file."""
    listed = json.loads((mini_images / "categories.json").read_text())

    assert listed == annotations["categories"]
    assert listed[39]["name"] == "Tulifabula marginata"
    assert listed[39]["class"] == "Magnoliopsida"


def test_an_example_is_what_its_file_holds(mini_images: Path) -> None:
    """The picture without a data folder equals the decoded file, pixel by pixel."""
    images = from_file(mini_images, mini_images / "val2018.json")
    first = dict(zip(images.labels[::-1], images.files[::-1], strict=True))

    with Image.open(mini_images / first[7]) as opened:
        assert example(7, 0).tobytes() == opened.convert("RGB").tobytes()


@pytest.mark.parametrize("species_id", range(40))
def test_a_silhouette_is_where_the_organism_is(
    species_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without light, grain and blades: beside it lies the backdrop alone, on it hardly any of it."""
    name, behind_blades = species()[species_id].name, np.asarray(silhouette(species_id, 1))
    monkeypatch.setattr(dataset, "develop", lambda picture, rng: picture)
    monkeypatch.setattr(dataset, "foreground", lambda picture, habitat, rng: None)

    shown = np.asarray(silhouette(species_id, 1))

    bare = np.asarray(dataset._scene(name, generator(name, "val", 1)).picture.reduce(2))
    same = (np.asarray(paint(name, generator(name, "val", 1))) == bare).all(axis=2)
    assert same[shown == 0].all()
    assert same[shown == 255].mean() < 0.02
    assert (behind_blades <= shown).all()


@pytest.mark.parametrize(("species_id", "index"), [(40, 0), (-1, 0), (0, 25), (0, -1)])
def test_an_unknown_example_is_refused(species_id: int, index: int) -> None:
    """A species or an index that doesn't exist is named, with what exists."""
    with pytest.raises(DataError, match=r"from 0 to (39|24)"):
        example(species_id, index)


def test_drawing_again_restores_what_is_missing_and_touches_nothing_else(
    mini_images: Path, tmp_path: Path
) -> None:
    """After an interruption only missing pictures are drawn, with the bytes they had."""
    shutil.copytree(mini_images, tmp_path / "copy")
    before = (tmp_path / "copy" / "val2018.json").stat().st_ino
    images = from_file(mini_images, mini_images / "val2018.json")
    lost, kept = (tmp_path / "copy" / file for file in images.files[:2])
    lost.unlink()
    kept.write_bytes(b"kept as it is")

    draw(tmp_path / "copy", "val")

    assert lost.read_bytes() == (mini_images / images.files[0]).read_bytes()
    assert kept.read_bytes() == b"kept as it is"
    assert (tmp_path / "copy" / "val2018.json").stat().st_ino == before


def test_an_interrupted_drawing_leaves_no_annotations_and_no_part_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The annotation file appears last, so its presence means that the split is whole."""
    drawn = iter(range(10))

    def interrupted(name: str, rng: np.random.Generator) -> Image.Image:
        if next(drawn, None) is None:
            raise KeyboardInterrupt
        return paint(name, rng)

    monkeypatch.setattr("mixzoo.zoo.mini.dataset.paint", interrupted)

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, "val")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 10
    assert {path.suffix for path in files} == {".jpg"}


def test_drawn_splits_are_the_locked_ones(mini_images: Path) -> None:
    """The manifest's count and hashes are those of the drawing code."""
    expected = open_catalog().benchmark("mini").manifest.dataset.val

    images = from_file(mini_images, mini_images / "val2018.json")

    assert len(images) == expected.images
    assert images.sha256() == expected.list_sha256
    assert images.files_sha256() == expected.files_sha256


def test_a_root_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, the message names the folder."""
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match="can't be written there"):
        draw(tmp_path / "file", "val")


def test_drawing_needs_no_torch() -> None:
    """Importing the generator imports no tensor library, so listing and drawing start fast."""
    code = "import sys, mixzoo.zoo.mini; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
