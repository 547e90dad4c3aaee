"""Makes the rows of mixed-sample grids: pairs of pictures by methods and by lams."""

from collections.abc import Sequence

from ..zoo.manifest import Protocol
from .grid import Column, Key, Row, Tile
from .pairs import IMAGENET, MixedPair, Model, Pixels, heat_over, mix_pair

Pair = tuple[Pixels, Pixels]
Names = tuple[str, str]

KEY = Key("mask: B", "A", "white line: one half; below a mix: label weights")


def mix_rows(
    pairs: Sequence[Pair],
    methods: Sequence[str],
    lams: Sequence[float],
    *,
    names: Sequence[Names] | None = None,
    seed: int = 0,
    model: Model | None = None,
    protocol: Protocol = IMAGENET,
) -> list[Row]:
    """Rows for `draw_grid`: sources at the left, then every mix above its mask.

    pairs: pictures (H, W, 3) uint8, all of one shape. methods, lams: several methods at one lam
    make a row for each pair and a column for each method; several lams make a row for each pair
    and method and a column for each lam. names: of each pair's pictures. seed: see `mix_pair`; pair
    i uses seed + i. Raises UsageError as `mix_pair`.
    """
    rows = []
    for number, (a, b) in enumerate(pairs):
        mixes = [
            mix_pair(a, b, method, lams, seed=seed + number, model=model, protocol=protocol)
            for method in methods
        ]
        first = source_column(a, b, names[number] if names else None)
        if len(lams) == 1:
            columns = [mix_column(swept[0], swept[0].method) for swept in mixes]
            rows.append(Row((first, *columns), key=KEY))
            continue
        for swept in mixes:
            columns = [mix_column(mixed, f"λ {mixed.lam:g}") for mixed in swept]
            rows.append(Row((first, *columns), label=swept[0].method, key=KEY))
    return rows


def source_column(a: Pixels, b: Pixels, names: Names | None = None) -> Column:
    """A above B, each with its name."""
    named = [
        f"{letter}: {name}" if name else letter
        for letter, name in zip("AB", names or ("", ""), strict=True)
    ]
    return Column((Tile(a, named[0]), Tile(b, named[1])), "sources")


def mix_column(mixed: MixedPair, title: str) -> Column:
    """A mix with its label weights, above the mask that explains it."""
    return Column((mixed_tile(mixed), mask_tile(mixed)), title)


def mixed_tile(mixed: MixedPair) -> Tile:
    """A mix with its label weights."""
    return Tile(mixed.image, f"A {mixed.share:.2f} · B {1 - mixed.share:.2f}")


def mask_tile(mixed: MixedPair) -> Tile:
    """The mask as heat over the mix, with A's part of the area."""
    heat = heat_over(mixed.image, mixed.mask)
    return Tile(heat, f"mask {mixed.mask.mean():.2f} A", contour=mixed.mask)
