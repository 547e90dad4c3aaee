"""Lines of both formats, their digits, and what is no line."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.logs.lines import (
    Header,
    MalformedLineError,
    Training,
    Validation,
    parse_json_line,
    parse_text_line,
)

STAMP = "2026-11-22 15:44:05,221 - openmixup - INFO - "


def test_json_validation_keeps_the_digits() -> None:
    """The audit needs 63.1858 as it is written."""
    line = parse_json_line(
        '{"mode": "val", "epoch": 8, "iter": 6, "lr": 0.00381, "acc_one_q_top1": 63.1858}', 7
    )

    assert line == Validation(8, 6, {"one_q_top1": Decimal("63.1858")}, 7, Decimal("0.00381"))


def test_text_validation_gives_the_same() -> None:
    """Heads have one name in both formats."""
    line = parse_text_line(
        f"{STAMP}Epoch(val) [8][6]\tacc_one_q_top1: 63.1858, head0_top5: 64.0000", 7
    )

    assert isinstance(line, Validation)
    assert (line.epoch, line.batches) == (8, 6)
    assert {name: str(v) for name, v in line.accuracies.items()} == {
        "one_q_top1": "63.1858",
        "head0_top5": "64.0000",
    }


def test_text_training_tells_the_whole_epoch() -> None:
    """A text log says how many iterations an epoch has; a day in its `eta` has a comma."""
    line = parse_text_line(
        f"{STAMP}Epoch [2][5/10]\tlr: 9.619e-02, eta: 1 day, 0:00:59, time: 0.738, loss: nan", 3
    )

    assert isinstance(line, Training)
    assert (line.epoch, line.iteration, line.iterations) == (2, 5, 10)
    assert line.lr == Decimal("0.09619")


def test_line_without_mode_is_a_header() -> None:
    """Every piece of a resumed log begins with one."""
    assert parse_json_line('{"env_info": "x", "config": "lr = 1"}', 1) == Header(1, "lr = 1")


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
        ('{"mode": "val", "epoch": 8, "iter": 6, "head0_top1": NaN}', "NaN"),
        ('{"mode": "val", "epoch": 8, "iter": 6, "head0_top1": 1e99}', "1E"),
        ('{"mode": "val", "epoch": 8, "iter": 6, "head0_top1": "63.1"}', "no number"),
    ],
)
def test_damaged_json_line_is_named(text: str, complaint: str) -> None:
    """Whatever stands in a line, the reader says what is wrong with it."""
    with pytest.raises(MalformedLineError, match=complaint):
        parse_json_line(text, 1)


@pytest.mark.parametrize(
    "said",
    ["Epoch(val) [8][6", "Epoch [1][5/", "Epoch(val) [8][6]\thead0_top1: 63.18, head0_t"],
)
def test_damaged_text_line_is_named(said: str) -> None:
    """A line of an epoch that breaks off isn't taken for talk."""
    with pytest.raises(MalformedLineError):
        parse_text_line(STAMP + said, 1)


def test_other_text_says_nothing() -> None:
    """Config, hooks and checkpoints stand in text logs, too."""
    assert parse_text_line(f"{STAMP}Saving checkpoint at 8 epochs", 1) is None
    assert parse_text_line(f"{STAMP}head0_top1: 17.000", 1) is None


@given(st.text())
def test_any_text_is_a_line_or_malformed(text: str) -> None:
    """No input makes the parsers fail in another way."""
    for parse in (parse_json_line, parse_text_line):
        try:
            parse(text, 1)
        except MalformedLineError as error:
            assert str(error)  # noqa: PT017
