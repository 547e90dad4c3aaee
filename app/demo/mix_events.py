"""What happens when a visitor changes something on the Mix tab, or a program asks for a mix."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ...eval.pixels import Pixels
from ...train.mixing import LEARNT_METHODS
from ...train.mixing.mixed import draw_lam
from ...viz.grid import Row, draw_grid
from ...viz.maps import map_rows
from ...viz.mix import Pairs, heat_over, mix_rows
from ...viz.save import figure_bytes
from ...viz.themes import DARK, LIGHT
from ...zoo.data.classes import class_names
from ...zoo.errors import DataError, MixzooError, UsageError
from ...zoo.manifest import Protocol
from ...zoo.nets import MixClassifier
from ..viz.inputs import methods_here
from . import limits
from .context import Context
from .mixing import Mix, command_line, look, python_lines, why_label
from .pictures import Picture, read_picture
from .toasts import shown_to_visitors, tell, warn

PLAIN = "cutmix"  # what takes the place of a learnt method that a checkpoint can't do
LARGEST_SEED = 2**31 - 1
METHODS, LAMS, MAPS = "methods", "lams", "maps"  # kinds of grids
SWEEP = (0.1, 0.3, 0.5, 0.7, 0.9)
DPI = 200
EMPTY = (None, None, None, None, None, None, "", "")  # what `mix` returns, of no pictures
Wish = tuple[str | None, str | None, str, float, int, str]
"""What is chosen: A, B, method, lam, seed, checkpoint."""


class MixEvents:
    """The functions behind the tab's controls."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
        Returns (shown, A, B, method, checkpoint, *outputs); nothing new if nothing has changed.
        Errors are told and leave the page without a mix: an event that fails would make the browser
        forget the change that waits behind it.
        """
        if wish == shown:
            return (gr.skip(),) * (5 + len(EMPTY))
        a, b, method, lam, seed, ref = wish
        protocol = self._context.catalog.row(ref)[0].manifest.protocol
        a, b = self._readable(a, protocol), self._readable(b, protocol)
        outputs: tuple[Any, ...] = EMPTY
        try:
            method, ref = self._fitting(method, ref, shown)
            if a and b:
                outputs = self._mixed(a, b, method, lam, seed, ref)
        except MixzooError as error:
            warn(str(error))
        now = (a, b, method, lam, seed, ref)
        changed = (new if new != old else gr.skip() for new, old in zip(now, wish, strict=True))
        new_a, new_b, new_method, _, _, new_ref = changed
        return now, new_a, new_b, new_method, new_ref, *outputs

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
    ) -> str:
        """Draw a grid: each pair of pictures by every method, or by one method at five lams.

        image_a, image_b: the first pair. more: further pictures, taken in pairs; one that is left
        over is paired with A. kind: `methods` (all that the checkpoint can do, at `lam`), `lams`
        (`method` at 0.1 to 0.9) or `maps` (value and attention of automix or samix). seed, ref: see
        `mix`. theme: `light` or `dark`. Returns the grid.
        """
        mix = self._recipe(image_a, image_b, method, lam, seed, ref)
        pictures = [mix.a, mix.b, *self._further(more, mix.protocol)]
        if len(pictures) % 2:
            pictures.append(mix.a)
        title = {
            METHODS: f"λ = {mix.lam:g}",
            LAMS: f"{method}, λ 0.1 to 0.9",
            MAPS: f"{method}, λ = {mix.lam:g}: what its mix block sees",
        }[kind]
        figure = draw_grid(
            _rows(kind, mix, pictures), DARK if theme == "dark" else LIGHT, title=title
        )
        return self._context.store.keep(figure_bytes(figure, "png", dpi=DPI), "image.png")

    def _mixed(self, *wish: Any) -> tuple[Any, ...]:
        mix = self._recipe(*wish)
        pair, guesses = look(mix, class_names(self._context.catalog.row(mix.ref)[0]))
        return (
            self._kept(pair.image),
            self._kept(heat_over(pair.image, pair.mask)),
            {"A": pair.share, "B": 1 - pair.share, "why": why_label(pair)},
            *guesses,
            command_line(mix),
            python_lines(mix),
        )

    def _kept(self, image: Pixels) -> str:
        file = BytesIO()
        Image.fromarray(image).save(file, "PNG")
        return self._context.store.keep(file.getvalue(), "image.png")

    def _recipe(
        self, a: str | None, b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> Mix:
        """The visitor's wishes, checked as far as mixing itself doesn't. Raises MixzooError."""
        if not a or not b:
            raise UsageError("Expected two pictures. Put one into A and one into B.")
        protocol = self._context.catalog.row(ref)[0].manifest.protocol
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
        """The file, or None with a toast if it isn't a picture within the limits."""
        try:
            if file:
                read_picture(file, protocol)
        except DataError as error:
            warn(str(error))
            return None
        return file

    def _fitting(self, method: str, ref: str, shown: Wish | None) -> tuple[str, str]:
        """A method and a checkpoint that can do it: which of them was chosen last stays.

        The checkpoint is then one of the same benchmark, if there is one. Raises UsageError if no
        checkpoint of the method is here.
        """
        catalog = self._context.catalog
        benchmark, row = catalog.row(ref)
        if method not in LEARNT_METHODS or row.method == method:
            return method, ref
        if shown and shown[2] == method and shown[5] != ref:
            instead = row.method if row.method in methods_here([row.method]) else PLAIN
            tell(f"{ref} has no masks of {method}, so this is {instead}.")
            return instead, ref
        rows = [catalog.row(one) for one in self._context.models.available()]
        fits = [(own.name != benchmark.name, one.id) for own, one in rows if one.method == method]
        if not fits:
            raise UsageError(
                f"No checkpoint of {method} is on this machine. Choose another method."
            )
        return method, min(fits, key=lambda fit: fit[0])[1]


def _rows(kind: str, mix: Mix, pictures: Sequence[Picture]) -> list[Row]:
    """What the grid shows. Raises UsageError for maps of a checkpoint without a MixBlock."""
    model = mix.model
    crops = [one.crop for one in pictures]
    stems = [Path(one.name).stem for one in pictures]
    pairs = Pairs(
        list(zip(crops[::2], crops[1::2], strict=True)),
        list(zip(stems[::2], stems[1::2], strict=True)),
        mix.protocol,
    )
    if kind == MAPS:
        if not isinstance(model, MixClassifier) or model.method != mix.method:
            raise UsageError(
                f"{mix.method} has no maps: they are of AutoMix's and SAMix's mix block. Choose "
                "automix or samix as the method."
            )
        return map_rows(pairs, [mix.lam], model=model)
    methods, lams = [mix.method], SWEEP
    if kind == METHODS:
        methods, lams = methods_here([model.method]), (mix.lam,)
    return mix_rows(pairs, methods, lams, seed=mix.seed, model=model)


def _whole(seed: Any) -> int:
    """A seed as a visitor gave it. Raises UsageError."""
    if not isinstance(seed, int | float) or seed != seed // 1 or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            f"Seed: expected a whole number from 0 to {LARGEST_SEED}, got {seed!r}. Correct it."
        )
    return int(seed)
