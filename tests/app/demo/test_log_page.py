"""The Logs tab's page, and what is taken from a visitor."""

import json
import re
from pathlib import Path

import pytest
from mixzoo.app.demo import log_page
from mixzoo.app.demo.logs_tab import at_most, audits_of
from mixzoo.eval.logs import RULES, Claim, audit_files, explain
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import DataError, UsageError

MIXUP = "resnet18_w6.mixup_mini"


@pytest.fixture
def genuine(golden: Path) -> Path:
    """The log of the reference's AutoMix run, four heads."""
    return next((golden / "runs/tiny_automix_ep8").glob("*.log.json"))


def text_of(page: str) -> str:
    """A page's text without pictures and tags."""
    return re.sub("<[^>]+>", "|", re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL))


def test_numbers_are_the_audits(genuine: Path) -> None:
    """Each head has a row with its number by every rule."""
    audit = audit_files([genuine], Claim())

    page = log_page.page(audit)

    for head in audit.heads:
        (line,) = (one for one in re.findall("<tr.*?</tr>", page) if f">{head}</td>" in one)
        for summary in audit.summaries:
            assert f">{summary.value:.3f}" in line or summary.head != head


def test_rule_that_gives_the_number_is_marked() -> None:
    """A star stands at the statistic that rounds to the published digits, and only there."""
    (audit,) = audits_of(open_catalog(), [MIXUP])

    text = text_of(log_page.page(audit))

    assert "|59.60 *|" in text
    assert len(re.findall(r"\d \*\|", text)) == len({s.rule for s in audit.reproduced_by})


def test_words_are_the_librarys(genuine: Path) -> None:
    """The sentences of the audit, and the rule beside each verdict."""
    audit = audit_files([genuine], Claim())

    page = log_page.page(audit)

    assert all(sentence in page for sentence in explain(audit))
    assert RULES["no published number"] in page


def test_curves_in_two_shapes(genuine: Path) -> None:
    """A phone is shown another figure than a wide screen."""
    page = log_page.page(audit_files([genuine], Claim()))

    assert page.count("<svg ") == 2
    assert '<div class="wide">' in page
    assert '<div class="narrow">' in page


def test_curves_beside(genuine: Path) -> None:
    """Other logs join the picture, not the table."""
    alone, beside = audit_files([genuine], Claim()), audits_of(open_catalog(), [MIXUP])

    page = log_page.page(alone, beside)

    assert MIXUP in page
    assert MIXUP not in text_of(page)


def test_upload_is_audited(genuine: Path) -> None:
    """Against nothing, if no row is named."""
    audit = log_page.audit_upload(genuine, Claim())

    assert audit.name == genuine.name
    assert audit.verdict == "no published number"


def test_upload_against_a_row(golden: Path) -> None:
    """Its arithmetic is held against the row's images."""
    path = golden / "runs/synthetic_logs/cls_20220101_000000.log.json"

    audit = log_page.audit_upload(path, Claim(row="r", top1=63.91, images=24426))

    assert audit.verdict == "suspicious arithmetic"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "expected a training log"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "expected a training log"),
        (b"PK\x03\x04rest", "a packed file"),
        (b"<html><script>alert(1)</script></html>", "expected a training log"),
        (b"{" * 100_000, "expected a training log"),
        (b'{"mode": "val", "epoch": 1, "iter": 1, "lr": 0.1, "head0_top1": "NaN"}', "expected"),
    ],
)
def test_broken_upload_is_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    """With the file's name, without the server's folders."""
    path = tmp_path / "bad.log.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=complaint) as error:
        log_page.audit_upload(path, Claim())

    assert str(error.value).startswith("bad.log.json: ")
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_large_upload_is_not_read(tmp_path: Path) -> None:
    """A page that many people use doesn't read what takes minutes."""
    path = tmp_path / "big.log"
    with path.open("wb") as file:
        file.truncate(log_page.MAX_BYTES + 1)

    with pytest.raises(DataError, match=r"^big\.log: expected a log of at most 8 MiB"):
        log_page.audit_upload(path, Claim())


def test_too_many_accuracies_are_refused(tmp_path: Path) -> None:
    """The k/N test of 60,000 takes a minute."""
    line = {"mode": "val", "iter": 1, "lr": 0.1} | {f"h{n}_top1": 50.0 for n in range(50)}
    path = tmp_path / "many.log.json"
    path.write_text("".join(json.dumps(line | {"epoch": n}) + "\n" for n in range(1, 82)))

    with pytest.raises(DataError, match="expected at most 4,000 accuracies, got 4,050"):
        log_page.audit_upload(path, Claim())


def test_name_of_a_file_is_escaped(genuine: Path, tmp_path: Path) -> None:
    """A visitor names files."""
    path = tmp_path / "<img src=x>.log.json"
    path.write_bytes(genuine.read_bytes())

    assert "<img" not in log_page.page(log_page.audit_upload(path, Claim()))


def test_unknown_row_is_named() -> None:
    """With the nearest one."""
    with pytest.raises(UsageError, match=r"Did you mean 'resnet18_w6\.mixup_mini'"):
        audits_of(open_catalog(), ["resnet18_w6.mixup_min"])


def test_too_many_curves() -> None:
    """A picture holds only so many."""
    with pytest.raises(UsageError, match="at most 5"):
        at_most(["a"] * 6)
