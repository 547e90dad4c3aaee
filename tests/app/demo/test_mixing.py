"""The command and the program that the page shows for copying."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mixzoo.app import viz
from mixzoo.app.demo.mixing import Mix, command_line, python_lines, why_label
from mixzoo.app.demo.pictures import Picture, drawings, read_picture
from mixzoo.train.mixing import LEARNT_METHODS, PICTURED
from mixzoo.viz.mix import mix_pair
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.manifest import Protocol
from PIL import Image

from ...mini_rows import AUTOMIX as LEARNT
from ...mini_rows import MIXUP as REF
from ...mini_rows import PROTOCOL, ROWS


def recipe(a: Picture, b: Picture, method: str = "cutmix", **changed: object) -> Mix:
    facts = {"lam": 0.37, "seed": 3, "ref": REF, "model": None, "protocol": PROTOCOL} | changed
    return Mix(a=a, b=b, method=method, **facts)


def photo(folder: Path, name: str, orientation: int = 1) -> Picture:
    """A visitor's own picture, as the page has read it."""
    noise = np.random.default_rng(len(name)).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(noise)
    if name.startswith("see-through"):
        image.putalpha(90)
    image.save(folder / name, exif=exif)
    return read_picture(str(folder / name), PROTOCOL)


@pytest.mark.parametrize("method", ["mixup", "cutmix", "fmix", "puzzlemix"])
def test_python_lines_make_the_same_pixels(tmp_path: Path, monkeypatch, method: str) -> None:
    """The program runs and saves exactly the picture that the page shows."""
    drawn = read_picture(str(drawings()["fox"]), PROTOCOL)
    shown = recipe(drawn, photo(tmp_path, "it's.png", orientation=6), method)
    page = mix_pair(
        shown.a.crop, shown.b.crop, method, [0.37], seed=3, model=load(REF), protocol=PROTOCOL
    )[0]
    monkeypatch.chdir(tmp_path)

    exec(compile(python_lines(shown), "program", "exec"), {})
    assert np.array_equal(np.asarray(Image.open("mixed.png")), page.image)


def test_python_lines_name_what_differs_from_the_default(tmp_path: Path) -> None:
    """A benchmark's own statistics and interpolation are part of the program."""
    own = Protocol(resize=40, crop=32, interpolation="bilinear", std=(0.2, 0.2, 0.2), note="x")
    a = photo(tmp_path, "a.png")

    lines = python_lines(recipe(a, a, protocol=own))
    assert "Protocol(resize=40, crop=32, interpolation='bilinear', std=(0.2, 0.2, 0.2))" in lines


@pytest.mark.parametrize("method", PICTURED)
def test_label_is_explained(tmp_path: Path, method: str) -> None:
    """Where the label isn't lam, or the picture isn't the label, the sentence says so and why."""
    model = load(ROWS[method] if method in LEARNT_METHODS else REF)
    a, b = photo(tmp_path, "a.png"), photo(tmp_path, "longer.png")
    for lam in (0.0, 0.3, 1.0):
        [pair] = mix_pair(a.crop, b.crop, method, [lam], model=model, protocol=PROTOCOL)

        said = why_label(pair)

        area, share = float(pair.mask.mean()), pair.share
        assert f"lam {lam:.2f}" in said
        assert ("was wanted, but" in said) is (abs(share - lam) >= 0.005)
        differs = max(abs(share - lam), abs(area - share)) >= 0.005
        assert (f"{area:.2f} of the picture" in said) is differs


@pytest.mark.parametrize(
    ("method", "ref"), [("mixup", REF), ("puzzlemix", REF), ("automix", LEARNT)]
)
@pytest.mark.parametrize("own", [False, True], ids=["drawings", "own"])
def test_command_makes_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, ref: str, own: bool
) -> None:
    """What is copied into a terminal runs as it stands and saves exactly the page's picture."""
    drawn = [read_picture(str(drawings()[name]), PROTOCOL) for name in ("fox", "owl")]
    names = "my cat;rm.jpg", "see-through.png"
    a, b = [photo(tmp_path, name, orientation=6) for name in names] if own else drawn
    shown = recipe(a, b, method, ref=ref, lam=0.123456789)
    [page] = mix_pair(
        a.crop, b.crop, method, [0.123456789], seed=3, model=load(ref), protocol=PROTOCOL
    )
    monkeypatch.chdir(tmp_path)
    mixzoo, group, *arguments = shlex.split(command_line(shown))

    ran = CliRunner().invoke(viz.commands, arguments, catch_exceptions=False)

    assert (mixzoo, group, ran.exit_code) == ("mixzoo", "viz", 0)
    assert np.array_equal(np.asarray(Image.open("mix.png").convert("RGB")), page.image)


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    """Two different files of one name get two names."""
    (tmp_path / "x").mkdir()
    one, two = photo(tmp_path, "p.png"), photo(tmp_path / "x", "p.png", orientation=3)

    assert "--images a-p.png b-p.png" in command_line(recipe(one, two))
    assert "--images p.png p.png" in command_line(recipe(one, one))
