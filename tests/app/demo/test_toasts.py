"""What visitors are told when something goes wrong."""

import logging

import gradio as gr
import pytest
from mixzoo.app.demo.toasts import UNEXPECTED, shown_to_visitors, without_folders
from mixzoo.zoo.errors import DataError


def failing(error: Exception):
    @shown_to_visitors()
    def event() -> None:
        raise error

    return event


def test_own_error_becomes_its_line() -> None:
    """The line is shown, its HTML harmless, its quotes as they are, without this machine's folders."""
    error = DataError(
        "/home/me/cache/w<b>\x1b.pth: the lock's 3 bytes, got 2. See https://a.org/b/c"
    )

    with pytest.raises(gr.Error) as shown:
        failing(error)()
    assert shown.value.message == (
        "w&lt;b&gt; .pth: the lock's 3 bytes, got 2. See https://a.org/b/c"
    )
    assert not shown.value.print_exception


def test_other_error_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is told to the log alone."""
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as shown:
        failing(KeyError("secret"))()

    assert shown.value.message == UNEXPECTED
    assert "secret" in caplog.text


def test_generator_is_covered_to_its_end() -> None:
    """An error after the first step of a generator becomes a toast, too."""

    def steps():
        with shown_to_visitors():
            yield 1
            raise DataError("no more")

    run = steps()
    assert next(run) == 1
    with pytest.raises(gr.Error, match="no more"):
        next(run)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/tmp/a/b.png: x", "b.png: x"),
        ("~/c/d.pth", "d.pth"),
        (r"C:\Users\me\e.png", "e.png"),
        ("between 3/4 and 5/6", "between 3/4 and 5/6"),
        ("https://example.org/x/y", "https://example.org/x/y"),
    ],
)
def test_folders_are_cut_out(text: str, shown: str) -> None:
    """Paths lose their folders; fractions and addresses stay."""
    assert without_folders(text) == shown
