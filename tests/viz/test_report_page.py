"""The page says everything that the report holds, fetches nothing and lets nothing in."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest
from mixzoo.eval.report import COLUMNS
from mixzoo.viz.lanes import accuracy_plot, gap_plot, group_plot, reliability_plot
from mixzoo.viz.report_page import in_words, to_html, to_markdown
from mixzoo.viz.save import inline_svg
from mixzoo.zoo.report import Report, parse_report

from ..report_example import example_report

OPTIONAL = ("failures", "unreadable")
OPTIONAL_OF_HEADS = ("breakdown", "calibration", "precision")
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


def example(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Report:
    """Two checkpoints, one with four heads: with everything that a report can hold."""
    content = example_report()
    row = next(row for row in content["rows"] if row["id"].startswith("resnet50.automix"))
    other = deepcopy(row) | {"id": "resnet50.other", "verdict": "new word"}
    content["rows"] = [row, bare(other)]
    change(content)
    return parse_report(content, "example")


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is optional."""
    row.pop("claims", None)
    for head in row["heads"]:
        for key in OPTIONAL_OF_HEADS:
            head.pop(key, None)
    return row


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
    """Every head's number can be read, and every row's verdict and reason."""
    for row in example().rows:
        assert row.verdict in page.text
        assert f"{row.reason}." in page.text
        for head in row.heads:
            assert head.head in page.text
            assert f"{head.top1:.3f}" in page.text
    for rule in example().rules.values():
        assert rule in page.text
    assert "-0.164" in page.text


def test_a_verdict_stands_beside_the_head_that_carries_it() -> None:
    """Once a row, with the sign that tells it without colour."""

    def carry(content: dict[str, Any]) -> None:
        content["rows"][0]["head"] = "mix_q"

    lines = re.findall(r"<tr.*?</tr>", to_html(example(carry)), re.DOTALL)

    (told,) = [line for line in lines if "resnet50.automix" in line]
    assert "mix_q" in told
    assert "✓</i>reproduced" in told


def test_markdown_says_the_same() -> None:
    """Table, rules, notes and provenance; a pipe in a name doesn't break the table."""

    def odd(content: dict[str, Any]) -> None:
        content["rows"][0]["id"] = "odd|name<b>"

    text = to_markdown(example(odd))

    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {len(COLUMNS) + 1}
    assert r"| odd\|name&lt;b> |" in text
    assert "overrides (resize 263 instead of 256)" in text
    assert "- **reproduced**: rounds to the published digits." in text
    assert "b" * 64 in text
    assert "**Protocol changed by hand: resize 263 instead of 256.**" in text


def test_page_warns(page: Page) -> None:
    """Overrides, failed checkpoints, unreadable images and the checkpoint's own word stand there."""
    assert "The protocol was changed by hand: resize 263 instead of 256." in page.text
    assert "could not be evaluated: resnet50.fmix_inat2018: expected the file" in page.text
    assert "train_val2018/Aves/3001/0a1b.jpg" in page.text
    for sentence in example().rows[0].claims.disagreements:
        assert sentence in page.text
    assert "resnet50_w4" in page.text


def test_page_shows_provenance(page: Page) -> None:
    """What is needed to get the same again: hashes, versions, protocol, guard."""
    for text in ("b" * 64, example().rows[0].weights.sha256, "torch 2.9.0", "0.0931"):
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

    def strip(content: dict[str, Any]) -> None:
        for key in OPTIONAL:
            content.pop(key)
        content["rows"] = [bare(row) for row in content["rows"]]

    page = Page(to_html(example(strip)))

    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2
    assert "says of itself" not in page.text


def test_page_of_rows_without_published_numbers() -> None:
    """There is no gap to draw, and a dash where a number would be."""

    def unpublish(content: dict[str, Any]) -> None:
        content["benchmark"] = None
        content["rows"] = content["rows"][:1]
        row = content["rows"][0]
        del row["reported_top1"]
        row["verdict"] = "no published number"
        for head in row["heads"]:
            del head["gap_points"], head["gap_images"]

    page = Page(to_html(example(unpublish)))

    assert "The gap" not in page.text
    assert page.text.count("Top-1 recomputed\n") == 2


def test_page_without_rows() -> None:
    """All checkpoints failed: the page says so."""
    page = Page(to_html(example(lambda content: content.update(rows=[], rules={}))))

    assert "could not be evaluated" in page.text


EVIL = "</title></style></svg><script>alert(1)</script>\"'><b onclick=x>&amp;$x^{2}$ {{ 7 * 7 }}"


def test_everything_is_escaped() -> None:
    """Markup in any string of the report is shown as text, also inside pictures."""

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [spoil(one, key) for one in value]
        kept = not isinstance(value, str) or key in ("sha256", "list_sha256", "head")
        return value if kept else value + EVIL

    page = Page(to_html(example(lambda content: content.update(spoil(dict(content))))))

    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script"}
    assert not any("onclick" in attributes for _, attributes in page.tags)
    assert "49" not in page.text[:400]
    assert "{{ 7 * 7 }}" in page.text


def test_page_is_the_same_again(html: str) -> None:
    """One report gives one text, byte by byte."""
    assert to_html(example()) == html


def test_figures_hold_the_numbers() -> None:
    """Dots stand at accuracies, gaps and bins, in the rows' order."""
    rows = example().rows
    head = rows[0].default

    accuracy, gap = accuracy_plot(rows), gap_plot(rows)
    dots = [line.get_xdata()[0] for line in accuracy.axes[1].lines if line.get_marker() != "None"]
    assert dots == [head.top5 for row in rows for head in row.heads]
    assert gap.axes[0].get_xlim()[1] > max(abs(row.judged.gap_points or 0) for row in rows)
    labels = [text.get_text() for text in group_plot(head.breakdown["shots"], 60.0).axes[0].texts]
    assert labels[0].startswith("many-shot (over 100)  (1863 of 2526)")
    assert head.calibration
    bins = head.calibration.bins
    (line,) = (one for one in reliability_plot(bins).axes[0].lines if one.get_marker() == "o")
    assert list(line.get_ydata()) == [one.accuracy for one in bins if one.count]


def test_svg_keeps_text_and_takes_the_pages_colours() -> None:
    """Text stays text, colours become variables, nothing of matplotlib's own remains."""
    svg = inline_svg(gap_plot(example().rows), "g", 'a "label"')

    ET.fromstring(svg)
    assert "resnet50.automix_inat2018, one_k" in svg
    assert "var(--good)" in svg
    assert "var(--font)" in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
    assert "<metadata" not in svg
    assert "DejaVu" not in svg


def test_words() -> None:
    """Plain data reads as text; what is empty is left out."""
    data = {"resize": 256, "mean": [0.5, 0.25], "overrides": {}, "head": {"k": True}, "none": None}

    assert in_words(data) == "resize 256, mean 0.5 0.25, head (k yes)"
