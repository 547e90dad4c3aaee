"""The Table tab's page: published, logged and recomputed numbers with verdicts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.app.demo import table_page
from mixzoo.eval.verdict import RULES
from mixzoo.zoo.catalog import Benchmark, open_catalog

VANILLA, MIXUP = "resnet18_w6.vanilla_mini", "resnet18_w6.mixup_mini"
Write = Callable[..., Path]


@pytest.fixture
def mini() -> Benchmark:
    """The embedded benchmark."""
    return open_catalog().benchmark("mini")


def cells(page: str, row: str) -> dict[str, str]:
    """The cells of a row by their column, without tags."""
    (line,) = (one for one in re.findall(r"<tr.*?</tr>", page) if f">{row}</td>" in one)
    found = re.findall(r'data-label="([^"]*)">(.*?)</td>', line)
    return {column: re.sub("<[^>]+>", "", cell) for column, cell in found}


def test_numbers_beside_one_another(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Published, from the log, recomputed, with the gap and both verdicts."""
    write_report("a.json", {(VANILLA, "head0"): 702, (MIXUP, "head0"): 561})

    page = table_page.page(mini, tmp_path / "reports")

    assert cells(page, MIXUP) == {
        "Row": MIXUP,
        "Published": "59.6",
        "Log": "59.60",
        "Log&#39;s verdict": "✓reproduced",
        "Recomputed": "56.10",
        "Gap": "−3.50",
        "Gap, images": "−35.0",
        "95% interval": "53.01 to 59.15",
        "Correct": "561 / 1,000",
        "Verdict": "✗not reproduced",
    }


def test_rules_of_the_words_in_use(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Each word stands beside its rule, those not said stay away."""
    write_report("a.json", {(MIXUP, "head0"): 561})

    page = table_page.page(mini, tmp_path / "reports")

    assert RULES["not reproduced"] in page
    assert RULES["close"] not in page


def test_tally_counts_rows(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """By the head that inference uses, once a row."""
    write_report("a.json", {(VANILLA, "one_k"): 702, (VANILLA, "mix_k"): 1, (MIXUP, "head0"): 596})

    page = table_page.page(mini, tmp_path / "reports")

    assert "<b>2</b><span>✓ reproduced" in page


def test_every_head_when_asked_for(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Else the one of inference alone."""
    write_report("a.json", {(VANILLA, "one_k"): 702, (VANILLA, "mix_k"): 1})

    short = table_page.page(mini, tmp_path / "reports")
    long = table_page.page(mini, tmp_path / "reports", every_head=True)

    assert cells(short, VANILLA)["Correct"] == "702 / 1,000"
    assert cells(long, f"{VANILLA} mix_k")["Correct"] == "1 / 1,000"
    assert 'class="side"' not in short


def test_published_table_alone() -> None:
    """Where nothing is here the table stands as published, with the command that recomputes it."""
    benchmark = open_catalog().benchmark("inat2018")

    page = table_page.page(benchmark, None)

    assert cells(page, "resnet50.automix_inat2018")["Published"] == "64.73"
    assert "Recomputed" not in re.sub("<svg.*?</svg>", "", page)
    assert "mixzoo eval --all --benchmark inat2018 --data DIR" in page
    assert "median of the last 5 epochs" in page


def test_figures_follow_the_page(mini: Benchmark, write_report: Write, tmp_path: Path) -> None:
    """Colours are the page's variables, and each figure says in words what it shows."""
    write_report("a.json", {(VANILLA, "head0"): 702})

    page = table_page.page(mini, tmp_path / "reports")

    figures = re.findall("<svg .*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 2
    assert all("var(--good)" in svg and 'aria-label="' in svg for svg in figures)


def test_groups_where_a_report_has_them(
    mini: Benchmark, write_report: Write, tmp_path: Path
) -> None:
    """By supercategory, as reports break them down."""
    aves = {
        "name": "Aves",
        "correct": 90,
        "total": 100,
        "accuracy": 90.0,
        "interval95": [82.6, 94.5],
    }
    write_report("a.json", {(VANILLA, "head0"): 702}, breakdown={"supercategory": [aves]})

    assert "By group of classes" in table_page.page(mini, tmp_path / "reports")


def test_pairs_of_kept_predictions(
    mini: Benchmark, keep_predictions: Callable[..., object]
) -> None:
    """Two rows on the same images are compared image by image, also in words."""
    keep_predictions(VANILLA, 702)
    keep_predictions(MIXUP, 653)

    page = table_page.page(mini, None)

    assert "Pairs on the same images" in page
    assert f"{VANILLA} is better than {MIXUP} (paired, Holm-corrected p &lt; 0.0001" in page


def test_pairs_on_other_images_are_explained(
    mini: Benchmark, keep_predictions: Callable[..., object]
) -> None:
    """Why there is no comparison is said."""
    keep_predictions(VANILLA, 702)
    keep_predictions(MIXUP, 653, images=900, list_sha256="ab" * 32)

    page = table_page.page(mini, None)

    assert "Pairs on the same images" not in page
    assert "were not evaluated alike" in page


def test_problems_are_named(mini: Benchmark, tmp_path: Path) -> None:
    """A broken report doesn't stop the page, and is told without folders."""
    (tmp_path / "bad.json").write_text('{"rows": [')

    page = table_page.page(mini, tmp_path)

    assert "bad.json: expected a report" in page
    assert str(tmp_path) not in page


def test_seen_changes_with_what_is_shown(
    mini: Benchmark, write_report: Write, keep_predictions: Callable[..., object], tmp_path: Path
) -> None:
    """A page is drawn again when a report or predictions come."""
    states = [table_page.seen(mini, tmp_path / "reports")]
    write_report("a.json", {(VANILLA, "head0"): 702})
    states.append(table_page.seen(mini, tmp_path / "reports"))
    keep_predictions(VANILLA, 702)
    states.append(table_page.seen(mini, tmp_path / "reports"))

    assert len(set(states)) == 3
    assert table_page.seen(mini, tmp_path / "reports") == states[-1]
