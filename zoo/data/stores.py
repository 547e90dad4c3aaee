"""Where the bytes of images lie. A label list names files; a store reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import DataError


class ImageStore(Protocol):
    """Image files by name. Can be pickled, so that decoding processes can read from it too."""

    @property
    def root(self) -> Path:
        """The folder or archive, for messages."""
        ...

    def has(self, file: str) -> bool:
        """Whether there is a file of this name (POSIX, relative), without reading it."""
        ...

    def size(self, file: str) -> int:
        """Bytes of a file, without reading it. Raises DataError if there is none."""
        ...

    def read(self, file: str) -> bytes:
        """The whole file. Raises DataError naming it if it can't be read."""
        ...


@dataclass(frozen=True)
class FolderStore:
    """Files below a folder."""

    root: Path

    def has(self, file: str) -> bool:
        """Whether the file exists."""
        return (self.root / file).is_file()

    def size(self, file: str) -> int:
        """Bytes of the file. Raises DataError naming it if there is none."""
        try:
            return (self.root / file).stat().st_size
        except OSError as error:
            raise self._unreadable(file, error) from None

    def read(self, file: str) -> bytes:
        """The file's bytes. Raises DataError naming it if it can't be read."""
        try:
            return (self.root / file).read_bytes()
        except OSError as error:
            raise self._unreadable(file, error) from None

    def _unreadable(self, file: str, error: OSError) -> DataError:
        reason = f"cannot be read: {error.strerror}. Prepare the data again."
        return DataError(f"{self.root / file}: {reason}")
