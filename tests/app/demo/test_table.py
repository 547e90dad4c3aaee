"""The Table tab's page: published, logged and recomputed numbers with verdicts."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from markupsafe import escape
from mixzoo.app.demo import logs, table
from mixzoo.app.demo.recomputed import signature
from mixzoo.eval.judge import RULES
from mixzoo.eval.statistics import wilson_interval
from mixzoo.zoo import shelf
from mixzoo.zoo.catalog import Benchmark, open_catalog

from ...mini_rows import AUTOMIX, MIXUP, SAMIX, VANILLA, hits, published
from .conftest import write_own

Write = Callable[..., Path]


def lines(page: str) -> list[dict[str, str]]:
    """The rows of a page's table: cells by their column, without tags."""
    return [
        {
            unescape(column): re.sub("<[^>]+>", "", cell)
            for column, cell in re.findall(r'data-label="([^"]*)">(.*?)</td>', line)
        }
        for line in re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)[1:]
        if "behind-" not in line.partition(">")[0]
    ]


def behind(page: str, row: str) -> dict[str, str]:
    """What a row's name opens: heading -> words."""
    (found,) = re.findall(
        rf'<tr class="behind" id="{opened(page, row)}".*?</tr>', page, flags=re.DOTALL
    )
    pairs = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", found, flags=re.DOTALL)
    return {heading: unescape(re.sub("<[^>]+>", "", words)) for heading, words in pairs}


def opened(page: str, row: str) -> str:
    """The id of what a row's name opens."""
    return re.findall(rf'aria-controls="([^"]+)">{re.escape(row)}<', page)[0]


def cells(page: str, row: str) -> dict[str, str]:
    """The line of a row."""
    return next(line for line in lines(page) if line["Row"] == row)


def test_numbers_beside_one_another(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Published, from the log, recomputed, with the gap and one verdict; the counts stand behind it."""
    found = hits(MIXUP) - 35
    low, high = wilson_interval(found, 1000)
    write_report("a.json", {(VANILLA, "head0"): hits(VANILLA), (MIXUP, "head0"): found})

    page = table.page(mini, tmp_path / "reports")

    assert cells(page, MIXUP) == {
        "Row": MIXUP,
        "Published": str(published(MIXUP)),
        "Log": f"{published(MIXUP):.2f}",
        "Recomputed": f"{found / 10:.2f}",
        "Gap": "-3.50",
        "Verdict": "✗not reproduced recomputed",
    }
    assert behind(page, MIXUP)["Recomputed"] == (
        f"head head0: {found} of 1,000 images ({found / 10:.2f}%, -35.0 images; of other images of the "
        f"kind {low:.2f} to {high:.2f})"
    )
    assert "not reproduced: " in behind(page, MIXUP)["Verdict"]
    assert escape(RULES["not reproduced"]) in page
    assert escape(RULES["close"]) not in page


@pytest.mark.parametrize("row", [AUTOMIX, SAMIX])
def test_log_of_four_heads_has_one_verdict(mini: Benchmark, row: str) -> None:
    """Opened fresh, the table says of AutoMix and SAMix what the Logs tab says, by the same head."""
    (audit,) = logs.audits_of(open_catalog(), [row])

    line = cells(table.page(mini, None), row)

    assert line["Verdict"] == f"✓{audit.verdict} by its log" == "✓reproduced by its log"
    assert float(line["Log"]) == pytest.approx(audit.claim.top1, abs=0.05)


def test_heads_stand_behind_the_rows_one_verdict(
    mini: Benchmark, write_report: Write, tmp_path: Path
) -> None:
    """A row counts once; what each head got right is told behind its name."""
    heads = {(AUTOMIX, "one_k"): 700, (AUTOMIX, "mix_k"): 600, (MIXUP, "head0"): 600}
    write_report("a.json", heads)

    page = table.page(mini, tmp_path / "reports")

    assert len(lines(page)) == len(mini.manifest.rows)
    told = behind(page, AUTOMIX)["Recomputed"]
    assert "one_k: 700 of 1,000" in told
    assert "mix_k: 600 of 1,000" in told


def test_published_table_alone() -> None:
    """Where nothing is here the table stands as published, with the command that recomputes it."""
    page = table.page(open_catalog().benchmark("inat2018"), None)

    assert cells(page, "resnet50.automix_inat2018")["Published"] == "64.73"
    assert "Recomputed" not in re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert "mixzoo eval --all --benchmark inat2018 --data DIR" in page
    assert "median of the last 5 epochs" in page


def test_figures_follow_the_page(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Colours are the page's variables, and each figure says in words what it shows."""
    write_report("a.json", {(VANILLA, "head0"): hits(VANILLA)})

    page = table.page(mini, tmp_path / "reports")

    figures = re.findall("<svg .*?</svg>", page, flags=re.DOTALL)
    assert all('aria-label="' in svg and "var(--" in svg for svg in figures)
    captions = re.findall("<figcaption>(.*?)<", page)
    assert captions == ["The table", "The gap", "By group of classes"]
    assert len(figures) == len(captions)


def test_pairs_of_kept_predictions(mini: Benchmark, keep_predictions: Callable[..., None]) -> None:
    """Two rows on the same images are compared image by image, also in words."""
    keep_predictions(VANILLA, 700)
    keep_predictions(MIXUP, 653)

    page = table.page(mini, None)

    assert "Pairs on the same images" in page
    assert "Images that all 2 rows miss" in page  # the last 300
    assert page.count('<li class="card">') == table.MOST_PICTURES
    assert f"{VANILLA} is better than {MIXUP} (paired, Holm-corrected p &lt; 0.0001" in page


def test_pairs_on_other_images_are_explained(
    mini: Benchmark, keep_predictions: Callable[..., None]
) -> None:
    """Why there is no comparison is said."""
    keep_predictions(VANILLA, 700)
    keep_predictions(MIXUP, 653, images=900, list_sha256="ab" * 32)

    page = table.page(mini, None)

    assert "Pairs on the same images" not in page
    assert "were not evaluated alike" in page


def test_problems_are_named(mini: Benchmark, tmp_path: Path) -> None:
    """A broken report doesn't stop the page, and is told without folders."""
    (tmp_path / "bad.json").write_text('{"rows": [')

    page = table.page(mini, tmp_path)

    assert "bad.json: expected a report" in page
    assert str(tmp_path) not in page


def test_damaged_log_is_a_problem_told_once(
    mini: Benchmark, keep_predictions: Callable[..., None]
) -> None:
    """It vouches for nothing, and the page stands."""
    keep_predictions(VANILLA, 700)
    logs.audits_of(open_catalog(), [VANILLA])
    path = shelf.log(mini, mini.manifest.row(VANILLA)).path
    path.write_bytes(path.read_bytes() + b"{}")

    page = table.page(mini, None)

    assert page.count("expected the locked file, got another") == 1
    assert len(lines(page)) == len(mini.manifest.rows)


def test_signature_changes_with_what_is_shown(
    mini: Benchmark, write_report: Write, keep_predictions: Callable[..., None], tmp_path: Path
) -> None:
    """A page is drawn again when a report, predictions or a log come."""
    states = [signature(mini, tmp_path / "reports")]
    write_report("a.json", {(VANILLA, "head0"): hits(VANILLA)})
    states.append(signature(mini, tmp_path / "reports"))
    keep_predictions(VANILLA, 700)
    states.append(signature(mini, tmp_path / "reports"))
    logs.audits_of(open_catalog(), [VANILLA])
    states.append(signature(mini, tmp_path / "reports"))

    assert len(set(states)) == 4
    assert signature(mini, tmp_path / "reports") == states[-1]


def test_owners_folders_are_not_told(tmp_path: Path) -> None:
    """A manifest of one's own is named in the command, without where it lies."""
    page = table.page(open_catalog([write_own(tmp_path)]).benchmark("own"), None)

    assert "mixzoo eval --all --benchmark own --data DIR --manifest own.toml" in page
    assert str(tmp_path) not in page
