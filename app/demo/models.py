"""Checkpoints of listed rows, a few of them kept in memory for all visitors."""

import threading
from collections import OrderedDict

from ...zoo import shelf
from ...zoo.catalog import Catalog
from ...zoo.checkpoint.load import load_resolved
from ...zoo.errors import UsageError
from ...zoo.nets import Classifier, MixClassifier
from ...zoo.refs import resolve

Model = Classifier | MixClassifier


class ModelCache:
    """The classifiers that were used last, at most `size` of them.

    Only rows of the catalog can be named, never a path, and nothing is downloaded. Loading takes
    turns, so that visitors who want one row wait for a single load; what is in memory waits for none.
    """

    def __init__(self, catalog: Catalog, size: int) -> None:
        self._catalog = catalog
        self._size = size
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def available(self) -> list[str]:
        """Ids of the rows whose weights are on this machine or in the package, in table order."""
        return [row.id for benchmark, row in self._catalog if shelf.file(benchmark, row).local]

    def get(self, row_id: str) -> Model:
        """The classifier of a row, in eval mode, shared: don't change it.

        Raises UsageError if it isn't listed or not here, or what loading it raises.
        """
        model = self._known(row_id)
        if model is not None:
            return model
        with self._loading:
            return self._known(row_id) or self._load(row_id)

    def _known(self, row_id: str) -> Model | None:
        with self._lock:
            if row_id in self._loaded:
                self._loaded.move_to_end(row_id)
            return self._loaded.get(row_id)

    def _load(self, row_id: str) -> Model:
        benchmark, row = self._catalog.row(row_id)
        if not shelf.file(benchmark, row).local:
            raise UsageError(
                f"{row_id} isn't on this machine yet. Choose another checkpoint, or have its "
                f"owner run: mixzoo zoo download {row_id}"
            )
        with self._lock:
            while len(self._loaded) >= self._size:  # before loading: never one too many in memory
                self._loaded.popitem(last=False)
        model = load_resolved(resolve(row_id, self._catalog))
        with self._lock:
            self._loaded[row_id] = model
        return model

    def __len__(self) -> int:
        """How many classifiers are in memory."""
        return len(self._loaded)
