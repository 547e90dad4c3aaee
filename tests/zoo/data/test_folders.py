"""Class folders as people have them: linked, come through a Mac, in every format that decodes."""

import os
from pathlib import Path

import pytest
from mixzoo.zoo.data import find_images
from mixzoo.zoo.data.labels import from_folders
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.images import FORMATS, SUFFIXES


def make(root: Path, *files: str) -> Path:
    """Empty files below a folder."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def listed(root: Path) -> dict[str, int]:
    """Files and labels of class folders."""
    found = from_folders(root)
    return dict(zip(found.files, found.labels, strict=True))


def test_linked_class_folder_counts(tmp_path: Path) -> None:
    """As torchvision's ImageFolder and timm follow links; so are links to single images."""
    disk = make(tmp_path / "disk", "b.jpg", "c.jpg")
    root = make(tmp_path / "root", "0/a.jpg")
    (root / "1").symlink_to(disk)
    (root / "0/d.jpg").symlink_to(disk / "b.jpg")

    assert listed(root) == {"0/a.jpg": 0, "0/d.jpg": 0, "1/b.jpg": 1, "1/c.jpg": 1}


def test_link_that_leads_back_is_no_folder_of_images(tmp_path: Path) -> None:
    """It is passed over, and said."""
    root = make(tmp_path, "0/a.jpg")
    (root / "0/1").symlink_to("..")

    found = from_folders(root)

    assert found.files == ("0/a.jpg",)
    assert "1 files and folders" in found.notes[0]
    assert "first 0/1" in found.notes[0]


def test_folder_under_two_names_is_refused(tmp_path: Path) -> None:
    """Its images would count twice, under two labels."""
    root = make(tmp_path, "0/a.jpg")
    (root / "1").symlink_to("0")

    with pytest.raises(DataError, match="0 and 1 are one folder"):
        from_folders(root)


def test_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    """It may have been a class: half of the images would be gone silently."""
    root = make(tmp_path, "0/a.jpg")
    (root / "1").symlink_to("/nowhere/1")

    with pytest.raises(DataError, match="1: is a link that leads nowhere"):
        from_folders(root)


def test_image_that_leads_nowhere_is_missing(tmp_path: Path) -> None:
    """As an image of a list is."""
    root = make(tmp_path, "0/a.jpg")
    (root / "0/b.jpg").symlink_to("/nowhere/b.jpg")

    with pytest.raises(DataError, match=r"1 of 2 images .* are missing, first 0/b\.jpg"):
        find_images(root)


def test_what_systems_leave_is_not_counted_but_said(tmp_path: Path) -> None:
    """Shadows of macOS, thumbnails of Windows, hidden folders, text: how many, and the first."""
    junk = ["0/._a.jpg", "0/.DS_Store", "0/Thumbs.db", "__MACOSX/0/._a.jpg", ".cache/7/a.jpg"]
    root = make(tmp_path, "0/a.jpg", *junk, "README.txt", "0/b.tif")

    found = from_folders(root)

    assert found.files == ("0/a.jpg",)
    assert "7 files and folders" in found.notes[0]
    assert (
        "first .cache: they are hidden, or no pictures by their names (.avif, .bm" in found.notes[0]
    )


def test_every_format_that_decodes_counts(tmp_path: Path) -> None:
    """In upper case too; one list of formats tells both what counts and what is opened."""
    root = make(tmp_path, *(f"3/{i}{end.upper()}" for i, end in enumerate(SUFFIXES)))

    assert len(listed(root)) == len(SUFFIXES)
    assert not from_folders(root).notes
    assert {f".{name.lower()}" for name in FORMATS} <= SUFFIXES


def test_folder_of_other_files_alone(tmp_path: Path) -> None:
    """What is there instead of images is named."""
    with pytest.raises(DataError, match=r"image folder found, but 1 other files, first 0/a\.tif"):
        from_folders(make(tmp_path, "0/a.tif"))


def test_training_folder_is_no_validation_set(tmp_path: Path) -> None:
    """`train/` without `val/`: its images aren't what a number is measured on."""
    make(tmp_path, "train/0/a.jpg", "train/1/b.jpg")

    with pytest.raises(DataError, match="train/ holds"):
        find_images(tmp_path)
    assert find_images(tmp_path, split="train").labels == (0, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Nothing is counted as if it weren't there."""
    root = make(tmp_path, "0/a.jpg", "1/b.jpg")
    (root / "1").chmod(0)

    with pytest.raises(DataError, match="1: cannot be read: Permission denied"):
        from_folders(root)
