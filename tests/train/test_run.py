"""What a run consists of, and where it stands."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mixzoo.eval.predictions import Counts
from mixzoo.eval.world import ALONE
from mixzoo.train.data import Data
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.train.run import How, Run
from mixzoo.zoo.data import FolderStore
from mixzoo.zoo.errors import UsageError

NewRun = Callable[..., Run]


@pytest.fixture
def new_run(tiny: Recipe, tmp_path: Path) -> NewRun:
    """Begins a run of four steps an epoch, or goes on with it, by a changed recipe."""

    def new_run(how: How | None = None, **changes: Any) -> Run:
        return Run(replace(tiny, **changes), tmp_path, "run", 4, how or How())

    return new_run


def test_the_rates_of_a_run_are_the_recorded_ones(golden: Path, new_run: NewRun) -> None:
    """Each epoch has the networks' and the mix block's, as the reference's hooks gave them."""
    recorded = json.loads((golden / "schedules.json").read_text())["inat2018_100ep"]
    automix = Automix(min_lr=recorded["mix_block_min_lr"])
    run = new_run(
        mix_mode=("samix",), epochs=recorded["max_epochs"], lr=recorded["lr"], automix=automix
    )
    block = {id(p) for n, p in run.model.named_parameters() if n.startswith("mix_block.")}

    for row in recorded["table"]:
        returned = run.set_learning_rates(row["epoch"])
        rates = {
            id(parameter) in block: group["lr"]
            for group in run.optimizer.param_groups
            for parameter in group["params"]
        }
        assert returned == rates[False] == pytest.approx(row["lr"], rel=1e-9)
        assert rates[True] == pytest.approx(row["lr_mix_block"], rel=1e-9)


def test_every_parameter_has_the_recipes_optimizer(new_run: NewRun) -> None:
    """Batch norm and biases too; each parameter once."""
    run = new_run(mix_mode=("samix",), momentum=0.8, weight_decay=0.003)

    groups = run.optimizer.param_groups

    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(
        map(id, run.model.parameters())
    )
    assert {(group["momentum"], group["weight_decay"]) for group in groups} == {(0.8, 0.003)}
    assert not any(group["nesterov"] for group in groups)


@pytest.mark.parametrize(("processes", "slots"), [(1, [range(4)]), (2, [range(2), range(2, 4)])])
def test_processes_have_their_own_slots(
    processes: int, slots: list[range], new_run: NewRun
) -> None:
    """As many each, one after the other."""
    run = new_run(batch_size=16)

    for rank, expected in enumerate(slots):
        run.world = replace(ALONE, rank=rank, size=processes)
        assert run.slots == expected


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_has_the_recipes_precision(
    precision: str, dtype: torch.dtype, new_run: NewRun
) -> None:
    """Weights and validation stay in fp32."""
    run = new_run(precision=precision)

    with run.autocast():
        logits = run.model(torch.zeros(2, 3, 32, 32))

    assert logits.dtype == dtype
    assert run.model.head.fc.weight.dtype == torch.float32


def test_all_but_narrow_networks_are_channels_last(new_run: NewRun) -> None:
    """torch's kernels corrupt memory in narrow ones on a CPU."""
    layouts = {}
    for architecture in ("resnet18_w4", "resnet18_w16"):
        weight = new_run(architecture=architecture).model.backbone.layer1[0].conv1.weight
        layouts[architecture] = weight.is_contiguous(memory_format=torch.channels_last)

    assert layouts == {"resnet18_w4": False, "resnet18_w16": True}


def test_the_best_epoch_is_kept_and_every_kth(new_run: NewRun, tmp_path: Path) -> None:
    """The first of equals; each with its epoch."""
    run = new_run(How(keep_every=2))

    for epoch, correct in enumerate((5, 7, 7, 6), start=1):
        run.keep_epoch(epoch, Counts(correct, 9, 10))

    kept = {path.name: torch.load(path)["meta"]["epoch"] for path in sorted(tmp_path.glob("*.pth"))}
    assert kept == {"best.pth": 2, "epoch_2.pth": 2, "epoch_4.pth": 4}


@pytest.mark.parametrize(("limit", "counts"), [(1 << 30, 1), (1000, 2)])
def test_images_of_a_small_validation_are_decoded_once(
    limit: int,
    counts: int,
    new_run: NewRun,
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As long as they fit in memory; the counts are the same."""
    monkeypatch.setattr("mixzoo.train.run.KEPT_BYTES", limit)
    read: list[str] = []

    class Noting(FolderStore):
        def read(self, file: str) -> bytes:
            read.append(file)
            return super().read(file)

    images = replace(data.val, store=Noting(data.val.root))
    run = new_run(How(workers=0))

    found = [run.validate(replace(data, val=images)) for _ in range(2)]

    assert found[0] == found[1]
    assert read == [*images.files] * counts


def test_micro_batches_ahead_are_those_of_this_process(new_run: NewRun) -> None:
    """Up to the next validation: two in each of an epoch's four steps, one where two share them."""
    run = new_run()
    run.iteration = 5
    alone = run.ahead
    run.world = replace(ALONE, size=2)

    assert (alone, run.ahead) == (6, 3)


def test_a_checkpoint_of_another_recipe_is_refused(new_run: NewRun) -> None:
    """Also where nothing else in the folder says so."""
    new_run().checkpoint()

    with pytest.raises(UsageError, match="checkpoints are of another recipe"):
        new_run(lr=0.2)


def test_checkpoints_come_before_validation_and_as_often_as_wished(new_run: NewRun) -> None:
    """After every epoch's last step; with checkpoint_every also at its multiples."""

    def times(run: Run) -> list[int]:
        return [
            i for i in range(1, 9) if (setattr(run, "iteration", i), run.is_time_to_checkpoint)[1]
        ]

    assert times(new_run()) == [4, 8]
    assert times(new_run(How(checkpoint_every=3))) == [3, 4, 6, 8]
