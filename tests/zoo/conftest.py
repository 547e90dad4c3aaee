"""What tests of loading share: regenerated weights and small classifiers."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def regenerate() -> ModuleType:
    """`tests/regenerate.py`, which isn't part of any package."""
    path = Path(__file__).parents[1] / "regenerate.py"
    spec = importlib.util.spec_from_file_location("regenerate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
