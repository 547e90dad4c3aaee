"""Benchmarks from the package and from outside, found by name."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.catalog import lock_places, new_lock_place, open_catalog, package_path
from mixzoo.zoo.errors import ManifestError, UsageError
from mixzoo.zoo.manifest import FileSource, read_manifest
from mixzoo.zoo.net.sources import locations

from ..mini_rows import VANILLA


def test_package_carries_its_benchmarks() -> None:
    """The published benchmarks and the embedded one are there without any setting."""
    catalog = open_catalog()

    assert set(catalog.benchmarks) == {"inat2017", "inat2018", "mini", "places205"}
    assert len(catalog.select(["inat2018"])) == 20


def test_unknown_row_suggests_the_nearest() -> None:
    """A misspelt id is answered with the one that was meant."""
    with pytest.raises(UsageError, match=r"Did you mean 'resnet50\.automix_inat2018'\?"):
        open_catalog().row("resnet50.automx_inat2018")


def test_unknown_row_of_a_known_benchmark_suggests_one_of_its_rows(
    write_benchmark: Callable[..., Path],
) -> None:
    """However near a row of another benchmark is; without a benchmark the option is named."""
    catalog = open_catalog([write_benchmark("", b"weights")])

    with pytest.raises(UsageError, match=r"Did you mean 'resnet18_w4\.vanilla_own'\?"):
        catalog.row("resnet50.mixup_own")
    with pytest.raises(UsageError, match="A row of your own takes --manifest FILE"):
        open_catalog().row("resnet50.mixup_photos")


def test_rows_of_a_named_manifest_are_suggested_first(write_benchmark: Callable[..., Path]) -> None:
    """Whoever names one means it, although a packaged row may be nearer, but for a mere slip."""
    catalog = open_catalog([write_benchmark("", b"weights")])

    with pytest.raises(UsageError, match=r"Did you mean 'resnet18_w4\.vanilla_own'\? See"):
        catalog.row(VANILLA.removesuffix("_mini"))
    with pytest.raises(UsageError, match=re.escape(f"Did you mean {VANILLA!r}? See")):
        catalog.row(VANILLA[:-1])


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


def test_own_manifest_is_laid_over_a_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror, patterns and rows take a few lines; what they don't say stays the package's.

    `--manifest` lies over MIXZOO_MANIFESTS, which lies over the package.
    """
    mirror, row = tmp_path / "mirror.toml", tmp_path / "row.toml"
    mirror.write_text(
        'name = "inat2018"\nsources = [{kind = "file", path = "disk"}]\n'
        '[matching.methods]\nvanilla = ["baseline"]\n'
        '[[rows]]\nid = "resnet50.mixup_inat2018"\nreported_top1 = 1.0\n'
    )
    row.write_text(
        'name = "inat2018"\n[[rows]]\nid = "resnet50.mixup_inat2018"\nreported_top1 = 2.0\n[[rows]]\n'
        'id = "resnet18.mixup_inat2018"\nmethod = "mixup"\narchitecture = "resnet18"\n'
    )
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(mirror))

    packaged = read_manifest(package_path("manifests") / "inat2018.toml")
    benchmark = open_catalog([row]).benchmark("inat2018")

    manifest = benchmark.manifest
    changed = {one.id: one for one in manifest.rows}
    assert manifest.sources == [FileSource(path=str(tmp_path / "disk")), *packaged.sources]
    assert manifest.matching.methods == packaged.matching.methods | {"vanilla": ["baseline"]}
    assert manifest.matching.kinds == packaged.matching.kinds
    assert list(changed) == [*(one.id for one in packaged.rows), "resnet18.mixup_inat2018"]
    assert changed["resnet50.mixup_inat2018"].reported_top1 == 2.0
    assert changed["resnet50.mixup_inat2018"].alpha == packaged.rows[1].alpha
    assert benchmark.over == (mirror, row)
    assert benchmark.command("zoo", "list") == f"mixzoo zoo list --manifest {row}"


def test_two_whole_benchmarks_of_one_name_are_refused(
    write_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    """Two manifests of a user's own may be alike in name by chance: neither replaces the other."""
    path = write_benchmark("")
    other = tmp_path / "other.toml"
    other.write_text(path.read_text())

    with pytest.raises(ManifestError, match=r"'own' is taken by .*own\.toml"):
        open_catalog([path, other])


BROKEN = {
    "latin-1": b'name = "b\xe4d"',
    "not TOML": b"name = ",
    "deep": b"a = " + b"[" * 20_000,
    "no facts": b'name = "bad"',
    "long number": b"a = " + b"9" * 5_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_manifest_stops_no_other_benchmark(
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is told where everything is listed, and is an error where it is wanted itself."""
    (tmp_path / "bad.toml").write_bytes(content)
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(tmp_path))

    catalog = open_catalog()
    listed = catalog.select([])

    assert {benchmark.name for benchmark, _ in listed} == set(open_catalog().benchmarks)
    assert len(catalog.select(["mini"])) == 10
    assert capsys.readouterr().err.count("bad.toml") == 1
    with pytest.raises(ManifestError, match=r"bad\.toml"):
        catalog.benchmark("bad")
    with pytest.raises(ManifestError, match=r"bad\.toml"):
        open_catalog([tmp_path / "bad.toml"])
    with pytest.raises(UsageError, match=r"No benchmark 'nowhere'\. It may stand in .*bad\.toml"):
        catalog.benchmark("nowhere")


def test_file_over_a_broken_one_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The few lines that were to be laid over it are fine."""
    bad, good = tmp_path / "bad.toml", tmp_path / "good.toml"
    bad.write_text('name = "mini"\ntitle = 5\n')
    good.write_text('name = "mini"\ntitle = "Mine"\n')
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(bad))

    with pytest.raises(ManifestError, match=r"bad\.toml: field 'title'"):
        open_catalog([good])


def test_home_that_nobody_has_is_a_folder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the path of a source, and of the cache."""
    (tmp_path / "mine.toml").write_text(
        'name = "mini"\nsources = [{kind = "file", path = "~nobody-here/x"}]\n'
    )
    monkeypatch.setenv("MIXZOO_CACHE", "~nobody-here/x")

    benchmark = open_catalog([tmp_path / "mine.toml"]).benchmark("mini")

    assert locations(benchmark, benchmark.assets[0])[0].address == (
        tmp_path / "~nobody-here/x" / benchmark.assets[0].name
    )
    assert cache_root() == Path("~nobody-here/x")


@pytest.mark.parametrize(
    "content", [b"\xff\xe4", b"{", b'{"format": 1, "format": 1}', b"[" * 9_999]
)
def test_broken_lock_stops_no_other_benchmark(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that is no UTF-8, or no JSON, is an error of its own benchmark alone."""
    monkeypatch.setenv("MIXZOO_LOCKS", str(tmp_path))
    (tmp_path / "inat2018.lock.json").write_bytes(content)

    catalog = open_catalog()

    assert {"mini", "inat2017"} <= set(catalog.benchmarks)
    with pytest.raises(ManifestError, match=r"inat2018\.lock\.json"):
        catalog.row("resnet50.mixup_inat2018")


def test_lock_is_looked_for_in_one_order(
    write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MIXZOO_LOCKS, beside a manifest of one's own, the settings folder; last, in the package."""
    path, package = write_benchmark(""), package_path("manifests") / "mini.toml"
    settings, named = tmp_path / "config/mixzoo/locks", tmp_path / "named"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIXZOO_LOCKS")
    unnamed = (lock_places(path, "own"), lock_places(package, "mini"))
    new = (new_lock_place(path, "own"), new_lock_place(package, "mini"))

    monkeypatch.setenv("MIXZOO_LOCKS", str(named))

    own, mini = "own.lock.json", "mini.lock.json"
    assert unnamed[0] == [tmp_path / own, settings / own]
    assert unnamed[1] == [settings / mini, package.with_name(mini)]
    assert new == (tmp_path / own, settings / mini)
    assert lock_places(path, "own") == [named / own, tmp_path / own]
    assert lock_places(package, "mini") == [named / mini, package.with_name(mini)]
    assert new_lock_place(path, "own") == named / own
    assert new_lock_place(package, "mini") == named / mini


def test_own_lock_beats_one_beside_the_manifest(
    write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first lock of the order counts, whole; a later one fills no gaps in it."""
    path = write_benchmark("", b"weights")
    monkeypatch.setenv("MIXZOO_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()
    path.with_name("own.lock.json").rename(tmp_path / "locks" / "own.lock.json")
    write_benchmark("", b"other weights", name="published.pth")

    benchmark, row = open_catalog([path]).row("resnet18_w4.vanilla_own")

    assert benchmark.asset(row.id).name == "w.pth"
