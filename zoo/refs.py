"""Tells what a user's reference means: a row of a benchmark, or a checkpoint file."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from .catalog import Benchmark, Catalog
from .errors import UsageError
from .files import require_no_pipe, sha256_of
from .manifest import Row
from .net.fetch import fetch
from .release.learn import files_of_row
from .verify import require_sound

CHECKPOINT_SUFFIXES = frozenset({".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar"})


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint file that is here now, and the row it is judged against, if any.

    by_path: whether it is called by its path although it has a row, as one of several files do.
    """

    path: Path
    sha256: str
    benchmark: Benchmark | None
    row: Row | None
    by_path: bool = False

    @property
    def name(self) -> str:
        """The row's id, else the path as it was given: file names alone are often the same."""
        return self.row.id if self.row and not self.by_path else str(self.path)

    @property
    def num_classes(self) -> int | None:
        """Classes of the row's data set; None without a row."""
        return self.benchmark.manifest.dataset.num_classes if self.benchmark else None


def is_path(ref: str, suffixes: Container[str] = CHECKPOINT_SUFFIXES) -> bool:
    """Whether a reference is meant as a file: it exists, or looks like a path or such a file."""
    path = Path(ref)
    return path.exists() or path.suffix.lower() in suffixes or len(path.parts) > 1


def resolve(ref: str, catalog: Catalog, *, row_id: str | None = None) -> CheckpointFile:
    """Find the checkpoint of a reference, fetching it if a row's weights aren't here yet.

    ref: row id or checkpoint path. row_id: the row that a file is to be judged against; without
    it a file is recognised by its hash.
    Raises UsageError for an unknown id or a file that isn't there, IntegrityError for a file that
    its own checksums contradict, and whatever `files_of_row` and `fetch` raise.
    """
    if not is_path(ref):
        if row_id not in (None, ref):
            raise UsageError(f"--row {row_id}: {ref} already names a row. Give --row with a file.")
        benchmark, row, (weights, *_) = files_of_row(catalog, ref)
        path = fetch(benchmark, weights)
        return CheckpointFile(path, sha256_of(path), benchmark, row)
    path = Path(ref)
    require_no_pipe(path)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(
            f"{path}: expected a checkpoint file, but it {problem}. Name a file, or a row of "
            "mixzoo zoo list."
        )
    sha256 = sha256_of(path)
    known = (asset for _, asset in catalog.recognise(sha256) if asset.kind == "weights")
    asset = next(known, None)
    if asset is None:
        require_sound(path, str(path), "Copy or download it again.")
    judged = row_id or (asset and asset.row)
    return CheckpointFile(path, sha256, *(catalog.row(judged) if judged else (None, None)))


def visualisations(ref: str, catalog: Catalog) -> Iterator[Path]:
    """The zip that `ref` names, or else a row's zips, fetched if they aren't here.

    Raises what `files_of_row` and `fetch` raise.
    """
    if is_path(ref, {".zip"}):
        require_no_pipe(Path(ref))
        yield Path(ref)
        return
    benchmark, _, assets = files_of_row(catalog, ref, ("visualisation",))
    for asset in assets:
        yield fetch(benchmark, asset)
