"""A lock is drafted from what sources say, keeps known hashes, and changes none unasked."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, ManifestError, SourceError, UsageError
from mixzoo.zoo.lock import Lock, read_lock, render_lock
from mixzoo.zoo.release import locking
from mixzoo.zoo.release.listing import Listed
from mixzoo.zoo.release.matching import merge
from mixzoo.zoo.verify import record_first_use

INAT = open_catalog().benchmark("inat2018").manifest
SHA = {letter: letter * 64 for letter in "abc"}
OLD, NEW = "2022-08-22T03:11:22Z", "2024-01-01T00:00:00Z"


def listed(name: str = "r50_mixup.pth", **facts) -> Listed:
    return Listed(**({"name": name, "origin": "GitHub", "size": 5, "updated_at": OLD} | facts))


def whole(**facts) -> list[Listed]:
    """One file of weights for each of the 20 rows."""
    return [listed(f"{row.architecture}_{row.method}.pth", **facts) for row in INAT.rows]


def lock_of(*files: Listed, known: Lock | None = None) -> Lock:
    return locking.draft(INAT, files, known=known).lock


def hashed(lock: Lock, sha256: str = SHA["a"]) -> Lock:
    """As after a first download of everything."""
    assets = [
        msgspec.structs.replace(asset, sha256=sha256, hash_from="first use")
        for asset in lock.assets
    ]
    return Lock(format=1, benchmark=lock.benchmark, assets=assets)


def refused(drafted: locking.Draft, **allowed: bool) -> Exception | None:
    benchmark = open_catalog().benchmark("inat2018")
    allowed = {"allow_partial": False, "accept": False} | allowed
    return locking.refusal(benchmark, drafted, **allowed)


def test_same_release_gives_the_same_bytes() -> None:
    """Neither the order of a listing nor what was locked before changes the file."""
    files = whole(sha256=SHA["a"], release_id=71)

    first = lock_of(*files)
    second = lock_of(*reversed(files), known=first)

    assert render_lock(first) == render_lock(second)
    assert [asset.row for asset in first.assets] == [row.id for row in INAT.rows]


def test_hash_says_how_it_is_known() -> None:
    """A published digest is named so; without one there is no hash and no claim."""
    lock = lock_of(listed(sha256=SHA["a"]), listed("r50_cutmix.pth"))

    assert [(a.sha256, a.hash_from) for a in lock.assets] == [
        (SHA["a"], "published digest"),
        (None, None),
    ]


def test_first_use_hash_is_kept_while_the_file_stays() -> None:
    """Asking again a release without digests loses nothing."""
    known = hashed(lock_of(*whole()))

    drafted = locking.draft(INAT, whole(), known=known)

    assert drafted.lock == known
    assert drafted.changes == []
    assert refused(drafted) is None


def test_published_digest_confirms_a_first_use() -> None:
    """The same hash from the publisher is better known, not changed."""
    known = hashed(lock_of(*whole()))

    drafted = locking.draft(INAT, whole(sha256=SHA["a"]), known=known)

    assert {asset.hash_from for asset in drafted.lock.assets} == {"published digest"}
    assert not any(change.touches_hash for change in drafted.changes)
    assert refused(drafted) is None


REPLACED = {
    "another digest": ({"sha256": SHA["b"]}, SHA["b"]),
    "another size": ({"size": 6}, None),
    "uploaded again": ({"updated_at": NEW}, None),
}


@pytest.mark.parametrize(("facts", "becomes"), REPLACED.values(), ids=REPLACED)
def test_replaced_file_changes_its_hash_only_when_accepted(facts: dict, becomes) -> None:
    """The same name with other bytes: a diff from old to new, refused until it is accepted."""
    known = hashed(lock_of(*whole()))
    files = [replace(file, **facts) if "mixup" in file.name else file for file in whole()]

    drafted = locking.draft(INAT, files, known=known)

    changed = [change for change in drafted.changes if change.touches_hash]
    assert [change.name for change in changed] == [
        "resnet50_mixup.pth",
        "resnext101_32x4d_mixup.pth",
    ]
    assert changed[0].facts["sha256"] == (SHA["a"], becomes)
    assert isinstance(refused(drafted, allow_partial=True), IntegrityError)
    assert refused(drafted, accept=True) is None


def test_vanished_file_takes_its_hash_only_when_accepted() -> None:
    """A hash isn't dropped because a list came short, partial or not."""
    known = hashed(lock_of(*whole()))

    drafted = locking.draft(INAT, whole()[1:], known=known)

    assert [(c.name, c.what, c.touches_hash) for c in drafted.changes] == [
        ("resnet50_vanilla.pth", "removed", True)
    ]
    assert isinstance(refused(drafted, allow_partial=True), IntegrityError)
    assert refused(drafted, allow_partial=True, accept=True) is None


def test_file_moves_to_another_row_only_when_accepted() -> None:
    """Rules that changed may not let a locked file stand for another row in silence."""
    known = lock_of(listed(sha256=SHA["a"]))
    moved = msgspec.structs.replace(known.assets[0], row="resnet50.cutmix_inat2018")
    known = Lock(format=1, benchmark="inat2018", assets=[moved])

    drafted = locking.draft(INAT, [listed(sha256=SHA["a"])], known=known)

    assert drafted.changes[0].facts["row"] == (
        "resnet50.cutmix_inat2018",
        "resnet50.mixup_inat2018",
    )
    assert isinstance(refused(drafted, allow_partial=True), IntegrityError)


def test_first_lock_needs_no_accepting() -> None:
    """What is only added can't change a hash."""
    drafted = locking.draft(INAT, whole(sha256=SHA["a"]))

    assert {change.what for change in drafted.changes} == {"added"}
    assert refused(drafted) is None


def test_problems_refuse_until_partial_is_allowed() -> None:
    """The line counts the problems, names some, and says what to do."""
    drafted = locking.draft(INAT, [*whole()[4:], listed("notes.txt")])

    refusal = refused(drafted)

    assert isinstance(refusal, ManifestError)
    assert "got 5 problems (notes.txt, resnet50.vanilla_inat2018," in str(refusal)
    assert "--allow-partial" in str(refusal)
    assert refused(drafted, allow_partial=True) is None
    assert len(drafted.lock.assets) == 16


def test_mirror_fills_in_what_the_first_source_does_not_know() -> None:
    """The release's own facts and a mirror's LFS hash make one entry."""
    mirror = Listed(name="w.pth", origin="hub", size=5, sha256=SHA["a"])

    files, problems = merge([[listed("w.pth", release_id=71)], [mirror]])

    assert files == [listed("w.pth", release_id=71, sha256=SHA["a"])]
    assert problems == []


NOT_LOCKABLE = {
    "uploading": ([listed(finished=False)], "unfinished", "upload isn't finished"),
    "empty": ([listed(size=0)], "unfinished", "0 bytes"),
    "odd name": ([listed("r50 mixup.pth")], "left over", "characters"),
    "long name": ([listed(f"r50_mixup_{'0' * 200}.pth")], "left over", "too long"),
    "a folder in the name": ([listed("../r50_mixup.pth")], "left over", "characters"),
    "two sizes": (
        [listed(), listed(size=6, origin="hub")],
        "contradicted",
        "GitHub says 5 bytes, hub says 6 bytes",
    ),
    "two hashes": (
        [listed(sha256=SHA["a"]), listed(sha256=SHA["b"], origin="hub")],
        "contradicted",
        "GitHub says sha256 aaaaaaaaaaaa…, hub says sha256 bbbbbbbbbbbb…",
    ),
}


@pytest.mark.parametrize(("files", "what", "reason"), NOT_LOCKABLE.values(), ids=NOT_LOCKABLE)
def test_file_that_cannot_be_locked_is_reported(files, what: str, reason: str) -> None:
    """Unfinished, empty, oddly named or contradicted files become problems and no entry."""
    usable, problems = merge([[file] for file in files])

    assert usable == []
    assert [problem.what for problem in problems] == [what]
    assert reason in problems[0].reason


def test_unfinished_copy_does_not_hide_a_whole_one() -> None:
    """A file that one source has in full is locked from it."""
    files, problems = merge([[listed(finished=False, origin="GitHub")], [listed(origin="hub")]])

    assert [file.origin for file in files] == ["hub"]
    assert problems == []


def test_benchmark_without_a_source_that_lists_is_refused() -> None:
    """A web folder or a package can't be asked what it holds."""
    with pytest.raises(UsageError, match="none of its sources can be asked"):
        locking.survey(open_catalog().benchmark("mini"))


BOTH = """
[[sources]]
kind = "github"
repository = "owner/zoo"
tag = "v1"
[[sources]]
kind = "huggingface"
repository = "owner/mirror"
[matching.kinds]
weights = [".pth"]
"""


def test_mirror_is_enough_where_github_is_out_of_reach(
    write_benchmark: Callable[..., Path], server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's answer is used, and that GitHub gave none is a problem of its own."""
    name = "resnet18_w4_vanilla.pth"
    lfs = {"oid": SHA["a"], "size": 5, "pointerSize": 134}
    tree = [{"type": "file", "oid": "c" * 40, "size": 5, "path": name, "lfs": lfs}]
    address = "/api/models/owner/mirror/tree/main?recursive=false&expand=false"
    server.answers[address] = (200, {}, json.dumps(tree).encode())
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    benchmark = open_catalog([write_benchmark(BOTH)]).benchmark("own")

    files, problems = locking.survey(benchmark)
    drafted = locking.draft(benchmark.manifest, files, problems)

    assert [(a.name, a.sha256) for a in drafted.lock.assets] == [(name, SHA["a"])]
    assert [(p.what, p.subject) for p in drafted.problems] == [("unreachable", "owner/zoo")]


@pytest.mark.parametrize("variable", ["MIXZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The variable that forbids it is named."""
    monkeypatch.setenv(variable, "1")

    with pytest.raises(SourceError, match=variable):
        locking.survey(open_catalog().benchmark("inat2018"))


@pytest.mark.parametrize("changed", [NEW, "2026-02-31T25:61:61Z"])
def test_first_use_is_hashed_from_a_fresh_file(
    write_benchmark: Callable[..., Path], server, changed: str
) -> None:
    """A cached file older than the release's is set aside; its hash isn't taken for the new one.

    Also where a source names a day that there is not.
    """
    server.answers["/w.pth"] = (200, {}, b"new bytes")
    source = f'[[sources]]\nkind = "http"\nurl = "{server.url}"'
    manifest = write_benchmark(source, b"old bytes", sha256=None, updated_at=changed)
    benchmark = open_catalog([manifest]).benchmark("own")
    assert benchmark.lock is not None
    cached = locking.asset_path("own", benchmark.lock.assets[0])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"old bytes")
    record_first_use(cached, hashlib.sha256(b"old bytes").hexdigest())
    for path in cached.parent.iterdir():
        os.utime(path, (0, 1_700_000_000))  # November 2023, before NEW

    drafted = locking.hash_unknown(benchmark, locking.Draft(benchmark.lock, [], []))

    asset = drafted.lock.assets[0]
    assert asset.sha256 == hashlib.sha256(b"new bytes").hexdigest()
    assert asset.hash_from == "first use"
    assert drafted.unknown == []


def test_file_of_todays_release_is_hashed_where_it_lies(
    write_benchmark: Callable[..., Path], server
) -> None:
    """What is in the cache and not older than the release isn't downloaded again."""
    source = f'[[sources]]\nkind = "http"\nurl = "{server.url}"'
    manifest = write_benchmark(source, b"bytes", sha256=None, updated_at=OLD)
    benchmark = open_catalog([manifest]).benchmark("own")
    assert benchmark.lock is not None
    cached = locking.asset_path("own", benchmark.lock.assets[0])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"bytes")

    drafted = locking.hash_unknown(benchmark, locking.Draft(benchmark.lock, [], []))

    assert drafted.lock.assets[0].sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert server.requests == []


def test_failed_download_hashes_nothing(write_benchmark: Callable[..., Path], server) -> None:
    """A file that can't be had is one error, and no lock comes of it."""
    source = f'[[sources]]\nkind = "http"\nurl = "{server.url}"'
    manifest = write_benchmark(source, b"bytes", sha256=None)
    benchmark = open_catalog([manifest]).benchmark("own")
    assert benchmark.lock is not None

    with pytest.raises(SourceError, match="404"):
        locking.hash_unknown(benchmark, locking.Draft(benchmark.lock, [], []))


def test_lock_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the middle leaves the old file and no other."""
    path = tmp_path / "inat2018.lock.json"
    path.write_text("the old lock")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(UsageError, match="No space left on device"):
        locking.write_lock(path, lock_of(*whole()), INAT)

    assert path.read_text() == "the old lock"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_written_lock_is_read_back(tmp_path: Path) -> None:
    """What is written is valid, and the same lock again."""
    path = tmp_path / "inat2018.lock.json"
    lock = hashed(lock_of(*whole()))

    locking.write_lock(path, lock, INAT)

    assert read_lock(path, INAT) == lock
    assert read_lock(tmp_path / "none.lock.json", INAT) is None
