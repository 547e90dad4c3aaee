"""How the page looks: fonts of the visitor's own system, colours that the figures use too."""

from pathlib import Path

from gradio.themes import Base, Font, colors, sizes

from ...viz.themes import DARK, LIGHT, css_variables

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
_FOLDER = Path(__file__).parent


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
    ).set(checkbox_border_color_dark="*neutral_500")


def css() -> str:
    """The page's style sheet: the figures' colours as variables, then its rules."""
    variables = f":root {{ {css_variables(LIGHT)} }}\n.dark {{ {css_variables(DARK)} }}\n"
    rules = [(_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "facts.css")]
    return "\n".join([variables, *rules])


def head() -> str:
    """What stands in the page's head: its script."""
    return f"<script>{(_FOLDER / 'page.js').read_text(encoding='utf-8')}</script>"
