"""A lock file says what was seen, in the same bytes each time, and nothing that contradicts it."""

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog, package_path
from mixzoo.zoo.errors import ManifestError
from mixzoo.zoo.lock import Asset, Lock, parse_lock, render_lock

ROW = "resnet50.mixup_inat2018"
INAT = open_catalog().benchmark("inat2018").manifest


def parse(*assets: dict[str, Any], benchmark: str = "inat2018") -> Lock:
    content = {"format": 1, "benchmark": benchmark, "assets": assets}
    return parse_lock(json.dumps(content), "x.lock.json", INAT)


def test_shipped_lock_is_rendered_as_it_is() -> None:
    """Reading and rendering the package's own lock gives its very bytes."""
    path = package_path("manifests") / "mini.lock.json"

    lock = parse_lock(path.read_text(), str(path), open_catalog().benchmark("mini").manifest)

    assert render_lock(lock).encode() == path.read_bytes()


def test_unknown_hash_is_said_aloud() -> None:
    """`sha256: null` stands in the file; other facts that aren't known don't."""
    asset = Asset(row=ROW, kind="weights", name="r50_mixup.pth", size=5)

    content = json.loads(render_lock(Lock(format=1, benchmark="inat2018", assets=[asset])))

    expected = {"row": ROW, "kind": "weights", "name": "r50_mixup.pth", "size": 5, "sha256": None}
    assert content["assets"] == [expected]


def test_release_and_time_of_change_are_kept() -> None:
    """The optional facts of a GitHub asset survive writing and reading."""
    asset = Asset(
        row=ROW,
        kind="weights",
        name="w.pth",
        size=5,
        sha256="0a" * 32,
        hash_from="first use",
        release_id=71,
        updated_at="2022-08-22T03:11:22Z",
    )
    lock = Lock(format=1, benchmark="inat2018", assets=[asset])

    assert parse_lock(render_lock(lock), "x", INAT) == lock


GOOD = {"row": ROW, "kind": "weights", "name": "w.pth"}
WRONG = {
    "a path for a name": ([GOOD | {"name": "../w.pth"}], "field 'assets[0].name'"),
    "a name with a line end": ([GOOD | {"name": "w.pth\n"}], "field 'assets[0].name'"),
    "a name twice": ([GOOD, GOOD], "'w.pth' stands twice"),
    "one name on some disks": ([GOOD, GOOD | {"kind": "log", "name": "W.pth"}], "stands twice"),
    "two weights": ([GOOD, GOOD | {"name": "v.pth"}], "second asset of kind 'weights', 'v.pth'"),
    "an unknown row": ([GOOD | {"row": "resnet50.x_inat2018"}], "expected a row of the manifest"),
    "a short hash": ([GOOD | {"sha256": "0a"}], "sha256"),
    "a local time": ([GOOD | {"updated_at": "2022-08-22 03:11"}], "updated_at"),
}


@pytest.mark.parametrize(("assets", "message"), WRONG.values(), ids=WRONG)
def test_contradictory_lock_is_refused(assets: list[dict[str, Any]], message: str) -> None:
    """An entry that can't be right is named."""
    with pytest.raises(ManifestError) as caught:
        parse(*assets)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_row_may_have_several_visualisations() -> None:
    """Only weights and logs are one to a row."""
    zips = [{"row": ROW, "kind": "visualisation", "name": name} for name in ("a.zip", "b.zip")]

    assert len(parse(*zips).assets) == 2


def test_lock_of_another_benchmark_is_refused() -> None:
    """A lock says which benchmark it is of."""
    with pytest.raises(ManifestError, match="expected 'inat2018', got 'inat2017'"):
        parse(benchmark="inat2017")


WHOLE = json.dumps({"format": 1, "benchmark": "inat2018", "assets": [GOOD | {"size": 5}]})
FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NUMBER = st.integers() | st.just(10**4_500) | st.floats()
FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(msgspec.structs.asdict(Asset(**GOOD)), FACTS | NUMBER)
)


@settings(max_examples=150, deadline=None)
@given(FIELDS, FACTS)
def test_any_facts_make_a_lock_or_one_error(fields: dict[str, Any], more: Any) -> None:
    """Anything in the place of a field is understood or refused, by the name of the file."""
    for assets in ([GOOD | fields], [GOOD, fields], more):
        said = refusal(dumps({"format": 1, "benchmark": "inat2018", "assets": assets}))
        assert said == "" or (said.startswith("x.lock.json: ") and "\n" not in said)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30), st.integers(0, len(WHOLE)), st.sampled_from([1, 50, 30_000]))
def test_any_text_makes_a_lock_or_one_error(piece: str, place: int, times: int) -> None:
    """Anything typed anywhere into the file gives no other exception."""
    said = refusal(WHOLE[:place] + piece * times + WHOLE[place:])

    assert said == "" or said.startswith("x.lock.json: ")


def refusal(text: str) -> str:
    """Why a lock is refused, empty if it isn't; any other exception is a fault."""
    try:
        parse_lock(text, "x.lock.json", INAT)
    except ManifestError as error:
        return str(error)
    return ""


def dumps(content: Any) -> str:
    """JSON with numbers of any length."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(content)
    finally:
        sys.set_int_max_str_digits(limit)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": 1, "format": 1, "benchmark": "inat2018", "assets": []}',
        WHOLE.replace('"size": 5', '"size": -1'),
        WHOLE.replace('"size": 5', '"size": ' + "9" * 5_000),
        WHOLE.replace('"size": 5', '"size": 5, "size": 6'),
        WHOLE.replace('"size": 5', '"size": Infinity'),
    ],
    ids=[
        "deep array",
        "deep object",
        "a fact twice",
        "negative",
        "long",
        "a size twice",
        "infinite",
    ],
)
def test_what_no_lock_says_is_one_line(text: str) -> None:
    """Of two facts of one name none is silently taken, and no number but a size is a size."""
    with pytest.raises(ManifestError, match=r"^x\.lock\.json: [^\n]{1,250}$"):
        parse_lock(text, "x.lock.json", INAT)
