"""Curves show what the log says, with the window, its median and the published number."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mixzoo.eval.logs import MEDIAN, LogAudit
from mixzoo.eval.logs.lines import Iteration
from mixzoo.viz.curves import CLOSE, LOSS, RATE, WHOLE, Run, curves_plot, curves_words
from mixzoo.viz.save import figure_bytes, inline_svg
from mixzoo.zoo.errors import UsageError

from ..mini_rows import EPOCHS, VANILLA, log


@pytest.fixture
def automix(audit: Callable[..., LogAudit], automix_log: Path) -> LogAudit:
    return audit(automix_log, top1=17.7, decimals=1)


@pytest.fixture
def cutmix(audit: Callable[..., LogAudit], cutmix_log: Path) -> LogAudit:
    return audit(cutmix_log)


@pytest.fixture
def long(audit: Callable[..., LogAudit]) -> LogAudit:
    """A longer run, from the package's own benchmark."""
    return audit(log(VANILLA), top1=75.3, decimals=1)


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title("left"): axes for axes in figure.axes}


def drawn(axes: Axes) -> list[dict[float, float]]:
    """The curves of a panel: x -> y."""
    return [dict(zip(*line.get_data(), strict=True)) for line in axes.lines]


def labels(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_every_head_of_one_run(automix: LogAudit) -> None:
    """Its values by epoch; the legend has the medians."""
    figure = curves_plot([automix])

    curves = drawn(panels(figure)[WHOLE])
    assert curves[:4] == [automix.log.floats(f"{head}_top1") for head in Run(automix).heads]
    assert labels(figure)[0] == "one_k: median 11.67, published 17.7"


def test_window_and_median_are_marked(automix: LogAudit) -> None:
    """The last five epochs, each head's median across them, the number as a line."""
    axes = panels(curves_plot([automix]))[WHOLE]

    span = axes.patches[0].get_window_extent().transformed(axes.transData.inverted())
    medians = [c.get_segments()[0] for c in axes.collections]
    published = axes.lines[4]
    assert (span.x0, span.x1) == pytest.approx((3.5, 8.5))
    assert [m[0][1] for m in medians] == [
        automix.summary(h, MEDIAN).value for h in Run(automix).heads
    ]
    assert set(published.get_ydata()) == {17.7}


def test_last_epochs_have_a_panel_of_their_own(long: LogAudit) -> None:
    """Where a run is longer than the panel, which shows as many as needed."""
    figure = curves_plot([long])

    near = panels(figure)[CLOSE]
    assert list(drawn(near)[0]) == list(range(EPOCHS - 11, EPOCHS + 1))
    assert near.get_xlim() == pytest.approx((EPOCHS - 11.6, EPOCHS + 0.6))
    assert list(drawn(panels(figure)[WHOLE])[0]) == list(range(1, EPOCHS + 1))


def test_short_run_needs_no_close_up(automix: LogAudit) -> None:
    """It would show the same again."""
    assert set(panels(curves_plot([automix]))) == {WHOLE, LOSS, RATE}


def test_losses_and_rates(cutmix: LogAudit) -> None:
    """All lines of the log, the mean of each epoch over them, the learning rate."""
    found = panels(curves_plot([cutmix]))

    raw, means = drawn(found[LOSS])
    assert raw == dict(Run(cutmix).losses)
    assert means[0.5] == pytest.approx((2.71724 + 3.42181) / 2)
    assert len(means) == 8
    assert drawn(found[RATE]) == [dict(Run(cutmix).rates)]


def test_panels_without_content_are_left_out(
    audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path
) -> None:
    """A log of validations has no loss; of its rates it has those that validations name."""
    path = tmp_path / "val.log.json"
    path.write_text("\n".join(x for x in cutmix_log.read_text().split("\n") if '"val"' in x) + "\n")

    found = panels(curves_plot([audit(path)]))
    assert set(found) == {WHOLE, RATE}
    (rates,) = drawn(found[RATE])
    assert (list(rates), rates[1]) == (list(range(1, 9)), 0.1)


def test_several_runs_differ_in_more_than_colour(automix: LogAudit, cutmix: LogAudit) -> None:
    """By default the first head of each, with names; dashes and markers of their own."""
    figure = curves_plot([automix, cutmix])

    first, second = panels(figure)[WHOLE].lines[:2]
    assert labels(figure)[0].startswith("20261122_154353.log.json one_k: median")
    assert labels(figure)[1].startswith("20261122_154252.log.json: median")
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert first.get_color() != second.get_color()


def test_heads_can_be_chosen(automix: LogAudit, cutmix: LogAudit) -> None:
    """A run without them isn't drawn."""
    figure = curves_plot([automix, cutmix], heads=["one_q", "mix_q"])

    curves = drawn(panels(figure)[WHOLE])
    assert curves[:2] == [automix.log.floats(f"{head}_top1") for head in ("mix_q", "one_q")]
    assert len(drawn(panels(figure)[RATE])) == 1


def test_restart_is_marked(audit: Callable[..., LogAudit], resumed_log: Path) -> None:
    """Crosses where it validated again, a triangle where it began; the legend says so."""
    figure = curves_plot([audit(resumed_log)])

    marks = [(line.get_marker(), line.get_xdata()[0]) for line in panels(figure)[WHOLE].lines[1:]]
    assert marks == [("x", 4), ("x", 5), ("^", 3.5)]
    assert "restart" in labels(figure)


def test_unfinished_run(audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path) -> None:
    """The window lies ahead, and the median isn't made up."""
    path = tmp_path / "half.log.json"
    lines = cutmix_log.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:13]))

    figure = curves_plot([audit(path)])

    assert labels(figure)[0] == "head0: median not complete"
    assert panels(figure)[WHOLE].get_xlim()[1] > 8


def test_narrow_stacks_the_panels(long: LogAudit) -> None:
    """For a phone, with lines of the legend that fit."""
    figure = curves_plot([long], narrow=True)

    assert figure.get_figwidth() < 5
    assert [axes.get_subplotspec().colspan.stop for axes in figure.axes] == [1] * 4
    assert max(len(line) for label in labels(figure) for line in label.split("\n")) < 60


def test_page_can_show_it_in_either_theme(automix: LogAudit) -> None:
    """Inline, no colour of its own is left."""
    svg = inline_svg(curves_plot([automix]), "curves", "words")

    assert not re.findall("#[0-9a-f]{6}", svg)
    assert "var(--series-1)" in svg


def test_diverged_run(audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path) -> None:
    """Losses that are no numbers leave gaps; nothing fails or warns."""
    path = tmp_path / "diverged.log.json"
    text = cutmix_log.read_text().replace('"loss": 2.71724', '"loss": NaN')
    path.write_text(text.replace('"loss": 3.42181', '"loss": Infinity'))

    assert figure_bytes(curves_plot([audit(path)]), "png")


def test_runs_can_be_told_apart(cutmix: LogAudit) -> None:
    """A table's ten have colours of their own; the eleventh has other dashes and another marker."""
    figure = curves_plot([cutmix] * 11)

    lines = panels(figure)[WHOLE].lines[:11]
    assert len({x.get_color() for x in lines[:10]}) == 10
    assert lines[0].get_color() == lines[10].get_color()
    assert len({(x.get_color(), x.get_marker()) for x in lines}) == 11
    assert len({(x.get_color(), str(x._dash_pattern)) for x in lines}) == 11


def test_nothing_to_draw(automix: LogAudit) -> None:
    """No run, or no such head: what there is."""
    with pytest.raises(UsageError, match="at least one training log"):
        curves_plot([])
    with pytest.raises(UsageError, match="No log has the head head7; expected one of one_k, mix_k"):
        curves_plot([automix], heads=["head7"])


def train_lines(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line.get("mode") == "train"]


def test_losses_and_rates_of_a_genuine_log(
    audit: Callable[..., LogAudit], automix_log: Path
) -> None:
    """Each training line, at its place in the run: 10 iterations an epoch."""
    run = Run(audit(automix_log))

    lines = train_lines(automix_log)
    assert [loss for _, loss in run.losses] == [line["loss"] for line in lines]
    assert [rate for _, rate in run.rates] == [line["lr"] for line in lines]
    assert [epoch for epoch, _ in run.losses] == [
        pytest.approx(line["epoch"] - 1 + line["iter"] / 10) for line in lines
    ]


def test_heads_begin_with_inference_s(audit: Callable[..., LogAudit], automix_log: Path) -> None:
    """Whatever the log's order is; values are the log's."""
    run = Run(audit(automix_log))

    assert run.heads == ["one_k", "mix_k", "mix_q", "one_q"]


def test_resumed_run_has_each_part_once(
    audit: Callable[..., LogAudit], resumed_log: Path, cutmix_log: Path
) -> None:
    """The later piece counts; what it did again is kept as replaced."""
    run = Run(audit(resumed_log))

    before = {(line["epoch"], line["iter"]): line["loss"] for line in train_lines(cutmix_log)}
    expected = [loss + (epoch >= 4) for (epoch, _), loss in before.items()]
    assert [loss for _, loss in run.losses] == [pytest.approx(loss) for loss in expected]
    assert run.restarts == [4]


def test_restart_within_an_epoch_keeps_its_beginning(
    audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path
) -> None:
    """A checkpoint may be of the middle of an epoch."""
    lines = [json.loads(line) for line in cutmix_log.read_text().splitlines()]
    header, rest = lines[0], lines[1:]
    cut = next(n for n, line in enumerate(rest) if (line["epoch"], line["iter"]) == (4, 10))
    path = tmp_path / "middle.log.json"
    path.write_text(
        "".join(json.dumps(one) + "\n" for one in [header, *rest[:cut], header, *rest[cut:]])
    )

    run = Run(audit(path))

    assert [loss for _, loss in run.losses] == [line["loss"] for line in train_lines(cutmix_log)]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=40))
def test_training_never_goes_back(places: list[tuple[int, int]]) -> None:
    """Whatever was repeated, what is kept is in order, and ends with what was last."""
    lines = [Iteration(e, i, n, loss=float(n)) for n, (e, i) in enumerate(places)]

    run = Run(SimpleNamespace(log=SimpleNamespace(training=lines)))

    found = [(line.epoch, line.iteration) for _, line in run.training]
    assert found == sorted(set(found))
    assert [line for _, line in run.training][-1:] == lines[-1:]


def test_words_say_where_each_curve_ends(audit: Callable[..., LogAudit], cutmix_log: Path) -> None:
    """For those who can't see the figure."""
    words = curves_words([audit(cutmix_log)])

    assert words.endswith("20261122_154252.log.json head0: top-1 17.00 percent after epoch 8.")
