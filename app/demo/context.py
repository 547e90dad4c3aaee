"""What the tabs of the demo share: benchmarks, checkpoints in memory, the URL's state."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from ...zoo import shelf
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.checkpoint.load import load_resolved
from ...zoo.errors import UsageError
from ...zoo.looks import told_apart
from ...zoo.manifest import Protocol
from ...zoo.nets import Classifier, MixClassifier
from ...zoo.refs import CheckpointFile, is_path, resolve
from ..viz.inputs import PLAIN
from . import limits
from .downloads import Downloads
from .settings import Settings
from .state import PageState
from .store import Store

Model = Classifier | MixClassifier
EMBEDDED = "mini"


@dataclass(frozen=True)
class Offer:
    """A checkpoint that can be chosen. method: that trained it; of a file that is no known row,
    the one whose MixBlock it has, else "". benchmark: of its row, None for such a file."""

    ref: str
    method: str
    benchmark: Benchmark | None

    @property
    def protocol(self) -> Protocol:
        """How pictures are cut for it: as its benchmark does, else as ImageNet's networks want."""
        return self.benchmark.manifest.protocol if self.benchmark else PLAIN

    @property
    def knows_drawings(self) -> bool:
        """Whether its classes are the package's drawn species."""
        return bool(self.benchmark and self.benchmark.manifest.dataset.drawn_by_package)


class Models:
    """The classifiers that were used last, at most `size` of them, for all visitors.

    Visitors can name rows of the catalog and the owner's files by their names, never a path, and
    nothing is downloaded. Loading takes turns, so that visitors who want one row wait for a single
    load.
    """

    def __init__(self, catalog: Catalog, size: int, refs: Iterable[str] = ()) -> None:
        """refs: the owner's: rows that are here, and checkpoint files, which are loaded once.

        Raises UsageError for a row that is unknown or not here, and for a file what `resolve` and
        `load_resolved` raise.
        """
        self._catalog, self._size = catalog, size
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()
        self._files: dict[str, CheckpointFile] = {}
        self._methods: dict[str, str] = {}
        refs = list(dict.fromkeys(refs))
        found = {ref: resolve(ref, catalog) for ref in refs if is_path(ref)}
        unknown = [one.path for one in found.values() if one.row is None]
        # visitors see no more of this machine than tells its files apart
        names = dict(zip(unknown, told_apart([str(p.absolute()) for p in unknown]), strict=True))
        self.chosen: list[str] = []
        """The owner's checkpoints by name, in the order given."""
        for ref in refs:
            file = found.get(ref)
            name = names[file.path] if file and file.row is None else file.name if file else ref
            if file:
                self._files[name] = file
                model = self.get(name)
                self._methods[name] = model.method if isinstance(model, MixClassifier) else ""
            else:
                self._require_here(name)
            self.chosen.append(name)

    def available(self) -> list[str]:
        """The owner's files, then ids of the rows whose weights are on this machine or in the
        package, in table order."""
        rows = [row.id for own, row in self._catalog if shelf.file(own, row).local]
        return list(dict.fromkeys([*self._files, *rows]))

    def about(self, ref: str) -> Offer:
        """What is known of a checkpoint. Raises UsageError for an unknown one."""
        file = self._files.get(ref)
        if file and file.row is None:
            return Offer(ref, self._methods[ref], None)
        benchmark, row = self._catalog.row(ref)
        return Offer(ref, row.method, benchmark)

    def of_method(self, method: str, near: Offer) -> Offer | None:
        """The checkpoint of a method: `near` itself, else one of its benchmark, else any."""
        offers = [near, *map(self.about, self.available())]
        fits = [one for one in offers if one.method == method]
        return min(fits, key=lambda one: one.benchmark != near.benchmark, default=None)

    def get(self, ref: str) -> Model:
        """The classifier of a checkpoint, in eval mode, shared: don't change it.

        Raises UsageError if it isn't listed or not here, or what loading it raises.
        """
        with self._lock:
            if ref in self._loaded:
                self._loaded.move_to_end(ref)
                return self._loaded[ref]
            if ref not in self._files:
                self._require_here(ref)
            while len(self._loaded) >= self._size:  # before loading: never one too many in memory
                self._loaded.popitem(last=False)
            file = self._files.get(ref) or resolve(ref, self._catalog)
            return self._loaded.setdefault(ref, load_resolved(file))

    def __len__(self) -> int:
        """How many classifiers are in memory."""
        return len(self._loaded)

    def _require_here(self, row_id: str) -> None:
        if not shelf.file(*self._catalog.row(row_id)).local:
            raise UsageError(
                f"{row_id} isn't on this machine yet. Choose another checkpoint, or have its "
                f"owner run: mixzoo zoo download {row_id}"
            )


@dataclass(frozen=True)
class Context:
    """The benchmarks, the classifiers that visitors share, the page's URL state, the owner's
    settings, where files of visitors go, and what is called once the page is served."""

    catalog: Catalog
    settings: Settings
    store: Store
    downloads: Downloads
    state: PageState = field(default_factory=PageState)
    warm_ups: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def models(self) -> Models:
        """The checkpoints in memory: none at first but the owner's files.

        Raises what `Models` raises.
        """
        return Models(self.catalog, limits.MAX_MODELS, self.settings.refs)

    @property
    def first_benchmark(self) -> str:
        """The one that tabs begin with: the embedded one, which needs no download."""
        names = list(self.catalog.benchmarks)
        return EMBEDDED if EMBEDDED in names else names[0]
