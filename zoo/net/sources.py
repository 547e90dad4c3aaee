"""Where an asset can be had, and how each kind of place is opened from any byte on."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from ..catalog import Benchmark, package_path
from ..errors import MixzooError, SourceError, UsageError
from ..files import as_typed, require_no_pipe
from ..lock import Asset
from ..manifest import (
    BaiduSource,
    FileSource,
    GitHubSource,
    HttpSource,
    HuggingFaceSource,
    Manifest,
    PackageSource,
    Source,
)
from .hosts import github_server, hub_endpoint, shown, without_secrets
from .http import CHUNK, Answer, ChangedError, TransientError, new_session, open_url

FSSPEC_BLOCK = 8 << 20  # bytes an object store is asked for at once
FSSPEC_READ = 1 << 20  # of them are handed on at once
OFFLINE = ("MIXZOO_OFFLINE", "HF_HUB_OFFLINE")  # environment variables, the hub's own honoured too

# (start, stop or None for the end, validator) -> the answer
Opener = Callable[[int, int | None, str | None], AbstractContextManager[Answer]]


@dataclass(frozen=True)
class Location:
    """One place an asset can be had from: a local path or a URL. Prints without passwords."""

    address: Path | str

    @property
    def is_remote(self) -> bool:
        """Whether it takes a network."""
        return isinstance(self.address, str)

    def __str__(self) -> str:
        return shown(self.address) if isinstance(self.address, str) else str(self.address)


def parse_source(text: str) -> Location:
    """A path or URL as typed. `file://` is left to fsspec, `~` is the home folder."""
    return Location(text if "://" in text else as_typed(text))


def sibling(location: Location, name: str) -> Location:
    """The file of another name in the folder of this one."""
    if isinstance(location.address, Path):
        return Location(location.address.with_name(name))
    address, _, query = location.address.partition("?")
    return Location(f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}")


def locations(benchmark: Benchmark, asset: Asset) -> list[Location]:
    """The places that mixzoo can fetch an asset from by itself, in the manifest's order."""
    found = [_locate(source, benchmark, asset) for source in benchmark.manifest.sources]
    return [location for location in found if location]


def by_hand(benchmark: Benchmark) -> str:
    """Where a person finds a benchmark's files with a browser, in words; empty if nowhere."""
    places = []
    for source in benchmark.manifest.sources:
        if isinstance(source, GitHubSource):
            places.append(f"{github_server()}/{source.repository}/releases/tag/{source.tag}")
        elif isinstance(source, BaiduSource):
            places.append(f"{source.url} (extraction code {source.code})")
    return " or ".join(places)


def askable(manifest: Manifest) -> list[GitHubSource | HuggingFaceSource]:
    """The sources that can be asked for their files."""
    return [s for s in manifest.sources if isinstance(s, GitHubSource | HuggingFaceSource)]


def offline() -> str | None:
    """The environment variable that forbids the network, if one is set to anything but no."""
    no = ("", "0", "false", "no", "off")
    return next((name for name in OFFLINE if os.environ.get(name, "").lower() not in no), None)


@contextmanager
def opener(location: Location, connections: int) -> Iterator[Opener]:
    """What opens a location again and again, over connections that are kept for the block."""
    address = location.address
    if isinstance(address, Path):
        yield partial(_open_file, address)
        return
    if not address.startswith(("http://", "https://")):
        yield _fsspec(address)
        return
    with new_session(connections) as session:
        yield partial(open_url, session, address)


def _locate(source: Source, benchmark: Benchmark, asset: Asset) -> Location | None:
    match source:
        case PackageSource():
            return Location(package_path(source.path) / asset.name)
        case FileSource():
            return Location(benchmark.path.parent / as_typed(source.path) / asset.name)
        case HttpSource():
            folder, mark, query = source.url.partition("?")
            return Location(f"{folder.rstrip('/')}/{quote(asset.name)}{mark}{query}")
        case GitHubSource():
            base = f"{github_server()}/{source.repository}/releases/download"
            return Location(f"{base}/{quote(source.tag)}/{quote(asset.name)}")
        case HuggingFaceSource():
            # Not huggingface_hub's own download: it begins an interrupted file from zero and
            # compares sizes alone.
            base = f"{hub_endpoint()}/{source.repository}/resolve/{quote(source.revision, safe='')}"
            folders = [quote(folder) for folder in source.path.split("/") if folder]
            return Location("/".join([base, *folders, quote(asset.name)]))
        case BaiduSource():  # asks for a person
            return None


@contextmanager
def _open_file(
    path: Path, start: int, _stop: int | None, _validator: str | None
) -> Iterator[Answer]:
    try:
        require_no_pipe(path)
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            file.seek(start)
            chunks = iter(lambda: file.read(CHUNK), b"")
            changed = f"mtime {facts.st_mtime_ns}"
            yield Answer(facts.st_size, changed, ranges=False, chunks=chunks, stop=lambda: None)
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read: {error.strerror}. Make it readable, or name another source."
        ) from None


def _fsspec(address: str) -> Opener:
    """Opens an address of any other scheme, such as s3://. fsspec tries again, but not for ever.

    Whatever it and the libraries below it raise is told of the address, without its secrets.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address)
        facts = system.info(path)
    except MemoryError:
        raise
    except ImportError as error:
        scheme = address.partition("://")[0]
        raise UsageError(
            f"{shown(address)}: {error} (for {scheme}:// addresses). Install it, or name a local "
            "file."
        ) from None
    except (ValueError, TypeError) as error:
        said = f"expected a path or URL; {_reason(error)}"
        raise UsageError(f"{shown(address)}: {said}. Correct the address.") from None
    except Exception as error:  # each store's library has its own
        raise SourceError(f"{shown(address)}: {_reason(error)}. Check the address.") from None
    if facts.get("type") == "directory":
        raise SourceError(f"{shown(address)}: expected a file, got a folder. Name a file in it.")

    @contextmanager
    def open_at(start: int, _stop: int | None, _validator: str | None) -> Iterator[Answer]:
        try:
            with system.open(path, "rb", block_size=FSSPEC_BLOCK) as file:
                file.seek(start)
                chunks = iter(lambda: file.read(FSSPEC_READ), b"")
                yield Answer(facts.get("size"), None, ranges=True, chunks=chunks, stop=lambda: None)
        except (MixzooError, TransientError, ChangedError, MemoryError):
            raise
        except Exception as error:
            raise TransientError(_reason(error)) from None

    return open_at


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or without_secrets(str(error))
    return said.rstrip(".")[:200] or type(error).__name__
