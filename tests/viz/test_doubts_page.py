"""The page of doubts: its pictures, its hostile names, and that it needs nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
from mixzoo.eval.compare import NamedPredictions
from mixzoo.eval.doubts import Doubts, find_doubts
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.doubts_page import MOST, to_html
from mixzoo.zoo.data import LabelledImages, find_images
from PIL import Image

HOSTILE = "<img src=x onerror=alert(1)>&\"'.png"


def missed(files: list[str]) -> Doubts:
    """Two rows that miss all of these."""
    rows = []
    for name in ("a<b>", "b"):
        known = Predictions.empty(np.arange(len(files)) % 3)
        known.top[:, 0] = 5
        known.confidence[:], known.state[:] = 0.9, 2
        rows.append(NamedPredictions(name, known, "", tuple(files)))
    return find_doubts(rows)


@pytest.fixture
def images(tmp_path: Path) -> LabelledImages:
    """A picture with a hostile name, a file that is none, and one that isn't there any more."""
    Image.new("RGB", (300, 200), (200, 30, 30)).save(tmp_path / "ok.png")
    (tmp_path / "ok.png").rename(tmp_path / HOSTILE.replace("/", ""))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "gone.png").write_bytes(b"soon")
    (tmp_path / "val.txt").write_text(f"{HOSTILE},0\nbroken.png,1\ngone.png,1\n")
    found = find_images(tmp_path)
    (tmp_path / "gone.png").unlink()
    return found


def test_pictures_are_inside_and_names_are_text(images: LabelledImages) -> None:
    """A broken file, and one that the list lacks, have none; nothing is fetched or run."""
    page = to_html(missed([HOSTILE, "broken.png", "gone.png", "../secret.png"]), images)

    assert page.count('src="data:image/jpeg;base64,') == 1
    assert page.count("No picture.") == 3
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "a&lt;b&gt;" in page
    assert not re.search(r"<script|https?://", page)


def test_without_images_the_page_is_a_list() -> None:
    """No pictures, all names."""
    page = to_html(missed(["x.jpg", "y.jpg"]))

    assert "data:image" not in page
    assert "x.jpg" in page
    assert "y.jpg" in page


def test_long_lists_are_cut_and_say_so() -> None:
    """The list beside the page has them all."""
    page = to_html(missed([f"{i}.jpg" for i in range(MOST + 7)]))

    assert page.count("<figure") == MOST
    assert "And 7 more, in the list." in page
