"""Data in, figure out: pictures of mixed samples and of what is measured.

Each name is imported when it is first used, so that plots of logs and reports don't wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activation import cam_rows, class_activation
    from .attention import BlockMaps, block_maps, map_rows
    from .grid import Column, Key, Row, Tile, draw_grid
    from .mixes import mask_tile, mix_column, mix_rows, mixed_tile, source_column
    from .pairs import MixedPair, heat_over, mix_pair
    from .reference_layout import reference_figure, three_rows
    from .themes import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "BlockMaps",
    "Column",
    "Key",
    "MixedPair",
    "Row",
    "Theme",
    "Tile",
    "block_maps",
    "cam_rows",
    "class_activation",
    "draw_grid",
    "heat_over",
    "map_rows",
    "mask_tile",
    "mix_column",
    "mix_pair",
    "mix_rows",
    "mixed_tile",
    "reference_figure",
    "source_column",
    "three_rows",
]

_MODULES = {
    "activation": ("cam_rows", "class_activation"),
    "attention": ("BlockMaps", "block_maps", "map_rows"),
    "grid": ("Column", "Key", "Row", "Tile", "draw_grid"),
    "mixes": ("mask_tile", "mix_column", "mix_rows", "mixed_tile", "source_column"),
    "pairs": ("MixedPair", "heat_over", "mix_pair"),
    "reference_layout": ("reference_figure", "three_rows"),
    "themes": ("DARK", "LIGHT", "Theme"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
