"""`mixzoo quickstart`: the whole trip on the embedded benchmark, without a network."""

from pathlib import Path

import click

from ..zoo.cache import data_path
from ..zoo.catalog import open_catalog
from ..zoo.errors import IntegrityError
from . import data
from .console import say
from .eval.evaluate import publish
from .options import FilePath
from .zoo.group import list_rows

BENCHMARK = "mini"
OUT = Path("mixzoo-quickstart") / "report.json"


@click.command("quickstart")
@click.option(
    "--out", type=FilePath, default=OUT, show_default=True, metavar="FILE.json", help="The report."
)
def command(out: Path) -> None:
    """The whole trip on the embedded benchmark, without a network, each step explained."""
    from .zoo.download import download
    from .zoo.verify import verify

    rows = [row.id for _, row in open_catalog().select([BENCHMARK])]
    images = data_path(BENCHMARK)
    say(
        "mixzoo in five steps, on `mini`: small networks trained by this package on 40 species that it draws."
    )
    say(
        "Under each step: the command, and how the same looks for the published iNaturalist-2018 weights."
    )

    _step(1, "What is there?", f"zoo list {BENCHMARK}", "zoo list inat2018")
    list_rows([BENCHMARK])
    _step(
        2,
        "Get the weights: hashed while they stream, moved into place only when right.",
        f"zoo download {BENCHMARK}",
        "zoo download resnet50.automix_inat2018  (says where it is by hand until the release is locked)",
    )
    download([BENCHMARK])
    _step(
        3,
        "Are they intact? Every byte is read again and compared with the lock.",
        f"zoo verify {BENCHMARK}",
        "zoo verify resnet50.automix_inat2018",
    )
    verify([BENCHMARK])
    _step(
        4,
        "Get the validation images (here they are drawn).",
        f"data prepare {BENCHMARK} --root {images}",
        "data prepare inat2018 --root DIR --archive train_val2018.tar.gz",
    )
    data.prepare(BENCHMARK, images, "val")
    _step(
        5,
        "Recompute the numbers and judge them.",
        f"eval {' '.join(rows)} --data {images} --out {out}",
        "eval resnet50.automix_inat2018 --data DIR --out report.json",
    )
    _evaluate(rows, images, out)


def _evaluate(rows: list[str], images: Path, out: Path) -> None:
    from ..eval.evaluate import Request, evaluate_refs
    from ..eval.world import join
    from ..zoo.looks import MATCHES_LOG, REPRODUCED

    with join() as world:
        report = evaluate_refs(Request(refs=rows, data=images), world)
    publish(report, out=out)
    good = (REPRODUCED, MATCHES_LOG)
    off = [row for row in report.rows if (row.verdict, row.matches_log) != good]
    if off:
        raise IntegrityError(
            f"{len(off)} of {len(rows)} numbers differ from the logged ones, first {off[0].id}: "
            f"{off[0].reason}. Pillow or torch may round differently here; see {out}"
        )
    say(
        f"All {len(rows)} recomputed numbers are the published ones, and match their logs.",
        style="bold green",
    )


def _step(number: int, title: str, command: str, real: str) -> None:
    say()
    say(f"{number}. {title}", style="bold")
    say(f"   $ mixzoo {command}", style="cyan")
    known = real.split(maxsplit=1)[0] in ("zoo", "data", "eval")
    say(f"   inat2018: {'mixzoo ' if known else ''}{real}", style="dim")
