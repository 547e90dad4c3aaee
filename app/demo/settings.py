"""What a demo's owner decides: where it is served, and what it shows."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The address of a demo, and what it shows."""

    host: str = "127.0.0.1"

    port: int | None = None
    """None: the first free one from 7860 on. 0: any free one."""

    manifests: tuple[Path, ...] = ()
    """Benchmarks beside the package's own: manifest files, or folders of them."""

    refs: tuple[str, ...] = ()
    """Rows and checkpoint files that are offered before all others; the first is chosen at first."""

    reports: Path | None = None
    """Folder of reports that `mixzoo eval --out` wrote."""

    allow_downloads: bool | None = None
    """Whether visitors may start downloads of listed rows. None: where only this machine can."""

    allow_hosts: tuple[str, ...] = ()
    """Names of the page beside its own: those that a reverse proxy gives it."""

    mcp: bool = False
    """Whether programs may use the demo as tools, by the Model Context Protocol."""

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the page."""
        name = self.host.strip("[]")
        try:
            return not ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name != "localhost"

    @property
    def visitors_may_download(self) -> bool:
        """Whether visitors may start downloads."""
        return not self.is_public if self.allow_downloads is None else self.allow_downloads
