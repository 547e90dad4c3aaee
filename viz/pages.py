"""Findings as HTML and Markdown: the one Jinja environment, which escapes every text."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..zoo.looks import look, plain, printable_lines, signed

TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path, markdown: bool = False) -> Environment:
    """Templates of these folders, which can take the parts that all pages share from `parts.html`.

    Nothing is taken as HTML but what is `markupsafe.Markup`, and a fact that a template doesn't get
    is an error. `look(word)` and the filter `signed` are those of `zoo.looks`. markdown: for
    templates of Markdown, whose texts are escaped by `zoo.looks.plain`.
    """
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=not markdown,
        finalize=plain if markdown else _text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["look"] = look
    made.filters["signed"] = signed
    return made


def _text(value: object) -> object:
    """A text without control characters; Jinja escapes it then, if it isn't markup already."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return printable_lines(value)
    return value
