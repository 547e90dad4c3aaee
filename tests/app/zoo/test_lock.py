"""`mixzoo zoo lock` writes what a release says, shows what changed, and refuses what is unclear."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, ManifestError, SourceError, UsageError
from mixzoo.zoo.net.fetch import fetch

from ...emulator.github import GitHub

REPOSITORY, TAG = "Westlake-AI/openmixup", "mixup-inat2018-weights"
LEARNT = {"automix": "near_lam_cat_mb_mlr1e_4", "samix": "bili_val_dp01_mb_mlr1e_4"}
SECRET = "ghp_notarealtoken0123456789"
Mixzoo = Callable[..., tuple[int, str, str]]


def names() -> list[str]:
    """A made-up release of 20 rows: weights and both logs of each, zips of the learnt methods."""
    found = []
    for row in open_catalog().benchmark("inat2018").manifest.rows:
        short = {"resnet50": "r50", "resnext101_32x4d": "rx101"}[row.architecture]
        method = LEARNT.get(row.method, f"{row.method}_mixups_CE_none")
        stem = f"{short}_{method}_4xb64_ep100"
        found += [f"{stem}.pth", f"{stem}.log.json", f"{stem}.log"]
        found += [f"{stem}_vis.zip"] * (row.method in LEARNT)
    return found


@pytest.fixture
def github(github: GitHub) -> GitHub:
    """With the whole made-up release, on pages of 25 files."""
    github.most = 25
    release = github.release(REPOSITORY, TAG)
    for name in names():
        github.upload(release, name, name.encode())
    return github


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the lock goes."""
    return tmp_path / "inat2018.lock.json"


def digests(api: GitHub) -> None:
    """Upload everything again, now with published digests."""
    api.digests = True
    for name in names():
        api.upload(api.releases[0], name, name.encode())


def test_release_is_locked_whole(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """64 files on three pages become 64 entries; nobody vouches for a hash, and that is said."""
    code, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out)

    assets = json.loads(out.read_text())["assets"]
    assert code == 0
    assert {asset["name"] for asset in assets} == set(names())
    assert {asset["sha256"] for asset in assets} == {None}
    assert {asset["release_id"] for asset in assets} == {github.releases[0].id}
    assert "64 files of 20 rows" in said
    assert "64 of them have no published hash" in said
    assert "--hash" in said


def test_second_run_changes_no_byte(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """The lock of an unchanged release is the same file, and the command says so."""
    mixzoo("zoo", "lock", "inat2018", "--out", out)
    first = out.read_bytes()

    code, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out)

    assert code == 0
    assert out.read_bytes() == first
    assert f"Unchanged: {out}" in said


def test_replaced_file_needs_accepting(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """The diff shows old and new hash; the lock stays until --accept is given."""
    digests(github)
    mixzoo("zoo", "lock", "inat2018", "--out", out)
    before = out.read_bytes()
    name = names()[0]
    asset = github.upload(github.releases[0], name, b"other", updated="2024-01-01T00:00:00Z")

    refused, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out)
    kept = out.read_bytes()
    accepted, _, _ = mixzoo("zoo", "lock", "inat2018", "--out", out, "--accept")

    old = hashlib.sha256(name.encode()).hexdigest()
    assert refused == IntegrityError.exit_code
    assert f"sha256 {old[:12]}… -> {asset['digest'][7:19]}…" in " ".join(said.split())
    assert kept == before
    assert accepted == 0
    assert asset["digest"][7:] in out.read_text()


def test_unclear_files_are_listed_and_refused(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """Ambiguous, missing, unfinished and left-over files each have their line."""
    release = github.releases[0]
    github.upload(release, "r50_mixups_CE_none_4xb64.pth", b"x")
    github.upload(release, "resnet50_cutmix.pth", b"x")
    github.upload(release, "r50_near_lam_cat_mb_mlr1e_4_4xb64_ep100.pth", b"x", state="open")

    code, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out, "--json")

    facts = json.loads(said)
    assert code == ManifestError.exit_code
    assert not out.exists()
    assert facts["written"] is False
    assert {(problem["what"], problem["subject"]) for problem in facts["problems"]} == {
        ("left over", "r50_mixups_CE_none_4xb64.pth"),
        ("ambiguous", "resnet50.cutmix_inat2018"),
        ("unfinished", "r50_near_lam_cat_mb_mlr1e_4_4xb64_ep100.pth"),
        ("missing", "resnet50.automix_inat2018"),
    }


def test_partial_lock_has_what_is_clear(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """--allow-partial locks the rest, still listing the problems."""
    github.upload(github.releases[0], "resnet50_cutmix.pth", b"x")

    code, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out, "--allow-partial")

    assert code == 0
    assert len(json.loads(out.read_text())["assets"]) == 63
    assert "its weights could be" in said


def test_dry_run_writes_and_downloads_nothing(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """It shows the same, even with --hash."""
    code, said, _ = mixzoo("zoo", "lock", "inat2018", "--out", out, "--dry-run", "--hash")

    assert code == 0
    assert "20 rows" in said
    assert not out.exists()
    assert not any("/download/" in request.path for request in github.emulator.front.requests)


def test_rate_limit_writes_nothing(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """A limit that is hit between two pages leaves no half lock."""
    github.remaining = 2
    github.reset = 4102444800

    code, _, error = mixzoo("zoo", "lock", "inat2018", "--out", out)

    assert code == SourceError.exit_code
    assert "at 2100-01-01 00:00 UTC" in error
    assert not out.exists()


def test_place_that_cannot_be_written_is_told(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """A missing or read-only folder is one line with the way out."""
    code, _, error = mixzoo("zoo", "lock", "inat2018", "--out", out / "deeper" / "x.lock.json")

    assert code == UsageError.exit_code
    assert "--out PATH" in error


def test_own_lock_stands_in_where_the_package_cannot_be_written(
    github: GitHub, mixzoo: Mixzoo, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIXZOO_LOCKS gets it, though the folder isn't there yet."""
    monkeypatch.setenv("MIXZOO_LOCKS", str(out.parent / "mine"))
    monkeypatch.setattr("os.access", lambda *_: False)

    code, said, _ = mixzoo("zoo", "lock", "inat2018")

    assert code == 0
    assert f"Written: {out.parent / 'mine' / 'inat2018.lock.json'}" in said
    assert open_catalog().benchmark("inat2018").lock is not None


def test_folder_gets_the_lock_under_its_own_name(github: GitHub, mixzoo: Mixzoo, out: Path) -> None:
    """--out DIR is enough."""
    mixzoo("zoo", "lock", "inat2018", "--out", out.parent)

    assert out.is_file()


@pytest.fixture
def own(github: GitHub, write_benchmark: Callable[..., Path]) -> Path:
    """A one-row benchmark of the user's own with a release on the emulated GitHub."""
    github.upload(github.release("me/mine", "v1"), "resnet18_w4.vanilla.pth", b"my weights")
    source = '[[sources]]\nkind = "github"\nrepository = "me/mine"\ntag = "v1"'
    return write_benchmark(f'{source}\n[matching.kinds]\nweights = [".pth"]')


def test_hash_is_learnt_from_the_first_download(
    github: GitHub, mixzoo: Mixzoo, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--hash downloads what has no digest, says "first use", and the file then counts as locked.

    The token is told to GitHub and never to the host that the download is redirected to.
    """
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    github.tokens = {SECRET}

    code, _, _ = mixzoo("zoo", "lock", "own", "--manifest", own, "--hash")

    benchmark = open_catalog([own]).benchmark("own")
    asset = benchmark.asset("resnet18_w4.vanilla_own")
    assert code == 0
    assert asset is not None
    assert asset.sha256 == hashlib.sha256(b"my weights").hexdigest()
    assert asset.hash_from == "first use"
    assert fetch(benchmark, asset).read_bytes() == b"my weights"
    sent = [request.headers for request in github.emulator.front.requests]
    assert any(headers.get("authorization") == f"Bearer {SECRET}" for headers in sent)
    assert github.emulator.store.requests
    assert all(SECRET not in str(request) for request in github.emulator.store.requests)
