"""mixzoo: get a published mixup model's exact weights, recompute its number, see what it learnt.

Importing this package is cheap: torch is imported by the first call that needs a tensor.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from .zoo.checkpoint.load import load


def __getattr__(name: str) -> Any:
    if name == "load":
        from .zoo.checkpoint.load import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
