"""The Mix tab's functions without a page: strips, pairings, and what saved pictures say."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from mixzoo.app.demo.context import Context
from mixzoo.app.demo.downloads import Downloads
from mixzoo.app.demo.mix_events import EMPTY, LARGEST_SEED, MixEvents
from mixzoo.app.demo.mix_tab import first_ref
from mixzoo.app.demo.mixing import paired
from mixzoo.app.demo.pictures import drawings, read_picture
from mixzoo.app.demo.settings import Settings
from mixzoo.app.demo.store import Store
from mixzoo.viz.mix import mix_pair
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.mini import NAMED, species
from PIL import Image

from ...mini_rows import AUTOMIX, MIXUP, PROTOCOL, SAMIX


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """What the page's tabs share, by what its owner wants."""

    def make(**wanted: object) -> Context:
        settings = Settings(**wanted)
        store = Store(tmp_path / "store")
        return Context(open_catalog(settings.manifests), settings, store, Downloads(()))

    return make


@pytest.fixture
def pair() -> tuple[str, str]:
    """Fox and owl."""
    return str(drawings()["fox"]), str(drawings()["owl"])


def strip(row: dict) -> np.ndarray:
    """A row of thumbnails, as pixels."""
    _, _, content = row["image"].partition("base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def test_first_sight_is_mixed_as_each_method_does(context, pair) -> None:
    """SAMix, AutoMix, CutMix, MixUp at five lams, each by its own network; another method that is
    chosen has a row, too."""
    events = MixEvents(context())
    shown = events.show(None, *pair, "fmix", 0.5, 0, SAMIX)

    strips = shown[5]

    assert [row["method"] for row in strips["rows"]] == [
        "samix",
        "automix",
        "cutmix",
        "mixup",
        "fmix",
    ]
    about = events._context.models
    protocol = about.about(AUTOMIX).protocol
    crops = [read_picture(one, protocol).crop for one in pair]
    how = {"model": about.get(AUTOMIX), "protocol": protocol}
    mixes = mix_pair(*crops, "automix", strips["lams"], **how)
    expected = np.concatenate([one.image for one in mixes], axis=1)
    assert np.abs(strip(strips["rows"][1]).astype(int) - expected).mean() < 6  # WebP loses little


def test_only_what_has_changed_is_made_again(context, pair) -> None:
    """A new lam leaves the thumbnails and the caption alone; a new picture gives new thumbnails."""
    events, skipped = MixEvents(context()), gr.skip()
    now, *_ = events.show(None, *pair, "samix", 0.5, 0, SAMIX)

    same = events.show(now, *now)
    _, *moved = events.show(now, *pair, "samix", 0.6, 0, SAMIX)
    _, *swapped = events.show(now, pair[1], pair[0], "samix", 0.5, 0, SAMIX)

    assert all(one == skipped for one in same)
    assert moved[4] == moved[5] == skipped
    assert moved[6] != skipped
    assert swapped[4]["rows"]
    empty = events.show(now, None, pair[1], "samix", 0.5, 0, SAMIX)
    assert empty[5] is None
    assert empty[7:] == EMPTY


def test_true_names_stand_where_they_are_known(context, pair, tmp_path: Path) -> None:
    """Of a drawing, whose species the network learnt; not of a visitor's own picture."""
    own = tmp_path / "own.png"
    with Image.open(pair[0]) as image:
        image.resize((200, 200)).save(own)
    events = MixEvents(context())

    *_, top_a, _, top_b, _, _ = events.show(None, str(own), pair[1], "mixup", 0.5, 0, MIXUP)

    assert top_a["label"] == "Seen in A"
    assert top_b["label"] == f"Seen in B: truly {species()[NAMED['owl'][0]].name}"


def test_own_network_is_chosen_before_the_packages(context, tmp_path: Path) -> None:
    """SAMix of the package at first; the owner's reference before it."""
    assert first_ref(context()) == SAMIX
    assert first_ref(context(refs=(MIXUP, AUTOMIX))) == MIXUP


def test_saved_pictures_say_how_they_were_made(context, pair) -> None:
    """The card, the mix alone and grids: a name that says it, and a command that makes it again."""
    events = MixEvents(context())
    wish = (*pair, "automix", 0.25, 3, AUTOMIX)

    card, mixed = events.card(None, *wish), events.mix(*wish)[0]
    curve = events.grid(*pair, [], "curve", *wish[2:], "dark")

    assert Path(card).name == "fox-owl-automix-lam0.25-seed3.png"
    assert Path(curve).name == "fox-owl-automix-lam0.25-seed3-curve.png"
    for path in (card, mixed, curve):
        with Image.open(path) as image:
            width, text = image.width, image.text
        assert (width == PROTOCOL.crop) if path == mixed else (width > 1000)
        assert text["Title"] == "fox.png and owl.png, mixed by AutoMix"
        assert "--methods automix --lams 0.25 --seed 3" in text["Command"]


def test_choices_are_settled_before_they_are_shown(context, pair) -> None:
    """A picture saved, played or drawn at once after a choice is the one that the page comes to."""
    events = MixEvents(context())
    shown, wish = (*pair, "samix", 0.5, 0, SAMIX), (*pair, "automix", 0.5, 0, SAMIX)
    settled = (*pair, "automix", 0.5, 0, AUTOMIX)

    assert events.show(shown, *wish)[0] == settled
    assert Path(events.card(shown, *wish)).read_bytes() == (
        Path(events.card(settled, *settled)).read_bytes()
    )
    assert events.film(shown, *wish) == events.film(settled, *settled)
    assert "automix" in Path(events.grid(*pair, [], "maps", *wish[2:], "light", "turn", shown)).name


def test_film_shows_every_lam(context, pair) -> None:
    """Frames side by side, from B to A."""
    events = MixEvents(context())

    film = events.film(None, *pair, "mixup", 0.5, 0, MIXUP)

    frames, side = strip(film), PROTOCOL.crop
    assert film["lams"][0] == 0
    assert film["lams"][-1] == 1
    assert frames.shape == (side, side * len(film["lams"]), 3)
    for place, file in ((slice(0, side), pair[1]), (slice(-side, None), pair[0])):
        crop = read_picture(file, PROTOCOL).crop
        assert np.abs(frames[:, place].astype(int) - crop).mean() < 6


@pytest.mark.parametrize(
    ("pairing", "pairs"),
    [
        ("turn", ["ab", "cd", "ea"]),
        ("a", ["ab", "ac", "ad", "ae"]),
        ("each", ["ab", "ac", "ad", "ae", "bc", "bd", "be", "cd", "ce", "de"]),
    ],
)
def test_pairings(pairing: str, pairs: list[str]) -> None:
    """In turn, the first with each, each with each."""
    assert ["".join(pair) for pair in paired("abcde", pairing)] == pairs


def test_compared_pair_fits(context, pair) -> None:
    """Of method and checkpoint of the other picture the one that was chosen last stays."""
    events = MixEvents(context())
    shown = (*pair, "samix", 0.3, 0, SAMIX)

    _, told, last, *_ = events.compare(True, shown, None, "automix", SAMIX)
    _, _, after, *_ = events.compare(True, shown, last, "automix", MIXUP)

    assert told.startswith(f"Left: SAMix ({SAMIX}). Right: AutoMix ({AUTOMIX}).")
    assert last == ("automix", AUTOMIX)
    assert after == ("mixup", MIXUP)
    assert all(one == gr.skip() for one in events.compare(False, shown, None, "mixup", MIXUP))


def test_drawn_lam_is_of_the_next_seed(context) -> None:
    """Each draw is another one, and can be had again."""
    events = MixEvents(context())

    assert events.draw(1.0, 4) == events.draw(1.0, 4)
    assert events.draw(1.0, 4)[1] == 5
    assert events.draw(1.0, LARGEST_SEED)[1] < LARGEST_SEED


def test_transparent_picture_is_shown_as_it_is_mixed(context, pair, tmp_path: Path) -> None:
    """Without its transparency, as in evaluation: the slot gets the pixels that are mixed."""
    pixels = np.random.default_rng(0).integers(0, 256, (150, 150, 4), np.uint8)
    file = tmp_path / "glass.png"
    Image.fromarray(pixels).save(file)

    _, a, b, *_ = MixEvents(context()).show(None, str(file), pair[1], "mixup", 0.5, 0, MIXUP)

    assert Path(a).name == "glass.png"
    with Image.open(a) as shown:
        assert shown.mode == "RGB"
        assert np.array_equal(np.asarray(shown), pixels[..., :3])
    assert b == gr.skip()
