"""The drawn pictures that a visitor can begin with."""

import filecmp
from dataclasses import dataclass
from pathlib import Path

from ...zoo.cache import cache_root
from ...zoo.files import replacing
from ...zoo.mini import example, species
from ...zoo.mini.species import VERSION

# name: (species, number of its validation picture); one of each kind that the benchmark draws
DRAWN = {
    "fox": (21, 0),
    "butterfly": (4, 0),
    "bird": (18, 0),
    "mushroom": (30, 0),
    "frog": (15, 0),
    "daisy": (36, 1),
    "owl": (20, 0),
    "fish": (11, 0),
    "ladybird": (6, 1),
    "tulip": (39, 0),
    "lizard": (26, 0),
    "snail": (28, 0),
}


@dataclass(frozen=True)
class Example:
    """A drawn picture: its name in URLs and files, its species, its PNG file."""

    name: str
    species_id: int
    number: int
    path: Path

    @property
    def title(self) -> str:
        """What a visitor reads."""
        return f"{self.name} ({species()[self.species_id].name})"


def examples() -> list[Example]:
    """The pictures, written below the cache where they aren't there yet.

    Each file holds exactly the pixels of `mixzoo.zoo.mini.example(species_id, number)`.
    """
    folder = examples_folder()
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (species_id, number) in DRAWN.items():
        one = Example(name, species_id, number, folder / f"{name}.png")
        if not one.path.exists():
            with replacing(one.path) as file:
                example(species_id, number).save(file, "PNG")
        drawn.append(one)
    return drawn


def drawn_as(path: Path) -> tuple[int, int] | None:
    """Species and number of the example that a file is a copy of; None for any other file."""
    original = examples_folder() / path.name
    if path.stem not in DRAWN or not original.is_file():
        return None
    return DRAWN[path.stem] if filecmp.cmp(path, original, shallow=False) else None


def examples_folder() -> Path:
    """Where they are kept; a new look of the drawings is kept apart."""
    return cache_root() / "demo" / f"examples-{VERSION}"
