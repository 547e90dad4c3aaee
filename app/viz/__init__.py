"""`mixzoo viz`: pictures of what the mixing methods do, and plots of what was measured."""

import click

from ..groups import LazyGroup

MODULES = {
    "pictures": ("mix", "sweep", "cam", "release"),
    "plots": ("table", "curves", "groups", "compare"),
}
LAZY = {name: f"{module}:{name}" for module, names in MODULES.items() for name in names}


@click.group(cls=LazyGroup, package=__package__, lazy=LAZY)
def commands() -> None:
    """Draw mixed samples, and plots of results."""
