"""Puts the page together: header, tabs, URL state, limits."""

from collections.abc import Callable

import gradio as gr

from . import logs_tab, mix_tab, table_tab, zoo_tab
from .context import Context
from .state import one_of

TITLE = "mixzoo"
HEADER = """
<header id="mixzoo">
  <h1>mixzoo</h1>
  <p>Published mixup models: mix two pictures as they do, and see what they make of it.</p>
</header>
"""
TABS: dict[str, Callable[[Context], None]] = {
    "Mix": mix_tab.build,
    "Table": table_tab.build,
    "Zoo": zoo_tab.build,
    "Logs": logs_tab.build,
}
CLEANING = 600  # seconds between two looks for old files


def build(context: Context) -> gr.Blocks:
    """The page, not yet served. Raises UsageError if a tab has nothing to begin with."""
    settings = context.settings
    mix_tab.first_ref(context)  # raises before anything is made
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(CLEANING, settings.keep_files)
    ) as page:
        gr.HTML(HEADER, padding=False)
        first, *_ = names = [title.lower() for title in TABS]
        with gr.Tabs(selected=first, elem_id="tabs") as tabs:
            for title, build_tab in TABS.items():
                name = title.lower()
                with gr.Tab(title, id=name, elem_id=f"tab-{name}") as tab:
                    build_tab(context)
                tab.select(
                    None, None, None, js=f"() => {{ mixzooKeep('tab', '{name}', '{first}'); }}"
                )
        context.state.listen("tab", tabs, lambda text: gr.Tabs(selected=one_of(*names)(text)))
        context.state.wire(page)
    page.queue(
        max_size=settings.max_queue,
        default_concurrency_limit=settings.concurrency,
        api_open=False,
    )
    return page
