"""The demo as tools for programs that speak MCP: mix, predict, verdict, evidence.

Gradio would offer every endpoint of the page, and fetch what an address names. Only these are
offered, and they take words: names of rows and drawings, or a picture's bytes in base64.
"""

import asyncio
import base64
import functools
import html
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import gradio as gr
from gradio.events import api

from ...eval.logs import RULES as LOG_RULES
from ...eval.report import readable_audit
from ...train.mixing import LEARNT_METHODS
from ...zoo.errors import DataError, UsageError, wall
from . import limits
from .context import Context
from .evidence import about, packed
from .mix_events import MixEvents
from .mix_tab import first_ref
from .pictures import drawings
from .recomputed import KEPT, find
from .toasts import shown_to_visitors

NAMES = ("mix", "predict", "verdict", "evidence")
PREFIX = "tool_"  # of their endpoints; the page has some of the same names


def require() -> None:
    """Raise UsageError if the library that speaks MCP isn't installed."""
    if find_spec("mcp") is None:
        raise UsageError("--mcp needs the package mcp. Run: pip install 'mixzoo[mcp]'")


def build(context: Context) -> None:
    """Add the tools to the page that is being built. They take turns outside of its queue."""
    turns, tools = asyncio.Semaphore(limits.CONCURRENCY), Tools(context)

    def offered(tool: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(tool)
        async def run(*words: Any) -> Any:
            try:
                async with turns:
                    return await asyncio.to_thread(shown_to_visitors()(tool), *words)
            except gr.Error as error:
                raise RuntimeError(html.unescape(error.message)) from None

        return run

    for name in NAMES:
        tool = offered(getattr(tools, name))
        api(tool, api_name=f"{PREFIX}{name}", queue=False, api_visibility="public")


def offer_alone(page: gr.Blocks) -> None:
    """Take the page's other endpoints from the MCP server of a page that is served."""
    server = page.mcp_server_obj
    assert server is not None
    server.tool_to_endpoint = {name: f"/{PREFIX}{name}" for name in NAMES}


class Tools:
    """What the tools do; each takes words and gives words, or a file of the server's."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._events = MixEvents(context)

    def mix(
        self,
        a: str = "fox",
        b: str = "butterfly",
        method: str = "automix",
        lam: float = 0.5,
        seed: int = 0,
        row: str = "",
    ) -> tuple[dict[str, Any], str, str]:
        """Mix two pictures by a published mixup method, and say what a classifier sees in the mix.

        Parameters:
            a: A bundled drawing (fox, butterfly, bird, mushroom, frog, daisy, owl, fish, ladybird, tulip, lizard, snail), or a picture of at most 700 kB in base64.
            b: Like a.
            method: mixup, cutmix, saliencymix, fmix, resizemix, puzzlemix, automix or samix.
            lam: The wanted weight of a, 0 to 1.
            seed: Of what the method draws at random.
            row: The checkpoint's row; empty for one that can do the method.
        """
        ref = row or self._row_for(method)
        mixed, _, weights, *guesses, command, _ = self._events.mix(
            self._picture(a), self._picture(b), method, lam, seed, ref
        )
        seen = dict(zip(("a", "mix", "b"), guesses, strict=True))
        told = {"row": ref, "label": weights, "seen in": seen}
        return _file(mixed), json.dumps(told), command

    def predict(self, picture: str, row: str = "") -> str:
        """Classify a picture by a checkpoint: the first five classes with their probabilities.

        Parameters:
            picture: A bundled drawing such as fox, or a picture of at most 700 kB in base64.
            row: The checkpoint's row; empty for the one that the page begins with.
        """
        file = self._picture(picture)
        _, _, _, seen, *_ = self._events.mix(
            file, file, "mixup", 1.0, 0, row or first_ref(self._context)
        )
        return json.dumps(seen)

    def verdict(self, row: str) -> str:
        """Say whether a row's published accuracy was reproduced, by recomputing or by its log.

        Parameters:
            row: A row's id, such as resnet50.automix_inat2018.
        """
        told = self._about(row)
        if verdict := told.get("Verdict"):
            return f"{row}, recomputed here: {verdict}"
        by_log = told.get("Verdict by its log")
        return f"{row}, by its log: {by_log}" if by_log else f"{row}: nothing of it is known here."

    def evidence(self, row: str) -> tuple[str, dict[str, Any] | str]:
        """Show what stands behind a row's number: counts, weights, images, versions, its log.

        Where its predictions are kept here, a zip comes with it, from which anybody derives the
        verdict again: mixzoo eval check.

        Parameters:
            row: A row's id, such as resnet50.automix_inat2018.
        """
        benchmark, of = self._context.catalog.row(row)
        found = find(benchmark, self._context.settings.reports)[0].get(row)
        told = json.dumps(self._about(row))
        if not found or found.source != KEPT:
            return told, "No predictions of it are kept here."
        return told, _file(self._context.store.keep(packed(benchmark, of), f"{row}.zip"))

    def _about(self, row_id: str) -> dict[str, str]:
        benchmark, row = self._context.catalog.row(row_id)
        found, _ = find(benchmark, self._context.settings.reports)
        audit, _ = readable_audit(benchmark, row)
        told = about(benchmark, row, found.get(row_id), audit)
        by_log = (
            {"Verdict by its log": f"{audit.verdict}: {LOG_RULES[audit.verdict]}"} if audit else {}
        )
        return told | by_log

    def _row_for(self, method: str) -> str:
        """A checkpoint that is here and can do a method; the page's first if none is of it."""
        first = first_ref(self._context)
        models = self._context.models
        fit = models.of_method(method, models.about(first)) if method in LEARNT_METHODS else None
        return fit.ref if fit else first

    def _picture(self, text: str) -> str:
        """The file of a drawing, or of a picture in base64. Raises DataError."""
        drawn = drawings()
        if text in drawn:
            return str(drawn[text])
        with wall(DataError, "Expected a drawing's name or a picture in base64", "Send one."):
            content = base64.b64decode(text.partition("base64,")[2] or text, validate=True)
        return self._context.store.keep(content, "picture")


def _file(path: str) -> dict[str, Any]:
    """A file of the server's, as Gradio hands it over."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}
