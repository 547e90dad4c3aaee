"""Writes the pages of the documentation that are made of the code. Run by `make format`."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import mixzoo
from mixzoo.app import cli
from mixzoo.train import mixing
from mixzoo.zoo import nets

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
import measured  # noqa: E402

OPENING = (
    "An error is one line: what was expected, what was got, what to do. `mixzoo --debug ...` shows "
    "the traceback."
)
ENVIRONMENT = {
    "MIXZOO_CACHE": "The folder of fetched files and kept predictions.",
    "MIXZOO_LOCKS": "The folder of your own locks.",
    "MIXZOO_MANIFESTS": "Further manifests: files or folders, separated like PATH.",
    "MIXZOO_OFFLINE, HF_HUB_OFFLINE": "No network: what isn't here is named.",
    "MIXZOO_MEETING_SECONDS": "How long processes of one job wait for each other at first (300).",
    "MIXZOO_DEBUG": "Show an error's whole traceback.",
    "GITHUB_TOKEN, GH_TOKEN, HF_TOKEN": "Sent to that service's own scheme and host alone, never "
    "to a redirect's, and never printed.",
    "HF_ENDPOINT, GITHUB_API_URL, GITHUB_SERVER_URL": "Mirrors of the services.",
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE": "As everywhere; a proxy is named "
    "without its password. SOCKS takes `pip install 'requests[socks]'`.",
    "GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH": "Where `mixzoo app` listens.",
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command with its name as it is typed, in the order of `--help`."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command:
            yield " ".join(("mixzoo", *path, name)), command
            if verbs := getattr(command, "verbs", None):
                yield from commands(verbs, (*path, name))


def commands_page() -> str:
    """Every command and option as its help says it, exit codes, and the environment."""
    known = dict(commands(cli.app))
    lines = [
        "# Commands",
        "",
        *measured.wrapped(OPENING),
        "",
        "| command | does |",
        "|---|---|",
        *(f"| [`{name}`](#{_anchor(name)}) | {_first(it)} |" for name, it in known.items()),
        "",
        "## Exit codes",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in cli.EXIT_CODES.items()),
        "",
        "## Environment variables",
        "",
        "| variable | does |",
        "|---|---|",
    ]
    for names, does in ENVIRONMENT.items():
        lines += [f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {does} |"]
    for name, command in known.items():
        lines += ["", f"## {name}", "", *_described(name, command)]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """What `import mixzoo` and the mixing methods offer, by their own docstrings."""
    lines = [
        "# Python reference",
        "",
        "Made of the docstrings. How they are used: [In Python](python.md).",
    ]
    lines += ["", "## mixzoo", *_api("mixzoo.load", mixzoo.load)]
    lines += _api("mixzoo.transform", mixzoo.transform)
    lines += [
        *_api("mixzoo.AutoMix", mixzoo.AutoMix),
        *_api("AutoMix.follow", mixzoo.AutoMix.follow),
    ]
    for name in ("MixzooError", "UsageError", "DataError"):
        lines += _api(f"mixzoo.{name}", getattr(mixzoo, name))
    for name in nets.__all__:
        kind = getattr(nets, name)
        lines += _api(f"mixzoo.zoo.nets.{name}", kind)
        for method in ("forward", "logits", "features", "with_head", "single", "mix"):
            if method in vars(kind):
                lines += _api(f"{name}.{method}", vars(kind)[method])
    lines += ["", "## mixzoo.train.mixing", "", inspect.cleandoc(mixing.__doc__ or "")]
    for name in mixing.__all__:
        it = getattr(mixing, name)
        if inspect.isfunction(it) or inspect.isclass(it):
            lines += _api(name, it)
    return "\n".join(lines) + "\n"


def _api(name: str, it: Callable) -> list[str]:
    says = inspect.cleandoc(it.__doc__ or "")
    signature = "" if inspect.isclass(it) else str(inspect.signature(it))
    signature = name.rpartition(".")[2] + re.sub(r"[a-z_.]+\.(?=[A-Z])|'", "", signature)
    return [
        "",
        f"### {name}",
        "",
        "```python",
        *measured.wrapped(signature, subsequent_indent="    "),
        "```",
        "",
        says,
    ]


def _described(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, terminal_width=94)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (*measured.wrapped(f"`{name} {usage}`"), "")
    for paragraph in (command.help or "").split("\n\n"):
        as_it_is = paragraph.startswith("\b")
        text = paragraph.removeprefix("\b\n")
        yield from (("```", text, "```", "") if as_it_is else (*measured.wrapped(text), ""))
    yield from ("| option | does |", "|---|---|")
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record and "--help" not in option.opts:
            name, does = (_cell(text) for text in record)
            yield f"| `{name}` | {does} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _first(command: click.Command) -> str:
    return command.get_short_help_str(1000)


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def notebook() -> str:
    """The recipes as a notebook without outputs: a cell for each block of Python, and for the words."""
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    text = re.sub(r"As a notebook:\s*\S+\n", "", text)
    text = re.sub(r"\[([^\]]+)\]\([\w.#-]+\)", r"\1", text)  # pages aren't beside it
    cells = []
    for number, part in enumerate(re.split(r"(?ms)^```python\n(.*?)^```\n", text)):
        if part.strip():
            kind = "code" if number % 2 else "markdown"
            cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
            cell |= {"source": part.strip().splitlines(keepends=True)}
            cells.append(cell | ({"execution_count": None, "outputs": []} if number % 2 else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


PAGES = {
    "commands.md": commands_page,
    "api.md": api_page,
    "measurements.md": measured.page,
    "recipes.ipynb": notebook,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
