"""Whole, resumed, joined, cut and damaged logs, and what their configs say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.eval.logs.reading import COSINE, Settings, read_log, read_settings, spans
from mixzoo.zoo.errors import DataError

from ...mini_rows import EPOCHS, MIXUP, published
from ...mini_rows import log as log_file
from .conftest import as_json, as_text, run_lines

Write = Callable[..., Path]


def test_both_formats_tell_the_same_run(golden: Path) -> None:
    """The reference wrote each run as JSON and as text; only the digits differ."""
    folder = golden / "runs" / "tiny_automix_ep8"
    as_json_log = read_log([next(folder.glob("*.log.json"))])
    as_text_log = read_log([next(folder.glob("train_*.log"))])

    assert as_json_log.heads == as_text_log.heads == ("mix_k", "one_k", "mix_q", "one_q")
    assert len(as_json_log.training) == len(as_text_log.training) == 16
    for ours, theirs in zip(as_json_log.validations, as_text_log.validations, strict=True):
        assert (ours.epoch, ours.batches) == (theirs.epoch, theirs.batches)
        assert {n: round(v, 4) for n, v in ours.accuracies.items()} == theirs.accuracies
    assert as_json_log.remarks == as_text_log.remarks == ()


def test_own_training_log() -> None:
    """What this package's trainer writes is read, too."""
    log = read_log([log_file(MIXUP)])

    assert [v.epoch for v in log.validations] == list(range(1, EPOCHS + 1))
    assert str(log.series("head0_top1")[EPOCHS]) == str(published(MIXUP))


def test_resumed_log_counts_the_later_epochs(tmp_path: Path) -> None:
    """A run resumed from epoch 3 grew on from the second epoch 4."""
    path = tmp_path / "run.log.json"
    first, second = run_lines(epochs=range(1, 6)), run_lines(epochs=range(4, 9), seed=1)
    path.write_text(as_json(first) + as_json(second))

    log = read_log([path])

    assert log.pieces == 2
    assert [v.epoch for v in log.validations] == list(range(1, 9))
    assert float(log.series("head0_top1")[4]) == second[3]["head0_top1"]
    assert [v.epoch for v in log.replaced] == [4, 5]
    assert log.remarks == ("validated more than once: epochs 4 to 5; the later values are used",)


def test_joined_files_are_ordered_by_the_time_in_their_names(tmp_path: Path) -> None:
    """A shell names files in any order; mmcv names them by their start."""
    early, late = tmp_path / "20220101_100000.log.json", tmp_path / "20220102_090000.log.json"
    early.write_text(as_json(run_lines(epochs=range(1, 6))))
    late.write_text(as_json(resumed := run_lines(epochs=range(4, 9), seed=1)))

    log = read_log([late, early])

    assert log.files == (early, late)
    assert float(log.series("head0_top1")[4]) == resumed[3]["head0_top1"]


def test_joined_files_without_times_keep_their_order(tmp_path: Path) -> None:
    """Then the person who joins them knows the order."""
    first, second = tmp_path / "b.log.json", tmp_path / "a.log.json"
    first.write_text(as_json(run_lines(epochs=range(1, 6))[1:]))
    second.write_text(as_json(run_lines(epochs=range(6, 9))[1:]))

    log = read_log([first, second])

    assert log.files == (first, second)
    assert log.pieces == 2


def test_the_same_file_twice_changes_nothing(write_log: Write) -> None:
    """Repeats with the same values are said to be harmless."""
    path = write_log(epochs=range(1, 4))

    log = read_log([path, path])

    assert log.remarks == ("validated more than once: epochs 1 to 3; with the same values",)


def test_resumed_text_log(tmp_path: Path) -> None:
    """A text log with two beginnings has two pieces."""
    path = tmp_path / "train.log"
    path.write_text(as_text(run_lines(epochs=[1, 2])) + as_text(run_lines(epochs=[2, 3], seed=1)))

    log = read_log([path])

    assert log.pieces == 2
    assert [v.epoch for v in log.replaced] == [2]


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
@pytest.mark.parametrize("cut", [1, 9, 30])
def test_cut_last_line_is_named_and_left_out(write_log: Write, name: str, cut: int) -> None:
    """A killed writer leaves half a line, which must not pass for fewer digits."""
    path = write_log(name, epochs=range(1, 6))
    whole = path.read_text()
    path.write_text(whole[: -1 - cut])

    log = read_log([path])

    assert [v.epoch for v in log.validations] == [1, 2, 3, 4]
    assert log.remarks == (f"{name}: the last line, {whole.count(chr(10))}, is cut off",)


@pytest.mark.parametrize("name", ["run.log.json", "train.log"])
def test_missing_last_newline_is_no_damage(write_log: Write, name: str) -> None:
    """Editors drop it; all digits are there."""
    path = write_log(name, epochs=range(1, 6))
    path.write_text(path.read_text().rstrip("\n"))

    log = read_log([path])

    assert len(log.validations) == 5
    assert log.remarks == ()


def test_line_glued_to_a_cut_one_is_read(tmp_path: Path) -> None:
    """A resumed run appends to the half line of the killed one."""
    path = tmp_path / "run.log.json"
    killed = as_json(run_lines(epochs=[1, 2]))[:-20]
    path.write_text(killed + as_json(run_lines(epochs=[2, 3], seed=1)))

    log = read_log([path])

    assert log.pieces == 2
    assert [v.epoch for v in log.validations] == [1, 2, 3]
    assert any("holds a cut line and a whole one after it" in r for r in log.remarks)


def test_garbage_is_named_by_line(write_log: Write) -> None:
    """Foreign lines are passed over and named, the first ones by number."""
    path = write_log(epochs=range(1, 4))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "hello", *lines[1:3], "[1]", *lines[3:], ""]))

    log = read_log([path])

    assert len(log.validations) == 3
    assert log.remarks == (
        "run.log.json: line 2 isn't JSON; line 5 isn't a JSON object; passed over",
    )


def test_much_garbage_is_counted(write_log: Write) -> None:
    """A hundred bad lines are no hundred messages."""
    path = write_log(epochs=range(1, 4))
    path.write_text(path.read_text() + "x\n" * 100)

    assert read_log([path]).remarks[0].endswith("and 97 more; passed over")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: ("\n\n" + text).encode(),
        lambda text: text.encode() + b"\xef\xbb\xbf" + text.encode(),
    ],
    ids=["BOM and CRLF", "UTF-16", "empty lines", "BOM in the middle"],
)
def test_encodings_that_windows_writes(write_log: Write, encode: Callable[[str], bytes]) -> None:
    """Byte order marks, line ends and PowerShell's UTF-16 are no garbage."""
    path = write_log(epochs=range(1, 4))
    path.write_bytes(encode(path.read_text()))

    log = read_log([path])

    assert [v.epoch for v in log.validations] == [1, 2, 3]
    assert not any("passed over" in remark for remark in log.remarks)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "found no such line"),
        (b"<!DOCTYPE html><html>", "found no such line"),
        (b"\x1f\x8b\x08\x00", "Unpack it"),
        (b'{"env_info": "x"}\n', "found no such line"),
        (b'{"mode": "val", "epoch": 1, "iter": 1}\n', "found none in 1 validation lines"),
    ],
)
def test_what_is_no_log(tmp_path: Path, content: bytes, complaint: str) -> None:
    """A file without validations is an error that says what was expected."""
    path = tmp_path / "run.log.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=complaint):
        read_log([path])


@pytest.mark.parametrize("value", ["150.0", "-0.1", "NaN", "Infinity", "1e99999999999999999999"])
def test_what_is_no_percentage_is_one_line(write_log: Write, value: str) -> None:
    """No evaluation writes it, so nothing else in the log is believed."""
    path = write_log(epochs=range(1, 4))
    last = '{"mode": "val", "epoch": 4, "iter": 48, "head0_top1": %s}\n'
    path.write_text(path.read_text() + last % value)

    with pytest.raises(DataError) as caught:
        read_log([path])

    expected = r"run.log.json: line 11: head0_top1 is \S+, expected a percentage from 0 to 100\."
    assert re.search(expected, str(caught.value))


def test_what_is_no_percentage_at_the_end_of_a_text_log(write_log: Write) -> None:
    """Not taken for a number with too few digits, as of a line that was cut off."""
    path = write_log("train.log", epochs=range(1, 4))
    path.write_text(path.read_text() + "Epoch(val) [4][48]\thead0_top1: nan")

    with pytest.raises(DataError, match=r"head0_top1 is NaN, expected a percentage"):
        read_log([path])


def test_missing_file(tmp_path: Path) -> None:
    """It is one line, with the system's reason."""
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_log([tmp_path / "run.log.json"])


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("epoch,train_loss,eval_top1,lr\n0,2.0,50.0,0.1\n1,2.0,51.0,0.1\n", "epochs from 0"),
        ("epoch,step,train_loss,val_acc\n0,9,2.0,\n0,9,,0.5\n1,18,2.0,\n1,18,,0.51\n", "from 0"),
        ('{"test_acc1": 50, "epoch": 1}\n{"test_acc1": 51, "epoch": 2}\n', ""),
    ],
)
def test_epochs_are_counted_from_one(tmp_path: Path, content: str, remark: str) -> None:
    """timm and Lightning count from 0, and Lightning writes training and validation apart."""
    path = tmp_path / "summary.csv"
    path.write_text(content)

    log = read_log([path])

    assert [v.epoch for v in log.validations] == [1, 2]
    assert remark in " ".join(log.remarks)


def test_iterations_that_count_on(tmp_path: Path) -> None:
    """mmengine's scalars.json: 1,709 iterations an epoch, the 3,418th ends the second one."""
    path = tmp_path / "scalars.json"
    path.write_text(
        "".join(
            f'{{"loss": 2.0, "epoch": {epoch}, "iter": {1709 * epoch}, "step": {1709 * epoch}}}\n'
            f'{{"accuracy/top1": 50.0, "step": {epoch}}}\n'
            for epoch in (1, 2, 3)
        )
    )

    log = read_log([path])

    assert [(t.epoch, t.iteration) for t in log.training] == [(1, 1709), (2, 1709), (3, 1709)]
    assert log.remarks == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"mode": "val", "epoch": 1, "iter": 1, "mAP": 1}\n', "validation lines; they hold mAP"),
        ('{"mode": "val", "epoch": 1, "iter": 1, "top5_acc": 1}\n', "they hold head0_top5"),
        ('{"loss": 2, "iter": 9, "step": 9}\n{"accuracy/top1": 50, "step": 9}\n', "got step 9"),
        ("Step,run - val_acc\n1,0.5\n", "got step 1"),
        ("2022-01-01 00:00:00,000 - a - INFO - Iter(val) [9]\ttop1: 5\n", "counts iterations"),
        ("epoch,eval_top1,test_top1\n0,5,6\n", "'eval_top1' and 'test_top1'"),
        ('{"mode": "val", "epoch": 1, "iter": 1, "x": "' + "x" * (1 << 22) + '"}\n', "longer than"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    """Validations there are, but none of a top-1 by epoch; the line says what there is."""
    path = tmp_path / "run.log"
    path.write_text(content)

    with pytest.raises(DataError, match=complaint):
        read_log([path])


def test_a_log_of_two_runs_says_where_it_ends(tmp_path: Path) -> None:
    """A second run under way: the last epochs are the first one's."""
    path = tmp_path / "run.log.json"
    path.write_text(
        as_json(run_lines(epochs=range(1, 9))) + as_json(run_lines(epochs=[1, 2], seed=1))
    )

    assert (
        "its last validation is of epoch 2; epochs 3 to 8 stand before it"
        in read_log([path]).remarks
    )


SCHEDULES: dict[str, str | None] = {
    "lr = 0.1": None,
    "lr_config = dict(policy='CosineAnnealing', min_lr=0, warmup=None, warmup_iters=9)": COSINE,
    "param_scheduler = dict(type='CosineAnnealingLR', T_max=9, by_epoch=True)": COSINE,
    "lr_config = dict(policy='CosineAnnealing', by_epoch=False)": "CosineAnnealing(by_epoch=False)",
    "lr_config = dict(policy='CosineAnnealing', min_lr_ratio=0.01)": "CosineAnnealing(min_lr_ratio=",
    "lr_config = dict(policy='CosineAnnealing', warmup='linear')": "CosineAnnealing(warmup=linear)",
    "lr_config = dict(policy='step', step=[3, 6])": "step(step=(3, 6))",
    "lr_config = dict(policy='poly', power=0.9)": "poly(power=0.9)",
    "param_scheduler = dict(type='CosineAnnealingLR', T_max=5, begin=4)": "CosineAnnealingLR(T_max=5",
    "param_scheduler = [dict(type='LinearLR'), dict(type='CosineAnnealingLR')]": "(LinearLR(), Cosine",
}


@pytest.mark.parametrize(("config", "said"), SCHEDULES.items())
def test_schedule_of_a_config(config: str, said: str | None) -> None:
    """Only a cosine by epoch over all epochs is the recipe's."""
    schedule = read_settings(f"{config}\nrunner = dict(max_epochs=9)\n").schedule

    assert schedule == said if said in (None, COSINE) else str(schedule).startswith(said)


def test_spans() -> None:
    """Numbers are told as a person would."""
    assert spans([3]) == "epoch 3"
    assert spans([70, 61, 62, 63]) == "epochs 61 to 63, 70"
    assert spans(range(0, 40, 2)) == "epochs 0, 2, 4, 6, 8, 10, 12, 14 and 12 more"


@pytest.mark.parametrize("pattern", ["*.log.json", "train_*.log"])
def test_genuine_config(golden: Path, pattern: str) -> None:
    """Both formats carry the config of the reference's run."""
    path = next((golden / "runs" / "tiny_automix_ep8").glob(pattern))

    assert read_log([path]).settings == Settings(
        epochs=8, lr=0.1, min_lr=0.0, batch=48, schedule=COSINE
    )


def test_own_recipe() -> None:
    """mixzoo's own logs carry `name = value` lines."""
    settings = read_settings("epochs = 60\nbatch_size = 64\nlr = 0.1\n")

    assert settings == Settings(epochs=60, lr=0.1, batch=64)


@pytest.mark.parametrize(
    "text",
    [
        "runner = dict(max_epochs=__import__('os').getpid())",
        "runner = dict(max_epochs=-3)",
        "runner = dict(max_epochs=True)",
        "runner = (",
        "epochs = " + "(" * 5000,
        "x = 1\n" * 100_000,
        "gpu_ids = range(0, x)",
        "a.b = 3",
        "\0",
    ],
)
def test_nothing_is_said_by_what_is_no_plain_value(text: str) -> None:
    """Code, damage and excess are not executed, and not an error."""
    assert read_settings(text) == Settings()
