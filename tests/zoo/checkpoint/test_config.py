"""A config text is read as literals alone: genuine ones wholly, hostile ones safely."""

import keyword
import pprint
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.checkpoint.config import MAX_CHARACTERS, MAX_NOTES, parse
from mixzoo.zoo.checkpoint.reading import read_checkpoint

RUNS = ("tiny_cutmix_ep8", "tiny_automix_ep8")
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
LITERALS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(SCALARS.filter(lambda key: isinstance(key, str | int)), inner, max_size=4)
    ),
    max_leaves=12,
)


def genuine(golden: Path, run: str) -> str:
    return read_checkpoint(golden / "runs" / run / "epoch_8.pth").meta["config"]


@pytest.mark.parametrize("run", RUNS)
def test_genuine_config_is_read_wholly(golden: Path, run: str) -> None:
    """Every name of a config that mmcv wrote is understood, and equals what Python makes of it."""
    text = genuine(golden, run)

    config = parse(text)

    expected: dict[str, Any] = {}
    exec(text, {"__builtins__": {"dict": dict, "range": range}}, expected)
    expected["gpu_ids"] = list(expected["gpu_ids"])
    assert config.values == expected
    assert config.left_out == ()


@given(LITERALS)
def test_literals_are_read_as_python_reads_them(value: Any) -> None:
    """Text that repr or pprint writes gives the value again, types included."""
    for text in (repr(value), pprint.pformat(value, width=20)):
        assert repr(parse(f"x = {text}").values["x"]) == repr(eval(text))


@given(st.dictionaries(NAMES.filter(lambda name: not keyword.iskeyword(name)), SCALARS, max_size=5))
def test_dict_calls_are_dicts(entries: dict[str, Any]) -> None:
    """`dict(a=1)`, as mmcv spells tables, is {"a": 1}."""
    words = ", ".join(f"{name}={value!r}" for name, value in entries.items())

    assert parse(f"x = dict({words})").values == {"x": entries}


def test_what_is_not_understood_is_left_out_and_named() -> None:
    """A statement goes as a whole, and the rest stays."""
    config = parse("'''about'''\nimport os\nmodel = dict(a=1, b=build())\n_base_ = ['x.py']")

    assert config.values == {"_base_": ["x.py"]}
    assert config.left_out == (
        "line 2: Import: assigns no literals to a name",
        "line 3: model: assigns no literals to a name",
    )


@pytest.mark.parametrize(
    "second", ["a = f()", "a.update(b=2)", "del a", "for x in a: pass", "a += 1"]
)
def test_a_name_that_may_have_changed_is_forgotten(second: str) -> None:
    """A statement that isn't read could have changed what it names."""
    config = parse(f"a = 1\n{second}\nb = a")

    assert config.values == {}
    assert len(config.left_out) == 2


HOSTILE = {
    "many brackets": "(" * 10_000,
    "signs": "a = " + "-" * 100_000 + "1",
    "sums": "a = " + "+".join("1" * 100_000),
    "dots": "a = x" + ".x" * 50_000,
    "null": "a = 1\0",
    "name": "b = [0]\na = [b, b]",
    "spread": "a = [{**{'b': 1}}]",
    "spread call": "a = dict(**{'b': 1})",
    "list as key": "a = {[]: 1}",
    "power": "a = 9 ** 9 ** 9 ** 9",
    "shift": "a = 1 << 999999999",
    "repeat": "a = 'x' * 10 ** 12",
    "huge number": "a = 0x" + "f" * 200_000,
    "bytes": "a = b'1'",
    "imaginary": "a = 1 + 2j",
    "range": "a = range(1000000000000000000)",
    "range of zero": "a = range(1, 2, 0)",
    "range of floats": "a = range(1.5)",
    "import": "a = __import__('os').system('touch /tmp/mixzoo_was_here')",
    "comprehension": "a = [1 for x in range(9)]",
    "format": "a = f'{open}'",
    "lambda": "a = (lambda: 1)()",
    "walrus": "a = (b := 1)",
    "not python": "\x80\x02}q\x00.",
    "long": "#" * (MAX_CHARACTERS + 1),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_gives_nothing_and_soon(text: str) -> None:
    """Nothing runs, nothing grows without bound, nothing is raised."""
    start = time.perf_counter()

    config = parse(text)

    assert time.perf_counter() - start < 10
    assert config.left_out
    assert "a" not in config.values


@given(st.text(alphabet="ab=()[]{}:,.*+-/%'\" \n0123456789", max_size=60))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a file, reading its config is safe."""
    config = parse(text)

    assert isinstance(config.values, dict)


def test_notes_are_bounded() -> None:
    """A text of a thousand riddles is summarised."""
    config = parse("\n".join(f"a{n} = f()" for n in range(1000)))

    assert len(config.left_out) == MAX_NOTES + 1
    assert config.left_out[-1] == f"and {1000 - MAX_NOTES} more"


def test_get_walks_tables() -> None:
    """A missing key, one below something that is no table, and another kind of value are None."""
    config = parse("runner = dict(max_epochs=8, lr=1, name='a\\x1b')")

    assert config.get("runner", "max_epochs") == 8
    assert config.get("runner", "type") is None
    assert config.get("runner", "max_epochs", "x") is None
    assert config.get("runner", "max_epochs", kind=str) is None
    assert config.get("runner", "name", kind=str) == "a"
    assert repr(config.get("runner", "lr", kind=float)) == "1.0"
