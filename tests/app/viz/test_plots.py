"""`mixzoo viz table|curves|groups|compare`, as a user runs them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from mixzoo.eval import store
from mixzoo.eval.breakdown import group
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.protocol import pixels
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.report import Head, Images, Pixels, Report, Row, Weights
from PIL import Image

from ...mini_rows import ARCHITECTURE, MIXUP, PROTOCOL, VANILLA, published, top1_by_epoch

Run = Callable[..., str]

LIST = "a" * 64


def predictions(wrong: int) -> Predictions:
    """Of 70 images of 7 classes, the first `wrong` are wrong."""
    made = Predictions.empty(np.arange(70) % 7)
    made.top[:, 0] = np.where(np.arange(70) < wrong, 9, made.labels)
    made.state[:] = 2
    return made


def sha256_of(row_id: str) -> str:
    sha256 = open_catalog().row(row_id)[0].asset(row_id).sha256
    assert sha256 is not None
    return sha256


def keep(row_id: str, wrong: int, *, files: list[str] | None = None) -> None:
    """Store an evaluation of a row."""
    order = files or [f"{n}.jpg" for n in range(70)]
    known = predictions(wrong)
    places = [int(file.split(".")[0]) for file in order]
    key = store.Key(sha256_of(row_id), PROTOCOL, LIST, "guarded")
    head = {"head0": known.at(places)}
    store.write(key.path, store.Stored(key.facts(), head, tuple(order), np.full(len(order), 1000)))


def row(row_id: str, wrong: int) -> Row:
    """What a report says of such an evaluation."""
    correct = 70 - wrong
    head = Head(
        head="head0",
        correct=correct,
        correct5=correct,
        total=70,
        top1=100 * correct / 70,
        top5=100 * correct / 70,
        interval95=(50.0, 90.0),
        breakdown={"supercategory": (group("Aves", correct, 70),)},
    )
    facts = {"architecture": ARCHITECTURE, "method": "plain", "num_classes": 40}
    weights = Weights(file="w.pth", sha256=sha256_of(row_id), heads=("head0",), **facts)
    word = "not comparable"
    return Row(id=row_id, weights=weights, verdict=word, reason="", head="head0", heads=(head,))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report on 70 images of both rows, whose predictions are kept."""
    keep(VANILLA, 10)
    keep(MIXUP, 40, files=[f"{n}.jpg" for n in reversed(range(70))])
    content = Report(
        benchmark="mini",
        rows=(row(VANILLA, 10), row(MIXUP, 40)),
        rules={},
        protocol=Pixels(**pixels(PROTOCOL)),
        data=Images(labels="val2018.json", images=70, list_sha256=LIST),
        run={},
        versions={},
        created="2026-01-01T00:00:00+00:00",
    )
    path = tmp_path / "report.json"
    path.write_text(content.to_json())
    return path


@pytest.fixture
def run(mixzoo: Callable[..., tuple[int, str, str]]) -> Run:
    """What `mixzoo viz` with these arguments prints."""

    def run(*arguments: object) -> str:
        code, printed, error = mixzoo("viz", *arguments)
        assert (code, error) == (0, "")
        return printed

    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "plot.svg"


@pytest.fixture
def cutmix_log(golden: Path) -> Path:
    return golden / "runs/tiny_cutmix_ep8/20261122_154252.log.json"


def test_table_of_published_numbers(run: Run, out: Path) -> None:
    """Without a report, a log or a network."""
    printed = run("table", "inat2018", "--out", out)

    assert printed == f"{out}: 20 rows, 0 with a log, 0 recomputed\n"
    assert ">64.73<" in out.read_text()


def test_table_with_reports_and_logs_that_are_here(run: Run, out: Path, report: Path) -> None:
    """The package's rows have theirs; several files may follow an option."""
    printed = run("table", "mini", "--reports", report, report, "--out", out)

    text, top1 = out.read_text(), published(VANILLA)
    assert "10 with a log, 2 recomputed" in printed
    assert all(f">{number}<" in text for number in (f"{top1}", f"{top1:.2f}", "85.71"))


def test_table_with_a_log_that_was_given_to_a_row(
    mixzoo: Callable[..., tuple[int, str, str]], run: Run, out: Path, golden: Path
) -> None:
    """By `mixzoo zoo import`, once for all commands."""
    row_id = "resnet50.cutmix_inat2018"
    log = golden / "runs/synthetic_logs/cls_20220101_000000.log.json"
    assert mixzoo("zoo", "import", log, "--row", row_id)[0] == 0

    printed = run("table", "inat2018", "--out", out)

    assert "1 with a log" in printed
    assert ">63.178<" in out.read_text()


def test_curves_of_a_row_and_a_file(run: Run, out: Path, cutmix_log: Path) -> None:
    """Overlaid, with names in the legend."""
    printed = run("curves", MIXUP, cutmix_log, "--out", out)

    text, top1 = out.read_text(), published(MIXUP)
    middle = median(top1_by_epoch(MIXUP)[-5:])
    assert printed == f"{out}: 2 runs\n"
    assert f"{MIXUP}: last epoch {top1:.2f}, median {middle:.2f}, published {top1}" in text
    assert f"{cutmix_log.name}: median 13.000" in text


def test_curves_of_joined_pieces(run: Run, out: Path, cutmix_log: Path, tmp_path: Path) -> None:
    """One run; held against a row on demand."""
    lines = cutmix_log.read_text().splitlines(keepends=True)
    pieces = [tmp_path / "1.log.json", tmp_path / "2.log.json"]
    pieces[0].write_text("".join(lines[:13]))
    pieces[1].write_text(lines[0] + "".join(lines[13:]))

    printed = run("curves", *pieces, "--join", "--row", MIXUP, "--last", "3", "--out", out)

    text = out.read_text()
    assert ": 1 run" in printed
    assert f"head0: last epoch 17.00, median 16.67, published {published(MIXUP)}" in text
    assert "restart" in text
    assert "shaded: last 3 epochs" in text


def test_curves_of_chosen_heads(run: Run, out: Path, golden: Path) -> None:
    """Of AutoMix's four."""
    log = next(golden.glob("runs/tiny_automix_ep8/*.log.json"))

    run("curves", log, "--head", "one_q", "--narrow", "--theme", "dark", "--out", out)

    text = out.read_text()
    assert "one_q: median 17.667" in text
    assert "one_k" not in text


def test_groups_of_a_report(run: Run, out: Path, report: Path) -> None:
    """Both checkpoints, by supercategory."""
    printed = run("groups", report, "--out", out)

    text = out.read_text()
    assert printed == f"{out}: 2 checkpoints\n"
    assert ">Aves<" in text
    assert ">by training images of the class<" not in text


def test_groups_against_training_images(run: Run, out: Path, report: Path, tmp_path: Path) -> None:
    """Counted from the training annotations and the kept predictions."""
    images = [(label, n) for label in range(7) for n in range(10 * (label + 1))]
    train = tmp_path / "train2018.json"
    train.write_text(
        json.dumps(
            {
                "images": [
                    {"id": i, "file_name": f"t/x/{label}/{n}.jpg"}
                    for i, (label, n) in enumerate(images)
                ],
                "annotations": [
                    {"image_id": i, "category_id": label} for i, (label, _) in enumerate(images)
                ],
            }
        )
    )

    run("groups", report, "--train", train, "--out", out)

    text = out.read_text()
    assert ">by training images of the class<" in text
    assert ">few-shot<" in text
    assert ">medium-shot<" in text


def test_comparison_of_a_report_s_rows(run: Run, out: Path, report: Path) -> None:
    """Image by image, whatever order the predictions were kept in."""
    printed = run("compare", report, "--out", out)

    text = out.read_text()
    assert printed == f"{out}: 2 rows, 1 of 1 pairs told apart\n"
    assert ">30 : 0<" in text
    assert ">▼ -42.86<" in text


def test_comparison_of_rows(run: Run, out: Path, report: Path) -> None:
    """Of those that mixzoo eval kept."""
    printed = run("compare", MIXUP, VANILLA, "--out", out)

    assert "1 of 1 pairs told apart" in printed
    assert ">0 : 30<" in out.read_text()


def test_comparison_needs_the_kept_predictions(
    mixzoo: Callable[..., tuple[int, str, str]], out: Path, report: Path
) -> None:
    """Other predictions of the same weights won't do."""
    keep(MIXUP, 39)

    code, _, error = mixzoo("viz", "compare", report, "--out", out)

    assert code == 2
    assert f"{MIXUP}: the predictions behind its report aren't kept" in error


def test_the_name_asks_for_a_format_and_an_option_for_a_theme(run: Run, tmp_path: Path) -> None:
    """A dark JPEG, its panels below one another."""
    out = tmp_path / "table.jpg"

    run("table", "inat2017", "--theme", "dark", "--narrow", "--out", out)

    with Image.open(out) as picture:
        assert picture.format == "JPEG"
        assert picture.height > picture.width
        assert max(picture.convert("RGB").getpixel((3, picture.height - 3))) < 60


def test_plots_dont_wait_for_torch(report: Path, tmp_path: Path) -> None:
    """Nothing here needs a tensor."""
    script = """
import sys
from collections.abc import Callable
from mixzoo.app.viz.plots import {0}
{0}(sys.argv[1:], standalone_mode=False)
assert "torch" not in sys.modules
"""
    calls = {
        "table": ["mini", "--reports", str(report)],
        "curves": [VANILLA],
        "groups": [str(report)],
        "compare": [str(report)],
    }
    together = "".join(
        script.format(name).replace(
            "sys.argv[1:]", repr([*words, "--out", str(tmp_path / "x.svg")])
        )
        for name, words in calls.items()
    )

    done = subprocess.run(
        [sys.executable, "-c", together], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("x.svg: ") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("table inat2018 --out t.txt", "expected a name ending in"),
        ("table inat2081", "Did you mean 'inat2018'"),
        ("table mini --reports none.json", "No such file"),
        ("table inat2018 --reports REPORT", "one on mini"),
        ("curves none.log", "it does not exist"),
        (f"curves {MIXUP.replace('mixup', 'mixip')}", "Did you mean"),
        ("curves resnet50.fmix_inat2018", "no lock names its log"),
        (f"curves {MIXUP} --join", "--join go with files"),
        ("curves LOG --head x", "No log has the head x"),
        ("groups LOG", "cannot be read"),
        ("groups REPORT --train none.json", "'none.json' does not exist"),
        (f"compare {VANILLA}", "at least two"),
        (f"compare REPORT {VANILLA}", "given twice"),
        ("compare REPORT REPORT", "given twice"),
        ("compare REPORT --head one_q", "expected one of head0, or all"),
        ("compare schema.json", "got other JSON"),
    ],
)
def test_wrong_arguments_are_one_line(
    mixzoo: Callable[..., tuple[int, str, str]],
    arguments: str,
    message: str,
    report: Path,
    cutmix_log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is written, and the line says what was expected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text("{}")
    before = sorted(tmp_path.iterdir())
    for name, path in {"REPORT": report, "LOG": cutmix_log}.items():
        arguments = arguments.replace(name, str(path))

    code, printed, error = mixzoo("viz", *arguments.split())

    assert code != 0
    assert (printed, error.count("\n")) == ("", 1)
    assert message in error
    assert sorted(tmp_path.iterdir()) == before
