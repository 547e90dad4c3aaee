"""A finished run becomes a row that can be listed, verified, evaluated and published."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from mixzoo.train.recipe import Recipe, overridden
from mixzoo.train.result import publish, read_result
from mixzoo.train.rows import recipe_of
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.errors import (
    CheckpointError,
    IntegrityError,
    ManifestError,
    MixzooError,
    UsageError,
)
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from mixzoo.zoo.publish.candidates import find_candidates

MIXUP = Recipe("resnet18_w4", 10, ("mixup",), (0.2,), epochs=6, batch_size=8, micro_batch=8)
NAME = "resnet18_w4.vanilla_base"  # the row that the runs are named after
TOP1 = (10.0, 15.0, 20.0, 35.0, 30.0, 25.0)  # percent of 20 images

BASE = """
[dataset.train]
annotations = ["train2018.json"]
[[sources]]
kind = "file"
path = "base"
"""


@pytest.fixture(autouse=True)
def _base(write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark that the runs are trained on: ten classes, 20 images, last epoch counts."""
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(write_benchmark(BASE, benchmark="base")))


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., Path]:
    """Leaves what a finished run leaves, trained by a recipe with these settings."""

    def make(
        *settings: str,
        name: str = NAME,
        top1: tuple[float, ...] = TOP1,
        folder: str = "run",
        **meta: Any,
    ) -> Path:
        out, recipe = tmp_path / folder, overridden(MIXUP, settings)
        out.mkdir()
        torch.manual_seed(recipe.seed)
        config = ResNetConfig.from_name(recipe.architecture)
        model: torch.nn.Module = Classifier(config, recipe.num_classes)
        heads = ["head0"]
        if recipe.learnt:
            model = MixClassifier(config, recipe.num_classes, recipe.method)
            heads = ["acc_one_q", "acc_one_k"]
        notes = {"epoch": recipe.epochs, "config": recipe.text(), "seed": recipe.seed} | meta
        torch.save({"meta": notes, "state_dict": model.state_dict()}, out / f"{name}.pth")
        for other in ("last", "previous", "best"):
            torch.save({"state_dict": model.state_dict()}, out / f"{other}.pth")
        (out / f"{name}.safetensors").write_bytes(b"not looked at")
        (out / ".next.pth").write_bytes(b"half a checkpoint")
        lines: list[dict[str, Any]] = [{"config": recipe.text(), "seed": 0, "exp_name": name}]
        for epoch, value in enumerate(top1, start=1):
            accuracies = {f"{head}_top1": value - 5 * (head == "acc_one_q") for head in heads}
            lines.append({"mode": "val", "epoch": epoch, "iter": 3, "lr": 0.1} | accuracies)
        log = "".join(json.dumps(line) + "\n" for line in lines)
        (out / f"{name}.log.json").write_text(log)
        return out

    return make


def test_a_run_is_found_among_its_checkpoints(finished: Callable) -> None:
    """Its result is the checkpoint with a log of its name, in the form that has notes."""
    run = finished()

    result = read_result(run)

    assert result.weights == run / f"{NAME}.pth"
    assert result.log == run / f"{NAME}.log.json"
    assert (result.facts.method, result.facts.epochs) == ("mixup", 6)


def test_the_hub_command_finds_it_too(finished: Callable) -> None:
    """`mixzoo zoo publish RUN` takes the same folder."""
    (found,) = find_candidates([str(finished())], open_catalog())

    assert found.checkpoint.path.name == f"{NAME}.pth"
    assert found.row.id == NAME


def test_number_is_the_last_epochs_where_that_is_the_rule(
    finished: Callable, tmp_path: Path
) -> None:
    """And row, alpha and architecture are the run's, not those of the row that it is named after."""
    added, summary = publish(finished(), tmp_path / "mine.toml")

    assert added.row.id == "resnet18_w4.mixup_mine"
    assert (added.row.reported_top1, added.row.alpha) == (25.0, 0.2)
    assert (summary.rule, summary.epochs) == ("last epoch", (6,))


def test_number_is_the_median_of_the_last_five_where_that_is_the_rule(
    finished: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five epochs, not the six of the reference's own script."""
    text = (tmp_path / "base.toml").read_text()
    rule = 'statistic = "median_of_last_epochs"\nepochs = 5'
    (tmp_path / "base.toml").write_text(text.replace('statistic = "last_epoch"', rule))

    added, summary = publish(finished(), tmp_path / "mine.toml")

    assert summary.epochs == (2, 3, 4, 5, 6)
    assert added.row.reported_top1 == median(TOP1[1:]) != median(TOP1)


def test_a_learnt_methods_number_is_of_the_head_that_infers(
    finished: Callable, tmp_path: Path
) -> None:
    """one_k, wherever it stands in the log."""
    added, summary = publish(finished("mix_mode=samix", "alpha=2"), tmp_path / "mine.toml")

    assert (added.row.method, summary.head, added.row.reported_top1) == ("samix", "one_k", 25.0)
    assert isinstance(load_file(added.files[0]), MixClassifier)


def test_a_mixture_is_a_method_of_its_own(finished: Callable, tmp_path: Path) -> None:
    """Its alphas and probabilities stand in the row's recipe, by which the row can be trained."""
    settings = ("mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6", "lr=0.05")

    added, _ = publish(finished(*settings), tmp_path / "mine.toml")

    benchmark, row = open_catalog([tmp_path / "mine.toml"]).row("resnet18_w4.mixup_cutmix_mine")
    assert row == added.row
    assert (row.alpha, row.recipe["alpha"], row.recipe["mix_prob"]) == (
        None,
        [0.8, 1.0],
        [0.4, 0.6],
    )
    assert recipe_of(benchmark.manifest, row) == overridden(MIXUP, settings)


def test_runs_of_one_method_are_told_apart_by_tags(finished: Callable, tmp_path: Path) -> None:
    """As a sweep over seeds leaves them."""
    target = tmp_path / "mine.toml"
    publish(finished(), target)

    added, _ = publish(
        finished("seed=1", folder="other"), target, row_id="resnet18_w4.mixup_seed1_mine"
    )

    assert (added.row.method, added.row.tag) == ("mixup", "seed1")
    assert len(open_catalog([target]).benchmark("mine").manifest.rows) == 2


@pytest.mark.parametrize(
    "row_id",
    ["resnet18_w4.cutmix_mine", "resnet18_w4.mixup_Seed_mine", "resnet18_w4.mixup__mine", "mixup"],
)
def test_an_id_that_the_run_is_not_is_refused(
    finished: Callable, tmp_path: Path, row_id: str
) -> None:
    """What an id can be is said."""
    with pytest.raises(
        UsageError, match=r"expected resnet18_w4.mixup_mine, or resnet18_w4.mixup_TAG"
    ):
        publish(finished(), tmp_path / "mine.toml", row_id=row_id)


def test_a_run_by_another_name_needs_its_benchmark(finished: Callable, tmp_path: Path) -> None:
    """Nothing else says on which images it was validated."""
    run = finished(name="my_run")

    with pytest.raises(UsageError, match="Give --benchmark NAME"):
        publish(run, tmp_path / "mine.toml")
    added, _ = publish(run, tmp_path / "mine.toml", benchmark="base")

    assert added.row.id == "resnet18_w4.mixup_mine"


def test_a_manifest_that_cannot_be_used_says_why(finished: Callable, tmp_path: Path) -> None:
    """Not that the benchmark isn't known."""
    target = tmp_path / "mine.toml"
    publish(run := finished(name="my_run"), target, benchmark="base")
    target.write_text(target.read_text().replace("resnet18_w4", "resnet34_w4"))

    with pytest.raises(ManifestError, match=r"mine\.lock\.json: .*expected a row"):
        publish(run, target)


def test_the_benchmark_can_be_a_manifest_file(
    finished: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the run was told of it, by --manifest."""
    monkeypatch.delenv("MIXZOO_MANIFESTS")

    added, _ = publish(finished(), tmp_path / "mine.toml", benchmark=str(tmp_path / "base.toml"))

    assert added.row.id == "resnet18_w4.mixup_mine"


def test_openmixups_own_run_can_be_published(golden: Path, tmp_path: Path) -> None:
    """A genuine work folder: other names, a config in its notes, and four heads in its log."""
    base = (tmp_path / "base.toml").read_text()
    (tmp_path / "base.toml").write_text(
        base.replace("images = 20", "images = 300").replace("decimals = 1", "decimals = 2")
    )

    run = golden / "runs" / "tiny_automix_ep8"
    added, summary = publish(run, tmp_path / "mine.toml", benchmark="base")

    log = next(run.glob("*.log.json")).read_text().splitlines()
    last = json.loads(log[-1])
    assert added.row.id == "resnet50_w4.automix_mine"
    assert (summary.head, summary.value) == ("one_k", last["acc_one_k_top1"])
    recipe = recipe_of(open_catalog([tmp_path / "mine.toml"]).benchmark("mine").manifest, added.row)
    assert (recipe.method, recipe.alpha, recipe.epochs, recipe.lr) == ("automix", (2.0,), 8, 0.1)


def test_an_unfinished_run_is_not_published(finished: Callable, tmp_path: Path) -> None:
    """Its number would be of another schedule than its recipe says."""
    with pytest.raises(UsageError, match="written after epoch 4 of 6; finish the run"):
        publish(finished(epoch=4), tmp_path / "mine.toml")


def test_a_log_that_breaks_off_is_not_published(finished: Callable, tmp_path: Path) -> None:
    """The rule needs the last epoch."""
    with pytest.raises(UsageError, match="expected validations for the last epoch of 6"):
        publish(finished(top1=TOP1[:-1]), tmp_path / "mine.toml")


def test_a_log_without_a_validation_is_not_published(finished: Callable, tmp_path: Path) -> None:
    """One line says so."""
    run = finished("epochs=1", top1=())

    with pytest.raises(MixzooError, match="log"):
        publish(run, tmp_path / "mine.toml")


@pytest.mark.parametrize("top1", [(10.0, 15.0, 20.0, 35.0, 30.0, 25.1), (10.333,) * 6])
def test_accuracies_of_no_whole_images_are_not_published(
    finished: Callable, tmp_path: Path, top1: tuple[float, ...]
) -> None:
    """An edited number, or another validation set than the benchmark's."""
    with pytest.raises(IntegrityError, match="expected accuracies on 20 images"):
        publish(finished(top1=top1), tmp_path / "mine.toml")

    assert not (tmp_path / "mine.toml").exists()


@pytest.mark.parametrize("config", ["", "import os", "epochs = 3"])
def test_weights_that_say_nothing_are_not_published(
    finished: Callable, tmp_path: Path, config: str
) -> None:
    """Whose recipe it is can't be guessed."""
    with pytest.raises(CheckpointError, match="expected the recipe or config of its training"):
        publish(finished(config=config), tmp_path / "mine.toml")


def test_weights_that_are_not_what_they_say_are_not_published(
    finished: Callable, tmp_path: Path
) -> None:
    """The notes say AutoMix, the weights are a plain classifier's."""
    learnt = overridden(MIXUP, ["mix_mode=automix", "alpha=2"])

    with pytest.raises(
        CheckpointError, match="expects automix weights, the checkpoint's are plain"
    ):
        publish(finished(config=learnt.text()), tmp_path / "mine.toml")


def test_another_benchmarks_manifest_is_refused(
    finished: Callable, tmp_path: Path, write_benchmark: Callable[..., Path]
) -> None:
    """Numbers on other images must not stand in one table."""
    target = write_benchmark(BASE.replace("train2018", "other"), benchmark="mine")

    with pytest.raises(UsageError, match="its dataset isn't that of base"):
        publish(finished(), target)


def test_other_classes_are_refused(finished: Callable, tmp_path: Path) -> None:
    """A benchmark of ten classes has no row of a network with seven."""
    with pytest.raises(CheckpointError, match="expects 10 classes, the checkpoint's heads have 7"):
        publish(finished("num_classes=7"), tmp_path / "mine.toml")


def test_folders_without_a_run_are_named(tmp_path: Path) -> None:
    """Missing, or empty."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError, match="expected the folder of a finished run"):
        read_result(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="expected one checkpoint, got none"):
        read_result(tmp_path / "empty")


def test_a_run_without_a_log_is_named(finished: Callable) -> None:
    """There is no number to publish."""
    run = finished()
    (run / f"{NAME}.log.json").unlink()

    with pytest.raises(UsageError, match=r"expected its log .*log\.json beside it, got none"):
        read_result(run / f"{NAME}.pth")
