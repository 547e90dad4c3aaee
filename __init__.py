"""mixzoo: get a published mixup model's exact weights, recompute its number, see what it learnt.

Importing this package is cheap: torch is imported by the first call that needs a tensor.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["AutoMix", "DataError", "Mixer", "MixzooError", "UsageError", "__version__"]
__all__ += ["load", "transform"]

if TYPE_CHECKING:
    from .eval.pixels import transform
    from .train.automix import AutoMix
    from .train.mixing import Mixer
    from .zoo.checkpoint.load import load
    from .zoo.errors import DataError, MixzooError, UsageError

_WHERE = {
    "AutoMix": ".train.automix",
    "DataError": ".zoo.errors",
    "Mixer": ".train.mixing",
    "MixzooError": ".zoo.errors",
    "UsageError": ".zoo.errors",
    "load": ".zoo.checkpoint.load",
    "transform": ".eval.pixels",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
