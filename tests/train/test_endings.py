"""A run ends before its end by signals, by numbers that are none, by what it lost."""

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixzoo.train.endings as module
import pytest
import torch
from mixzoo.eval.world import ALONE
from mixzoo.train.data import Data, Slot, TrainingImages
from mixzoo.train.endings import SIGNALS, explained_losses, interruption
from mixzoo.train.loop import train
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How
from mixzoo.zoo.errors import DivergedError, LostRankError, UsageError
from torch import nn


def _send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])  # the last is SLURM's warning
def test_a_signal_is_noted(name: str) -> None:
    """By its name, and nobody dies."""
    with interruption() as asked:
        before = asked.signal
        _send(signal.Signals[name])

    assert (before, asked.signal) == ("", name)


def test_handlers_are_put_back() -> None:
    """Also after an error."""
    before = [signal.getsignal(number) for number in SIGNALS]

    with pytest.raises(ValueError, match="within"), interruption():
        raise ValueError("within")

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_insisting_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second SIGINT, some time after the first."""
    monkeypatch.setattr(module, "INSISTING", 0.0)

    with pytest.raises(KeyboardInterrupt), interruption():
        _send(signal.SIGINT, signal.SIGINT)


@pytest.mark.parametrize(
    ("numbers", "insisting"),
    [
        ((signal.SIGINT, signal.SIGINT), module.INSISTING),
        ((signal.SIGTERM, signal.SIGTERM), 0.0),
        ((signal.SIGTERM, signal.SIGUSR1), 0.0),
    ],
    ids=["one key press that arrives twice", "a scheduler again", "another warning"],
)
def test_only_people_insist(
    numbers: tuple[int, int], insisting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by one key: a terminal sends it to all processes, and torchrun passes it on."""
    monkeypatch.setattr(module, "INSISTING", insisting)

    with interruption() as asked:
        _send(*numbers)

    assert asked.signal == signal.Signals(numbers[0]).name


def test_a_person_is_told_what_happens(capfd: pytest.CaptureFixture[str]) -> None:
    """Once, at the first Ctrl-C, on the process that speaks."""
    for hint in (True, False):
        with interruption(hint):
            _send(signal.SIGINT)
            _send(signal.SIGINT)

    assert capfd.readouterr().err.count("Ctrl-C again stops at once") == 1


def test_other_threads_train_without_signals() -> None:
    """Python gives them to the main thread alone."""
    noted = []

    def work() -> None:
        with interruption() as asked:
            noted.append(asked.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert noted == [""]


def _diagnosis(out: Path) -> dict[str, Any]:
    return json.loads((out / "diverged.json").read_text())


def _finite(path: Path) -> bool:
    state = torch.load(path, weights_only=True)["state_dict"]
    return all(bool(value.isfinite().all()) for value in state.values())


@pytest.fixture(scope="module")
def wild(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run with a learning rate of a billion, and what it said."""
    out = tmp_path_factory.mktemp("wild")
    recipe = replace(tiny, mix_mode=("vanilla",), lr=1e9, epochs=4)
    with pytest.raises(DivergedError) as raised:
        train(recipe, data, out, "wild", How(checkpoint_every=1))
    return out, str(raised.value)


def test_the_message_says_where_and_what_to_do(wild: tuple[Path, str]) -> None:
    """Epoch, step, rate and precision; one line."""
    out, message = wild
    found = _diagnosis(out)

    assert f"Diverged in epoch {found['epoch']}, step {found['batch']} (lr " in message
    assert "fp32" in message
    assert str(out / "diverged.json") in message
    assert "Lower lr" in message
    assert "\n" not in message


def test_checkpoints_before_are_sound(wild: tuple[Path, str]) -> None:
    """Every file that can be loaded holds numbers."""
    out, _ = wild

    files = list(out.glob("*.pth"))

    assert files
    assert all(map(_finite, files))


def test_the_diagnosis_names_losses_and_images(
    tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first micro batch whose loss was no number, which wasn't the step's last."""
    passes = []

    def break_from_the_third(self: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        passes.append(0)
        return output * float("nan") if len(passes) >= 3 else output

    hook = nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: (
            break_from_the_third(module, inputs, output)
            if isinstance(module, nn.Linear)
            else output
        )
    )
    try:
        with pytest.raises(DivergedError, match=r"epoch 1, step 2 .*loss is no number \(loss\)"):
            train(tiny, data, tmp_path, "broken")
    finally:
        hook.remove()

    found = _diagnosis(tmp_path)
    assert found["losses"]["loss"] == "nan"
    first = TrainingImages(data.train, tiny).rows(Slot(epoch=0, batch=1, slot=0))
    assert found["images"] == [data.train.files[row] for row in first]
    assert found["weights_not_finite"] == []
    assert found["gradients_not_finite"]


@pytest.mark.parametrize("part", ["weight", "running_var"])
def test_a_broken_state_never_becomes_a_checkpoint(
    part: str, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """A gradient or statistics that overflow with a sound loss stop the run before it is saved."""
    networks: list[nn.Module] = []

    def overflow(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, nn.BatchNorm2d) and not networks:
            networks.append(module)
            if part == "weight":
                module.weight.register_hook(lambda gradient: gradient * float("inf"))
            else:
                module.running_var.fill_(float("inf"))

    hook = nn.modules.module.register_module_forward_pre_hook(overflow)
    try:
        with pytest.raises(DivergedError):
            train(tiny, data, tmp_path, "broken", How(checkpoint_every=1))
    finally:
        hook.remove()

    assert not list(tmp_path.glob("*.pth"))


def test_the_command_says_so_and_has_an_exit_code(
    jobs: Any, mixzoo: Callable, tmp_path: Path
) -> None:
    """9, which no scheduler takes for a wish to be run again."""
    code, _, err = mixzoo(*jobs.words("vanilla", tmp_path, lr=1e9, epochs=9))

    assert code == 9
    assert err.startswith("error: Diverged in epoch")
    assert err.count("\n") == 1


def test_lost_connections_and_memory_are_explained() -> None:
    """Each in one line that says what to do; other errors stay what they are."""
    pair = replace(ALONE, rank=1, size=2)
    cases = [
        (pair, RuntimeError("[gloo/pair.cc] Connection closed by peer"), LostRankError, "Rank 1"),
        (ALONE, RuntimeError("DataLoader worker (pid 1) is killed"), UsageError, "--workers"),
        (ALONE, torch.OutOfMemoryError("CUDA out of memory.\nmore"), UsageError, "micro_batch"),
        (ALONE, RuntimeError("gloo was mentioned"), RuntimeError, "gloo was mentioned"),
    ]

    for world, error, kind, words in cases:
        with pytest.raises(kind, match=f"^[^\n]*{words}[^\n]*$"), explained_losses(world):
            raise error
