"""The command and the program that the page shows for copying."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from mixzoo.app import viz
from mixzoo.app.demo.mixing import Mix, command_line, python_lines
from mixzoo.app.demo.pictures import Picture, drawings, read_picture
from mixzoo.app.demo.settings import Settings
from mixzoo.viz.mix import mix_pair
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.manifest import Protocol
from PIL import Image

PROTOCOL = Protocol(resize=146, crop=128)
REF = "resnet18_w6.mixup_mini"


def recipe(a: Picture, b: Picture, method: str = "cutmix", **changed: object) -> Mix:
    facts = {"lam": 0.37, "seed": 3, "ref": REF, "model": None, "protocol": PROTOCOL} | changed
    return Mix(a=a, b=b, method=method, **facts)


def photo(folder: Path, name: str, orientation: int = 1) -> Picture:
    """A visitor's own picture, as the page has read it."""
    noise = np.random.default_rng(len(name)).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise).save(folder / name, exif=exif)
    return read_picture(folder / name, PROTOCOL, Settings())


@pytest.mark.parametrize("method", ["mixup", "cutmix", "fmix", "puzzlemix"])
def test_python_lines_make_the_same_pixels(tmp_path: Path, monkeypatch, method: str) -> None:
    """The program runs and saves exactly the picture that the page shows."""
    drawn = read_picture(drawings()["fox"], PROTOCOL, Settings())
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


def test_command_is_one_that_exists(tmp_path: Path) -> None:
    """The command line's options are those of `mixzoo viz mix`, names quoted for a shell."""
    shown = recipe(photo(tmp_path, "my cat.png"), photo(tmp_path, "b;rm.png"))
    mixzoo, group, name, *arguments = shlex.split(command_line(shown))

    command = viz.commands.get_command(None, name)  # type: ignore[arg-type]
    assert (mixzoo, group) == ("mixzoo", "viz")
    assert command is not None
    context = command.make_context(name, arguments)
    assert context.params["ref"] == REF
    assert [str(path) for path in context.params["images"]] == ["my cat.png", "b;rm.png"]
    assert (context.params["methods"], context.params["seed"]) == ("cutmix", 3)


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    """Two different files of one name get two names."""
    (tmp_path / "x").mkdir()
    one, two = photo(tmp_path, "p.png"), photo(tmp_path / "x", "p.png", orientation=3)

    assert "--images a-p.png b-p.png" in command_line(recipe(one, two))
    assert "--images p.png p.png" in command_line(recipe(one, one))
