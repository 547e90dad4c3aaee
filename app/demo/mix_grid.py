"""The Mix tab's grid, of all pictures that a visitor has given: by method, by lam, or with maps."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ...viz.grid import Row, draw_grid
from ...viz.maps import map_rows
from ...viz.mix import Model, Names, Pair, mix_rows
from ...viz.save import figure_bytes
from ...viz.themes import DARK, LIGHT
from ...zoo.errors import UsageError
from ...zoo.nets import MixClassifier
from .context import Context
from .mix_events import MixEvents
from .mixing import methods_for
from .pictures import Picture
from .snippets import Recipe
from .toasts import shown_to_visitors, tell

METHODS, LAMS, MAPS = "methods", "lams", "maps"
SWEEP = (0.1, 0.3, 0.5, 0.7, 0.9)
DPI = 200


class GridTab:
    """The grid's part of the tab."""

    def __init__(self, context: Context, mix: MixEvents) -> None:
        self._context = context
        self._mix = mix

    def build(self, inputs: Sequence[Any]) -> None:
        """Lay it out. inputs: the components that `MixEvents.mix` takes."""
        a, b, method, lam, seed, ref = inputs
        with gr.Group(elem_id="mix-grid-box"):
            with gr.Row(elem_classes="mix-line"):
                kind = gr.Radio(
                    [
                        ("All methods at this lam", METHODS),
                        ("This method, lam 0.1 to 0.9", LAMS),
                        ("What its mix block sees", MAPS),
                    ],
                    value=METHODS,
                    label="Grid",
                    elem_id="mix-grid-kind",
                    scale=3,
                )
                button = gr.Button(
                    "Draw the grid",
                    variant="primary",
                    size="md",
                    elem_id="mix-grid-button",
                    min_width=150,
                )
            with gr.Accordion("Further pictures for the grid", open=False, elem_id="mix-further"):
                more = gr.Gallery(
                    label="Taken in pairs; the last one with A if it is left over",
                    type="filepath",
                    file_types=["image"],
                    columns=6,
                    height="auto",
                    interactive=True,
                    elem_id="mix-more",
                    buttons=[],
                )
        theme = gr.Textbox("light", label="Theme", visible=False)
        image = gr.Image(
            label="Grid",
            format="png",
            interactive=False,
            visible="hidden",
            buttons=["fullscreen"],
            elem_id="mix-grid",
        )
        save = gr.Button("Save as PNG", size="sm", visible="hidden", elem_id="mix-save-grid")
        drawn = button.click(
            self.grid,
            [a, b, more, kind, method, lam, seed, ref, theme],
            image,
            js="(...values) => [...values.slice(0, -1), mixzooTheme()]",
            api_name="grid",
            concurrency_id="draw",
            concurrency_limit=1,  # matplotlib's settings are the process's
            show_progress="minimal",
            show_progress_on=button,
        )
        drawn.success(
            lambda: (gr.update(visible=True), gr.update(visible=True)),
            None,
            [image, save],
            api_visibility="private",
            queue=False,
            show_progress="hidden",
        )
        save.click(None, image, None, js="(file) => { mixzooSave(file, 'mixzoo-grid.png'); }")

    @shown_to_visitors
    def grid(
        self,
        image_a: str | None,
        image_b: str | None,
        more: list[Any] | None,
        kind: str,
        method: str,
        lam: float,
        seed: int,
        ref: str,
        theme: str,
    ) -> Image.Image:
        """Draw a grid: each pair of pictures by every method, or by one method at five lams.

        image_a, image_b: the first pair. more: further pictures, taken in pairs; one that is left over
        is paired with A. kind: `methods` (all that the checkpoint can do, at `lam`), `lams` (`method` at
        0.1 to 0.9) or `maps` (value and attention of automix or samix). seed, ref: see `mix`. theme: `light` or `dark`. Returns the grid.
        """
        chosen = self._mix.chosen(ref)
        recipe = self._mix.recipe(image_a, image_b, method, lam, seed, chosen)
        pictures = [recipe.a, recipe.b, *self._further(more, recipe.protocol)]
        if len(pictures) % 2:
            pictures.append(recipe.a)
        pairs: list[Pair] = [
            (a.crop, b.crop) for a, b in zip(pictures[::2], pictures[1::2], strict=True)
        ]
        names = [_stem(one) for one in pictures]
        rows = _rows(
            kind, recipe, chosen.model, pairs, list(zip(names[::2], names[1::2], strict=True))
        )
        figure = draw_grid(rows, DARK if theme == "dark" else LIGHT, title=_title(kind, recipe))
        return Image.open(BytesIO(figure_bytes(figure, "png", dpi=DPI)))

    def _further(self, more: Sequence[Any] | None, protocol: Any) -> list[Picture]:
        files = [entry[0] for entry in more or ()]
        most = self._context.settings.max_pictures
        if len(files) > most:
            tell(f"The first {most} of {len(files)} further pictures are shown.")
        return [self._context.pictures.read(file, protocol) for file in files[:most]]


def _rows(
    kind: str, recipe: Recipe, model: Model, pairs: Sequence[Pair], names: Sequence[Names]
) -> list[Row]:
    """What the grid shows. Raises UsageError for maps of a checkpoint without a MixBlock."""
    if kind == MAPS:
        if not isinstance(model, MixClassifier) or model.method != recipe.method:
            raise UsageError(
                f"{recipe.method} has no maps: they are of AutoMix's and SAMix's mix block. Choose "
                "automix or samix as the method."
            )
        return map_rows(pairs, [recipe.lam], model=model, names=names, protocol=recipe.protocol)
    return mix_rows(
        pairs,
        methods_for(model) if kind == METHODS else [recipe.method],
        [recipe.lam] if kind == METHODS else SWEEP,
        names=names,
        seed=recipe.seed,
        model=model,
        protocol=recipe.protocol,
    )


def _title(kind: str, recipe: Recipe) -> str:
    return {
        METHODS: f"λ = {recipe.lam:g}",
        LAMS: f"{recipe.method}, λ 0.1 to 0.9",
        MAPS: f"{recipe.method}, λ = {recipe.lam:g}: what its mix block sees",
    }[kind]


def _stem(picture: Picture) -> str:
    return Path(picture.name).stem
