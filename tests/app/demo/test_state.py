"""What the page keeps in its URL."""

import re
from pathlib import Path

import gradio as gr
import pytest
from mixzoo.app import demo
from mixzoo.app.demo.state import PageState, among, number_between


@pytest.fixture
def state() -> PageState:
    kept = PageState()
    kept.listen("lam", gr.Slider(0, 1, 0.5), number_between(0, 1))
    kept.listen("method", gr.Radio(["mixup", "cutmix"]), among(("mixup", "cutmix")))
    return kept


def test_url_sets_components_in_their_order(state: PageState) -> None:
    """Each parameter becomes its component's value."""
    assert state.restored({"method": "cutmix", "lam": "0.25", "other": "x"}) == [0.25, "cutmix"]


@pytest.mark.parametrize("lam", ["2", "-1", "nan", "inf", "", "half", "0x1", "1e400"])
def test_value_that_is_not_allowed_changes_nothing(state: PageState, lam: str) -> None:
    """A wrong parameter is ignored, the others hold."""
    assert state.restored({"lam": lam, "method": "mixup"}) == [gr.skip(), "mixup"]


def test_absent_parameter_changes_nothing(state: PageState) -> None:
    """What the URL doesn't say stays as it is."""
    assert state.restored({}) == [gr.skip(), gr.skip()]


def test_name_is_taken_once(state: PageState) -> None:
    """Two components can't share a parameter."""
    with pytest.raises(ValueError, match="'lam'"):
        state.listen("lam", gr.Number(), float)


def test_every_parameter_is_documented() -> None:
    """The names in docs/demo.md are those that the tabs keep."""
    package = Path(demo.__file__ or "").parent
    kept = set()
    for module in package.glob("*.py"):
        kept |= set(re.findall(r"""\b(?:keep|listen)\(\s*"(\w+)",""", module.read_text()))
    told = re.search(
        r"\| parameter .*?\n\n", (package.parents[1] / "docs/demo.md").read_text(), re.S
    )

    assert told is not None
    firsts = "".join(line.split("|")[1] for line in told[0].splitlines() if "|" in line)
    assert set(re.findall(r"`(\w+)`", firsts)) == kept | {"a", "b"}  # these two in a loop
