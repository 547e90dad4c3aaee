"""Printed commands run as they stand, and nothing that is printed steers a terminal."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.looks import command, counted, printable, told_apart

BROKEN = [chr(0xDC00 + byte) for byte in (0x80, 0xFF)]  # bytes of names that are no UTF-8
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS | st.sampled_from(BROKEN), max_size=12)


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_printed_command_gives_a_shell_the_very_words(words: list[str]) -> None:
    """Blanks, quotes, line ends, ESC and broken bytes are quoted, on one printable line."""
    line = command(*words)

    shell = ["bash", "-c", line.replace("mixzoo", r"printf '%s\0'", 1)]
    got = subprocess.run(shell, capture_output=True, check=True).stdout
    assert printable(line) == line
    assert got == b"".join(os.fsencode(word) + b"\0" for word in words)


def test_counted_words() -> None:
    """One owner of the plural."""
    told = [counted(1, "epoch"), counted(2, "epoch"), counted(1000, "class"), counted(0, "row")]

    assert told == ["1 epoch", "2 epochs", "1,000 classes", "0 rows"]


@pytest.mark.parametrize("word", ["inat2018", "a.pth=resnet50.mixup_inat2018"])
def test_plain_words_are_not_quoted(word: str) -> None:
    """What needs no quotes has none."""
    assert command("zoo", word) == f"mixzoo zoo {word}"


def test_path_that_looks_like_an_option_is_none() -> None:
    """Options stay options."""
    assert command("zoo", "import", Path("-x.pth"), "--row") == "mixzoo zoo import ./-x.pth --row"


def test_half_of_a_surrogate_stops_nothing() -> None:
    """It is in no file's name, and is printed as a question mark."""
    assert command("zoo", "\ud800") == r"mixzoo zoo $'\x3f'"


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
    """The last parts of paths that tell them apart."""
    assert told_apart(names) == expected
