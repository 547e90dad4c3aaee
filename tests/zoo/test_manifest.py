"""Manifests are tested like code: every entry is walked, every wrong field named, and all written back."""

import tomllib
from collections.abc import Callable
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.errors import ManifestError
from mixzoo.zoo.manifest import (
    Manifest,
    Row,
    laid_over,
    manifest_of,
    manifest_text,
    parse_manifest,
    read_manifest,
    with_row,
)

FILES = sorted(Path(str(resources.files("mixzoo"))).glob("manifests/*.toml"))
ROWS = [(file.stem, row) for file in FILES for row in read_manifest(file).rows]
TEXT, MINI_TEXT = (
    next(file for file in FILES if file.stem == name).read_text() for name in ("inat2018", "mini")
)
METHODS = [
    "vanilla",
    "mixup",
    "cutmix",
    "manifoldmix",
    "saliencymix",
    "fmix",
    "puzzlemix",
    "resizemix",
    "automix",
    "samix",
]

# The published tables: benchmark, architecture, and a number for each of METHODS; -: none published.
TABLES = """
inat2018 resnet50 62.53 62.69 63.91 63.46 64.27 63.71 64.36 64.12 64.73 64.84
inat2018 resnext101_32x4d 66.94 67.56 69.75 69.30 70.01 69.46 70.12 69.30 70.49 70.54
inat2017 resnet18 51.79 51.40 51.24 51.83 51.29 52.01 - 51.21 52.84 53.42
inat2017 resnet50 60.23 61.22 62.34 61.47 62.51 61.90 62.66 62.29 63.08 63.32
inat2017 resnext101_32x4d 63.70 66.27 67.59 66.08 67.20 66.64 67.72 66.82 68.03 68.26
places205 resnet18 59.63 59.33 59.21 59.46 59.50 59.51 59.62 59.66 59.74 59.86
places205 resnet50 63.10 63.01 63.75 63.23 63.33 63.63 63.91 63.88 64.06 64.27
"""


@pytest.mark.parametrize(("benchmark", "row"), ROWS, ids=[row.id for _, row in ROWS])
def test_every_row_is_well_formed(benchmark: str, row) -> None:
    """Each row has its id, a known method, a plausible number, and a paper unless it is vanilla."""
    assert row.id == f"{row.architecture}.{row.method}_{benchmark}"
    assert row.method in METHODS
    assert 1 < row.reported_top1 < 99
    assert (row.alpha is None) == (row.method == "vanilla")
    if row.method != "vanilla":
        assert row.paper.startswith("arXiv:")


@pytest.mark.parametrize(
    "column", TABLES.strip().splitlines(), ids=lambda line: " ".join(line.split()[:2])
)
def test_published_table_is_complete(column: str) -> None:
    """A manifest's column holds the published numbers, no row more and none less."""
    benchmark, architecture, *numbers = column.split()
    manifest = read_manifest(next(file for file in FILES if file.stem == benchmark))

    found = {
        row.method: f"{row.reported_top1:.2f}"
        for row in manifest.rows
        if row.architecture == architecture
    }

    assert [found.get(method, "-") for method in METHODS] == numbers
    assert len(found) == len(numbers) - numbers.count("-")


def test_inat2018_counts_sum_to_the_published_totals() -> None:
    """Supercategories add up to 8,142 classes, 437,513 training and 24,426 validation images."""
    dataset = parse_manifest(TEXT, "inat2018.toml").dataset

    assert [sum(column) for column in zip(*dataset.supercategories.values(), strict=True)] == [
        8142,
        437513,
        24426,
    ]


MIXUP = "row 'resnet50.mixup_inat2018'"
NUMBER = "reported_top1 = 62.69"
ID = 'id = "resnet50.{0}_inat2018"'
TWICE = ID + '\narchitecture = "resnet50"\nmethod = "{0}"'
KINDS = "github or huggingface or baidu or http or file or package"
WRONG = {
    "text for a number": (
        *(NUMBER, 'reported_top1 = "62"'),
        f"{MIXUP}, field 'reported_top1': expected float | null, got str '62'",
    ),
    "over 100 percent": (NUMBER, "reported_top1 = 162.69", "expected float <= 100.0, got 162.69"),
    "not a number": (NUMBER, "reported_top1 = nan", "field 'reported_top1'"),
    "unknown field": (NUMBER, "top1 = 62.69", f"{MIXUP}: object contains unknown field top1"),
    "id of another method": (
        *(ID.format("mixup"), ID.format("mixed")),
        "'resnet50.mixup_inat2018' (architecture.method_benchmark), got 'resnet50.mixed_inat2018'",
    ),
    "a table for an id": (
        *(ID.format("mixup"), f"id = {{ x = '{'y' * 600}' }}"),
        ".toml: field 'rows[1].id': expected str, got object.",
    ),
    "row twice": (TWICE.format("mixup"), TWICE.format("vanilla"), "stands twice"),
    "half a pixel": (
        "resize = 256",
        "resize = 2.5",
        "'protocol.resize': expected int, got float 2.5",
    ),
    "crop beyond resize": ("crop = 224", "crop = 300", "at most protocol.resize = 256, got 300"),
    "unknown interpolation": (
        *('"bicubic"', '"cubic"'),
        "field 'protocol.interpolation': expected bicubic or bilinear or nearest, got 'cubic'",
    ),
    "unknown source": (
        *('kind = "github"', 'kind = "gitlab"'),
        f"field 'sources[0].kind': expected {KINDS}, got 'gitlab'",
    ),
    "md5 that is none": ('md5 = "b1', 'md5 = "z1', "field 'dataset.files[0].md5'"),
    "other counts": ("Plantae = [2917", "Plantae = [2918", "classes to sum to 8142, got 8143"),
    "path with a NUL": ('annotations = ["', 'annotations = ["\\u0000', "annotations[0]"),
    "another format": ("format = 1", "format = 2", "field 'format': expected 1, got 2"),
    "broken TOML": ("format = 1", "format = ", "not valid TOML"),
}


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG.values(), ids=WRONG)
def test_wrong_field_is_named(right: str, wrong: str, message: str) -> None:
    """An error is one line that names file, row, field, expected and got."""
    assert right in TEXT

    with pytest.raises(ManifestError) as caught:
        parse_manifest(TEXT.replace(right, wrong, 1), "inat2018.toml")

    assert str(caught.value).startswith("inat2018.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_manifest_is_immutable() -> None:
    """Facts can't be changed by accident."""
    manifest: Manifest = parse_manifest(TEXT, "inat2018.toml")

    with pytest.raises(AttributeError):
        manifest.rows[0].reported_top1 = 99.0  # type: ignore[misc]


def row(method: str = "fmix", **facts: object) -> Row:
    plain = Row(id=f"resnet18.{method}_mini", method=method, architecture="resnet18")
    return msgspec.structs.replace(plain, **facts)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_manifest_reads_back_equal(file: Path) -> None:
    """Nothing is lost on the way through text."""
    manifest = read_manifest(file)

    assert parse_manifest(manifest_text(manifest), "text") == manifest


def test_a_row_is_added_at_the_end() -> None:
    """All that a person wrote stays as it was, comments too."""
    text = with_row(MINI_TEXT, row(reported_top1=12.5, alpha=1.0))

    manifest = parse_manifest(text, "text")
    assert text.startswith(MINI_TEXT.rstrip("\n"))
    assert manifest.rows == [
        *parse_manifest(MINI_TEXT, "mini").rows,
        row(reported_top1=12.5, alpha=1.0),
    ]


def test_a_row_is_replaced_in_its_place() -> None:
    """The others keep their order, and comments before them stay."""
    text = "# head\nrowless = 1\n[[rows]]\nid = 'a.b_c'\nx = 1 # old\n\n# of the next\n[[rows]]\nid = 'd.e_c'\n[last]\n"
    new = Row(id="a.b_c", method="b", architecture="a", reported_top1=1.0)

    changed = with_row(text, new)

    assert changed == (
        '# head\nrowless = 1\n[[rows]]\nid = "a.b_c"\nmethod = "b"\narchitecture = "a"\n'
        "reported_top1 = 1.0\n\n# of the next\n[[rows]]\nid = 'd.e_c'\n[last]\n"
    )


def test_a_row_that_has_a_recipe_is_replaced_in_its_place() -> None:
    """The recipe is a table of its own in the file; what a person wrote behind it stays."""
    other = "# of the next\n[[rows]]\nid = 'd.e_c'\n"
    recipe = {"alpha": [0.8, 1.0], "automix": {"min_lr": 0.001}}
    text = with_row("format = 1\n", row(recipe={"lr": 0.1, "automix": {"min_lr": 0.1}})) + other

    changed = with_row(text, row(recipe=recipe))

    first, _ = tomllib.loads(changed)["rows"]
    assert msgspec.convert(first, Row).recipe == recipe
    assert changed.endswith(other)


def test_inline_rows_are_added_to_as_well() -> None:
    """The list keeps the notation that a person chose."""
    text = "rows = [{ id = 'a.b_c', method = 'b', architecture = 'a' }]\n"

    rows = tomllib.loads(with_row(text, row()))["rows"]

    assert [one["id"] for one in rows] == ["a.b_c", row().id]


def test_a_header_inside_a_text_is_not_taken_for_one() -> None:
    """It is a text, and stays one."""
    text = 'note = """\n[[rows]]\nid = \'resnet18.fmix_mini\'\n[x]\n"""\n'

    changed = tomllib.loads(with_row(text, row()))

    assert changed["note"] == tomllib.loads(text)["note"]
    assert len(changed["rows"]) == 1


@given(numbers=st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100)), max_size=8))
def test_any_order_of_additions_and_replacements(numbers: list[tuple[int, float]]) -> None:
    """The file holds the last number of each row, in the order of their first appearance."""
    text, expected = "format = 1\n", {}
    for method, number in numbers:
        one = row(f"m{method}", reported_top1=number)
        text = with_row(text, one)
        expected[one.id] = one

    rows = tomllib.loads(text).get("rows", [])
    assert [msgspec.convert(facts, Row) for facts in rows] == list(expected.values())


def test_tagged_rows_have_their_tag_in_their_id() -> None:
    """Several rows of one method can stand in a manifest; an id that doesn't fit is refused."""
    tagged = row("mixup", tag="seed1", id="resnet18.mixup_seed1_mini")
    wrong = row("mixup", tag="seed1", id="resnet18.mixup_mini")

    manifest = parse_manifest(with_row(MINI_TEXT, tagged), "text")

    assert manifest.row("resnet18.mixup_seed1_mini") == tagged
    assert tagged.id_in("other") == "resnet18.mixup_seed1_other"
    with pytest.raises(ManifestError, match=r"architecture\.method_tag_benchmark"):
        parse_manifest(with_row(MINI_TEXT, wrong), "text")


HUGE = {
    "deep array": "a = " + "[" * 20_000,
    "deep table": "a = " + "{a = " * 20_000,
    "long number": "a = " + "9" * 5_000,
    "long hexadecimal": "format = 0x" + "f" * 5_000,
    "long dotted key": ".".join("a" * 60_000) + " = 1",
    "long quoted key": " . ".join('"a"' for _ in range(60_000)) + " = 1",
    "long header": "[" + ".".join("a" * 60_000) + "]",
    "long inline key": "a = {" + ".".join("a" * 3_000) + " = 1}",
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_bomb_is_one_line(text: str) -> None:
    """What would take the memory or the stack of the reader is refused before it does."""
    with pytest.raises(ManifestError, match=r"^x\.toml: [^\n]{1,250}$"):
        parse_manifest(text, "x.toml")


WRONG_PATHS = ["/etc", "../../etc", "zoo/../../x", "C:/x", "zoo\\..\\..\\x", ""]


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_package_source_stays_in_the_package(path: str) -> None:
    """A manifest can't have the package's own kind of source copy a folder of the machine."""
    facts = tomllib.loads(MINI_TEXT) | {"sources": [{"kind": "package", "path": path}]}

    with pytest.raises(ManifestError, match="expected a path inside the package"):
        manifest_of(facts, "x.toml")


FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def refusal(work: Callable[[], object]) -> str:
    """Why a manifest is refused, empty if it isn't; any other exception is a fault."""
    try:
        work()
    except ManifestError as error:
        return str(error)
    return ""


def changed(facts: Any, data: st.DataObject) -> Any:
    """A copy with anything in the place of something."""
    whole = place = deepcopy(facts)
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(FACTS)
            return whole
        place = inner


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_facts_make_a_manifest_or_one_error(data: st.DataObject) -> None:
    """Anything anywhere in a manifest, or laid over it, is understood or refused by its file's name."""
    facts = tomllib.loads(data.draw(st.sampled_from([TEXT, MINI_TEXT])))
    above = changed(facts, data)
    facts = data.draw(st.sampled_from([above, laid_over(facts, above)]))

    said = refusal(lambda: manifest_of(facts, "x.toml"))

    assert said == "" or (said.startswith("x.toml: ") and len(said) < 500)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.integers(0, len(MINI_TEXT)), st.sampled_from([1, 50, 3_000]))
def test_any_text_makes_a_manifest_or_one_error(piece: str, place: int, times: int) -> None:
    """Anything typed anywhere into the file gives no other exception."""
    text = MINI_TEXT[:place] + piece * times + MINI_TEXT[place:]

    said = refusal(lambda: parse_manifest(text, "x.toml"))

    assert said == "" or said.startswith("x.toml: ")
