"""Gets assets' exact bytes onto this machine.

`fetch` is the one place that acts: it fills a part file that survives crashes, and moves it into
place once its hash is right. A file under its final name is always whole. Two processes that want
one file take turns; the second finds it done.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from .. import verify
from ..cache import asset_path, cache_root, process_lock_path
from ..catalog import Benchmark, in_package
from ..errors import IntegrityError, MixzooError, SourceError
from ..files import alone, require_space
from ..lock import Asset
from ..parallel import as_they_end
from ..verify import State
from .partial import Partial
from .progress import Progress
from .sources import Location, askable, locations, offline
from .stream import NEWS, LaterError, Patience, clock
from .transfer import CRAWL, transfer

JOBS = 2  # files at once
CONNECTIONS = 4  # ranges of one file at once
SHORT_WAIT = 5.0  # seconds that a source may ask to wait while another can be asked
Done = Literal["already here", "fetched", "fetched again"]  # again: a damaged file was set aside


@dataclass(frozen=True)
class Fetched:
    """What became of one asset: what was done, or the error."""

    asset: Asset
    path: Path
    done: Done | None
    error: MixzooError | None = None


def fetch(benchmark: Benchmark, asset: Asset, *, connections: int = CONNECTIONS) -> Path:
    """Have an asset in the cache, whole and verified, and say where.

    connections: ranges fetched at once, if the source can.
    A damaged file is set aside as `<name>.damaged` first. Raises SourceError or IntegrityError
    naming every source that failed. What has arrived by then, or when interrupted, stays in a part
    file, and the same call goes on from it.
    """
    (one,) = fetch_all([(benchmark, asset)], connections=connections)
    if one.error:
        raise one.error
    return one.path


def fetch_all(
    wanted: Sequence[tuple[Benchmark, Asset]],
    *,
    jobs: int = JOBS,
    connections: int = CONNECTIONS,
) -> Generator[Fetched, None, None]:
    """Fetch several assets, `jobs` at once; yields in the given order, errors too.

    Raises SourceError before anything is fetched if the disk hasn't room for all. Interrupted or
    closed, it stops all transfers, each in a state that the next call goes on from.
    """
    _require_space_for(wanted)
    sizes = [asset.size for _, asset in wanted]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    cancelled = threading.Event()
    name = wanted[0][1].name if len(wanted) == 1 else f"{len(wanted)} files"
    with closing(Progress(name, total)) as progress:
        fetcher = _Fetcher(connections, progress, cancelled)
        found: dict[int, Fetched] = {}
        works = as_they_end(lambda one: fetcher.try_to_fetch(*one), wanted, jobs, cancelled)
        with closing(works) as ended:
            for place in range(len(wanted)):
                while place not in found:
                    number, found[number] = next(ended)
                yield found.pop(place)


def _require_space_for(wanted: Sequence[tuple[Benchmark, Asset]]) -> None:
    paths = {asset_path(benchmark.name, asset): asset.size or 0 for benchmark, asset in wanted}
    needed = sum(s - Partial(path).received for path, s in paths.items() if not path.exists())
    root = cache_root()
    folder = next(path for path in (root, *root.absolute().parents) if path.is_dir())
    require_space(folder, needed, "name another folder in MIXZOO_CACHE")


class _Fetcher:
    """Fetches one asset after the other with the same settings; safe in several threads."""

    def __init__(self, connections: int, progress: Progress, cancelled: threading.Event) -> None:
        self._connections, self._progress, self._cancelled = connections, progress, cancelled
        self._patience = Patience(tell=progress.tell)
        self._impatience = Patience(SHORT_WAIT, CRAWL, progress.tell)

    def try_to_fetch(self, benchmark: Benchmark, asset: Asset) -> Fetched:
        """Fetch, with an error as a result."""
        path = asset_path(benchmark.name, asset)
        try:
            return Fetched(asset, path, self.fetch(benchmark, asset))
        except MixzooError as error:
            return Fetched(asset, path, None, error)

    def fetch(self, benchmark: Benchmark, asset: Asset) -> Done:
        """See the function `fetch`."""
        path = asset_path(benchmark.name, asset)
        if _is_wanted(path, asset):
            with _explained(path), self._alone(benchmark, asset):
                state = _is_wanted(path, asset)  # another process may have been here
                if state:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if state is State.DAMAGED:
                        verify.set_aside(path)
                    # without a locked hash, that of the first use stands in
                    sha256 = asset.sha256 or verify.first_use(path)
                    self._fill(benchmark, msgspec.structs.replace(asset, sha256=sha256), path)
                    if sha256 is None:
                        self._progress.tell(
                            f"{asset.name}: no hash of it is published or locked, so these bytes "
                            "are trusted on first use; their hash is noted, and holds from now on."
                        )
                    return "fetched again" if state is State.DAMAGED else "fetched"
        self._progress.here_already(path.stat().st_size)
        return "already here"

    def _fill(self, benchmark: Benchmark, asset: Asset, path: Path) -> None:
        failures: dict[Location, SourceError | IntegrityError] = {}
        partial, places = Partial(path), deque(locations(benchmark, asset))
        forbidden = offline()
        # with others to ask, nobody is waited for; who asked for it is asked again after all others
        patience = self._patience if len(places) < 2 else self._impatience
        while places:
            location = places.popleft()
            try:
                if isinstance(location.address, Path) and not in_package(location.address, "zoo"):
                    self._progress.tell(f"{asset.name}: copied from {location.address.resolve()}")
                if forbidden and location.is_remote:
                    raise SourceError(
                        f"{asset.name}: isn't here, and {forbidden} forbids to fetch it from "
                        f"{location}. Unset it, or: "
                        f"{benchmark.command('zoo', 'import', 'FILE', '--row', asset.row)}"
                    )
                if isinstance(before := failures.get(location), LaterError):
                    patience = self._patience
                    self._sit_out(location, before.ready)
                return self._complete(location, benchmark, asset, partial, patience)
            except (SourceError, IntegrityError) as error:
                ready = error.ready if isinstance(error, LaterError) else math.inf
                if location not in failures and ready - time.monotonic() <= self._patience.longest:
                    places.append(location)
                failures[location] = error
                if self._cancelled.is_set():
                    break
                if places:
                    self._progress.tell(f"{error} Going on with {places[0]}.")
        if not failures:
            raise SourceError(
                f"{asset.name}: the manifest of {benchmark.name} names no source for it. Add one "
                "under [[sources]], or use --mirror."
            )
        listed = askable(benchmark.manifest)
        *_, last = failures.values()
        said = " ".join(map(str, failures.values()))
        if listed and "got HTTP 404" in said:
            again = benchmark.command("zoo", "lock", benchmark.name)
            said += f" If the release has renamed it, lock its names again: {again}"
        elif listed and "got an offer of" in said:
            again = benchmark.command("zoo", "lock", benchmark.name, "--accept")
            said += f" If the release changed on purpose: {again}"
        if len(failures) > 1:
            said = f"{asset.name}: no source delivered it. {said}"
        raise (IntegrityError if isinstance(last, IntegrityError) else SourceError)(said)

    def _sit_out(self, location: Location, ready: float) -> None:
        """Wait until a source wants to be asked again; an end is noticed at its next answer."""
        wait = max(0.0, ready - time.monotonic())
        if wait > NEWS:
            self._progress.tell(f"{location}: waiting until {clock(wait)}, as it asked.")
        self._cancelled.wait(wait)

    def _complete(
        self,
        location: Location,
        benchmark: Benchmark,
        asset: Asset,
        partial: Partial,
        patience: Patience,
    ) -> None:
        """Complete and verify the part file from one location, and move it into place."""
        while True:
            report, cancelled, many = self._progress.meter(), self._cancelled, self._connections
            sha256 = transfer(asset, location, partial, many, cancelled, report, patience)
            wrong, mixed = _wrong(benchmark, asset, location, sha256, partial), partial.mixed
            if not wrong:
                break
            partial.reset()
            if not mixed:  # else it came in two runs or from two sources: once more from this alone
                raise wrong
        if asset.sha256 is None:
            verify.record_first_use(partial.path, sha256)
        partial.finish()

    @contextmanager
    def _alone(self, benchmark: Benchmark, asset: Asset) -> Iterator[None]:
        """Hold the lock that keeps other processes from fetching the same file meanwhile."""
        told = False

        def waiting() -> None:
            nonlocal told
            if self._cancelled.is_set():
                raise SourceError(
                    f"{asset.name}: stopped while waiting. Run the same command again."
                )
            if not told:
                self._progress.tell(f"{asset.name}: another process is fetching it; waiting.")
            told = True

        with alone(process_lock_path(benchmark.name, asset.name), waiting):
            yield


def _is_wanted(path: Path, asset: Asset) -> State | None:
    """Why a file must be fetched, None if it is here with the right bytes."""
    state = verify.check(path, asset).state
    return state if state in (State.ABSENT, State.DAMAGED) else None


def _wrong(
    benchmark: Benchmark, asset: Asset, location: Location, got: str, partial: Partial
) -> IntegrityError | None:
    """What is wrong with the bytes that came, by the hash, else by the file's own checksums."""
    path, advice, end = partial.path, "run again, or try another source", "."
    if asset.sha256 == got:
        return None
    if asset.sha256 is None:
        wrong = verify.own_sums(partial.part)[0]
        advice += "; if all send the same, the released file itself is damaged"
        if not wrong:
            return None
    else:
        wrong = f"expected sha256 {asset.sha256[:12]}…, got {got[:12]}…"
        if askable(benchmark.manifest):
            again = benchmark.command("zoo", "lock", benchmark.name, "--accept")
            advice, end = f"{advice}; if the release changed on purpose: {again}", ""
        # a lock can't tell a file of the same size and date
        if verify.first_use(path) == asset.sha256:
            advice += f"; if this file changed on purpose, remove {verify.first_use_record(path)}"
            end = "."
    return IntegrityError(
        f"{asset.name} from {location}: {wrong}. The partial file was removed; {advice}{end}"
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line; what has arrived stays."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{error.filename or path}: cannot be written: {error.strerror or error}. Make room, "
            "or name a folder of yours in MIXZOO_CACHE, and run again; what has arrived is kept."
        ) from None
