"""Weights and inputs of the reference recordings, made again from their seeds with numpy alone.

Every array has its own generator, seeded by the recording's seed and the array's name, so any
entry of any model can be made without the others.
"""

import hashlib
import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

# keeps activations bounded to depth 101, and masks neither flat nor saturated
GAINS = (
    (r"\.layer\d+\.\d+\.bn3\.weight$", 0.2),
    (r"mix_block\.(query|key)\.conv\.weight$", 0.5),
    (r"mix_block\.value\.(weight|conv\.1\.conv\.weight)$", 2.0),
)
# both names of a pair hold the tensor of the second
ALIASES = {"backbone.": "backbone_k.", "head.": "head_one_k."}


def rng_for(seed: int, name: str) -> np.random.Generator:
    """The generator of one named array."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def weight(seed: int, name: str, shape: Iterable[int]) -> np.ndarray:
    """One entry of a state_dict: float32, or int64 () for a batch counter."""
    if name.endswith("num_batches_tracked"):
        return np.array(1, np.int64)
    shape = tuple(shape)
    w = rng_for(seed, name).standard_normal(shape)
    if name.endswith("running_mean"):
        w = 0.1 * w
    elif name.endswith("running_var"):
        w = 1 + 0.1 * np.abs(w)
    elif len(shape) >= 2:
        w = w * math.sqrt(2.0 / np.prod(shape[1:]))
    elif name.endswith(".weight"):
        w = 1 + 0.1 * w
    else:
        w = 0.1 * w
    for pattern, gain in GAINS:
        if re.search(pattern, name):
            w = w * gain
    return w.astype(np.float32)


def state(
    entries: Iterable[tuple[str, Iterable[int]]], seed: int, seed_mix_block: int | None
) -> dict[str, np.ndarray]:
    """A whole state_dict. Aliases share one array; entries of a mix block have their own seed."""
    entries = list(entries)
    two_sided = any(name.startswith("backbone_q.") for name, _ in entries)
    made: dict[str, np.ndarray] = {}
    arrays = {}
    for name, shape in entries:
        source = name
        for alias, full in ALIASES.items() if two_sided else ():
            if name.startswith(alias):
                source = full + name.removeprefix(alias)
        if source not in made:
            own = seed_mix_block if source.startswith("mix_block.") else seed
            made[source] = weight(own, source, shape)
        arrays[name] = made[source]
    return arrays


def blocky(seed: int, name: str, shape: tuple[int, int, int, int], cell: int) -> np.ndarray:
    """An image-like batch (N, C, H, W) float32."""
    n, c, h, w = shape
    low = rng_for(seed, name + ":lo").standard_normal((n, c, h // cell, w // cell))
    high = rng_for(seed, name + ":hi").standard_normal(shape)
    return (0.5 * high + 1.0 * np.kron(low, np.ones((1, 1, cell, cell)))).astype(np.float32)


def features(seed: int, name: str, n: int, c: int, h: int, w: int, rank: int = 6) -> np.ndarray:
    """Features as after a ReLU: (n, c, h, w) float32."""
    a = rng_for(seed, name + ":A").standard_normal((c, rank))
    s = rng_for(seed, name + ":S").standard_normal((n, rank, h * w))
    e = rng_for(seed, name + ":E").standard_normal((n, c, h * w))
    f = 0.5 * np.einsum("ck,nkp->ncp", a, s) + 0.5 * e + 0.3
    return np.maximum(f, 0).reshape(n, c, h, w).astype(np.float32)


def photos(folder: Path, names: Iterable[str]) -> np.ndarray:
    """Normalised crops (N, 3, 224, 224) float32 from PNG files."""
    mean = np.float32([0.485, 0.456, 0.406])
    std = np.float32([0.229, 0.224, 0.225])
    pixels = [np.asarray(Image.open(folder / f"{name}.png")).astype(np.float32) for name in names]
    return np.stack([((x / np.float32(255) - mean) / std).transpose(2, 0, 1) for x in pixels])


def sha256(array: np.ndarray) -> str:
    """Of the array's bytes, in hex."""
    return hashlib.sha256(array.tobytes()).hexdigest()
