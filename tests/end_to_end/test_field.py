"""Inputs of the kinds that failed in the hands of people: each has its right outcome.

The inputs lie in `field/` beside the photographs, a folder for each kind, but those that were made of
mini's own files, which are made here again. What each kind needs in detail is tested where its code is.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import mixzoo as package
import pytest
import torch
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data.labels import from_folders
from mixzoo.zoo.refs import resolve

from ..conftest import SHARED
from ..mini_rows import EPOCHS, IMAGES, PROTOCOL, published
from ..mini_rows import MIXUP as ROW

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
NUMBER = f"{published(ROW):.2f}"
PLAIN = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all cases: what one has predicted, the others needn't."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def _shared_cache(_own_cache: None, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXZOO_CACHE", str(kept))


@pytest.fixture(scope="session")
def field(shared: Path) -> Path:
    """The folder of field cases."""
    return shared / "field"


@pytest.fixture(scope="session")
def weights() -> Path:
    """The file of mini's mixup row."""
    return resolve(ROW, open_catalog()).path


@pytest.fixture
def entries(weights: Path) -> dict[str, torch.Tensor]:
    """The tensors of that file."""
    return torch.load(weights, weights_only=True)["state_dict"]


def correct(out: Path) -> int:
    """How many images a report says are right."""
    ((head,),) = (row["heads"] for row in json.loads(out.read_text())["rows"])
    return head["correct"]


def labelled(mini: Path) -> list[tuple[str, int]]:
    """The validation images of `mini` and their classes, in the order of its annotations."""
    told = json.loads((mini / "val2018.json").read_text())
    labels = {one["image_id"]: one["category_id"] for one in told["annotations"]}
    return [(one["file_name"], labels[one["id"]]) for one in told["images"]]


def lines(text: str) -> str:
    """Printed text as one line, since a terminal's width breaks sentences anywhere."""
    return " ".join(PLAIN.sub("", text).split())


def outputs(path: Path) -> torch.Tensor:
    model = package.load(path)
    side = 64
    x = torch.linspace(-2, 2, 2 * 3 * side * side).reshape(2, 3, side, side)
    with torch.inference_mode():
        return model.eval()(x)


def files_of(folder: str) -> list[tuple[str, str]]:
    """(folder, file) of a folder's checkpoints, for parametrisation; none where it is absent."""
    found = sorted((SHARED / "field" / folder).glob("*.*"))
    return [(folder, path.name) for path in found if path.stem != "plain"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        case
        for folder in (
            "ckpt-no-num-batches-tracked",
            "ckpt-wrapper-prefix",
            "ckpt-wrapper-key",
            "ckpt-config-objects",
            "ckpt-pickle-protocol",
        )
        for case in files_of(folder)
    ],
)
def test_a_wrapped_checkpoint_gives_the_plain_ones_logits(
    field: Path, folder: str, name: str
) -> None:
    """Other frameworks' names, wrappings and configuration objects change nothing."""
    folder_ = field / folder

    assert torch.equal(outputs(folder_ / name), outputs(folder_ / "plain.pth"))


@pytest.mark.parametrize("name", ["ema_inside.pth", "timm.pth.tar"])
def test_an_averaged_copy_is_named(field: Path, mixzoo: Run, name: str) -> None:
    """It was left out; which numbers are whose would stay unknown."""
    code, out, err = mixzoo("zoo", "inspect", field / "ckpt-averaged-copy" / name)

    assert code == 0
    assert "averaged copy of the weights" in lines(out + err)
    assert "--part" in out + err


@pytest.mark.parametrize("precision", ["guarded", "fp32", "fast"])
def test_a_nan_is_named_before_anything_is_computed(
    entries: dict[str, torch.Tensor], mini_images: Path, mixzoo: Run, tmp_path: Path, precision: str
) -> None:
    """ckpt-nan-weight: comparisons with NaN are quiet, so a number would come out."""
    entries["backbone.layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
    torch.save({"state_dict": entries}, tmp_path / "nan.pth")

    code, out, err = mixzoo(
        *("eval", tmp_path / "nan.pth", "--row", ROW),
        *("--data", mini_images, "--precision", precision),
    )

    assert code not in (0, 1)
    assert "backbone.layer1.0.conv1.weight" in lines(out + err)


def test_half_precision_weights_are_named(
    entries: dict[str, torch.Tensor], mini_images: Path, mixzoo: Run, tmp_path: Path
) -> None:
    """ckpt-half-precision: the number of these weights stands, and so does that they aren't those
    that were trained."""
    half = {n: v.half() if v.is_floating_point() else v for n, v in entries.items()}
    torch.save({"state_dict": half}, tmp_path / "half.pth")
    blown_up = {n: v.float() if v.is_floating_point() else v for n, v in half.items()}
    torch.save({"state_dict": blown_up}, tmp_path / "single.pth")
    judged = ("--row", ROW, "--data", mini_images)

    code, out, err = mixzoo("eval", tmp_path / "half.pth", *judged, "--out", tmp_path / "h.json")
    _, inspected, _ = mixzoo("zoo", "inspect", tmp_path / "half.pth")
    mixzoo("eval", tmp_path / "single.pth", *judged, "--out", tmp_path / "s.json")

    assert code == 0
    assert correct(tmp_path / "h.json") == correct(tmp_path / "s.json")
    assert "float16" in lines(out + err)
    assert "float16" in lines(inspected)


def test_an_epoch_counted_from_0_is_not_held_against_the_log(
    entries: dict[str, torch.Tensor], mini_images: Path, mixzoo: Run, tmp_path: Path
) -> None:
    """ckpt-epoch-counted-from-0: timm's 39 is the 40th, which OpenMixup's log calls 40."""
    last, file = EPOCHS - 1, tmp_path / "timm_last.pth.tar"
    names = {re.sub(r"^(backbone|head)\.", "", name): value for name, value in entries.items()}
    args = argparse.Namespace(model="resnet18", epochs=EPOCHS)
    notes = {"epoch": last, "arch": "resnet18", "version": 2, "args": args}
    torch.save(notes | {"state_dict": names}, file)

    _, out, err = mixzoo("eval", file, "--row", ROW, "--data", mini_images)

    assert NUMBER in out
    assert not re.search(rf"epoch {last}\b", lines(out + err))


def test_a_log_of_other_images_says_nothing(
    mini_images: Path, weights: Path, mixzoo: Run, tmp_path: Path
) -> None:
    """claim-on-two-images: one right and one wrong are 50.00, which is no number of a thousand."""
    model, found = package.load(weights), dict[bool, tuple[str, int]]()
    for name, label in labelled(mini_images):
        crop = decode_crop((mini_images / name).read_bytes(), PROTOCOL, name)
        with torch.inference_mode():
            said = model(normalise(torch.from_numpy(crop[None]), PROTOCOL)).argmax()
        found.setdefault(int(said) == label, (name, label))
        if len(found) == 2:
            break
    for number, (name, _) in enumerate(found.values()):
        shutil.copy(mini_images / name, tmp_path / f"v{number}.jpg")
    two = tmp_path / "two.txt"
    two.write_text("".join(f"v{n}.jpg {label}\n" for n, (_, label) in enumerate(found.values())))

    code, out, err = mixzoo("eval", weights, "--row", ROW, "--data", tmp_path, "--list", two)

    assert code == 0
    assert "50.00" in out
    assert "just as recomputed" not in lines(out + err)


SPELLINGS = {  # list-byte-order-mark, list-common-spellings
    "bom.txt": ("\ufeff", "{},{}\n"),
    "tabs.tsv": ("", "{}\t{}\n"),
    "header.csv": ("path,label\n", "{},{}\n"),
    "quotes.csv": ("", '"{}",{}\n'),
    "backslashes.txt": ("", "{} {}\n"),
    "absolute.txt": ("", "{} {}\n"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_list_in_another_spelling_is_the_same_list(
    mini_images: Path, weights: Path, mixzoo: Run, tmp_path: Path, name: str
) -> None:
    """1,000 images, and the number of the official list."""
    path, (head, line) = tmp_path / name, SPELLINGS[name]
    files, labels = zip(*labelled(mini_images), strict=True)
    if name == "backslashes.txt":
        files = [file.replace("/", "\\") for file in files]
    if name == "absolute.txt":
        files = [mini_images.resolve() / file for file in files]
    path.write_text(head + "".join(map(line.format, files, labels)), encoding="utf-8")

    code, out, err = mixzoo(
        "eval", weights, "--row", ROW, "--data", mini_images, "--list", path, "--out",
        tmp_path / "r.json",
    )  # fmt: skip

    assert code == 0, err
    assert json.loads((tmp_path / "r.json").read_text())["data"]["images"] == IMAGES
    assert NUMBER in out


@pytest.mark.parametrize("name", ["val2018.json.tar.gz", "string_ids.json"])
def test_annotations_as_published_are_read(
    mini_images: Path, weights: Path, mixzoo: Run, tmp_path: Path, name: str
) -> None:
    """annotations-as-published: packed as iNaturalist gives them out, or with ids as text."""
    path = tmp_path / name
    if name == "string_ids.json":
        told = json.loads((mini_images / "val2018.json").read_text())
        told["images"] = [one | {"id": str(one["id"])} for one in told["images"]]
        path.write_text(json.dumps(told))
    else:
        with tarfile.open(path, "w:gz") as packed:
            packed.add(mini_images / "val2018.json", "val2018.json")

    code, out, err = mixzoo(
        "eval", weights, "--row", ROW, "--data", mini_images, "--annotations", path
    )

    assert code == 0, err
    assert NUMBER in out


@pytest.mark.parametrize(
    ("folder", "images"),
    [("folders-apple-double", 50), ("folders-linked", 50), ("folders-other-formats", 75)],
)
def test_class_folders_are_counted_whole(
    field: Path, mini_images: Path, tmp_path: Path, folder: str, images: int
) -> None:
    """Links are followed, formats that can be decoded counted, a Mac's shadow files not."""
    tree = tmp_path / "tree"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        ["sh", field / folder / "make.sh", mini_images, tree], check=True,
        env=os.environ | {"PATH": path},
    )  # fmt: skip

    assert len(from_folders(tree)) == images


def test_an_honest_log_is_not_accused(field: Path, mixzoo: Run) -> None:
    """More images than were once tried, 4 decimals pasted from a text log, fractions, a warm-up."""
    for folder, name, images in (
        ("log-many-images", "large.log.json", None),
        ("log-four-decimals", "pasted.log.json", 8041),
        ("log-fractions", "fractions.log.json", 24426),
        ("log-own-schedule", "warmup.log.json", None),
    ):
        known = ["--images", images] if images else []
        code, out, err = mixzoo("logs", field / folder / name, *known)

        said = lines(out + err)
        assert code == 0, f"{folder}: {said}"
        assert not re.search("edited or invented|impossible|can't give", said), folder
        assert "off the recipe's cosine" not in said, folder


@pytest.mark.parametrize("name", ["mmcls.log", "mmcls.log.json", "mmpretrain.log", "scalars.json"])
def test_other_names_of_accuracy_are_read(field: Path, mixzoo: Run, name: str) -> None:
    """mmcls and mmpretrain name it otherwise; the runs did validate."""
    code, out, err = mixzoo("logs", field / "log-other-names-of-accuracy" / name)

    said = lines(out + err)
    assert "never validated" not in said
    assert code == 0 or re.search(r"accuracy(_top-|/top)1", said)


def test_two_logs_of_one_run_are_compared(field: Path, mixzoo: Run) -> None:
    """Three epochs and two heads in which JSON and text differ: each is named."""
    case = field / "log-json-and-text-disagree"

    _, out, err = mixzoo("logs", case / "run.log.json", case / "run.log")

    said = lines(out + err)
    for epoch in ("191", "192", "195"):
        assert epoch in said
    assert "mix_k" in said
    assert "one_k" in said


def ended(script: Path, weights: Path, mini: Path, seconds: int) -> tuple[int, str]:
    """Exit code and printed text of a field case's shell script, run with this package's command."""
    bin_ = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["sh", script],
        env=os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "REF": str(weights), "MINI": str(mini)},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    return done.returncode, lines(done.stdout + done.stderr)


def test_leftover_launcher_variables_are_named(
    field: Path, mini_images: Path, weights: Path
) -> None:
    """A shell that still has WORLD_SIZE, without or with a meeting place: one line, no traceback."""
    code, said = ended(field / "launcher-variables/run.sh", weights, mini_images, 60)

    assert code == 2
    assert "Traceback" not in said
    assert "env -u" in said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts as root")
def test_a_small_shared_memory_is_no_hindrance(
    field: Path, mini_images: Path, weights: Path
) -> None:
    """Docker gives 64 MB; the evaluation ends by itself."""
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this machine lets no process mount")

    code, said = ended(field / "small-shared-memory/run.sh", weights, mini_images, 150)

    assert code not in (1, 124, 137), said
    assert "Traceback" not in said


TESTED_ELSEWHERE = {"demo-behind-proxy"}  # in tests/app/demo


def test_every_field_case_has_its_test(field: Path) -> None:
    """A folder that comes is not forgotten."""
    text = Path(__file__).read_text(encoding="utf-8")

    untested = [
        folder.name for folder in field.iterdir() if folder.is_dir() and folder.name not in text
    ]

    assert untested == []
