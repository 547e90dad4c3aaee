"""Audits of rows' logs that are on this machine."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.app.demo import row_logs
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.errors import IntegrityError, SourceError

VANILLA = "resnet18_w6.vanilla_mini"


@pytest.fixture
def remote(write_benchmark: Callable[..., Path], server, golden: Path) -> Benchmark:
    """A benchmark whose log lies on a web server, not here."""
    content = next((golden / "runs/tiny_cutmix_ep8").glob("*.log.json")).read_bytes()
    path = write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{server.url}/files"')
    entry = {"row": "resnet18_w4.vanilla_own", "kind": "log", "name": "own.log.json"}
    asset = entry | {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    lock = {"format": 1, "benchmark": "own", "assets": [asset]}
    path.with_name("own.lock.json").write_text(json.dumps(lock))
    server.answers["/files/own.log.json"] = (200, {}, content)
    return open_catalog([path]).benchmark("own")


def place(benchmark: Benchmark, content: bytes) -> Path:
    """Put bytes where the benchmark's log is looked for."""
    asset = benchmark.asset("resnet18_w4.vanilla_own", "log")
    assert asset is not None
    path = asset_path(benchmark.name, asset)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_logs_of_the_package_are_here() -> None:
    """The embedded benchmark's, and no others."""
    assert set(row_logs.rows_with_logs(open_catalog())) == {
        row.id
        for benchmark, row in open_catalog()
        if benchmark.name == "mini" and benchmark.asset(row.id, "log")
    }


def test_log_of_the_package() -> None:
    """It is copied from the package and found to give its number."""
    audit = row_logs.audit_row(*open_catalog().row(VANILLA))

    assert (audit.claim.row, audit.verdict) == (VANILLA, "reproduced")


def test_audit_is_made_once() -> None:
    """Until the file changes, the same one is given."""
    benchmark, row = open_catalog().row(VANILLA)

    assert row_logs.audit_row(benchmark, row) is row_logs.audit_row(benchmark, row)


def test_nothing_is_fetched_from_a_network(remote: Benchmark, server) -> None:
    """A log that isn't here is an error, not a download that a visitor began."""
    with pytest.raises(SourceError, match="its training log isn't here"):
        row_logs.audit_row(remote, remote.manifest.rows[0])

    assert server.requests == []


def test_damaged_log_is_not_fetched_again(remote: Benchmark, server) -> None:
    """Nor is one whose bytes aren't the locked ones; it isn't shown either."""
    path = place(remote, b"{}")

    with pytest.raises(IntegrityError, match=r"^own\.log\.json: expected the locked file") as error:
        row_logs.audit_row(remote, remote.manifest.rows[0])

    assert server.requests == []
    assert str(path.parent) not in str(error.value)


def test_downloaded_log(remote: Benchmark, server) -> None:
    """One that was downloaded is read like the package's."""
    place(remote, server.answers["/files/own.log.json"][2])

    audit = row_logs.audit_row(remote, remote.manifest.rows[0])

    assert [head.head for head in audit.heads] == ["head0"]
