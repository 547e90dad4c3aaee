"""Names of a benchmark's classes, by their numbers."""

import json
from contextlib import suppress
from pathlib import Path

from ..cache import data_path
from ..catalog import Benchmark
from ..errors import DataError, MixzooError, wall
from .lists import whole
from .texts import read_text

MOST_CLASSES = 1_000_000


def class_names(benchmark: Benchmark | None, file: Path | None = None) -> list[str]:
    """Names of the classes by index, of all that the benchmark has; `class 17` where none is known.

    For arguments and errors see `known_classes`.
    """
    known = known_classes(benchmark, file)
    count = benchmark.manifest.dataset.num_classes if benchmark else 0
    count = max(count, max(known, default=-1) + 1)
    return [known.get(index, f"class {index}") for index in range(count)]


def known_classes(benchmark: Benchmark | None, file: Path | None = None) -> dict[int, str]:
    """The names that are known.

    file: JSON that is, or has as `categories`, a list of objects with id and name; without one the
    drawn species, the manifest's names, or the `categories.json` in the data set's cache folder,
    where it can be read. Raises DataError if a file that is named isn't such a list, IntegrityError
    for a damaged archive.
    """
    if file is not None:
        return _categories(file)
    if benchmark is None:
        return {}
    dataset = benchmark.manifest.dataset
    if dataset.drawn_by_package:
        from ..mini import species

        return dict(enumerate(one.name for one in species()))
    if not dataset.classes and (kept := data_path(benchmark.name) / "categories.json").is_file():
        with suppress(MixzooError):  # names are an ornament: an odd file takes nothing else away
            return _categories(kept)
    return dict(enumerate(dataset.classes))


def _categories(file: Path) -> dict[int, str]:
    expected = f"{file}: expected JSON categories, each with a whole id and a name"
    text, _ = read_text(file)
    with wall(DataError, expected):
        content = json.loads(text)
        entries = content["categories"] if isinstance(content, dict) else content
        ids = [number for entry in entries if (number := whole(entry["id"])) is not None]
        names = [str(entry["name"]) for entry in entries]
    if len(ids) != len(names) or max(ids, default=0) > MOST_CLASSES:
        raise DataError(f"{expected}, ids from 0 to {MOST_CLASSES:,}. Correct it.")
    return dict(zip(ids, names, strict=True))
