"""Paired comparison counts image by image, corrects for many questions, and refuses other lists."""

import numpy as np
import pytest
from mixzoo.eval.compare import (
    BETTER,
    IDENTICAL,
    NOT_DISTINGUISHABLE,
    WORSE,
    NamedPredictions,
    compare_rows,
    legend,
    to_dict,
    to_markdown,
)
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.statistics import mcnemar, paired_difference_interval
from mixzoo.zoo.errors import DataError, UsageError

N = 400


def row(
    name: str, wrong: range, *, labels: np.ndarray | None = None, sha: str = ""
) -> NamedPredictions:
    """A row that errs on these images alone."""
    known = Predictions.empty(np.arange(N) % 7 if labels is None else labels)
    known.top[:, 0] = known.labels
    known.top[list(wrong), 0] = 9
    known.state[:] = 2
    return NamedPredictions(name, known, sha)


A, B, C = row("a", range(100)), row("b", range(60, 200)), row("c", range(95))


def test_images_are_counted_by_who_is_right() -> None:
    """a errs on 0-99, b on 60-199."""
    [found] = compare_rows([A, B])

    assert (found.both, found.only_a, found.only_b, found.neither) == (200, 100, 60, 40)
    assert found.difference == pytest.approx(10.0)
    assert found.p == mcnemar(100, 60)
    assert found.interval95 == paired_difference_interval(100, 60, N)


def test_swapping_mirrors() -> None:
    """b against a is a against b, upside down."""
    [one], [other] = compare_rows([A, B]), compare_rows([B, A])

    assert (one.word, other.word) == (BETTER, WORSE)
    assert one.difference == -other.difference
    assert one.p_holm == other.p_holm


def test_unreadable_images_are_wrong_and_counted() -> None:
    """An image that one row couldn't read is wrong for it."""
    known = row("x", range(0)).predictions
    known.put_unreadable([300, 301])
    [found] = compare_rows([NamedPredictions("x", known), A])

    assert found.unreadable == 2
    assert found.only_b == 2


def test_all_pairs_are_corrected_together() -> None:
    """Three rows make three questions; Holm's p is never below the pair's own."""
    pairs = compare_rows([A, B, C])

    assert [(p.a, p.b) for p in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [p.p_holm for p in pairs] == pytest.approx(
        [2 * mcnemar(100, 60), mcnemar(0, 5), 3 * mcnemar(60, 105)]
    )


def test_one_baseline_asks_fewer_questions() -> None:
    """Against one row there are two pairs, and it stands second."""
    pairs = compare_rows([A, B, C], against="b")

    assert [(p.a, p.b) for p in pairs] == [("a", "b"), ("c", "b")]
    assert pairs[0].p_holm == pytest.approx(mcnemar(100, 60))


def test_words_carry_their_rule() -> None:
    """Better, worse, not distinguishable, identical."""
    [better], [equal], [same] = (
        compare_rows(rows) for rows in ([A, B], [A, C], [A, row("d", range(100))])
    )

    assert better.sentence.startswith("a is better than b (paired, Holm-corrected p = 0.00")
    assert better.sentence.endswith(", below 0.05).")
    assert equal.word == NOT_DISTINGUISHABLE
    assert equal.sentence == (
        "a and c are not distinguishable on these images (paired, Holm-corrected p = 0.0625, not below 0.05)."
    )
    assert same.word == IDENTICAL


def test_the_legend_tells_how_far_it_reaches() -> None:
    """Rules of the words in use, and that other seeds aren't spoken of."""
    told = legend(compare_rows([A, B]))

    assert told[0].startswith("better: A is right more often")
    assert "another seed" in told[-1]
    assert not any(line.startswith("worse") for line in told)


def test_json_and_markdown_hold_the_same() -> None:
    """Each pair once, with counts, interval and both p-values."""
    pairs = compare_rows([A, B, C])
    [first, *_] = to_dict(pairs)["pairs"]

    assert (first["only_a"], first["only_b"], first["total"]) == (100, 60, N)
    assert first["p"] < first["p_holm"]
    assert to_markdown(pairs).count("\n| ") == 4


def relabelled() -> np.ndarray:
    labels = np.arange(N) % 7
    labels[5] = 3
    return labels


@pytest.mark.parametrize(
    ("other", "how"),
    [
        (NamedPredictions("x", Predictions.empty([1])), "not all of its images"),
        (row("x", range(3), labels=relabelled()), "1 labels differ, first at position 5: 5 and 3"),
        (row("x", range(3), labels=np.roll(np.arange(N) % 7, 1)), "labels differ in another order"),
        (row("x", range(3), sha="b" * 64), "lists aaaaaaaaaaaa and bbbbbbbbbbbb"),
    ],
)
def test_other_images_are_refused(other: NamedPredictions, how: str) -> None:
    """The error says how the lists differ."""
    with pytest.raises(DataError, match=how):
        compare_rows([row("a", range(100), sha="a" * 64), other])


@pytest.mark.parametrize(
    ("rows", "against", "how"),
    [([A], None, "at least two"), ([A, A], None, "given twice"), ([A, B], "z", "--against z")],
)
def test_names_must_make_sense(rows: list[NamedPredictions], against: str | None, how: str) -> None:
    """Too few rows, one row twice, a baseline that isn't there."""
    with pytest.raises(UsageError, match=how):
        compare_rows(rows, against=against)
