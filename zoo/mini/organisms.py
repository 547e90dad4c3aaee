"""Who is drawn how: each species' artist and habitats, and the painting of one picture."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from .arthropods import beetle, butterfly, spider
from .coldblooded import fish, frog, lizard, snail
from .pen import Pen, Pose
from .plants import daisy, mushroom, tulip
from .scenery import backdrop, develop, foreground
from .warmblooded import fox, owl, songbird

Artist = Callable[[Pen, np.random.Generator], None]
Size = tuple[int, int]


@dataclass(frozen=True)
class Portrait:
    """How a species is shown: its artist, where it lives, how far it may turn (radians)."""

    artist: Artist
    habitats: tuple[str, ...]
    turn: float
    unit: float = 0.44  # unit length as a share of the picture's short side


_GROUND = ("soil", "stone", "leaf", "forest")
_AIR = ("sky", "meadow", "forest")
_BLOOM = ("meadow", "forest", "sky")


def _portraits() -> dict[str, Portrait]:
    spiders = partial(Portrait, habitats=("meadow", "forest", "sky"), turn=0.7)
    butterflies = partial(Portrait, habitats=("meadow", "leaf", "sky", "soil"), turn=0.9)
    beetles = partial(Portrait, habitats=("leaf", "soil", "stone", "meadow"), turn=math.pi)
    fishes = partial(Portrait, habitats=("water",), turn=0.35)
    frogs = partial(Portrait, habitats=("leaf", "stone", "water", "forest"), turn=1.2)
    birds = partial(Portrait, habitats=_AIR, turn=0.2)
    foxes = partial(Portrait, habitats=("meadow", "forest", "stone"), turn=0.14)
    lizards = partial(Portrait, habitats=("stone", "soil", "leaf"), turn=math.pi, unit=0.48)
    snails = partial(Portrait, habitats=_GROUND, turn=0.25)
    fungi = partial(Portrait, habitats=("forest", "soil", "meadow"), turn=0.18)
    flowers = partial(Portrait, habitats=_BLOOM, turn=0.25)
    return {
        "Araneomythus cruciger": spiders(partial(spider, hue=(18, 42), mark="cross")),
        "Araneomythus catenatus": spiders(partial(spider, hue=(18, 42), mark="chain")),
        "Papilofabula caudata": butterflies(
            partial(butterfly, hue=(36, 54), mark="plain", tailed=True)
        ),
        "Papilofabula fasciata": butterflies(partial(butterfly, hue=(18, 48), mark="band")),
        "Papilofabula ocellata": butterflies(partial(butterfly, hue=(14, 44), mark="eyes")),
        "Papilofabula simplex": butterflies(partial(butterfly, hue=(18, 50), mark="plain")),
        "Coccimythus bipunctus": beetles(partial(beetle, hue=(-6, 24), spots=1)),
        "Coccimythus septenus": beetles(partial(beetle, hue=(-6, 24), spots=3)),
        "Coccimythus vittatus": beetles(partial(beetle, hue=(-10, 28), stripes=True)),
        "Piscifabula bicincta": fishes(partial(fish, hue=(14, 48), depth=(0.46, 0.58), bars=2)),
        "Piscifabula tricincta": fishes(partial(fish, hue=(14, 48), depth=(0.46, 0.58), bars=3)),
        "Torpedomythus lineatus": fishes(
            partial(fish, hue=(150, 215), depth=(0.28, 0.36), mark="line")
        ),
        "Torpedomythus guttatus": fishes(
            partial(fish, hue=(150, 215), depth=(0.28, 0.36), mark="spots")
        ),
        "Ranafabula lineata": frogs(partial(frog, hue=(70, 130), mark="stripes")),
        "Ranafabula guttata": frogs(partial(frog, hue=(70, 130), mark="spots")),
        "Ranafabula ephippiata": frogs(partial(frog, hue=(60, 125), mark="saddle")),
        "Passerofabula torquata": birds(partial(songbird, hue=(190, 250), mark="bib")),
        "Passerofabula pileata": birds(partial(songbird, hue=(190, 250), mark="cap")),
        "Passerofabula alifera": birds(partial(songbird, hue=(190, 250), mark="bars")),
        "Strigomythus auritus": birds(partial(owl, hue=(20, 40), tufts=True)),
        "Strigomythus cordifrons": birds(partial(owl, hue=(20, 40), tufts=False)),
        "Vulpifabula simplex": foxes(partial(fox, hue=(14, 32), mark="plain")),
        "Vulpifabula larvata": foxes(partial(fox, hue=(14, 32), mark="mask")),
        "Vulpifabula albifrons": foxes(partial(fox, hue=(14, 32), mark="blaze")),
        "Lacertomythus lineatus": lizards(partial(lizard, hue=(40, 130), mark="lines")),
        "Lacertomythus ocellatus": lizards(partial(lizard, hue=(40, 130), mark="rings")),
        "Lacertomythus zonatus": lizards(partial(lizard, hue=(40, 130), mark="bands")),
        "Cochlefabula unicincta": snails(partial(snail, hue=(28, 52), bands=1)),
        "Cochlefabula bicincta": snails(partial(snail, hue=(28, 52), bands=2)),
        "Cochlefabula nuda": snails(partial(snail, hue=(28, 52), bands=0)),
        "Agarifabula guttata": fungi(
            partial(mushroom, height=(0.48, 0.62), hue=(-8, 24), dots=True)
        ),
        "Agarifabula calva": fungi(partial(mushroom, height=(0.48, 0.62), hue=(-8, 24), ring=True)),
        "Conomythus annulatus": fungi(
            partial(mushroom, height=(0.82, 1.0), hue=(16, 44), ring=True)
        ),
        "Conomythus simplex": fungi(partial(mushroom, height=(0.82, 1.0), hue=(16, 44))),
        "Bellifabula quinaria": flowers(partial(daisy, petals=5, hue=(270, 350), breadth=0.34)),
        "Bellifabula septenaria": flowers(partial(daisy, petals=7, hue=(270, 350), breadth=0.27)),
        "Bellifabula denaria": flowers(partial(daisy, petals=10, hue=(270, 350), breadth=0.2)),
        "Tulifabula simplex": flowers(partial(tulip, hue=(-20, 20), mark="plain")),
        "Tulifabula flammea": flowers(partial(tulip, hue=(-20, 20), mark="flame")),
        "Tulifabula marginata": flowers(partial(tulip, hue=(-20, 20), mark="edge")),
    }


PORTRAITS = _portraits()


def frame(rng: np.random.Generator) -> Size:
    """Width and height in pixels of the next picture: 4:3, 1:1 or 3:4, long side 160 to 200."""
    long, shape = int(rng.integers(160, 201)), int(rng.integers(0, 3))
    short = long * 3 // 4
    return ((long, short), (long, long), (short, long))[shape]


def paint(name: str, rng: np.random.Generator) -> Image.Image:
    """One individual of species `name` as an RGB picture; the size is `rng`'s first `frame`."""
    size, portrait = frame(rng), PORTRAITS[name]
    big = (size[0] * 2, size[1] * 2)
    habitat = portrait.habitats[int(rng.integers(0, len(portrait.habitats)))]
    picture = backdrop(habitat, big, rng)
    pose = Pose(
        x=big[0] * rng.uniform(0.4, 0.6),
        y=big[1] * rng.uniform(0.42, 0.58),
        unit=min(big) * portrait.unit * rng.uniform(0.74, 1.15),
        angle=rng.uniform(-portrait.turn, portrait.turn),
        flip=bool(rng.random() < 0.5),
    )
    portrait.artist(Pen(picture, pose), rng)
    if rng.random() < 0.35:
        foreground(picture, habitat, rng)
    return develop(picture.reduce(2), rng)
