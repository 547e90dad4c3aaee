"""The package's public names are there, and cost nothing before they are used."""

import subprocess
import sys
from types import ModuleType

import mixzoo.viz
import pytest


@pytest.mark.parametrize("name", mixzoo.viz.__all__)
def test_a_public_name_is_what_it_says(name: str) -> None:
    """Not a module that happens to have the name, also after all modules were imported."""
    for module in set(mixzoo.viz._HOMES.values()):
        __import__(f"mixzoo.viz.{module}")

    assert not isinstance(getattr(mixzoo.viz, name), ModuleType)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'qqq'"):
        _ = mixzoo.viz.qqq


def test_colours_do_not_wait_for_torch() -> None:
    """Plots of logs and reports start fast."""
    code = "import sys, mixzoo.viz.themes; print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
