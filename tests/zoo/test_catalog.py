"""Benchmarks from the package and from outside, found by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import ManifestError, UsageError


def test_package_carries_its_benchmarks() -> None:
    """The published benchmarks and the embedded one are there without any setting."""
    catalog = open_catalog()

    assert set(catalog.benchmarks) == {"inat2017", "inat2018", "mini", "places205"}
    assert len(catalog.select(["inat2018"])) == 20


def test_unknown_row_suggests_the_nearest() -> None:
    """A misspelt id is answered with the one that was meant."""
    with pytest.raises(UsageError, match=r"Did you mean 'resnet50\.automix_inat2018'\?"):
        open_catalog().row("resnet50.automx_inat2018")


def test_manifest_path_adds_a_benchmark(write_benchmark: Callable[..., Path]) -> None:
    """A file named on the command line is one more benchmark."""
    path = write_benchmark("", b"weights")

    benchmark, row = open_catalog([path]).row("resnet18_w4.vanilla_own")

    assert benchmark.path == path
    assert benchmark.asset(row.id).name == "w.pth"


def test_environment_adds_files_and_folders(
    write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIXZOO_MANIFESTS takes files and folders; one that is named twice is read once."""
    path = write_benchmark("")
    monkeypatch.setenv("MIXZOO_MANIFESTS", f"{path.parent}:{path}")

    assert "own" in open_catalog([path]).benchmarks


def test_taken_name_is_refused(write_benchmark: Callable[..., Path]) -> None:
    """A second benchmark of one name is an error, never a silent replacement."""
    path = write_benchmark("", benchmark="inat2018")

    with pytest.raises(ManifestError, match=r"'inat2018' is taken by .*inat2018\.toml"):
        open_catalog([path])


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        ({"name": "../w.pth"}, "field 'assets[0].name'"),
        ({"sha256": "ab"}, "field 'assets[0].sha256'"),
        (
            {"row": "resnet50.nothing_own"},
            "expected a row of the manifest, got 'resnet50.nothing_own'",
        ),
    ],
)
def test_wrong_lock_entry_is_named(
    write_benchmark: Callable[..., Path], asset: dict[str, str], message: str
) -> None:
    """A lock can't name a path, a short hash or a row that isn't there."""
    path = write_benchmark("", b"weights", **asset)

    with pytest.raises(ManifestError) as caught:
        open_catalog([path])

    assert "own.lock.json" in str(caught.value)
    assert message in str(caught.value)


def test_own_lock_serves_a_manifest_that_has_none_beside_it(
    write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lock in MIXZOO_LOCKS stands in for one that couldn't be written, until there is one."""
    path = write_benchmark("", b"weights")
    monkeypatch.setenv("MIXZOO_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()
    path.with_name("own.lock.json").rename(tmp_path / "locks" / "own.lock.json")

    benchmark, row = open_catalog([path]).row("resnet18_w4.vanilla_own")
    write_benchmark("", b"other weights", name="published.pth")
    published = open_catalog([path]).benchmark("own").asset(row.id)

    assert benchmark.asset(row.id).name == "w.pth"
    assert published.name == "published.pth"
