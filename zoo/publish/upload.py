"""Uploads a built folder to the Hugging Face hub, as one commit."""

import glob
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..net.hosts import hub_endpoint, hub_token, without_secrets
from ..net.sources import offline

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WAITS = (1.0, 4.0, 16.0)  # seconds before each further try of a server that fails
MESSAGE = "Published with mixzoo"
REFUSALS = {
    401: "the hub rejected the token (HTTP 401). Set HF_TOKEN to a valid one, or: hf auth login",
    403: "the token may not write there (HTTP 403). Use one with write access to its owner.",
    409: "was changed by somebody else meanwhile (HTTP 409). Run the same command again.",
}


def hub() -> "HfApi":
    """The hub that HF_ENDPOINT names, with the user's token; nothing is asked of it yet.

    Raises SourceError where uploading cannot work: offline mode, or no token; UsageError for a
    token that cannot be one.
    """
    if name := offline():
        raise SourceError(f"{name} is set, so nothing is uploaded. Unset it, or use --dry-run.")
    from huggingface_hub import HfApi

    token = hub_token()
    if token is None:
        raise SourceError(
            "No hub token: set HF_TOKEN, or run `hf auth login`, with a token that may write."
        )
    # Named: the library itself reads HF_ENDPOINT only once, when it is imported.
    return HfApi(endpoint=hub_endpoint(), token=token, library_name="mixzoo")


def upload(
    api: "HfApi",
    repository: str,
    folder: Path,
    names: Sequence[str],
    *,
    private: bool = False,
    waits: Sequence[float] = WAITS,
) -> tuple[str, str]:
    """Create the repository where it doesn't exist, and commit `names` of `folder` to it.

    private: create it private; one that exists and is public is refused, nothing is uploaded.
    waits: seconds between tries where the server itself fails (5xx). A try that follows a lost
    answer commits nothing twice: the hub skips files that it already has.
    Returns its address and the commit. Raises SourceError in one line.
    """
    # of its HTTP client, which is httpx or httpx2 by the library's version
    from huggingface_hub.errors import HTTPError  # pyright: ignore[reportPrivateImportUsage]

    with _quiet():
        for wait in (*waits, None):
            try:
                return _upload(api, repository, folder, names, private=private)
            # Refusals and broken connections; what Python-side transfers and checks raise; a proxy
            # whose package (SOCKS) isn't installed.
            except (HTTPError, OSError, RuntimeError, ValueError, ImportError) as error:
                # No answer at all, or the storage behind the hub failed: no status.
                status = getattr(getattr(error, "response", None), "status_code", 0)
                if wait is None or status < 500:
                    raise SourceError(f"{repository}: {_explain(error, status)}") from None
            time.sleep(wait)
    raise AssertionError("unreachable: the last try returns or raises")


def _upload(
    api: "HfApi", repository: str, folder: Path, names: Sequence[str], *, private: bool
) -> tuple[str, str]:
    url = api.create_repo(repository, private=private or None, exist_ok=True)
    if private and not api.repo_info(repository).private:
        raise SourceError(
            f"{repository}: exists and is public, --private only makes new ones private. Change it "
            "in its settings, or leave --private out. Nothing was uploaded."
        )
    commit = api.upload_folder(
        repo_id=repository,
        folder_path=folder,
        allow_patterns=[glob.escape(name) for name in names],
        commit_message=MESSAGE,
    )
    return str(url), commit.oid


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings about retries; progress only where a person sees it, as everywhere in mixzoo."""
    from huggingface_hub import utils

    verbosity, silent = utils.logging.get_verbosity(), utils.are_progress_bars_disabled()
    utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.logging.set_verbosity(verbosity)
        if not silent:
            utils.enable_progress_bars()


def _explain(error: BaseException, status: int) -> str:
    """What a failure means and what to do, on one line."""
    if status in REFUSALS:
        return REFUSALS[status]
    if status >= 500:
        return f"the hub fails (HTTP {status}). Try again later."
    while error.__cause__ is not None and not hasattr(error, "response"):
        error = error.__cause__
    text = getattr(error, "server_message", None) or str(error) or type(error).__name__
    reason = without_secrets(text)[:300].rstrip(".")
    return (
        f"not uploaded: {reason}. Check the network and HF_ENDPOINT, then run the same command "
        "again."
    )
