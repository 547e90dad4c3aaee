"""HTML of the demo's pages: escaped, and the same on a phone."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.app.demo import markup
from mixzoo.eval import sample, verdict
from mixzoo.eval.logs import RULES as LOG_RULES
from mixzoo.zoo.shelf import State

HOSTILE = '<img src=x onerror="alert(1)">\'&{{value}}${value}'


class Reader(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(str(page))

    def handle_starttag(self, tag: str, _: object) -> None:
        """Note an element."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


PARTS = {
    "heading": markup.heading,
    "paragraph": markup.paragraph,
    "notice": markup.notice,
    "bullets": lambda text: markup.bullets([text]),
    "command": markup.command,
    "link": lambda text: markup.link("https://example.org/", text),
    "verdict": lambda text: markup.verdict(text, text),
    "tally": lambda text: markup.tally([(text, 3)]),
    "rules": lambda text: markup.rules({text: text}),
    "definitions": lambda text: markup.definitions({text: text}),
    "table": lambda text: markup.table((text, text), [[text, text]]),
    "figure": lambda text: markup.figure(text, "<svg></svg>"),
    "folded": lambda text: markup.folded(text, markup.heading(text)),
    "progress": lambda text: markup.progress(1, 2, text),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_text_is_never_markup(part) -> None:
    """What a file or a visitor says can't become an element or an attribute."""
    page = Reader(markup.page(part(HOSTILE)))

    assert "img" not in page.tags
    assert HOSTILE in page.text


@given(st.text(), st.text())
def test_cells_come_back_as_they_are(first: str, second: str) -> None:
    """Any text stands in its cell (NUL and surrogates aside, which HTML has not)."""
    cells = [re.sub(r"[\x00\r\ud800-\udfff]", "", text) for text in (first, second)]

    page = Reader(markup.table(("A", "B"), [["x" + cells[0], "y" + cells[1]]]))

    assert page.text.endswith(f"x{cells[0]}y{cells[1]}")


def test_column_without_any_fact_is_left_out() -> None:
    """A table of what is known doesn't show what nobody knows."""
    page = markup.table(
        ("Row", "Log", "Size"), [["a", markup.EMPTY, "1"], ["b", markup.EMPTY, "-"]]
    )

    assert "Log" not in page
    assert "Size" in page


def test_cells_are_labelled_for_phones() -> None:
    """A phone has no header row, so every cell says its column; empty ones go."""
    page = markup.table(("Row", "Size"), [["a", "1"], ["b", markup.EMPTY]], numbers=["Size"])

    assert '<th class="number">Size</th>' in page
    assert '<td class="number" data-label="Size">1</td>' in page
    assert '<td class="number empty" data-label="Size">-</td>' in page


def test_side_rows_stand_back() -> None:
    """Heads that inference doesn't use are marked."""
    page = markup.table(("Head",), [["one_k"], ["mix_k"]], side=[1])

    assert page.count('<tr class="side">') == 1


@pytest.mark.parametrize("words", [verdict.RULES, LOG_RULES, sample.RULES])
def test_good_and_bad_are_told_without_colour(words: dict[str, str]) -> None:
    """No two looks share a sign."""
    looks = {markup.SIGNS.get(word, markup.OTHER_LOOK) for word in words}

    assert len({look for look, _ in looks}) == len({sign for _, sign in looks})


def test_every_sign_belongs_to_a_known_word() -> None:
    """A word that was renamed would lose its sign silently."""
    known = {
        *verdict.RULES,
        *LOG_RULES,
        *sample.RULES,
        *(state.value for state in State),
    }

    assert markup.SIGNS.keys() <= known


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.0, 2, "0.00"), (-0.001, 2, "0.00"), (-1.5, 1, "−1.5"), (2, 1, "+2.0")],
)
def test_signed(value: float, decimals: int, text: str) -> None:
    """What rounds to zero has no sign."""
    assert markup.signed(value, decimals) == text


def test_unknown_total_has_no_amount() -> None:
    """A bar of unknown length moves by itself."""
    assert "<progress></progress>" in markup.progress(5, None, "x")
