"""No text from elsewhere becomes a tag, a link, a formula or a control byte of what is written."""

import csv
import io
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mixzoo.eval.result_formats import to_csv, to_yaml
from mixzoo.viz.report_page import to_html, to_markdown
from mixzoo.zoo.looks import FORMULA_SIGNS
from mixzoo.zoo.report import Report, parse_report

from ..report_example import example_report

PIECES = [
    "<script>",
    "<img src=x>",
    "](http://x)",
    "![",
    "[a]: http://x",
    "`",
    "|",
    "\\",
    "\n",
    "\r",
]
PIECES += [
    "\x1b[2J",
    "\x00",
    "\u202e",
    "&lt;b>",
    "=HYPERLINK(1)",
    "+1",
    "-1",
    "@x",
    "<!--",
    "](j:",
    "a",
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=6).map("".join)


def report_with(text: str) -> Report:
    """The example, with this text wherever a report holds text of others."""
    content: dict[str, Any] = example_report()
    content["rows"] = content["rows"][:1]
    row = content["rows"][0]
    row["id"] = row["reason"] = row["weights"]["file"] = row["heads"][0]["head"] = text
    if row.get("head") is not None:
        row["head"] = text
    content["data"]["labels"] = content["benchmark"] = content["run"]["device"] = text
    content["failures"] = [{"id": text, "error": text}]
    content["unreadable"] = [{"file": text, "reason": text}]
    return parse_report(content, "example")


def inner(tokens: list[Token]) -> list[Token]:
    """Tokens of Markdown, and those within them."""
    return [t for token in tokens for t in (token, *inner(token.children or []))]


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
def test_markdown_has_no_html_and_no_links(text: str) -> None:
    """As a Markdown reader sees it, all of it is text."""
    page = to_markdown(report_with(text))

    kinds = {t.type for t in inner(MarkdownIt("commonmark").enable("table").parse(page))}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline", "fence"}
    assert all(c == "\n" or c.isprintable() for c in page)


@settings(max_examples=20, deadline=None)
@given(HOSTILE)
def test_table_has_no_formula(text: str) -> None:
    """No cell begins as a formula does, and YAML and CSV have no control bytes."""
    report = report_with(text)

    cells = [cell for line in csv.reader(io.StringIO(to_csv(report))) for cell in line]
    assert not [cell for cell in cells if cell.lstrip().startswith(FORMULA_SIGNS)]
    assert all(c == "\n" or category(c) != "Cc" for c in to_csv(report) + to_yaml(report))


@pytest.mark.parametrize("text", ["".join(PIECES), "</style><svg onload=1>", "&#60;b>"])
def test_page_has_no_foreign_tags(text: str) -> None:
    """The tags of a page are those of the same page with plain text."""
    tags = [to_html(report_with(one)).count("<") for one in (text, "plain")]

    assert tags[0] == tags[1]
    assert "\x1b" not in to_html(report_with(text))
