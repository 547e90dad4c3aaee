"""Where fetched files live on this machine."""

import os
from pathlib import Path

import platformdirs

from .files import as_typed
from .lock import Asset

ENVIRONMENT = "MIXZOO_CACHE"
LOCKS_ENVIRONMENT = "MIXZOO_LOCKS"


def cache_root() -> Path:
    """The cache folder: MIXZOO_CACHE, else the user's cache folder of this operating system."""
    named = os.environ.get(ENVIRONMENT)
    return as_typed(named) if named else platformdirs.user_cache_path("mixzoo")


def locks_root() -> Path:
    """A person's own lock files: MIXZOO_LOCKS, else in the user's settings folder.

    For benchmarks whose manifest lies where nothing can be written, like an installed package.
    """
    named = os.environ.get(LOCKS_ENVIRONMENT)
    return as_typed(named) if named else platformdirs.user_config_path("mixzoo") / "locks"


def assets_folder(benchmark: str) -> Path:
    """The folder of a benchmark's released files."""
    return cache_root() / "assets" / benchmark


def asset_path(benchmark: str, asset: Asset) -> Path:
    """Where a released file is kept once it has been fetched."""
    return assets_folder(benchmark) / asset.name


def process_lock_path(benchmark: str, name: str) -> Path:
    """The file that a process locks while it fetches or changes a file of the cache."""
    return cache_root() / "locks" / benchmark / f"{name}.lock"


def data_path(dataset: str) -> Path:
    """Where a data set that the package draws is kept."""
    return cache_root() / "data" / dataset


def predictions_root() -> Path:
    """Where predictions are kept, a folder for each checkpoint's hash."""
    return cache_root() / "predictions"
