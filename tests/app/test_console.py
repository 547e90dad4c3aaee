"""Tables at the width of a terminal."""

import pytest
from mixzoo.app.console import print_table

from ..mini_rows import MIXUP

ROWS = [(MIXUP, "head0", "59.60", "reproduced"), ("b" * 30, "head0", "1", "no")]


@pytest.mark.parametrize("width", [100, 58, 52, 46, 38])
def test_names_are_never_broken(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is optional gives way first; a name that is still too long loses its middle."""
    monkeypatch.setattr("mixzoo.app.console.PIPE_WIDTH", width)

    print_table(
        ("Row", "Head", "Top-1", "Verdict"), ROWS, right=("Top-1",), optional=("Head", "Top-1")
    )

    table, _, left_out = capsys.readouterr().out.partition("Left out at this width: ")
    assert len([line for line in table.splitlines() if line.strip()]) == 2 + len(ROWS)
    assert all(len(line) <= width for line in table.splitlines())
    assert left_out.strip() == {100: "", 58: "", 52: "Head."}.get(width, "Head, Top-1.")
    assert ("b" * 30 in table) == (width > 38)
