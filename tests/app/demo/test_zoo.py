"""The Zoo tab: what is here, whether it is intact, downloading it, and what to do by hand."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from markupsafe import escape
from mixzoo.app.demo import zoo
from mixzoo.app.demo.context import Context
from mixzoo.app.demo.downloads import Downloads
from mixzoo.app.demo.settings import Settings
from mixzoo.app.demo.store import Store
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.errors import SourceError, UsageError
from mixzoo.zoo.lock import Asset
from mixzoo.zoo.net.fetch import fetch
from mixzoo.zoo.shelf import RULES, State
from mixzoo.zoo.verify import check_all

from ...mini_rows import MIXUP
from .conftest import ROW, write_own


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


def test_fresh_findings_count_first(own: Benchmark, weights: Asset) -> None:
    """A file that came a moment ago can be verified, though its check isn't remembered."""
    path = fetch(own, weights)
    (finding,) = check_all([(path, weights)])

    assert "</i>verified" in zoo.page(own, [finding])


def test_unlocked_release_is_explained() -> None:
    """Where to get it by hand, by links that tell the other site nothing, and how to give it to its row."""
    page = zoo.page(open_catalog().benchmark("inat2018"))

    links = re.findall("<a [^>]*>", page)
    assert "<b>20</b><span>" in page
    assert 'href="https://pan.baidu.com/s/1P4VeJalFLV0chryjYCfveg"' in links[1]
    assert "releases/tag/mixup-inat2018-weights" in links[0]
    assert all('rel="noopener noreferrer" target="_blank"' in link for link in links)
    assert "(extraction code wy2v)" in page
    assert "first download of a row learns them" in page
    assert "mixzoo zoo import FILE --row resnext101_32x4d.samix_inat2018" in page


def test_words_have_their_rules(own: Benchmark) -> None:
    """Those in use, and only they."""
    page = zoo.page(own)

    assert escape(RULES[State.ABSENT]) in page
    assert escape(RULES[State.DAMAGED]) not in page


def test_page_names_no_folder(own: Benchmark, weights: Asset) -> None:
    """Visitors needn't know where files lie."""
    path = fetch(own, weights)
    path.write_bytes(b"short")
    found = check_all([(path, weights)])

    page = zoo.page(own, found)

    assert "w.pth: expected 102400 bytes, got 5" in page
    assert str(path.parent) not in page


def test_downloadable_rows(own: Benchmark, weights: Asset) -> None:
    """What is locked and not here, and then nothing."""
    before = zoo.downloadable(own)
    fetch(own, weights)

    assert (before, zoo.downloadable(own)) == ([ROW], [])


def test_rows_that_no_lock_names_can_be_downloaded() -> None:
    """A download asks the release for their names."""
    benchmark = open_catalog().benchmark("inat2018")

    assert zoo.downloadable(benchmark) == [row.id for row in benchmark.manifest.rows]


def test_verifying_ends_in_findings(own: Benchmark, weights: Asset) -> None:
    """With all bytes counted."""
    fetch(own, weights)

    *_, (read, total, findings) = zoo.verified(own)

    assert read == total == weights.size
    assert findings is not None
    assert [finding.state.value for finding in findings] == ["verified"]


@pytest.mark.parametrize(
    ("row", "kind", "complaint"),
    [
        (None, UsageError, "Choose one first"),
        ("../../etc/passwd", UsageError, "No row"),
        ("resnet50.automix_inat2018", SourceError, "no lock names its weights"),
    ],
)
def test_only_listed_rows(
    row: str | None, kind: type[Exception], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor names a row, never a path or an address."""
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")
    with pytest.raises(kind, match=complaint):
        zoo.wanted(open_catalog(), row, log=True)


def test_log_comes_along_when_wanted() -> None:
    """Else the weights alone."""
    catalog = open_catalog()

    _, weights = zoo.wanted(catalog, MIXUP, log=False)
    _, both = zoo.wanted(catalog, MIXUP, log=True)

    assert [asset.kind for asset in weights] == ["weights"]
    assert sorted(asset.kind for asset in both) == ["log", "weights"]


@pytest.fixture(autouse=True)
def _loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the event loops that Gradio opens for a page and leaves open."""
    opened: list[asyncio.AbstractEventLoop] = []
    new = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        opened.append(new())
        return opened[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", remembered)
    yield
    for loop in opened:
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., gr.Blocks]:
    """Builds the tab alone, on the package's benchmarks and one with a row to download."""
    manifest = write_own(tmp_path)

    def build_(**settings: Any) -> gr.Blocks:
        chosen = Settings(manifests=(manifest,), **settings)
        context = Context(
            open_catalog([manifest]),
            chosen,
            Store(tmp_path / "files"),
            Downloads([manifest]),
        )
        with gr.Blocks(analytics_enabled=False) as page:
            zoo.build(context)
        return page

    return build_


def event(page: gr.Blocks, name: str) -> Callable[..., Any]:
    """The function behind an event."""
    return next(one.fn for one in page.fns.values() if one.fn and one.name == name)


def test_controls_are_there_where_they_can_do_something(
    build: Callable[..., gr.Blocks],
) -> None:
    """Rows to fetch where there are some, Verify where a file is here, Stop while one comes."""
    page = build()
    offer = next(one.fn for one in page.fns.values() if getattr(one.fn, "func", 0) is zoo.offered)

    shown = {name: [one["visible"] for one in offer(name)[1:]] for name in ("mini", "own")}

    assert shown["own"] == [True, False, False, True, False]
    assert shown["mini"][0] is shown["mini"][3] is shown["mini"][4] is False


def test_download_is_refused_where_the_owner_forbids(build: Callable[..., gr.Blocks]) -> None:
    """Hiding the button isn't enough: the event itself refuses."""
    page = build(allow_downloads=False)

    with pytest.raises(gr.Error, match="allow downloads from here"):
        next(event(page, "download")("own", ROW, False))

    hidden = [b.elem_id for b in page.blocks.values() if getattr(b, "visible", True) is False]
    assert {"zoo-download", "zoo-stop"} <= set(hidden)
