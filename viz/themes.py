"""Colours of figures by role, on light and on dark ground.

The first of each series are those of Okabe and Ito (2008), darkened or lightened to stand out from
the ground by 3:1 and more (WCAG 2.2, 1.4.11); the others were chosen to stay apart from them for
red- and green-blind readers too. Those of verdicts are words' colours as well: 4.5:1. Colour never
says a thing alone: every figure pairs it with a marker, a line style, a sign or a word.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Theme:
    """Colours as `#rrggbb`. ground: of the page. ink, muted, rule: of text, side text and lines.

    good, near, odd, bad, neutral: of verdicts. series: of curves and checkpoints, in turn.
    """

    name: str
    ground: str
    ink: str
    muted: str
    rule: str
    good: str
    near: str
    odd: str
    bad: str
    neutral: str
    series: tuple[str, ...]

    def roles(self) -> dict[str, str]:
        """Role -> colour; the series as `series-1` and on. Names of CSS variables, too."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.type is str}
        del plain["name"]
        return plain | {f"series-{n}": colour for n, colour in enumerate(self.series, 1)}


# No two roles have the same colour, so that a page can tell from a colour which role it plays.
LIGHT = Theme(
    name="light",
    ground="#fefefe",
    ink="#1b1f24",
    muted="#5b6570",
    rule="#d5dae0",
    good="#0072b2",
    near="#00798d",
    odd="#986000",
    bad="#c04300",
    neutral="#666e78",
    series=(
        "#0071b1",
        "#d04900",
        "#008f69",
        "#a8558a",
        "#3a2fb5",
        "#4f3b00",
        "#d0105c",
        "#868d96",
        "#67065f",
        "#0102f8",
    ),
)
DARK = Theme(
    name="dark",
    ground="#16191d",
    ink="#e8ebef",
    muted="#a3adb8",
    rule="#3a414a",
    good="#56b4e9",
    near="#4cc5d6",
    odd="#eeb04a",
    bad="#ff8a50",
    neutral="#939da8",
    series=(
        "#55b3e8",
        "#ff8b52",
        "#2cc79a",
        "#e094c2",
        "#9a7bff",
        "#f0dc46",
        "#e8477f",
        "#d3d8de",
        "#83fa9e",
        "#be5942",
    ),
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


def css_variables(theme: Theme) -> str:
    """Declarations for a page's stylesheet: `--ink: #1b1f24; --series-1: ...`."""
    return " ".join(f"--{role}: {colour};" for role, colour in theme.roles().items())
