"""What visitors are told when something goes wrong: one line in a toast, never a traceback."""

import html
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from ...zoo.errors import MixzooError
from ...zoo.looks import printable

log = logging.getLogger(__name__)

SECONDS = 8.0
UNEXPECTED = "Something went wrong on the server. It was written to the server's log."
_FOLDERS = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[\\/](?:[^\s\\/'\"]+[\\/])+")


@contextmanager
def shown_to_visitors() -> Iterator[None]:
    """Let errors become toasts: of an event, decorated with it, or of a generator, inside of it.

    A MixzooError's line is shown without this machine's folders; of any other error nothing is
    shown, and the traceback goes to the log.
    """
    try:
        yield
    except gr.Error:
        raise
    except MixzooError as error:
        raise gr.Error(
            _harmless(str(error)), duration=SECONDS, title="", print_exception=False
        ) from None
    except Exception:
        log.exception("an event of the demo failed")
        raise gr.Error(UNEXPECTED, duration=SECONDS, print_exception=False) from None


def warn(text: str) -> None:
    """Show a yellow toast while an event runs."""
    gr.Warning(_harmless(text), duration=SECONDS)


def tell(text: str) -> None:
    """Show a blue toast while an event runs."""
    gr.Info(_harmless(text), duration=SECONDS)


def _harmless(text: str) -> str:
    """A text that a toast, which shows HTML, shows as it is; programs read it, so quotes stay."""
    return html.escape(printable(without_folders(text)), quote=False)


def without_folders(text: str) -> str:
    """The text with the folders of absolute paths left out; URLs stay as they are."""
    return _FOLDERS.sub("", text)
