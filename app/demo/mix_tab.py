"""The Mix tab: two pictures, a method and lam in; the mix, its mask and the classifier's word out."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...train.mixing import LEARNT_METHODS
from ...zoo.errors import UsageError
from .context import Context
from .examples import Example, examples
from .inputs import PictureInput
from .mix_events import LARGEST_SEED, MixEvents
from .mix_grid import GridTab
from .mixing import TOP, pictured_here
from .state import among, number_between, one_of

FIRST = {"a": "fox", "b": "butterfly"}  # examples
ANSWERS = {"mixed": "Mix", "mask": "Mask: yellow is A"}
METHOD, LAM = "cutmix", 0.5  # at first, where no learnt method has a checkpoint here
# JavaScript: an example's name is the caption of the gallery's picture that a slot shows
NAME = "(slot, gallery) => (gallery ?? []).find((one) => one.image.path === slot?.path)?.caption"
SAVE = "(file, method, lam) => {{ mixzooSave(file, `mixzoo-{}-${{method}}-lam${{lam}}.png`); }}"
# the mix's label as one bar, A's part in the mask's colour of A
SHARES = """${typeof value?.A !== "number" ? "" : `
<div class="mix-shares" role="img" aria-label="Label of the mix: ${value.A} A, ${value.B} B">
  <span style="flex-grow: ${value.A}">Label: A ${value.A.toFixed(2)}</span>
  <span style="flex-grow: ${value.B}">B ${value.B.toFixed(2)}</span>
</div>`}"""
LIVE: dict[str, Any] = {
    "trigger_mode": "always_last",  # a slider's last position is shown, whatever was skipped
    "show_progress": "hidden",
    "concurrency_id": "mix",
}
PRIVATE: dict[str, Any] = {**LIVE, "api_visibility": "private"}


@dataclass(frozen=True)
class Inputs:
    """What a visitor chooses."""

    a: PictureInput
    b: PictureInput
    slot: gr.Radio
    swap: gr.Button
    gallery: gr.Gallery
    ref: gr.Dropdown
    method: gr.Radio
    lam: gr.Slider
    alpha: gr.Number
    draw: gr.Button
    seed: gr.Number

    @property
    def of_mix(self) -> list[Any]:
        """What `MixEvents.mix` takes, in its order."""
        return [self.a, self.b, self.method, self.lam, self.seed, self.ref]


@dataclass(frozen=True)
class Answer:
    """A picture that the page shows, and the button that saves it."""

    image: gr.Image
    save: gr.Button


def build(context: Context) -> None:
    """Lay the tab out and connect it. Raises UsageError if there is no checkpoint to begin with."""
    drawn = examples()
    with gr.Row(elem_id="mix-pictures"):
        a, b = (_slot(name, drawn) for name in FIRST)
        mixed, mask = (_answer(name, label) for name, label in ANSWERS.items())
    weights = gr.HTML(html_template=SHARES, elem_id="mix-weights", label="Label weights")
    method, lam, alpha, draw, seed, ref = _choices(context)
    slot, swap, gallery = _drawings(drawn)
    tops = _tops()
    inputs = Inputs(a, b, slot, swap, gallery, ref, method, lam, alpha, draw, seed)
    files = [entry["image"]["path"] for entry in gallery.value]
    events = MixEvents(context, files)
    GridTab(context, events).build(inputs.of_mix)
    cli, python = _snippets()
    outputs = [mixed.image, mask.image, weights, *tops, cli, python]
    for name, answer in (("mixed", mixed), ("mask", mask)):
        answer.save.click(None, [answer.image, method, lam], None, js=SAVE.format(name))
    _connect(events, inputs, outputs)
    _share(context, inputs, dict(zip((one.name for one in drawn), files, strict=True)))

    def offer() -> tuple[Any, Any]:
        """What was downloaded since the server started can be chosen, too."""
        return gr.update(choices=_methods(context)), gr.update(choices=context.models.available())

    context.state.before_restoring(offer, [method, ref])
    context.state.when_restored(
        lambda restored: restored.then(events.by_method, inputs.of_mix, [ref, *outputs], **PRIVATE)
    )


def first_ref(context: Context) -> str:
    """The row that is chosen at first: the owner's, else one of `mini`, with learnt masks if there is.

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


def _slot(name: str, drawn: list[Example]) -> PictureInput:
    """Where a visitor's picture goes."""
    [first] = [one for one in drawn if one.name == FIRST[name]]
    return PictureInput(
        str(first.path),
        label=name.upper(),
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        buttons=[],
        elem_id=f"mix-{name}",
        elem_classes="mix-slot",
        min_width=140,
    )


def _answer(name: str, label: str) -> Answer:
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
        save = gr.Button("Save as PNG", size="sm", elem_id=f"mix-save-{name}")
    return Answer(image, save)


def _drawings(drawn: list[Example]) -> tuple[gr.Radio, gr.Button, gr.Gallery]:
    """The bundled pictures, and where the next of them goes."""
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
            [(str(one.path), one.name) for one in drawn],
            show_label=False,
            elem_id="mix-examples",
            columns=len(drawn),
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
        )
    return slot, swap, gallery


def _choices(context: Context) -> tuple[Any, ...]:
    """Method, lam, alpha, the button that draws from it, seed, checkpoint."""
    ref, here, methods = first_ref(context), context.models.available(), _methods(context)
    trained_by = context.catalog.row(ref)[1].method
    first = trained_by if trained_by in LEARNT_METHODS else METHOD
    with gr.Row():
        with gr.Column(scale=3, min_width=300), gr.Group():
            lam = gr.Slider(
                0, 1, LAM, step=0.01, label="lam: the part of A", elem_id="mix-lam", buttons=[]
            )
            method = gr.Radio(methods, value=first, label="Method", elem_id="mix-method")
        with gr.Column(scale=2, min_width=300), gr.Group():
            chosen = gr.Dropdown(here, value=ref, label="Checkpoint", elem_id="mix-ref")
            with gr.Row():
                alpha = _number("alpha", 1.0, 0.01, 100)
                seed = _number("seed", 0, 0, LARGEST_SEED, precision=0)
            draw = gr.Button("Draw lam from Beta(alpha, alpha)", elem_id="mix-draw", size="sm")
    return method, lam, alpha, draw, seed, chosen


def _methods(context: Context) -> list[str]:
    """What can be chosen now: a learnt method once a checkpoint of it is here."""
    here = {context.catalog.row(one)[1].method for one in context.models.available()}
    return pictured_here([name for name in LEARNT_METHODS if name in here])


def _number(name: str, value: float, low: float, high: float, **more: Any) -> gr.Number:
    return gr.Number(
        value, label=name, minimum=low, maximum=high, elem_id=f"mix-{name}", min_width=80, **more
    )


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


def _snippets() -> tuple[gr.Code, gr.Code]:
    """The command and the program that make the same picture."""
    with gr.Accordion("The same from a terminal or from Python", open=False, elem_id="mix-same"):
        return (
            gr.Code(label="Terminal", language="shell", elem_id="mix-cli", interactive=False),
            gr.Code(label="Python", language="python", elem_id="mix-python", interactive=False),
        )


def _connect(events: MixEvents, inputs: Inputs, outputs: list[Any]) -> None:
    """Every choice shows its mix at once."""
    mix, a, b = inputs.of_mix, inputs.a, inputs.b
    inputs.lam.input(events.mix, mix, outputs, api_name="mix", **LIVE)
    inputs.seed.input(events.mix, mix, outputs, **PRIVATE)
    inputs.method.input(events.by_method, mix, [inputs.ref, *outputs], **PRIVATE)
    inputs.ref.select(events.by_ref, mix, [inputs.method, *outputs], **PRIVATE)
    a.input(events.taken_a, mix, [a, *outputs], **PRIVATE)
    b.input(events.taken_b, mix, [b, *outputs], **PRIVATE)
    inputs.gallery.select(events.put, [inputs.slot, *mix], [inputs.slot, a, b, *outputs], **PRIVATE)
    inputs.swap.click(events.swapped, mix, [a, b, *outputs], **PRIVATE)
    inputs.draw.click(
        events.drawn,
        [a, b, inputs.method, inputs.alpha, inputs.seed, inputs.ref],
        [inputs.lam, inputs.seed, *outputs],
        **PRIVATE,
    )


def _share(context: Context, inputs: Inputs, files: dict[str, str]) -> None:
    """Keep the choices in the page's URL: pictures only where they are bundled drawings."""
    keep = context.state.keep
    for name, slot in (("a", inputs.a), ("b", inputs.b)):
        keep(
            name,
            slot,
            lambda text: files[one_of(*files)(text)],
            initial=FIRST[name],
            text=NAME,
            beside=[inputs.gallery],
        )
    keep("method", inputs.method, among(lambda: _methods(context)))
    keep("lam", inputs.lam, lambda text: round(number_between(0, 1)(text), 2))
    keep("seed", inputs.seed, lambda text: int(number_between(0, LARGEST_SEED)(text)))
    keep("ref", inputs.ref, among(context.models.available))
