"""`mixzoo train`: what it shows, what it refuses before any data is read, its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ...mini_rows import MIXUP as ROW

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def own(write_benchmark: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Words that train a row of one's own on a few pictures for one epoch."""
    data = tmp_path / "pictures"
    data.mkdir()
    for i in range(6):
        pixels = np.full((40, 40, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(data / f"{i}.png")
    (data / "all.txt").write_text("".join(f"{i}.png,{i}\n" for i in range(6)))
    words = ["train", "resnet18_w4.vanilla_own", "--manifest", write_benchmark(""), "--data", data]
    words += ["--train-list", data / "all.txt", "--val-list", data / "all.txt", "--device", "cpu"]
    words += ["--set", "epochs=1", "--set", "batch_size=4", "--set", "micro_batch=2"]
    return [str(word) for word in words]


def test_help_names_every_option_and_verb(mixzoo: Run) -> None:
    """And the exit code that asks to be run again."""
    code, out, _ = mixzoo("train", "--help")

    assert code == 0
    for word in ("--set", "--resume", "--checkpoint-every", "--tensorboard", "sweep", "75"):
        assert (word in out) == (word != "--resume")  # the same command goes on: no option


def test_show_prints_the_recipe_and_trains_nothing(mixzoo: Run, tmp_path: Path) -> None:
    """Expected accuracy, command and every value, with what was set."""
    code, out, err = mixzoo("train", ROW, "--show", "--set", "lr=0.05", "--out", tmp_path / "out")

    assert (code, err) == (0, "")
    assert "expected top-1:" in out
    assert f"mixzoo train {ROW}" in out
    assert "lr = 0.05\n" in out
    assert not (tmp_path / "out").exists()


def test_bad_settings_are_named_before_any_data_is_read(mixzoo: Run, tmp_path: Path) -> None:
    """One line and exit code 2; the folder of images isn't even looked for."""
    code, out, err = mixzoo(
        "train", ROW, "--data", tmp_path / "none", "--out", tmp_path / "out", "--set", "lrr=0.1"
    )

    assert (code, out) == (2, "")
    assert "Did you mean 'lr'" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "expected", "words"),
    [
        (["--data", "nowhere"], 7, "expected"),
        (["--device", "cuda"], 2, "no CUDA device"),
        (["--set", "num_classes=3"], 7, "below num_classes 3, got 5"),
    ],
)
def test_what_cannot_work_is_one_line(
    more: list[str], expected: int, words: str, own: list[str], mixzoo: Run, tmp_path: Path
) -> None:
    """With the exit code of its kind."""
    code, out, err = mixzoo(*own, "--out", tmp_path / "out", *more)

    assert (code, out) == (expected, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_run_says_where_its_weights_are_and_goes_on(
    own: list[str], mixzoo: Run, tmp_path: Path
) -> None:
    """Interrupted with 75, then finished with 0, then done at once; another recipe is refused."""
    out = tmp_path / "out"

    stopped = mixzoo(*own, "--out", out, "--stop-at", 1)
    finished = mixzoo(*own, "--out", out, "--keep-every", 1)
    again = mixzoo(*own, "--out", out)
    other = mixzoo(*own, "--out", out, "--set", "lr=0.3")

    assert stopped[0] == 75
    assert "after step 1 of 2" in stopped[2]
    weights = out / "resnet18_w4.vanilla_own.pth"
    number = json.loads((out / "resnet18_w4.vanilla_own.log.json").read_text().splitlines()[-1])
    line = f"{weights}: 1 epoch, top-1 {number['head0_top1']:.1f} (last epoch of the log, head0)"
    for code, said, _ in (finished, again):
        assert code == 0  # a slow machine is told of each epoch on stderr
        assert said.startswith(f"{line}\nRecompute its number:\n  mixzoo eval {weights} --data ")
        assert "--row resnet18_w4.vanilla_own --manifest" in said
    assert (out / "epoch_1.pth").exists()
    assert other[0] == 2
    assert "holds another run; now different: --set lr=0.3" in other[2]
