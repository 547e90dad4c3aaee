"""Lines of both formats, their digits, and what is no line."""

from decimal import Decimal
from math import inf, nan
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.logs.lines import (
    Format,
    Header,
    Iteration,
    MalformedLineError,
    Validation,
    accuracy_of,
    parse_line,
)

STAMP = "2026-11-22 15:44:05,221 - openmixup - INFO - "


def test_json_validation_keeps_the_digits() -> None:
    """The audit needs 63.1858 as it is written."""
    text = '{"mode": "val", "epoch": 8, "iter": 6, "lr": 0.00381, "acc_one_q_top1": 63.1858}'

    line = parse_line(text, "json", 7)

    assert line == Validation(8, 6, {"one_q_top1": Decimal("63.1858")}, 7, Decimal("0.00381"))


def test_text_validation_gives_the_same() -> None:
    """Heads have one name in both formats."""
    text = f"{STAMP}Epoch(val) [8][6]\tacc_one_q_top1: 63.1858, head0_top5: 64.0000"

    line = parse_line(text, "text", 7)

    assert isinstance(line, Validation)
    assert (line.epoch, line.batches) == (8, 6)
    assert {name: str(v) for name, v in line.accuracies.items()} == {
        "one_q_top1": "63.1858",
        "head0_top5": "64.0000",
    }


def test_text_training_tells_the_whole_epoch() -> None:
    """A text log says how many iterations an epoch has; a day in its `eta` has a comma."""
    text = f"{STAMP}Epoch [2][5/10]\tlr: 9.619e-02, eta: 1 day, 0:00:59, time: 0.738, loss: 1.5"

    line = parse_line(text, "text", 3)

    assert isinstance(line, Iteration)
    assert (line.epoch, line.iteration, line.iterations) == (2, 5, 10)
    assert (line.lr, line.loss) == (Decimal("0.09619"), 1.5)


def test_line_without_mode_is_a_header() -> None:
    """Every piece of a resumed log begins with one."""
    assert parse_line('{"env_info": "x", "config": "lr = 1"}', "json", 1) == Header("lr = 1")
    assert parse_line(f"{STAMP}Environment info:", "text", 1) == Header()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"mode": "val", "epoch": 8, "it', "isn't JSON"),
        ("[1, 2]", "isn't a JSON object"),
        ("[" * 100_000, "isn't JSON"),
        ('{"mode": "test", "epoch": 8, "iter": 6}', "'test'"),
        ('{"mode": "val", "epoch": 8.5, "iter": 6}', "'epoch'"),
        ('{"mode": "val", "epoch": 100000, "iter": 6}', "'epoch'"),
        ('{"mode": "val", "epoch": 8, "iter": true}', "'iter'"),
        ('{"mode": "val", "epoch": 8, "iter": 6, "head0_top1": "63.1"}', "no number"),
        (
            '{"mode": "val", "epoch": 8, "iter": 6, "lr": 1e99999999999999999999}',
            "Infinity as 'lr'",
        ),
        ('{"mode": "val", "epoch": 8, "iter": 6, "top1": 1, "top1": 2}', "names a value twice"),
        ('{"epoch": 8, "eval_top1": 1, "test_top1": 2}', "'eval_top1' and 'test_top1'"),
        ('{"epoch": 8, "top1": 0.%s}' % ("1" * 50), "more than 40 digits"),
        ("Iter(val) [4000]\taccuracy_top-1: 59.1", "counts iterations"),
        ("Epoch(val) [8][6", "no whole line"),
        ("Epoch [1][5/", "no whole line"),
        ("Epoch(val) [8][6]\thead0_top1: 63.18, head0_t", "breaks off"),
    ],
)
def test_damaged_line_is_named(text: str, complaint: str) -> None:
    """Whatever stands in a line, the reader says what is wrong with it."""
    is_text = text.startswith(("Epoch", "Iter"))
    with pytest.raises(MalformedLineError, match=complaint):
        parse_line(STAMP * is_text + text, "text" if is_text else "json", 1)


@pytest.mark.parametrize("said", ["Saving checkpoint at 8 epochs", "head0_top1: 17.000", ""])
def test_other_text_says_nothing(said: str) -> None:
    """Config, hooks and checkpoints stand in text logs, too."""
    assert parse_line(STAMP + said, "text", 1) is None


@given(st.text())
def test_any_text_is_a_line_or_malformed(text: str) -> None:
    """No input makes the parsers fail in another way."""
    for format_ in get_args(Format):
        try:
            parse_line(text, format_, 1)
        except MalformedLineError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("said", "loss"),
    [('"loss": NaN', nan), ('"loss": -Infinity', -inf), ('"loss": 2', 2), ('"loss_cls": 2', None)],
)
def test_a_loss_may_be_no_number(said: str, loss: float | None) -> None:
    """A run that diverged is a finding, not an error; `loss_cls` isn't the loss."""
    line = parse_line(f'{{"mode": "train", "epoch": 1, "iter": 5, {said}}}', "json", 1)

    assert isinstance(line, Iteration)
    assert line.loss == pytest.approx(loss, nan_ok=True)


@pytest.mark.parametrize(
    ("names", "accuracy"),
    [
        ("head0_top1 acc_head0_top1 accuracy_top-1 accuracy/top1 top1_acc eval_top1", "head0_top1"),
        ("eval_prec1 test_acc1 val_acc val/acc1 Acc@1 val_accuracy top1", "head0_top1"),
        ("accuracy_top-5 accuracy/top5 top5_acc test_acc5", "head0_top5"),
        ("one_k_top1 acc_one_k_top1", "one_k_top1"),
        ("test_acc1_ema", "ema_top1"),
        ("real/accuracy/top1", "real_top1"),
        (
            "train_acc1 loss acc1_loss top1_err precision mAP single-label/f1-score time top step",
            None,
        ),
        ("acc_1_top5 stop1 top2022 mean_accuracy \x1b lr x" + "x" * 100 + "_top1", None),
    ],
)
def test_names_of_accuracies(names: str, accuracy: str | None) -> None:
    """Each project has its own; training, losses and other measures are no accuracy."""
    assert {accuracy_of(name) for name in names.split(" ")} == {accuracy}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '{"accuracy/top1": 17.0, "step": 8}',
            Validation(8, 0, {"head0_top1": Decimal("17.0")}, 1),
        ),
        (
            '{"train_loss": 2.0, "test_acc1": 17.0, "epoch": 7}',
            Validation(7, 0, {"head0_top1": Decimal("17.0")}, 1),
        ),
        ('{"lr": 0.1, "loss": 2.0, "epoch": 2, "iter": 30, "step": 30}', Iteration(2, 30, 1)),
        ('{"loss": 2.0, "iter": 30, "step": 30}', Iteration(0, 30, 1)),
    ],
)
def test_lines_without_a_mode(text: str, line: Validation | Iteration) -> None:
    """mmengine's and DeiT's: what a line holds tells what it is."""
    found = parse_line(text, "json", 1)

    assert isinstance(found, type(line))
    assert found.epoch == line.epoch
    assert getattr(found, "accuracies", None) == getattr(line, "accuracies", None)


@pytest.mark.parametrize(
    "before",
    ["0: ", "[>>>>] 300/300, 60 task/s, elapsed: 5s, ETA:     0s", " 10%|#   | 3/30\r 100%|###|\r"],
)
def test_what_stands_before_a_line(before: str) -> None:
    """SLURM's rank and progress bars, and colours within."""
    said = STAMP.replace("INFO", "\x1b[97mINFO\x1b[0m") + "Epoch(val) [8][6]\thead0_top1: 17.0000"

    line = parse_line(before + said, "text", 1)

    assert isinstance(line, Validation)
    assert line.accuracies == {"head0_top1": Decimal("17.0000")}


def test_validation_on_its_way() -> None:
    """mmengine tells of it every few batches, without any accuracy."""
    said = "Epoch(val)   [1][ 10/196]    eta: 0:00:09  time: 0.1000  memory: 300"

    assert parse_line(STAMP + said, "text", 1) is None
