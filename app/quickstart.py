"""`mixzoo quickstart`: the whole trip on the embedded benchmark, without a network."""

import shlex
from pathlib import Path

import click

from ..zoo.cache import data_path
from ..zoo.errors import IntegrityError
from .console import say
from .options import OutputForms, option

BENCHMARK = "mini"
OUT = Path("mixzoo-quickstart") / "report.json"


@click.command("quickstart")
@option("--out FILE.json", "Where the report is written.", OutputForms, default=OUT)
def command(out: Path) -> None:
    """Take the whole trip on the embedded benchmark.

    Without a network, each step explained.
    """
    images = shlex.quote(str(data_path(BENCHMARK)))
    evidence = shlex.quote(str(out.parent / "evidence"))
    say(
        "mixzoo in six steps, on `mini`: small networks trained by this package on 40 species that "
        "it draws. Under each step: the command, and the same for the published iNaturalist-2018 "
        "weights."
    )
    _step("1. What is there?", f"zoo list {BENCHMARK}", "zoo list inat2018")
    _step(
        "2. Get the weights: hashed while they stream, moved into place only when right.",
        f"zoo download {BENCHMARK}",
        "zoo download resnet50.automix_inat2018",
    )
    _step(
        "3. Are they intact? Every byte is read again and compared with the lock.",
        f"zoo verify {BENCHMARK}",
        "zoo verify resnet50.automix_inat2018",
    )
    _step(
        "4. Get the validation images (here they are drawn).",
        f"data prepare {BENCHMARK} --root {images}",
        "data prepare inat2018 --root DIR --archive train_val2018.tar.gz",
    )
    _step(
        "5. Recompute the numbers and judge them.",
        f"eval --all --benchmark {BENCHMARK} --data {images} --out {shlex.quote(str(out))} "
        f"--evidence {evidence}",
        "eval resnet50.automix_inat2018 --data DIR --out report.json --evidence DIR",
    )
    _step(
        "6. Derive the verdicts again from that evidence alone, as anybody can who has the folder.",
        f"eval check {evidence}",
        "eval check DIR",
    )
    _require_reproduced(out)


def _step(title: str, line: str, real: str) -> None:
    """Tell a step, and run its command as it stands there."""
    from .cli import run

    say()
    say(title, style="bold")
    say(f"   $ mixzoo {line}", style="cyan")
    say(f"   inat2018: mixzoo {real}", style="dim")
    run(shlex.split(line))


def _require_reproduced(out: Path) -> None:
    from ..zoo.looks import MATCHES_LOG
    from ..zoo.report import read_report

    rows = read_report(out).rows
    off = [r for r in rows if r.matches_log != MATCHES_LOG or round(r.judged.gap_images or 0)]
    if off:
        raise IntegrityError(
            f"{len(off)} of {len(rows)} numbers differ from the logged ones, first {off[0].id}: "
            f"{off[0].reason}. Pillow or torch may round differently here; see {out}."
        )
    say(
        f"All {len(rows)} recomputed numbers are the published ones to the image, and match their "
        "logs.",
        style="bold green",
    )
