"""Images that all rows miss and labels in doubt, as one self-contained page with their pictures."""

import base64
import io
from collections.abc import Iterator, Sequence

from PIL import Image

from ..eval.doubts import ACCURACY, Doubt, Doubts, accuracy_cells, sentences
from ..eval.pixels import decode
from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from .pages import environment

SIDE = 220  # pixels of a picture's longer side
MOST = 200  # pictures of a page; each takes about 10 kB


def to_html(found: Doubts, images: LabelledImages | None = None) -> str:
    """The page: what was found, the accuracies, and the images, those in doubt first.

    images: what the list's files are read from; a file that it doesn't name or hold has no picture.
    All text is escaped; the page fetches nothing and runs nothing.
    """
    shown = [*pictured(found.doubts[:MOST], images)]
    in_doubt = [one for one in shown if one[0].in_doubt]
    missed = [one for one in shown if not one[0].in_doubt]
    return (
        environment()
        .get_template("doubts.html")
        .render(
            title=f"Where all {len(found.rows)} rows are wrong",
            found=found,
            sentences=sentences(found),
            columns=ACCURACY,
            accuracy=[dict(zip(ACCURACY, line, strict=True)) for line in accuracy_cells(found)],
            sections=[("Labels in doubt", in_doubt), ("Missed by all", missed)],
            left_out=len(found.doubts) - len(shown),
        )
    )


def pictured(doubts: Sequence[Doubt], images: LabelledImages | None) -> Iterator[tuple[Doubt, str]]:
    """Each image with its picture as a data address, "" where it can't be had."""
    places = {file: place for place, file in enumerate(images.files)} if images else {}
    for one in doubts:
        place = places.get(one.file)
        yield one, _address(images, place) if images and place is not None else ""


def _address(images: LabelledImages, place: int) -> str:
    try:
        pixels = decode(images.read(place), images.files[place], upright=True)
    except DataError:
        return ""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
