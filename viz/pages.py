"""Findings as HTML: the one Jinja environment, which escapes every text that a template is given."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..zoo.looks import look, signed

TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path) -> Environment:
    """Templates of these folders, which can take the parts that all pages share from `parts.html`.

    Nothing is taken as HTML but what is `markupsafe.Markup`, and a fact that a template doesn't get
    is an error. `look(word)` and the filter `signed` are those of `zoo.looks`.
    """
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["look"] = look
    made.filters["signed"] = signed
    return made
