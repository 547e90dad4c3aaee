"""The 40 invented species of the embedded benchmark: their names and places, and how each is drawn.

Kingdoms, phyla and classes are real; every genus and species is invented and says so (`-fabula`,
`-mythus`). A species' position in the table is its `category_id`.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np

from .arthropods import beetle, butterfly, spider
from .coldblooded import fish, frog, lizard, snail
from .pen import Range, Rng
from .plants import daisy, mushroom, tulip
from .warmblooded import fox, owl, songbird

Split = Literal["train", "val"]
VERSION = "2.0"  # part of every seed and file name: a new look of any picture needs a new version
VAL_COUNT = 25
_VARYING = ("hue", "depth", "height")  # what artists draw from a range
MOST, FEWEST = 30, 2  # training pictures of the most common and the rarest species


@dataclass(frozen=True)
class Portrait:
    """How a species is shown: its artist, where it lives, how far it may turn (radians)."""

    artist: partial[None]
    habitats: tuple[str, ...]
    turn: float
    unit: float = 0.44  # unit length as a share of the picture's short side


@dataclass(frozen=True)
class Species:
    """One category with its place in the tree of life, and its number of training pictures."""

    id: int
    name: str
    supercategory: str
    kingdom: str
    phylum: str
    class_: str
    order: str
    family: str
    genus: str
    train_count: int

    def count(self, split: Split) -> int:
        """Number of pictures in a split."""
        return self.train_count if split == "train" else VAL_COUNT

    def category(self) -> dict[str, str | int]:
        """The record that stands in annotation files."""
        record = asdict(self)
        del record["train_count"]
        return {key.rstrip("_"): value for key, value in record.items()}


def generator(*key: str | int) -> Rng:
    """The random generator that belongs to a key, the same on every machine."""
    digest = hashlib.sha256(":".join(["mixzoo mini", VERSION, *map(str, key)]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@cache
def species() -> tuple[Species, ...]:
    """All species in the order of their ids. Training counts fall geometrically by rank."""
    ranks = generator("ranks").permutation(len(_TABLE)).tolist()
    return tuple(
        Species(
            i,
            f"{genus} {epithet}",
            supercategory,
            *_TAXA[supercategory],
            order=f"{family.removesuffix('idae')}iformes",
            family=family,
            genus=genus,
            train_count=round(MOST * (FEWEST / MOST) ** (rank / (len(_TABLE) - 1))),
        )
        for i, ((supercategory, family, genus, epithet, _), rank) in enumerate(
            zip(_TABLE, ranks, strict=True)
        )
    )


@cache
def portraits() -> dict[str, Portrait]:
    """How each species is drawn, by its name.

    What varies in a genus varies in a part of its range in each species, so that species differ in
    all that they show: were it one mark alone, cutting it out would leave no way to tell them.
    """
    found = {}
    for _, _, genus, epithet, portrait in _TABLE:
        kin = [other for _, _, name, other, _ in _TABLE if name == genus]
        own = {
            name: _part(whole, kin.index(epithet), len(kin))
            for name, whole in portrait.artist.keywords.items()
            if name in _VARYING
        }
        artist = partial(portrait.artist, **own)
        found[f"{genus} {epithet}"] = replace(portrait, artist=artist)
    return found


def _part(whole: Range, place: int, parts: int) -> Range:
    """One of the equal parts of a range, reaching a little into its neighbours."""
    step = (whole[1] - whole[0]) / parts
    return whole[0] + step * (place - 0.1), whole[0] + step * (place + 1.1)


def _drawn_by(artist: Callable[..., None], habitats: str, turn: float, **common: Any) -> Any:
    """What makes portraits of one artist's species. common: that all of them share."""
    unit = common.pop("unit", 0.44)

    def portrait(**marks: Any) -> Portrait:
        return Portrait(partial(artist, **common, **marks), tuple(habitats.split()), turn, unit)

    return portrait


_TAXA = {  # supercategory: kingdom, phylum, class
    "Arachnida": ("Animalia", "Arthropoda", "Arachnida"),
    "Insecta": ("Animalia", "Arthropoda", "Insecta"),
    "Actinopterygii": ("Animalia", "Chordata", "Actinopterygii"),
    "Amphibia": ("Animalia", "Chordata", "Amphibia"),
    "Aves": ("Animalia", "Chordata", "Aves"),
    "Mammalia": ("Animalia", "Chordata", "Mammalia"),
    "Reptilia": ("Animalia", "Chordata", "Reptilia"),
    "Mollusca": ("Animalia", "Mollusca", "Gastropoda"),
    "Fungi": ("Fungi", "Basidiomycota", "Agaricomycetes"),
    "Plantae": ("Plantae", "Tracheophyta", "Magnoliopsida"),
}
_spider = _drawn_by(spider, "meadow forest sky", 0.7, hue=(18, 42))
_butterfly = _drawn_by(butterfly, "meadow leaf sky soil", 0.9, hue=(14, 54))
_beetle = _drawn_by(beetle, "leaf soil stone meadow", math.pi, hue=(-10, 28))
_deep_fish = _drawn_by(fish, "water", 0.35, hue=(14, 48), depth=(0.46, 0.58))
_slim_fish = _drawn_by(fish, "water", 0.35, hue=(150, 215), depth=(0.28, 0.36))
_frog = _drawn_by(frog, "leaf stone water forest", 1.2, hue=(60, 130))
_songbird = _drawn_by(songbird, "sky meadow forest", 0.2, hue=(190, 250))
_owl = _drawn_by(owl, "sky meadow forest", 0.2, hue=(20, 40))
_fox = _drawn_by(fox, "meadow forest stone", 0.14, hue=(14, 32))
_lizard = _drawn_by(lizard, "stone soil leaf", math.pi, hue=(40, 130), unit=0.48)
_snail = _drawn_by(snail, "soil stone leaf forest", 0.25, hue=(28, 52))
_dome = _drawn_by(mushroom, "forest soil meadow", 0.18, height=(0.48, 0.62), hue=(-8, 24))
_cone = _drawn_by(mushroom, "forest soil meadow", 0.18, height=(0.82, 1.0), hue=(16, 44))
_daisy = _drawn_by(daisy, "meadow forest sky", 0.25, hue=(270, 350))
_tulip = _drawn_by(tulip, "meadow forest sky", 0.25, hue=(-20, 20))
_TABLE: tuple[tuple[str, str, str, str, Portrait], ...] = (
    ("Arachnida", "Araneomythidae", "Araneomythus", "cruciger", _spider(mark="cross")),
    ("Arachnida", "Araneomythidae", "Araneomythus", "catenatus", _spider(mark="chain")),
    ("Insecta", "Papilofabulidae", "Papilofabula", "caudata",
     _butterfly(mark="plain", tailed=True)),
    ("Insecta", "Papilofabulidae", "Papilofabula", "fasciata", _butterfly(mark="band")),
    ("Insecta", "Papilofabulidae", "Papilofabula", "ocellata", _butterfly(mark="eyes")),
    ("Insecta", "Papilofabulidae", "Papilofabula", "simplex", _butterfly(mark="plain")),
    ("Insecta", "Coccimythidae", "Coccimythus", "quaternarius", _beetle(spots=2)),
    ("Insecta", "Coccimythidae", "Coccimythus", "senarius", _beetle(spots=3)),
    ("Insecta", "Coccimythidae", "Coccimythus", "vittatus", _beetle(stripes=True)),
    ("Actinopterygii", "Piscifabulidae", "Piscifabula", "bicincta", _deep_fish(bars=2)),
    ("Actinopterygii", "Piscifabulidae", "Piscifabula", "tricincta", _deep_fish(bars=3)),
    ("Actinopterygii", "Piscifabulidae", "Torpedomythus", "lineatus", _slim_fish(mark="line")),
    ("Actinopterygii", "Piscifabulidae", "Torpedomythus", "guttatus", _slim_fish(mark="spots")),
    ("Amphibia", "Ranafabulidae", "Ranafabula", "lineata", _frog(mark="stripes")),
    ("Amphibia", "Ranafabulidae", "Ranafabula", "guttata", _frog(mark="spots")),
    ("Amphibia", "Ranafabulidae", "Ranafabula", "ephippiata", _frog(mark="saddle")),
    ("Aves", "Passerofabulidae", "Passerofabula", "torquata", _songbird(mark="bib")),
    ("Aves", "Passerofabulidae", "Passerofabula", "pileata", _songbird(mark="cap")),
    ("Aves", "Passerofabulidae", "Passerofabula", "alifera", _songbird(mark="bars")),
    ("Aves", "Strigomythidae", "Strigomythus", "auritus", _owl(tufts=True)),
    ("Aves", "Strigomythidae", "Strigomythus", "cordifrons", _owl(tufts=False)),
    ("Mammalia", "Vulpifabulidae", "Vulpifabula", "simplex", _fox(mark="plain")),
    ("Mammalia", "Vulpifabulidae", "Vulpifabula", "larvata", _fox(mark="mask")),
    ("Mammalia", "Vulpifabulidae", "Vulpifabula", "albifrons", _fox(mark="blaze")),
    ("Reptilia", "Lacertomythidae", "Lacertomythus", "lineatus", _lizard(mark="lines")),
    ("Reptilia", "Lacertomythidae", "Lacertomythus", "ocellatus", _lizard(mark="rings")),
    ("Reptilia", "Lacertomythidae", "Lacertomythus", "zonatus", _lizard(mark="bands")),
    ("Mollusca", "Cochlefabulidae", "Cochlefabula", "unicincta", _snail(bands=1)),
    ("Mollusca", "Cochlefabulidae", "Cochlefabula", "bicincta", _snail(bands=2)),
    ("Mollusca", "Cochlefabulidae", "Cochlefabula", "nuda", _snail(bands=0)),
    ("Fungi", "Agarifabulidae", "Agarifabula", "guttata", _dome(dots=True)),
    ("Fungi", "Agarifabulidae", "Agarifabula", "calva", _dome(ring=True)),
    ("Fungi", "Agarifabulidae", "Conomythus", "annulatus", _cone(ring=True)),
    ("Fungi", "Agarifabulidae", "Conomythus", "simplex", _cone()),
    ("Plantae", "Bellifabulidae", "Bellifabula", "quinaria", _daisy(petals=5, breadth=0.34)),
    ("Plantae", "Bellifabulidae", "Bellifabula", "septenaria", _daisy(petals=7, breadth=0.27)),
    ("Plantae", "Bellifabulidae", "Bellifabula", "denaria", _daisy(petals=10, breadth=0.2)),
    ("Plantae", "Tulifabulidae", "Tulifabula", "simplex", _tulip(mark="plain")),
    ("Plantae", "Tulifabulidae", "Tulifabula", "flammea", _tulip(mark="flame")),
    ("Plantae", "Tulifabulidae", "Tulifabula", "marginata", _tulip(mark="edge")),
)  # fmt: skip
