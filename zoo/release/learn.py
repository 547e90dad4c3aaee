"""A row's released files; their names are learnt from the release when they are first wanted.

That takes one request, and a line says so. What is learnt is kept in the user's own lock and only
ever added to it: to review it, or to let it change, there is `mixzoo zoo lock`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..cache import process_lock_path
from ..catalog import Benchmark, Catalog, new_lock_place
from ..errors import MixzooError, SourceError, UnsettledError, UsageError, several
from ..files import alone
from ..lock import SINGLE, Asset, Kind, Lock
from ..looks import counted
from ..manifest import Row
from ..net.progress import tell
from ..net.sources import askable, by_hand
from ..shelf import UNLISTED, known_assets
from .inside import look_inside
from .locking import draft, survey, write_lock
from .matching import KINDS, Problem, ending_of


def files_of_row(
    catalog: Catalog, row_id: str, kinds: Sequence[Kind] = ("weights",)
) -> tuple[Benchmark, Row, list[Asset]]:
    """A row's locked or imported files of these kinds, at least one, in the order of `kinds`.

    If none is known, the release is asked, once for all rows.
    Raises UsageError for an unknown row; SourceError, saying what to do, if no file can be named;
    UnsettledError if a person has to say which file it is.
    """
    benchmark, row = catalog.row(row_id)
    unasked: MixzooError | None = None
    if not _known(benchmark, row, kinds) and benchmark.name not in catalog.asked:
        try:
            catalog.asked[benchmark.name] = _ask(catalog, benchmark)
        except SourceError as error:
            unasked = error
        benchmark = catalog.benchmark(benchmark.name)
    if known := _known(benchmark, row, kinds):
        return benchmark, row, known
    if not unasked and askable(benchmark.manifest):
        raise _unsettled(benchmark, row, kinds[0], catalog.asked[benchmark.name])
    places, why = by_hand(benchmark), f"and its release can't be asked: {unasked}"
    why = why if unasked else f"and {UNLISTED}."
    get = f" Get it by hand from {places}, then:" if places else " If you have it:"
    bring = benchmark.command("zoo", "import", "FILE", "--row", row.id)
    raise SourceError(f"{row.id}: no lock names its {_word(kinds[0])}, {why}{get} {bring}")


def _known(benchmark: Benchmark, row: Row, kinds: Sequence[Kind]) -> list[Asset]:
    known = known_assets(benchmark, row)
    return [asset for kind in kinds for asset in known if asset.kind == kind]


def _ask(catalog: Catalog, before: Benchmark) -> list[Problem]:
    """Add to a benchmark's lock what its release says, and return what that leaves unclear."""
    if not askable(before.manifest):
        return []

    def waiting() -> None:
        tell(f"{before.name}: another process asks its release; waiting.")

    with alone(process_lock_path(before.name, "release"), waiting):
        benchmark = catalog.relocked(before.name)
        if benchmark.lock != before.lock:  # another process has asked meanwhile
            return []
        files, problems = survey(benchmark)
        inside = look_inside(benchmark, files)
        drafted = draft(benchmark.manifest, files, problems, benchmark.lock, inside=inside)
        known = known_assets(benchmark)
        names = {asset.name.casefold() for asset in known}
        places = {(asset.row, asset.kind) for asset in known if asset.kind in SINGLE}
        new = [
            asset
            for asset in drafted.lock.assets
            if asset.name.casefold() not in names and (asset.row, asset.kind) not in places
        ]
        origins = several(dict.fromkeys(file.origin for file in files), " and ") or "its release"
        said = f"{benchmark.name}: asked {origins}, which names {counted(len(new), 'new file')} of its rows"
        if new:
            said += f"; kept in {_keep(catalog, benchmark, new)}"
        if drafted.problems:
            review = benchmark.command("zoo", "lock", benchmark.name, "--dry-run")
            said += f". {len(drafted.problems)} things are unclear: {review}"
        tell(said)
        return drafted.problems


def _keep(catalog: Catalog, benchmark: Benchmark, new: Sequence[Asset]) -> str:
    """Add files to a benchmark's lock, here and on the disk, and say where it is kept."""
    order = {row.id: number for number, row in enumerate(benchmark.manifest.rows)}
    assets = sorted(
        [*benchmark.assets, *new],
        key=lambda asset: (order[asset.row], KINDS.index(asset.kind), asset.name),
    )
    lock = Lock(format=1, benchmark=benchmark.name, assets=assets)
    catalog.benchmarks[benchmark.name] = replace(benchmark, lock=lock)
    place = new_lock_place(benchmark.path, benchmark.name)
    try:
        write_lock(place, lock, benchmark.manifest)
    except UsageError as error:
        return f"this process alone, since {error}"
    return str(place)


def _unsettled(
    benchmark: Benchmark, row: Row, kind: Kind, problems: Sequence[Problem]
) -> SourceError:
    """What to do where the release was asked, and doesn't say which file it is."""
    name = benchmark.name
    may_be = [problem.subject for problem in problems if row.id in problem.rows]
    may_be += [
        one for problem in problems if problem.subject == row.id for one in problem.candidates
    ]
    choices = {
        one: ("zoo", "lock", name, "--assign", f"{one}={row.id}")
        for one in dict.fromkeys(may_be)
        if (ending := ending_of(one, benchmark.manifest)) and ending[1] == kind
    }
    if kind != "weights" or not choices:
        review = benchmark.command("zoo", "lock", name, "--dry-run")
        assign = benchmark.command("zoo", "lock", name, "--assign", f"FILE={row.id}")
        bring = benchmark.command("zoo", "import", "FILE", "--row", row.id)
        return SourceError(
            f"{row.id}: no file of the release says that it is its {_word(kind)}. What is unclear: "
            f"{review}  If you know the file: {assign}  If you have it: {bring}"
        )
    said = several((benchmark.command(*words) for words in choices.values()), "  or  ")
    error = UnsettledError(f"{row.id}: which file of the release is its weights? Say it: {said}")
    error.question = f"Which file is the weights of {row.id}?"
    error.answers = {one: [*words, *benchmark.options] for one, words in choices.items()}
    return error


def _word(kind: Kind) -> str:
    return kind.replace("text_", "")
