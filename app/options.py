"""Arguments and options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..zoo.files import require_no_pipe, require_writable
from ..zoo.launcher import speaks


class _Input(click.Path):
    """A path to be read from."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises UsageError for a pipe or a device."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_no_pipe(path)
        return path


class _Output(click.Path):
    """A path to be written to, tried before the command's work begins."""

    def __init__(self, *, folder: bool) -> None:
        super().__init__(path_type=Path)
        self.folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises UsageError where this process, if it is the one that writes, can't."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if speaks():
            require_writable(path, folder=self.folder)
        return path


FilePath, PresentFile = _Input(), _Input(exists=True, dir_okay=False)
OutputFile, OutputFolder = _Output(folder=False), _Output(folder=True)

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
data_option = click.option("--data", type=FilePath, metavar="DIR", help="Folder with the images.")
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where to compute: auto, cpu, cuda, cuda:N, or another that torch knows, as mps.",
)


def evaluation_options(command: Callable) -> Callable:
    """Which images are predicted, and how: what `eval.evaluate.Request` takes of both commands."""
    for option in (
        device_option,
        click.option("--workers", type=click.IntRange(0), help="Decoding processes of each rank."),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            default=64,
            show_default=True,
            help="Images that a network sees at once.",
        ),
        click.option(
            "--list",
            "list_file",
            type=FilePath,
            metavar="FILE",
            help="Images and labels as `path,label` lines (or tabs, semicolons, blanks) instead of "
            "annotations.",
        ),
        click.option(
            "--annotations",
            type=FilePath,
            metavar="FILE",
            help="Annotation JSON, packed or not, where it isn't found in the folder with the "
            "images.",
        ),
        data_option,
    ):
        command = option(command)
    return command
