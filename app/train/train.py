"""`mixzoo train`: retrain a row, or a variant of it."""

import os
from pathlib import Path
from typing import Any

import click

from ...zoo import looks
from ...zoo import submit as jobs
from ...zoo.submit import Cluster
from ..console import say, say_submitted
from ..groups import CommandWithVerbs
from ..options import (
    Count,
    FilePath,
    OutputFolder,
    Processes,
    Workers,
    complete_names,
    data_option,
    device_option,
    manifest_option,
    option,
    submit_options,
    words_of,
)


@click.command(
    "train",
    cls=CommandWithVerbs,
    package=__package__,
    verbs={"sweep": "sweep", "publish": "publish"},
)
@click.argument("row", shell_complete=complete_names)
@data_option
@option(
    "--train-list FILE", "Training labels (annotations or a list), if not found in DIR.", FilePath
)
@option(
    "--val-list FILE", "Validation labels (annotations or a list), if not found in DIR.", FilePath
)
@option("--out DIR", "The folder for this run alone.  [default: runs/ROW]", OutputFolder)
@option(
    "--set KEY=VALUE",
    "Change one value of the recipe, such as epochs=300 or seed=1. Repeatable.",
    to="settings",
    multiple=True,
)
@option(
    "--init ROW|FILE|timm/NAME",
    "Weights to begin with: a row's, a checkpoint's, or timm's pretrained ones.",
    str,
)
@option("--freeze", "Train the head alone; the backbone stays as --init gave it.")
@option("--show", "Print recipe, expected number and command, and don't train.")
@device_option
@option("--threads", "CPU threads per process.", Processes)
@option("--workers", "Decoding processes per training process.", Workers)
@option("--compile", "Compile the networks by torch.compile.")
@option(
    "--checkpoint-every STEPS",
    "Save where the run stands every so many steps, not only every epoch.",
    Count,
)
@option(
    "--keep-every EPOCHS",
    "Keep the weights of every so many epochs, as epoch_N.pth.",
    Count,
)
@option(
    "--stop-at STEP",
    "Stop after this step, as if interrupted; the same command goes on.",
    Count,
)
@option("--tensorboard DIR", "Write the log's curves for TensorBoard.", OutputFolder)
@submit_options
@manifest_option
@click.pass_context
def command(
    ctx: click.Context,
    row: str,
    data: Path | None,
    train_list: Path | None,
    val_list: Path | None,
    out: Path | None,
    settings: tuple[str, ...],
    init: str | None,
    freeze: bool,
    show: bool,
    device: str,
    threads: int | None,
    submit: Cluster | None,
    job_settings: tuple[str, ...],
    manifests: tuple[Path, ...],
    **how: Any,
) -> None:
    """Train ROW as it was published, or with another recipe.

    The same command goes on after an interruption (exit code 75) or a crash, and ends at once when
    all is done. Several processes: torchrun --nproc_per_node N -m mixzoo train ROW ..., or srun.
    """
    # Said once per process about DDP's find_unused_parameters, which the run wants: see network.py.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from ...train.rows import run_of

    settings += ("freeze=true",) * freeze
    run = run_of(row, settings, data, out, manifests, init)
    if show:
        say(run.describe())
        return
    if submit:
        words, folder = words_of(ctx, without=("submit", "job_settings", "out")), run.out.absolute()
        job = jobs.Commands([[*words, "--out", str(folder)]])
        say_submitted(jobs.submit(submit, folder / "jobs", [job], job_settings), folder / "jobs")
        return

    import torch

    from ...eval.world import join
    from ...train.loop import train_row
    from ...train.run import How

    if threads:
        torch.set_num_threads(threads)
    with join(device) as world:
        path = train_row(run, How(world, **how), train_list, val_list)
    if world.leads:
        from ...train.result import number_of

        epochs = looks.counted(run.recipe.epochs, "epoch")
        named = looks.naming(manifests)
        options = [*(("--data", data) if data else ()), "--row", run.row.id, *named]
        say(f"{path}: {epochs}, {number_of(run)}")
        if run.recipe.architecture == run.row.architecture:  # else no row has such a network
            say("Recompute its number:")
            say(f"  {looks.command('eval', path, *options)}")
        say("It is one draw among seeds: with three runs or more, name all their weights there.")
        say("Make it a row:")
        say(f"  {looks.command('train', 'publish', path.parent, *named)}")
