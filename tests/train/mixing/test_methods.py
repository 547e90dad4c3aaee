"""Any method by its name: drawn, in a mixture, at a chosen lam."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.train.mixing import (
    METHODS,
    PICTURED,
    apply,
    check_mixture,
    draw_method,
    draw_mixture,
    mix_by_name,
)
from mixzoo.train.mixing.cutmix import CutmixDraw, ResizemixDraw, SaliencymixDraw, box_around
from mixzoo.train.mixing.fmix import FmixDraw
from mixzoo.train.mixing.mixup import ManifoldmixDraw, MixupDraw, VanillaDraw
from mixzoo.train.mixing.puzzlemix import PuzzlemixDraw
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

IMAGE_METHODS = [name for name in METHODS if name != "manifoldmix"]
# puzzlemix shows transported images, resizemix a resized partner: each has a test of its own
BLENDING_METHODS = ["vanilla", "mixup", "cutmix", "saliencymix", "fmix"]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
ROUNDING = {torch.float32: 1e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}

every_method = pytest.mark.parametrize("name", IMAGE_METHODS)
variants = st.sampled_from(["openmixup", "paper"])


@pytest.fixture(autouse=True)
def _needs_opencv(request):
    callspec = getattr(request.node, "callspec", None)
    if callspec and callspec.params.get("name") == "saliencymix":
        pytest.importorskip("cv2.saliency", reason="needs the extra 'saliency'")


@st.composite
def batches(draw, name="mixup"):
    """A batch (N, 3, H, W) of any precision, of one image too; sides odd where the method can."""
    n = draw(st.integers(1, 5))
    if name == "puzzlemix":
        h, w = (8 * draw(st.integers(1, 4)) for _ in range(2))
    else:
        h, w = draw(st.integers(2, 33)), draw(st.integers(2, 33))
    seed = draw(st.integers(0, 2**32 - 1))
    x = torch.randn(n, 3, h, w, generator=torch.Generator().manual_seed(seed))
    return x.to(draw(st.sampled_from(DTYPES))), seed


def saliency_of(x: torch.Tensor) -> torch.Tensor:
    return x.float().square().mean(1).sqrt()


def mix(name, x, seed, variant="openmixup"):
    drawn = draw_method(np.random.default_rng(seed), name, x.shape, 1.0, variant)
    return drawn, apply(drawn, x, saliency_of(x))


RECORDED = {"mixup": 3, "cutmix": 6, "resizemix": 5, "saliencymix": 4}
"""Method -> how often the reference was recorded. FMix's and PuzzleMix's calls have more to them."""


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, count in RECORDED.items() for i in range(count)]
)
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name, number):
    """Order of draws, partners, label weights and pixels equal the recorded ones."""
    case = mixer_case(f"{name}_{number}")

    mixed = apply(draw_method(case.rng, name, case.x.shape, case.alpha), case.x)

    check_case(case, mixed)


@every_method
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_every_method_keeps_the_same_promises(name, data, variant):
    """Images like the batch, partners a permutation, weights and mask in [0, 1], the mask's mean the
    weight (to rounding, and for fmix to one pixel); batch and draw stay as they are; and generators
    of one seed agree to the bit, whatever the global ones do."""
    x, seed = data.draw(batches(name))
    draw = draw_method(np.random.default_rng(seed), name, x.shape, 1.0, variant)
    before, drawn = x.clone(), copy.deepcopy(draw)

    mixed = apply(draw, x, saliency_of(x))
    torch.rand(1), np.random.default_rng().random()
    _, second = mix(name, x, seed, variant)

    n, _, h, w = x.shape
    assert (mixed.images.shape, mixed.images.dtype) == (x.shape, x.dtype)
    assert mixed.perm.sort().values.tolist() == list(range(n))
    assert (mixed.lam.shape, mixed.lam.dtype) == ((n,), torch.float32)
    assert (mixed.mask.shape, mixed.mask.dtype) == ((n, 1, h, w), x.dtype)
    for part in (mixed.lam, mixed.mask):
        assert part.min() >= 0
        assert part.max() <= 1
    off = (mixed.mask.float().mean((1, 2, 3)) - mixed.lam).abs().max()
    assert off <= (1 / (h * w) if name == "fmix" else 0) + ROUNDING[x.dtype]
    assert torch.equal(x, before)
    assert str(draw) == str(drawn)
    assert torch.equal(mixed.images, second.images)
    assert torch.equal(mixed.lam, second.lam)


@pytest.mark.parametrize("name", BLENDING_METHODS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_picture_is_where_the_mask_says(name, data, variant):
    """Every pixel is the mask's blend of the original and its partner."""
    x, seed = data.draw(batches(name))

    _, mixed = mix(name, x, seed, variant)

    x, mask = x.float(), mixed.mask.float()
    expected = mask * x + (1 - mask) * x[mixed.perm]
    assert (mixed.images.float() - expected).abs().max() <= 8 * ROUNDING[mixed.images.dtype]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_resizemix_shows_the_resized_partner_where_the_mask_says(data, variant):
    """Inside the box each pixel is some pixel of the partner's own row and column grid."""
    x, seed = data.draw(batches())

    draw, mixed = mix("resizemix", x, seed, variant)

    box = box_around(draw.row, draw.col, draw.scale, *x.shape[2:])
    rows = torch.arange(box.bottom - box.top) * x.shape[2] // max(box.bottom - box.top, 1)
    cols = torch.arange(box.right - box.left) * x.shape[3] // max(box.right - box.left, 1)
    expected = x.clone()
    expected[:, :, box.top : box.bottom, box.left : box.right] = x[mixed.perm][
        :, :, rows[:, None], cols
    ]
    assert torch.equal(mixed.images, expected)
    assert torch.equal(mixed.mask.expand_as(x) == 1, (mixed.mask == 1).expand_as(x))


@pytest.mark.parametrize("name", [name for name in IMAGE_METHODS if name != "saliencymix"])
def test_everything_lives_on_the_device_of_the_batch(name):
    """Draws made on the CPU serve a batch elsewhere; the meta device refuses to mix the two.

    saliencymix looks at pixels, which the meta device hasn't.
    """
    x = torch.zeros(2, 3, 16, 16, device="meta")

    _, mixed = mix(name, x, seed=0)

    assert {t.device.type for t in (mixed.images, mixed.perm, mixed.lam, mixed.mask)} == {"meta"}


def in_other_order(draw, order: torch.Tensor):
    """The same draw for the batch x[order]: partner of a sample is the same image as before."""
    if not hasattr(draw, "perm"):
        return draw
    place = order.argsort()
    fields = {**vars(draw), "perm": place[draw.perm[order]]}
    return type(draw)(**fields)


@every_method
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_order_of_the_batch_does_not_matter(name, data):
    """Mixing a shuffled batch with shuffled partners shuffles the result, and nothing else."""
    x, seed = data.draw(batches(name))
    variant = "paper" if name == "saliencymix" else "openmixup"  # openmixup's depends on perm[0]
    draw, mixed = mix(name, x, seed, variant)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))

    shuffled = apply(in_other_order(draw, order), x[order], saliency_of(x)[order])

    assert torch.equal(shuffled.images, mixed.images[order])
    assert torch.equal(shuffled.lam, mixed.lam[order])
    assert torch.equal(shuffled.mask, mixed.mask[order])


PERM = torch.tensor([2, 0, 1])
SPECTRUM = np.ones((5, 2), dtype=complex)


@pytest.mark.parametrize(
    ("draw", "own"),
    [
        (MixupDraw(PERM, 1.0), True),
        (MixupDraw(PERM, 0.0), False),
        (CutmixDraw(PERM, 1.0, row=0, col=0), True),
        (CutmixDraw(PERM, 0.0, row=4, col=4), False),
        (FmixDraw(PERM, 1.0, SPECTRUM, round_up=False), True),
        (FmixDraw(PERM, 0.0, SPECTRUM, round_up=True), False),
        (ResizemixDraw(PERM, 0.0, row=4, col=4), True),
        (ResizemixDraw(PERM, 1.0, row=4, col=4), False),
    ],
    ids=str,
)
def test_extremes_are_the_image_or_its_partner(draw, own):
    """A weight of one leaves the image, a weight of zero replaces it, to the bit."""
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    mixed = apply(draw, x)

    assert torch.equal(mixed.images, x if own else x[PERM])
    assert mixed.lam.tolist() == [float(own)] * 3


def test_saliencymix_with_all_the_weight_leaves_the_image():
    """An empty box is pasted wherever the peak is."""
    pytest.importorskip("cv2.saliency", reason="needs the extra 'saliency'")
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    assert torch.equal(apply(SaliencymixDraw(PERM, 1.0), x).images, x)


@pytest.mark.parametrize(("lam", "weight"), [(1.0, 1), (0.0, 0)])
def test_puzzlemix_with_a_certain_prior_shows_one_image(lam, weight):
    """A prior that allows one image only wins over saliency."""
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    mixed = apply(PuzzlemixDraw(PERM, lam, blocks=2), x, torch.ones(3, 8, 8))

    assert mixed.lam.tolist() == [weight] * 3


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (PuzzlemixDraw(PERM, 0.5, 2), "input_saliency"),
        (ManifoldmixDraw(PERM, 0.5, 1), "call manifoldmix"),
    ],
)
def test_what_images_alone_cannot_do_is_told(draw, named):
    """The error names the function that computes saliency, or that mixes inside a network."""
    with pytest.raises(UsageError, match=named):
        apply(draw, torch.zeros(3, 3, 8, 8))


SHAPE = (4, 3, 16, 16)
BOTH = ("mixup", "cutmix")


@pytest.mark.parametrize(("mix_prob", "share"), [((0.2, 0.8), 0.2), (None, 0.5)])
def test_chooses_by_probability(mix_prob, share):
    """Over many steps each method has its share; without probabilities they are equal."""
    rng = np.random.default_rng(0)

    kinds = [type(draw_mixture(rng, SHAPE, BOTH, (1, 1), mix_prob)[0]) for _ in range(1000)]

    assert set(kinds) == {MixupDraw, CutmixDraw}
    assert kinds.count(MixupDraw) / 1000 == pytest.approx(share, abs=0.05)


def test_each_method_has_its_own_alpha():
    """A tiny alpha gives weights near 0 or 1, a huge one weights near one half."""
    rng = np.random.default_rng(0)

    draws = [draw_mixture(rng, SHAPE, BOTH, (1e3, 1e-2))[0] for _ in range(200)]

    mixups = [draw.lam for draw in draws if isinstance(draw, MixupDraw)]
    cutmixes = [min(draw.lam, 1 - draw.lam) for draw in draws if isinstance(draw, CutmixDraw)]
    assert np.abs(np.array(mixups) - 0.5).max() < 0.1
    assert np.median(cutmixes) < 1e-3


def test_repeats_draw_anew():
    """Two copies of a batch are mixed with different weights."""
    first, second = draw_mixture(np.random.default_rng(0), SHAPE, ("mixup",), (1,), mix_repeat=2)

    assert isinstance(first, MixupDraw)
    assert isinstance(second, MixupDraw)
    assert first.lam != second.lam


def test_vanilla_comes_once_a_step():
    """After the clean batch, the repeats mix."""
    rng = np.random.default_rng(0)

    steps = [
        [
            type(draw)
            for draw in draw_mixture(rng, SHAPE, ("vanilla", "mixup"), (1, 1), mix_repeat=3)
        ]
        for _ in range(50)
    ]

    assert max(kinds.count(VanillaDraw) for kinds in steps) == 1


def test_one_seed_repeats_the_run():
    """The same generator draws the same methods, weights and partners."""

    runs = [
        [draw_mixture(rng, SHAPE, BOTH, (1, 1), mix_repeat=2) for _ in range(5)]
        for rng in map(np.random.default_rng, (7, 7))
    ]

    assert str(runs[0]) == str(runs[1])


@pytest.mark.parametrize(
    ("methods", "alpha", "more", "expected"),
    [
        ("cutmx", (1,), {}, "no mixing method 'cutmx'; choose one of vanilla, mixup"),
        ("mixup automix", (1, 1), {}, "automix learns its masks beside a network"),
        ("mixup cutmix", (1,), {}, "one alpha for each of 2 mix_mode, got 1"),
        ("mixup cutmix", (1, 0), {}, "alpha > 0"),
        ("", (), {}, "expected a mixing method, got none; choose from vanilla"),
        ("mixup", (1,), {"mix_prob": (0.4, 0.6)}, "mix_prob of 1"),
        ("mixup cutmix", (1, 1), {"mix_prob": (0.4, 0.4)}, "with sum 0.8"),
        ("mixup cutmix", (1, 1), {"mix_prob": (-0.5, 1.5)}, r"got \[-0.5, 1.5\]"),
        ("vanilla", (1,), {"mix_repeat": 2}, "vanilla is used once a step"),
        (
            "vanilla mixup",
            (1, 1),
            {"mix_prob": (0.5, 0.5), "mix_repeat": 2},
            "drop 'vanilla' or mix_prob",
        ),
    ],
)
def test_refuses_what_does_not_fit_together(methods, alpha, more, expected):
    """Every bad combination has an error that says what to change."""
    with pytest.raises(UsageError, match=expected):
        check_mixture(tuple(methods.split()), alpha, **more)


SWAP = torch.tensor([1, 0])


@pytest.fixture(scope="module")
def models() -> dict[str, Classifier | MixClassifier]:
    """One small classifier for each kind that a method needs."""
    config = ResNetConfig.from_name("resnet18_w4")
    learnt = {name: MixClassifier(config, 3, name).eval() for name in ("automix", "samix")}
    return {"puzzlemix": Classifier(config, 3).eval(), **learnt}


@pytest.fixture
def x() -> torch.Tensor:
    """Two images."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", PICTURED)
def test_lam_one_shows_the_original(name: str, x: torch.Tensor, models: dict) -> None:
    """All of A where that is what lam means; PuzzleMix's lam is only a prior."""
    (mixed,) = mix_by_name(name, x, SWAP, [1.0], rng(), models.get(name))

    if name != "puzzlemix":
        assert torch.allclose(mixed.images, x)
        assert mixed.lam.tolist() == [1, 1]


@pytest.mark.parametrize(
    "name", sorted(set(PICTURED) - {"puzzlemix", "resizemix", "cutmix", "saliencymix"})
)
def test_lam_zero_shows_the_partner(name: str, x: torch.Tensor, models: dict) -> None:
    """All of B for the methods whose mask isn't a box that may be clipped."""
    (mixed,) = mix_by_name(name, x, SWAP, [0.0], rng(), models.get(name))

    assert torch.allclose(mixed.images, x[SWAP])


@pytest.mark.parametrize("name", PICTURED)
def test_same_generator_same_picture(name: str, x: torch.Tensor, models: dict) -> None:
    """A seed repeats the picture."""
    (first,), (second,) = (mix_by_name(name, x, SWAP, [0.4], rng(), models.get(name)) for _ in "12")

    assert torch.equal(first.images, second.images)
    assert torch.equal(first.mask, second.mask)


WRONG: dict[str, tuple[str, str | None, str]] = {
    "unknown": ("mixip", None, "no method 'mixip' that mixes images"),
    "hidden": ("manifoldmix", None, "no method 'manifoldmix' that mixes images"),
    "no saliency": ("puzzlemix", None, "needs a classifier's saliency"),
    "no block": ("automix", None, "expected a checkpoint of automix"),
    "block of the other": ("automix", "samix", "expected a checkpoint of automix"),
}


@pytest.mark.parametrize(("name", "model", "message"), WRONG.values(), ids=WRONG)
def test_what_is_missing_is_named(
    name: str, model: str | None, message: str, x: torch.Tensor, models: dict
) -> None:
    """A method says which model it needs."""
    with pytest.raises(UsageError, match=message):
        mix_by_name(name, x, SWAP, [0.5], rng(), models[model] if model else None)
