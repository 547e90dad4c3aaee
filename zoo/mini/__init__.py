"""The embedded benchmark: drawn organisms, and small weights trained on them."""

from .dataset import draw, example
from .species import Species, species

__all__ = ["Species", "draw", "example", "species"]
