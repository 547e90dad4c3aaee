"""Options that take several values, as a shell expands them."""

import click
import pytest
from click.testing import CliRunner
from mixzoo.app.viz.options import CommandWithLists


@click.command(cls=CommandWithLists, lists=("--many",))
@click.argument("word")
@click.option("--many", multiple=True)
@click.option("--other", multiple=True)
@click.option("--flag", is_flag=True)
def command(word: str, many: tuple[str, ...], other: tuple[str, ...], flag: bool) -> None:
    """Prints what it was given."""
    click.echo(f"{word} {','.join(many)} {','.join(other)} {flag}")


@pytest.mark.parametrize(
    "given",
    [
        "w --many a b c --other d --other e",
        "--other d --other e w --many a b c",
        "w --many a --many b c --other d --other e",
        "--other d w --other e --many a b c",
    ],
)
def test_only_lists_take_all_values_up_to_the_next_option(given: str) -> None:
    """Another option that may be repeated leaves the argument behind it alone."""
    result = CliRunner().invoke(command, given.split())

    assert result.output == "w a,b,c d,e False\n"


def test_a_flag_ends_a_list() -> None:
    """What follows it is an argument again."""
    result = CliRunner().invoke(command, ["--many", "a", "b", "--flag", "w"])

    assert result.output == "w a,b  True\n"
