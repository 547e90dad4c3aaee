"""A run's training is read beside its validations: losses and rates, repeated parts once."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.logs import MEDIAN, Claim, LogAudit, audit_files
from mixzoo.eval.logs.lines import Training
from mixzoo.viz.runs import _latest, curves_words, read_run, short_names

Audit = Callable[..., LogAudit]


def train_lines(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line.get("mode") == "train"]


def test_losses_and_rates_of_a_genuine_log(audit: Audit, automix_log: Path) -> None:
    """Each training line, at its place in the run: 10 iterations an epoch."""
    run = read_run(audit(automix_log))

    lines = train_lines(automix_log)
    assert [p.loss for p in run.training] == [line["loss"] for line in lines]
    assert [p.lr for p in run.training] == [line["lr"] for line in lines]
    assert [p.epoch for p in run.training] == [
        pytest.approx(line["epoch"] - 1 + line["iter"] / 10) for line in lines
    ]


def test_text_log_tells_the_same(audit: Audit, cutmix_log: Path) -> None:
    """To its four decimals."""
    text = read_run(audit(next(cutmix_log.parent.glob("*.log"))))

    stored = read_run(audit(cutmix_log))
    assert [p.loss for p in text.training] == [
        pytest.approx(p.loss, abs=1e-4) for p in stored.training
    ]
    assert [p.epoch for p in text.training] == [p.epoch for p in stored.training]


def test_heads_begin_with_inference_s(audit: Audit, automix_log: Path) -> None:
    """Whatever the log's order is; values are the log's."""
    run = read_run(audit(automix_log))

    assert run.heads == ("one_k", "mix_k", "mix_q", "one_q")
    assert run.top1("one_k")[1] == 9.0
    assert run.value("one_k", MEDIAN) == pytest.approx(11.66667)
    assert run.value("head0", MEDIAN) is None


def test_resumed_run_has_each_part_once(audit: Audit, resumed_log: Path, cutmix_log: Path) -> None:
    """The later piece counts; what it did again is kept as replaced."""
    run = read_run(audit(resumed_log))

    before = {(line["epoch"], line["iter"]): line["loss"] for line in train_lines(cutmix_log)}
    expected = [loss + (epoch >= 4) for (epoch, _), loss in before.items()]
    assert [p.loss for p in run.training] == [pytest.approx(loss) for loss in expected]
    assert run.restarts() == [4]
    assert [epoch for epoch, _ in run.replaced("head0")] == [4, 5]


def test_restart_within_an_epoch_keeps_its_beginning(
    audit: Audit, cutmix_log: Path, tmp_path: Path
) -> None:
    """A checkpoint may be of the middle of an epoch."""
    lines = [json.loads(line) for line in cutmix_log.read_text().splitlines()]
    header, rest = lines[0], lines[1:]
    cut = next(n for n, line in enumerate(rest) if (line["epoch"], line["iter"]) == (4, 10))
    path = tmp_path / "middle.log.json"
    path.write_text(
        "".join(json.dumps(one) + "\n" for one in [header, *rest[:cut], header, *rest[cut:]])
    )

    run = read_run(audit(path))

    assert [p.loss for p in run.training] == [line["loss"] for line in train_lines(cutmix_log)]


def test_joined_files_are_one_run(cutmix_log: Path, tmp_path: Path) -> None:
    """In the order that the audit read them."""
    lines = cutmix_log.read_text().splitlines(keepends=True)
    early, late = tmp_path / "a.log.json", tmp_path / "b.log.json"
    early.write_text("".join(lines[:13]))
    late.write_text(lines[0] + "".join(lines[13:]))

    run = read_run(audit_files([early, late], Claim()))

    assert [p.loss for p in run.training] == [line["loss"] for line in train_lines(cutmix_log)]


@pytest.mark.parametrize("loss", ["NaN", "Infinity", "-Infinity"])
def test_loss_that_is_no_number(audit: Audit, cutmix_log: Path, tmp_path: Path, loss: str) -> None:
    """It is a finding, not an error."""
    path = tmp_path / "diverged.log.json"
    path.write_text(cutmix_log.read_text().replace('"loss": 2.71724', f'"loss": {loss}'))

    first = read_run(audit(path)).training[0].loss

    assert first is not None
    assert not math.isfinite(first)


def test_lines_without_a_loss(audit: Audit, cutmix_log: Path, tmp_path: Path) -> None:
    """`loss_cls` isn't the loss."""
    path = tmp_path / "other.log.json"
    path.write_text(cutmix_log.read_text().replace('"loss"', '"loss_cls"'))

    assert {p.loss for p in read_run(audit(path)).training} == {None}


def test_log_of_validations_alone(audit: Audit, cutmix_log: Path, tmp_path: Path) -> None:
    """Their learning rates are what is known."""
    path = tmp_path / "val.log.json"
    path.write_text("\n".join(x for x in cutmix_log.read_text().split("\n") if '"val"' in x) + "\n")

    run = read_run(audit(path))

    assert [p.epoch for p in run.training] == list(range(1, 9))
    assert [p.loss for p in run.training] == [None] * 8
    assert run.training[0].lr == 0.1


def test_log_of_a_windows_shell(audit: Audit, cutmix_log: Path, tmp_path: Path) -> None:
    """UTF-16 is what a redirection there writes."""
    path = tmp_path / "wide.log.json"
    path.write_text(cutmix_log.read_text(), encoding="utf-16")

    assert len(read_run(audit(path)).training) == 16


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=40))
def test_training_never_goes_back(places: list[tuple[int, int]]) -> None:
    """Whatever was repeated, what is kept is in order, and ends with what was last."""
    lines = [Training(e, i, n, loss=float(n)) for n, (e, i) in enumerate(places)]

    kept = _latest(lines)

    found = [(line.epoch, line.iteration) for line in kept]
    assert found == sorted(set(found))
    assert kept[-1:] == lines[-1:]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.log.json"], ["a.log.json"]),
        (["/x/a/run.json", "/x/b/run.json"], ["a/run.json", "b/run.json"]),
        (["resnet50.a_b", "/x/run.json"], ["resnet50.a_b", "run.json"]),
        (["/x/run.json", "/x/run.json"], ["run.json", "run.json"]),
    ],
)
def test_names_are_as_long_as_they_must_be(names: list[str], expected: list[str]) -> None:
    """The last parts of paths that tell runs apart."""
    assert short_names(names) == expected


def test_words_say_where_each_curve_ends(audit: Audit, cutmix_log: Path) -> None:
    """For those who can't see the figure."""
    words = curves_words([read_run(audit(cutmix_log))])

    assert words.endswith("20261122_154252.log.json head0: top-1 17.00 percent after epoch 8.")
