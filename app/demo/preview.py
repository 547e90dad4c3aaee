"""The picture that a chat shows of a link: the card of the mix that the link's page opens with."""

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from PIL import Image, ImageOps

from ...train.mixing import LEARNT_METHODS
from ...viz.save import figure_bytes
from ...viz.themes import DARK
from ...zoo.errors import MixzooError
from .context import Context
from .mix_events import PLAIN, MixEvents
from .mix_tab import FIRST, LAM, first_ref
from .pictures import drawings

SIZE, TILE, DPI = (1200, 630), 1.0, 280  # pixels, as chats show it; inches: its words are large
MOST_QUERY = 1000  # bytes of a link's state
CACHED = 64  # about 400 kB each


def drawer(context: Context) -> Callable[[str], bytes]:
    """A function from a link's query to a PNG; what the query doesn't say is as on a fresh page."""
    events = MixEvents(context)

    def read(query: str) -> tuple[Any, ...]:
        said = context.state.said(dict(parse_qsl(query[:MOST_QUERY])))
        ref = said.get("ref") or first_ref(context)
        trained_by = context.models.about(ref).method
        method = said.get("method", trained_by if trained_by in LEARNT_METHODS else PLAIN)
        a, b = (str(said.get(name) or drawings()[FIRST[name]]) for name in FIRST)
        return a, b, method, said.get("lam", LAM), said.get("seed", 0), ref

    @lru_cache(maxsize=CACHED)
    def drawn(*wish: Any) -> bytes:
        _, card = events.portrait(None, *wish, theme=DARK, tile=TILE)
        picture = Image.open(BytesIO(figure_bytes(card, dpi=DPI)))
        file = BytesIO()
        ImageOps.pad(picture.convert("RGB"), SIZE, color=DARK.ground).save(file, "PNG")
        return file.getvalue()

    def draw(query: str) -> bytes:
        try:
            return drawn(*read(query))
        except MixzooError:  # such as an unknown method: the page opens all the same
            return drawn(*read(""))

    return draw
