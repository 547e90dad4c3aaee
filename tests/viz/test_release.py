"""Zips of released pictures are browsed without trusting them."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from mixzoo.viz.release import draw_sheet, list_pictures, read_pictures, read_released
from mixzoo.zoo.errors import DataError, IntegrityError, UsageError
from PIL import Image


def png(value: int, size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_pictures_are_listed_by_number(tmp_path: Path) -> None:
    """Epoch 9 comes before epoch 10; folders, texts and macOS's shadows aren't pictures."""
    names = [
        "v/epoch_10.png",
        "v/epoch_9.PNG",
        "v/",
        "v/log.txt",
        "__MACOSX/v/epoch_9.png",
        "a.jpg",
    ]
    path = write(tmp_path / "vis.zip", {name: png(1) if "." in name else b"" for name in names})

    listed = list_pictures(path)

    assert [one.name for one in listed] == ["a.jpg", "v/epoch_9.PNG", "v/epoch_10.png"]
    assert {one.size for one in listed} == {len(png(1))}


def test_pixels_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    """From the archive itself; no file appears."""
    path = write(tmp_path / "vis.zip", {f"epoch_{n}.png": png(10 * n) for n in range(4)})
    listed = list_pictures(path)

    pixels = list(read_pictures(path, [listed[3], listed[1]]))

    assert [int(one[0, 0, 0]) for one in pixels] == [30, 10]
    assert pixels[0].shape == (6, 8, 3)
    assert [one.name for one in tmp_path.iterdir()] == ["vis.zip"]


def test_one_picture_comes_from_a_file_or_a_zip(tmp_path: Path) -> None:
    """The last of a zip."""
    path = write(tmp_path / "vis.zip", {f"epoch_{n}.png": png(n) for n in (10, 9)})
    (tmp_path / "one.png").write_bytes(png(77))

    found = [read_released(path), read_released(tmp_path / "one.png")]

    assert [(int(pixels[0, 0, 0]), name) for pixels, name in found] == [
        (10, "epoch_10.png"),
        (77, "one.png"),
    ]


def test_a_sheet_shows_all_with_their_names() -> None:
    """Pictures of their own shapes, in lines."""
    pictures = [np.full((6, 8, 3), n, np.uint8) for n in range(6)]

    figure = draw_sheet(pictures, [f"epoch_{n}" for n in range(6)], title="vis.zip")

    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["vis.zip", *(f"epoch_{n}" for n in range(6))]
    assert [int(image.get_array()[0, 0, 0]) for image in figure.axes[0].images] == list(range(6))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("../epoch_1.png", png(1), "Nothing was read"),
        ("b.png", bytes(5 << 20), "at most 100 times"),
    ],
)
def test_one_bad_entry_refuses_the_whole_zip(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    """An unsafe name, though nothing would be written, or a bomb."""
    path = write(tmp_path / "vis.zip", {"epoch_0.png": png(0), name: content})

    with pytest.raises(IntegrityError, match=reason):
        list_pictures(path)


def test_a_large_entry_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left for `mixzoo zoo unpack`."""
    monkeypatch.setattr("mixzoo.viz.release.LARGEST", 10)
    path = write(tmp_path / "vis.zip", {"epoch_0.png": png(0)})

    with pytest.raises(IntegrityError, match="expected pictures of at most 10 bytes"):
        list(read_pictures(path, list_pictures(path)))


def test_a_damaged_picture_is_one_line(tmp_path: Path) -> None:
    """Its check sum tells, or its decoder."""
    path = write(tmp_path / "vis.zip", {"epoch_0.png": png(0)})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(bytes(content))

    with pytest.raises((IntegrityError, DataError), match=r"^vis\.zip: [^\n]*$"):
        list(read_pictures(path, list_pictures(path)))


def test_a_zip_without_pictures_says_so(tmp_path: Path) -> None:
    """It is whole, but not what was meant."""
    path = write(tmp_path / "vis.zip", {"log.txt": b"text"})

    with pytest.raises(UsageError, match="expected a zip with pictures, got 1 entries without any"):
        list_pictures(path)
