"""What is written as TOML is what `tomllib` reads."""

import tomllib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.manifest import parse_manifest
from mixzoo.zoo.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)
PLAIN = st.recursive(
    st.dictionaries(TEXT, SCALARS | st.lists(SCALARS)),
    lambda tables: st.dictionaries(TEXT, tables | st.lists(tables, min_size=1)),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(PLAIN)
def test_tables_come_back(table: dict) -> None:
    """Any keys, strings, numbers, lists and nested tables survive."""
    assert tomllib.loads(to_toml(table)) == table


@pytest.mark.parametrize("name", open_catalog().benchmarks)
def test_every_manifest_comes_back(name: str) -> None:
    """A manifest that is written is the manifest that is read."""
    manifest = open_catalog().benchmark(name).manifest

    text = to_toml(msgspec.to_builtins(manifest))

    assert parse_manifest(text, name) == manifest


def test_none_is_left_out() -> None:
    """TOML has no null: an absent field means the same."""
    assert to_toml({"a": None, "b": 1}) == "b = 1\n"


def test_other_types_are_refused() -> None:
    """Nothing is written that would come back as something else."""
    with pytest.raises(TypeError, match="got bytes"):
        to_toml({"a": b"x"})
