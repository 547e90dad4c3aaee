"""Tables, verdicts and pictures as HTML for the demo's pages; every text in them is escaped."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from markupsafe import Markup

from ...viz.report_page import LOOKS, OTHER_LOOK
from ...zoo import looks
from ...zoo.shelf import State

# word -> CSS class, sign; the sign tells it without colour
SIGNS = {
    looks.OTHER_RULE: ("near", "≈"),
    looks.INCOMPLETE: ("odd", "…"),
    looks.SUSPICIOUS: ("bad", "✗"),
    looks.SAMPLE_AGREES: ("good", "✓"),
    looks.SAMPLE_CONTRADICTS: ("bad", "✗"),
    looks.SAMPLE_UNDECIDED: ("odd", "…"),
    State.VERIFIED.value: ("good", "✓"),
    State.HERE.value: ("good", "●"),
    State.FIRST_USE.value: ("near", "≈"),
    State.DAMAGED.value: ("bad", "✗"),
    State.PARTIAL.value: ("odd", "…"),
    State.PACKAGED.value: ("good", "◆"),
} | LOOKS

EMPTY = "-"  # a cell of which nothing is known; a phone leaves it out


def page(*parts: Markup) -> str:
    """Parts of a page as the value of a `gr.HTML`."""
    return str(Markup('<div class="facts">{}</div>').format(join(parts)))


def join(parts: Iterable[Markup]) -> Markup:
    """Parts one after the other."""
    return Markup("").join(parts)


def heading(text: str) -> Markup:
    """A heading inside a page."""
    return Markup("<h3>{}</h3>").format(text)


def paragraph(text: str, *, muted: bool = False) -> Markup:
    """A paragraph of text or of parts."""
    return Markup("<p{}>{}</p>").format(Markup(' class="muted"') if muted else "", text)


def notice(text: str) -> Markup:
    """A card with something that must not be missed."""
    return Markup('<div class="card warning">{}</div>').format(text)


def bullets(texts: Iterable[str]) -> Markup:
    """A list of sentences; nothing if there are none."""
    items = join(Markup("<li>{}</li>").format(text) for text in texts)
    return Markup('<ul class="plain">{}</ul>').format(items) if items else items


def command(*lines: str) -> Markup:
    """Lines to type into a shell."""
    return Markup("<pre>{}</pre>").format("\n".join(lines))


def link(url: str, text: str | None = None) -> Markup:
    """A link that opens beside the demo and tells the other site nothing about it."""
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
        url, text or url
    )


def verdict(word: str, why: str = "") -> Markup:
    """A verdict's word with its sign. why: shown where a mouse rests on it."""
    look, sign = SIGNS.get(word, OTHER_LOOK)
    return Markup('<span class="verdict {}" title="{}"><i>{}</i>{}</span>').format(
        look, why, sign, word
    )


def tally(counts: Iterable[tuple[str, int]]) -> Markup:
    """How often each word was said, the number large."""
    entries = [(*SIGNS.get(word, OTHER_LOOK), word, count) for word, count in counts]
    items = join(
        Markup('<li class="{}"><b>{:,}</b><span>{} {}</span></li>').format(look, count, sign, word)
        for look, sign, word, count in entries
    )
    return Markup('<ul class="tally">{}</ul>').format(items) if entries else items


def rules(words: Mapping[str, str]) -> Markup:
    """Words with the rules behind them."""
    entries = join(
        Markup('<dt class="{}">{}</dt><dd>{}</dd>').format(
            SIGNS.get(word, OTHER_LOOK)[0], verdict(word), rule
        )
        for word, rule in words.items()
    )
    return Markup("<dl>{}</dl>").format(entries) if words else entries


def definitions(words: Mapping[str, str]) -> Markup:
    """Terms with what they mean."""
    entries = join(Markup("<dt>{}</dt><dd>{}</dd>").format(*item) for item in words.items())
    return Markup("<dl>{}</dl>").format(entries) if words else entries


def beside(*parts: Markup) -> Markup:
    """Parts next to one another where the page is wide enough; those that are empty are left out."""
    filled = join(Markup("<div>{}</div>").format(part) for part in parts if part)
    return Markup('<div class="beside">{}</div>').format(filled)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    side: Collection[int] = (),
) -> Markup:
    """A table; on a phone a card a row, with the column's name before each cell.

    A column of which nothing is known is left out.

    rows: cells as text or as parts. numbers: columns aligned right. side: indices of rows that
    stand back, such as heads that inference doesn't use.
    """
    cells = list(rows)
    used = [n for n in range(len(columns)) if n == 0 or any(row[n] != EMPTY for row in cells)]
    head = join(_head(columns[n], columns[n] in numbers) for n in used)
    body = join(
        Markup("<tr{}>{}</tr>").format(
            Markup(' class="side"') if index in side else "",
            join(_cell(columns[n], row[n], columns[n] in numbers) for n in used),
        )
        for index, row in enumerate(cells)
    )
    return Markup(
        '<div class="card table"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)


def figure(caption: str, svg: str, *, scrolls: bool = False) -> Markup:
    """A picture with its caption. svg: of `viz.inline_svg`, which escapes what it is given."""
    return Markup('<figure class="{}"><figcaption>{}</figcaption><div>{}</div></figure>').format(
        "card scrolls" if scrolls else "card", caption, Markup(svg)
    )


def folded(summary: str, content: Markup) -> Markup:
    """Something that a reader unfolds."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, content)


def progress(done: int, total: int | None, text: str) -> Markup:
    """A bar with words above it. total: None while it isn't known."""
    amount = Markup(' value="{}" max="{}"').format(done, total) if total else ""
    return Markup('<div class="card"><p>{}</p><progress{}></progress></div>').format(text, amount)


def signed(value: float, decimals: int) -> str:
    """A number with its sign; one that rounds to zero has none."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _head(column: str, is_number: bool) -> Markup:
    return Markup('<th class="{}">{}</th>').format("number" if is_number else "", column)


def _cell(column: str, cell: str, is_number: bool) -> Markup:
    names = ["number"] * is_number + ["empty"] * (cell == EMPTY)
    return Markup('<td class="{}" data-label="{}">{}</td>').format(" ".join(names), column, cell)
