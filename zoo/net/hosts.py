"""The services' addresses, the tokens that go there and nowhere else, and how an address is shown.

Everything secret passes here: a token is stripped and checked before any library may print it in a
complaint of its own, and no address is shown with a name, a password or a signed query.
"""

import os
import re
from urllib.parse import urlsplit

from ..errors import UsageError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")  # RFC 6750, and what servers take in a header
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\s]*)(:\d+)?")


def github_server() -> str:
    """Address of GitHub's downloads: GITHUB_SERVER_URL (as GitHub Actions sets it), or its own."""
    return os.environ.get("GITHUB_SERVER_URL", "").rstrip("/") or "https://github.com"


def github_api() -> str:
    """Address of GitHub's API: GITHUB_API_URL (as GitHub Actions sets it), else its own."""
    return os.environ.get("GITHUB_API_URL", "").rstrip("/") or "https://api.github.com"


def hub_endpoint() -> str:
    """Address of the Hugging Face hub: HF_ENDPOINT, for mirrors of it, else its own."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def token_for(url: str) -> str | None:
    """The token that this machine holds for a URL's host, if any.

    It goes to that very scheme, host and port: a service of https is told no secret over http.
    Raises UsageError for a token that cannot be one, ValueError for what is no URL.
    """
    place = urlsplit(url)[:2]
    if place in (urlsplit(github_server())[:2], urlsplit(github_api())[:2]):
        found = github_token()
        return found[1] if found else None
    return hub_token() if place == urlsplit(hub_endpoint())[:2] else None


def github_token() -> tuple[str, str] | None:
    """The environment's variable for GitHub and the token in it, if one is set."""
    for variable in ("GITHUB_TOKEN", "GH_TOKEN"):
        if token := _checked(os.environ.get(variable, ""), variable):
            return variable, token
    return None


def hub_token() -> str | None:
    """The hub's token: HF_TOKEN, else the file that `hf auth login` wrote below HF_HOME."""
    from huggingface_hub import get_token

    _checked(os.environ.get("HF_TOKEN", ""), "HF_TOKEN")  # the library would join its lines
    try:
        token = get_token()
    except Exception as error:  # a file that is no text, an exchange that failed: any of its own
        raise UsageError(
            f"The hub's token could not be read ({type(error).__name__}). Set HF_TOKEN, or: "
            "hf auth login"
        ) from None
    return _checked(token or "", "The hub's token")


def shown(url: str) -> str:
    """A URL, a proxy's too, as it may be printed: without name, password and signed query.

    Also of what is no URL: then all before the last `@` goes.
    """
    begin = re.match("([A-Za-z][A-Za-z0-9+.-]*:)?//", url)
    scheme, rest = url[: begin.end()] if begin else "", url[begin.end() :] if begin else url
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in host and _HOST.fullmatch(host):
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
        if ":" not in host:  # else it may be a name, and a password with a slash in it
            return scheme + rest
    return scheme + re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]


def without_secrets(text: str) -> str:
    """Another library's complaint on one line, as far as it can be shown: see `shown`."""
    return re.sub(r"//.*@", "//", " ".join(text.split())).partition("?")[0]


def _checked(text: str, name: str) -> str | None:
    """A token without blanks around it. Raises UsageError, which doesn't show it, for no token."""
    token = text.strip()
    if token and not _TOKEN.fullmatch(token):
        # the HTTP library would say so too, and print the token with it
        raise UsageError(
            f"{name}: holds what no token holds: a line break, a blank, a quote or another sign, "
            "or more than 4,096 characters. Set it anew, or unset it."
        )
    return token or None
