"""The Zoo tab's events, without a browser."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from mixzoo.app.demo import zoo_tab
from mixzoo.app.demo.context import Context
from mixzoo.app.demo.settings import Settings
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.catalog import open_catalog

from .conftest import write_own

ROW = "resnet18_w4.vanilla_own"


@pytest.fixture(autouse=True)
def _loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the event loops that Gradio opens for a page and leaves open."""
    opened: list[asyncio.AbstractEventLoop] = []
    new = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        opened.append(new())
        return opened[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", remembered)
    yield
    for loop in opened:
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., gr.Blocks]:
    """Builds the tab alone, on the package's benchmarks and one with a row to download."""
    manifest = write_own(tmp_path)

    def build_(**settings: Any) -> gr.Blocks:
        chosen = Settings(manifests=(manifest,), **settings)
        context = Context.of(open_catalog([manifest]), chosen)
        with gr.Blocks(analytics_enabled=False) as page:
            zoo_tab.build(context)
        return page

    return build_


def event(page: gr.Blocks, name: str) -> Callable[..., Any]:
    """The function behind an event."""
    return next(one.fn for one in page.fns.values() if one.fn and one.name == name)


def test_download_is_refused_where_the_owner_forbids(build: Callable[..., gr.Blocks]) -> None:
    """Hiding the button isn't enough: the event itself refuses."""
    page = build(allow_downloads=False)

    with pytest.raises(gr.Error, match="allow downloads from here"):
        next(event(page, "download")("own", ROW, False))

    hidden = [b.elem_id for b in page.blocks.values() if getattr(b, "visible", True) is False]
    assert {"zoo-download", "zoo-stop"} <= set(hidden)


def test_download_ends_with_the_file_here(build: Callable[..., gr.Blocks]) -> None:
    """Steps show progress; the last page says that the file is here."""
    page = build(allow_downloads=True)

    *_, (shown, status, row) = event(page, "download")("own", ROW, False)

    assert (cache_root() / "assets/own/w.pth").is_file()
    assert (status, row["choices"]) == ("", [])
    assert "● here" in shown.replace("<i>", "").replace("</i>", " ")
