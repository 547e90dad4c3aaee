"""Summaries against what the reference's own two tools printed."""

import json
import math
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.logs.reading import read_log
from mixzoo.eval.logs.summaries import (
    AUTOMIX,
    BEST,
    BEST_K,
    BEST_Q,
    LAST,
    MEDIAN,
    WINDOW,
    as_floats,
    reference_automix,
    reference_window,
    rules,
    summarise,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "runs"
CALLS = [
    pytest.param(path.parent, call, id="-".join([path.parent.name, *call["args"]]))
    for path in sorted(GOLDEN.glob("*/expected_summaries.json"))
    for call in json.loads(path.read_text())
]
# What the tools printed of the embedded benchmark's logs: tools/summary of the reference.
MINI = json.loads((GOLDEN.parent / "mini_summaries.json").read_text())


def _log_of(folder: Path, name: str) -> Path:
    """The log of a recorded call; `one_dir` stands for a folder that held the run's only one."""
    return next(folder.glob("*.log.json")) if name == "one_dir" else folder / name


@pytest.mark.parametrize(("folder", "call"), CALLS)
def test_reference_tool_printed_the_same(folder: Path, call: dict[str, Any]) -> None:
    """Every recorded call of the reference's tools, to the printed digits."""
    name, end, last, *keys = call["args"]
    log = read_log([_log_of(folder, name)])

    if call["tool"] == "find_automix_val_median":
        heads = {head: as_floats(log, f"{head}_top1") for head in log.heads}
        k, q, _ = reference_automix(heads, int(end), int(last))
        assert f"\nk={k:.2f}, q={q:.2f}\n" in call["stdout"]
    else:
        for key in keys[0].split("-"):
            series = as_floats(log, key.removeprefix("acc_"))
            value = f"{reference_window(series, int(end), int(last)):.2f}"
            printed = re.findall(rf"{key}[:=] ?([\d.]+|nan),", call["stdout"].splitlines()[-1])
            assert printed == [value]


@pytest.mark.parametrize("call", MINI, ids=lambda call: "-".join(call["args"]))
def test_reference_tool_says_the_same_of_a_log_of_ours(call: dict[str, Any]) -> None:
    """OpenMixup's own tools read what `mixzoo train` wrote of all ten methods, and find our medians."""
    name, end, last = call["args"]
    log = read_log([Path(str(files("mixzoo.zoo.mini"))) / "assets" / name])

    if call["tool"] == "find_automix_val_median":
        heads = {head: as_floats(log, f"{head}_top1") for head in log.heads}
        k, q, _ = reference_automix(heads, int(end), int(last))
        ours = f"\nk={k:.2f}, q={q:.2f}\n"
    else:
        series = (as_floats(log, f"head0_top{n}") for n in (1, 5))
        top1, top5 = (reference_window(one, int(end), int(last)) for one in series)
        ours = f"\nmedian top1, top5: {top1:.2f}, {top5:.2f}\n"
    assert ours in call["stdout"]


def test_all_recorded_calls_are_tested() -> None:
    """The recordings are there, those of both tools on synthetic and genuine logs."""
    assert len(CALLS) == 35


def test_strict_median_has_five_epochs_and_the_window_six(golden: Path) -> None:
    """The published statistic and the reference's differ on the recorded log."""
    log = read_log([golden / "runs" / "synthetic_logs" / "cls_20220101_000000.log.json"])

    found = {s.rule: s for s in summarise(log, end=100, last=5)}

    assert found[MEDIAN].epochs == (96, 97, 98, 99, 100)
    assert f"{found[MEDIAN].value:.2f}" == "63.18"
    assert found[WINDOW].epochs == (95, 96, 97, 98, 99, 100)
    assert f"{found[WINDOW].value:.2f}" == "63.43"
    assert (found[LAST].value, found[LAST].epochs) == (64.47849, (100,))
    assert found[BEST].value == max(as_floats(log, "head0_top1").values())
    assert AUTOMIX not in found


def test_automix_rule_summarises_pairs(golden: Path) -> None:
    """Four heads give two numbers, the better of each pair."""
    log = read_log([golden / "runs" / "synthetic_logs" / "automix_20220101_000000.log.json"])

    found = {s.head: s for s in summarise(log, end=100, last=5) if s.rule == AUTOMIX}

    assert {head: f"{s.value:.2f}" for head, s in found.items()} == {
        BEST_K: "63.60",
        BEST_Q: "64.40",
    }
    assert found[BEST_K].epochs == (95, 96, 97, 98, 99)


def test_automix_rule_reaches_further_from_ten_on() -> None:
    """With n >= 10 the tool takes n + 2 epochs: 89 to 100, then 89 to 99."""
    flat = dict.fromkeys(range(80, 101), 60.0)

    k, q, epochs = reference_automix({"one_q": flat | {89: 61.0, 100: 61.0}}, 100, 10)

    assert (k, q) == (60.0, 60.0)
    assert epochs == tuple(range(89, 101))


def test_missing_epochs_leave_no_strict_median(write_log: Callable[..., Path]) -> None:
    """A cut log has no median of its last five epochs, rather than one of others."""
    log = read_log([write_log(epochs=range(1, 98))])

    found = {s.rule for s in summarise(log, end=100, last=5)}

    assert found == {BEST}


def test_one_missing_epoch_leaves_the_reference_window(write_log: Callable[..., Path]) -> None:
    """The reference's tool takes what is there; the published statistic can't be made."""
    log = read_log([write_log(epochs=[e for e in range(1, 101) if e != 98])])

    found = {s.rule: s for s in summarise(log, end=100, last=5)}

    assert found.keys() == {WINDOW, LAST, BEST}
    assert found[WINDOW].epochs == (95, 96, 97, 99, 100)


def test_more_epochs_than_the_run_has(write_log: Callable[..., Path]) -> None:
    """A median over the last five of three epochs is one over all three."""
    log = read_log([write_log(epochs=range(1, 4), horizon=3)])

    found = {s.rule: s for s in summarise(log, end=3, last=5)}

    assert found[MEDIAN].epochs == (1, 2, 3)


def test_no_head_gives_nan() -> None:
    """As the reference's tools print it."""
    assert math.isnan(reference_window({}, 100, 5))
    assert all(map(math.isnan, reference_automix({}, 100, 5)[:2]))


@given(st.lists(st.integers(0, 300), min_size=8, max_size=8), st.integers(1, 7))
def test_automix_rule_is_the_better_of_two_windows(correct: list[int], last: int) -> None:
    """One head: the median of the window, or of it without its last epoch."""
    series = {epoch: k / 3 for epoch, k in enumerate(correct, 1)}

    k, q, _ = reference_automix({"one_q": series}, 8, last)

    shorter = {e: v for e, v in series.items() if e < 8}
    assert k == q == max(reference_window(series, 8, last), reference_window(shorter, 8, last))


def test_every_rule_is_told_in_words() -> None:
    """The words name the epochs."""
    words = rules(100, 5)

    assert words.keys() == {MEDIAN, WINDOW, AUTOMIX, LAST, BEST}
    assert "96 to 100" in words[MEDIAN]
    assert "100 - 5, which are 6" in words[WINDOW]
    assert "100 - 11" in rules(100, 10)[AUTOMIX]
