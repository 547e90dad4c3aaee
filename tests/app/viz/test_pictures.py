"""`mixzoo viz mix`, `sweep`, `cam` and `release` write what was asked for, or say what is wrong."""

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from PIL import Image

from ...mini_rows import VANILLA

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
Draw = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four pictures of different shapes and kinds, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    shapes = {"ant.png": (90, 70), "bee.jpg": (70, 120), "cat.png": (80, 80), "dog.webp": (100, 90)}
    for name, shape in shapes.items():
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def samix(tmp_path: Path) -> Path:
    """A checkpoint of a small SAMix with seeded weights."""
    torch.manual_seed(0)
    model = MixClassifier(ResNetConfig.from_name("resnet18_w4"), 3, "samix")
    path = tmp_path / "samix.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A checkpoint of a small classifier with seeded weights."""
    torch.manual_seed(0)
    path = tmp_path / "plain.pth"
    model = Classifier(ResNetConfig.from_name("resnet18_w4"), 3)
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@pytest.fixture
def draw(mixzoo: Run, tmp_path: Path) -> Draw:
    """Runs `mixzoo viz` into an SVG; returns what was printed and what is written in the picture."""

    def draw(*arguments: object, size: int | None = 64) -> tuple[str, list[str]]:
        out = tmp_path / "drawn.svg"
        more = ("--size", size) if size else ()
        code, printed, error = mixzoo("viz", *arguments, *more, "--out", out)
        assert (code, error) == (0, "")
        return printed, re.findall(r"<text[^>]*>([^<]*)</text>", out.read_text())

    return draw


@pytest.fixture
def archive(photos: Path, tmp_path: Path) -> Path:
    """A zip of three pictures."""
    path = tmp_path / "vis.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for number in (10, 2, 1):
            zipped.writestr(f"v/epoch_{number}.png", (photos / "cat.png").read_bytes())
    return path


def test_default_needs_neither_images_nor_checkpoint(mixzoo: Run, tmp_path: Path) -> None:
    """Three drawn pairs, five methods."""
    out = tmp_path / "new" / "mix.png"

    code, printed, _ = mixzoo("viz", "mix", "--out", out, "--size", 64)

    assert code == 0
    assert "3 pairs, lam 0.5, mixup, cutmix, saliencymix, fmix, resizemix" in printed
    with Image.open(out) as picture:
        assert picture.size[0] == 1440  # a printed page's width at 200 dots an inch


def test_a_checkpoint_mixes_by_its_own_block(draw: Draw, golden: Path, tmp_path: Path) -> None:
    """AutoMix and PuzzleMix from a genuine checkpoint, as vectors with text as text."""
    checkpoint = golden / "runs/tiny_automix_ep8/epoch_8.pth"

    _, words = draw("mix", checkpoint, "--methods", "automix,puzzlemix")

    drawn = (tmp_path / "drawn.svg").read_text()
    assert drawn.count("<image") == 3 * (2 + 2 * 2) + 1  # and the key
    shown = {"automix", "puzzlemix", "A 0.50 · B 0.50", "tiny_automix_ep8/epoch_8.pth, λ 0.5"}
    assert shown <= {*words}


def test_a_shells_many_files_and_a_folder_are_the_same(
    draw: Draw, photos: Path, tmp_path: Path
) -> None:
    """`--images *.jpg`, `--images` repeated and `--images DIR`; what is no picture stays out."""
    files = sorted(path for path in photos.iterdir() if path.suffix != ".txt")
    repeated = [word for file in files for word in ("--images", file)]
    drawn = []
    for images in (["--images", *files], repeated, ["--images", photos]):
        printed, words = draw("mix", *images, "--methods", "mixup")
        assert "2 pairs" in printed
        drawn.append((tmp_path / "drawn.svg").read_bytes())

    assert drawn[0] == drawn[1] == drawn[2]
    assert {"A: ant", "B: bee", "A: cat", "B: dog"} <= {*words}


def test_several_weights_are_columns(draw: Draw, photos: Path) -> None:
    """With the label weights that each gives."""
    pair = ("--images", photos / "ant.png", photos / "bee.jpg")

    printed, words = draw("mix", *pair, "--methods", "mixup", "--lams", "0.1,0.9")

    assert "1 pair, lam 0.1, 0.9, mixup" in printed
    assert {"λ 0.1", "λ 0.9", "A 0.10 · B 0.90", "A 0.90 · B 0.10"} <= {*words}


def test_the_seed_repeats_the_picture(draw: Draw, photos: Path, tmp_path: Path) -> None:
    """The same command gives the same bytes; another seed another place."""
    made = []
    for seed in (1, 1, 2):
        draw("mix", "--images", photos, "--methods", "cutmix", "--seed", seed)
        made.append((tmp_path / "drawn.svg").read_bytes())

    assert made[0] == made[1] != made[2]


def test_maps_of_the_block_are_drawn(draw: Draw, samix: Path, photos: Path) -> None:
    """Value and attention for each lam; the method is the checkpoint's."""
    given = (samix, "--images", photos, "--layout", "maps", "--lams", "0.3,0.7")

    printed, words = draw("mix", *given)

    assert "2 pairs, lam 0.3, 0.7, samix" in printed
    assert sum(word.startswith("attention ≤") for word in words) == 4


def test_by_default_a_checkpoints_own_method_is_shown(
    draw: Draw, samix: Path, photos: Path
) -> None:
    """Beside those that need none at one lam; alone over several."""
    one, _ = draw("mix", samix, "--images", photos)
    several, _ = draw("mix", samix, "--images", photos, "--lams", "0.2,0.8")

    assert one.rstrip().endswith("mixup, cutmix, saliencymix, fmix, resizemix, samix")
    assert several.rstrip().endswith("lam 0.2, 0.8, samix")


def test_curves_along_lam_name_the_classes(draw: Draw, plain: Path) -> None:
    """What REF takes A and B for, over lam, of a method that needs no checkpoint of its own."""
    given = (plain, "--images", "fox", "owl", "--methods", "cutmix", "--layout", "curve")

    printed, written = draw("mix", *given)

    assert "cutmix, class " in printed
    assert {"A", "B"} <= {line.partition(": class")[0] for line in written}


def test_the_references_layout_stands_beside_a_released_picture(
    draw: Draw, photos: Path, archive: Path
) -> None:
    """From a zip: its last picture."""
    given = ("--images", photos, "--methods", "mixup", "--layout", "reference")

    _, words = draw("mix", *given, "--beside", archive)

    assert words == ["A", "B", "mixed", "mixup, lambda=0.5", "v/epoch_10.png"]


def test_a_sweep_loops_from_a_to_b_and_back(mixzoo: Run, photos: Path, tmp_path: Path) -> None:
    """Two ways of five steps, the ends once: eight frames."""
    out = tmp_path / "sweep.gif"

    code, printed, _ = mixzoo(
        "viz", "sweep", "--method", "cutmix", "--images", photos / "ant.png", photos / "cat.png",
        "--steps", 5, "--fps", 10, "--size", 64, "--out", out,
    )  # fmt: skip

    assert code == 0
    assert "cutmix, ant and cat, 8 pictures at 10 a second" in printed
    with Image.open(out) as film:
        assert (film.n_frames, film.info["loop"]) == (8, 0)


def test_a_sweep_needs_no_images(mixzoo: Run, tmp_path: Path) -> None:
    """The first of the drawn pairs is mixed."""
    out = tmp_path / "sweep.gif"

    code, printed, _ = mixzoo("viz", "sweep", "--steps", 2, "--size", 64, "--out", out)

    assert code == 0
    assert "mixup, " in printed
    assert out.is_file()


def test_maps_of_classes_have_names_and_probabilities(
    draw: Draw, plain: Path, photos: Path, tmp_path: Path
) -> None:
    """From a file of categories."""
    categories = tmp_path / "categories.json"
    entries = [{"id": n, "name": f"Species {n}"} for n in (0, 1, 2)]
    categories.write_text(json.dumps({"categories": entries}))

    printed, words = draw("cam", plain, "--images", photos, "--names", categories)

    assert f"2 pairs, {plain}, cutmix" in printed
    assert sum(bool(re.fullmatch(r"Species \d · [01]\.\d\d", word)) for word in words) == 10


def test_the_embedded_benchmark_names_its_species(draw: Draw) -> None:
    """A row of it knows its classes, and its protocol cuts the pictures."""
    _, words = draw("cam", VANILLA, size=None)

    assert any(re.fullmatch(r"\w+ \w+ · [01]\.\d\d", word) for word in words)


def test_a_zip_is_shown(draw: Draw, archive: Path) -> None:
    """A sheet of the first pictures, or of those whose names are asked for."""
    first, two = draw("release", archive, "--first", 2, size=None)
    chosen, one = draw("release", archive, "--only", "*_1?.*", size=None)

    assert two == ["vis.zip", "v/epoch_1.png", "v/epoch_2.png"]
    assert "2 of 3 pictures" in first
    assert one == ["vis.zip", "v/epoch_10.png"]
    assert "1 of 1 pictures" in chosen


def bomb() -> bytes:
    """A PNG of 3.6 thousand million pixels, in a few bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(b""), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mix", "--methods", "automix"), "expected a checkpoint of automix"),
        (("mix", "--methods", "mixip"), "no method 'mixip' that mixes images; did you mean 'mixup'"),
        (("mix", "--methods", ","), "expected at least one method"),
        (("mix", "--images", "one.jpg"), "an even number of pictures, since they are taken in pairs, got 1"),
        (("mix", "--images", "a.jpg", "b.jpg"), "a.jpg: expected an image, got No such file"),
        (("mix", "--images", "notes.txt", "notes.txt"), "notes.txt: expected an image, got bytes of no"),
        (("mix", "--images", "eps.jpg", "eps.jpg"), "eps.jpg: expected an image, got bytes of no known"),
        (("release", "eps_as_png.zip"), "a.png: expected an image, got bytes of no known"),
        (("mix", "--images", "bomb.png", "bomb.png"), "bomb.png: expected an image, got Decompression"),
        (("mix", "--images", "empty"), "--images empty: holds no pictures itself"),
        (("mix", "--images", "ant.png", "cat.png", "mini", "rest"), "A REF stands before --images"),
        (("mix", "--out", "mix.txt"), "expected a name ending in one of .png, .svg, .pdf, .jpg"),
        (("mix", "--lam", "2"), "--lams 2: expected numbers from 0 to 1"),
        (("mix", "--lams", "0.5,x"), "--lams 0.5,x: expected numbers from 0 to 1"),
        (("mix", "--layout", "maps"), "--layout maps: expected a REF with a MixBlock (automix, samix), got no REF"),
        (("mix", VANILLA, "--layout", "maps"), f"{VANILLA} has none"),
        (("mix", VANILLA, "--layout", "maps", "--methods", "cutmix"), "--layout maps: leave out --methods"),
        (("mix", "--images", "many", "--methods", "mixup"), "expected at most 80 pictures, since one sheet"),
        (("mix", "--images", "many", "--lams", "0,1", "--methods", "mixup,fmix"), "expected at most 40 pictures"),
        (("sweep", "--images", "many"), "expected at most 2 pictures"),
        (("mix", "--layout", "curve"), "--layout curve: expected a REF, whose classes they are"),
        (("mix", "--beside", "notes.txt"), "--beside: expected --layout reference"),
        (("mix", "--layout", "reference"), "expected one method and one lam, got mixup, cutmix"),
        (("mix", "--layout", "reference", "--methods", "mixup", "--beside", "no.png"), "no.png' does not exist"),
        (("mix", "--theme", "blue"), "--theme"),
        (("mix", VANILLA.replace("vanilla", "vanila")), "Did you mean"),
        (("sweep", "--out", "sweep.png"), "expected a name ending in one of .gif, .mp4"),
        (("sweep", "--method", "mixup,cutmix"), "--method: expected one name, got mixup, cutmix"),
        (("sweep", "--images", "a.jpg"), "an even number of pictures, since they are taken in pairs, got 1"),
        (("sweep", "--method", "samix"), "expected a checkpoint of samix"),
        (("cam", VANILLA, "--lam", "0.1,0.2"), "--lam 0.1,0.2: expected one number"),
        (("cam", VANILLA, "--names", "notes.txt"), "notes.txt: expected JSON categories"),
        (("cam", VANILLA, "--names", "huge.json"), "ids from 0 to 1,000,000"),
        (("release", "no.zip"), "no.zip: expected a zip"),
        (("release", "notes.txt"), "notes.txt: expected a whole zip"),
        (("release", "resnet50.automix_inat2018"), "no lock names its visualisation"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(
    mixzoo: Run,
    arguments: tuple[str, ...],
    message: str,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is drawn, and the line says why."""
    (photos / "bomb.png").write_bytes(bomb())
    (photos / "eps.jpg").write_bytes(EPS)
    (photos / "huge.json").write_text('[{"id": 999999999, "name": "a"}]')
    with zipfile.ZipFile(photos / "eps_as_png.zip", "w") as zipped:
        zipped.writestr("a.png", EPS)
    for name, count in {"empty": 0, "many": 82}.items():
        (photos / name).mkdir()
        for number in range(count):
            (photos / name / f"{number}.png").touch()
    monkeypatch.chdir(photos)
    before = sorted(photos.rglob("*"))

    code, out, err = mixzoo("viz", *arguments)

    assert code != 0
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(photos.rglob("*")) == before


def test_a_photograph_stands_upright(mixzoo: Run, tmp_path: Path) -> None:
    """As its camera noted: turned in the file, upright in the picture."""
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[:40] = 255  # the upper half is white
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(pixels)))
    exif = lying.getexif()
    exif[0x0112] = 6  # turn right to see it
    for name in ("a.png", "b.png"):
        lying.save(tmp_path / name, exif=exif)
    out = tmp_path / "mix.png"

    mixzoo("viz", "mix", "--images", tmp_path / "a.png", tmp_path / "b.png", "--methods", "mixup",
           "--size", 64, "--out", out)  # fmt: skip

    with Image.open(out) as picture:
        shown = np.asarray(picture.convert("L"))[80:380, 60:330]  # within A
    assert shown[:60].mean() > 200
    assert shown[-60:].mean() < 60
