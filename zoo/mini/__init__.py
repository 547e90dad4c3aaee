"""The embedded benchmark: drawn organisms, and small weights trained on them."""

from .dataset import NAMED, draw, example, silhouette
from .species import Species, species

__all__ = ["NAMED", "Species", "draw", "example", "silhouette", "species"]
