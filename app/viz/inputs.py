"""Reads what the `viz` commands were given: checkpoints, pairs of pictures, names of classes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...zoo.errors import DataError, UsageError
from ...zoo.images import SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from ...zoo.catalog import Benchmark
    from ...zoo.manifest import Protocol
    from ...zoo.nets import Classifier, MixClassifier

PAIRS_OF_MINI = ((18, 8), (36, 22), (4, 27))  # species that are drawn where no images are given
DRAWN_SIZE = 128  # pixels of the drawn species' crops, as the embedded benchmark evaluates them
SIZE = 224
MOST_PAIRS = 40  # in one picture: higher ones can't be rendered
RATIO = 8 / 7  # resize to crop, where no row says another


@dataclass(frozen=True)
class Pairs:
    """Pictures in pairs, each (H, W, 3) uint8, with a name for each. protocol: how they were cut."""

    pictures: "list[tuple[np.ndarray, np.ndarray]]"
    names: list[tuple[str, str]]
    protocol: "Protocol"


@dataclass(frozen=True)
class Reference:
    """A checkpoint that was named, its benchmark if that is known, and its name."""

    model: "Classifier | MixClassifier | None"
    benchmark: "Benchmark | None"
    name: str

    @property
    def learnt(self) -> "MixClassifier | None":
        """The model if it has a MixBlock."""
        from ...zoo.nets import MixClassifier

        return self.model if isinstance(self.model, MixClassifier) else None

    def with_block(self) -> "MixClassifier":
        """The model, which has a MixBlock. Raises UsageError if it has none."""
        if self.learnt is None:
            got = f"{self.name} has none" if self.name else "got no REF"
            raise UsageError(
                f"--layout maps: expected a REF with a MixBlock (automix, samix), {got}."
            )
        return self.learnt

    @property
    def title(self) -> str:
        """The row's id, or the end of the file's path."""
        return "/".join(Path(self.name).parts[-2:])


def read_reference(ref: str | None, manifests: Sequence[Path]) -> Reference:
    """The model of a row or file, or of none. Raises what `resolve` and `load_resolved` raise."""
    if ref is None:
        return Reference(None, None, "")
    from ...zoo.catalog import open_catalog
    from ...zoo.checkpoint.load import load_resolved
    from ...zoo.refs import resolve

    resolved = resolve(ref, open_catalog(manifests))
    return Reference(load_resolved(resolved), resolved.benchmark, resolved.name)


def read_pairs(
    images: Sequence[Path],
    size: int | None,
    benchmark: "Benchmark | None",
    most: int = MOST_PAIRS,
) -> Pairs:
    """Pictures in pairs, cut as the benchmark's protocol has it; drawn species if none are given.

    size: of the crop, None is the protocol's. most: pairs that can be shown. Raises DataError for
    a file that isn't an image, UsageError for an odd number of them, or too many.
    """
    files = _files(images)
    if len(files) % 2:
        raise UsageError(
            f"--images: expected an even number of pictures, since they are taken in pairs, got "
            f"{len(files)}."
        )
    if len(files) > 2 * most:
        raise UsageError(
            f"--images: expected at most {2 * most} pictures, since one sheet can't show more, got "
            f"{len(files)}."
        )
    protocol = _protocol(size or (None if files or benchmark else DRAWN_SIZE), benchmark)
    crops, names = _drawn(protocol) if not files else _read(files, protocol)
    return Pairs(
        list(zip(crops[::2], crops[1::2], strict=True)),
        list(zip(names[::2], names[1::2], strict=True)),
        protocol,
    )


def class_names(benchmark: "Benchmark | None", file: Path | None) -> list[str] | None:
    """Names of the classes by index, from a file or from the embedded benchmark; None if unknown.

    file: JSON that is, or has as `categories`, a list of objects with id and name. Raises DataError
    if it isn't.
    """
    if file is None:
        if benchmark is None or not benchmark.manifest.dataset.drawn_by_package:
            return None
        from ...zoo.mini import species

        return [one.name for one in species()]
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = content["categories"] if isinstance(content, dict) else content
        named = {int(entry["id"]): str(entry["name"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: expected JSON categories with id and name, got {type(error).__name__}: {error}."
        ) from None
    return [named.get(index, f"class {index}") for index in range(max(named, default=-1) + 1)]


def method_names(text: str, found: Reference) -> list[str]:
    """The comma-separated methods of an option.

    Raises UsageError for an unknown name, or one that needs another checkpoint.
    """
    from ...train.mixing import check_pictured

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("expected at least one method, got none.")
    for name in names:
        check_pictured(name, found.model)
    return names


def one_method(text: str | None, found: Reference, otherwise: str) -> str:
    """The one method of an option; by default REF's own, or `otherwise` where it has no MixBlock.

    Raises UsageError as `method_names`, and for several.
    """
    default = found.learnt.method if found.learnt else otherwise
    names = method_names(default if text is None else text, found)
    if len(names) != 1:
        raise UsageError(f"--method: expected one name, got {', '.join(names)}.")
    return names[0]


def _files(images: Sequence[Path]) -> list[Path]:
    """The files named, folders replaced by the pictures in them."""
    files: list[Path] = []
    for path in images:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES)
        if not inside:
            raise UsageError(f"--images {path}: expected a folder with pictures, found none there.")
        files += inside
    return files


def _protocol(size: int | None, benchmark: "Benchmark | None") -> "Protocol":
    """The row's protocol, at another size if one is given."""
    import msgspec

    from ...zoo.manifest import Protocol

    base = (
        benchmark.manifest.protocol
        if benchmark
        else Protocol(resize=round(SIZE * RATIO), crop=SIZE)
    )
    if size is None:
        return base
    return msgspec.structs.replace(base, crop=size, resize=round(size * base.resize / base.crop))


def _read(files: Sequence[Path], protocol: "Protocol") -> "tuple[list[np.ndarray], list[str]]":
    from ...eval.pixels import centre_crop, decode

    crops = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            hint = "" if file.suffix else " A REF stands before --images."
            raise DataError(f"{file}: expected an image, got {error.strerror}.{hint}") from None
        crops.append(centre_crop(decode(content, str(file), upright=True), protocol))
    return crops, [file.stem for file in files]


def _drawn(protocol: "Protocol") -> "tuple[list[np.ndarray], list[str]]":
    import numpy as np

    from ...eval.pixels import centre_crop
    from ...zoo.mini import example, species

    ids = [one for pair in PAIRS_OF_MINI for one in pair]
    crops = [centre_crop(np.asarray(example(one, 0)), protocol) for one in ids]
    return crops, [species()[one].name for one in ids]
