"""The Zoo tab's page: what is here, whether it is intact, and what to do by hand."""

import os
import re
from pathlib import Path

import pytest
from markupsafe import escape
from mixzoo.app.demo import zoo_page, zoo_tab
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.errors import SourceError, UsageError
from mixzoo.zoo.lock import Asset
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.net.partial import Partial
from mixzoo.zoo.shelf import RULES, State, of_asset
from mixzoo.zoo.verify import check_all

from .conftest import write_own

ROW = "resnet18_w4.vanilla_own"


@pytest.fixture
def own(tmp_path: Path) -> Benchmark:
    """A benchmark with one row to download from a folder."""
    return open_catalog([write_own(tmp_path)]).benchmark("own")


@pytest.fixture
def weights(own: Benchmark) -> Asset:
    """Its only file."""
    asset = own.asset(ROW)
    assert asset is not None
    return asset


def state(own: Benchmark, weights: Asset) -> str:
    """The file's word."""
    return of_asset(own, weights).state.value


def age(path: Path) -> None:
    """Let a file be older than the clock's coarsest tick, so that a check of it is remembered."""
    os.utime(path, ns=(10**18, 10**18))


def test_missing(own: Benchmark, weights: Asset) -> None:
    """Locked, and not here."""
    assert state(own, weights) == "not downloaded"


def test_here_is_not_yet_verified(own: Benchmark, weights: Asset) -> None:
    """A download is compared as it streams; nobody has read the file on the disk yet."""
    fetch(own, weights, quiet=True)

    assert state(own, weights) == "here"


def test_verified_until_it_changes(own: Benchmark, weights: Asset) -> None:
    """A full check is believed as long as size and time stay."""
    path = fetch(own, weights, quiet=True)
    age(path)
    check_all([(path, weights)])
    verified = state(own, weights)
    path.touch()

    assert (verified, state(own, weights)) == ("verified", "here")


def test_damage_that_a_check_found(own: Benchmark, weights: Asset) -> None:
    """A full check's finding is remembered."""
    path = fetch(own, weights, quiet=True)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    age(path)
    check_all([(path, weights)])

    assert state(own, weights) == "damaged"


def test_wrong_size_is_damage_at_a_glance(own: Benchmark, weights: Asset) -> None:
    """No byte need be read for it."""
    path = fetch(own, weights, quiet=True)
    path.write_bytes(b"short")

    assert state(own, weights) == "damaged"


def test_interrupted(own: Benchmark, weights: Asset) -> None:
    """A part file is told as such."""
    path = asset_path("own", weights)
    path.parent.mkdir(parents=True)
    partial = Partial(path)
    partial.part.write_bytes(b"x" * 1000)
    partial.add(0, 1000)
    partial.save()

    assert state(own, weights) == "interrupted"


def test_in_the_package() -> None:
    """The embedded benchmark's files are as good as here."""
    benchmark = open_catalog().benchmark("mini")
    asset = benchmark.asset("resnet18_w6.mixup_mini")
    assert asset is not None

    assert of_asset(benchmark, asset).state.value == "in the package"


def test_fresh_findings_count_first(own: Benchmark, weights: Asset) -> None:
    """A file that came a moment ago can be verified, though its check isn't remembered."""
    path = fetch(own, weights, quiet=True)
    (finding,) = check_all([(path, weights)])

    assert "✓</i>verified" in zoo_page.page(own, [finding])


def test_unlocked_release_is_explained() -> None:
    """Where to get it by hand, and how to give it to its row."""
    page = zoo_page.page(open_catalog().benchmark("inat2018"))

    assert "<b>20</b><span>○ not locked" in page
    assert 'href="https://pan.baidu.com/s/1P4VeJalFLV0chryjYCfveg"' in page
    assert "<code>wy2v</code>" in page
    assert "releases/tag/mixup-inat2018-weights" in page
    assert "mixzoo zoo lock inat2018" in page
    assert "mixzoo zoo import FILE --row resnext101_32x4d.samix_inat2018" in page


def test_links_tell_the_other_site_nothing() -> None:
    """They open beside the demo."""
    page = zoo_page.page(open_catalog().benchmark("inat2018"))

    assert all('rel="noopener noreferrer"' in one for one in re.findall("<a [^>]*>", page))


def test_words_have_their_rules(own: Benchmark) -> None:
    """Those in use, and only they."""
    page = zoo_page.page(own)

    assert escape(RULES[State.ABSENT]) in page
    assert escape(RULES[State.DAMAGED]) not in page


def test_page_names_no_folder(own: Benchmark, weights: Asset) -> None:
    """Visitors needn't know where files lie."""
    path = fetch(own, weights, quiet=True)
    path.write_bytes(b"short")
    found = check_all([(path, weights)])

    page = zoo_page.page(own, found)

    assert "w.pth: expected 102400 bytes, got 5" in page
    assert str(path.parent) not in page


def test_downloadable_rows(own: Benchmark, weights: Asset) -> None:
    """What is locked and not here, and then nothing."""
    before = zoo_tab.downloadable(own)
    fetch(own, weights, quiet=True)

    assert (before, zoo_tab.downloadable(own)) == ([ROW], [])


def test_verifying_ends_in_findings(own: Benchmark, weights: Asset) -> None:
    """With all bytes counted."""
    fetch(own, weights, quiet=True)

    *_, (read, total, findings) = zoo_tab.verified(own)

    assert read == total == weights.size
    assert findings is not None
    assert [finding.state.value for finding in findings] == ["verified"]


@pytest.mark.parametrize(
    ("row", "kind", "complaint"),
    [
        (None, UsageError, "Choose one first"),
        ("../../etc/passwd", UsageError, "No row"),
        ("resnet50.automix_inat2018", SourceError, "not locked yet"),
    ],
)
def test_only_listed_and_locked_rows(
    row: str | None, kind: type[Exception], complaint: str
) -> None:
    """A visitor names a row, never a path or an address."""
    with pytest.raises(kind, match=complaint):
        zoo_tab.wanted(open_catalog(), row, log=True)


def test_log_comes_along_when_wanted() -> None:
    """Else the weights alone."""
    catalog = open_catalog()

    _, weights = zoo_tab.wanted(catalog, "resnet18_w6.mixup_mini", log=False)
    _, both = zoo_tab.wanted(catalog, "resnet18_w6.mixup_mini", log=True)

    assert [asset.kind for asset in weights] == ["weights"]
    assert sorted(asset.kind for asset in both) == ["log", "weights"]
