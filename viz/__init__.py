"""Data in, figure out: pictures of mixed samples."""

from .mixes import Tile, draw_grid, mixed_tile, source_tile

__all__ = ["Tile", "draw_grid", "mixed_tile", "source_tile"]
