"""`mixzoo viz`: pictures of what the mixing methods do, and plots of what was measured."""

import click

from ..groups import LazyGroup

LAZY = ("mix", "sweep", "cam", "release", "table", "curves", "groups", "compare")


@click.group(cls=LazyGroup, package=__package__, lazy={name: name for name in LAZY})
def commands() -> None:
    """Pictures of mixed samples, plots of results: PNG, SVG, PDF, GIF."""
