"""Inputs of the kinds that failed in the hands of people: each has its right outcome.

The inputs lie in `field/` beside the photographs, a folder for each kind; what each kind needs in
detail is tested where its code is.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mixzoo as package
import pytest
import torch
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data.labels import from_folders
from mixzoo.zoo.refs import resolve

from ..conftest import SHARED
from ..mini_rows import MIXUP as ROW

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
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
    field: Path, mini_images: Path, mixzoo: Run, precision: str
) -> None:
    """Comparisons with NaN are quiet, so a number would come out."""
    file = field / "ckpt-nan-weight/nan.pth"

    code, out, err = mixzoo(
        "eval", file, "--row", ROW, "--data", mini_images, "--precision", precision
    )

    assert code not in (0, 1)
    assert "backbone.layer1.0.conv1.weight" in lines(out + err)


def test_half_precision_weights_are_named(field: Path, mini_images: Path, mixzoo: Run) -> None:
    """The number stands, and so does that these aren't the weights that were trained."""
    file = field / "ckpt-half-precision/half.pth"

    code, out, err = mixzoo("eval", file, "--row", ROW, "--data", mini_images)
    _, inspected, _ = mixzoo("zoo", "inspect", file)

    assert code == 0
    assert "59.70" in out
    assert "float16" in lines(out + err)
    assert "float16" in lines(inspected)


def test_an_epoch_counted_from_0_is_not_held_against_the_log(
    field: Path, mini_images: Path, mixzoo: Run
) -> None:
    """timm writes 39 for the 40th; OpenMixup's log calls it 40."""
    file = field / "ckpt-epoch-counted-from-0/timm_last.pth.tar"

    _, out, err = mixzoo("eval", file, "--row", ROW, "--data", mini_images)

    assert "59.60" in out
    assert not re.search(r"epoch 39\b", lines(out + err))


def test_a_log_of_other_images_says_nothing(
    field: Path, mini_images: Path, weights: Path, mixzoo: Run, tmp_path: Path
) -> None:
    """50.00 on two images isn't 59.60 on a thousand."""
    case = field / "claim-on-two-images"
    subprocess.run(["sh", case / "make.sh", mini_images, tmp_path / "flat"], check=True)

    code, out, err = mixzoo(
        "eval", weights, "--row", ROW, "--data", tmp_path / "flat",
        "--list", tmp_path / "flat/two.txt",
    )  # fmt: skip

    assert code == 0
    assert "50.00" in out
    assert "just as recomputed" not in lines(out + err)


@pytest.mark.parametrize(
    "name", ["bom.txt", "tabs.tsv", "header.csv", "quotes.csv", "backslashes.txt", "absolute.txt"]
)
def test_a_list_in_another_spelling_is_the_same_list(
    field: Path, mini_images: Path, weights: Path, mixzoo: Run, tmp_path: Path, name: str
) -> None:
    """1,000 images, and the number of the official list."""
    spellings = field / "list-common-spellings"
    path = spellings / name
    if name == "bom.txt":
        path = field / "list-byte-order-mark" / name
    if name == "absolute.txt":
        path = tmp_path / name
        plain = (spellings / "plain.txt").read_text().splitlines(keepends=True)
        path.write_text("".join(f"{mini_images.resolve()}/{line}" for line in plain))

    code, out, err = mixzoo(
        "eval", weights, "--row", ROW, "--data", mini_images, "--list", path, "--out",
        tmp_path / "r.json",
    )  # fmt: skip

    assert code == 0, err
    assert json.loads((tmp_path / "r.json").read_text())["data"]["images"] == 1000
    assert "59.60" in out


@pytest.mark.parametrize("name", ["val2018.json.tar.gz", "string_ids.json"])
def test_annotations_as_published_are_read(
    field: Path, mini_images: Path, weights: Path, mixzoo: Run, name: str
) -> None:
    """Packed as iNaturalist gives them out, or with ids as text."""
    path = field / "annotations-as-published" / name

    code, out, err = mixzoo(
        "eval", weights, "--row", ROW, "--data", mini_images, "--annotations", path
    )

    assert code == 0, err
    assert "59.60" in out


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
