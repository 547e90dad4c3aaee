"""Rows equal what a plain sort says of each image's logits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.predictions import Rows
from mixzoo.eval.predictor import rank
from mixzoo.zoo.errors import CheckpointError, DataError


def rows_of(z: torch.Tensor, labels: list[int], *, exact: bool = True) -> Rows:
    """`rank` of images numbered from 10."""
    return rank(z, torch.tensor(labels), torch.arange(10, 10 + len(z)), exact=exact, head="one_k")


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Small whole logits, so that ties are frequent, with labels; 2 to 9 classes."""
    classes = draw(st.integers(2, 9))
    row = st.lists(st.integers(-3, 3), min_size=classes, max_size=classes)
    logits = draw(st.lists(row, min_size=1, max_size=5))
    label = st.integers(0, classes - 1)
    return logits, draw(st.lists(label, min_size=len(logits), max_size=len(logits)))


@given(batches())
def test_rows_equal_a_plain_sort(batch: tuple[list[list[int]], list[int]]) -> None:
    """Order (ties: lower class first), both margins and the confidence are those of a sort."""
    logits, labels = batch

    rows = rows_of(torch.tensor(logits, dtype=torch.float32), labels)

    for i, (z, label) in enumerate(zip(logits, labels, strict=True)):
        order = sorted(range(len(z)), key=lambda c: (-z[c], c))
        assert rows.top[i].tolist() == (order + [-1] * 5)[:5]
        assert rows.margin[i] == z[order[0]] - z[order[1]]
        if len(z) <= 5:
            assert rows.margin5[i] == math.inf
        else:
            other = order[5] if label in order[:5] else order[4]
            assert rows.margin5[i] == abs(z[label] - z[other])
        softmax = math.exp(z[order[0]]) / sum(math.exp(v) for v in z)
        assert rows.confidence[i] == pytest.approx(softmax, rel=1e-6)


def test_rows_carry_positions_types_and_origin() -> None:
    """Columns have the types of `Rows`; `exact` says how the logits came about."""
    rows = rows_of(torch.randn(3, 8142, dtype=torch.bfloat16), [0, 1, 8141], exact=False)

    assert rows.indices.tolist() == [10, 11, 12]
    assert rows.exact.tolist() == [False] * 3
    assert (rows.top.dtype, rows.top.shape) == (np.dtype(np.int32), (3, 5))
    columns = (rows.margin, rows.margin5, rows.confidence)
    assert {column.dtype for column in columns} == {np.dtype(np.float32)}


def test_a_batch_without_images_has_no_rows() -> None:
    """All images of a batch may be unreadable."""
    rows = rank(
        torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64), torch.arange(0), exact=True, head="h"
    )

    assert len(rows.indices) == len(rows.top) == len(rows.margin) == 0


def test_label_beyond_the_classes_is_named() -> None:
    """Data with more classes than the head is a mismatch, not a miss."""
    with pytest.raises(DataError, match=r"label 6, but head one_k has only 3 classes"):
        rows_of(torch.zeros(2, 3), [0, 6])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    """One logit that isn't a number is enough, also in a class that isn't the best."""
    z = torch.zeros(2, 9)
    z[1, 7] = value

    with pytest.raises(CheckpointError, match="one_k gives logits that aren't finite"):
        rows_of(z, [0, 0])
