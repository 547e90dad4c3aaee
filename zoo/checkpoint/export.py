"""Writes checkpoints as safetensors: one spelling of names, and where they came from."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ... import __version__
from ..errors import CheckpointError, UsageError
from ..files import replacing, write
from ..manifest import slug
from ..nets import Classifier, MixClassifier
from ..refs import CheckpointFile
from .facts import recipe_text, training_facts
from .load import build, examine, tell
from .onnx import SIDE, onnx_bytes
from .peers import Names, peer_entries, timm_config
from .reading import read_checkpoint

SUFFIX = ".safetensors"
TIMM_FILE, TIMM_CONFIG = "model.safetensors", "config.json"
_LENGTH = 8  # bytes that say how long the header is; the header is padded to a multiple of it
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Exported:
    """A safetensors file that was written.

    source: what it was made of, a row's id or a path. metadata: what its header says, strings only.
    """

    source: str
    path: Path
    size: int
    sha256: str
    metadata: dict[str, str]


def export_name(
    checkpoint: CheckpointFile, part: str | None = None, names: Names = "mixzoo"
) -> str:
    """The file name of an export: the row's id where there is one, else the checkpoint's stem.

    part: of the checkpoint, which then stands in the name too, as others' names do. timm's own
    name for a file is in a folder of its own.
    """
    stem = checkpoint.row.id if checkpoint.row else checkpoint.path.stem
    stem += (f".{slug(part)}" if part else "") + ("" if names == "mixzoo" else f".{names}")
    return f"{stem}/{TIMM_FILE}" if names == "timm" else stem + ("" if names == "onnx" else SUFFIX)


def export_all(
    checkpoints: Sequence[CheckpointFile],
    folder: Path,
    *,
    part: str | None = None,
    names: Names = "mixzoo",
    head: str | None = None,
    force: bool = False,
) -> Iterator[Exported]:
    """Write checkpoints into a folder, each under its `export_name`, as they are asked for.

    Raises UsageError, before anything is written, where two would get one name; see `export`.
    """
    targets = [folder / export_name(checkpoint, part, names) for checkpoint in checkpoints]
    if twice := next((path for path in targets if targets.count(path) > 1), None):
        raise UsageError(f"{twice}: two REFs would get this name. Export them to two folders.")
    for checkpoint, path in zip(checkpoints, targets, strict=True):
        yield export(checkpoint, path, part=part, names=names, head=head, force=force)


def export(
    checkpoint: CheckpointFile,
    path: Path,
    *,
    part: str | None = None,
    names: Names = "mixzoo",
    head: str | None = None,
    force: bool = False,
) -> Exported:
    """Write a checkpoint's weights to `path` as safetensors; equal input gives equal bytes.

    Values and dtypes stay as they are stored, names become canonical (`names.canonical`), so the
    export gives the source's logits to the bit. The file appears whole or not at all. part:
    which weights to take of a file that holds several, such as an averaged copy. names: those of
    timm or torchvision are of one `head`'s classifier; for a row, not for a file without one, timm's
    `config.json` with its pixels is written beside it; "onnx" makes that classifier an ONNX network, see `onnx_bytes`.
    force: replace what stands at `path`. Raises CheckpointError if the file doesn't fit its row or
    architecture, UsageError if `path` is taken, or for names or a head that the network hasn't.
    """
    if path.exists() and path.samefile(checkpoint.path):
        raise UsageError(f"{path}: is the checkpoint itself. Export it to another folder.")
    if path.exists() and not force:
        raise UsageError(f"{path}: is already there. Give --force to replace it.")
    read = read_checkpoint(checkpoint.path, part)
    # strict: what is written is a whole classifier of this row
    model, entries = examine(read, checkpoint.row, checkpoint.num_classes)
    tell(checkpoint.name, model.remarks)
    metadata = _metadata(checkpoint, model, read.meta)
    if part:
        metadata["source_part"] = part
    config, content = None, b""
    if names == "onnx":
        model = build(read, head=head, row=checkpoint.row, num_classes=checkpoint.num_classes)
        metadata["head"] = model.head_name
        told = training_facts(read.meta)
        sides = (told.eval_pixels.get("crop"), told.recipe.get("crop"), SIDE)
        side = next(one for one in sides if isinstance(one, int))
        content, metadata = onnx_bytes(model, metadata, checkpoint.benchmark, side)
    elif names != "mixzoo":
        entries = peer_entries(model, entries, head)
        metadata |= {"names": names, "head": head or model.head_name}
        if names == "timm" and (benchmark := checkpoint.benchmark):
            protocol = benchmark.manifest.protocol
            config = timm_config(model.architecture, model.num_classes, protocol)
    elif head:
        raise UsageError(
            f"--head {head}: expected --names timm or torchvision, or --onnx, with it. Give one of "
            "them, or leave --head out."
        )
    pieces = [content] if content else _serialise(entries, metadata, checkpoint.path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with replacing(path) as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
    if config:
        write(path.with_name(TIMM_CONFIG), config)
    return Exported(checkpoint.name, path, sum(map(len, pieces)), digest.hexdigest(), metadata)


def _metadata(
    checkpoint: CheckpointFile,
    model: Classifier | MixClassifier,
    meta: Mapping[str, Any],
) -> dict[str, str]:
    """What an export says about itself: its source, its row if it has one, network and recipe.

    meta: notes of the source file; of its config only the recipe goes on, no paths. A source that
    is an export itself passes its own source on under `earlier_sources`, a JSON list of {"file",
    "sha256"}, the oldest first.
    """
    facts: dict[str, object] = {
        "format": "pt",  # what readers of safetensors expect torch to have written
        "mixzoo_version": __version__,
        "source_file": checkpoint.path.name,
        "source_sha256": checkpoint.sha256,
        "architecture": model.architecture,
        "method": model.method,
        "num_classes": model.num_classes,
        "heads": ",".join(model.heads),
    }
    row, benchmark = checkpoint.row, checkpoint.benchmark
    if row and benchmark:
        facts |= {"row": row.id, "benchmark": benchmark.name, "method": row.method}
    if recipe := training_facts(meta).recipe:
        facts["config"] = recipe_text(model.architecture, recipe)
    if earlier := _earlier_sources(meta):
        facts["earlier_sources"] = json.dumps(earlier)
    return {name: str(value) for name, value in facts.items()}


def _earlier_sources(meta: Mapping[str, Any]) -> list[dict[str, str]]:
    file, sha256 = meta.get("source_file"), meta.get("source_sha256")
    if not (isinstance(file, str) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        return []
    try:
        older = json.loads(meta.get("earlier_sources", "[]"))
    except (TypeError, ValueError):
        older = []
    return [*(older if isinstance(older, list) else []), {"file": file, "sha256": sha256}]


def _serialise(
    entries: Mapping[str, Tensor], metadata: Mapping[str, str], name: str
) -> tuple[bytes, memoryview]:
    """Header and data of a safetensors file; the library writes metadata in random order."""
    # Cloned: safetensors refuses tied tensors, and those that aren't laid out row by row.
    own = {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in entries.items()
    }
    try:
        content = safetensors.torch.save(own, dict(metadata))
    except (KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{name}: has no form in safetensors: {error}") from None
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH)
    return len(text).to_bytes(_LENGTH, "little") + text, memoryview(content)[start:]
