"""Whose request it is: of this page, or of another site that makes a visitor's browser ask."""

import ipaddress
import re
import socket

from starlette.datastructures import Headers

from ...zoo.errors import UsageError
from .settings import Settings

HOST = re.compile(r"(?:https?://)?(\[[0-9a-f:.]+]|[a-z0-9._-]+)(?::[0-9]{1,5})?/?")
NAMING = ("host", "x-forwarded-host", "x-gradio-server")  # Gradio makes addresses of each


class Hosts:
    """The names under which the page is asked for.

    A name of somebody else's that leads here would make his page ours for the browser (DNS
    rebinding); a name in a header would stand in the addresses of our answers.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError if a name that is allowed isn't one."""
        self._public = settings.is_public
        self._named = {host_of(name) for name in settings.allow_hosts}
        self._own = {"localhost", settings.host.strip("[]").lower(), *self._named}
        if "" in self._named:
            raise UsageError(
                f"--allow-host: expected names of hosts, got {settings.allow_hosts}. Give names "
                "such as demo.example.org."
            )
        if self._public:
            name = socket.gethostname().lower()
            self._own |= {name, f"{name}.local"}

    def refusal(self, headers: Headers, *, writes: bool) -> str | None:
        """Why a request isn't answered, None if it is. writes: whether it may change something."""
        said = [part.strip() for header in NAMING for part in headers.get(header, "").split(",")]
        for name in filter(None, said):
            if not self._is_own(host_of(name)):
                return (
                    f"{name[:100]!r} isn't a name of this page. If it is, its owner says so: "
                    "mixzoo app --allow-host NAME"
                )
        if writes:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
            if site not in ("same-origin", "none") or not self._is_ours(origin, said):
                return "A request that another site made. Open the page itself."
        return None

    def _is_own(self, name: str) -> bool:
        if name in self._own:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._public  # no DNS leads to a number

    def _is_ours(self, origin: str | None, hosts: list[str]) -> bool:
        """Whether an Origin is this page's; a program sends none."""
        if origin is None:
            return True
        asked = origin.partition("://")[2]
        return asked != "" and (asked in hosts or host_of(asked) in self._named)


def host_of(text: str) -> str:
    """The host of `host`, `host:port`, `[::1]:port` or an address; "" if it isn't one of these."""
    found = HOST.fullmatch(text.lower())
    return found[1].strip("[]").rstrip(".") if found else ""
