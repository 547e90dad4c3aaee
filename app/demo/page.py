"""Puts the page together: its header, its tabs, its limits, and how it looks."""

import json
import re
from pathlib import Path

import gradio as gr
from gradio.components import Component
from gradio.themes import Base, Font, colors, sizes

from ...viz.themes import DARK, LIGHT, css_variables
from . import limits, logs, mix_tab, table, tools, zoo
from .context import Context
from .state import among

HEADER = """
<header id="mixzoo">
  <h1>mixzoo</h1>
  <p>Published mixup models: mix two pictures as they do, and see what they make of it.</p>
</header>
"""
TABS = {
    "Mix": mix_tab.build,
    "Table": table.build,
    "Zoo": zoo.build,
    "Logs": logs.build,
}
CLEANING = 600  # seconds between two looks for old files
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
# Gradio hides its API link on a phone, but not the dot behind it; its own rules reach no footer.
FOOTER = (
    "<style>@media (max-width: 640px) { footer .divider { display: none !important; } }</style>"
)
SCRIPTS = ("page.js", "access.js", "facts.js")
ADDRESS = re.compile(r"https?://[^\"' ]*/")
_FOLDER = Path(__file__).parent


def build(context: Context) -> gr.Blocks:
    """The page, not yet served. Raises UsageError if a tab has nothing to begin with."""
    mix_tab.first_ref(context)  # raises before anything is made
    if context.settings.mcp:
        tools.require()
    with gr.Blocks(
        title="mixzoo", analytics_enabled=False, delete_cache=(CLEANING, limits.KEEP_FILES)
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
        context.state.listen("tab", tabs, lambda text: gr.Tabs(selected=among(names)(text)))
        context.state.wire(page)
        if context.settings.mcp:
            tools.build(context)
    for component in page.blocks.values():
        if isinstance(component, Component):
            _show_own_example(component)
    page.queue(
        max_size=limits.MAX_QUEUE,
        default_concurrency_limit=limits.CONCURRENCY,
        api_open=False,
    )
    return page


def _show_own_example(component: Component) -> None:
    """In "Use via API", name a file where Gradio names one of another machine, which isn't fetched."""
    example = json.dumps(component.example_inputs())
    if (own := ADDRESS.sub("", example)) != example:
        setattr(component, "example_inputs", lambda: json.loads(own))  # noqa: B010


def theme() -> Base:
    """The theme. No font of it is fetched: Gradio's own themes ask Google for theirs."""
    return Base(
        primary_hue=colors.sky,
        secondary_hue=colors.amber,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        font=[Font(name) for name in SANS],
        font_mono=[Font(name) for name in MONO],
    ).set(  # contrasts of WCAG 2.2, AA: 4.5 for words
        checkbox_border_color_dark="*neutral_500",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def css() -> str:
    """The page's style sheet: the figures' colours as variables, then its rules."""
    variables = f":root {{ {css_variables(LIGHT)} }}\n.dark {{ {css_variables(DARK)} }}\n"
    rules = [(_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "facts.css")]
    return "\n".join([variables, *rules])


def head() -> str:
    """What stands in the page's head: its scripts, and the style of what is outside its contents."""
    scripts = ((_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return FOOTER + "".join(f"<script>{script}</script>" for script in scripts)
