"""A lock file says what was seen, in the same bytes each time, and nothing that contradicts it."""

import json
from typing import Any

import pytest
from mixzoo.zoo.catalog import open_catalog, package_path
from mixzoo.zoo.errors import ManifestError
from mixzoo.zoo.lock import Asset, Lock, parse_lock, render_lock

ROW = "resnet50.mixup_inat2018"
INAT = open_catalog().benchmark("inat2018").manifest


def parse(*assets: dict[str, Any], benchmark: str = "inat2018") -> Lock:
    content = {"format": 1, "benchmark": benchmark, "assets": assets}
    return parse_lock(json.dumps(content), "x.lock.json", INAT)


def test_shipped_lock_is_rendered_as_it_is() -> None:
    """Reading and rendering the package's own lock gives its very bytes."""
    path = package_path("manifests") / "mini.lock.json"

    lock = parse_lock(path.read_text(), str(path), open_catalog().benchmark("mini").manifest)

    assert render_lock(lock).encode() == path.read_bytes()


def test_unknown_hash_is_said_aloud() -> None:
    """`sha256: null` stands in the file; other facts that aren't known don't."""
    asset = Asset(row=ROW, kind="weights", name="r50_mixup.pth", size=5)

    content = json.loads(render_lock(Lock(format=1, benchmark="inat2018", assets=[asset])))

    expected = {"row": ROW, "kind": "weights", "name": "r50_mixup.pth", "size": 5, "sha256": None}
    assert content["assets"] == [expected]


def test_release_and_time_of_change_are_kept() -> None:
    """The optional facts of a GitHub asset survive writing and reading."""
    asset = Asset(
        row=ROW,
        kind="weights",
        name="w.pth",
        size=5,
        sha256="0a" * 32,
        hash_from="first use",
        release_id=71,
        updated_at="2022-08-22T03:11:22Z",
    )
    lock = Lock(format=1, benchmark="inat2018", assets=[asset])

    assert parse_lock(render_lock(lock), "x", INAT) == lock


GOOD = {"row": ROW, "kind": "weights", "name": "w.pth"}
WRONG = {
    "a path for a name": ([GOOD | {"name": "../w.pth"}], "field 'assets[0].name'"),
    "a name with a line end": ([GOOD | {"name": "w.pth\n"}], "field 'assets[0].name'"),
    "a name twice": ([GOOD, GOOD], "'w.pth' stands twice"),
    "one name on some disks": ([GOOD, GOOD | {"kind": "log", "name": "W.pth"}], "stands twice"),
    "two weights": ([GOOD, GOOD | {"name": "v.pth"}], "second asset of kind 'weights', 'v.pth'"),
    "an unknown row": ([GOOD | {"row": "resnet50.x_inat2018"}], "expected a row of the manifest"),
    "a short hash": ([GOOD | {"sha256": "0a"}], "sha256"),
    "a local time": ([GOOD | {"updated_at": "2022-08-22 03:11"}], "updated_at"),
}


@pytest.mark.parametrize(("assets", "message"), WRONG.values(), ids=WRONG)
def test_contradictory_lock_is_refused(assets: list[dict[str, Any]], message: str) -> None:
    """An entry that can't be right is named."""
    with pytest.raises(ManifestError) as caught:
        parse(*assets)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_row_may_have_several_visualisations() -> None:
    """Only weights and logs are one to a row."""
    zips = [{"row": ROW, "kind": "visualisation", "name": name} for name in ("a.zip", "b.zip")]

    assert len(parse(*zips).assets) == 2


def test_lock_of_another_benchmark_is_refused() -> None:
    """A lock says which benchmark it is of."""
    with pytest.raises(ManifestError, match="expected 'inat2018', got 'inat2017'"):
        parse(benchmark="inat2017")
