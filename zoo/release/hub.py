"""Asks the Hugging Face hub, or the mirror that HF_ENDPOINT names, what a repository holds."""

import os
from pathlib import PurePosixPath

from ..errors import SourceError
from ..manifest import HuggingFaceSource
from .listing import Listed

HOUSEKEEPING = frozenset({".gitattributes", "README.md"})  # every repository has them


def repository_files(source: HuggingFaceSource) -> list[Listed]:
    """The files of the source's folder at its revision; those stored by LFS with their sha256.

    HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are huggingface_hub's to honour.
    Raises SourceError in one line if the hub can't be reached, refuses, or has no such place.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (  # of httpx or httpx2, whichever its version uses
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )
    from huggingface_hub.hf_api import RepoFile

    origin = f"hub repository {source.repository}@{source.revision}"
    # the library reads HF_ENDPOINT once, when it is imported
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="mixzoo")
    try:
        entries = list(
            api.list_repo_tree(
                source.repository, source.path.strip("/") or None, revision=source.revision
            )
        )
    # not the hub's JSON, its refusals, no network, offline: each of its own family
    except (HTTPError, OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{origin}: {_first_line(error)} Check repository, revision and network."
        ) from None
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return [
        Listed(
            name=PurePosixPath(file.path).name,
            origin=origin,
            size=file.size,
            sha256=file.lfs.sha256 if file.lfs else None,
        )
        for file in files
        if file.path not in HOUSEKEEPING
    ]


def _first_line(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), "").strip()
    return f"{type(error).__name__}: {line.rstrip('.')}."
