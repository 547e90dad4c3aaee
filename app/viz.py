"""`mixzoo viz`: pictures of what the mixing methods do, and plots of what was measured."""

import click

from .lazy import LazyGroup

LAZY = {
    "mix": "viz_mix",
    "sweep": "viz_sweep",
    "cam": "viz_cam",
    "release": "viz_release",
    "table": "viz_table",
    "curves": "viz_curves",
    "groups": "viz_groups",
    "compare": "viz_compare",
}


@click.group(cls=LazyGroup, lazy=LAZY)
def commands() -> None:
    """Pictures of mixed samples, plots of results: PNG, SVG, PDF, GIF."""
