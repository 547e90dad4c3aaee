"""What only a GPU can show of training: it learns what a CPU learns, in every precision."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mixzoo.eval.world import ALONE, World
from mixzoo.train.data import Data
from mixzoo.train.loop import train
from mixzoo.train.mixing import METHODS
from mixzoo.train.network import parallel
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How, Run
from mixzoo.zoo.errors import InterruptedRunError
from torch.nn.parallel import DistributedDataParallel

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

GPU = World(rank=0, size=1, local_size=1, device=torch.device("cuda", 0))
NEAR = {"fp32": 2e-3, "fp16": 0.03, "bf16": 0.1}  # TF32 rounds fp32's convolutions
every_method = pytest.mark.parametrize(
    "method", [m for m in (*METHODS, "automix", "samix") if m != "saliencymix"]
)  # SaliencyMix's detector is a library for CPUs


@pytest.fixture
def recipe(tiny: Recipe) -> Callable[..., Recipe]:
    """A short recipe on a network that is wide enough for channels-last."""

    def recipe(method: str, **changes: Any) -> Recipe:
        basics = {"architecture": "resnet18_w16", "mix_mode": (method,), "lr": 0.02}
        return replace(tiny, **(basics | changes))

    return recipe


def _lines(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "r.log.json").read_text().splitlines()]
    return [line for line in lines if line.get("mode") == "train"]


def _stopped(recipe: Recipe, data: Data, out: Path, how: How) -> list[dict[str, Any]]:
    """The log's lines of a run that stops at `how.stop_at`."""
    with pytest.raises(InterruptedRunError):
        train(recipe, data, out, "r", how)
    return _lines(out)


@every_method
@pytest.mark.parametrize("precision", NEAR)
def test_the_first_step_is_that_of_a_cpu(
    method: str, precision: Any, recipe: Callable, data: Data, tmp_path: Path
) -> None:
    """Same crops, draws and losses; the second step's gradients came from the GPU."""
    on_cpu = recipe(method)
    on_gpu = recipe(method, precision=precision)

    (cpu, *_), (gpu, *_) = (
        _stopped(one, data, tmp_path / where, How(world, stop_at=2, workers=0))
        for where, one, world in (("cpu", on_cpu, ALONE), ("gpu", on_gpu, GPU))
    )

    assert gpu["loss"] == pytest.approx(cpu["loss"], rel=NEAR[precision])
    assert torch.isfinite(torch.tensor([line["loss"] for line in _lines(tmp_path / "gpu")])).all()


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("method", ["cutmix", "samix"])
def test_a_run_goes_on_where_it_stopped(
    method: str, precision: Any, recipe: Callable, data: Data, tmp_path: Path
) -> None:
    """In mid-epoch, with decoding processes that pin memory: the losses of a run that wasn't."""
    one = recipe(method, precision=precision)
    train(one, data, tmp_path / "whole", "r", How(GPU, workers=0))
    _stopped(one, data, tmp_path / "part", How(GPU, stop_at=3, workers=1))

    path = train(one, data, tmp_path / "part", "r", How(GPU, workers=1))

    whole, part = ([line["loss"] for line in _lines(tmp_path / n)] for n in ("whole", "part"))
    assert len(part) == 8
    assert part == pytest.approx(whole, rel=0.1)
    assert path.with_suffix(".safetensors").exists()


def test_a_run_may_change_its_device(recipe: Callable, data: Data, tmp_path: Path) -> None:
    """From a GPU to a CPU and back, the checkpoint being of neither."""
    one, out = recipe("automix"), tmp_path / "run"
    _stopped(one, data, out, How(GPU, stop_at=2))
    _stopped(one, data, out, How(ALONE, stop_at=5))
    path = train(one, data, out, "r", How(GPU))

    assert len(_lines(out)) == 8
    stored = torch.load(path)["state_dict"]
    assert {value.device.type for value in stored.values()} == {"cpu"}


@pytest.fixture
def nccl() -> Iterator[World]:
    """A process group of one process: NCCL wants a GPU for each."""
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield replace(GPU, size=2)
    dist.destroy_process_group()


@pytest.mark.parametrize("method", ["vanilla", "samix"])
def test_gradients_go_through_nccl(
    method: str, nccl: World, recipe: Callable, tmp_path: Path
) -> None:
    """The wrapped step has the gradients of the bare one, in every step."""
    one = recipe(method, batch_size=4, micro_batch=4)
    alone = Run(one, tmp_path, "r", 8, How(GPU))
    step, wrapped = alone.step, parallel(alone.step, nccl)
    x = torch.randn(4, 3, 32, 32, device=GPU.device)
    y = torch.arange(4, device=GPU.device)

    def gradients(of: Any, seed: int) -> list[torch.Tensor]:
        draw = step.draw(replace(one, seed=0).generator("mix", seed, 0), tuple(x.shape))
        alone.optimizer.zero_grad()
        of(x, y, draw, 0.1)["loss"].backward()
        return [p.grad.clone() for p in alone.model.parameters() if p.grad is not None]

    assert isinstance(wrapped, DistributedDataParallel)
    assert dist.get_backend(wrapped.process_group) == "nccl"
    for seed in range(3):
        for ours, bare in zip(gradients(wrapped, seed), gradients(step, seed), strict=True):
            torch.testing.assert_close(ours, bare, rtol=0.02, atol=0.02)
