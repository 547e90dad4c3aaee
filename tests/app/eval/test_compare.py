"""`mixzoo eval compare` reads the store, pairs what was evaluated alike, and says what is missing."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from mixzoo.app.eval.compare import command
from mixzoo.eval import store
from mixzoo.eval.predictions import Predictions
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol

from ...mini_rows import MIXUP, VANILLA

FILES = tuple(f"{i}.jpg" for i in range(300))


def keep(
    ref: str,
    wrong: int,
    *,
    resize: int = 64,
    backwards: bool = False,
    heads: int = 1,
    precision: str = "guarded",
) -> None:
    """Store an evaluation of a row that errs on its first images; other heads on ten more each."""
    sha256 = open_catalog().row(ref)[0].asset(ref).sha256
    assert sha256 is not None
    order = np.arange(300)[::-1] if backwards else np.arange(300)
    known = {}
    for head in range(heads):
        predictions = Predictions.empty(np.arange(300)[order] % 7)
        predictions.top[:, 0] = np.where(order < wrong + 10 * head, 9, predictions.labels)
        predictions.state[:] = 2
        known[f"head{head}"] = predictions
    key = store.Key(sha256, Protocol(resize=resize, crop=64), "a" * 64, precision)
    files = tuple(FILES[i] for i in order)
    store.write(key.path, store.Stored(key.facts(), known, files, np.full(300, 1000)))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_rows_are_paired_image_by_image() -> None:
    """A list in another order is the same list."""
    keep(VANILLA, 60)
    keep(MIXUP, 90, backwards=True)

    [pair] = json.loads(run(VANILLA, MIXUP, "--json"))["pairs"]

    assert (pair["only_a"], pair["only_b"], pair["both"]) == (30, 0, 210)
    assert pair["word"] == "better"


def test_the_table_comes_with_a_sentence_and_rules() -> None:
    """For people: the finding in words, its rule, its reach."""
    keep(VANILLA, 60)
    keep(MIXUP, 90)

    printed = run(VANILLA, MIXUP)

    assert f"{VANILLA} is better than {MIXUP} (paired, Holm-corrected p < 0.0001" in printed
    assert "+10.00" in printed
    assert "another seed" in printed


def test_markdown_is_a_table() -> None:
    """To paste into a page."""
    keep(VANILLA, 60)
    keep(MIXUP, 61)

    assert run(VANILLA, MIXUP, "--markdown").startswith("| A | B | Only A right |")


def test_against_adds_its_row() -> None:
    """The baseline needn't be among the others."""
    keep(VANILLA, 60)
    keep(MIXUP, 90)

    [pair] = json.loads(run(MIXUP, "--against", VANILLA, "--json"))["pairs"]

    assert (pair["a"], pair["b"]) == (MIXUP, VANILLA)


def test_heads_can_be_named() -> None:
    """One head of several, or all; a row with one head is that one."""
    keep(VANILLA, 60)
    keep(MIXUP, 90, heads=2)

    [pair] = json.loads(run(VANILLA, MIXUP, "--head", "head1", "--json"))["pairs"]
    everything = json.loads(run(VANILLA, MIXUP, "--head", "all", "--json"))["pairs"]

    assert pair["only_a"] == 40
    assert [p["b"] for p in everything] == [f"{MIXUP} head0", f"{MIXUP} head1", f"{MIXUP} head1"]
    with pytest.raises(UsageError, match="expected one of head0, head1, or all"):
        run(VANILLA, MIXUP, "--head", "mix_q")


def test_the_newest_shared_setting_is_chosen() -> None:
    """Two protocols of one row, one of the other: the common one."""
    keep(VANILLA, 60)
    keep(MIXUP, 90)
    keep(VANILLA, 10, resize=70)

    [pair] = json.loads(run(VANILLA, MIXUP, "--json"))["pairs"]

    assert pair["only_a"] == 30


def test_rows_under_other_protocols_are_refused() -> None:
    """The message names what differs."""
    keep(VANILLA, 60)
    keep(MIXUP, 90, resize=70)

    with pytest.raises(UsageError, match="not evaluated alike: resize 64 and 70"):
        run(VANILLA, MIXUP)


def test_a_row_without_evaluation_is_named() -> None:
    """With the command that makes one."""
    keep(VANILLA, 60)

    with pytest.raises(UsageError, match=f"Run: mixzoo eval {MIXUP}$"):
        run(VANILLA, MIXUP)


def test_fast_arithmetic_is_told() -> None:
    """Its predictions may not be those of fp32."""
    keep(VANILLA, 60, precision="fast")
    keep(MIXUP, 90)

    assert f"{VANILLA}: evaluated with --precision fast" in run(VANILLA, MIXUP)


def test_fast_arithmetic_never_hides_better() -> None:
    """Though it was kept later, as by `explain`."""
    keep(VANILLA, 60)
    keep(MIXUP, 90)
    keep(VANILLA, 10, precision="fast")

    assert "evaluated with --precision fast" not in run(VANILLA, MIXUP)


def test_one_row_has_no_partner() -> None:
    """Two are needed."""
    keep(VANILLA, 60)

    with pytest.raises(UsageError, match="at least two"):
        run(VANILLA)
