"""Keeps predictions, so that an interrupted evaluation goes on and later questions need no model.

One file holds what all heads of one checkpoint say under one protocol, label list and precision:
<cache>/predictions/<weights>/<protocol>-<list>-<precision>.safetensors. While an evaluation runs,
each process writes its share beside it, below `....parts/`; the whole replaces the shares.

The key covers the labelled list (paths and labels). Of the images, their sizes in bytes are kept:
an image that has another size now was replaced, so it is predicted again, as are all that couldn't
be read. An image replaced by another of the very same size isn't noticed (`--fresh` forgets all).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ..zoo import files
from ..zoo.cache import predictions_root
from ..zoo.data import LabelledImages
from ..zoo.manifest import Protocol
from .predictions import COLUMNS, PENDING, UNREADABLE, Ints, Precision, Predictions
from .protocol import pixels

FORMAT = "3"
SEAL = re.compile(rb'"sha256":"([0-9a-f]{64})"')
"""In a file's header: the hash that the file has while `UNSEALED` stands in the hash's place."""
UNSEALED = b"0" * 64

ANSWERED_BY: dict[Precision, tuple[Precision, ...]] = {
    "fp32": ("fp32",),
    "guarded": ("guarded", "fp32"),
    "fast": ("fast",),
}
"""Which precisions' predictions answer a question for one: guarded ones were those of fp32
in every network tried, but who asks for fp32 wants it computed. Fast ones may be others, so nothing
else answers for them."""


@dataclass(frozen=True)
class Key:
    """What predictions depend on."""

    weights_sha256: str
    protocol: Protocol
    list_sha256: str
    precision: Precision

    def facts(self) -> dict[str, Any]:
        """Everything that makes two keys equal, as plain data."""
        return {
            "weights_sha256": self.weights_sha256,
            "protocol": pixels(self.protocol),
            "list_sha256": self.list_sha256,
            "precision": self.precision,
        }

    @property
    def path(self) -> Path:
        """The file of these predictions, whether it exists or not."""
        drawn = json.dumps(self.facts()["protocol"], sort_keys=True).encode()
        name = f"{hashlib.sha256(drawn).hexdigest()[:12]}-{self.list_sha256[:12]}-{self.precision}"
        return predictions_root() / self.weights_sha256 / f"{name}.safetensors"

    @property
    def parts(self) -> Path:
        """The folder of the shares of an evaluation that hasn't ended."""
        return self.path.with_suffix(".parts")


@dataclass(frozen=True)
class Stored:
    """Predictions that were kept.

    files, sizes: the images, and (N,) their bytes when they were predicted. about: plain data of
    their evaluation (weights, guard ...).
    """

    key: dict[str, Any]
    heads: dict[str, Predictions]
    files: tuple[str, ...]
    sizes: Ints
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every image was read and predicted by every head."""
        return all(p.complete and not (p.state == UNREADABLE).any() for p in self.heads.values())

    @property
    def stale(self) -> int:
        """Predictions that were believed under smaller bounds than those known now."""
        bounds = self.about.get("bounds", {})
        return sum(len(known.stale(bounds.get(h, -1.0))) for h, known in self.heads.items())

    def ordered(self, files: Sequence[str]) -> "Stored":
        """The same predictions in the order of these files, which are the same in any order."""
        if self.files == tuple(files):
            return self
        places = {file: place for place, file in enumerate(self.files)}
        return self.at([places[file] for file in files])

    def at(self, order: Sequence[int]) -> "Stored":
        """A copy of some images' predictions, in an order. order: positions in `files`."""
        heads = {head: known.at(order) for head, known in self.heads.items()}
        names = tuple(self.files[place] for place in order)
        return Stored(self.key, heads, names, self.sizes[order], self.about)

    def of(self, images: LabelledImages) -> "Stored":
        """The same predictions in the order of these images, without those of replaced ones."""
        stored = self.ordered(images.files)
        replaced = np.flatnonzero(stored.sizes != images.sizes)
        heads = {head: known.without(replaced) for head, known in stored.heads.items()}
        return Stored(stored.key, heads, stored.files, images.sizes, stored.about)


def find(key: Key, images: LabelledImages) -> Stored | None:
    """What is known under a key: whole predictions that answer it, else the shares of this key.

    images: what the key's list holds, in the order that the predictions shall have (a list's hash
    doesn't depend on it). Replaced and unreadable images are pending again. A damaged or foreign
    file counts as absent.
    """
    for precision in ANSWERED_BY[key.precision]:
        candidate = Key(key.weights_sha256, key.protocol, key.list_sha256, precision)
        stored = read(candidate.path, candidate.facts())
        if stored and (known := stored.of(images)).complete:
            return known
    shares = [key.path, *sorted(key.parts.glob("*.safetensors"))]
    return merge([found.of(images) for path in shares if (found := read(path, key.facts()))])


def of_weights(weights_sha256: str) -> Iterator[Stored]:
    """All whole predictions of one checkpoint, the newest first."""
    paths = predictions_root().joinpath(weights_sha256).glob("*.safetensors")
    for path in sorted(paths, key=lambda p: p.stat().st_mtime, reverse=True):
        stored = read(path)
        if stored and all(p.complete for p in stored.heads.values()):
            yield stored


def merge(shares: Sequence[Stored]) -> Stored | None:
    """One prediction of each image from several shares of one key; of bounds the largest.

    shares: of the same images in the same order.
    """
    if not shares:
        return None
    merged = {head: Predictions.empty(known.labels) for head, known in shares[0].heads.items()}
    about: dict[str, Any] = {}
    bounds: dict[str, float] = {}
    for share in shares:
        about |= share.about
        for head, bound in share.about.get("bounds", {}).items():
            bounds[head] = max(bound, bounds.get(head, 0.0))
        for head, known in share.heads.items():
            done = (known.state != PENDING) & (known.state != UNREADABLE)
            for name in COLUMNS:
                getattr(merged[head], name)[done] = getattr(known, name)[done]
    return Stored(
        shares[0].key, merged, shares[0].files, shares[0].sizes, about | {"bounds": bounds}
    )


def write(path: Path, stored: Stored) -> None:
    """Write predictions atomically. Raises OSError where the cache can't be written."""
    tensors = {
        f"{head}.{name}": np.ascontiguousarray(getattr(known, name))
        for head, known in stored.heads.items()
        for name in COLUMNS
    }
    tensors["sizes"] = stored.sizes
    names = "\0".join(stored.files).encode(errors="surrogateescape")  # a name can hold all others
    tensors["files"] = np.frombuffer(names, np.uint8)
    about = {
        "format": FORMAT,
        "key": json.dumps(stored.key),
        "heads": json.dumps(list(stored.heads)),
        "about": json.dumps(stored.about),
        "sha256": UNSEALED.decode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, _sealed(save(tensors, about)))


def read(path: Path, key: Mapping[str, Any] | None = None) -> Stored | None:
    """Read predictions; None if there are none, of another key or format, or a byte is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    about = _intact(content)
    if about.get("format") != FORMAT:
        return None
    found = json.loads(about["key"])
    if key is not None and found != key:
        return None
    tensors = load(content)
    unchanged = np.zeros(len(tensors["sizes"]), bool)  # as files of before have no such column
    heads = {
        head: Predictions(**{c: tensors.get(f"{head}.{c}", unchanged) for c in COLUMNS})
        for head in json.loads(about["heads"])
    }
    names = tensors["files"].tobytes().decode(errors="surrogateescape").split("\0")
    return Stored(found, heads, tuple(names), tensors["sizes"], json.loads(about["about"]))


def _intact(content: bytes) -> dict[str, str]:
    """What a file's header says if every byte is as it was written, else nothing."""
    if not SEAL.search(content) or _sealed(content) != content:
        return {}
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def _sealed(content: bytes) -> bytes:
    """A file's content with the right hash at its seal."""
    before, _, after = SEAL.split(content, 1)
    seal = b'"sha256":"%s"'
    digest = hashlib.sha256(before + seal % UNSEALED + after).hexdigest()
    return before + seal % digest.encode() + after


def forget_parts(key: Key) -> None:
    """Remove the shares of an evaluation that has ended."""
    for path in key.parts.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # not there, or another evaluation writes into it just now
        key.parts.rmdir()
