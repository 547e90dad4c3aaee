"""What the tabs of the demo share: benchmarks, checkpoints in memory, the URL's state."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

from ...zoo import shelf
from ...zoo.catalog import Catalog
from ...zoo.checkpoint.load import load_resolved
from ...zoo.errors import UsageError
from ...zoo.nets import Classifier, MixClassifier
from ...zoo.refs import resolve
from . import limits
from .downloads import Downloads
from .settings import Settings
from .state import PageState
from .store import Store

Model = Classifier | MixClassifier
EMBEDDED = "mini"


class Models:
    """The classifiers that were used last, at most `size` of them, for all visitors.

    Only rows of the catalog can be named, never a path, and nothing is downloaded. Loading takes
    turns, so that visitors who want one row wait for a single load.
    """

    def __init__(self, catalog: Catalog, size: int) -> None:
        self._catalog = catalog
        self._size = size
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()

    def available(self) -> list[str]:
        """Ids of the rows whose weights are on this machine or in the package, in table order."""
        return [row.id for own, row in self._catalog if shelf.file(own, row).local]

    def get(self, row_id: str) -> Model:
        """The classifier of a row, in eval mode, shared: don't change it.

        Raises UsageError if it isn't listed or not here, or what loading it raises.
        """
        with self._lock:
            if row_id in self._loaded:
                self._loaded.move_to_end(row_id)
                return self._loaded[row_id]
            if not shelf.file(*self._catalog.row(row_id)).local:
                raise UsageError(
                    f"{row_id} isn't on this machine yet. Choose another checkpoint, or have its "
                    f"owner run: mixzoo zoo download {row_id}"
                )
            while len(self._loaded) >= self._size:  # before loading: never one too many in memory
                self._loaded.popitem(last=False)
            return self._loaded.setdefault(row_id, load_resolved(resolve(row_id, self._catalog)))

    def __len__(self) -> int:
        """How many classifiers are in memory."""
        return len(self._loaded)


@dataclass(frozen=True)
class Context:
    """The benchmarks, the classifiers that visitors share, the page's URL state, the owner's
    settings, and where files of visitors go."""

    catalog: Catalog
    settings: Settings
    store: Store
    downloads: Downloads
    state: PageState = field(default_factory=PageState)

    @cached_property
    def models(self) -> Models:
        """The checkpoints in memory, none at first."""
        return Models(self.catalog, limits.MAX_MODELS)

    @property
    def first_benchmark(self) -> str:
        """The one that tabs begin with: the embedded one, which needs no download."""
        names = list(self.catalog.benchmarks)
        return EMBEDDED if EMBEDDED in names else names[0]
