"""`mixzoo eval` on genuine checkpoints and photographs, through the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ..nursery import Nursery

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
TINY = ("--resize", "110", "--crop", "96")


def under_torchrun(ranks: int, cache: Path, *arguments: object) -> str:
    """What `torchrun -m mixzoo.eval` prints."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={ranks}"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "-m", "mixzoo.eval"]
    run = subprocess.run(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MIXZOO_CACHE": str(cache)},
        timeout=250,
    )
    return run.stdout


def one_image(folder: Path) -> Path:
    """A data folder with one file of class 7, for errors that come before it is decoded."""
    (folder / "data/7").mkdir(parents=True)
    (folder / "data/7/a.jpg").write_bytes(b"")
    return folder / "data"


LOGGED_HEADS = {
    "tiny_cutmix_ep8": {"head0": "head0"},
    "tiny_automix_ep8": {head: f"acc_{head}" for head in ("one_k", "mix_k", "one_q", "mix_q")},
}


@pytest.mark.parametrize("name", LOGGED_HEADS)
def test_genuine_checkpoint_gives_the_last_line_of_its_log(
    mixzoo: Run, shared: Path, tmp_path: Path, name: str
) -> None:
    """Runs of the reference: every head's top-1 and top-5 is the logged one, to 5 decimals."""
    run, heads, out = shared / "golden/runs" / name, LOGGED_HEADS[name], tmp_path / "report.json"
    log = next(run.glob("*.log.json")).read_text().splitlines()
    logged = next(json.loads(line) for line in reversed(log) if '"val"' in line)
    data = ("--data", shared / "golden/tiny_val", *TINY)

    code, printed, err = mixzoo("eval", run / "epoch_8.pth", *data, "--out", out)

    assert code == 0, err
    (row,) = json.loads(out.read_text())["rows"]
    assert [one["head"] for one in row["heads"]] == list(heads)
    for one in row["heads"]:
        assert round(one["top1"], 5) == logged[f"{heads[one['head']]}_top1"]
        assert round(one["top5"], 5) == logged[f"{heads[one['head']]}_top5"]
    assert "Protocol changed by hand: resize 110 instead of 256." in printed
    assert out.with_suffix(".md").read_text().startswith("# Top-1 recomputed")


def test_every_world_size_reports_the_same(
    mixzoo: Run, nursery: Nursery, shared: Path, tmp_path: Path
) -> None:
    """59 images on 2 processes of torchrun, and on 3: the same rows as on one, printed once."""
    tiny, listed = shared / "golden/tiny_val", tmp_path / "list.txt"
    listed.write_text("\n".join((tiny / "val_tiny.txt").read_text().splitlines()[::5][:59]))
    checkpoint = shared / "golden/runs/tiny_automix_ep8/epoch_8.pth"
    arguments = (checkpoint, "--data", tiny, "--list", listed, *TINY, "--json", "--device", "cpu")
    arguments += ("--batch-size", 8)

    three = nursery.ranks(["eval", *arguments], 3, MIXZOO_CACHE=tmp_path / "three")
    _, alone, _ = mixzoo("eval", *arguments)
    printed = {2: under_torchrun(2, tmp_path / "two", *arguments)}
    assert [job.wait() for job in three] == [0, 0, 0], [job.err for job in three]
    printed[3] = "".join(job.out for job in three)

    for ranks, text in printed.items():
        together = json.loads(text)
        assert together["rows"] == json.loads(alone)["rows"]
        assert together["rows"][0]["heads"][0]["total"] == 59
        assert together["run"]["world_size"] == ranks


def test_class_count_mismatch_with_the_row_is_named(mixzoo: Run, shared: Path) -> None:
    """A ten-class checkpoint can't be judged as a row of 8,142 classes."""
    checkpoint = shared / "golden/runs/tiny_cutmix_ep8/epoch_8.pth"

    code, _, err = mixzoo(
        "eval",
        checkpoint,
        "--row",
        "resnet50.cutmix_inat2018",
        "--data",
        shared / "golden/tiny_val",
    )

    assert code == 6
    assert "expects 8142 classes, the checkpoint's heads have 10" in err
    assert err.count("\n") == 1


class Payload:
    """Pickles as a call that would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_pickle_with_a_payload_is_refused_and_does_not_run(mixzoo: Run, tmp_path: Path) -> None:
    """What the file wanted is named, and nothing of it happened."""
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "meta": {"hook": Payload(mark)}}, path)

    code, _, err = mixzoo("eval", path, "--data", one_image(tmp_path))

    assert code == 6
    assert "system" in err
    assert err.count("\n") == 1
    assert not mark.exists()


BROKEN = {
    "empty": (b"", "empty"),
    "web page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
    "noise": (bytes(range(256)) * 50, "checkpoint"),
}


@pytest.mark.parametrize(("content", "word"), BROKEN.values(), ids=BROKEN)
def test_broken_checkpoint_is_one_clear_line(
    mixzoo: Run, tmp_path: Path, content: bytes, word: str
) -> None:
    """A file that is no checkpoint says so."""
    path = tmp_path / "w.pth"
    path.write_bytes(content)

    code, _, err = mixzoo("eval", path, "--data", one_image(tmp_path))

    assert code == 6
    assert word in err
    assert err.count("\n") == 1
