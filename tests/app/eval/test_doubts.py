"""`mixzoo eval doubts`, from kept predictions, reports and evidence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.eval.evaluate import Request, evaluate_refs
from mixzoo.eval.world import join

from ...mini_rows import MIXUP, VANILLA

Run = Callable[..., tuple[int, str, str]]
ROWS = (VANILLA, MIXUP)


def test_all_ways_to_name_predictions_give_one_list(
    mixzoo: Run, mini_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, their report and their evidence; the files written hold what --json prints.

    Every fourth image has the label of another class, so that there is something to doubt.
    """
    few = tmp_path / "few.txt"
    lines = json.loads((mini_images / "val2018.json").read_text())
    labels = {one["image_id"]: one["category_id"] for one in lines["annotations"]}
    told = []
    for place, one in enumerate(lines["images"][:40]):
        shutil.copy(mini_images / one["file_name"], tmp_path / f"{place}.jpg")
        told.append(f"{place}.jpg,{(labels[one['id']] + (place % 4 == 0)) % 40}\n")
    few.write_text("".join(told))
    evidence, report = tmp_path / "evidence", tmp_path / "report.json"
    with join("cpu") as world:
        request = Request(refs=ROWS, data=tmp_path, list_file=few, evidence=evidence)
        report.write_text(evaluate_refs(request, world, quiet=True).to_json())

    code, out, _ = mixzoo(
        *("eval", "doubts", *ROWS, "--data", tmp_path, "--list", few),
        *("--out", tmp_path / "d.json"),
    )
    answers = [
        mixzoo("eval", "doubts", *refs, "--json")[1] for refs in (ROWS, [report], [evidence])
    ]

    assert code == 0
    assert "no proof" in out
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["images"] == 40
    assert found["doubts"]
    assert all(sorted(json.loads(answer)) == sorted(found) for answer in answers)
    assert all(json.loads(answer)["doubts"] == found["doubts"] for answer in answers)
    assert (tmp_path / "d.csv").read_text().count("\n") == len(found["doubts"]) + 1
    assert "data:image/jpeg" in (tmp_path / "d.html").read_text()

    images = evidence / ROWS[0] / "images.json"
    images.write_text(images.read_text().replace(".jpg", ".jpe", 1))
    monkeypatch.chdir(tmp_path)
    code, _, err = mixzoo("eval", "doubts", evidence)
    assert (code, err.count("\n")) == (5, 1)
    assert "isn't what it says" in err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (ROWS[:1], 2, "no evaluation of it is stored"),
        ((*ROWS, "--odds", "0"), 2, ""),
        ((*ROWS, "--out", "d.csv"), 2, "ending in .json"),
        (("nothing.json",), 2, "cannot be read"),
        ((".",), 5, "expected a folder that"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    mixzoo: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    """With the exit code of its kind."""
    monkeypatch.chdir(tmp_path)

    got, out, err = mixzoo("eval", "doubts", *words)

    assert (got, out, err.count("\n")) == (code, "", 1)
    assert told in err
