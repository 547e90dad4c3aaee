"""The 40 invented species of the embedded benchmark: their names, places and numbers.

Kingdoms, phyla and classes are real; every genus and species is invented and says so (`-fabula`,
`-mythus`). A species' position in the table is its `category_id`.
"""

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from typing import Literal

import numpy as np

Split = Literal["train", "val"]
VERSION = "1.0"  # part of every seed and file name: a new look of any picture needs a new version
VAL_COUNT = 25
MOST, FEWEST = 120, 8  # training pictures of the most common and the rarest species

# supercategory: kingdom, phylum, class, {family: {genus: epithets}}
_TREE: dict[str, tuple[str, str, str, dict[str, dict[str, str]]]] = {
    "Arachnida": ("Animalia", "Arthropoda", "Arachnida", {
        "Araneomythidae": {"Araneomythus": "cruciger catenatus"},
    }),
    "Insecta": ("Animalia", "Arthropoda", "Insecta", {
        "Papilofabulidae": {"Papilofabula": "caudata fasciata ocellata simplex"},
        "Coccimythidae": {"Coccimythus": "quaternarius senarius vittatus"},
    }),
    "Actinopterygii": ("Animalia", "Chordata", "Actinopterygii", {
        "Piscifabulidae": {
            "Piscifabula": "bicincta tricincta",
            "Torpedomythus": "lineatus guttatus",
        },
    }),
    "Amphibia": ("Animalia", "Chordata", "Amphibia", {
        "Ranafabulidae": {"Ranafabula": "lineata guttata ephippiata"},
    }),
    "Aves": ("Animalia", "Chordata", "Aves", {
        "Passerofabulidae": {"Passerofabula": "torquata pileata alifera"},
        "Strigomythidae": {"Strigomythus": "auritus cordifrons"},
    }),
    "Mammalia": ("Animalia", "Chordata", "Mammalia", {
        "Vulpifabulidae": {"Vulpifabula": "simplex larvata albifrons"},
    }),
    "Reptilia": ("Animalia", "Chordata", "Reptilia", {
        "Lacertomythidae": {"Lacertomythus": "lineatus ocellatus zonatus"},
    }),
    "Mollusca": ("Animalia", "Mollusca", "Gastropoda", {
        "Cochlefabulidae": {"Cochlefabula": "unicincta bicincta nuda"},
    }),
    "Fungi": ("Fungi", "Basidiomycota", "Agaricomycetes", {
        "Agarifabulidae": {
            "Agarifabula": "guttata calva",
            "Conomythus": "annulatus simplex",
        },
    }),
    "Plantae": ("Plantae", "Tracheophyta", "Magnoliopsida", {
        "Bellifabulidae": {"Bellifabula": "quinaria septenaria denaria"},
        "Tulifabulidae": {"Tulifabula": "simplex flammea marginata"},
    }),
}  # fmt: skip


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


def generator(*key: str | int) -> np.random.Generator:
    """The random generator that belongs to a key, the same on every machine."""
    digest = hashlib.sha256(":".join(["mixzoo mini", VERSION, *map(str, key)]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@cache
def species() -> tuple[Species, ...]:
    """All species in the order of their ids. Training counts fall geometrically by rank."""
    places = [
        (supercategory, *taxa, family, genus, epithet)
        for supercategory, (*taxa, families) in _TREE.items()
        for family, genera in families.items()
        for genus, epithets in genera.items()
        for epithet in epithets.split()
    ]
    ranks = generator("ranks").permutation(len(places)).tolist()
    return tuple(
        Species(
            id=i,
            name=f"{genus} {epithet}",
            supercategory=supercategory,
            kingdom=kingdom,
            phylum=phylum,
            class_=class_,
            order=f"{family.removesuffix('idae')}iformes",
            family=family,
            genus=genus,
            train_count=round(MOST * (FEWEST / MOST) ** (rank / (len(places) - 1))),
        )
        for i, (
            (supercategory, kingdom, phylum, class_, family, genus, epithet),
            rank,
        ) in enumerate(zip(places, ranks, strict=True))
    )
