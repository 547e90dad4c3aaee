"""`mixzoo data`: the images that a benchmark is measured on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..zoo.catalog import Catalog, open_catalog
from ..zoo.errors import DataError, UsageError
from .console import print_json, print_table, say
from .options import FilePath, json_option, manifest_option

if TYPE_CHECKING:
    from ..zoo.data.plan import SplitName
    from ..zoo.data.prepare import Prepared
    from ..zoo.data.verify import Findings, Group

Splits = Literal["val", "train", "all"]
Form = Literal["files", "tar"]

root_option = click.option(
    "--root", type=FilePath, required=True, metavar="DIR", help="Folder for the images."
)
split_option = click.option(
    "--split",
    type=click.Choice(["val", "train", "all"]),
    default="val",
    show_default=True,
    help="Which images.",
)


@click.group()
def commands() -> None:
    """Prepare the images of a benchmark, and verify them."""


@commands.command("prepare")
@click.argument("benchmark")
@root_option
@click.option(
    "--archive",
    metavar="FILE|URL",
    help="The published .tar.gz: a file, an http(s) address, or any fsspec URL (s3://...). Default: "
    "the one in DIR, else the data set's address.",
)
@click.option(
    "--annotations",
    multiple=True,
    metavar="FILE|URL",
    help="Annotations, .json.tar.gz or .json; once for each split. Default: those in DIR or beside "
    "the archive, else the data set's address.",
)
@split_option
@click.option(
    "--as",
    "form",
    type=click.Choice(["files", "tar"]),
    default="files",
    show_default=True,
    help="Image files, or one tar a split that the evaluator reads directly.",
)
@click.option(
    "--stop-early",
    is_flag=True,
    help="End when every image was found. The archive's md5 is then NOT checked.",
)
@manifest_option
def prepare_command(
    benchmark: str,
    root: Path,
    archive: str | None,
    annotations: tuple[str, ...],
    split: Splits,
    form: Form,
    stop_early: bool,
    manifests: tuple[Path, ...],
) -> None:
    """Put the images and annotations of a BENCHMARK into a folder.

    Data sets that the package draws are drawn. Of others, the annotations are read first, then the
    archive once, whole, its md5 taken meanwhile; only the split's images are kept. Dropped
    connections are resumed. After a kill the same command goes on: images that are here are
    compared and kept, the archive is read (from an address: fetched) from its begin again.
    """
    prepare(
        benchmark,
        root,
        split,
        manifests,
        archive=archive,
        annotations=annotations,
        form=form,
        stop_early=stop_early,
    )


def prepare(
    benchmark: str,
    root: Path,
    split: Splits,
    manifests: Sequence[Path] = (),
    *,
    archive: str | None = None,
    annotations: Sequence[str] = (),
    form: Form = "files",
    stop_early: bool = False,
) -> None:
    """Draw or extract a data set below `root`, and say what was checked. Raises MixzooError."""
    dataset = open_catalog(manifests).benchmark(benchmark).manifest.dataset
    if dataset.drawn_by_package:
        from ..zoo.mini import draw

        if archive or annotations or form == "tar" or stop_early:
            raise UsageError(
                f"{benchmark}: is drawn by the package; --archive, --annotations, --as tar and "
                "--stop-early don't apply."
            )
        draw(root, split)
        say(f"{dataset.name} ({split}) is in {root}")
        return
    from ..zoo.data.plan import Plan
    from ..zoo.data.prepare import prepare as extract
    from ..zoo.net.sources import parse_source

    plan = Plan(
        dataset,
        root,
        _names(split),
        parse_source(archive) if archive else None,
        [parse_source(it) for it in annotations],
        form,
        stop_early,
    )
    for prepared in extract(plan):
        _tell(prepared, dataset.name, plan.tar(prepared.split) if form == "tar" else root)


@commands.command("verify")
@click.argument("benchmark")
@root_option
@split_option
@click.option("--deep", is_flag=True, help="Decode every image.")
@json_option
@manifest_option
def verify_command(
    benchmark: str,
    root: Path,
    split: Splits,
    deep: bool,
    as_json: bool,
    manifests: tuple[Path, ...],
) -> None:
    """Check the images of a BENCHMARK.

    Their counts per class and supercategory, each file, and the label order. Finds missing, empty,
    cut and foreign files and names wrong lists and label orders. Exit code 7 if anything is wrong.
    """
    from tqdm import tqdm

    from ..zoo.data.plan import Plan
    from ..zoo.data.verify import verify

    catalog = open_catalog(manifests)
    dataset = catalog.benchmark(benchmark).manifest.dataset
    plan = Plan(dataset, root, _names(split))
    found = []
    with tqdm(desc="verifying", unit="img", disable=None) as bar:
        for name in plan.splits:
            others = _others(catalog, benchmark)
            found.append(verify(plan, name, deep=deep, others=others, on_images=bar.update))
    if as_json:
        print_json([_as_json(findings) for findings in found])
    else:
        for findings in found:
            _show(findings)
    problems = [f"{it.split}: {problem}" for it in found for problem in it.problems]
    if problems:
        raise DataError(f"{root}: {'; '.join(problems)}. To mend it: mixzoo data prepare.")


def _names(split: Splits) -> "list[SplitName]":
    return ["train", "val"] if split == "all" else [split]


def _others(catalog: Catalog, benchmark: str) -> list[Any]:
    return [it.manifest.dataset for name, it in catalog.benchmarks.items() if name != benchmark]


def _tell(prepared: "Prepared", dataset: str, place: Path) -> None:
    mark, counts = prepared.mark, prepared.images
    told = [f"{count:,} {outcome.value}" for outcome, count in counts.items()]
    what = ", ".join(told) if told else "prepared before"
    say(f"{dataset} ({mark.split}) is in {place}: {mark.images:,} images ({what}).")
    for name, origin in (("annotations", mark.annotations), ("archive", mark.archive)):
        if origin.checked:
            say(f"  {name}: md5 {origin.md5} is the published one.")
        elif origin.md5:
            say(
                f"  {name}: md5 {origin.md5}, compared with nothing: the manifest states none for it."
            )
        else:
            say(f"  {name}: md5 NOT checked, reading ended early.")


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
    print_table(columns, rows, right=columns[1:5])
    for line in found.problems:
        say(f"problem: {line}")
    for line in found.notes:
        say(f"note: {line}")
    state = f"{len(found.problems)} problems" if found.problems else "all as expected"
    how = "every image decoded" if found.deep else "the ends of every file read"
    say(f"{found.split}: {found.images:,} images named by {found.origin}, {how}: {state}.")


def _state(group: "Group") -> str:
    if not group.right:
        return "differs"
    known = group.expected_classes is not None and group.expected_images is not None
    return "ok" if known else "not known"


def _counted(got: int, expected: int | None) -> tuple[str, str]:
    return f"{got:,}", "?" if expected is None else f"{expected:,}"


def _as_json(found: "Findings") -> dict[str, Any]:
    from dataclasses import asdict

    import msgspec

    plain = asdict(found) | {"mark": found.mark and msgspec.to_builtins(found.mark)}
    return plain | {"problems": found.problems, "ok": not found.problems}
