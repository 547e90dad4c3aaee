"""What happens when a visitor changes something on the Mix tab."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from ...train.mixing import LEARNT_METHODS
from ...train.mixing.draws import draw_lam
from ...viz.mix import heat_over
from ...zoo.catalog import Benchmark
from ...zoo.errors import MixzooError, UsageError
from ...zoo.manifest import Row
from ...zoo.nets import Classifier, MixClassifier
from .context import Context
from .mixing import class_names, look
from .snippets import Recipe, command_line, python_lines
from .toasts import shown_to_visitors, tell, warn, without_folders

LARGEST_SEED = 2**31 - 1
OUTPUTS = 8  # of `mix`
Shown = tuple[Any, ...]  # a value for each output


@dataclass(frozen=True)
class Chosen:
    """A checkpoint with its place in a benchmark."""

    model: Classifier | MixClassifier
    benchmark: Benchmark
    row: Row


class MixEvents:
    """The tab's functions. examples: files of the bundled drawings, in the gallery's order."""

    def __init__(self, context: Context, examples: list[str]) -> None:
        self._context = context
        self._examples = examples

    @shown_to_visitors
    def mix(
        self, image_a: str | None, image_b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> Shown:
        """Mix two pictures and classify A, the mix and B.

        image_a, image_b: uploaded pictures. method: what mixes them; automix and samix take a
        checkpoint of theirs. lam: the wanted weight of A, 0 to 1. seed: of what the method draws.
        ref: a checkpoint that is on the server. Returns the mixed picture, its mask as heat over the
        picture (yellow A, blue B), the label weights of A and B, the first five classes with
        probabilities for A, the mix and B, and the command and Python lines that make the same picture.
        """
        chosen = self.chosen(ref)
        recipe = self.recipe(image_a, image_b, method, lam, seed, chosen)
        shown = look(recipe, chosen.model, class_names(chosen.benchmark))
        pair = shown.pair
        return (
            pair.image,
            heat_over(pair.image, pair.mask),
            {"A": pair.share, "B": 1 - pair.share},
            dict(shown.a),
            dict(shown.mixed),
            dict(shown.b),
            command_line(recipe),
            python_lines(recipe),
        )

    @shown_to_visitors
    def by_method(
        self, a: str | None, b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> Shown:
        """Another method: take a checkpoint that can do it, then mix. Returns (ref, *outputs)."""
        ref = self._ref_for(method, ref)
        return ref, *self._mixed(a, b, method, lam, seed, ref)

    @shown_to_visitors
    def by_ref(
        self, a: str | None, b: str | None, method: str, lam: float, seed: int, ref: str
    ) -> Shown:
        """Another checkpoint: take a method that it can do, then mix. Returns (method, *outputs)."""
        own = self._context.catalog.row(ref)[1].method
        if method in LEARNT_METHODS and method != own:
            tell(
                f"{ref} has no masks of {method}, so this is {own if own in LEARNT_METHODS else 'cutmix'}."
            )
            method = own if own in LEARNT_METHODS else "cutmix"
        return method, *self._mixed(a, b, method, lam, seed, ref)

    @shown_to_visitors
    def drawn(
        self, a: str | None, b: str | None, method: str, alpha: float, seed: int, ref: str
    ) -> Shown:
        """The next seed, and a lam that it draws from Beta(alpha, alpha), to two digits.

        Returns (lam, seed, *outputs).
        """
        seed = (_whole(seed) + 1) % LARGEST_SEED
        lam = round(draw_lam(np.random.default_rng(seed), float(alpha)), 2)
        return lam, seed, *self._mixed(a, b, method, lam, seed, ref)

    @shown_to_visitors
    def taken_a(self, a: str | None, b: str | None, *rest: Any) -> Shown:
        """A new picture in slot A. Returns (a, *outputs): an empty slot if it can't be read."""
        return self._taken(a, a, b, *rest)

    @shown_to_visitors
    def taken_b(self, a: str | None, b: str | None, *rest: Any) -> Shown:
        """A new picture in slot B. Returns (b, *outputs): an empty slot if it can't be read."""
        return self._taken(b, a, b, *rest)

    @shown_to_visitors
    def put(
        self, event: gr.SelectData, slot: str, a: str | None, b: str | None, *rest: Any
    ) -> Shown:
        """An example into slot A or B, the next one into the other. Returns (slot, a, b, *outputs)."""
        file = self._examples[event.index]
        a, b = (file, b) if slot == "A" else (a, file)
        return "B" if slot == "A" else "A", a, b, *self._mixed(a, b, *rest)

    @shown_to_visitors
    def swapped(self, a: str | None, b: str | None, *rest: Any) -> Shown:
        """A becomes B. Returns (a, b, *outputs)."""
        return b, a, *self._mixed(b, a, *rest)

    def chosen(self, ref: str) -> Chosen:
        """The checkpoint of a listed row that is here. Raises MixzooError."""
        return Chosen(self._context.models.get(ref), *self._context.catalog.row(ref))

    def recipe(
        self,
        a: str | None,
        b: str | None,
        method: str,
        lam: float,
        seed: int,
        chosen: Chosen,
    ) -> Recipe:
        """The visitor's wishes, checked as far as mixing itself doesn't. Raises MixzooError."""
        if not a or not b:
            raise UsageError("Expected two pictures. Put one into A and one into B.")
        protocol = chosen.benchmark.manifest.protocol
        read = self._context.pictures.read
        return Recipe(
            a=read(a, protocol),
            b=read(b, protocol),
            method=method,
            lam=float(lam),
            seed=_whole(seed),
            ref=chosen.row.id,
            protocol=protocol,
        )

    def _taken(self, new: str | None, a: str | None, b: str | None, *rest: Any) -> Shown:
        ref = rest[-1]
        if new:
            try:
                self._context.pictures.read(new, self.chosen(ref).benchmark.manifest.protocol)
            except MixzooError as error:
                warn(without_folders(str(error)))
                return None, *_unchanged()
        return gr.skip(), *self._mixed(a, b, *rest)

    def _mixed(self, a: str | None, b: str | None, *rest: Any) -> Shown:
        """What `mix` shows; nothing new while a slot is empty."""
        return self.mix(a, b, *rest) if a and b else _unchanged()

    def _ref_for(self, method: str, ref: str) -> str:
        """A row whose checkpoint can do the method: this one, else the first, its benchmark's first."""
        catalog = self._context.catalog
        benchmark, row = catalog.row(ref)
        if method not in LEARNT_METHODS or row.method == method:
            return ref
        rows = [catalog.row(one) for one in self._context.models.available()]
        fits = [(own.name != benchmark.name, one.id) for own, one in rows if one.method == method]
        if not fits:
            raise UsageError(
                f"No checkpoint of {method} is on this machine. Choose another method."
            )
        return min(fits, key=lambda fit: fit[0])[1]


def _unchanged() -> Shown:
    return (gr.skip(),) * OUTPUTS


def _whole(seed: Any) -> int:
    """A seed as a visitor gave it. Raises UsageError."""
    if not isinstance(seed, int | float) or seed != seed // 1 or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"Seed: expected a whole number from 0 to {LARGEST_SEED}, got {seed!r}.")
    return int(seed)
