"""A slot for a visitor's picture that hands the file over unread, to be judged by `pictures`."""

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta


class _WithoutStub(ComponentMeta):
    """Makes a class alone: Gradio's metaclass also writes a `.pyi` file beside the module."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attrs)


class PictureInput(gr.Image, metaclass=_WithoutStub):
    """Upload, camera or clipboard; its value is the file's path.

    Gradio's own component opens the file before any limit is checked, decodes what stands in a
    data URL, and turns a broken file into a nameless error.
    """

    is_template = True  # the browser shows it as an Image

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file; None for an empty slot."""
        if payload is None:
            return None
        if not payload.path:
            raise gr.Error("Upload the picture first, then send its path.", print_exception=False)
        return str(payload.path)
