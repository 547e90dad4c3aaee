"""Archives of released visualisations, as several commands name and show them."""

from collections.abc import Iterator
from pathlib import Path

from ..zoo.catalog import Catalog
from ..zoo.errors import UsageError


def visualisations(ref: str, catalog: Catalog, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The archive file that `ref` names, or else those of a row, fetched if they aren't here.

    suffixes: of names that mean a file also where there is none. Raises UsageError for a row
    without any, and what `fetch` raises.
    """
    from ..zoo.net.fetch import fetch
    from ..zoo.refs import is_path
    from ..zoo.shelf import known_assets

    if is_path(ref) or ref.lower().endswith(suffixes):
        yield Path(ref)
        return
    benchmark, row = catalog.row(ref)
    assets = [a for a in known_assets(benchmark, row) if a.kind == "visualisation"]
    if not assets:
        raise UsageError(
            f"{ref}: no visualisation is locked or imported. Get it by hand (see: mixzoo zoo show "
            f"{ref}), then: mixzoo zoo import FILE --row {ref}"
        )
    for asset in assets:
        yield fetch(benchmark, asset)[0]


def shown(name: str) -> str:
    """A name that can't steer the terminal."""
    return name if name.isprintable() else ascii(name)
