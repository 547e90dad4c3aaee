"""The Mix tab: two pictures, method and lam in; mix, mask and the classifier's word out."""

from abc import ABCMeta
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.component_meta import ComponentMeta

from ...train.mixing import LEARNT_METHODS
from ...zoo.errors import UsageError
from ..viz.inputs import methods_here
from .context import Context
from .mix_events import LAMS, LARGEST_SEED, MAPS, METHODS, PLAIN, MixEvents
from .mixing import TOP
from .pictures import drawings
from .state import among, number_between

FIRST = {"a": "fox", "b": "butterfly"}  # drawings
LAM = 0.5  # at first
# JavaScript: a drawing's name is the caption of the gallery's picture that a slot shows
NAME = "(slot, gallery) => (gallery ?? []).find((one) => one.image.path === slot?.path)?.caption"
SAVE = "(file, method, lam) => {{ mixzooSave(file, `mixzoo-{}-${{method}}-lam${{lam}}.png`); }}"
# the mix's label as one bar, A's part in the mask's colour of A
SHARES = """${typeof value?.A !== "number" ? "" : `
<div class="mix-shares" role="img" aria-label="Label of the mix: ${value.A} A, ${value.B} B">
  <span style="flex-grow: ${value.A}">Label: A ${value.A.toFixed(2)}</span>
  <span style="flex-grow: ${value.B}">B ${value.B.toFixed(2)}</span>
</div><p class="mix-why">${value.why}</p>`}"""


class _WithoutStub(ComponentMeta):
    """Makes a class alone: Gradio's metaclass also writes a `.pyi` file beside the module."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attrs)


class PictureInput(gr.Image, metaclass=_WithoutStub):
    """Upload, camera or clipboard; its value is the file's path, to be judged by `pictures`.

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


class Choices(NamedTuple):
    """What a mix is made of, in the order in which `MixEvents.mix` takes it."""

    a: PictureInput
    b: PictureInput
    method: gr.Radio
    lam: gr.Slider
    seed: gr.Number
    ref: gr.Dropdown


def build(context: Context) -> None:
    """Lay the tab out and connect it. Raises UsageError if there is no checkpoint to begin with."""
    drawn = drawings()
    with gr.Row(elem_id="mix-pictures"):
        a, b = (_slot(name, drawn) for name in FIRST)
        mixed, save_mixed = _answer("mixed", "Mix")
        mask, save_mask = _answer("mask", "Mask: yellow is A")
    weights = gr.HTML(html_template=SHARES, elem_id="mix-weights", label="Label weights")
    method, lam, alpha, draw, seed, ref = _numbers(context)
    choices = Choices(a, b, method, lam, seed, ref)
    events = MixEvents(context)
    gallery = _drawings(drawn, choices)
    outputs = [mixed, mask, weights, *_tops()]
    _grid(events, choices)
    outputs += _snippets()
    for name, image, save in (("mixed", mixed, save_mixed), ("mask", mask, save_mask)):
        save.click(None, [image, method, lam], None, js=SAVE.format(name))
    draw.click(events.draw, [alpha, seed], [lam, seed], queue=False, api_visibility="private")
    _connect(context, events, choices, outputs)
    _share(context, choices, gallery)


def first_ref(context: Context) -> str:
    """The row chosen at first: the owner's, else one of `mini`, with learnt masks if there is.

    Raises UsageError for an unknown row, or if no checkpoint is here.
    """
    here = context.models.available()
    wanted = context.settings.ref
    if wanted is not None:
        context.catalog.row(wanted)  # raises for an unknown one
        if wanted not in here:
            raise UsageError(
                f"--ref {wanted}: its weights aren't here. Run: mixzoo zoo download {wanted}"
            )
        return wanted
    if not here:
        raise UsageError("No checkpoint is here. Run: mixzoo zoo download mini")

    def rank(ref: str) -> tuple[bool, bool]:
        benchmark, row = context.catalog.row(ref)
        return not benchmark.manifest.dataset.drawn_by_package, row.method not in LEARNT_METHODS

    return min(here, key=rank)


def _slot(name: str, drawn: dict[str, Path]) -> PictureInput:
    """Where a visitor's picture goes."""
    return PictureInput(
        str(drawn[FIRST[name]]),
        label=name.upper(),
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        buttons=[],
        elem_id=f"mix-{name}",
        elem_classes="mix-slot",
        min_width=140,
    )


def _answer(name: str, label: str) -> tuple[gr.Image, gr.Button]:
    """A picture of the page's own, with a button that saves it."""
    with gr.Column(min_width=140, elem_classes="mix-answer"):
        image = gr.Image(
            label=label,
            format="png",
            buttons=["fullscreen"],
            interactive=False,
            elem_id=f"mix-{name}",
            elem_classes="mix-slot",
            alt_text=label,
        )
        return image, gr.Button("Save as PNG", size="sm", elem_id=f"mix-save-{name}")


def _numbers(context: Context) -> tuple[Any, ...]:
    """Method, lam, alpha, the button that draws from it, seed, checkpoint."""
    ref = first_ref(context)
    trained_by = context.catalog.row(ref)[1].method

    def number(name: str, value: float, low: float, high: float, **more: Any) -> gr.Number:
        at = f"mix-{name}"
        return gr.Number(
            value, label=name, minimum=low, maximum=high, elem_id=at, min_width=80, **more
        )

    with gr.Row():
        with gr.Column(scale=3, min_width=300), gr.Group():
            lam = gr.Slider(
                0,
                1,
                LAM,
                step=0.01,
                label="lam: the wanted weight of A",
                elem_id="mix-lam",
                buttons=[],
            )
            method = gr.Radio(
                _methods(context),
                value=trained_by if trained_by in LEARNT_METHODS else PLAIN,
                label="Method",
                elem_id="mix-method",
            )
        with gr.Column(scale=2, min_width=300), gr.Group():
            here = context.models.available()
            chosen = gr.Dropdown(here, value=ref, label="Checkpoint", elem_id="mix-ref")
            with gr.Row():
                alpha = number("alpha", 1.0, 0.01, 100)
                seed = number("seed", 0, 0, LARGEST_SEED, precision=0)
            draw = gr.Button("Draw lam from Beta(alpha, alpha)", elem_id="mix-draw", size="sm")
    return method, lam, alpha, draw, seed, chosen


def _methods(context: Context) -> list[str]:
    """What can be chosen now: a learnt method once a checkpoint of it is here."""
    return methods_here({context.catalog.row(one)[1].method for one in context.models.available()})


def _drawings(drawn: dict[str, Path], choices: Choices) -> gr.Gallery:
    """The bundled pictures, where the next of them goes, and a button that swaps A and B."""
    with gr.Group(elem_id="mix-drawings"):
        with gr.Row(elem_classes="mix-line"):
            gr.HTML("A drawing goes", padding=False, elem_classes="mix-words", min_width=0)
            slot = gr.Radio(
                [("into A", "A"), ("into B", "B")],
                value="A",
                label="Put a drawing",
                container=False,
                elem_id="mix-slot",
                scale=5,
                min_width=180,
            )
            swap = gr.Button("Swap A and B", elem_id="mix-swap", size="sm", min_width=110, scale=1)
        gallery = gr.Gallery(
            [(str(path), name) for name, path in drawn.items()],
            show_label=False,
            elem_id="mix-examples",
            columns=len(drawn),
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
        )
    files = [entry["image"]["path"] for entry in gallery.value]

    def put(event: gr.SelectData, slot: str) -> tuple[str, Any, Any]:
        """A drawing into slot A or B, the next one into the other."""
        file = files[event.index]
        return ("B", file, gr.skip()) if slot == "A" else ("A", gr.skip(), file)

    pair = [choices.a, choices.b]
    gallery.select(put, slot, [slot, *pair], queue=False, api_visibility="private")
    swap.click(None, pair, pair, js="(a, b) => [b, a]")
    return gallery


def _tops() -> list[gr.Label]:
    """What the classifier takes A, the mix and B for."""
    with gr.Row():
        return [
            gr.Label(
                label=f"Seen in {what}",
                num_top_classes=TOP,
                show_heading=False,
                elem_id=f"mix-top-{name}",
                elem_classes="mix-bars",
                min_width=220,
            )
            for name, what in {"a": "A", "mixed": "the mix", "b": "B"}.items()
        ]


def _grid(events: MixEvents, choices: Choices) -> None:
    """The grid of all pictures that a visitor has given."""
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
        elem_id="mix-grid",
        buttons=["fullscreen"],
    )
    save = gr.Button("Save as PNG", size="sm", visible="hidden", elem_id="mix-save-grid")
    a, b, method, lam, seed, ref = choices
    drawn = button.click(
        events.grid,
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


def _snippets() -> list[gr.Code]:
    """The command and the program that make the same picture."""
    with gr.Accordion("The same from a terminal or from Python", open=False, elem_id="mix-same"):
        return [
            gr.Code(label="Terminal", language="shell", elem_id="mix-cli", interactive=False),
            gr.Code(label="Python", language="python", elem_id="mix-python", interactive=False),
        ]


def _connect(context: Context, events: MixEvents, choices: Choices, outputs: Sequence[Any]) -> None:
    """Show the mix of every change by one event: of those that come meanwhile the last wins."""
    shown = gr.State(None)
    ready = gr.Textbox(visible="hidden", label="Ready")  # changes once the URL's state is restored
    program = gr.Button(visible=False)  # nobody clicks it: programs call what it would
    program.click(events.mix, list(choices), outputs, api_name="mix", concurrency_id="mix")
    gr.on(
        [ready.change, *(one.change for one in choices)],
        events.show,
        [shown, *choices],
        [shown, choices.a, choices.b, choices.method, choices.ref, *outputs],
        trigger_mode="always_last",
        show_progress="hidden",
        concurrency_id="mix",
        api_visibility="private",
    )

    def offer() -> tuple[Any, Any]:
        """What was downloaded since the server started can be chosen, too."""
        return gr.update(choices=_methods(context)), gr.update(choices=context.models.available())

    context.state.before_restoring(offer, [choices.method, choices.ref])
    context.state.tell_when_restored(ready)


def _share(context: Context, choices: Choices, gallery: gr.Gallery) -> None:
    """Keep the choices in the page's URL: pictures only where they are bundled drawings."""
    keep = context.state.keep
    files = {entry["caption"]: entry["image"]["path"] for entry in gallery.value}
    for name, slot in (("a", choices.a), ("b", choices.b)):
        keep(
            name,
            slot,
            lambda text: files[among(files)(text)],
            initial=FIRST[name],
            text=NAME,
            beside=[gallery],
        )
    keep("method", choices.method, among(lambda: _methods(context)))
    keep("lam", choices.lam, lambda text: round(number_between(0, 1)(text), 2))
    keep("seed", choices.seed, lambda text: int(number_between(0, LARGEST_SEED)(text)))
    keep("ref", choices.ref, among(context.models.available))
