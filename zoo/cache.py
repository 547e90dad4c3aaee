"""Where fetched files live on this machine."""

import os
from pathlib import Path

import platformdirs

from .lock import Asset

ENVIRONMENT = "MIXZOO_CACHE"


def cache_root() -> Path:
    """The cache folder: MIXZOO_CACHE, else the user's cache folder of this operating system."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("mixzoo")


def asset_path(benchmark: str, asset: Asset) -> Path:
    """Where a released file is kept once it has been fetched."""
    return cache_root() / "assets" / benchmark / asset.name


def data_path(dataset: str) -> Path:
    """Where a data set that the package draws is kept."""
    return cache_root() / "data" / dataset
