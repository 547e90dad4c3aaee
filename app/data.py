"""`mixzoo data`: the images that a benchmark is measured on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..zoo.catalog import open_catalog
from ..zoo.errors import DataError, UsageError
from ..zoo.looks import counted
from .console import print_json, print_table, say
from .options import (
    FilePath,
    OutputFolder,
    Real,
    Seed,
    complete_names,
    json_option,
    manifest_option,
    option,
)

if TYPE_CHECKING:
    from ..zoo.data.findings import Findings, GroupImages
    from ..zoo.data.prepare import Prepared
    from ..zoo.data.request import Form, SplitName

SPLITS: "dict[str, tuple[SplitName, ...]]" = {
    "val": ("val",),
    "train": ("train",),
    "all": ("train", "val"),
}


def root_option(kind: click.Path) -> Callable:
    """Where the images are, or will be. kind: of path."""
    return option("--root DIR", "The folder for the images.", kind, required=True)


split_option = option(
    "--split",
    "Take the validation images, the training images, or both.",
    click.Choice(list(SPLITS)),
    default="val",
)


@click.group()
def commands() -> None:
    """Prepare the images of a benchmark, and verify them."""


@commands.command("prepare")
@click.argument("benchmark", shell_complete=complete_names)
@root_option(OutputFolder)
@option(
    "--archive FILE|URL",
    "The published .tar.gz: a file, an http(s) address, or any fsspec URL (s3://...).  [default: "
    "the one in DIR, else the data set's address]",
)
@option(
    "--annotations FILE|URL",
    "Annotations, .json.tar.gz or .json; once for each split.  [default: those in DIR or beside "
    "the archive, else the data set's address]",
    multiple=True,
)
@split_option
@option(
    "--as",
    "Write image files, or one tar a split, which the evaluator reads directly.",
    click.Choice(["files", "tar"]),
    to="form",
    default="files",
)
@manifest_option
def prepare(
    benchmark: str,
    root: Path,
    archive: str | None,
    annotations: tuple[str, ...],
    split: str,
    form: "Form",
    manifests: tuple[Path, ...],
) -> None:
    """Put the images and annotations of a BENCHMARK into a folder.

    Data sets that the package draws are drawn. Of others, the annotations are read first, then the
    archive once, whole, its md5 taken meanwhile; only the split's images are kept. Dropped
    connections are resumed. After a kill the same command goes on: images that are here are
    compared and kept, the archive is read (from an address: fetched) from its beginning again.
    """
    dataset = open_catalog(manifests).benchmark(benchmark).manifest.dataset
    if dataset.drawn_by_package:
        from ..zoo.mini import draw

        if archive or annotations or form == "tar":
            raise UsageError(
                f"{benchmark}: is drawn by the package; --archive, --annotations and --as tar "
                "don't apply. Leave them out."
            )
        draw(root, *SPLITS[split])
        say(f"{dataset.name} ({split}) is in {root}")
        return
    from ..zoo.data.prepare import Request
    from ..zoo.data.prepare import prepare as extract
    from ..zoo.net.sources import parse_source

    request = Request(
        dataset,
        root,
        SPLITS[split],
        parse_source(archive) if archive else None,
        [parse_source(it) for it in annotations],
        form,
    )
    for name, prepared in zip(request.splits, extract(request), strict=True):
        _tell(prepared, request.place(name))


@commands.command("init")
@click.argument("source", metavar="DIR|FILE.csv|hf://USER/NAME")
@option(
    "--to DIR",
    "Folder for the images of a Hugging Face data set.  [default: its name, here]",
    OutputFolder,
)
@option("--name", "Name of the benchmark.  [default: the folder's]", str)
@option("--columns IMAGE,CLASS", "Which columns of a table or data set these are, if unclear.")
@option(
    "--table FILE.csv",
    "Take paths, classes and perhaps splits from this table, not from folders.",
    FilePath,
)
@option(
    "--val SHARE",
    "Share of the images that validates, where nothing says which do.",
    Real(0, 0.9),
    default=0.1,
)
@option("--seed", "Seed by which the validation images are drawn.", Seed, default=0)
@option("--architecture NAME", "The network that its rows train.", default="resnet50")
@option(
    "--crop", "Side of a crop in pixels.  [default: 224, or what fits]", click.IntRange(16, 1024)
)
@option("--epochs", "Epochs that its rows train.", click.IntRange(1, 100_000), default=100)
@option("--force", "Write over what is there and says something else.")
def init(
    source: str,
    to: Path | None,
    name: str | None,
    table: Path | None,
    columns: str | None,
    val: float,
    seed: int,
    architecture: str,
    crop: int | None,
    epochs: int,
    force: bool,
) -> None:
    """Make a benchmark of images of your own.

    DIR holds train/ and val/ with a folder for each class, or class folders alone, which are then
    split; or it holds the images of a table of paths and classes, FILE.csv. A Hugging Face data set
    (of the Hub, as hf://USER/NAME, or a folder that the library saved or that holds parquet files;
    pip install 'mixzoo[datasets]') is written out as image files first. Annotations with the
    classes' names and a manifest with a row for each method are written beside the images; train,
    eval, publish and all else then take the rows with --manifest.
    """
    from ..zoo.data import hugging_face
    from ..zoo.data.own import arrange, look, manifest_for, write_own
    from ..zoo.looks import command, printable
    from ..zoo.manifest import slug

    chosen = columns.split(",") if columns else []
    if columns and len(chosen) != 2:
        raise UsageError(f"--columns {columns}: expected two names. Write them as image,label.")
    folder = Path(source)
    if not table and hugging_face.is_data_set(source):
        folder = to or Path(folder.name.partition("@")[0])
        if folder.exists() and folder.resolve() == Path(source).resolve():
            raise UsageError(f"{source}: its images need a folder of their own; name it with --to.")
        found, order = hugging_face.write_out(source, folder, chosen)
        own = arrange(folder, found, order, val, seed)
    else:
        if to:
            raise UsageError(
                f"--to {to}: is for Hugging Face data sets; the others stay in place. Leave it out."
            )
        if folder.is_file() and not table:
            folder, table = folder.parent, folder
        own = look(folder, table, val, seed, chosen)
    like = open_catalog().benchmark("inat2018")
    name = slug(name or folder.resolve().name)
    manifest = manifest_for(own, name, like, architecture, crop, epochs)
    written = write_own(own, manifest, force)
    say(
        f"{name}: {counted(len(own.classes), 'class')}, {counted(len(own.train), 'image')} to train, "
        f"{len(own.val):,} to validate"
    )
    for line in (*own.notes, *map(str, written)):
        say(f"  {printable(line)}")
    say("Train one of its rows:")
    row = f"{slug(architecture)}.mixup_{name}"
    say(f"  {command('train', row, '--manifest', written[-1], '--data', folder)}")


@commands.command("verify")
@click.argument("benchmark", shell_complete=complete_names)
@root_option(FilePath)
@split_option
@option("--deep", "Decode every image, instead of reading the ends of its file.")
@json_option
@manifest_option
def verify(
    benchmark: str,
    root: Path,
    split: str,
    deep: bool,
    as_json: bool,
    manifests: tuple[Path, ...],
) -> None:
    """Check the images of a BENCHMARK.

    Their counts per class and supercategory, each file, and the label order. Finds missing, empty,
    cut and foreign files and names wrong lists and label orders. Exit code 7 if anything is wrong.
    """
    from ..zoo.data.findings import Request, examine
    from ..zoo.net.progress import count_bar

    catalog = open_catalog(manifests)
    dataset = (of := catalog.benchmark(benchmark)).manifest.dataset
    request = Request(dataset, root, SPLITS[split])
    others = [it.manifest.dataset for it in catalog.benchmarks.values() if it.name != benchmark]
    total = sum(request.split(name).images or 0 for name in request.splits) or None
    with count_bar("verifying", total, " img") as passed:
        found = [
            examine(request, name, deep=deep, others=others, on_images=passed.update)
            for name in request.splits
        ]
    if as_json:
        print_json([findings.to_dict() for findings in found])
    else:
        for findings in found:
            _show(findings)
    mend = of.command("data", "prepare", benchmark, "--root", root)
    problems = [f"{it.split}: {problem}" for it in found for problem in it.problems]
    if problems:
        raise DataError(f"{root}: {'; '.join(problems)}. To mend it: {mend}")


def _tell(prepared: "Prepared", place: Path) -> None:
    mark, counts = prepared.mark, prepared.images
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    what = told or "prepared before"
    say(f"{mark.dataset} ({mark.split}) is in {place}: {mark.images:,} images ({what}).")
    for name, origin in (("annotations", mark.annotations), ("archive", mark.archive)):
        said = (
            "is the published one"
            if origin.checked
            else "compared with nothing: the manifest states none for it"
        )
        say(f"  {name}: md5 {origin.md5}{' ' if origin.checked else ', '}{said}.")


def _show(found: "Findings") -> None:
    rows = [
        (
            group.name,
            *_counted(group.classes, group.expected_classes),
            *_counted(group.images, group.expected_images),
            _state(group),
        )
        for group in found.groups
    ]
    columns = ("Supercategory", "Classes", "of", "Images", "expected", "State")
    if all(_state(group) == "not known" for group in found.groups):  # nothing to compare with
        columns, rows = ("Supercategory", "Classes", "Images"), [(r[0], r[1], r[3]) for r in rows]
    print_table(columns, rows, right=columns[1:5])
    for line in found.problems:
        say(f"problem: {line}")
    for line in found.notes:
        say(f"note: {line}")
    state = counted(len(found.problems), "problem") if found.problems else "all as expected"
    how = "every image decoded" if found.deep else "the ends of every file read"
    say(f"{found.split}: {found.images:,} images named by {found.origin}, {how}: {state}.")


def _state(group: "GroupImages") -> str:
    if not group.right:
        return "differs"
    known = group.expected_classes is not None and group.expected_images is not None
    return "ok" if known else "not known"


def _counted(got: int, expected: int | None) -> tuple[str, str]:
    return f"{got:,}", "?" if expected is None else f"{expected:,}"
