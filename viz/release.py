"""The pictures in a release's zip of visualisations, read without unpacking anything to disk."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..eval.pixels import decode
from ..zoo.archive import Entry, list_archive, open_zip, parts
from ..zoo.errors import IntegrityError, UsageError
from ..zoo.images import is_picture
from ..zoo.looks import command
from .canvas import Pixels
from .grid import Column, Row, Tile, draw_grid
from .themes import LIGHT, Theme

LARGEST = 64 << 20  # bytes of one picture file; honest ones have a few hundred thousand
SIDES = (1.7, 3.4)  # inches of a picture in a sheet: of many, of few
FEW = 4


def list_pictures(path: Path) -> list[Entry]:
    """The picture files of a zip, numbers in their names counted (epoch_9 before epoch_10).

    Nothing is unpacked. Raises UsageError if the file can't be opened or holds no pictures,
    IntegrityError if it is damaged, or has an entry that isn't safe (see `zoo.archive`).
    """
    content = list_archive(path)
    if content.refused:
        raise IntegrityError(f"{path.name}: {content.refused}. Nothing was read; get another copy.")
    found = [e for e in content.entries if not e.is_folder and is_picture(parts(e.name))]
    if not found:
        raise UsageError(
            f"{path}: expected a zip with pictures, got {len(content.entries)} entries without "
            "any. Name another file."
        )
    return sorted(found, key=lambda one: _natural(one.name))


def read_pictures(path: Path, wanted: Sequence[Entry]) -> Iterator[Pixels]:
    """The pixels of listed pictures, (H, W, 3) uint8 each, in their order.

    Raises IntegrityError for a damaged zip or an entry that isn't as long as it says, DataError for
    one that can't be decoded.
    """
    with open_zip(path) as archive:
        infos = {info.orig_filename: info for info in archive.infolist()}
        for one in wanted:
            if one.size > LARGEST:
                raise IntegrityError(
                    f"{path.name}: expected pictures of at most {LARGEST:,} bytes, "
                    f"{one.name!r} has {one.size:,}. Unpack it: {command('zoo', 'unpack', path)}"
                )
            with archive.open(infos[one.name]) as file:
                content = file.read(one.size + 1)
            if len(content) != one.size:
                raise IntegrityError(
                    f"{path.name}: {one.name!r} isn't {one.size:,} bytes long. Download it again."
                )
            yield decode(content, f"{path.name}: {one.name}")


def read_released(path: Path) -> tuple[Pixels, str]:
    """A picture file's pixels, (H, W, 3) uint8, and its name; of a zip's pictures the last one's.

    Raises OSError if the file can't be read, else as `list_pictures` and `read_pictures`.
    """
    if path.suffix.lower() != ".zip":
        return decode(path.read_bytes(), str(path)), path.name
    last = list_pictures(path)[-1]
    return next(read_pictures(path, [last])), last.name


def draw_sheet(
    pictures: Sequence[Pixels],
    names: Sequence[str],
    theme: Theme = LIGHT,
    *,
    title: str = "",
) -> Figure:
    """Pictures of any shapes side by side, each with its name below.

    Raises ValueError without any picture.
    """
    width = min(len(pictures), 2 if len(pictures) <= FEW else 4)
    tiles = [Tile(one, name) for one, name in zip(pictures, names, strict=True)]
    lines = [tiles[start : start + width] for start in range(0, len(tiles), width)]
    rows = [Row(tuple(Column((tile,)) for tile in line)) for line in lines]
    return draw_grid(rows, theme, title=title, tile=SIDES[len(pictures) <= FEW])


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers by value and words by letter."""
    pieces = re.findall(r"\d+|\D+", name.lower())
    return [(int(one), "") if one.isascii() and one.isdigit() else (-1, one) for one in pieces]
