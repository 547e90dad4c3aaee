"""Two training steps of every method against the recorded ones of the reference."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.precision import exact_fp32
from mixzoo.train.mixing import LEARNT_METHODS, METHODS
from mixzoo.train.network import freeze_k, optimizer_of
from mixzoo.train.recipe import Recipe
from mixzoo.train.steps import step_of
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from torch import nn

ALL = [*METHODS, *LEARNT_METHODS]
CONFIG = ResNetConfig.from_name("resnet18_cifar_w16")
TOLERANCE = (1e-4, 3e-3)  # relative, of step 0 and of step 1, which amplifies rounding
# In the recorded AutoMix step some activations lie so near to zero that processors disagree on the
# side of the ReLU; its mix block's gradient then differs by 2% as a whole.
ON_THE_BRINK = {"automix": 0.03}
# the reference's names of the k side
ALIASES = {"backbone.": "backbone_k.", "head.": "head_one_k."}


@pytest.fixture(autouse=True, scope="module")
def _plain_kernels() -> Iterator[None]:
    """torch's own convolutions in one thread: what rounds alike on most processors."""
    threads = torch.get_num_threads()
    enabled = torch._C._get_mkldnn_enabled()
    torch.set_num_threads(1)
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(enabled)
    torch.set_num_threads(threads)


every_method = pytest.mark.parametrize("method", ALL)


@dataclass
class Step:
    """What one step of ours did, and what the reference's did."""

    recorded: dict[str, Any]
    rtol: float
    losses: dict[str, float]
    seen: dict[str, torch.Tensor]
    """The last input of each module, by its name."""

    gradients: dict[str, torch.Tensor]
    stepped: dict[str, torch.Tensor]
    """The state dict after the optimizer's step; `followed`: after k's update, too."""

    followed: dict[str, torch.Tensor]

    def check(self, ours: dict[str, torch.Tensor], key: str) -> None:
        """Compare norms and first values of all tensors recorded under `key`."""
        assert self.recorded[key]
        for name, (_, norm, first) in self.recorded[key].items():
            mine = ours[name].double().flatten().cpu()
            assert mine.norm().item() == pytest.approx(norm, rel=self.rtol), name
            np.testing.assert_allclose(
                mine[:4], first, rtol=self.rtol, atol=self.rtol / 10, err_msg=name
            )


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the state dict, the k side also under the reference's names."""
    entries = {name: value.clone() for name, value in model.state_dict().items()}
    if isinstance(model, MixClassifier):
        for alias, full in ALIASES.items():
            for name in [name for name in entries if name.startswith(full)]:
                entries[alias + name.removeprefix(full)] = entries[name]
    return entries


@pytest.fixture(scope="module")
def cases(golden: Path) -> dict[str, Any]:
    """The recorded steps of all methods."""
    return json.loads((golden / "train_step" / "cases.json").read_text())


@pytest.fixture(scope="module")
def arrays(golden: Path) -> dict[str, np.ndarray]:
    """The recorded arrays of all methods."""
    with np.load(golden / "train_step" / "arrays.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def steps_of(
    cases: dict[str, Any], arrays: dict[str, np.ndarray], regenerate: ModuleType, replay: Callable
) -> Callable[[str], list[Step]]:
    """Takes the two recorded steps of a method, once."""

    def model_of(method: str, device: str) -> Classifier | MixClassifier:
        learnt = method in LEARNT_METHODS
        model = MixClassifier(CONFIG, 10, method) if learnt else Classifier(CONFIG, 10)
        shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
        weights = regenerate.state(shapes, cases[method]["seed"], cases[method]["seed_mix_block"])
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        if isinstance(model, MixClassifier):
            freeze_k(model)
        return model.train().to(device)

    def recipe_of(method: str) -> Recipe:
        options = cases[method]["optimizer"]
        return Recipe(
            architecture=CONFIG.name,
            num_classes=10,
            mix_mode=(method,),
            alpha=(cases[method]["alpha"],),
            batch_size=8,
            micro_batch=8,
            crop=32,
            lr=options["lr"],
            momentum=options["momentum"],
            weight_decay=options["weight_decay"],
        )

    @cache
    def steps_of(method: str, device: str = "cpu") -> list[Step]:
        case, model, recipe = cases[method], model_of(method, device), recipe_of(method)
        step, optimizer = step_of(model, recipe), optimizer_of(model, recipe)
        seen: dict[str, torch.Tensor] = {}
        for name, module in model.named_children():
            module.register_forward_pre_hook(
                lambda _, args, name=name: seen.update({name: args[0].detach()})
            )
        steps = []
        for i, recorded in enumerate(case["steps"]):
            images = regenerate.blocky(case["seed"], f"train_batch{i}", (8, 3, 32, 32), 8)
            assert regenerate.sha256(images) == recorded["input_sha256"]
            prefix = f"{method}_step{i}_"
            own = {name.removeprefix(prefix): array for name, array in arrays.items()}
            rng = replay(recorded["draws"], own)
            x = torch.from_numpy(images).to(device)
            y = torch.tensor(recorded["labels"], device=device)

            with exact_fp32():
                losses = step(x, y, step.draw(rng, tuple(x.shape)), recipe.automix.mask_loss)
                optimizer.zero_grad()
                losses["loss"].backward()
                optimizer.step()
            stepped = _state(model)
            step.follow(recipe.automix.momentum)

            assert rng.draws == []
            gradients = {
                name: parameter.grad.clone()
                for name, parameter in model.named_parameters()
                if parameter.grad is not None
            }
            values = {name: loss.item() for name, loss in losses.items()}
            rtol = max(TOLERANCE[i], ON_THE_BRINK.get(method, 0)) * (10 if device == "cuda" else 1)
            steps.append(
                Step(recorded, rtol, values, dict(seen), gradients, stepped, _state(model))
            )
        return steps

    return steps_of


def _devices() -> list[Any]:
    gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
    return ["cpu", pytest.param("cuda", marks=gpu)]


every_device = pytest.mark.parametrize("device", _devices())


@every_device
@every_method
def test_losses_equal_the_recorded_ones(method: str, device: str, steps_of: Callable) -> None:
    """Total and accuracies under the names of the reference's logs, and the parts of the total."""
    for step in steps_of(method, device):
        recorded = dict(step.recorded["log_vars"])
        if method in LEARNT_METHODS:
            parts = step.recorded["loss_components"]
            names = {name: name for name in ("head_mix_q", "head_one_q", "head_mix_k")}
            names["mix_block.mask_loss (before weight)"] = "mask_loss"
            assert parts.keys() == names.keys()
            recorded |= {mine: parts[theirs][0]["loss"] for theirs, mine in names.items()}
        for name, value in recorded.items():
            assert step.losses[name] == pytest.approx(value, rel=step.rtol, abs=2e-6), name


@pytest.mark.parametrize("method", [name for name in ALL if name != "manifoldmix"])
def test_images_equal_the_recorded_ones(
    method: str, steps_of: Callable, arrays: dict[str, np.ndarray]
) -> None:
    """What the backbones get to see after mixing, in the first step."""
    seen = steps_of(method)[0].seen
    modules = {"backbone_input": "backbone"}
    if method in LEARNT_METHODS:
        modules = {"img_mix_mb": "backbone_k", "img_mix_bb": "backbone_q"}

    for key, module in modules.items():
        np.testing.assert_allclose(
            seen[module][:, :, ::2, ::2], arrays[f"{method}_{key}"], rtol=1e-4, atol=1e-5
        )


@every_device
@every_method
def test_gradients_equal_the_recorded_ones(
    method: str, device: str, steps_of: Callable, arrays: dict[str, np.ndarray]
) -> None:
    """Norm per module, and how many parameters have any: none on the k side. The block's query entry
    by entry, through mask, mixed images and frozen backbone."""
    for i, step in enumerate(steps_of(method, device)):
        for module, recorded in step.recorded["grad"].items():
            mine = [g for name, g in step.gradients.items() if name.startswith(f"{module}.")]
            norm = sum(gradient.double().square().sum().item() for gradient in mine) ** 0.5
            assert len(mine) == recorded["n_with_grad"]
            assert norm == pytest.approx(recorded["grad_norm"] or 0, rel=step.rtol), module
        if method in LEARNT_METHODS and not i:
            query = step.gradients["mix_block.query.conv.weight"].flatten()[:256].cpu().numpy()
            recorded = arrays[f"{method}_grad_query"]
            assert np.linalg.norm(query - recorded) <= step.rtol * np.linalg.norm(recorded)


@every_device
@every_method
def test_weights_and_statistics_equal_the_recorded_ones(
    method: str, device: str, steps_of: Callable
) -> None:
    """After the optimizer's step, which leaves k's weights alone, batch norm has seen the same images
    in the same order; then k's weights move a thousandth of the way to q, its statistics don't."""
    for step in steps_of(method, device):
        step.check(step.stepped, "params_after_sgd_step")
        step.check(step.stepped, "buffers_after")
        if method in LEARNT_METHODS:
            step.check(step.followed, "params_k_after_momentum_update_0.999")
            step.check(step.followed, "buffers_after")
