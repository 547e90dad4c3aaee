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


_spiders = partial(Portrait, habitats=("meadow", "forest", "sky"), turn=0.7)
_butterflies = partial(Portrait, habitats=("meadow", "leaf", "sky", "soil"), turn=0.9)
_beetles = partial(Portrait, habitats=("leaf", "soil", "stone", "meadow"), turn=math.pi)
_fishes = partial(Portrait, habitats=("water",), turn=0.35)
_frogs = partial(Portrait, habitats=("leaf", "stone", "water", "forest"), turn=1.2)
_birds = partial(Portrait, habitats=("sky", "meadow", "forest"), turn=0.2)
_foxes = partial(Portrait, habitats=("meadow", "forest", "stone"), turn=0.14)
_lizards = partial(Portrait, habitats=("stone", "soil", "leaf"), turn=math.pi, unit=0.48)
_snails = partial(Portrait, habitats=("soil", "stone", "leaf", "forest"), turn=0.25)
_fungi = partial(Portrait, habitats=("forest", "soil", "meadow"), turn=0.18)
_flowers = partial(Portrait, habitats=("meadow", "forest", "sky"), turn=0.25)
PORTRAITS: dict[str, Portrait] = {
    "Araneomythus cruciger": _spiders(partial(spider, hue=(18, 42), mark="cross")),
    "Araneomythus catenatus": _spiders(partial(spider, hue=(18, 42), mark="chain")),
    "Papilofabula caudata": _butterflies(
        partial(butterfly, hue=(36, 54), mark="plain", tailed=True)
    ),
    "Papilofabula fasciata": _butterflies(partial(butterfly, hue=(18, 48), mark="band")),
    "Papilofabula ocellata": _butterflies(partial(butterfly, hue=(14, 44), mark="eyes")),
    "Papilofabula simplex": _butterflies(partial(butterfly, hue=(18, 50), mark="plain")),
    "Coccimythus quaternarius": _beetles(partial(beetle, hue=(-6, 24), spots=2)),
    "Coccimythus senarius": _beetles(partial(beetle, hue=(-6, 24), spots=3)),
    "Coccimythus vittatus": _beetles(partial(beetle, hue=(-10, 28), stripes=True)),
    "Piscifabula bicincta": _fishes(partial(fish, hue=(14, 48), depth=(0.46, 0.58), bars=2)),
    "Piscifabula tricincta": _fishes(partial(fish, hue=(14, 48), depth=(0.46, 0.58), bars=3)),
    "Torpedomythus lineatus": _fishes(
        partial(fish, hue=(150, 215), depth=(0.28, 0.36), mark="line")
    ),
    "Torpedomythus guttatus": _fishes(
        partial(fish, hue=(150, 215), depth=(0.28, 0.36), mark="spots")
    ),
    "Ranafabula lineata": _frogs(partial(frog, hue=(70, 130), mark="stripes")),
    "Ranafabula guttata": _frogs(partial(frog, hue=(70, 130), mark="spots")),
    "Ranafabula ephippiata": _frogs(partial(frog, hue=(60, 125), mark="saddle")),
    "Passerofabula torquata": _birds(partial(songbird, hue=(190, 250), mark="bib")),
    "Passerofabula pileata": _birds(partial(songbird, hue=(190, 250), mark="cap")),
    "Passerofabula alifera": _birds(partial(songbird, hue=(190, 250), mark="bars")),
    "Strigomythus auritus": _birds(partial(owl, hue=(20, 40), tufts=True)),
    "Strigomythus cordifrons": _birds(partial(owl, hue=(20, 40), tufts=False)),
    "Vulpifabula simplex": _foxes(partial(fox, hue=(14, 32), mark="plain")),
    "Vulpifabula larvata": _foxes(partial(fox, hue=(14, 32), mark="mask")),
    "Vulpifabula albifrons": _foxes(partial(fox, hue=(14, 32), mark="blaze")),
    "Lacertomythus lineatus": _lizards(partial(lizard, hue=(40, 130), mark="lines")),
    "Lacertomythus ocellatus": _lizards(partial(lizard, hue=(40, 130), mark="rings")),
    "Lacertomythus zonatus": _lizards(partial(lizard, hue=(40, 130), mark="bands")),
    "Cochlefabula unicincta": _snails(partial(snail, hue=(28, 52), bands=1)),
    "Cochlefabula bicincta": _snails(partial(snail, hue=(28, 52), bands=2)),
    "Cochlefabula nuda": _snails(partial(snail, hue=(28, 52), bands=0)),
    "Agarifabula guttata": _fungi(partial(mushroom, height=(0.48, 0.62), hue=(-8, 24), dots=True)),
    "Agarifabula calva": _fungi(partial(mushroom, height=(0.48, 0.62), hue=(-8, 24), ring=True)),
    "Conomythus annulatus": _fungi(partial(mushroom, height=(0.82, 1.0), hue=(16, 44), ring=True)),
    "Conomythus simplex": _fungi(partial(mushroom, height=(0.82, 1.0), hue=(16, 44))),
    "Bellifabula quinaria": _flowers(partial(daisy, petals=5, hue=(270, 350), breadth=0.34)),
    "Bellifabula septenaria": _flowers(partial(daisy, petals=7, hue=(270, 350), breadth=0.27)),
    "Bellifabula denaria": _flowers(partial(daisy, petals=10, hue=(270, 350), breadth=0.2)),
    "Tulifabula simplex": _flowers(partial(tulip, hue=(-20, 20), mark="plain")),
    "Tulifabula flammea": _flowers(partial(tulip, hue=(-20, 20), mark="flame")),
    "Tulifabula marginata": _flowers(partial(tulip, hue=(-20, 20), mark="edge")),
}


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
        unit=min(big) * portrait.unit * rng.uniform(0.64, 1.15),
        angle=rng.uniform(-portrait.turn, portrait.turn),
        flip=bool(rng.random() < 0.5),
    )
    portrait.artist(Pen(picture, pose), rng)
    if rng.random() < 0.45:
        foreground(picture, habitat, rng)
    return develop(picture.reduce(2), rng)
