"""Walks a folder of images as people have them: with links, and with what systems leave there."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from ..errors import DataError
from ..images import is_hidden


def walk(root: Path, passed: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below `root`, relative to it, with the names of its files, all in order.

    Links to folders are followed. passed: gets what is passed over, relative to `root`: hidden
    files and folders, and links that lead back to a folder above them. Raises DataError for a
    folder that can't be read, or that stands there under two names: its images would count twice.
    """
    seen: dict[tuple[int, int], Path] = {}
    for name, folders, names in os.walk(root, onerror=_unreadable, followlinks=True):
        folder = Path(name).relative_to(root)
        there = Path(name).stat()
        known = seen.setdefault((there.st_dev, there.st_ino), folder)
        if known != folder:
            if known not in folder.parents:
                raise DataError(
                    f"{root}: {known} and {folder} are one folder, so its images would count twice. Remove "
                    "the link, or name the labels with --list FILE."
                )
            passed.append(folder.as_posix())
            folders.clear()
            continue
        hidden = sorted(it for it in (*folders, *names) if is_hidden(PurePath(it)))
        passed += [(folder / it).as_posix() for it in hidden]
        folders[:] = sorted(set(folders).difference(hidden))
        yield folder, sorted(set(names).difference(hidden))


def _unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}.")
