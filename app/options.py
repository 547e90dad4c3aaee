"""Arguments and options that several commands share."""

from pathlib import Path

import click

FilePath = click.Path(path_type=Path)

manifest_option = click.option(
    "--manifest",
    "manifests",
    type=FilePath,
    multiple=True,
    metavar="PATH",
    help="Add the benchmark of this manifest file, or those of a folder. Repeatable; "
    "see also MIXZOO_MANIFESTS.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")
