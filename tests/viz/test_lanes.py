"""A row's verdict is drawn at the head that carries it."""

import msgspec
from mixzoo.viz.lanes import accuracy_plot, gap_plot
from mixzoo.zoo.report import Report


def test_the_head_that_carries_the_verdict_has_its_look(report: Report) -> None:
    """A circle for "reproduced"; the other heads are small grey diamonds, wherever they stand."""
    row = next(one for one in report.rows if len(one.heads) == 4)
    judged = msgspec.structs.replace(row, head="one_q", verdict="reproduced")

    _, top5 = accuracy_plot([judged]).axes
    gap = gap_plot([judged]).axes[0]

    markers = {
        line.get_xdata()[0]: line.get_marker() for line in top5.lines if line.get_marker() in "oD"
    }
    assert markers == {one.top5: "o" if one.head == "one_q" else "D" for one in row.heads}
    dots = [line.get_xdata()[0] for line in gap.lines if line.get_marker() == "o"]
    assert dots == [judged.judged.gap_points]
    assert [text.get_text() for text in gap.texts] == [f"{row.id}, one_q"]
