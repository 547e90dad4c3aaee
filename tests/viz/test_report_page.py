"""The page says everything that the report holds, fetches nothing and lets nothing in."""

import json
import re
import xml.etree.ElementTree as ET
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from mixzoo.viz.lanes import accuracy_plot, gap_plot, group_plot, reliability_plot
from mixzoo.viz.report_page import in_words, to_html
from mixzoo.viz.save import inline_svg
from mixzoo.zoo.errors import ManifestError

EXAMPLE = Path(__file__).with_name("example_report.json")
OPTIONAL = ("failures", "unreadable")
OPTIONAL_OF_ROWS = ("breakdown", "calibration", "precision", "claims")
VOID = {"meta", "br", "link", "input", "img", "hr", "path", "use"}


class Page(HTMLParser):
    """Checks nesting while it collects tags, attributes and text."""

    # ruff: noqa: D102  (the parser calls these)

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def example() -> dict[str, Any]:
    """Two checkpoints, one with four heads: with everything that a report can hold."""
    content = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    content["rows"] = [row for row in content["rows"] if row["id"].startswith("resnet50.automix")]
    content["rows"] += [
        deepcopy(content["rows"][0]) | {"id": "resnet50.other", "verdict": "new word"}
    ]
    for key in OPTIONAL_OF_ROWS:
        content["rows"][-1].pop(key, None)
    return content


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(example())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_fetches_and_runs_nothing(html: str, page: Page) -> None:
    """No script, no address of another host in anything that a browser would follow."""
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "img"}
    followed = [
        value or ""
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data") or name.startswith("on")
    ]
    assert all(value.startswith("#") for value in followed)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_page_shows_numbers_verdicts_and_rules(page: Page) -> None:
    """Every line's number, verdict and reason can be read."""
    for row in example()["rows"]:
        assert row["head"] in page.text
        assert f"{row['top1']:.3f}" in page.text
        assert row["verdict"] in page.text
    for rule in example()["rules"].values():
        assert rule in page.text
    assert "−0.164" in page.text


def test_page_warns(page: Page) -> None:
    """Overrides, failed checkpoints, unreadable images and the checkpoint's own word stand there."""
    assert "The protocol was changed by hand: resize 263 instead of 256." in page.text
    assert "could not be evaluated: resnet50.fmix_inat2018: expected the file" in page.text
    assert "train_val2018/Aves/3001/0a1b.jpg" in page.text
    for sentence in example()["rows"][0]["claims"]["disagreements"]:
        assert sentence in page.text
    assert "resnet50_w4" in page.text


def test_page_shows_provenance(page: Page) -> None:
    """What is needed to get the same again: hashes, versions, protocol, guard."""
    for text in ("b" * 64, example()["rows"][0]["weights"]["sha256"], "torch 2.9.0", "0.0931"):
        assert text in page.text


def test_page_has_its_plots_in_words(page: Page) -> None:
    """Each picture is labelled for who can't see it: two overviews, three of the checkpoint."""
    labels = [a.get("aria-label") or "" for tag, a in page.tags if tag == "svg"]

    assert len(labels) == 5
    assert "resnet50.automix_inat2018 one_k" in labels[0]
    assert any("Plantae" in label for label in labels)


def test_ids_are_unique(page: Page) -> None:
    """Pictures on one page don't borrow each other's clip paths, and find their own."""
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    values = " ".join(value or "" for _, attributes in page.tags for value in attributes.values())
    meant = set(re.findall(r"url\(#([^)]+)\)", values))
    meant |= {a["xlink:href"].removeprefix("#") for _, a in page.tags if a.get("xlink:href")}

    assert ids
    assert len(set(ids)) == len(ids)
    assert meant == set(ids)


def test_page_does_without_optional_keys() -> None:
    """A report of today's keys alone makes a page."""
    content = example()
    for key in OPTIONAL:
        content.pop(key)
    for row in content["rows"]:
        for key in OPTIONAL_OF_ROWS:
            row.pop(key, None)

    page = Page(to_html(content))

    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2
    assert "says of itself" not in page.text


def test_page_of_rows_without_published_numbers() -> None:
    """There is no gap to draw, and a dash where a number would be."""
    content = example()
    content["rows"] = content["rows"][:1]
    content["rows"][0] |= {
        "reported_top1": None, "gap_points": None, "gap_images": None, "verdict": "no published number",
    }  # fmt: skip
    content["benchmark"] = None

    page = Page(to_html(content))

    assert "The gap" not in page.text
    assert page.text.count("Top-1 recomputed\n") == 2


def test_page_without_rows() -> None:
    """All checkpoints failed: the page says so."""
    page = Page(to_html(example() | {"rows": [], "rules": {}}))

    assert "could not be evaluated" in page.text


EVIL = "</title></style></svg><script>alert(1)</script>\"'><b onclick=x>&amp;$x^{2}$ {{ 7 * 7 }}"


def test_everything_is_escaped() -> None:
    """Markup in any string of the report is shown as text, also inside pictures."""

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [spoil(one, key) for one in value]
        return value + EVIL if isinstance(value, str) else value

    content = spoil(example())

    page = Page(to_html(content))

    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script"}
    assert not any("onclick" in attributes for _, attributes in page.tags)
    assert "49" not in page.text[:400]
    assert "{{ 7 * 7 }}" in page.text


def test_page_is_the_same_again(html: str) -> None:
    """One report gives one text, byte by byte."""
    assert to_html(example()) == html


def test_other_data_is_refused() -> None:
    """A file that is no report is an error of one line."""
    with pytest.raises(ManifestError, match=r"expected the keys of docs/report\.md"):
        to_html({"rows": [{"id": "x"}]})


def test_figures_hold_the_numbers() -> None:
    """Dots stand at accuracies, gaps and bins, in the rows' order."""
    rows = example()["rows"]

    accuracy, gap = accuracy_plot(rows), gap_plot(rows)
    dots = [line.get_xdata()[0] for line in accuracy.axes[1].lines if line.get_marker() != "None"]
    assert dots == [row["top5"] for row in rows]
    assert gap.axes[0].get_xlim()[1] > max(abs(row["gap_points"]) for row in rows)
    groups = rows[0]["breakdown"]["shots"]
    labels = [text.get_text() for text in group_plot(groups, 60.0).axes[0].texts]
    assert labels[0].startswith("many-shot (over 100)  (1863 of 2526)")
    bins = rows[0]["calibration"]["bins"]
    (line,) = (one for one in reliability_plot(bins).axes[0].lines if one.get_marker() == "o")
    assert list(line.get_ydata()) == [one["accuracy"] for one in bins if one["count"]]


def test_svg_keeps_text_and_takes_the_pages_colours() -> None:
    """Text stays text, colours become variables, nothing of matplotlib's own remains."""
    svg = inline_svg(gap_plot(example()["rows"]), "g", 'a "label"')

    ET.fromstring(svg)
    assert "resnet50.automix_inat2018, mix_q" in svg
    assert "var(--bad)" in svg
    assert "var(--font)" in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
    assert "<metadata" not in svg
    assert "DejaVu" not in svg


def test_words() -> None:
    """Plain data reads as text; what is empty is left out."""
    data = {"resize": 256, "mean": [0.5, 0.25], "overrides": {}, "head": {"k": True}, "none": None}

    assert in_words(data) == "resize 256, mean 0.5 0.25, head (k yes)"
