"""The embedded benchmark: drawn organisms, and small weights trained on them."""

from .dataset import NAMED, draw, example
from .species import Species, species

__all__ = ["NAMED", "Species", "draw", "example", "species"]
