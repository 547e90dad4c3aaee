"""How findings look: the words for them, the tone and sign of each word, signed numbers, tables.

Whoever shows a finding (terminal, report, plot, demo) asks here, so that one word has one look.
Also the owner of commands that people copy, and of text from elsewhere that is printed.
What a word means is said by whoever decides it: `eval.judge.RULES`, `eval.logs.RULES`.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .report import Cause

FORMULA_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and full-width

Tone = Literal["good", "near", "odd", "bad", "neutral"]

# Does a recomputed number give the published one? (eval.judge)
REPRODUCED = "reproduced"
CONSISTENT = "consistent with a median"
CLOSE = "close"
DIFFERS = "differs"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
NO_NUMBER = "no published number"
RETRAINED = "retrained"
FAILED = "could not be evaluated"
NOT_INTACT = "not intact"

# Do runs of several seeds give the published number? (eval.judge)
WITHIN_SEEDS = "within the spread of seeds"
OUTSIDE_SEEDS = "outside the spread of seeds"
FEW_SEEDS = "too few seeds"

# Is a checkpoint the run that a log tells of? (eval.judge)
MATCHES_LOG = "matches its log"
NOT_ITS_LOG = "doesn't match its log"

# What a sample may conclude; none of these says "reproduced", which takes all images.
SAMPLE_AGREES = "consistent with the published number"
SAMPLE_CONTRADICTS = "contradicts the published number"
SAMPLE_UNDECIDED = "undecided at this width"

# What a log alone gives (eval.logs)
OTHER_RULE = "by another rule"
INCOMPLETE = "incomplete log"
SUSPICIOUS = "suspicious arithmetic"

_TONES: dict[str, Tone] = {
    REPRODUCED: "good",
    CONSISTENT: "near",
    CLOSE: "near",
    DIFFERS: "odd",
    NOT_REPRODUCED: "bad",
    FAILED: "bad",
    NOT_INTACT: "bad",
    WITHIN_SEEDS: "near",
    OUTSIDE_SEEDS: "bad",
    FEW_SEEDS: "odd",
    MATCHES_LOG: "good",
    NOT_ITS_LOG: "bad",
    SAMPLE_AGREES: "near",
    SAMPLE_CONTRADICTS: "bad",
    SAMPLE_UNDECIDED: "odd",
    OTHER_RULE: "odd",
    INCOMPLETE: "odd",
    SUSPICIOUS: "bad",
    # of released files (zoo.shelf.RULES), and of images
    "verified": "good",
    "here": "good",
    "in the package": "good",
    "trusted on first use": "near",
    "interrupted": "odd",
    "damaged": "bad",
    "foreign": "odd",
    "ok": "good",
    "missing": "odd",
    # of causes (eval.causes)
    "found": "bad",
    "open": "odd",
    "ruled out": "good",
}


@dataclass(frozen=True)
class Look:
    """tone: the name of a colour in every theme. sign: tells the tone without colour.

    style: of a terminal, as `rich` reads it.
    """

    tone: Tone
    sign: str
    style: str


_LOOKS = {
    "good": Look("good", "✓", "green"),
    "near": Look("near", "≈", "green"),
    "odd": Look("odd", "≠", "yellow"),
    "bad": Look("bad", "✗", "red"),
    "neutral": Look("neutral", "○", ""),
}


def look(word: str) -> Look:
    """The look of a word; a word that isn't a finding is neutral."""
    return _LOOKS[_TONES.get(word, "neutral")]


def signed(value: float, decimals: int) -> str:
    """A number with its sign, `+0.25` or `-0.25`; what rounds to zero has none."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def cause_in_words(cause: "Cause") -> str:
    """A cause of a number that is off: the sentence, how sure it is, and what to do next."""
    begins = "Likeliest cause" if cause.state == "found" else "No cause is seen yet"
    sure = f" (likelihood {cause.likelihood:.2f})" if cause.state == "found" else ""
    told = f"{begins}: {cause.sentence}{sure}."
    return f"{told} Next: {cause.command}" if cause.command else told


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> "Markdown":
    """A Markdown table, with a line break at its end; its cells are escaped."""
    lines = [
        [" ".join(str(plain(cell)).split()).replace("|", r"\|") for cell in line]
        for line in (columns, ["---"] * len(columns), *rows)
    ]
    return Markdown("".join(f"| {' | '.join(line)} |\n" for line in lines))


class Markdown(str):
    """Text that is Markdown already, so that `plain` leaves it alone."""

    __slots__ = ()


def plain(text: object) -> object:
    """Text from elsewhere as one line of Markdown: no control characters, HTML, links or code.

    What isn't text is returned as it is.
    """
    if not isinstance(text, str) or isinstance(text, Markdown):
        return text
    escaped = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`\[\]])", r"\\\1", escaped)


def csv_cell(value: object) -> object:
    """A value of a CSV file that no spreadsheet takes for a formula, as OWASP advises.

    Text that begins with a sign of a formula gets `'` before it; numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA_SIGNS) else text


def counted(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`, `1,000 classes`."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def shortened(text: str, room: int) -> str:
    """Text in at most `room` columns: what is longer loses its middle."""
    start = (room - 1) // 2
    return text if len(text) <= room else f"{text[:start]}…{text[start + 1 - room :]}"


def told_apart(names: Sequence[str]) -> list[str]:
    """Ids as they are, paths by as many of their last parts as tell them apart."""
    every = [PurePath(name).parts for name in names]
    for kept in range(1, max(map(len, every), default=0) + 1):
        short = ["/".join(parts[-kept:]) for parts in every]
        if len({*short}) == len({*names}):
            return short
    return list(names)


def printable(text: str) -> str:
    """Text without what could steer a terminal or end its line."""
    return "".join(c if c.isprintable() else " " for c in text)


def printable_lines(text: str) -> str:
    """Lines without what could steer a terminal; their ends stay."""
    return "\n".join(map(printable, text.split("\n")))


def command(*words: object) -> str:
    """A `mixzoo` command for people to copy: a shell runs it as it stands, whatever is in a name.

    A Path that begins like an option is told from one.
    """
    return " ".join(map(_quoted, ("mixzoo", *words)))


def naming(manifests: Iterable[Path]) -> list[str]:
    """The words of a command that name manifests."""
    return [word for path in manifests for word in ("--manifest", str(path))]


def _quoted(word: object) -> str:
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if text.isprintable():
        return shlex.quote(text)
    escaped = ""
    for c in text:
        plain_here = c.isprintable() and c not in "\\'"
        # a name that is no UTF-8 has halves of surrogates for its bytes; others are in no name
        errors = "surrogateescape" if "\udc80" <= c <= "\udcff" else "replace"
        escaped += c if plain_here else "".join(f"\\x{b:02x}" for b in c.encode(errors=errors))
    return f"$'{escaped}'"  # of bash and zsh: line ends and ESC stay on the line
