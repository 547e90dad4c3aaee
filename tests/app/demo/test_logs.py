"""The Logs tab's page, rows' logs that are on this machine, and what is taken from a visitor."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.app.demo import logs
from mixzoo.app.logs import lines
from mixzoo.eval.logs import RULES, Claim, LogAudit, audit_files, explain
from mixzoo.zoo import shelf
from mixzoo.zoo.catalog import Catalog, open_catalog
from mixzoo.zoo.errors import DataError, IntegrityError, SourceError, UsageError

from ...mini_rows import MIXUP, VANILLA, published

OWN = "resnet18_w4.vanilla_own"


@pytest.fixture
def genuine(golden: Path) -> Path:
    """The log of the reference's AutoMix run, four heads."""
    return next((golden / "runs/tiny_automix_ep8").glob("*.log.json"))


@pytest.fixture
def audit(genuine: Path) -> LogAudit:
    """Its audit against nothing."""
    return audit_files([genuine], Claim())


def text_of(page: str) -> str:
    """A page's text without pictures and tags."""
    return re.sub("<[^>]+>", "|", re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL))


def test_names_of_a_strangers_log_are_texts(genuine: Path, tmp_path: Path) -> None:
    """No tag and no control byte of a file's name or content reaches the page."""
    odd = tmp_path / "<blink>\x1b[31m.log.json"
    odd.write_text(genuine.read_text().replace("mix_q", "<blink>\\u001b[31mq"))

    page = logs.page(logs.audit_upload(odd, Claim()))

    assert "&lt;blink&gt;" in page
    assert "<blink>" not in page
    assert all(char.isprintable() or char == "\n" for char in page)


def test_page_says_what_the_command_says(audit: LogAudit) -> None:
    """Each head's number by every rule, the audit's sentences, the verdict with its rule."""
    page = logs.page(audit)

    text = text_of(page)
    for line in lines(audit):
        assert all(f"|{cell.strip()}|" in text for cell in line if cell.strip())
    assert all(sentence[1:] in text for sentence in explain(audit))
    assert RULES["no published number"] in text


def test_rule_that_gives_the_number_is_marked() -> None:
    """A star stands at the statistics that round to the published digits."""
    (audit,) = logs.audits_of(open_catalog(), [MIXUP])

    text = text_of(logs.page(audit))

    assert f"|{published(MIXUP):.2f}*|" in text
    assert len(re.findall(r"\d\*\|", text)) == len({s.rule for s in audit.reproduced_by})


def test_curves_in_two_shapes(audit: LogAudit) -> None:
    """A phone is shown another figure than a wide screen; other logs join both, not the table."""
    page = logs.page(audit, logs.audits_of(open_catalog(), [MIXUP]))

    assert page.count("<svg ") == 2
    assert re.findall(r'<div class="(wide|narrow)"><svg', page) == ["wide", "narrow"]
    assert MIXUP in page
    assert MIXUP not in text_of(page)


def test_upload_is_audited(genuine: Path, golden: Path) -> None:
    """Against nothing, if no row is named; else its arithmetic is held against the row's images."""
    edited = golden / "runs/synthetic_logs/cls_20220101_000000.log.json"

    alone = logs.audit_upload(genuine, Claim())
    against = logs.audit_upload(edited, Claim(row="r", top1=63.91, images=24426))

    assert (alone.name, alone.verdict) == (genuine.name, "no published number")
    assert against.verdict == "suspicious arithmetic"


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
        logs.audit_upload(path, Claim())

    assert str(error.value).startswith("bad.log.json: ")
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_large_upload_is_not_read(tmp_path: Path) -> None:
    """A page that many people use doesn't read what takes minutes."""
    path = tmp_path / "big.log"
    with path.open("wb") as file:
        file.truncate(logs.MAX_BYTES + 1)

    with pytest.raises(DataError, match=r"^big\.log: expected a log of at most 8 MiB"):
        logs.audit_upload(path, Claim())


def test_name_of_a_file_is_escaped(genuine: Path, tmp_path: Path) -> None:
    """A visitor names files."""
    path = tmp_path / "<img src=x>.log.json"
    path.write_bytes(genuine.read_bytes())

    assert "<img" not in logs.page(logs.audit_upload(path, Claim()))


def test_too_many_curves() -> None:
    """A picture holds only so many."""
    with pytest.raises(UsageError, match="at most 5"):
        logs.at_most(["a"] * 6)


@pytest.fixture
def remote(write_benchmark: Callable[..., Path], server, genuine: Path) -> Catalog:
    """A benchmark whose log lies on a web server, not here."""
    content = genuine.read_bytes()
    path = write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{server.url}/files"')
    entry = {"row": OWN, "kind": "log", "name": "own.log.json", "size": len(content)}
    asset = entry | {"sha256": hashlib.sha256(content).hexdigest()}
    lock = {"format": 1, "benchmark": "own", "assets": [asset]}
    path.with_name("own.lock.json").write_text(json.dumps(lock))
    server.answers["/files/own.log.json"] = (200, {}, content)
    return open_catalog([path])


@pytest.mark.parametrize(
    ("content", "refused", "told"),
    [
        (None, SourceError, "its training log isn't here"),
        (b"{}", IntegrityError, r"^own\.log\.json: expected the locked file"),
    ],
)
def test_nothing_is_fetched_from_a_network(
    remote: Catalog, server, content: bytes | None, refused: type[Exception], told: str
) -> None:
    """A log that isn't here, or isn't the locked one, is an error, not a download that a visitor began."""
    place = shelf.log(*remote.row(OWN)).path
    if content:
        place.parent.mkdir(parents=True)
        place.write_bytes(content)

    with pytest.raises(refused, match=told) as error:
        logs.audits_of(remote, [OWN])

    assert server.requests == []
    assert str(place.parent) not in str(error.value)


def test_downloaded_log_is_read(remote: Catalog, genuine: Path) -> None:
    """Like the package's own."""
    place = shelf.log(*remote.row(OWN)).path
    place.parent.mkdir(parents=True)
    place.write_bytes(genuine.read_bytes())

    audits = logs.audits_of(remote, [OWN, VANILLA])

    assert [audit.name for audit in audits] == [OWN, VANILLA]
    assert audits[1].verdict == "reproduced"


def test_audit_is_made_once() -> None:
    """Until the file changes, the same one is given."""
    first, again = (logs.audits_of(open_catalog(), [VANILLA]) for _ in range(2))

    assert first[0] is again[0]


def test_unknown_row_is_named() -> None:
    """With the nearest one."""
    with pytest.raises(UsageError, match=re.escape(f"Did you mean {MIXUP!r}")):
        logs.audits_of(open_catalog(), [MIXUP[:-1]])
