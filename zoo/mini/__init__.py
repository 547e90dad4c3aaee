"""The embedded benchmark: drawn organisms, and small weights trained on them."""

from .dataset import digest, draw, example
from .species import Species, species

__all__ = ["Species", "digest", "draw", "example", "species"]
