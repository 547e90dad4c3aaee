"""Parts of an evaluation give the report of one process, in any order, and say what is missing."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval import guard, parts, store
from mixzoo.eval.known import Said, Training
from mixzoo.eval.predictions import Predictions, Rows
from mixzoo.eval.report import versions
from mixzoo.eval.shard import Shard, batches, parse
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.facts import TrainingFacts
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import DataError, IntegrityError, MixzooError, UsageError
from mixzoo.zoo.report import Claims, Weights

CATALOG = open_catalog()
ROW = "resnet50.automix_inat2018"
IMAGES, BATCH = 24_426, 64
HEADS = ("mix_k", "one_k")
BOUND = 0.25


@cache
def images() -> LabelledImages:
    """A list as long as iNaturalist-2018's."""
    files = tuple(f"val2018/{i % 14}/{i % 8142}/{i:06}.jpg" for i in range(IMAGES))
    labels = tuple(i * 7 % 8142 for i in range(IMAGES))
    return LabelledImages(FolderStore(Path()), files, labels, "val2018.json")


@cache
def whole() -> store.Stored:
    """What one process would have predicted of all images: invented."""
    rng = np.random.default_rng(0)
    heads = {}
    for head in HEADS:
        known = Predictions.empty(images().labels)
        top = rng.integers(0, 8142, (IMAGES, 5)).astype(np.int32)
        right = rng.random(IMAGES) < 0.64
        top[right, 0] = known.labels[right]
        exact = rng.random(IMAGES) < 0.1
        margins = (BOUND + rng.random((2, IMAGES))).astype(np.float32)
        changed = exact & (rng.random(IMAGES) < 0.05)
        confidence = rng.random(IMAGES, np.float32)
        known.put(Rows(np.arange(IMAGES), top, *margins, confidence, exact, changed))
        heads[head] = known
    benchmark, _ = CATALOG.row(ROW)
    key = store.Key("a" * 64, benchmark.manifest.protocol, images().sha256(), "guarded")
    weights = Weights(
        file="x.pth", sha256="a" * 64, architecture="resnet50", method="automix",
        num_classes=8142, heads=HEADS,
    )  # fmt: skip
    about = {
        "weights": msgspec.to_builtins(weights), "epoch": 100, "device": "cpu", "torch": "2",
        "created": "2026-01-01T00:00:00+00:00", "files_sha256": None,
        "bounds": dict.fromkeys(HEADS, BOUND),
    }  # fmt: skip
    sizes = np.arange(IMAGES, dtype=np.int64)
    return store.Stored(key.facts(), heads, images().files, sizes, about)


def write(folder: Path, shard: Shard, bound: float = BOUND, **changes: Any) -> Path:
    """A part as an evaluation writes it. bound: that it found. changes: of its index."""
    at = shard.positions(IMAGES, BATCH)
    share = whole().at(at)
    bounds = dict.fromkeys(HEADS, bound)
    summary = guard.summary("guarded", "bf16", share.heads, bounds, 128)
    share.about.update(whole().about | {"bounds": bounds, "precision": summary})
    said = Said(
        name=ROW, judged_as=ROW, own=False, claims=Claims(), facts=TrainingFacts(), ref=ROW,
        traits={},
    )  # fmt: skip
    of = parts.Of(said=said, key=share.key, file="0.safetensors")
    benchmark, _ = CATALOG.row(ROW)
    part = parts.Part(
        number=shard.number, of=shard.of, images=IMAGES, batch_size=BATCH, precision="guarded",
        benchmark="inat2018", published=benchmark.manifest.protocol, labels="val2018.json",
        data="DIR", run={"device": "cpu"}, versions=versions(), created="2026-01-01",
        command=("eval", ROW, "--data", "/nowhere"), allow_missing=False,
        training=Training({n: n % 150 + 1 for n in range(8142)}, ()), checkpoints=(of,), failures={}, unreadable={}, files={},
    )  # fmt: skip
    parts.write(folder, msgspec.structs.replace(part, **changes), [share], [])
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    """All parts of 1, 7 and 64."""
    root = tmp_path_factory.mktemp("parts")
    return {
        of: [write(root / f"{n}-of-{of}", Shard(n, of)) for n in range(1, of + 1)]
        for of in (1, 7, 64)
    }


def evidence_of(folders: list[Path], to: Path) -> tuple[bytes, dict[str, bytes]]:
    """Report and evidence, byte for byte."""
    merged = parts.merge(folders, CATALOG)
    shutil.rmtree(to, ignore_errors=True)
    merged.write_evidence(to)
    found = {str(p.relative_to(to)): p.read_bytes() for p in sorted(to.rglob("*")) if p.is_file()}
    return merged.report.to_json().encode(), found


@pytest.mark.parametrize("of", [7, 64])
def test_any_order_with_duplicates_gives_the_bytes_of_one_process(
    of: int, written: dict[int, list[Path]], tmp_path: Path
) -> None:
    """24,426 invented predictions; some parts are there twice, some were killed while they wrote."""
    one = evidence_of(written[1], tmp_path / "one")

    @settings(max_examples=4)
    @given(st.randoms(use_true_random=False))
    def check(rng: random.Random) -> None:
        order = [*written[of], *rng.sample(written[of], rng.randrange(of))]
        killed = tmp_path / "killed"
        killed.mkdir(exist_ok=True)
        rng.shuffle(order)
        assert evidence_of([killed, *order], tmp_path / "many") == one

    check()


def test_what_was_merged_is_kept_as_if_it_had_been_predicted_here(
    written: dict[int, list[Path]],
) -> None:
    """For `mixzoo eval compare` and the like."""
    parts.merge(written[7], CATALOG)

    (kept,) = store.of_weights("a" * 64)
    assert kept.files == images().files
    for head, known in kept.heads.items():
        for column in ("top", "margin", "state", "changed"):
            expected = getattr(whole().heads[head], column)
            np.testing.assert_array_equal(getattr(known, column), expected)


def test_missing_parts_are_named_with_a_command(written: dict[int, list[Path]]) -> None:
    """All their numbers, as sbatch takes them, and the words that make the first."""
    here = [p for n, p in enumerate(written[64], start=1) if n not in (3, 5, 6, 7, 64)]

    with pytest.raises(DataError) as raised:
        parts.merge(here, CATALOG)

    assert "5 of 64 parts are missing: 3,5-7,64." in str(raised.value)
    made = f"mixzoo eval {ROW} --data /nowhere --shard 3/64 --out part-3"
    assert str(raised.value).endswith(made)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"precision": "fp32"}, "expected the precision"),
        ({"versions": versions() | {"mixzoo": "0.0.1"}}, "expected the version of mixzoo"),
        ({"versions": versions() | {"torch": "1.0"}}, "expected the libraries"),
        ({"of": 7}, "part 9 of 7 can't be"),
        ({"failures": {"x": "gone"}}, "expected the checkpoints that failed"),
    ],
)
def test_parts_of_other_evaluations_are_refused(
    changes: dict[str, Any], named: str, written: dict[int, list[Path]], tmp_path: Path
) -> None:
    """In one line that names the folder and what differs."""
    number = 9 if "of" in changes else 3
    shard = Shard(number, 64 if number == 9 else 7)
    foreign = write(tmp_path / "foreign", shard)
    index = json.loads((foreign / parts.INDEX).read_text()) | changes
    (foreign / parts.INDEX).write_text(json.dumps(index))

    with pytest.raises(MixzooError, match=named) as raised:
        parts.merge([*written[7], foreign], CATALOG)

    assert "foreign" in str(raised.value)
    assert "\n" not in str(raised.value)


def in_index(name: str, value: object) -> Callable[[Path], object]:
    """An edit of one field of `part.json`."""

    def edit(folder: Path) -> None:
        path = folder / parts.INDEX
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    return edit


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda p: (p / "0.safetensors").write_bytes(b"x" * 100), "isn't the file that part.json"),
        (lambda p: (p / "0.safetensors").unlink(), "0.safetensors"),
        (lambda p: (p / "part.json").write_text("{"), "part.json|malformed|truncated"),
        (lambda p: (p / "part.json").write_text("[" * 99_999), "Expected `object`|nested too deep"),
        (in_index("images", 2**53), "doesn't hold the predictions of all its images"),
        (in_index("of", 2**53), "part 1 of 9007199254740992 can't be"),
    ],
)
def test_damaged_parts_are_refused(
    edit: Callable[[Path], object], named: str, tmp_path: Path
) -> None:
    """Nothing of a part is believed whose bytes aren't those that were written."""
    folder = write(tmp_path / "part", Shard(1, 7))
    edit(folder)

    with pytest.raises(IntegrityError, match=named):
        parts.read(folder)


@given(st.data())
@settings(max_examples=60)
def test_no_other_error_passes_the_wall(data: st.DataObject) -> None:
    """Whatever an index holds."""
    folder = _cached_part()
    index = json.loads((folder / parts.INDEX).read_text())
    name = data.draw(st.sampled_from(sorted(index)))
    index[name] = data.draw(
        st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({})
    )
    edited = folder.with_name("edited")
    shutil.copytree(folder, edited, dirs_exist_ok=True)
    (edited / parts.INDEX).write_text(json.dumps(index))

    with suppress(MixzooError):
        parts.merge([edited], CATALOG)


@cache
def _cached_part() -> Path:
    return write(Path(tempfile.mkdtemp()) / "part", Shard(1, 1))


def test_what_another_part_doubts_must_be_computed_again(tmp_path: Path) -> None:
    """A part that found a larger bound; all is kept, so that only those are computed."""
    folders = [write(tmp_path / str(n), Shard(n, 3), BOUND * n) for n in (1, 2, 3)]

    with pytest.raises(parts.UnsettledError, match="To compute these alone again"):
        parts.merge(folders, CATALOG)

    key = store.Key("a" * 64, CATALOG.row(ROW)[0].manifest.protocol, images().sha256(), "guarded")
    found = store.read(key.parts / "merged.safetensors", key.facts())
    assert found is not None
    assert found.about["bounds"] == dict.fromkeys(HEADS, 3 * BOUND)
    assert found.stale > 0


@given(st.integers(1, 3000), st.integers(1, 80), st.integers(1, 70))
def test_shards_share_out_whole_batches(count: int, batch_size: int, of: int) -> None:
    """Every image once, and every batch as one process makes it."""
    shards = [Shard(n, of) for n in range(1, of + 1)]

    positions = [shard.positions(count, batch_size) for shard in shards]

    assert sorted(at for one in positions for at in one) == list(range(count))
    assert [shard.count(count, batch_size) for shard in shards] == [*map(len, positions)]
    whole_batches = {tuple(group) for group in batches(range(count), batch_size)}
    assert {tuple(g) for one in positions for g in batches(one, batch_size)} == whole_batches


ARRAY = {"ID": "7", "MIN": "5", "MAX": "12", "COUNT": "8"}


def test_a_task_of_an_array_finds_its_shard() -> None:
    """Whatever number the array begins with."""
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in ARRAY.items()}

    assert parse("auto", environment) == Shard(3, 8)


@pytest.mark.parametrize(
    "changes", [{"ID": ""}, {"ID": "x"}, {"COUNT": ""}, {"ID": "4"}, {"COUNT": "3"}, {"ID": "13"}]
)
def test_an_array_that_is_not_whole_is_refused(changes: dict[str, str]) -> None:
    """Absent and wrong variables, and gaps, as in --array=3,17."""
    values = ARRAY | changes
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in values.items()}

    with pytest.raises(UsageError, match="--shard"):
        parse("auto", environment)


@given(st.text(max_size=12))
def test_a_shard_is_a_number_of_a_number(text: str) -> None:
    """Nothing else is guessed at."""
    try:
        shard = parse(text, {})
    except UsageError:
        return
    assert str(shard) == text or text.lstrip("0") != text
    assert 1 <= shard.number <= shard.of
