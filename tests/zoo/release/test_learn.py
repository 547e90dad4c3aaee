"""A row's file that no lock names is asked of its release: once, told, kept, and never guessed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import Catalog, open_catalog
from mixzoo.zoo.errors import SourceError, UnsettledError
from mixzoo.zoo.release.learn import files_of_row
from mixzoo.zoo.shelf import note_adoption

from ...emulator.github import GitHub

REPOSITORY, TAG = "Westlake-AI/openmixup", "mixup-inat2018-weights"
ROW, OTHER = "resnet50.mixup_inat2018", "resnet50.cutmix_inat2018"


@pytest.fixture
def github(github: GitHub) -> GitHub:
    """With weights and a log of one row, and weights of another."""
    release = github.release(REPOSITORY, TAG)
    for name in ("r50_mixup.pth", "r50_mixup.log.json", "r50_cutmix.pth"):
        github.upload(release, name, name.encode())
    return github


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MIXZOO_LOCKS, which isn't there yet."""
    monkeypatch.setenv("MIXZOO_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


def asked(github: GitHub) -> int:
    return sum("/releases/tags/" in one.path for one in github.emulator.front.requests)


def lock_in(locks: Path, *names: str, row: str = ROW) -> None:
    """A lock that knows these weights."""
    assets = [{"row": row, "kind": "weights", "name": name, "size": 3} for name in names]
    locks.mkdir()
    content = {"format": 1, "benchmark": "inat2018", "assets": assets}
    (locks / "inat2018.lock.json").write_text(json.dumps(content))


def test_release_is_asked_once_for_all_rows(
    github: GitHub, locks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names of all its files are kept, in one line, and known from then on."""
    catalog = open_catalog()

    _, _, (weights,) = files_of_row(catalog, ROW)
    _, _, (log,) = files_of_row(catalog, ROW, ("log", "text_log"))
    _, _, (other,) = files_of_row(open_catalog(), OTHER)

    said = capsys.readouterr().err
    assert (weights.name, log.name, other.name) == (
        "r50_mixup.pth",
        "r50_mixup.log.json",
        "r50_cutmix.pth",
    )
    assert asked(github) == 1
    assert said.count("\n") == 1
    assert str(locks / "inat2018.lock.json") in said
    assert f"{REPOSITORY}@{TAG}" in said


def test_what_is_known_stays(github: GitHub, locks: Path) -> None:
    """An entry of the lock is never changed by asking, only others added to it."""
    lock_in(locks, "mine.pth")

    catalog = open_catalog()
    files_of_row(catalog, OTHER)

    benchmark = open_catalog().benchmark("inat2018")
    assert [a.name for a in benchmark.assets if a.row == ROW and a.kind == "weights"] == [
        "mine.pth"
    ]
    assert benchmark.lock == catalog.benchmark("inat2018").lock


def test_imported_file_stays_its_rows(github: GitHub, locks: Path) -> None:
    """What a person gave to a row isn't displaced by the release's file."""
    benchmark, _ = open_catalog().row(ROW)
    lock_in(locks, "mine.pth")
    mine = open_catalog().benchmark("inat2018").assets[0]
    (locks / "inat2018.lock.json").unlink()
    path = asset_path("inat2018", mine)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    note_adoption(benchmark, mine)

    files_of_row(open_catalog(), OTHER)
    _, _, (weights,) = files_of_row(open_catalog(), ROW)

    assert weights.name == "mine.pth"


def test_row_without_a_file_is_asked_for_once(github: GitHub, locks: Path) -> None:
    """One process asks once, however many rows the release doesn't have; both ways on are told."""
    catalog = open_catalog()

    for row in ("resnet50.fmix_inat2018", "resnet50.samix_inat2018"):
        with pytest.raises(SourceError, match="mixzoo zoo lock inat2018 --dry-run") as caught:
            files_of_row(catalog, row)
        assert f"mixzoo zoo lock inat2018 --assign FILE={row}" in str(caught.value)
        assert f"mixzoo zoo import FILE --row {row}" in str(caught.value)

    assert asked(github) == 1


def test_doubt_is_a_question_with_its_commands(github: GitHub, locks: Path) -> None:
    """Two files that could be a row's: none is taken, and each answer is a whole command."""
    github.upload(github.releases[0], "resnet50_mixup.pth", b"other")

    with pytest.raises(UnsettledError) as caught:
        files_of_row(open_catalog(), ROW)

    commands = [" ".join(["mixzoo", *words]) for words in caught.value.answers.values()]
    assert set(caught.value.answers) == {"r50_mixup.pth", "resnet50_mixup.pth"}
    assert all(command in str(caught.value) for command in commands)
    assert f"--assign r50_mixup.pth={ROW}" in commands[0]


def test_question_for_weights_offers_no_log(github: GitHub, locks: Path) -> None:
    """A log of the same strange name can't be the answer."""
    for ending in (".pth", ".log.json"):
        github.upload(github.releases[0], f"r50_birdsong{ending}", b"other")

    with pytest.raises(UnsettledError) as caught:
        files_of_row(open_catalog(), "resnet50.fmix_inat2018")

    assert list(caught.value.answers) == ["r50_birdsong.pth"]


def test_another_process_that_has_asked_is_believed(github: GitHub, locks: Path) -> None:
    """A catalog that was opened before reads the lock again before it asks."""
    early = open_catalog()
    files_of_row(open_catalog(), ROW)

    _, _, (weights,) = files_of_row(early, ROW)

    assert weights.name == "r50_mixup.pth"
    assert asked(github) == 1


@pytest.mark.parametrize("why", ["offline", "unreachable", "nothing to ask"])
def test_way_by_hand_is_told_where_none_can_be_asked(
    why: str, monkeypatch: pytest.MonkeyPatch, write_benchmark: Callable[..., Path]
) -> None:
    """The reason, the page, and the command that takes what a person fetched."""
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://mirror.example")
    if why == "offline":
        monkeypatch.setenv("MIXZOO_OFFLINE", "1")
    nowhere = write_benchmark("")
    catalog: Catalog = open_catalog([nowhere])
    row = "resnet18_w4.vanilla_own" if why == "nothing to ask" else ROW

    with pytest.raises(SourceError) as caught:
        files_of_row(catalog, row)

    said = str(caught.value)
    assert "\n" not in said
    assert f"mixzoo zoo import FILE --row {row}" in said
    if why == "nothing to ask":
        assert said.endswith(f"--manifest {nowhere}")
    else:
        assert f"https://mirror.example/{REPOSITORY}/releases/tag/{TAG}" in said
        assert "wy2v" in said
