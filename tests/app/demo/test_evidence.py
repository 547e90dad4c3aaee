"""A row's evidence as a zip, and what visitors send to be judged again."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from mixzoo.app.demo import evidence, limits
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import MixzooError, UsageError

from ...mini_rows import VANILLA, hits, published
from .conftest import evaluated, report_text

RIGHT = hits(VANILLA)
MORE = RIGHT + 50


@pytest.fixture
def zipped(mini: Benchmark, keep_predictions: Callable[..., None], tmp_path: Path) -> Path:
    """The evidence of a row, as the page saves it."""
    _, stored = evaluated(VANILLA, {"head0": RIGHT})
    labels = next(iter(stored.heads.values())).labels.tolist()
    images = LabelledImages(FolderStore(tmp_path), stored.files, labels, "list")
    keep_predictions(VANILLA, RIGHT, list_sha256=images.sha256())
    path = tmp_path / "evidence.zip"
    path.write_bytes(evidence.packed(mini, mini.manifest.row(VANILLA)))
    return path


def test_saved_evidence_is_judged_alike(zipped: Path) -> None:
    """What the page saves it takes back: the same counts and verdict, derived from predictions."""
    page = evidence.check(zipped, open_catalog())

    assert f"{RIGHT} / 1000" in page
    assert "the evidence is intact" in page
    assert "as many images, but another list" in page  # the verdict is the table's, not the file's


def test_edited_evidence_is_told(zipped: Path, tmp_path: Path) -> None:
    """A report in it that says more than its predictions give is named."""
    edited = tmp_path / "edited.zip"
    with zipfile.ZipFile(zipped) as source, zipfile.ZipFile(edited, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("report.json"):
                content = content.replace(str(RIGHT).encode(), str(MORE).encode())
                content = content.replace(str(RIGHT / 10).encode(), str(MORE / 10).encode())
            target.writestr(name, content)

    page = evidence.check(edited, open_catalog())

    assert f"{RIGHT} / 1000" in page
    assert "the evidence differs from what it gives. It has no digest" in page
    assert "not intact" in page
    assert f"says {MORE}, the predictions give {RIGHT}" in page


def test_report_is_held_against_our_table(tmp_path: Path) -> None:
    """Its counts are judged by the table here, whatever verdict and published number it claims."""
    told = json.loads(report_text({(VANILLA, "head0"): RIGHT - 200}))
    told["rows"][0] |= {"verdict": "reproduced", "reported_top1": published(VANILLA) - 20}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(told))

    page = evidence.check(path, open_catalog())

    assert f"{RIGHT - 200} / 1000" in page
    assert str(published(VANILLA)) in page
    assert "not reproduced" in page
    assert "A report holds counts" in page


def test_nothing_to_save_is_said(mini: Benchmark) -> None:
    """A row that wasn't evaluated has no evidence."""
    with pytest.raises(UsageError, match="no evaluation of it is kept here"):
        evidence.packed(mini, mini.manifest.row(VANILLA))


def archive(**files: bytes) -> bytes:
    """A zip."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(zipfile.ZipInfo(name.replace("__", "/")), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "expected a report"),
        (b'{"rows": []}', "missing required field"),
        (b"[" * 100_000, "expected a report"),
        (archive(a=b"1"), "expected a zip of a folder"),
        (archive(**{"evidence.json": b"{}"}), "isn't evidence|expected"),
        (archive(**{"x__evidence.json": b"\xff"}), "isn't evidence|expected"),
        (archive(zeros=bytes(5 << 20)), "grow at most 100 times"),
        (archive(**{"..__..__evidence.json": b"{}"}), "leads out of the folder"),
        (archive(a=b"1")[:-30], "expected"),
    ],
    ids=["empty", "no-rows", "deep", "other-zip", "bare-index", "no-utf8", "bomb", "climbs", "cut"],
)
def test_hostile_file_is_one_line(content: bytes, why: str, tmp_path: Path) -> None:
    """Whatever is sent is refused by the house's errors, and nothing is left behind."""
    path = tmp_path / "sent.zip"
    path.write_bytes(content)

    with pytest.raises(MixzooError, match=why):
        evidence.check(path, open_catalog())

    assert list(tmp_path.iterdir()) == [path]


def test_unpacked_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest archives that are too large for a page are for one's own machine."""
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1 << 20)
    path = tmp_path / "large.zip"
    path.write_bytes(archive(noise=np.random.default_rng(0).bytes(2 << 20)))

    with pytest.raises(MixzooError, match="on your own machine: mixzoo eval check"):
        evidence.check(path, open_catalog())
