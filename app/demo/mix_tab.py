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
from .context import Context, Offer
from .mix_events import CAM, CURVE, EMPTY, LAMS, LARGEST_SEED, MAPS, METHODS, PLAIN, MixEvents
from .mixing import PAIRINGS, STORY, TOP
from .pictures import drawings
from .state import among, number_between
from .toasts import tell

FIRST = {"a": "fox", "b": "butterfly"}  # drawings
LAM = 0.5  # at first
# JavaScript: a drawing's name is the caption of the gallery's picture that a slot shows
NAME = "(slot, gallery) => (gallery ?? []).find((one) => one.image.path === slot?.path)?.caption"
ON_PICK = "mixzoo.strips(element, trigger)"
ON_LOOK = "mixzoo.look(element, trigger)"
LOOK = """<button type="button" class="mix-play" aria-label="Play all lams">&#9654; Play</button>
<label>Mask <input type="range" min="0" max="1" step="0.05" value="0" aria-label="Opacity of the mask"></label>"""


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
    drawn, events = drawings(), MixEvents(context)
    with gr.Row(elem_id="mix-story"):
        with gr.Column(elem_id="mix-sources", min_width=0):
            a, b = (_slot(name, drawn) for name in FIRST)
        with gr.Column(elem_id="mix-middle", min_width=0):
            strips = gr.HTML(
                html_template=_template("strips"),
                elem_id="mix-strips",
                label="Over lam",
                js_on_load=ON_PICK,
            )
            gr.HTML(events.words(), elem_id="mix-lead", label="What is seen")
        with gr.Column(elem_id="mix-stage", min_width=0):
            mixed, mask = _answer("mixed", "Mix"), _answer("mask", "Mask: yellow is A")
            look = gr.HTML(LOOK, elem_id="mix-look", label="Look", js_on_load=ON_LOOK)
            weights = gr.HTML(
                html_template=_template("shares"), elem_id="mix-weights", label="Label weights"
            )
    with gr.Row(elem_id="mix-choices"):
        with gr.Column(elem_id="mix-numbers", min_width=0):
            method, lam = _main_numbers(context)
            with gr.Row():
                save = gr.Button("Save the picture", variant="primary", elem_id="mix-save")
                link = gr.Button("Copy the link", elem_id="mix-link")
            link.click(_copied, js="mixzoo.copyLink", api_visibility="private")
        words = gr.HTML(elem_id="mix-words", label="Caption", apply_default_css=False)
    slots = _drawings(drawn, a, b)
    tops = _tops()
    with gr.Accordion("Checkpoint, seed, and a drawn lam", open=False, elem_id="mix-more-numbers"):
        alpha, draw, seed, ref = _numbers(context)
    choices = Choices(a, b, method, lam, seed, ref)
    shown = gr.State(None)
    _compare(context, events, shown, choices)
    _grid(events, shown, choices)
    outputs = [mixed, mask, weights, *tops, *_snippets()]
    draw.click(events.draw, [alpha, seed], [lam, seed], queue=False, api_visibility="private")
    _play(events, shown, choices, look, strips, mixed, save)
    _connect(context, events, choices, [shown, a, b, method, ref, strips, words, *outputs])
    _share(context, choices, slots)
    first = [a.value["path"], b.value["path"], *(one.value for one in choices[2:])]
    context.warm_ups.append(lambda: events.warm_up(*first))


def _copied() -> None:
    """Say what was copied."""
    tell("The link to this mix was copied. A picture of your own isn't part of it.")


def first_ref(context: Context) -> str:
    """The checkpoint chosen at first: the owner's, else one with learnt masks, a released one if
    there is, else SAMix's.

    Raises UsageError if no checkpoint is here, and what `Models` raises.
    """
    if context.models.chosen:
        return context.models.chosen[0]
    here = [context.models.about(ref) for ref in context.models.available()]
    if not here:
        raise UsageError("No checkpoint is here. Run: mixzoo zoo download mini")

    def rank(offer: Offer) -> tuple[bool, bool, bool]:
        return offer.method not in LEARNT_METHODS, offer.knows_drawings, offer.method != STORY[0]

    return min(here, key=rank).ref


def _template(name: str) -> str:
    """What the browser fills in with a value: a file of the folder `templates`."""
    return (Path(__file__).parent / "templates" / f"{name}.html").read_text(encoding="utf-8")


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
        min_width=0,
    )


def _answer(name: str, label: str) -> gr.Image:
    """A picture of the page's own."""
    return gr.Image(
        label=label,
        format="png",
        buttons=["download", "fullscreen"] if name == "mixed" else [],
        interactive=False,
        elem_id=f"mix-{name}",
        elem_classes="mix-slot",
        alt_text=label,
    )


def _main_numbers(context: Context) -> tuple[gr.Radio, gr.Slider]:
    """Method and lam."""
    trained_by = context.models.about(first_ref(context)).method
    with gr.Group():
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
    return method, lam


def _numbers(context: Context) -> tuple[gr.Number, gr.Button, gr.Number, gr.Dropdown]:
    """Alpha, the button that draws from it, seed, checkpoint."""

    def number(name: str, value: float, low: float, high: float, **more: Any) -> gr.Number:
        at = f"mix-{name}"
        return gr.Number(
            value, label=name, minimum=low, maximum=high, elem_id=at, min_width=80, **more
        )

    here = context.models.available()
    with gr.Row():
        ref = gr.Dropdown(
            here, value=first_ref(context), label="Checkpoint", elem_id="mix-ref", min_width=260
        )
        seed = number("seed", 0, 0, LARGEST_SEED, precision=0)
        alpha = number("alpha", 1.0, 0.01, 100)
        draw = gr.Button("Draw lam from Beta(alpha, alpha)", elem_id="mix-draw", min_width=220)
    return alpha, draw, seed, ref


def _methods(context: Context) -> list[str]:
    """What can be chosen now: a learnt method once a checkpoint of it is here."""
    models = context.models
    return methods_here({models.about(one).method for one in models.available()})


def _drawings(drawn: dict[str, Path], a: PictureInput, b: PictureInput) -> gr.Gallery:
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

    pair = [a, b]
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


def _compare(context: Context, events: MixEvents, shown: gr.State, choices: Choices) -> None:
    """The mix beside another one, with a slider between them."""
    is_open, last = gr.State(False), gr.State(None)
    with gr.Accordion("Compare with another method", open=False, elem_id="mix-compare") as box:
        with gr.Row():
            method = gr.Dropdown(
                _methods(context),
                value=PLAIN,
                label="Method",
                elem_id="mix-other-method",
                min_width=160,
            )
            ref = gr.Dropdown(
                context.models.available(),
                value=first_ref(context),
                label="Checkpoint",
                elem_id="mix-other-ref",
                min_width=260,
            )
        both = gr.ImageSlider(
            show_label=False, interactive=False, buttons=["fullscreen"], elem_id="mix-both"
        )
        told = gr.Markdown(elem_id="mix-both-told")
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    box.expand(lambda: True, None, is_open, **quiet)
    box.collapse(lambda: False, None, is_open, **quiet)
    gr.on(
        [is_open.change, shown.change, method.change, ref.change],
        events.compare,
        [is_open, shown, last, method, ref],
        [both, told, last, method, ref],
        trigger_mode="always_last",
        show_progress="hidden",
        concurrency_id="mix",
        api_visibility="private",
    )


def _play(
    events: MixEvents,
    shown: gr.State,
    choices: Choices,
    look: gr.HTML,
    strips: gr.HTML,
    mixed: gr.Image,
    save: gr.Button,
) -> None:
    """What is picked among the strips, the animation, and the picture that is saved; page.js."""
    film, card = gr.JSON(visible=False), gr.Image(visible=False, format="png", label="Card")
    pair = [choices.method, choices.lam]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    strips.select(None, None, pair, js="() => mixzoo.picked")
    gr.on(
        [strips.change, *(one.change for one in pair)],
        None,
        pair,
        None,
        js="(method, lam) => { mixzoo.mark(method, lam); }",
    )
    look.play(events.film, [shown, *choices], film, **quiet).success(
        None, film, None, js="(film) => { mixzoo.play(film); }"
    )
    look.pause(None, None, choices.lam, js="() => mixzoo.lam")
    mixed.change(None, None, None, js="() => { mixzoo.stop(); }")
    save.click(
        events.card,
        [shown, *choices],
        card,
        concurrency_id="draw",
        show_progress_on=save,
        **quiet,
    ).success(None, card, None, js="(file) => { mixzoo.save(file); }")


def _grid(events: MixEvents, shown: gr.State, choices: Choices) -> None:
    """Many mixes at once, of all pictures that a visitor has given, and what is said of them."""
    kinds = {
        METHODS: "All methods at this lam",
        LAMS: "This method, lam 0.1 to 0.9",
        CURVE: "How likely A and B are, over lam",
        CAM: "Where the network looks",
        MAPS: "What its mix block sees",
    }
    with gr.Accordion("Look closer, and mix many pictures", open=False, elem_id="mix-grid-box"):
        kind = gr.Radio(
            [(words, kind) for kind, words in kinds.items()],
            value=METHODS,
            label="Show",
            elem_id="mix-grid-kind",
        )
        with gr.Row():
            more = gr.Gallery(
                label="Further pictures",
                type="filepath",
                file_types=["image"],
                columns=6,
                height=150,
                interactive=True,
                elem_id="mix-more",
                buttons=[],
                scale=3,
            )
            pairing = gr.Radio(
                [(words, how) for how, words in PAIRINGS.items()],
                value="turn",
                label="Pair them",
                elem_id="mix-pairing",
                scale=2,
            )
        with gr.Row():
            button = gr.Button("Draw", variant="primary", elem_id="mix-grid-button")
            save = gr.Button("Save it", visible="hidden", elem_id="mix-save-grid")
        image = gr.Image(
            label="Grid",
            format="png",
            interactive=False,
            visible="hidden",
            elem_id="mix-grid",
            buttons=["fullscreen"],
        )
    theme = gr.Textbox("light", label="Theme", visible=False)
    a, b, method, lam, seed, ref = choices
    drawn = button.click(
        events.grid,
        [a, b, more, kind, method, lam, seed, ref, theme, pairing, shown],
        image,
        js="(...values) => values.with(8, mixzoo.theme())",
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
    save.click(None, image, None, js="(file) => { mixzoo.save(file); }")


def _snippets() -> list[gr.Code]:
    """The command and the program that make the same picture."""
    with gr.Accordion("The same from a terminal or from Python", open=False, elem_id="mix-same"):
        return [
            gr.Code(label="Terminal", language="shell", elem_id="mix-cli", interactive=False),
            gr.Code(label="Python", language="python", elem_id="mix-python", interactive=False),
        ]


def _connect(context: Context, events: MixEvents, choices: Choices, outputs: Sequence[Any]) -> None:
    """Show the mix of every change by one event: of those that come meanwhile the last wins."""
    shown, *rest = outputs
    ready = gr.Textbox(visible="hidden", label="Ready")  # changes once the URL's state is restored
    program = gr.Button(visible=False)  # nobody clicks it: programs call what it would
    answers = list(rest[-len(EMPTY) :])
    program.click(events.mix, list(choices), answers, api_name="mix", concurrency_id="mix")
    gr.on(
        [ready.change, *(one.change for one in choices)],
        events.show,
        [shown, *choices],
        list(outputs),
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
