"""Opens an asset at one of its sources, as a stream of bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .catalog import Benchmark, package_path
from .errors import SourceError
from .lock import Asset
from .manifest import (
    BaiduSource,
    FileSource,
    GitHubSource,
    HttpSource,
    PackageSource,
    Source,
)

CHUNK = 1 << 20  # bytes
TIMEOUT = (10, 60)  # seconds to connect, and between two packets


@dataclass(frozen=True)
class Location:
    """One place an asset can be had from: a local path or a URL."""

    address: Path | str

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True)
class Stream:
    """size: bytes if the source says, else None. chunks: the bytes in order."""

    size: int | None
    chunks: Iterator[bytes]


def locations(benchmark: Benchmark, asset: Asset) -> list[Location]:
    """The places that mixzoo can fetch an asset from by itself, in the manifest's order."""
    found = [_locate(source, benchmark, asset) for source in benchmark.manifest.sources]
    return [location for location in found if location]


def by_hand(benchmark: Benchmark) -> str:
    """Where a person finds a benchmark's files with a browser, in words; empty if nowhere."""
    places = []
    for source in benchmark.manifest.sources:
        if isinstance(source, GitHubSource):
            places.append(f"https://github.com/{source.repository}/releases/tag/{source.tag}")
        elif isinstance(source, BaiduSource):
            places.append(f"{source.url} (extraction code {source.code})")
    return " or ".join(places)


@contextmanager
def open_stream(location: Location) -> Iterator[Stream]:
    """Open a location for one pass. Raises SourceError, also while the chunks are read."""
    if isinstance(location.address, Path):
        with _open_file(location.address) as stream:
            yield stream
    else:
        with _open_url(location.address) as stream:
            yield stream


def _locate(source: Source, benchmark: Benchmark, asset: Asset) -> Location | None:
    match source:
        case PackageSource():
            return Location(package_path(source.path) / asset.name)
        case FileSource():
            return Location(benchmark.path.parent / Path(source.path).expanduser() / asset.name)
        case HttpSource():
            return Location(f"{source.url.rstrip('/')}/{asset.name}")
        case GitHubSource():
            base = f"https://github.com/{source.repository}/releases/download/{source.tag}"
            return Location(f"{base}/{asset.name}")
        case _:  # Baidu asks for a person; hub mirrors are not spoken yet
            return None


@contextmanager
def _open_file(path: Path) -> Iterator[Stream]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}.") from None
    with file:
        yield Stream(path.stat().st_size, iter(lambda: file.read(CHUNK), b""))


@contextmanager
def _open_url(url: str) -> Iterator[Stream]:
    import requests

    # identity: a transparently unpacked body would have neither the stated size nor the hash
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            if response.status_code != requests.codes.ok:
                raise SourceError(
                    f"{url}: expected the file, got HTTP {response.status_code} {response.reason}."
                )
            if response.headers.get("content-type", "").startswith("text/html"):
                raise SourceError(f"{url}: expected the file, got a web page (HTML).")
            size = response.headers.get("content-length")
            yield Stream(int(size) if size else None, response.iter_content(CHUNK))
    except requests.RequestException as error:
        raise SourceError(f"{url}: {_reason(error)}. Try again, or check the network.") from None


def _reason(error: Exception) -> str:
    """The innermost reason of a nested network error, on one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
