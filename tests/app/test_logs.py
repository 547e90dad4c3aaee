"""`mixzoo logs`, as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mixzoo.app import logs
from mixzoo.eval.logs.sources import audit_of_row
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import DataError, IntegrityError, MixzooError, SourceError, UsageError
from mixzoo.zoo.release.by_hand import import_files

from ..mini_rows import EPOCHS, MIXUP, VANILLA, published

SYNTHETIC = Path("runs") / "synthetic_logs"
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs the command; an error of mixzoo's is in the result's `exception`."""
    return lambda *arguments: CliRunner().invoke(logs.command, [str(a) for a in arguments])


@pytest.fixture
def genuine(golden: Path) -> Path:
    """The log of the reference's CutMix run."""
    return next((golden / "runs" / "tiny_cutmix_ep8").glob("*.log.json"))


def error_of(result: Result, kind: type[MixzooError]) -> str:
    """The one line of an error of this class."""
    assert isinstance(result.exception, kind), result.exception
    message = str(result.exception)
    assert "\n" not in message
    return message


def test_row_of_the_package(run: Run) -> None:
    """A row's log is fetched, read and found to give its number."""
    result = run(MIXUP)

    assert result.exit_code == 0, result.exception
    assert "reproduced" in result.stdout
    assert f"{published(MIXUP):.2f}*" in result.stdout
    assert f"all {2 * EPOCHS} accuracies are whole numbers of 1,000 images" in result.stdout


def test_file_of_a_row_is_recognised_by_its_hash(run: Run) -> None:
    """The released log under any name is held against its row."""
    run(VANILLA)
    content = json.loads(run(VANILLA, "--json").stdout)
    (file,) = content["logs"][0]["files"]
    copy = Path(file).with_name("copy.txt")
    copy.write_bytes(Path(file).read_bytes())

    content = json.loads(run(copy, "--json").stdout)

    assert content["logs"][0]["claim"]["row"] == VANILLA
    assert content["logs"][0]["verdict"] == "reproduced"


def test_foreign_file_has_no_number(run: Run, genuine: Path) -> None:
    """It is summarised and tested all the same."""
    result = run(genuine)

    assert result.exit_code == 0
    assert "12.833" in result.stdout
    assert "no published number" in result.stdout
    assert "all 16 accuracies are whole numbers of 300 images" in result.stdout


def test_several_files_in_one_table(run: Run, golden: Path, genuine: Path) -> None:
    """Each file is a run of its own."""
    text_log = next((golden / "runs" / "tiny_automix_ep8").glob("train_*.log"))

    content = json.loads(run(genuine, text_log, "--json").stdout)

    assert [log["log_format"] for log in content["logs"]] == ["json", "text"]
    assert [len(log["heads"]) for log in content["logs"]] == [1, 4]


def test_joined_files_are_one_run(run: Run, genuine: Path) -> None:
    """The same file twice is a run whose every epoch stands twice."""
    content = json.loads(run(genuine, genuine, "--join", "--json").stdout)

    assert len(content["logs"]) == 1
    assert content["logs"][0]["pieces"] == 2


def test_the_two_logs_of_a_run_are_compared(run: Run, golden: Path, tmp_path: Path) -> None:
    """NAME.log beside NAME.log.json; others with --join."""
    folder = golden / "runs" / "tiny_automix_ep8"
    as_json, as_text = next(folder.glob("*.log.json")), next(folder.glob("train_*.log"))
    edited = tmp_path / "run.log"
    before, name, after = as_text.read_text().rpartition("acc_one_k_top1: ")
    edited.write_text(f"{before}{name}99.6667{after[7:]}")
    (tmp_path / "run.log.json").write_bytes(as_json.read_bytes())

    joined = run(as_json, as_text, "--join").stdout
    beside = run(edited, tmp_path / "run.log.json")

    assert "two logs of one run, say the same" in joined
    assert "disagree: one_k_top1 of epoch 8: " in beside.stdout
    assert " and 99.6667" in beside.stdout
    assert beside.exit_code == 0


def test_the_two_logs_of_a_row_are_compared(
    run: Run, golden: Path, write_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    """Where both are in the cache, by the command and wherever else a row's log is asked."""
    manifest = write_benchmark("")
    catalog, row = open_catalog([manifest]), "resnet18_w4.vanilla_own"
    folder = golden / "runs" / "tiny_cutmix_ep8"
    as_text = next(folder.glob("train_*.log")).read_text()
    (tmp_path / "run.log").write_text(as_text.replace("Epoch(val) [8]", "Epoch(val) [9]"))
    (tmp_path / "run.log.json").write_bytes(next(folder.glob("*.log.json")).read_bytes())
    import_files([tmp_path / "run.log", tmp_path / "run.log.json"], catalog, row=row)

    said = run(row, "--manifest", manifest).stdout
    audit = audit_of_row(*catalog.row(row))

    assert "head0_top1 of epoch 8: only in run.log.json" in said
    assert audit
    assert "head0_top1 of epoch 8: only in run.log.json" in audit.differences


@pytest.mark.parametrize("arguments", [("--benchmark", "mini"), ("--all", "--benchmark", "mini")])
def test_whole_table(run: Run, arguments: tuple[str, ...]) -> None:
    """One command for all rows of a benchmark."""
    content = json.loads(run(*arguments, "--json").stdout)

    assert [log["verdict"] for log in content["logs"]] == ["reproduced"] * 10
    assert content["missing"] == []


def test_all_names_rows_without_a_log(run: Run) -> None:
    """Nothing is fetched from a network; what isn't here is named."""
    result = run("--all")

    assert result.exit_code == 0
    assert "The logs of 69 rows aren't here" in result.stdout
    assert "resnet50.automix_inat2018" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--benchmark", "inat2018"),
            ["no log of 20 rows is here", "zoo download inat2018 --logs"],
        ),
        (("resnet50.automix_inat2018",), ["no lock names its log", "zoo import FILE --row res"]),
    ],
)
def test_logs_that_are_not_here(run: Run, arguments: tuple[str, ...], said: list[str]) -> None:
    """It says how to get them, or where a person finds one and what to do with the file."""
    message = error_of(run(*arguments), SourceError)

    assert [part for part in said if part not in message] == []


def test_invented_log_is_an_integrity_error(run: Run, golden: Path) -> None:
    """After the table, the exit code says that the values can't be true."""
    path = golden / SYNTHETIC / "cls_20220101_000000.log.json"

    result = run(path, "--row", "resnet50.cutmix_inat2018")

    assert "suspicious arithmetic" in result.stdout
    assert "the arithmetic of 1 of 1 logs is impossible" in error_of(result, IntegrityError)


def test_unreadable_log_does_not_stop_the_others(run: Run, genuine: Path, tmp_path: Path) -> None:
    """The others are audited; then the error is told."""
    bad = tmp_path / "bad.log.json"
    bad.write_text("<html>")

    result = run(bad, genuine)

    assert "12.833" in result.stdout
    assert "bad.log.json: expected a training log" in error_of(result, DataError)


def test_flags_change_what_is_expected(run: Run, genuine: Path) -> None:
    """Images, epochs and window by hand."""
    arguments = (genuine, "--images", 600, "--epochs", 7, "--last", 3, "--json")

    (log,) = json.loads(run(*arguments).stdout)["logs"]

    assert (log["claim"]["images"], log["claim"]["last"]) == (600, 3)
    assert log["horizon"]["epochs"] == 7
    medians = {s["rule"]: s["epochs"] for s in log["summaries"]}
    assert medians["median"] == [5, 6, 7]


def test_out_is_what_json_prints(run: Run, genuine: Path, tmp_path: Path) -> None:
    """The file is written whole, in a folder that is made if need be."""
    out = tmp_path / "new" / "audit.json"

    printed = run(genuine, "--json", "--out", out).stdout

    assert json.loads(out.read_text()) == json.loads(printed)
    assert [path.name for path in out.parent.iterdir()] == ["audit.json"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "expected a FILE, a ROW, --benchmark NAME or --all"),
        (("nowhere.log.json",), "does not exist"),
        ((Path(__file__).parent,), "is a folder; name its files"),
        ((MIXUP[:-1],), f"Did you mean {MIXUP!r}?"),
        (("--benchmark", "mimi"), "Did you mean 'mini'?"),
        (("--all", "mini"), "expected no FILE or ROW beside"),
        (("mini", "--row", MIXUP), "names a row"),
        (("mini", "--join"), "names a row"),
        (("mini", "--out", "audit.txt"), "ending in .json"),
    ],
)
def test_arguments_that_do_not_fit(run: Run, arguments: tuple[str, ...], complaint: str) -> None:
    """One line, what to do in it."""
    assert complaint in error_of(run(*arguments), UsageError)


def test_narrow_terminal_keeps_the_statistic_of_the_table(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A narrow one leaves out what the table doesn't name."""
    monkeypatch.setattr("mixzoo.app.console.PIPE_WIDTH", 62)

    out = run("--benchmark", "mini").stdout

    assert f"{published(VANILLA):.2f}*" in out
    assert "Left out at this width" in out
    assert "\nBest: " not in out
    table = out.partition("* rounds to")[0]
    assert all(len(line) <= 62 for line in table.splitlines())
