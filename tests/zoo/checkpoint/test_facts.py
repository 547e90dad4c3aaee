"""Facts of a run are read from what its checkpoint carries; nonsense counts as nothing said."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.train.recipe import Recipe, overridden
from mixzoo.zoo.checkpoint.facts import TrainingFacts, in_words, training_facts
from mixzoo.zoo.checkpoint.reading import read_checkpoint


def meta_of(golden: Path, run: str) -> dict[str, Any]:
    return read_checkpoint(golden / "runs" / run / "epoch_8.pth").meta


CROP = "RandomResizedCrop(size=96, interpolation=3)"
LIST = "data/meta/val_tiny.txt"


def test_genuine_cutmix_run(golden: Path) -> None:
    """What the reference wrote of its run is found: `data` counts, not the defaults above it."""
    facts = training_facts(meta_of(golden, "tiny_cutmix_ep8"))

    assert (facts.method, facts.alpha, facts.architecture) == ("cutmix", 1.0, "resnet50_w4")
    assert (facts.num_classes, facts.epoch, facts.epochs, facts.iteration) == (10, 8, 8, 80)
    assert (facts.learning_rate, facts.weight_decay) == (0.1, 0.0001)
    assert (facts.precision, facts.started_from) == ("fp32", None)
    assert facts.eval_pixels == {
        "resize": 110,
        "crop": 96,
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    assert in_words(facts).items() >= {
        ("optimizer", "SGD(lr=0.1, momentum=0.9, weight_decay=0.0001)"),
        ("schedule", "CosineAnnealing(min_lr=0)"),
        ("images per GPU", "48"),
        ("GPUs", "(0)"),
        ("training pipeline", f"({CROP}, RandomHorizontalFlip())"),
        ("validation images", f"ImageList(list_file={LIST}, root=data/tiny/, splitor=,)"),
        ("seed", "0"),
        ("written", "Sun Nov 22 15:43:32 2026"),
        ("software", "openmixup 0.2.10, mmcv 1.7.2, torch 1.13.1+cu117"),
    }
    assert facts.left_out == ()


def test_genuine_automix_run(golden: Path) -> None:
    """The learnt methods have a type of their own and two kinds of head."""
    facts = training_facts(meta_of(golden, "tiny_automix_ep8"))

    assert (facts.method, facts.alpha, facts.num_classes) == ("automix", 2.0, 10)


def test_recorded_models_have_their_methods_names(golden: Path) -> None:
    """The reference's ten model configs are each told by name."""
    cases = json.loads((golden / "train_step" / "cases.json").read_text())

    found = {
        name: training_facts({"config": f"model = {case['model']!r}"}).method
        for name, case in cases.items()
    }

    assert found == {name: name for name in cases}


def _val(pipeline: str, more: str = "") -> str:
    return f"data = dict(val=dict(pipeline=[{pipeline}]{more}))\nimg_norm_cfg = dict(mean=[1.0])"


BILINEAR = {"evaluation resize": "256", "evaluation interpolation": "bilinear"}
CONFIGS = {
    "model = dict(backbone=dict(type='ResNet', depth=50))": {"architecture": "resnet50"},
    "model = dict(backbone=dict(type='ResNet_Mix', depth=18))": {"architecture": "resnet18"},
    "model = dict(backbone=dict(type='ResNeXt', depth=101, groups=32, width_per_group=4))": {
        "architecture": "resnext101_32x4d"
    },
    "model = dict(backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=16))": {
        "architecture": "resnet18_cifar_w16"
    },
    "model = dict(backbone=dict(type='ResNet', depth=51))": {},
    "model = dict(backbone=dict(type='VisionTransformer', depth=12))": {},
    # torchvision's default, and Pillow's number of it
    _val("dict(type='Resize', size=256)"): BILINEAR,
    _val("dict(type='Resize', size=256, interpolation=2)"): BILINEAR,
    _val("dict(type='Resize', size=[256, 300], interpolation=3)"): {
        "evaluation resize": "(256, 300)",
        "evaluation interpolation": "bicubic",
    },
    # with prefetch the pipeline has no Normalize; without it the top-level values aren't used
    _val("", ", prefetch=True"): {"evaluation mean": "(1)"},
    _val("", ", prefetch=False"): {},
    # a pipeline at the top counts where `data` has none
    "test_pipeline = [dict(type='CenterCrop', size=224)]": {"evaluation crop": "224"},
    # going on after an interruption is no start
    "load_from = 'r50.pth'\nresume_from = 'epoch_3.pth'\nuse_fp16 = True": {
        "started from": "r50.pth",
        "precision": "mixed with fp16",
    },
    "model = dict(type='MixUpClassification', alpha=[0.8, 1], mix_mode=['mixup', 'cutmix'])": {
        "method": "mixup + cutmix",
        "alpha": "(0.8, 1)",
    },
    # nothing that could steer a terminal
    "optimizer = dict(type='SGD', x='\\x1b[2J', y=['\\n'])": {"optimizer": "SGD(x= [2J, y=( ))"},
    # mixzoo's first recipes had one method and one alpha
    "architecture = 'resnet18_w6'\nmethod = 'mixup'\nalpha = 0.2\nepochs = 60": {
        "method": "mixup",
        "alpha": "0.2",
        "architecture": "resnet18_w6",
        "epochs planned": "60",
    },
}


@pytest.mark.parametrize("text", CONFIGS)
def test_a_config_in_words(text: str) -> None:
    """Each config says exactly this, and no more."""
    assert in_words(training_facts({"config": text})) == CONFIGS[text]


def test_notes_in_words() -> None:
    """An epoch and a seed may be all that is noted; a file without notes has no words."""
    assert in_words(training_facts({"epoch": 60, "seed": 0})) == {"epoch": "60", "seed": "0"}
    assert in_words(training_facts({})) == {}


def test_deep_nesting_is_put_into_words() -> None:
    """As deep as Python reads brackets."""
    deep = "[" * 190 + "1" + "]" * 190

    words = in_words(training_facts({"config": f"optimizer = dict(type='SGD', x={deep})"}))

    assert words["optimizer"].startswith("SGD(x=((((")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES = ("model", "optimizer", "data", "runner", "lr_config", "gpu_ids", "optimizer_config")


@given(st.sampled_from(PLACES), JUNK, JUNK)
def test_nonsense_is_nothing_said(place: str, value: Any, note: Any) -> None:
    """Values of the wrong kind anywhere are no reason to fail: the words stay plain text."""
    inner = {"train": {"pipeline": value}, "val": {"pipeline": value, "data_source": note}}
    model = {"type": value, "backbone": note, "head": value}
    text = f"{place} = {value!r}\ndata = {inner!r}\nmodel = {model!r}"

    words = in_words(
        training_facts({"config": text, "epoch": note, "time": note, "env_info": note})
    )

    assert all(isinstance(said, str) and said.isprintable() for said in words.values())


MIXUP = Recipe("resnet18", 10, ("mixup",), (0.2,))


def facts_of(recipe: Recipe, **meta: Any) -> TrainingFacts:
    return training_facts({"config": recipe.text(), **meta})


def test_recipe_is_read_from_its_text() -> None:
    """Method, network, schedule and batch, in the words that OpenMixup's configs have."""
    recipe = overridden(MIXUP, ["precision=bf16"])
    facts = facts_of(recipe, epoch=100, iter=500, seed=0, mixzoo_version="0.1")

    assert (facts.method, facts.alpha, facts.architecture) == ("mixup", 0.2, "resnet18")
    assert (facts.num_classes, facts.epoch, facts.epochs, facts.iteration) == (10, 100, 100, 500)
    assert (facts.learning_rate, facts.weight_decay, facts.precision) == (0.1, 1e-4, "bf16")
    assert facts.others.items() >= {"batch size": 256, "micro batch": 64, "lr": 0.1}.items()
    assert facts.others["software"] == "mixzoo 0.1"
    assert facts.left_out == ()


@pytest.mark.parametrize(
    ("settings", "method", "alpha"),
    [
        (["mix_mode=vanilla"], "vanilla", None),
        (["mix_mode=automix", "alpha=2", "automix.mask_loss=0.3"], "automix", 2.0),
        (["mix_mode=mixup,cutmix", "alpha=0.8,1"], "mixup + cutmix", (0.8, 1.0)),
    ],
)
def test_methods_and_their_alphas(settings: list[str], method: str, alpha: Any) -> None:
    """Vanilla draws no alpha, so it has none; a mixture has one for each method."""
    facts = facts_of(overridden(MIXUP, settings))

    assert (facts.method, facts.alpha, facts.left_out) == (method, alpha, ())


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.floats())


@given(st.dictionaries(st.sampled_from(list(MIXUP.to_dict())), VALUES))
def test_nonsense_counts_as_nothing_said(values: dict[str, Any]) -> None:
    """Whatever somebody wrote into the notes, reading them doesn't fail."""
    lines = {"architecture": "'resnet18'", "mix_mode": "('mixup',)"}
    lines |= {name: repr(value) for name, value in values.items()}

    facts = training_facts({"config": "".join(f"{k} = {v}\n" for k, v in lines.items())})

    assert all(isinstance(text, str) for text in in_words(facts).values())
