"""What a demo's owner decides: where it is served, what it shows, what a visitor may ask."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Settings:
    """The address of a demo, what it shows, and its limits."""

    host: str = "127.0.0.1"

    port: int | None = None
    """None: the first free one from 7860 on. 0: any free one."""

    manifests: tuple[Path, ...] = ()
    """Benchmarks beside the package's own: manifest files, or folders of them."""

    ref: str | None = None
    """The row that is chosen at first."""

    reports: Path | None = None
    """Folder of reports that `mixzoo eval --out` wrote."""

    allow_downloads: bool | None = None
    """Whether visitors may start downloads of listed rows. None: where only this machine can."""

    allow_hosts: tuple[str, ...] = ()
    """Names of the page beside its own: those that a reverse proxy gives it."""

    max_upload: int = 20 * MIB
    """Bytes of one uploaded file."""

    max_files: int = 8
    """Files of one upload."""

    max_pixels: int = 50_000_000
    """Of an uploaded picture: enough for a phone's 48 megapixels, 150 MB when decoded."""

    max_aspect: int = 20
    """Longer side of a picture over its shorter one."""

    max_body: int = MIB
    """Bytes of a request that isn't an upload."""

    max_stored: int = 4096 * MIB
    """Bytes that all visitors' uploads and results may take on the disk at a time, half of it each."""

    keep_files: int = 3600
    """Seconds after which an upload or a result is deleted."""

    max_queue: int = 100
    """Waiting requests of all visitors; one more is told to come back."""

    concurrency: int = 2
    """Requests of one kind that are worked on at a time."""

    max_models: int = 3
    """Checkpoints that stay in memory."""

    max_crops: int = 256
    """Decoded and cropped pictures that stay in memory, up to 150 KB each at 224 pixels."""

    max_sessions: int = 500
    """Visitors whose page state is remembered."""

    max_pictures: int = 8
    """Pictures of one grid beside A and B."""

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
