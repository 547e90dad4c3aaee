"""Numbers that no honest run reaches: one line, whatever option or setting they are given to."""

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from mixzoo.app import cli
from mixzoo.app.options import Real
from mixzoo.train.recipe import Recipe, field_types, overridden
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol

from ..mini_rows import VANILLA

LARGE = (2**31, 2**53, 2**63)
ODD = (*LARGE, -1, -(2**63), math.nan, math.inf)


def commands(
    group: Any = cli.app, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words, verbs too."""
    context = click.Context(group)
    below = getattr(group, "verbs", group if isinstance(group, click.Group) else None)
    if not isinstance(group, click.Group):
        yield words, group
    for name in below.list_commands(context) if below else ():
        yield from commands(below.get_command(context, name), (*words, name))


def numeric() -> list[Any]:
    """Every option that takes a number, with its command."""
    kinds = click.types.IntParamType | click.types.FloatParamType
    return [
        pytest.param(words, option, id=" ".join([*words, option.opts[0]]))
        for words, command in commands()
        for option in command.params
        if isinstance(option.type, kinds)
    ]


@pytest.mark.parametrize(("words", "option"), numeric())
def test_options_take_no_number_that_would_fill_a_machine(
    words: tuple[str, ...], option: click.Option, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """Counts and seeds have bounds, shares and odds are finite: exit code 2 before anything begins."""
    seed = option.name == "seed"

    for value in (2**63, -(2**63), math.nan, math.inf, *(() if seed else LARGE)):
        code, out, err = mixzoo(*words, option.opts[0], value)

        assert (code, out) == (2, ""), (value, err)
        assert err.startswith("error: Invalid value for"), err
        assert err.count("\n") == 1


def test_all_numbers_of_options_are_seen() -> None:
    """Of the types whose bounds are tested above; a bare int or float has none."""
    kinds = {type(option.values[1].type) for option in numeric()}

    assert kinds == {click.IntRange, Real}


NUMBERS = [key for key, kind in field_types().items() if re.search("int|float", str(kind))]


@pytest.mark.parametrize("key", NUMBERS)
def test_settings_of_a_recipe_take_no_number_that_would_fill_a_machine(key: str) -> None:
    """What counts something has a bound; what is a rate is finite, and costs nothing if it is large."""
    method = "automix" if key.startswith("automix.") else "mixup"
    recipe = Recipe(architecture="resnet18", num_classes=10, mix_mode=(method,), alpha=(1.0,))

    for value in ODD:
        said = ""
        try:
            changed = overridden(recipe, [f"{key}={value}"])
        except UsageError as error:
            said = str(error)
        assert "\n" not in said
        assert said or key == "seed" or "float" in str(field_types()[key]), (key, value)
        assert said or not {"nan", "inf"} & set(re.findall(r"\w+", changed.text())), (key, value)


@pytest.mark.parametrize("name", ["resize", "crop"])
@pytest.mark.parametrize("value", [*LARGE, -1, 0])
def test_a_manifest_takes_no_pixels_that_would_fill_a_machine(name: str, value: int) -> None:
    """A protocol has the same bounds as the options."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({name: value}, Protocol)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--shard", "1/17", "--out", "part"), "expected at most 16 parts, as 1000 images are 16"),
        (("--batch-size", 10**6, "--resize", 8192, "--crop", 8192), "before it meets a network"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused_before_it_begins(
    more: tuple[object, ...],
    complaint: str,
    mixzoo: Callable[..., tuple[int, str, str]],
    mini_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More parts than batches, a batch beyond the machine: exit code 2, and nothing is predicted."""
    monkeypatch.chdir(tmp_path)

    code, _, err = mixzoo("eval", VANILLA, "--data", mini_images, *more)

    assert code == 2
    assert complaint in err
    assert not (tmp_path / "part").exists()
    assert not [*Path(os.environ["MIXZOO_CACHE"]).glob("predictions/*/*")]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 64 PiB for an array"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes.\nmore"),
    ],
)
def test_memory_that_is_not_there_is_one_line(
    error: Exception,
    mixzoo: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever took it."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "run", fail)

    code, out, err = mixzoo("zoo", "list")

    assert (code, out) == (1, "")
    assert err.startswith("error: Not enough memory: ")
    assert err.count("\n") == 1
