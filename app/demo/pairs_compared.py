"""Paired comparisons of a benchmark's rows, from the predictions that were kept."""

from ...eval.compare import Pair, compare_rows
from ...eval.kept import rows_of_refs
from ...eval.store import of_weights
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import MixzooError
from .recomputed import weights_sha256


def compared(benchmark: Benchmark) -> tuple[tuple[Pair, ...], str | None]:
    """Every two rows with kept predictions on the same images, by the head that inference uses.

    Returns the pairs, none if fewer than two rows can be paired, and why rows can't be, if so.
    """
    kept = [
        row.id
        for row in benchmark.manifest.rows
        if (sha256 := weights_sha256(benchmark, row)) and any(of_weights(sha256))
    ]
    if len(kept) < 2:
        return (), None
    try:
        rows, _ = rows_of_refs(kept, Catalog({benchmark.name: benchmark}))
        return compare_rows(rows), None
    except MixzooError as error:
        return (), str(error)
