"""What every tab of the demo is given."""

from dataclasses import dataclass

from ...zoo.catalog import Catalog
from .models import ModelCache
from .pictures import Pictures
from .settings import Settings
from .state import PageState


@dataclass(frozen=True)
class Context:
    """The benchmarks, the caches that visitors share, the page's URL state, the owner's settings."""

    catalog: Catalog
    models: ModelCache
    pictures: Pictures
    state: PageState
    settings: Settings
