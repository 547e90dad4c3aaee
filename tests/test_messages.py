"""What the program can print: whole sentences, and errors that say what to do next."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
from mixzoo.app import cli
from mixzoo.zoo import errors

ROOT = Path(__file__).parents[1]
KINDS = [name for name in vars(errors) if name.endswith("Error")]
CALLS = [*KINDS, "say", "tell", "echo"]
HOLE = "\x00"  # where a message names something of its own
STEPS = """
add ask begin build call change check choose compare compute convert correct crop do download draw drop
evaluate export fetch finish follow free freeze get give have install keep lay leave let lock lower
make mend merge mix move name open pass pick prepare publish put read relax remove rename repeat replace
resize restart run save say see send set sign spell start sweep take train try turn unpack unset upload
use wait wrap write
"""
STEP = re.compile(rf"(^|[.;:,?(] *|{HOLE} *|\b(?i:or|and|then) )(?i:{'|'.join(STEPS.split())})\b")
FRAGMENT = re.compile(r"(Of|For|With|As|By|From|In|On|And|Or|Without) ")


def _texts(node: ast.expr | None) -> list[str]:
    """The texts that an expression can have; what isn't written there is a HOLE."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [it.value if isinstance(it, ast.Constant) else HOLE for it in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in _texts(node.left) for b in _texts(node.right)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return [HOLE]


def _said() -> Iterator[tuple[str, str, str]]:
    """Where, by which call, and what: every message that stands in the package as text."""
    for folder in ("zoo", "eval", "train", "viz", "app"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and call.args:
                    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                    if name in CALLS:
                        for text in _texts(call.args[0]):
                            if " " in text.strip():
                                yield f"{path.relative_to(ROOT)}:{call.lineno}", name, text


SAID = list(_said())


def _ends(text: str) -> bool:
    """With a full stop, a question, or something to copy after a colon."""
    last = re.split(r"(?<=[.?]) ", text.strip())[-1]
    return bool(re.search(rf"([.?)]|{HOLE})$", text.strip())) or bool(re.search(r": \S", last))


def _has_step(text: str) -> bool:
    """Whether a sentence or a part of one asks for something, or a HOLE holds one."""
    return text.endswith(HOLE) or bool(
        re.search(r"\?|goes on from t?here", text) or STEP.search(text)
    )


def _helps() -> Iterator[tuple[str, str]]:
    """Every command and option with its help, without what it says of its default."""
    groups: list[tuple[str, click.Command]] = [("mixzoo", cli.app)]
    context = click.Context(cli.app)
    while groups:
        path, command = groups.pop()
        yield path, (command.help or "A group.").split("\n\n")[0].split("\f")[0]
        for option in command.params:
            if said := getattr(option, "help", None):
                yield f"{path} {option.opts[0]}", said
        group = getattr(command, "verbs", command)
        if isinstance(group, click.Group):
            below = (
                (name, group.get_command(context, name)) for name in group.list_commands(context)
            )
            groups += [(f"{path} {name}", it) for name, it in below if it]


def test_helps_are_sentences() -> None:
    """They begin with a capital, are more than a word or two, and end with a full stop."""
    helps = {path: re.sub(r" *\[default: .*\]$", "", text) for path, text in _helps()}

    assert len(helps) > 150
    for path, text in helps.items():
        assert re.fullmatch(r"[A-Z'].*[.)]", text, re.DOTALL), path
        assert len(text.split()) > 2, path
        assert not FRAGMENT.match(text), path


def test_messages_are_whole() -> None:
    """Errors, and what commands print, end as sentences do, or with something to copy."""
    assert len(SAID) > 500
    assert not [it for it in SAID if it[1] in KINDS and not _ends(it[2])]
    assert not [it for it in SAID if FRAGMENT.match(it[2])]


def test_errors_say_what_to_do() -> None:
    """Each has a next step."""
    assert not [it for it in SAID if it[1] in KINDS and not _has_step(it[2])]
