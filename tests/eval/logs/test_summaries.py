"""Summaries against what the reference's own two tools printed, and what they are worth."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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
    RULES,
    WINDOW,
    Claim,
    Summary,
    judge_log,
    reference_automix,
    reference_window,
    rounds_to,
    rules,
    summarise,
    table_values,
)
from mixzoo.zoo.looks import (
    INCOMPLETE,
    NO_NUMBER,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    OTHER_RULE,
    REPRODUCED,
    SUSPICIOUS,
)

NOTHING_WRONG = {"other_images": False, "suspicious": False}
GOLDEN = Path(__file__).parents[2] / "golden" / "runs"
CALLS = [
    pytest.param(path.parent, call, id="-".join([path.parent.name, *call["args"]]))
    for path in sorted(GOLDEN.glob("*/expected_summaries.json"))
    for call in json.loads(path.read_text())
]
# What the tools, tools/summary of the reference, printed of logs that `mixzoo train` once wrote.
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
        heads = {head: log.floats(f"{head}_top1") for head in log.heads}
        k, q, _ = reference_automix(heads, int(end), int(last))
        assert f"\nk={k:.2f}, q={q:.2f}\n" in call["stdout"]
    else:
        for key in keys[0].split("-"):
            series = log.floats(key.removeprefix("acc_"))
            value = f"{reference_window(series, int(end), int(last)):.2f}"
            printed = re.findall(rf"{key}[:=] ?([\d.]+|nan),", call["stdout"].splitlines()[-1])
            assert printed == [value]


@pytest.mark.parametrize("call", MINI, ids=lambda call: "-".join(call["args"]))
def test_reference_tool_says_the_same_of_a_log_of_ours(call: dict[str, Any]) -> None:
    """OpenMixup's own tools read what `mixzoo train` wrote, and find our medians."""
    name, end, last = call["args"]
    log = read_log([GOLDEN.parent / "mini_logs" / name])

    if call["tool"] == "find_automix_val_median":
        heads = {head: log.floats(f"{head}_top1") for head in log.heads}
        k, q, _ = reference_automix(heads, int(end), int(last))
        ours = f"\nk={k:.2f}, q={q:.2f}\n"
    else:
        series = (log.floats(f"head0_top{n}") for n in (1, 5))
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
    assert found[BEST].value == max(log.floats("head0_top1").values())
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
    assert epochs == tuple(range(89, 100))


@pytest.mark.parametrize(
    ("epochs", "end", "windows"),
    [
        # A cut log has no median of its last five epochs, rather than one of others.
        (range(1, 98), 100, {BEST: None}),
        # The reference's tool takes what is there; the published statistic can't be made.
        ({*range(1, 101)} - {98}, 100, {WINDOW: (95, 96, 97, 99, 100), LAST: (100,), BEST: None}),
        # A median over the last five of three epochs is one over all three.
        (range(1, 4), 3, {MEDIAN: (1, 2, 3), WINDOW: (1, 2, 3), LAST: (3,), BEST: None}),
    ],
    ids=["cut", "one missing", "short run"],
)
def test_epochs_that_are_there_say_which_rules_apply(
    write_log: Callable[..., Path], epochs: Any, end: int, windows: dict[str, Any]
) -> None:
    """Each rule with the epochs that it looked at."""
    log = read_log([write_log(epochs=sorted(epochs), horizon=end)])

    found = {s.rule: s.epochs for s in summarise(log, end=end, last=5)}

    assert found | {BEST: None} == windows


def test_no_head_gives_nan() -> None:
    """As the reference's tools print it."""
    assert math.isnan(reference_window({}, 100, 5))
    assert all(map(math.isnan, reference_automix({}, 100, 5)[:2]))


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=3, max_size=8), st.integers(1, 12))
def test_automix_rule_is_the_reference_s(correct: list[tuple[int, ...]], last: int) -> None:
    """Its tool cuts the window before its last epoch, at its end and behind it, and takes numpy's
    argmax of the best head's median; values of few images are often equal."""
    names, end = ("mix_k", "one_k", "mix_q", "one_q"), len(correct)
    heads = {
        n: {e: v / 3 for e, v in enumerate(vs, 1)}
        for n, vs in zip(names, zip(*correct, strict=True), strict=True)
    }
    first = end - (last if last < 10 else last + 1)
    records = {n: np.array([v for e, v in one.items() if e >= first]) for n, one in heads.items()}
    cuts = [len(records["one_q"]) + bias for bias in (-1, 0, 1)]
    best = [max(np.median(one[:cut]) for one in records.values()) for cut in cuts]
    medians = {n: np.median(one[: cuts[np.argmax(best)]]) for n, one in records.items()}

    k, q, _ = reference_automix(heads, end, last)

    assert k == max(medians["one_k"], medians["mix_k"])
    assert q == max(medians["one_q"], medians["mix_q"])


def test_tie_of_both_windows_leaves_the_last_epoch_out() -> None:
    """The best head's median is the same in both: argmax meets the one without first."""
    heads = {"one_q": dict.fromkeys(range(5, 9), 60.0), "one_k": {5: 1, 6: 2, 7: 3, 8: 59.0}}

    k, q, epochs = reference_automix(heads, 8, 3)

    assert (k, q, epochs) == (2, 60.0, (5, 6, 7))


def test_one_epoch_alone_is_no_number() -> None:
    """The reference's tool prints nan: its argmax takes the empty window."""
    k, q, epochs = reference_automix({"one_q": {8: 60.0}}, 8, 3)

    assert math.isnan(k)
    assert math.isnan(q)
    assert epochs == ()


def summary(rule: str, value: float, head: str = "head0") -> Summary:
    """A number of a head."""
    return Summary(rule, head, value, (100,))


@pytest.mark.parametrize(
    ("values", "changed", "word"),
    [
        ({MEDIAN: 64.7312, WINDOW: 64.9}, {}, REPRODUCED),
        ({MEDIAN: 64.8, WINDOW: 64.7312}, {}, OTHER_RULE),
        ({MEDIAN: 64.8, BEST: 65.0}, {}, NOT_REPRODUCED),
        ({LAST: 64.8, BEST: 65.0}, {}, INCOMPLETE),
        ({MEDIAN: 64.73}, {"suspicious": True}, SUSPICIOUS),
        ({MEDIAN: 64.73}, {"other_images": True}, NOT_COMPARABLE),
    ],
)
def test_verdict(values: dict[str, float], changed: dict[str, bool], word: str) -> None:
    """Against a table that names the median; the right digits don't outweigh what is wrong."""
    found = [summary(rule, value) for rule, value in values.items()]

    assert judge_log(found, Claim(top1=64.73), **(NOTHING_WRONG | changed)) == word
    assert word in RULES


def test_nothing_published() -> None:
    """A log by itself has no number to reproduce."""
    assert judge_log([summary(MEDIAN, 64.73)], Claim(), **NOTHING_WRONG) == NO_NUMBER


@pytest.mark.parametrize(
    ("published", "word"),
    [(66.1, REPRODUCED), (65.0, REPRODUCED), (59.6, OTHER_RULE), (59.5, OTHER_RULE)],
)
def test_table_has_the_better_head_of_each_pair(published: float, word: str) -> None:
    """The reference reports the better of one_k and mix_k and of one_q and mix_q, no other one."""
    values = {"mix_k": 59.6, "mix_q": 59.5, "one_q": 65.0, "one_k": 66.1}
    found = [summary(LAST, value, head) for head, value in values.items()]
    claim = Claim(top1=published, decimals=1, rule=LAST)

    assert [s.head for s in table_values(found, LAST)] == ["one_k", "one_q"]
    assert judge_log(found, claim, **NOTHING_WRONG) == word


def test_inference_s_head_is_a_candidate_beside_the_better_ones() -> None:
    """And a median table may have been made by OpenMixup's own rule for AutoMix."""
    values = {"mix_k": 61.0, "mix_q": 59.0, "one_q": 58.0, "one_k": 60.0}
    found = [summary(MEDIAN, value, head) for head, value in values.items()]
    found += [summary(AUTOMIX, 61.5, BEST_K), summary(AUTOMIX, 59.5, BEST_Q)]

    heads = [one.head for one in table_values(found, MEDIAN)]

    assert heads == ["one_k", "mix_k", "mix_q", BEST_K, BEST_Q]
    assert judge_log(found, Claim(top1=59.5), **NOTHING_WRONG) == REPRODUCED
    assert judge_log(found, Claim(top1=58.0), **NOTHING_WRONG) == OTHER_RULE


@pytest.mark.parametrize(
    ("value", "same"),
    [(64.725, True), (64.735, True), (64.7351, False), (64.7249, False), (64.73, True)],
)
def test_rounding(value: float, same: bool) -> None:
    """A tie may have gone either way."""
    assert rounds_to(value, 64.73, 2) is same


def test_every_rule_is_told_in_words() -> None:
    """The words name the epochs."""
    words = rules(100, 5)

    assert words.keys() == {MEDIAN, WINDOW, AUTOMIX, LAST, BEST}
    assert "96 to 100" in words[MEDIAN]
    assert "100 - 5, which are 6" in words[WINDOW]
    assert "100 - 11" in rules(100, 10)[AUTOMIX]


@pytest.mark.parametrize(
    ("end", "of", "wider"),
    [
        (1, "the one epoch of the run, which has fewer than 5", "which are 1"),
        (3, "all 3 epochs of the run, which has fewer than 5", "which are 3"),
        (5, "the last 5 epochs, 1 to 5", "which are 5"),
        (6, "the last 5 epochs, 2 to 6", "which are 6"),
    ],
)
def test_a_run_shorter_than_the_window_has_fewer_epochs(end: int, of: str, wider: str) -> None:
    """Its words count those that there are."""
    words = rules(end, 5)

    assert words[MEDIAN] == f"median of {of}"
    assert words[WINDOW].endswith(wider)
