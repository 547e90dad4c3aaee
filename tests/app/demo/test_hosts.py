"""Whose request it is."""

import pytest
from mixzoo.app.demo.hosts import Hosts, host_of
from mixzoo.app.demo.settings import Settings
from mixzoo.zoo.errors import UsageError
from starlette.datastructures import Headers

BEHIND_PROXY = {"allow_hosts": ("demo.example.org",)}


def refusal(settings: dict, *, writes: bool = False, **headers: str) -> str | None:
    """Why a request with these headers isn't answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hosts(Settings(**settings)).refusal(Headers(named), writes=writes)


@pytest.mark.parametrize(
    ("settings", "host", "own"),
    [
        ({}, "127.0.0.1:7860", True),
        ({}, "localhost:7860", True),
        ({}, "LOCALHOST", True),
        ({}, "[::1]:7860", True),
        ({}, "", True),  # a program of HTTP/1.0; no browser
        ({}, "evil.example:7860", False),
        ({}, "localhost.evil.example", False),
        ({}, "127.0.0.1.evil.example", False),
        ({}, "192.168.1.5", False),
        ({}, "evil.example@localhost", False),
        ({}, "localhost/x", False),
        ({"host": "0.0.0.0"}, "192.168.1.5:7860", True),
        ({"host": "::"}, "[fe80::1]:7860", True),
        ({"host": "0.0.0.0"}, "evil.example", False),
        ({"host": "demo.lan"}, "demo.lan:7860", True),
        (BEHIND_PROXY, "demo.example.org", True),
        (BEHIND_PROXY, "demo.example.org.:443", True),
        (BEHIND_PROXY, "example.org", False),
    ],
)
def test_page_answers_to_its_own_names(settings: dict, host: str, own: bool) -> None:
    """A foreign name that leads here (DNS rebinding) isn't answered, in whatever header it stands."""
    assert (refusal(settings, host=host) is None) is own
    assert (refusal(settings, host="localhost", x_forwarded_host=host) is None) is own
    assert (
        refusal(settings, host="localhost", x_forwarded_host=f"localhost, {host}") is None
    ) is own


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),  # a program
        ({"origin": "http://localhost:7860"}, True),
        ({"origin": "http://localhost:7860", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "http://localhost:3000"}, False),  # another program of this machine
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"origin": "http://localhost:7860", "sec_fetch_site": "cross-site"}, False),
    ],
)
def test_other_sites_change_nothing(headers: dict[str, str], own: bool) -> None:
    """A visitor's browser may read the page for another site's link, but write nothing for it."""
    assert (refusal({}, writes=True, host="localhost:7860", **headers) is None) is own
    assert refusal({}, host="localhost:7860", **headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "demo.example.org"},
        {"host": "127.0.0.1:7860", "x_forwarded_host": "demo.example.org"},
        {"host": "127.0.0.1:7860"},  # a proxy that says nothing of the name
    ],
)
def test_named_proxy_may_write(headers: dict[str, str]) -> None:
    """Behind a reverse proxy whose name is allowed, the page works."""
    origin = "https://demo.example.org"
    assert refusal(BEHIND_PROXY, writes=True, origin=origin, **headers) is None
    assert refusal({}, writes=True, origin=origin, **headers) is not None


def test_name_that_is_none_is_refused_at_once() -> None:
    """A list in one option would else allow nothing, silently."""
    assert host_of("https://demo.example.org:8443/") == "demo.example.org"
    with pytest.raises(UsageError, match="--allow-host: expected names of hosts"):
        Hosts(Settings(allow_hosts=("a.example,b.example",)))
