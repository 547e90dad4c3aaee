"""Planted defects are named first, healthy rows left alone: `benchmarks/defects.py`, less often."""

import json
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The benchmark and the modules beside it, which are part of no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import defects  # pyright: ignore[reportMissingImports]

        yield defects
        for name in ("defects", "planted", "lab"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def lab(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory, mini_images: Path) -> object:
    """Mini's validation images; no small network is trained."""
    return bench.Lab(tmp_path_factory.mktemp("lab"), mini_images)


def test_an_invented_run(bench: ModuleType, lab: object, tmp_path: Path) -> None:
    """At iNaturalist's size: labels sorted as text, one too high; three honest ones aren't accused."""
    cases = islice(bench.Invented(lab, tmp_path).cases(seed=1024), 6)

    outcomes = [bench.asked(planted, lab, try_pixels=False) for planted in cases]

    assert sum(one.is_healthy for one in outcomes) == 3
    assert [one for one in outcomes if not one.is_right] == []


def test_a_row_of_mini(bench: ModuleType, lab: object, tmp_path: Path) -> None:
    """Its weights, its log, its table and its images, one thing wrong in each case."""
    import planted  # pyright: ignore[reportMissingImports]
    import torch

    row = next(lab.rows_of_mini())  # type: ignore[attr-defined]
    rng = torch.Generator().manual_seed(0)
    planter = bench.Planter(lab, tmp_path)
    cases = chain(
        islice(planter.healthy(row), 3),
        islice(planter.labels(row), 4),
        planter.tables(row),
        planter.refused(row),
        (  # made one after another: files are written over
            planter.case(kind, row, state)
            for kind, state in (
                ("untrained batch norms", planted.untrained_statistics(row.state)),
                ("keys left out", planted.left_out(row.state, "layer4.1.", rng)),
                ("keys left out", planted.left_out(row.state, "fc.", rng)),
            )
        ),
    )

    outcomes = [bench.asked(one, lab, try_pixels=False) for one in cases]

    assert len({one.planted for one in outcomes}) >= 7
    assert [(o.planted, o.first) for o in outcomes if not o.is_right] == []


def test_what_was_measured() -> None:
    """With all of them, by the benchmark: what was held out apart."""
    told = json.loads((BENCHMARKS / "results/defects.json").read_text())

    for parts in (told["networks"], told["invented runs"]):
        for part in parts.values():
            assert part["right_first_percent"] >= 95
            assert part["accused_percent"] <= 1
