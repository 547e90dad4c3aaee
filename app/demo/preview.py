"""The picture that a chat shows of a link: the mix that the link's page opens with."""

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qsl

from PIL import Image, ImageDraw, ImageFont

from ...eval.pixels import Pixels
from ...train.mixing import LEARNT_METHODS
from ...viz.mix import mix_pair
from ...viz.themes import DARK
from ...zoo.errors import MixzooError
from .context import Context
from .mix_events import PLAIN
from .mix_tab import FIRST, LAM, first_ref
from .pictures import drawings, read_picture

SIZE, SIDE, EDGE = (1200, 630), 368, 24  # pixels: as chats show it, a picture's side, between them
MOST_QUERY = 1000  # bytes of a link's state
CACHED = 64  # about 100 kB each


def drawer(context: Context) -> Callable[[str], bytes]:
    """A function from a link's query to a PNG; what the query doesn't say is as on a fresh page."""

    def read(query: str) -> tuple[str, str, str, float, int, str]:
        said = context.state.said(dict(parse_qsl(query[:MOST_QUERY])))
        offer = context.models.about(said.get("ref") or first_ref(context))
        method = said.get("method", offer.method if offer.method in LEARNT_METHODS else PLAIN)
        if method in LEARNT_METHODS:
            offer = context.models.of_method(method, offer) or offer
        a, b = (str(said.get(name) or drawings()[FIRST[name]]) for name in FIRST)
        return a, b, method, said.get("lam", LAM), said.get("seed", 0), offer.ref

    @lru_cache(maxsize=CACHED)
    def drawn(a: str, b: str, method: str, lam: float, seed: int, ref: str) -> bytes:
        protocol = context.models.about(ref).protocol
        crop_a, crop_b = (read_picture(file, protocol).crop for file in (a, b))
        a, b = Path(a).stem, Path(b).stem
        model = context.models.get(ref)
        [pair] = mix_pair(crop_a, crop_b, method, [lam], seed=seed, model=model, protocol=protocol)
        titles = (a, f"{method}, lam {lam:g}", b)
        words = (
            f"{pair.mask.mean():.0%} of the pixels are the {a}'s; the label says {pair.share:.0%}."
        )
        return _laid_out([crop_a, pair.image, crop_b], titles, words)

    def draw(query: str) -> bytes:
        try:
            return drawn(*read(query))
        except MixzooError:  # such as an unknown method: the page opens all the same
            return drawn(*read(""))

    return draw


def _laid_out(pixels: list[Pixels], titles: tuple[str, ...], words: str) -> bytes:
    """Three squares side by side with a line above and below."""
    page = Image.new("RGB", SIZE, DARK.ground)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(36)
    top = (SIZE[1] - SIDE) // 2
    for place, (square, title) in enumerate(zip(pixels, titles, strict=True)):
        left = EDGE + place * (SIDE + EDGE)
        page.paste(
            Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left, top)
        )
        pen.text((left + SIDE // 2, top - 40), title, DARK.ink, font, anchor="mm")
    pen.text((SIZE[0] // 2, top + SIDE + 56), words, DARK.ink, font, anchor="mm")
    file = BytesIO()
    page.save(file, "PNG")
    return file.getvalue()
