"""Whole runs: their logged numbers, their repeatability, what reaches the weights."""

import io
import json
import sys
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.eval.logs import AUTOMIX, WINDOW, Claim, audit_files, read_log
from mixzoo.eval.logs.summaries import summarise
from mixzoo.train.data import Data
from mixzoo.train.loop import _bar, train
from mixzoo.train.network import fresh_network
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import DataError, InterruptedRunError
from torch import nn


def _lines(checkpoint: Path) -> list[dict[str, Any]]:
    lines = checkpoint.with_suffix(".log.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _timeless(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if "time" not in k} for line in _lines(path)]


@pytest.fixture(scope="module")
def mixup(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a whole run of MixUp."""
    return train(tiny, data, tmp_path_factory.mktemp("mixup"), "run")


@pytest.fixture(scope="module")
def samix(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a whole run of SAMix."""
    recipe = replace(tiny, mix_mode=("samix",))
    return train(recipe, data, tmp_path_factory.mktemp("samix"), "run")


@pytest.mark.parametrize("method", ["mixup", "samix"])
def test_the_logged_number_is_the_checkpoints(
    method: str, data: Data, request: pytest.FixtureRequest
) -> None:
    """The loaded checkpoint, evaluated afresh, gives the last validation line to the image."""
    checkpoint = request.getfixturevalue(method)
    prefix = "" if method == "mixup" else "acc_"

    counts = evaluate(load_file(checkpoint).logits, Work(data.val, data.protocol, workers=0))

    last = _lines(checkpoint)[-1]
    assert last["mode"] == "val"
    for head, count in counts.items():
        assert last[f"{prefix}{head}_top1"] == round(count.top1, 5)
        assert last[f"{prefix}{head}_top5"] == round(count.top5, 5)


def test_a_seed_gives_the_same_bytes_and_log(
    mixup: Path, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Two runs of one recipe write equal files and, but for times, equal logs."""
    torch.manual_seed(99)  # nothing may come from torch's global state

    second = train(tiny, data, tmp_path, "run")

    assert mixup.read_bytes() == second.read_bytes()
    assert mixup.with_suffix(".safetensors").read_bytes() == (
        second.with_suffix(".safetensors").read_bytes()
    )
    assert _timeless(mixup) == _timeless(second)


@pytest.mark.parametrize("workers", [1, 2])
def test_decoding_processes_change_nothing(
    workers: int, mixup: Path, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Weights to the byte."""
    second = train(tiny, data, tmp_path, "run", How(workers=workers))

    assert mixup.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"mix_mode": ("vanilla",)}, {"micro_batch": 8}])
def test_another_recipe_gives_another_network(
    change: dict[str, Any], mixup: Path, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Each of these reaches the weights, and they stay finite."""
    other = train(replace(tiny, **change), data, tmp_path, "run")

    weights = [read_checkpoint(path).state_dict["head.fc.weight"] for path in (mixup, other)]
    assert not torch.equal(*weights)
    assert weights[1].isfinite().all()


def test_accumulated_gradients_are_the_whole_batchs(
    tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """One step in one part moves a network without batch norm's share as two parts do: here the
    bias of the head, whose gradient is a mean over images."""
    moved = []
    for micro in (4, 8):
        recipe = replace(tiny, mix_mode=("vanilla",), micro_batch=micro, weight_decay=0.0)
        out = tmp_path / str(micro)
        with pytest.raises(InterruptedRunError):
            train(recipe, data, out, "run", How(stop_at=1))
        moved.append(torch.load(out / "last.pth")["state_dict"]["head.fc.bias"])

    # Logits of a fresh network are near 0, so the gradient is that of the labels' shares.
    torch.testing.assert_close(*moved, rtol=0.05, atol=5e-4)
    assert moved[0].abs().max() > 0.005


def test_at_a_rate_of_zero_nothing_is_learnt(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """The parameters stay as they were drawn."""
    recipe = replace(tiny, lr=0.0, epochs=1)

    trained = read_checkpoint(train(recipe, data, tmp_path, "run")).state_dict

    drawn = fresh_network(recipe)
    assert all(torch.equal(trained[name], value) for name, value in drawn.named_parameters())


def test_training_learns(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """Six colours are told apart after some epochs, where chance is one in six."""
    recipe = replace(tiny, mix_mode=("vanilla",), epochs=7, lr=0.02)

    checkpoint = train(recipe, data, tmp_path, "run")

    assert _lines(checkpoint)[-1]["head0_top1"] > 40


def test_the_bar_tells_what_matters_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epoch, steps, time left and loss of the longest run; only the leader has one, on a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    hidden = _bar(SimpleNamespace(world=SimpleNamespace(leads=True)), 9, "step")  # type: ignore
    monkeypatch.setattr(sys, "stderr", Terminal())
    with _bar(SimpleNamespace(world=SimpleNamespace(leads=True)), 171_000, "step") as bar:  # type: ignore
        bar.set_description_str("epoch 100/100")
        bar.set_postfix(loss="2.294")
        facts = {**bar.format_dict, "n": 170_000, "elapsed": 4e5, "ncols": 80}
        line = bar.format_meter(**facts)

    assert hidden.disable
    assert len(line) <= 80
    assert line.startswith("epoch 100/100: 99%|")
    assert line.endswith("170000/171000 [39:12 left,  2.35s/step, loss=2.294]")


def test_a_small_data_set_logs_losses_too(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """A line for each epoch at least, where an epoch has fewer steps than `log_every`."""
    train(replace(tiny, log_every=1000), data, tmp_path, "x")

    lines = [json.loads(line) for line in (tmp_path / "x.log.json").read_text().splitlines()]
    epochs = [line["epoch"] for line in lines if line.get("mode") == "train"]
    assert epochs == list(range(1, tiny.epochs + 1))


def test_log_lines_stand_where_the_published_ones_do(mixup: Path) -> None:
    """A header, train lines at every interval, one validation line per epoch; rates fall."""
    lines = _lines(mixup)

    assert lines[0].keys() == {"env_info", "config", "seed", "exp_name"}
    assert [(line["mode"], line["epoch"], line["iter"]) for line in lines[1:]] == [
        *((("train", 1, i)) for i in (1, 2, 3, 4)),
        ("val", 1, 2),
        *((("train", 2, i)) for i in (1, 2, 3, 4)),
        ("val", 2, 2),
    ]
    assert [line["lr"] for line in lines[1:] if line["mode"] == "val"] == [0.1, 0.05]


@pytest.mark.parametrize(
    ("method", "genuine", "mode"),
    [
        ("mixup", "tiny_cutmix_ep8", "val"),
        ("samix", "tiny_automix_ep8", "train"),
        ("samix", "tiny_automix_ep8", "val"),
    ],
)
def test_lines_have_the_keys_of_genuine_ones(
    method: str, genuine: str, mode: str, golden: Path, request: pytest.FixtureRequest
) -> None:
    """In their order, which the reference's tools and people look for."""
    (path,) = (golden / "runs" / genuine).glob("*.log.json")
    theirs = [json.loads(line) for line in path.read_text().splitlines()[1:]]

    ours = _lines(request.getfixturevalue(method))[1:]

    keys = [list(next(line for line in of if line["mode"] == mode)) for of in (ours, theirs)]
    assert keys[0] == keys[1]


def test_the_audit_finds_nothing_in_an_honest_log(samix: Path, data: Data) -> None:
    """Whole numbers of images, one process, the recipe's schedule."""
    claim = Claim(images=len(data.val), train_images=len(data.train))

    audit = audit_files([samix.with_suffix(".log.json")], claim)

    assert audit.arithmetic.is_possible
    assert audit.arithmetic.misfits == ()
    assert not audit.remarks
    assert set(audit.heads) == {"one_k", "mix_k", "one_q", "mix_q"}


def test_openmixups_tools_summarise_our_logs(samix: Path, mixup: Path) -> None:
    """Their windows over the keys that they look for."""
    for path, rule, heads in ((mixup, WINDOW, 1), (samix, AUTOMIX, 2)):
        log = read_log([path.with_suffix(".log.json")])

        found = [s for s in summarise(log, end=2, last=1) if s.rule == rule]

        assert len(found) == heads
        vals = [line for line in _lines(path) if line.get("mode") == "val"]
        if rule == WINDOW:
            assert found[0].value == pytest.approx(sum(v["head0_top1"] for v in vals) / 2)


def test_a_finished_run_ends_at_once(
    mixup: Path, tiny: Recipe, data: Data, capfd: pytest.CaptureFixture[str]
) -> None:
    """Started again it takes no step and leaves the same files; no progress is shown to a file."""
    before = {path.name: path.read_bytes() for path in mixup.parent.iterdir()}

    train(tiny, data, mixup.parent, "run")

    assert capfd.readouterr() == ("", "")
    assert {path.name: path.read_bytes() for path in mixup.parent.iterdir()} == before


@pytest.mark.parametrize("stop", [3, 4, 8])
def test_a_stopped_run_goes_on(
    stop: int, mixup: Path, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """In the middle of an epoch, between two, at the very end: same files, same log."""
    for _ in range(2 if stop < 8 else 1):
        try:
            path = train(tiny, data, tmp_path, "run", How(stop_at=stop))
        except InterruptedRunError as error:
            assert f"after step {stop} of 8" in str(error)  # noqa: PT017

    assert path.read_bytes() == mixup.read_bytes()
    assert (tmp_path / "best.pth").read_bytes() == (mixup.parent / "best.pth").read_bytes()
    assert _timeless(path) == _timeless(mixup)


def test_a_shortened_log_is_not_continued(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """A line that was removed by hand is missed."""
    with pytest.raises(InterruptedRunError):
        train(tiny, data, tmp_path, "run", How(stop_at=6))
    log = tmp_path / "run.log.json"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-2]))

    with pytest.raises(DataError, match=r"run\.log\.json: expected \d+ bytes or more"):
        train(tiny, data, tmp_path, "run")


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch itself only hides it
def test_each_way_of_calling_a_network_is_compiled_once(
    samix: Path, tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """q on images; k on images, to the masks' stage, and from there. Validation compiles nothing, and
    the networks learn nearly the same."""
    shapes = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        shapes.extend(
            tuple(x.shape) for x in inputs if not isinstance(x, nn.Parameter) and x.ndim == 4
        )
        assert all(isinstance(side, int) for shape in shapes for side in shape)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend))

    path = train(replace(tiny, mix_mode=("samix",)), data, tmp_path, "run", How(compile=True))

    assert sorted(shapes) == [(4, 3, 32, 32)] * 3 + [(4, 16, 2, 2)]
    losses = [[line["loss"] for line in _lines(one)[1:3]] for one in (path, samix)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("method", ["mixup", "samix"])
def test_half_precision_trains(
    precision: Any, method: str, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Weights stay finite, and fp32; what they learn is near what fp32 learns."""
    states = []
    for one in (precision, "fp32"):
        recipe = replace(tiny, mix_mode=(method,), precision=one, batch_size=4)
        with pytest.raises(InterruptedRunError):
            train(recipe, data, tmp_path / one, "run", How(stop_at=1))
        states.append(torch.load(tmp_path / one / "last.pth")["state_dict"])

    half, full = states
    bias = "head.fc.bias" if method == "mixup" else "head_one_q.fc.bias"
    assert all(bool(value.isfinite().all()) for value in half.values())
    assert {value.dtype for value in half.values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(half[bias], full[bias], rtol=0.1, atol=1e-3)
    assert full[bias].any()


def test_every_micro_batch_of_every_step_has_draws_of_its_own(
    tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the seed, the step and the slot, so that it doesn't matter who computes it and when."""
    places = []

    def noted(self: Recipe, purpose: Any, *place: int) -> Any:
        if purpose == "mix":
            places.append(place)
        return generator(self, purpose, *place)

    generator = Recipe.generator

    monkeypatch.setattr(Recipe, "generator", noted)

    train(replace(tiny, epochs=1, seed=7), data, tmp_path, "run")

    assert places == [(step, slot) for step in range(4) for slot in range(2)]
