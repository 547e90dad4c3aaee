"""`mixzoo train`: retrain a row, or a variant of it."""

import os
from pathlib import Path

import click

from ..console import say
from ..groups import CommandWithVerbs
from ..options import FilePath, manifest_option


@click.command(
    "train",
    cls=CommandWithVerbs,
    package=__package__,
    verbs={"sweep": "sweep", "publish": "publish"},
)
@click.argument("row")
@click.option("--data", type=FilePath, metavar="DIR", help="Folder with the images.")
@click.option("--train-list", type=FilePath, metavar="FILE", help="Labels, if not found in DIR.")
@click.option("--val-list", type=FilePath, metavar="FILE", help="Labels, if not found in DIR.")
@click.option("--out", type=FilePath, metavar="DIR", help="Folder of the run.  [runs/ROW]")
@click.option("--name", metavar="NAME", help="Of the files of the run.  [ROW]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another recipe.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--show", is_flag=True, help="Print recipe, expectation and command; don't train.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads per process.")
@click.option("--workers", type=click.IntRange(0), help="Decoding processes per rank.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks (torch.compile).")
@click.option(
    "--checkpoint-every", type=click.IntRange(1), metavar="STEPS", help="Not only every epoch."
)
@click.option(
    "--keep-every", type=click.IntRange(1), metavar="EPOCHS", help="Keep epoch_<n>.pth of these."
)
@click.option("--stop-at", type=click.IntRange(1), metavar="STEP", help="Interrupt there.")
@click.option("--tensorboard", type=FilePath, metavar="DIR", help="Write TensorBoard's files.")
@manifest_option
def command(
    row: str,
    data: Path | None,
    train_list: Path | None,
    val_list: Path | None,
    out: Path | None,
    name: str | None,
    settings: tuple[str, ...],
    seed: int,
    show: bool,
    device: str,
    threads: int | None,
    manifests: tuple[Path, ...],
    **options: object,
) -> None:
    """Train ROW as it was published, or with another recipe.

    The same command goes on after an interruption (exit code 75) or a crash, and ends at once when all
    is done. Several processes: torchrun --nproc_per_node N -m mixzoo train ROW ..., or srun.
    """
    # Said once per process about DDP's find_unused_parameters, which the run wants: see sharing.py.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from ...train.claim import check_name
    from ...train.recipe import overridden
    from ...train.rows import describe, recipe_of
    from ...zoo.catalog import open_catalog

    benchmark, entry = open_catalog(manifests).row(row)
    manifest = benchmark.manifest
    recipe = overridden(recipe_of(manifest, entry, seed=seed), settings)
    out, name = out or Path("runs") / entry.id, name or entry.id
    check_name(name)
    if show:
        where = data or ("DIR" if not manifest.dataset.drawn_by_package else None)
        say(describe(manifest, entry, recipe, data=where or "DIR", out=out, manifests=manifests))
        return

    import torch

    from ...eval.world import join
    from ...train.claim import claimed, facts_of
    from ...train.data import check_labels, find_data
    from ...train.loop import train
    from ...train.run import How

    if threads:
        torch.set_num_threads(threads)
    with join(device) as world:
        recipe.accumulation(world.size)
        images = world.leader_first(lambda: find_data(manifest, data, train_list, val_list))
        check_labels(recipe, images)
        how = How(world, compile=bool(options.pop("compiled")), **options)  # type: ignore[arg-type]
        facts = facts_of(name, recipe, images)
        with claimed(out, facts, world):
            path = train(recipe, images, out, name, how)
    if world.leads:
        epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
        say(f"{path}: {epochs}. Recompute its number: mixzoo eval {path}")
