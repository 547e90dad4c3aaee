"""What every method promises, whatever was drawn."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.train.mixing import (
    METHODS,
    CutmixDraw,
    FmixDraw,
    ManifoldmixDraw,
    MixupDraw,
    PuzzlemixDraw,
    ResizemixDraw,
    SaliencymixDraw,
    apply,
    draw_method,
)
from mixzoo.train.mixing.box import box_around
from mixzoo.zoo.errors import UsageError

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


@every_method
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_result_has_the_promised_shapes_and_ranges(name, data, variant):
    """Images like the batch, partners a permutation, weights and mask in [0, 1]."""
    x, seed = data.draw(batches(name))

    _, mixed = mix(name, x, seed, variant)

    n, _, h, w = x.shape
    assert mixed.images.shape == x.shape
    assert mixed.images.dtype == x.dtype
    assert mixed.perm.sort().values.tolist() == list(range(n))
    assert mixed.lam.shape == (n,)
    assert mixed.lam.dtype == torch.float32
    assert mixed.lam.min() >= 0
    assert mixed.lam.max() <= 1
    assert mixed.mask.shape == (n, 1, h, w)
    assert mixed.mask.dtype == x.dtype
    assert mixed.mask.min() >= 0
    assert mixed.mask.max() <= 1


@every_method
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_label_weight_is_the_share_of_the_original(name, data, variant):
    """The mask's mean is the weight: to rounding, and for fmix to one pixel."""
    x, seed = data.draw(batches(name))

    _, mixed = mix(name, x, seed, variant)

    pixel = 1 / (x.shape[2] * x.shape[3]) if name == "fmix" else 0
    off = (mixed.mask.float().mean((1, 2, 3)) - mixed.lam).abs().max()
    assert off <= pixel + ROUNDING[x.dtype]


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


@every_method
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_nothing_is_modified(name, data):
    """Neither the batch nor the draw changes."""
    x, seed = data.draw(batches(name))
    before = x.clone()
    draw = draw_method(np.random.default_rng(seed), name, x.shape, 1.0)
    draw_before = copy.deepcopy(draw)

    apply(draw, x, saliency_of(x))

    assert torch.equal(x, before)
    assert str(draw) == str(draw_before)


@every_method
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data(), variant=variants)
def test_one_seed_gives_one_picture(name, data, variant):
    """Two generators of the same seed agree to the bit, whatever the global ones do."""
    x, seed = data.draw(batches(name))

    _, first = mix(name, x, seed, variant)
    torch.rand(1), np.random.default_rng().random()
    _, second = mix(name, x, seed, variant)

    assert torch.equal(first.images, second.images)
    assert torch.equal(first.lam, second.lam)


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


def test_puzzlemix_needs_saliency():
    """Without saliency the error names the function that computes it."""
    with pytest.raises(UsageError, match="input_saliency"):
        apply(PuzzlemixDraw(PERM, 0.5, 2), torch.zeros(3, 3, 8, 8))


def test_manifoldmix_needs_a_network():
    """It can't be applied to images; the error names what to call."""
    with pytest.raises(UsageError, match="call manifoldmix"):
        apply(ManifoldmixDraw(PERM, 0.5, 1), torch.zeros(3, 3, 8, 8))
