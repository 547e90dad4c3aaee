"""Arguments and options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..mini_rows import VANILLA as ROW


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
@pytest.mark.parametrize(
    "words",
    [
        ("eval", "PIPE"),
        ("eval", ROW, "--log", "PIPE"),
        ("eval", ROW, "--data", ".", "--list", "PIPE"),
        ("eval", ROW, "--data", ".", "--annotations", "PIPE"),
        ("logs", "PIPE"),
        ("viz", "compare", "PIPE"),
        ("viz", "mix", "--images", "FOLDER"),
        ("viz", "mix", "--images", "PIPE"),
        ("viz", "release", "PIPE"),
        ("viz", "table", "mini", "--reports", "PIPE"),
        ("zoo", "import", "PIPE"),
        ("zoo", "inspect", "PIPE"),
        ("zoo", "list", "--manifest", "PIPE"),
        ("zoo", "unpack", "PIPE"),
    ],
)
def test_no_command_waits_for_a_pipe(
    mixzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """It is refused in a line, wherever a file is named; nobody may ever write to it."""
    places = {"FOLDER": tmp_path, "PIPE": tmp_path / "a.json"}
    os.mkfifo(tmp_path / "a.json")
    os.mkfifo(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")

    code, _, told = mixzoo(*(places.get(word, word) for word in words))

    assert code == 2
    assert "expected a file or a folder, got a pipe or a device" in told
