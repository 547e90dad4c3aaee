"""`mixzoo eval` from references to a report: one pass, the store, samples, logs, unreadable images."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mixzoo.eval.predictor import Predictor
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import LabelledImages
from mixzoo.zoo.report import parse_report
from PIL import Image

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
IMAGES = 130
Evaluate = Callable[..., tuple[int, Any, str]]

MANIFEST = """
format = 1
name = "tiny"
title = "Two genuine checkpoints on drawn noise"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = 36
crop = 32
[dataset]
name = "Noise"
num_classes = 10
[dataset.val]
images = 130
annotations = ["val.txt"]
"""
ROW = """
[[rows]]
id = "resnet50_w4.{method}_tiny"
architecture = "resnet50_w4"
method = "{method}"
reported_top1 = {top1}
"""


@pytest.fixture(scope="module")
def few(pictures: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 130 pictures: more than calibrate the guard."""
    folder = tmp_path_factory.mktemp("few")
    for file in pictures.files[:IMAGES]:
        (folder / file).write_bytes((pictures.root / file).read_bytes())
    lines = [
        f"{file},{label}\n" for file, label in zip(pictures.files, pictures.labels, strict=True)
    ]
    (folder / "val.txt").write_text("".join(lines[:IMAGES]))
    return folder


@pytest.fixture
def evaluate(mixzoo: Run, golden: Path, few: Path, tmp_path: Path) -> Evaluate:
    """Evaluates a genuine checkpoint as a row of a benchmark of the test; returns code, JSON, stderr."""

    def run(
        *options: object, method: str = "cutmix", top1: float = 10.0, data: Path | None = None
    ) -> tuple[int, Any, str]:
        (tmp_path / "tiny.toml").write_text(MANIFEST + ROW.format(method=method, top1=top1))
        checkpoint = golden / f"runs/tiny_{method}_ep8/epoch_8.pth"
        row = ("--row", f"resnet50_w4.{method}_tiny", "--manifest", tmp_path / "tiny.toml")
        where = ("--data", data or few, "--workers", 0, "--json")
        code, out, err = mixzoo("eval", checkpoint, *row, *where, *options)
        return code, json.loads(out) if out else None, err

    return run


def copied(few: Path, folder: Path) -> Path:
    """A copy of the pictures that a test may damage."""
    return shutil.copytree(few, folder)


def test_a_second_run_is_answered_from_the_store(evaluate: Evaluate) -> None:
    """The same numbers without predicting; the report says where they come from."""
    _, first, _ = evaluate()

    _, second, _ = evaluate()

    assert "from_store" not in first["run"]
    assert second["run"]["from_store"].startswith("1 of 1")
    for key in ("correct", "correct5", "calibration", "precision"):
        assert first["rows"][0]["heads"][0][key] == second["rows"][0]["heads"][0][key]


@pytest.mark.parametrize("precision", ["fp32", "guarded"])
def test_a_replaced_image_is_predicted_again(
    evaluate: Evaluate, few: Path, tmp_path: Path, precision: str
) -> None:
    """The numbers are those of the images that are there now, whatever was kept of others."""
    data = copied(few, tmp_path / "data")
    evaluate("--precision", precision, data=data)
    for file in sorted(data.glob("*.jpg"))[:40]:
        Image.new("RGB", (50, 40), (250, 0, 0)).save(file)

    _, again, _ = evaluate("--precision", precision, data=data)
    _, afresh, _ = evaluate("--precision", precision, "--fresh", data=data)

    assert "from_store" not in again["run"]
    for key in ("correct", "correct5", "calibration"):
        assert again["rows"][0]["heads"][0][key] == afresh["rows"][0]["heads"][0][key]


@pytest.mark.parametrize("method", ["cutmix", "automix"])
def test_precisions_agree(evaluate: Evaluate, method: str) -> None:
    """Guarded counts of every head are those of fp32."""
    _, guarded, _ = evaluate(method=method)
    _, exact, _ = evaluate("--precision", "fp32", method=method)

    counts = [
        [(one["head"], one["correct"], one["correct5"]) for one in report["rows"][0]["heads"]]
        for report in (guarded, exact)
    ]
    assert counts[0] == counts[1]
    assert guarded["rows"][0]["heads"][0]["precision"]["bound"] > 0


def test_fp32_computes_again_in_batches_no_larger_than_asked_for(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A --batch-size that was chosen for a small machine holds for all that is computed."""
    sizes: list[int] = []

    class Seen(Predictor):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            sizes.append(self.exact_size)

    monkeypatch.setattr("mixzoo.eval.jobs.Predictor", Seen)

    for asked in (5, 128):
        assert evaluate("--batch-size", asked, "--fresh")[0] == 0

    assert sizes == [5, 16]


def test_a_report_tells_what_the_checkpoint_says_of_itself(evaluate: Evaluate) -> None:
    """The genuine config disagrees with this row's pixels, and its own words are listed."""
    _, report, _ = evaluate()

    claims = report["rows"][0]["claims"]
    assert any("resize" in sentence for sentence in claims["disagreements"])
    assert "cutmix" in str(claims["facts"])


def test_an_unreadable_image_leaves_no_verdict(
    evaluate: Evaluate, few: Path, tmp_path: Path
) -> None:
    """It's named, the number isn't judged, and the command fails."""
    data = copied(few, tmp_path / "data")
    (data / "070.jpg").write_bytes(b"nonsense")

    code, report, err = evaluate(data=data)

    assert code == 7
    assert "070.jpg" in err
    assert err.count("\n") == 1
    assert report["rows"][0]["verdict"] == "not comparable"
    assert [entry["file"] for entry in report["unreadable"]] == ["070.jpg"]


def test_unreadable_and_absent_images_can_be_counted_as_wrong(
    evaluate: Evaluate, few: Path, tmp_path: Path
) -> None:
    """--allow-missing shows the number; once the files are there again, a further run reads them."""
    data = copied(few, tmp_path / "data")
    (data / "070.jpg").write_bytes(b"nonsense")
    (data / "071.jpg").unlink()

    code, report, err = evaluate("--allow-missing", data=data)
    for file in ("070.jpg", "071.jpg"):
        (data / file).write_bytes((few / file).read_bytes())
    _, whole, _ = evaluate(data=data)

    assert (code, err) == (0, "")
    assert len(report["unreadable"]) == 2
    assert report["rows"][0]["heads"][0]["total"] == IMAGES
    assert report["rows"][0]["not_comparable"] == "2 of 130 images can't be read and count as wrong"
    assert whole["unreadable"] == []
    assert "from_store" not in whole["run"]


def test_absent_images_are_an_error_by_default(
    evaluate: Evaluate, few: Path, tmp_path: Path
) -> None:
    """Nothing is evaluated on a part of the list by mistake."""
    data = copied(few, tmp_path / "data")
    (data / "071.jpg").unlink()

    code, report, err = evaluate(data=data)

    assert (code, report) == (7, None)
    assert "071.jpg" in err


def test_a_sample_estimates_the_whole(evaluate: Evaluate) -> None:
    """Some images, an interval for all, and what the sample can't see; never "reproduced"."""
    _, whole, _ = evaluate()
    truth = whole["rows"][0]["heads"][0]["top1"]

    _, report, _ = evaluate("--sample", 60, "--fresh", top1=round(truth, 1))

    row = report["rows"][0]
    head = row["heads"][0]
    assert head["total"] == 60
    assert head["interval95"][0] <= truth <= head["interval95"][1]
    assert row["verdict"] in ("consistent with the published number", "undecided at this width")
    assert row["not_comparable"] == "a sample: 60 of 130 images"
    assert report["sample"]["of"] == IMAGES
    assert len(report["sample"]["cannot_detect"]) == 4


def test_all_images_as_a_sample_have_no_interval(evaluate: Evaluate) -> None:
    """At N = all the estimate is the number itself."""
    _, whole, _ = evaluate()

    _, report, _ = evaluate("--sample", IMAGES)

    row = report["rows"][0]["heads"][0]
    assert row["correct"] == whole["rows"][0]["heads"][0]["correct"]
    assert row["interval95"] == [row["top1"], row["top1"]]


def test_an_audit_stops_when_the_number_is_excluded(evaluate: Evaluate) -> None:
    """A published 95% is contradicted long before the width is reached."""
    code, report, _ = evaluate("--until", 4, "--batch-size", 16, top1=95.0)

    assert code == 0
    assert report["sample"]["images"] < 100
    assert report["rows"][0]["verdict"] == "contradicts the published number"


def test_a_sample_is_kept_for_the_whole(evaluate: Evaluate) -> None:
    """Evaluating all images later gives what evaluating them at once gives."""
    _, once, _ = evaluate("--fresh")
    evaluate("--fresh", "--sample", 50, "--resize", 40)
    _, later, _ = evaluate("--resize", 40)
    _, fresh, _ = evaluate("--resize", 40, "--fresh")

    assert later["rows"][0]["heads"][0]["correct"] == fresh["rows"][0]["heads"][0]["correct"]
    assert later["rows"][0]["heads"][0]["total"] == once["rows"][0]["heads"][0]["total"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sample", 131), "--sample: expected 1 to 130"),
        (("--sample", 10, "--until", 2), "expected one of them"),
    ],
)
def test_samples_that_make_no_sense(evaluate: Evaluate, options: Any, message: str) -> None:
    """One line says what was expected."""
    code, _, err = evaluate(*options)

    assert code == 2
    assert message in err


def test_a_log_stands_beside_the_number(evaluate: Evaluate, tmp_path: Path) -> None:
    """--log: the epoch's logged accuracy and how many images lie between."""
    log = tmp_path / "r.log.json"
    top1 = {"head0_top1": round(100 * 7 / IMAGES, 5), "head0_top5": round(100 * 60 / IMAGES, 5)}
    log.write_text(json.dumps({"mode": "val", "epoch": 8, "iter": 6} | top1) + "\n")

    _, report, _ = evaluate("--log", log, "--fresh")

    row = report["rows"][0]["heads"][0]
    assert row["logged"]["epoch"] == 8
    assert row["logged"]["gap_images"] == pytest.approx(row["correct"] - 7, abs=0.01)


def test_a_log_of_other_images_is_not_compared(evaluate: Evaluate, golden: Path) -> None:
    """A log of 300 images says nothing of an evaluation of 130."""
    log = next((golden / "runs/tiny_cutmix_ep8").glob("*.log.json"))

    _, report, _ = evaluate("--log", log, "--fresh")

    assert "logged" not in report["rows"][0]["heads"][0]
    assert report["run"]["log_problems"] == [f"{log.name} is of another number of images."]


def test_a_log_that_cannot_be_read_is_said_before_anything_is_predicted(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    """One line, and no image was decoded for it."""
    (tmp_path / "r.log.json").write_text("nonsense\n")

    code, report, err = evaluate("--log", tmp_path / "r.log.json")
    _, again, _ = evaluate()

    assert (code, report) == (7, None)
    assert "r.log.json" in err
    assert err.count("\n") == 1
    assert "from_store" not in again["run"]


def test_a_rows_own_damaged_log_decides_nothing(
    mixzoo: Run, few: Path, golden: Path, tmp_path: Path, evaluate: Evaluate
) -> None:
    """The number is judged without it, and the report says so."""
    evaluate()  # writes the manifest
    row = ("--row", "resnet50_w4.cutmix_tiny", "--manifest", tmp_path / "tiny.toml")
    log = tmp_path / "r.log.json"
    log.write_bytes(next((golden / "runs/tiny_cutmix_ep8").glob("*.log.json")).read_bytes())
    assert mixzoo("zoo", "import", log, *row)[0] == 0
    (path,) = cache_root().joinpath("assets/tiny").glob("*.log.json")
    path.write_text("nonsense\n")

    code, report, err = evaluate("--fresh")

    assert (code, err) == (0, "")
    assert "r.log.json" in report["run"]["log_problems"][0]
    assert "matches_log" not in report["rows"][0]


def test_several_checkpoints_one_of_them_broken(
    mixzoo: Run, golden: Path, few: Path, tmp_path: Path
) -> None:
    """The sound one is evaluated, the broken one named; the command fails."""
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"\x80\x02nonsense")
    sound = golden / "runs/tiny_cutmix_ep8/epoch_8.pth"
    options = ("--data", few, "--resize", 36, "--crop", 32, "--workers", 0)

    code, out, err = mixzoo("eval", sound, broken, *options, "--json")

    report = json.loads(out)
    assert code != 0
    assert "broken.pth" in err
    assert err.count("\n") == 1
    assert [row["id"] for row in report["rows"]] == [str(sound)]
    assert [entry["id"] for entry in report["failures"]] == [str(broken)]


def test_crops_are_kept_and_used(evaluate: Evaluate, few: Path, tmp_path: Path) -> None:
    """--crops: a second evaluation needs no picture file."""
    data = copied(few, tmp_path / "data")
    _, first, _ = evaluate("--crops", tmp_path / "crops", data=data)

    _, second, _ = evaluate("--crops", tmp_path / "crops", "--fresh", data=data)

    assert list((tmp_path / "crops").iterdir())
    assert first["rows"][0]["heads"][0]["correct"] == second["rows"][0]["heads"][0]["correct"]


def test_every_form_is_written(evaluate: Evaluate, tmp_path: Path) -> None:
    """report.json and beside it Markdown, HTML, CSV and YAML."""
    evaluate("--out", tmp_path / "out/report.json")

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"report.{form}" for form in ("csv", "html", "json", "md", "yaml")]
    assert "resnet50_w4.cutmix_tiny" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("options", [(), ("--sample", 40)])
def test_real_reports_fit_the_schema(evaluate: Evaluate, golden: Path, options: Any) -> None:
    """Of all images with a log, and of a sample: every key is described."""
    schema = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text())
    log = next((golden / "runs/tiny_automix_ep8").glob("*.log.json"))

    _, report, _ = evaluate("--log", log, *options, method="automix")

    Draft202012Validator(schema).validate(report)
    parse_report(report, "report")


def test_weights_of_another_row_are_refused_cold_and_warm(
    mixzoo: Run, golden: Path, few: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    """Whether predictions were kept or not: other classes, or another method's heads."""
    automix = golden / "runs/tiny_automix_ep8/epoch_8.pth"
    wrong = {"resnet50.automix_inat2018": automix, "resnet50_w4.cutmix_tiny": automix}
    evaluate()  # writes the manifest
    options = ("--data", few, "--workers", 0, "--manifest", tmp_path / "tiny.toml")
    answers = []
    for _ in ("cold", "warm"):
        for row, file in wrong.items():
            pixels = ("--resize", 36, "--crop", 32)
            answers.append(mixzoo("eval", file, "--row", row, *options, *pixels)[::2])
        mixzoo("eval", automix, *options, *pixels)

    assert [code for code, _ in answers] == [6, 6, 6, 6]
    assert answers[:2] == answers[2:]
    assert "8142 classes" in answers[0][1]
    assert "expects cutmix weights, the checkpoint's are automix" in answers[1][1]


def test_a_whole_table_in_one_command(mixzoo: Run) -> None:
    """--all --benchmark: every row that is shipped."""
    code, out, err = mixzoo("eval", "--all", "--benchmark", "mini", "--sample", 64, "--json")

    assert (code, err) == (0, "")
    shipped = {row.id for row in open_catalog().benchmark("mini").manifest.rows}
    assert {row["id"] for row in json.loads(out)["rows"]} == shipped


@pytest.mark.parametrize("arguments", [(), ("--all",), ("x.pth", "--benchmark", "mini")])
def test_what_to_evaluate_must_be_said(mixzoo: Run, arguments: tuple[str, ...]) -> None:
    """Neither nothing nor half a table."""
    code, _, err = mixzoo("eval", *arguments)

    assert code == 2
    assert "--all --benchmark NAME" in err
