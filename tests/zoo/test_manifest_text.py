"""Manifests are written so that they read back equal, and a person's own text is kept."""

import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import ManifestError
from mixzoo.zoo.manifest import Manifest, Row, parse_manifest
from mixzoo.zoo.manifest_text import manifest_text, with_row

BENCHMARKS = open_catalog().benchmarks.values()
MINI = open_catalog().benchmark("mini")
TEXT = MINI.path.read_text()


def row(method: str = "fmix", **facts: object) -> Row:
    plain = Row(id=f"resnet18.{method}_mini", method=method, architecture="resnet18")
    return msgspec.structs.replace(plain, **facts)


@pytest.mark.parametrize(
    "manifest", [b.manifest for b in BENCHMARKS], ids=[b.name for b in BENCHMARKS]
)
def test_every_manifest_reads_back_equal(manifest: Manifest) -> None:
    """Nothing is lost on the way through text."""
    assert parse_manifest(manifest_text(manifest), "text") == manifest


def test_a_row_is_added_at_the_end() -> None:
    """All that a person wrote stays as it was, comments too."""
    text = with_row(TEXT, row(reported_top1=12.5, alpha=1.0))

    manifest = parse_manifest(text, "text")
    assert text.startswith(TEXT.rstrip("\n"))
    assert manifest.rows == [*MINI.manifest.rows, row(reported_top1=12.5, alpha=1.0)]


def test_a_row_is_replaced_in_its_place() -> None:
    """The others keep their order, and comments before them stay."""
    text = "# head\nrowless = 1\n[[rows]]\nid = 'a.b_c'\nx = 1 # old\n\n# of the next\n[[rows]]\nid = 'd.e_c'\n[last]\n"
    new = Row(id="a.b_c", method="b", architecture="a", reported_top1=1.0)

    changed = with_row(text, new)

    assert changed == (
        '# head\nrowless = 1\n[[rows]]\nid = "a.b_c"\nmethod = "b"\narchitecture = "a"\n'
        "reported_top1 = 1.0\n\n# of the next\n[[rows]]\nid = 'd.e_c'\n[last]\n"
    )


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

    manifest = parse_manifest(with_row(TEXT, tagged), "text")

    assert manifest.row("resnet18.mixup_seed1_mini") == tagged
    assert tagged.id_in("other") == "resnet18.mixup_seed1_other"
    with pytest.raises(ManifestError, match=r"architecture\.method_tag_benchmark"):
        parse_manifest(with_row(TEXT, wrong), "text")
