"""`mixzoo viz mix` writes a picture of every kind, or says what is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


def test_default_needs_neither_images_nor_checkpoint(mixzoo: Run, tmp_path: Path) -> None:
    """Three drawn pairs, five methods."""
    out = tmp_path / "mix.png"

    code, printed, _ = mixzoo("viz", "mix", "--out", out, "--size", 64)

    assert code == 0
    assert "3 pairs, lam 0.5, mixup, cutmix, saliencymix, fmix, resizemix" in printed
    with Image.open(out) as picture:
        assert picture.size > (1000, 600)


def test_a_checkpoint_mixes_by_its_own_block(mixzoo: Run, golden: Path, tmp_path: Path) -> None:
    """AutoMix and PuzzleMix from a genuine checkpoint, as vectors."""
    checkpoint = golden / "runs/tiny_automix_ep8/epoch_8.pth"
    out = tmp_path / "mix.svg"

    code, _, _ = mixzoo(
        "viz", "mix", checkpoint, "--methods", "automix,puzzlemix", "--out", out, "--size", 64
    )

    assert code == 0
    assert out.read_text().count("<image") == 3 * (2 + 2 * 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "automix"), "expected a checkpoint of automix"),
        (("--methods", "mixip"), "no method 'mixip'"),
        (("--images", "one.jpg"), "expected an even number of files, got 1"),
        (("--images", "a.jpg", "--images", "b.jpg"), "a.jpg: expected an image"),
        (("--out", "mix.txt"), "expected a name ending in .png"),
        (("--lam", "2"), "--lam"),
    ],
)
def test_wrong_arguments_are_one_line(
    mixzoo: Run, arguments: tuple[str, ...], message: str
) -> None:
    """Nothing is drawn, and the line says why."""
    code, out, err = mixzoo("viz", "mix", *arguments)

    assert code != 0
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
