"""Figures become files whole or not at all, with searchable text, the same bytes each time."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mixzoo.viz.axes import new_figure
from mixzoo.viz.save import FORMATS, figure_bytes, named_format, save_figure
from mixzoo.viz.themes import DARK
from mixzoo.zoo.errors import UsageError
from PIL import Image

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "jpg": b"\xff\xd8\xff"}


@pytest.fixture
def figure() -> Figure:
    made = new_figure(2, 1, DARK)
    made.text(0.1, 0.5, "searchable", color=DARK.ink)
    return made


@pytest.mark.parametrize("kind", FORMATS)
def test_name_decides_the_format(figure: Figure, tmp_path: Path, kind: str) -> None:
    """Upper case or not; missing folders are made."""
    path = tmp_path / "new" / f"plot.{kind.upper()}"

    save_figure(figure, path)

    assert path.read_bytes().startswith(MAGIC[kind])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["plot", "plot.txt", "plot.gif", ".png"])
def test_other_names_are_refused(name: str) -> None:
    """With those that are possible."""
    with pytest.raises(UsageError, match=r"expected a name ending in one of \.png, \.svg"):
        named_format(Path(name))


def test_ground_is_kept(figure: Figure, tmp_path: Path) -> None:
    """A dark figure has a dark file."""
    save_figure(figure, tmp_path / "plot.png")

    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.convert("RGB").getpixel((2, 2)) == (0x16, 0x19, 0x1D)


def test_text_stays_text(figure: Figure) -> None:
    """For searching, reading out and editing."""
    assert b">searchable<" in figure_bytes(figure, "svg")
    assert b"/Type0" in figure_bytes(figure, "pdf").replace(b" ", b"")  # an embedded font


@pytest.mark.parametrize("kind", FORMATS)
def test_same_figure_gives_the_same_bytes(figure: Figure, kind: str) -> None:
    """No date, no random ids."""
    assert figure_bytes(figure, kind) == figure_bytes(figure, kind)


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """Nothing half-written, nothing beside it."""
    broken = Figure()
    broken.text(0.5, 0.5, r"$\notacommand{$")  # fails when it is drawn
    path = tmp_path / "plot.png"
    path.write_bytes(b"before")

    with pytest.raises(ValueError, match="notacommand"):
        save_figure(broken, path)

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
