"""Arguments and options that several commands share."""

import math
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..zoo.errors import MixzooError, UsageError
from ..zoo.files import require_no_pipe, require_writable
from ..zoo.launcher import speaks

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


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
    """A path to be written to, tried before the command's work begins.

    folder: None where it may be either, and one without an ending is a folder. json: whether it is
    the first of several forms, whose name ends in .json.
    """

    def __init__(self, *, folder: bool | None, json: bool = False) -> None:
        super().__init__(path_type=Path)
        self.folder, self.json = folder, json

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises UsageError where this process, if it is the one that writes, can't."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.json:
            require_json(path)
        if speaks():
            either = path.is_dir() or not path.suffix
            require_writable(path, folder=either if self.folder is None else self.folder)
        return path


def require_json(out: Path) -> None:
    """Raise UsageError for an `--out` that doesn't end in .json."""
    if out.suffix != ".json":
        raise UsageError(
            f"--out {out}: expected a name ending in .json; the other forms are written beside it. "
            "Rename it."
        )


class _Triple(click.ParamType):
    """Three numbers, one for each channel."""

    name = "triple"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers; one stands for all three."""
        try:
            numbers = tuple(map(float, str(value).split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 3):
            self.fail(f"expected three numbers, as 0.485,0.456,0.406, got {value!r}.", param, ctx)
        return numbers * (3 // len(numbers))


class Real(click.FloatRange):
    """A finite number of a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. A comparison with nan is false, so no range of click's keeps it out."""
        if not math.isfinite(number := super().convert(value, param, ctx)):
            self.fail(f"expected a finite number, got {value}.", param, ctx)
        return number


# None of these bounds is met by an honest run: what they keep out would take a machine's memory.
Count, Processes, Side = (click.IntRange(1, most) for most in (1_000_000, 1024, 8192))
Workers, Seed = click.IntRange(0, 256), click.IntRange(0, 2**63 - 1)
FilePath, PresentFile = _Input(), _Input(exists=True, dir_okay=False)
OutputFile, OutputFolder = _Output(folder=False), _Output(folder=True)
OutputPlace, OutputForms = _Output(folder=None), _Output(folder=False, json=True)


def option(
    spelt: str, says: str, kind: Any = None, *, to: str | None = None, **more: Any
) -> Callable:
    """An option as its help spells it: `--keep-every EPOCHS`, several names apart by spaces.

    One that names no value and has no type is a flag. to: the parameter's name, where it isn't the
    option's. A default is shown. more: of `click.option`.
    """
    names = [word for word in spelt.split() if word.startswith("-")]
    value = spelt.removeprefix(" ".join(names)).strip() or None
    is_flag = value is None and kind is None
    more |= {"is_flag": True} if is_flag else {"type": kind, "metavar": value}
    named = [*names, to] if to else names
    return click.option(*named, help=says, show_default=True, **more)


def together(*options: Callable) -> Callable:
    """Several options as one decorator, in the order in which the help shows them."""

    def decorate(command: Callable) -> Callable:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


def words_of(ctx: click.Context, without: Collection[str] = ()) -> list[str]:
    """The command of a context in the words that were given, without some of its parameters.

    Paths are absolute, so that the words hold in any folder.
    """
    from ..zoo.refs import is_path

    words: list[str] = ctx.command_path.split()[1:]
    ends: list[str] = []
    for one in ctx.command.params:
        value, given = ctx.params[one.name or ""], ctx.get_parameter_source(one.name or "")
        if given != click.core.ParameterSource.COMMANDLINE or one.name in without:
            continue
        for item in (
            value if isinstance(value, tuple) and (one.multiple or one.nargs < 0) else [value]
        ):
            text = ",".join(map(str, item)) if isinstance(item, tuple) else str(item)
            if isinstance(item, Path) or (isinstance(one, click.Argument) and is_path(text)):
                text = str(Path(text).absolute())
            if isinstance(one, click.Argument):
                ends.append(text)
            else:
                words += [one.opts[0]] if getattr(one, "is_flag", False) else [one.opts[0], text]
    return [*words, *ends]


def complete_names(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> "list[CompletionItem]":
    """What Tab offers for a row, benchmark or reference: names that begin so, else files."""
    from click.shell_completion import CompletionItem

    from ..zoo.catalog import open_catalog

    with suppress(MixzooError):
        catalog = open_catalog()
        names = [*catalog.benchmarks, *(row.id for _, row in catalog)]
        if found := [CompletionItem(name) for name in names if name.startswith(begun)]:
            return found
    return [CompletionItem(begun, type="file")]


manifest_option = option(
    "--manifest PATH",
    "Add the benchmark of this manifest file, or those of a folder. Repeatable; "
    "see also MIXZOO_MANIFESTS.",
    FilePath,
    to="manifests",
    multiple=True,
)
json_option = option("--json", "Print JSON for programs, instead of text for people.", to="as_json")
names_argument = click.argument(
    "names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names
)
signed_by_option = option(
    "--signed-by FILE",
    "Demand a signature by this public key, or by this certificate or one that it vouches for "
    "(PEM).",
    PresentFile,
)
data_option = option("--data DIR", "The folder with the images.", FilePath)
device_option = option(
    "--device TEXT",
    "Where to compute: auto, cpu, cuda, cuda:N, or another that torch knows, as mps.",
    default="auto",
)


submit_options = together(
    option(
        "--submit WHERE",
        "Run this as a job, by submitit: under SLURM, or local, in the background of this machine.",
        click.Choice(["slurm", "local"]),
    ),
    option(
        "--job KEY=VALUE",
        "A setting of the job, as submitit names it: timeout_min=600, gpus_per_node=4, "
        "tasks_per_node=4, slurm_partition=gpu. Repeatable.",
        to="job_settings",
        multiple=True,
    ),
)
"""Run a command as a job."""


pixel_options = together(
    option("--resize", "Shorter side in pixels, instead of the protocol's.", Side),
    option("--crop", "Centre crop in pixels, instead of the protocol's.", Side),
    option(
        "--interpolation NAME", "Resize by bicubic, bilinear or nearest, instead of the protocol's."
    ),
    option(
        "--mean R,G,B",
        "Subtract these from pixels in [0, 1], one for each colour in its order.",
        _Triple(),
    ),
    option("--std R,G,B", "Divide by these after --mean was subtracted.", _Triple()),
    option(
        "--channels",
        "The order of the colours in a pixel.",
        click.Choice(["RGB", "BGR"]),
        default=None,
    ),
)
"""Pixels other than the protocol's."""


evaluation_options = together(
    data_option,
    option(
        "--annotations FILE",
        "Annotation JSON, packed or not, where it isn't found in the folder with the images.",
        FilePath,
    ),
    option(
        "--list FILE",
        "Images and labels as `path,label` lines (or tabs, semicolons, blanks) instead of "
        "annotations.",
        FilePath,
        to="list_file",
    ),
    option("--batch-size", "Images that a network sees at once.", Count, default=64),
    option("--workers", "Decoding processes of each rank.", Workers),
    device_option,
)
"""Which images are predicted, and how: what `eval.evaluate.Request` takes of both commands."""
