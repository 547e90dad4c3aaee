"""The embedded benchmark from list to verdict, with no network."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mixzoo
import pytest
import torch
from mixzoo.eval.predictions import Counts, Predictions
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.report import read_report
from mixzoo.zoo.verify import State, check

from ..mini_rows import ASSETS, MINI, PROTOCOL, ROWS, VANILLA, weights

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Path:
    """The first quickstart's predictions, so that the second needs no network to predict."""
    monkeypatch.setenv("MIXZOO_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, mini_images: Path) -> Path:
    """A cache that holds most of the drawn pictures, as after an interruption."""
    cache = tmp_path_factory.mktemp("quickstart")
    pictures = Path(shutil.copytree(mini_images, cache / "data/mini"))
    for path in sorted(pictures.rglob("*.jpg"))[::20]:
        path.unlink()
    return cache


@pytest.mark.usefixtures("cache")
def test_quickstart_recomputes_the_logged_numbers(mixzoo: Run, tmp_path: Path) -> None:
    """Every row's count is the logged one to the image, and each step names its command."""
    out = tmp_path / "report.json"

    code, printed, err = mixzoo("quickstart", "--out", out)

    assert code == 0, err  # where it is slow, it says how far it is
    rows = {row.id: row for row in read_report(out).rows}
    assert rows.keys() == {row.id for row in MINI.manifest.rows}
    for row in MINI.manifest.rows:
        found = rows[row.id]
        assert found.default.top1 == row.reported_top1
        assert (found.verdict, found.matches_log) == ("reproduced", "matches its log")
    steps = ("zoo list", "zoo download", "zoo verify", "data prepare", "eval --all", "eval check")
    for command in steps:
        assert f"$ mixzoo {command}" in printed
        assert "inat2018: " in printed
    assert printed.count(" intact ") == len(rows)
    assert f"All {len(rows)} recomputed numbers are the published ones to the image" in printed


@pytest.mark.usefixtures("cache")
def test_quickstart_fails_when_a_number_is_off(
    mixzoo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten image is no success."""
    honest = Predictions.counts

    def forgetful(known: Predictions) -> Counts:
        counts = honest(known)
        return Counts(counts.correct - 1, counts.correct5, counts.total)

    monkeypatch.setattr(Predictions, "counts", forgetful)

    code, _, err = mixzoo("quickstart", "--out", tmp_path / "report.json")

    assert code == 5
    assert "differ from the logged ones" in err


@pytest.mark.parametrize("row", MINI.manifest.rows, ids=lambda row: row.id)
def test_table_is_what_the_shipped_log_says(row) -> None:
    """The published number of a mini row is the last validation line of its log."""
    log = MINI.asset(row.id, "log")
    lines = (ASSETS / log.name).read_text().splitlines()

    last = json.loads(lines[-1])

    head = "head0" if "head0_top1" in last else "acc_one_k"
    assert last["mode"] == "val"
    assert last[f"{head}_top1"] == row.reported_top1


@pytest.mark.parametrize("asset", MINI.lock.assets, ids=lambda asset: asset.name)
def test_shipped_assets_are_the_locked_ones(asset) -> None:
    """Size and hash of every packaged weight and log stand in the lock."""
    finding = check(ASSETS / asset.name, asset)

    assert finding.state is State.VERIFIED


@pytest.mark.parametrize("row", ROWS.values())
def test_shipped_weights_are_tensors_and_little_else(row: str) -> None:
    """No optimizer and no second copy is carried by everybody who installs the package."""
    entries = torch.load(weights(row), weights_only=True)["state_dict"].values()

    tensors = {one.data_ptr(): one.nbytes for one in entries}

    assert weights(row).stat().st_size < sum(tensors.values()) + 600 * len(entries)


def test_every_packaged_file_is_locked() -> None:
    """Nothing is shipped that no lock vouches for."""
    shipped = {path.name for path in ASSETS.iterdir()}

    assert shipped == {asset.name for asset in MINI.lock.assets}


def test_load_fetches_a_row() -> None:
    """`mixzoo.load` needs nothing but the row's id."""
    model = mixzoo.load(VANILLA)

    logits = model(torch.zeros(2, 3, PROTOCOL.crop, PROTOCOL.crop))

    assert logits.shape == (2, 40)
    assert model.num_classes == 40
    assert not model.training


def test_load_refuses_an_unknown_head() -> None:
    """A head that isn't there is named with those that are."""
    with pytest.raises(UsageError, match="This checkpoint has: head0"):
        mixzoo.load(VANILLA, head="one_k")
