"""What happens when a visitor changes something on the Mix tab, or a program asks for a mix."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...eval.pixels import Pixels
from ...train.mixing import LEARNT_METHODS
from ...train.mixing.mixed import draw_lam
from ...viz.along import along_lam, along_plot
from ...viz.film import sweep_row
from ...viz.grid import draw_grid
from ...viz.maps import cam_rows, map_rows
from ...viz.mix import MixedPair, Pairs, heat_over, mix_pair, mix_rows
from ...viz.save import figure_bytes
from ...viz.themes import LIGHT, THEMES, Theme
from ...zoo.data.classes import class_names
from ...zoo.errors import DataError, MixzooError, UsageError
from ...zoo.manifest import Protocol
from ...zoo.mini import species
from ...zoo.nets import MixClassifier
from ..viz.inputs import methods_here
from . import limits
from .context import EMBEDDED, Context, Offer
from .html import render
from .mixing import (
    STORY,
    TITLES,
    Mix,
    command_line,
    file_name,
    look,
    paired,
    python_lines,
    settings,
    why_label,
)
from .pictures import Picture, read_picture, without_alpha
from .toasts import shown_to_visitors, tell, warn

PLAIN = "cutmix"  # what takes the place of a learnt method that a checkpoint can't do
LARGEST_SEED = 2**31 - 1
METHODS, LAMS, CURVE, CAM, MAPS = "methods", "lams", "curve", "cam", "maps"  # kinds of grids
SWEEP = (0.1, 0.3, 0.5, 0.7, 0.9)
FRAMES = tuple(step / 20 for step in range(21))  # lams of an animation
THUMBNAIL = 128  # pixels of a side in a strip
DPI, CARD_DPI = 200, 230
TAKE_A_MODEL = (*LEARNT_METHODS, "puzzlemix")
EMPTY = (None, None, None, None, None, None, "", "")  # what `mix` returns, of no pictures
Wish = tuple[str | None, str | None, str, float, int, str]
"""What is chosen: A, B, method, lam, seed, checkpoint."""
Strip = tuple[str, str, str, str | None, int, Protocol, tuple[float, ...]]
"""Mixes side by side: A, B, method, the checkpoint whose network it takes, if any, seed, how
pictures are cut, lams."""


class MixEvents:
    """The functions behind the tab's controls."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._strip = lru_cache(limits.MAX_STRIPS)(self._draw_strip)

    @shown_to_visitors()
    def mix(
        self, image_a: str | None, image_b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> tuple[Any, ...]:
        """Mix two pictures and classify A, the mix and B.

        image_a, image_b: uploaded pictures. method: what mixes them; automix and samix take a
        checkpoint of theirs. lam: the wanted weight of A, 0 to 1. seed: of what the method draws.
        ref: a checkpoint that is on the server. Returns the mixed picture, its mask as heat over
        the picture (yellow A, blue B), the label weights of A and B and why they are what they are,
        the first five classes with probabilities for A, the mix and B, and the command and Python
        lines that make the same picture.
        """
        return self._mixed(image_a, image_b, method, lam, seed, ref)

    @shown_to_visitors()
    def show(self, shown: Wish | None, *wish: Any) -> tuple[Any, ...]:
        """The mix of what is chosen now. shown: what was chosen for the mix that is on the page.

        A picture that can't be read leaves its slot, and method and checkpoint are made to fit.
        Returns (shown, A, B, method, checkpoint, strips, words, *outputs); nothing new if nothing
        has changed. Errors are told and leave the page without a mix: an event that fails would
        make the browser forget the change that waits behind it.
        """
        if wish == shown:
            return (gr.skip(),) * (7 + len(EMPTY))
        a, b, method, lam, seed, ref = wish
        protocol = self._context.models.about(ref).protocol
        a, b = self._readable(a, protocol), self._readable(b, protocol)
        outputs: tuple[Any, ...] = EMPTY
        strips, words = (gr.skip() if a and b else None), gr.skip()
        try:
            _, _, method, _, _, ref = self._settled(shown, a, b, method, lam, seed, ref)
            offer = self._context.models.about(ref)
            if not shown or shown[5] != ref:
                words = self.words(offer)
            if a and b:
                wanted = self._strips_of(a, b, method, lam, seed, ref)
                if not shown or wanted != self._strips_of(*shown):
                    strips = self._strips(wanted)
                image, mask, weights, *guesses, command, program = self._mixed(
                    a, b, method, lam, seed, ref
                )
                named = self._named(guesses, a, b, offer)
                outputs = (image, mask, weights, *named, command, program)
        except MixzooError as error:
            warn(str(error))
        now = (a, b, method, lam, seed, ref)
        changed = (new if new != old else gr.skip() for new, old in zip(now, wish, strict=True))
        new_a, new_b, new_method, _, _, new_ref = changed
        return now, new_a, new_b, new_method, new_ref, strips, words, *outputs

    def _strips_of(self, *wish: Any) -> list[Strip]:
        """The methods of the first sight, and the chosen one: learnt ones where the checkpoint's
        benchmark has one of theirs."""
        (a, b, method, _, seed, ref), models = wish, self._context.models
        near, strips = models.about(ref), []
        for name in dict.fromkeys([*STORY, method]):
            offer = models.of_method(name, near) if name in LEARNT_METHODS else near
            if offer and offer.benchmark == near.benchmark:
                of = offer.ref if name in TAKE_A_MODEL else None
                strips.append((a, b, name, of, seed, near.protocol, SWEEP))
        return strips

    def _strips(self, wanted: Sequence[Strip]) -> dict[str, Any]:
        """What methods make of A and B over lam: for each a picture of its mixes side by side."""
        rows = [
            {"method": one[2], "title": TITLES[one[2]], "image": self._strip(*one)}
            for one in wanted
        ]
        return {"lams": SWEEP, "rows": rows}

    def warm_up(self, *wish: Any) -> None:
        """Make what the first visitor asks for. Raises MixzooError."""
        self._strips(self._strips_of(*wish))
        self._mixed(*wish)

    @shown_to_visitors()
    def film(self, shown: Wish | None, *wish: Any) -> dict[str, Any]:
        """The frames of an animation over lam, side by side in one picture, as a data URL."""
        mix = self._recipe(*self._settled(shown, *wish))
        of = (mix.method, mix.ref, mix.seed, mix.protocol)
        return {"lams": FRAMES, "image": self._strip(wish[0], wish[1], *of, FRAMES)}

    @shown_to_visitors()
    def compare(
        self,
        is_open: bool,
        shown: Wish | None,
        before: tuple[str, str] | None,
        method: str,
        ref: str,
    ) -> tuple[Any, ...]:
        """The mix on the page beside that of another method or checkpoint, which are made to fit.

        before: method and checkpoint of the last one. Returns both pictures, what they are, and
        method and checkpoint, together and each.
        """
        if not is_open or not shown or not shown[0] or not shown[1]:
            return (gr.skip(),) * 5
        a, b, own, lam, seed, mine = shown
        method, ref = self._fitting(method, ref, before)
        both = [
            self._recipe(a, b, *of) for of in ((own, lam, seed, mine), (method, lam, seed, ref))
        ]
        pictures = tuple(self._kept(self._pair(mix).image, mix) for mix in both)
        left, right = (f"{TITLES[mix.method]} ({mix.ref})" for mix in both)
        told = f"Left: {left}. Right: {right}. Both at lam {lam:.2f}."
        return pictures, told, (method, ref), method, ref

    @shown_to_visitors()
    def card(self, shown: Wish | None, *wish: Any) -> str:
        """A picture to show: A, the mix, its mask and B, with what they are; settings inside."""
        mix, figure = self.portrait(shown, *wish)
        return self._saved(figure, mix, "", CARD_DPI)

    def portrait(
        self, shown: Wish | None, *wish: Any, theme: Theme = LIGHT, tile: float = 1.7
    ) -> tuple[Mix, Figure]:
        """The mix of what is chosen, and its card. tile: inches of a side. Raises MixzooError."""
        mix = self._recipe(*self._settled(shown, *wish))
        pair, stems = self._pair(mix), [Path(one.name).stem for one in (mix.a, mix.b)]
        pairs = Pairs([(mix.a.crop, mix.b.crop)], [(stems[0], stems[1])], mix.protocol)
        title = f"{TITLES[mix.method]} ({mix.ref}). {why_label(pair)}"
        row = sweep_row(pairs.sources()[0], pair)
        return mix, draw_grid([row], theme, title=title, tile=tile)

    @shown_to_visitors()
    def draw(self, alpha: float, seed: int) -> tuple[float, int]:
        """A lam that the next seed draws from Beta(alpha, alpha), to two digits, and that seed."""
        seed = (_whole(seed) + 1) % LARGEST_SEED
        return round(draw_lam(np.random.default_rng(seed), float(alpha)), 2), seed

    @shown_to_visitors()
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
        pairing: str = "turn",
        shown: Wish | None = None,
    ) -> str:
        """Draw many mixes at once, or what the network says of them.

        image_a, image_b: the first pair. more: further pictures. kind: `methods` (all that the
        checkpoint can do, at `lam`), `lams` (`method` at 0.1 to 0.9), `curve` (how likely A's and
        B's class are over lam, of the first pair), `cam` (what speaks for the classes in A, B and
        the mix) or `maps` (value and attention of automix or samix). seed, ref: see `mix`. theme:
        `light` or `dark`. pairing: `turn`, `a` (A with each) or `each` (each with each). shown: of
        a page, what was chosen for its mix. Returns the picture, named after what it shows.
        """
        wish = image_a, image_b, method, lam, seed, ref
        mix = self._recipe(*(self._settled(shown, *wish) if shown else wish))
        pairs = paired([mix.a, mix.b, *self._further(more, mix.protocol)], pairing)
        if len(pairs) > limits.MAX_PAIRS:
            tell(f"The first {limits.MAX_PAIRS} of {len(pairs)} pairs are shown.")
        shade = THEMES.get(theme, LIGHT)
        figure = self._figure(kind, mix, pairs[: limits.MAX_PAIRS], shade)
        return self._saved(figure, mix, f"-{kind}", DPI)

    def _figure(
        self, kind: str, mix: Mix, pictures: Sequence[tuple[Picture, Picture]], theme: Theme
    ) -> Figure:
        """What a grid shows. Raises UsageError for maps of a checkpoint without a MixBlock."""
        model, title, names = mix.model, TITLES[mix.method], self._classes(mix)
        crops = [(a.crop, b.crop) for a, b in pictures]
        stems = [(Path(a.name).stem, Path(b.name).stem) for a, b in pictures]
        pairs, how = Pairs(crops, stems, mix.protocol), {"seed": mix.seed, "model": model}
        if kind == CURVE:
            drawn = [one.drawn[0] for one in pictures[0] if one.drawn]
            knows = self._context.models.about(mix.ref).knows_drawings and len(drawn) == 2
            mixes, likely, (a, b) = along_lam(
                pairs, mix.method, classes=(drawn[0], drawn[1]) if knows else None, **how
            )
            return along_plot(
                mixes, likely, (names[a], names[b]), theme, title=f"{title} ({mix.ref})"
            )
        if kind == CAM:
            rows = cam_rows(pairs, mix.method, mix.lam, class_names=names, **how)
            return draw_grid(rows, theme, title=f"What {mix.ref} looks at")
        if kind == MAPS:
            if not isinstance(model, MixClassifier) or model.method != mix.method:
                raise UsageError(
                    f"{mix.method} has no maps: they are of AutoMix's and SAMix's mix block. "
                    "Choose automix or samix as the method."
                )
            rows = map_rows(pairs, [mix.lam], model=model)
            return draw_grid(
                rows, theme, title=f"{title}, λ = {mix.lam:g}: what its mix block sees"
            )
        if kind == LAMS:
            rows = mix_rows(pairs, [mix.method], SWEEP, **how)
            return draw_grid(rows, theme, title=f"{title}, λ 0.1 to 0.9")
        rows = mix_rows(pairs, methods_here([model.method]), (mix.lam,), **how)
        return draw_grid(rows, theme, title=f"λ = {mix.lam:g}")

    def _mixed(self, *wish: Any) -> tuple[Any, ...]:
        mix = self._recipe(*wish)
        pair, guesses = look(mix, self._classes(mix))
        return (
            self._kept(pair.image, mix),
            self._kept(heat_over(pair.image, pair.mask), mix, "-mask"),
            {"A": pair.share, "B": 1 - pair.share, "why": why_label(pair)},
            *guesses,
            command_line(mix),
            python_lines(mix),
        )

    def _pair(self, mix: Mix) -> MixedPair:
        how = {"seed": mix.seed, "model": mix.model, "protocol": mix.protocol}
        return mix_pair(mix.a.crop, mix.b.crop, mix.method, [mix.lam], **how)[0]

    def _classes(self, mix: Mix) -> list[str]:
        """Names of the model's classes, by index."""
        known = class_names(self._context.models.about(mix.ref).benchmark)
        return known or [f"class {index}" for index in range(mix.model.num_classes)]

    def _draw_strip(self, *strip_of: Any) -> str:
        """A `Strip` as a data URL."""
        a, b, method, ref, seed, protocol, lams = strip_of
        model = self._context.models.get(ref) if ref else None
        crops = [read_picture(one, protocol).crop for one in (a, b)]
        how: dict[str, Any] = {"seed": seed, "model": model, "protocol": protocol}
        mixes = mix_pair(crops[0], crops[1], method, lams, **how)
        strip = Image.fromarray(np.concatenate([one.image for one in mixes], axis=1))
        if protocol.crop > THUMBNAIL:
            strip = strip.resize((THUMBNAIL * len(lams), THUMBNAIL), Image.Resampling.LANCZOS)
        file = BytesIO()
        strip.save(file, "WEBP", quality=82, method=2)
        return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"

    def _kept(self, image: Pixels, mix: Mix, ending: str = "-mix") -> str:
        """A picture of the page, pixel for pixel, with its settings inside."""
        file, about = BytesIO(), PngInfo()
        for key, text in settings(mix).items():
            about.add_text(key, text)
        Image.fromarray(image).save(file, "PNG", pnginfo=about)
        return self._context.store.keep(file.getvalue(), file_name(mix, ending))

    def _saved(self, figure: Figure, mix: Mix, ending: str, dpi: int) -> str:
        content = figure_bytes(figure, "png", dpi=dpi, about=settings(mix))
        return self._context.store.keep(content, file_name(mix, ending))

    def _named(
        self, guesses: Sequence[dict[str, float]], a: str, b: str, offer: Offer
    ) -> list[Any]:
        """What is seen in A, the mix and B, under what A and B truly are, where that is known."""
        told = []
        for side, file in (("A", a), ("B", b)):
            drawn = read_picture(file, offer.protocol).drawn if offer.knows_drawings else None
            truly = f": truly {species()[drawn[0]].name}" if drawn else ""
            told.append(f"Seen in {side}{truly}")
        labels = (told[0], "Seen in the mix", told[1])
        return [gr.update(value=v, label=n) for v, n in zip(guesses, labels, strict=True)]

    def words(self, offer: Offer | None = None) -> str:
        """What is seen, with its papers; of a checkpoint, what else there is to know."""
        rows = {row.method: row for row in self._context.catalog.benchmark(EMBEDDED).manifest.rows}
        papers = {method: rows[method].paper for method in STORY}
        return render("mix.html", offer=offer, titles=TITLES, papers=papers)

    def _recipe(
        self, a: str | None, b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> Mix:
        """The visitor's wishes, checked as far as mixing itself doesn't. Raises MixzooError."""
        if not a or not b:
            raise UsageError("Expected two pictures. Put one into A and one into B.")
        protocol = self._context.models.about(ref).protocol
        return Mix(
            a=read_picture(a, protocol),
            b=read_picture(b, protocol),
            method=method,
            lam=float(lam),
            seed=_whole(seed),
            ref=ref,
            model=self._context.models.get(ref),
            protocol=protocol,
        )

    def _further(self, more: Sequence[Any] | None, protocol: Protocol) -> list[Picture]:
        files = [entry[0] for entry in more or ()]
        most = limits.MAX_PICTURES
        if len(files) > most:
            tell(f"The first {most} of {len(files)} further pictures are shown.")
        return [read_picture(file, protocol) for file in files[:most]]

    def _readable(self, file: str | None, protocol: Protocol) -> str | None:
        """The file, or None with a toast if it isn't a picture within the limits.

        Of one with transparency another file, of what is mixed: without, as in evaluation.
        """
        try:
            if file:
                read_picture(file, protocol)
                if seen := without_alpha(file):
                    return self._context.store.keep(seen, Path(file).name)
        except DataError as error:
            warn(str(error))
            return None
        return file

    def _settled(self, shown: Wish | None, *wish: Any) -> Wish:
        """What `show` makes of the choices: it may not have answered to the last of them yet."""
        a, b, method, lam, seed, ref = wish
        method, ref = self._fitting(method, ref, shown and (shown[2], shown[5]))
        return a, b, method, lam, seed, ref

    def _fitting(self, method: str, ref: str, before: tuple[str, str] | None) -> tuple[str, str]:
        """A method and a checkpoint that can do it: which of them was chosen last stays.

        The checkpoint is then one of the same benchmark, if there is one. Raises UsageError if no
        checkpoint of the method is here.
        """
        offer = self._context.models.about(ref)
        if method not in LEARNT_METHODS or offer.method == method:
            return method, ref
        if before and before[0] == method and before[1] != ref:
            instead = offer.method if offer.method in methods_here([offer.method]) else PLAIN
            tell(f"{ref} has no masks of {method}, so this is {instead}.")
            return instead, ref
        fit = self._context.models.of_method(method, offer)
        if fit is None:
            raise UsageError(
                f"No checkpoint of {method} is on this machine. Choose another method."
            )
        return method, fit.ref


def _whole(seed: Any) -> int:
    """A seed as a visitor gave it. Raises UsageError."""
    if not isinstance(seed, int | float) or seed != seed // 1 or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            f"Seed: expected a whole number from 0 to {LARGEST_SEED}, got {seed!r}. Correct it."
        )
    return int(seed)
