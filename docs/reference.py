"""Writes the pages of the documentation that are made of the code. Run by `make format`."""

from collections.abc import Iterator
from pathlib import Path

import click
from mixzoo.app import cli

COMMANDS = Path(__file__).parent / "commands.md"
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


def page() -> str:
    """The text of docs/commands.md."""
    known = dict(commands(cli.app))
    lines = [
        "# Commands",
        "",
        "An error is one line: what was expected, what was got, what to do. `mixzoo --debug ...` "
        "shows the traceback.",
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


def _described(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, terminal_width=94)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"`{name} {usage}`", "")
    for paragraph in (command.help or "").split("\n\n"):
        as_it_is = paragraph.startswith("\b")
        text = paragraph.removeprefix("\b\n")
        yield from (("```", text, "```", "") if as_it_is else (" ".join(text.split()), ""))
    yield from ("| option | does |", "|---|---|")
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record and option.name != "help":
            name, does = (" ".join(text.split()).replace("|", "\\|") for text in record)
            yield f"| `{name}` | {does} |"


def _first(command: click.Command) -> str:
    return command.get_short_help_str(1000)


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


if __name__ == "__main__":
    COMMANDS.write_text(page(), encoding="utf-8")
