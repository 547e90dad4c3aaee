"""What the page keeps in its URL, so that a link shows another person the same thing."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.blocks import BlockContext
from gradio.components import Component

Read = Callable[[str], Any]
"""What the URL says -> a component's value; raises ValueError if that isn't allowed."""


class PageState:
    """The parameters of the page's URL, each the value of one component."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Component | BlockContext, Read]] = {}
        self._offers: list[tuple[Callable[[], Any], list[Component]]] = []
        self._ready: list[Component] = []

    def keep(
        self,
        name: str,
        component: Component,
        read: Read,
        *,
        initial: str | None = None,
        text: str = "(value) => value",
        beside: Sequence[Component] = (),
    ) -> None:
        """Keep a component's value under `name`.

        initial: what is left out of the URL; None is the component's first value. text: JavaScript,
        the browser's values of the component and of those `beside` -> what the URL says, null for
        nothing.
        """
        first = str(component.value) if initial is None else initial
        arguments = f"{json.dumps(name)}, ({text})(...values), {json.dumps(first)}"
        self.listen(name, component, read)
        component.change(  # type: ignore[attr-defined]
            None, [component, *beside], None, js=f"(...values) => {{ mixzooKeep({arguments}); }}"
        )

    def listen(self, name: str, component: Component | BlockContext, read: Read) -> None:
        """Restore a component from the URL; somebody else writes it there with `mixzooKeep`."""
        if name in self._kept:
            raise ValueError(f"two components want the URL's parameter {name!r}")
        self._kept[name] = component, read

    def before_restoring(self, refresh: Callable[[], Any], components: Sequence[Component]) -> None:
        """Call `refresh` at each page load, for what the components offer: before their values."""
        self._offers.append((refresh, list(components)))

    def tell_when_restored(self, text: Component) -> None:
        """Set a text, so that it changes, once all components say what the URL says."""
        self._ready.append(text)

    def wire(self, page: gr.Blocks) -> None:
        """Restore everything when the page loads, then let changes be written, then tell."""
        components = [component for component, _ in self._kept.values()]

        def restore(request: gr.Request) -> list[Any]:
            return self.restored(dict(request.query_params))

        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "queue": False,
        }
        later = page.load
        for refresh, offered in self._offers:
            later = later(refresh, None, offered, **quiet).then
        restored = later(restore, None, components, **quiet)
        restored.then(None, None, self._ready, js="() => { mixzooRestored(); return 'restored'; }")

    def restored(self, query: Mapping[str, str]) -> list[Any]:
        """The components' values as a URL's query says; unchanged where it is silent or wrong."""
        said = self.said(query)
        return [said.get(name, gr.skip()) for name in self._kept]

    def said(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What a URL's query says rightly: parameter -> value."""
        values = {}
        for name in self._kept.keys() & query.keys():
            with suppress(ValueError):
                values[name] = self._kept[name][1](query[name])
        return values


def among(choices: Collection[str] | Callable[[], Collection[str]]) -> Read:
    """A reader that takes these texts alone, or what can be chosen at that time."""

    def read(text: str) -> str:
        if text not in (choices() if callable(choices) else choices):
            raise ValueError(text)
        return text

    return read


def number_between(low: float, high: float) -> Read:
    """A reader of numbers from `low` to `high`."""

    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:  # also refuses nan
            raise ValueError(text)
        return value

    return read
