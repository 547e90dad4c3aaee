"""Networks, images and logs to plant defects in: mini's ten rows, small networks, invented ones.

What a network says of mini's 1,000 validation images is computed once for each pixels and kept in a
folder, and so are the small networks, which take half a minute each to train.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from mixzoo.eval.pixels import centre_crop, decode
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.predictor import rank
from mixzoo.eval.protocol import normalise, pixels
from mixzoo.eval.store import Stored
from mixzoo.zoo.catalog import Benchmark, Catalog, open_catalog
from mixzoo.zoo.checkpoint.infer import infer
from mixzoo.zoo.checkpoint.names import canonical
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.data import LabelledImages, find_images
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.files import becoming
from mixzoo.zoo.manifest import Protocol, Row
from mixzoo.zoo.mini import draw
from mixzoo.zoo.nets import Classifier, ResNetConfig
from PIL import Image
from torch import Tensor

State = dict[str, Tensor]
CREATED = "2026-01-01T00:00:00+00:00"
SMALL = 64  # pixels of the small networks' images
EPOCHS = 12  # of their training; some ten seconds
UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # pixels in [0, 1]
BYTES = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}
HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
BGR = {"channels": "BGR"}
but = msgspec.structs.replace


@dataclass(frozen=True)
class Network:
    """A network with the row that it is honest for.

    feed: the pixels that it was trained on, and that its number is of. epochs: state after some
    epochs, the last one being `state`. averaged: of its last steps' weights. held_out: not to be
    tuned on.
    """

    name: str
    state: State
    benchmark: Benchmark
    row: Row
    feed: Protocol
    log: Path | None = None
    epochs: Mapping[int, State] = field(default_factory=dict)
    averaged: State | None = None
    held_out: bool = False

    @property
    def last(self) -> int:
        """The epoch after which it was written."""
        return max(self.epochs, default=40)


@dataclass(frozen=True)
class View:
    """A store of images under names of their own, some of which aren't there.

    change: of the pixels that each file holds, (H, W, 3) uint8.
    """

    root: Path
    table: Mapping[str, Path]
    change: Callable[[np.ndarray], np.ndarray] | None = None

    def has(self, file: str) -> bool:
        """Whether there is such a file."""
        return file in self.table

    def size(self, file: str) -> int:
        """Bytes of a file."""
        return len(self.read(file))

    def read(self, file: str) -> bytes:
        """A file as it is, or with its pixels changed, as PNG."""
        if file not in self.table:
            raise DataError(f"{self.root / file}: cannot be read: No such file or directory.")
        content = self.table[file].read_bytes()
        if self.change is None:
            return content
        changed = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(self.change(decode(content, file)))).save(
            changed, "PNG", compress_level=1
        )
        return changed.getvalue()

    def part(self, file: str, start: int, count: int) -> bytes:
        """Some of a file's bytes."""
        return self.read(file)[start : None if count == -1 else start + count]


class Lab:
    """Everything that planting needs. folder: where what takes time is kept."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog: Catalog = open_catalog()
        self.mini = self.catalog.benchmark("mini")
        self.data = data or draw(folder / "mini", "all", quiet=True)
        names = self.mini.manifest.dataset.val.annotations
        self.images: LabelledImages = find_images(self.data, names=names)
        self.files_sha256 = self.images.files_sha256()
        self.labels = torch.tensor(self.images.labels)
        self.shuffled = np.random.default_rng(1).permutation(len(self.images))
        self._crops: dict[str, Tensor] = {}

    @cached_property
    def decoded(self) -> list[np.ndarray]:
        """The validation images, (H, W, 3) uint8."""
        return [decode(self.images.read(i), self.images.files[i]) for i in range(len(self.images))]

    def crops(self, protocol: Protocol) -> Tensor:
        """(N, crop, crop, 3) uint8 of the validation images."""
        key = f"{protocol.resize}-{protocol.crop}-{protocol.interpolation}"
        if key not in self._crops:
            if len(self._crops) > 5:
                self._crops.pop(next(iter(self._crops)))
            self._crops[key] = torch.from_numpy(
                np.stack([centre_crop(one, protocol) for one in self.decoded])
            )
        return self._crops[key]

    def some(self, most: int | None) -> np.ndarray:
        """Positions of images drawn at random, sorted; of all for None."""
        count = len(self.images)
        if most is None:
            return np.arange(count)
        return np.sort(np.random.default_rng(2).choice(count, most, replace=False))

    def logits(self, state: State, feed: Protocol, most: int | None = None) -> dict[str, Tensor]:
        """Head -> (N, C) float32 of the validation images, or `some` of them, in IEEE fp32; kept."""
        known = hashlib.sha256()
        for name, value in sorted(state.items()):
            known.update(name.encode() + value.reshape(-1).view(torch.uint8).numpy().tobytes())
        told = {name: value for name, value in pixels(feed).items() if name != "channels"}
        known.update(json.dumps([told, feed.channels == "BGR"]).encode())
        name = known.hexdigest()[:32] + (f"-{most}" if most else "")
        path = self.folder / "logits" / f"{name}.npz"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with becoming(path) as part, part.open("wb") as file:
                np.savez(file, **{h: z.numpy() for h, z in self._run(state, feed, most).items()})
        with np.load(path) as kept:
            return {head: torch.from_numpy(kept[head]) for head in kept}

    def _run(self, state: State, feed: Protocol, most: int | None) -> dict[str, Tensor]:
        model = model_of(state)
        crops = self.crops(feed)[torch.from_numpy(self.some(most))]
        with torch.inference_mode():
            parts = [model.logits(normalise(part, feed)) for part in crops.split(64)]
        return {head: torch.cat([part[head] for part in parts]).clone() for head in model.heads}

    def logged(self, state: State, feed: Protocol) -> dict[str, float]:
        """What a log says: `HEAD_top1` and `HEAD_top5`, percent."""
        said = {}
        for head, z in self.logits(state, feed).items():
            among = z.topk(5, dim=1).indices == self.labels[:, None]
            said[f"{head}_top1"] = 100 * float(among[:, 0].double().mean())
            said[f"{head}_top5"] = 100 * float(among.any(1).double().mean())
        return said

    def top1(self, state: State, feed: Protocol) -> dict[str, float]:
        """Head -> percent of the validation images."""
        return {
            head: 100 * float((z.argmax(1) == self.labels).double().mean())
            for head, z in self.logits(state, feed).items()
        }

    def stored(
        self,
        state: State,
        feed: Protocol,
        benchmark: Benchmark,
        sha256: str,
        *,
        file: str = "weights.pth",
        images: LabelledImages | None = None,
        missing: Sequence[int] = (),
        files_sha256: str | None = None,
        **about: Any,
    ) -> Stored:
        """What an evaluation keeps whose network is fed these pixels, of some list of the images.

        images: in the order of the validation list, or under other names in that of `shuffled`.
        missing: positions that can't be read. about: further facts, `epoch`.
        """
        images = images or self.images
        labels = torch.tensor(images.labels)
        as_listed = images.files == self.images.files
        order = np.arange(len(images)) if as_listed else self.shuffled
        heads = {}
        for head, z in self.logits(state, feed).items():
            heads[head] = Predictions.empty(images.labels)
            heads[head].put(
                rank(z[order], labels, torch.arange(len(labels)), exact=True, head=head)
            )
            if len(missing):
                heads[head].put_unreadable(missing)
        model = infer(canonical(state))
        weights = {
            "file": file,
            "sha256": sha256,
            "architecture": model.architecture,
            "method": model.method,
            "num_classes": model.num_classes,
            "heads": model.heads,
            "remarks": (),
        }
        key = {
            "weights_sha256": sha256,
            "protocol": pixels(benchmark.manifest.protocol),
            "list_sha256": images.sha256(),
            "precision": "fp32",
        }
        facts = {"weights": weights, "created": CREATED, "files_sha256": files_sha256}
        sizes = np.zeros(len(images), np.int64)
        return Stored(key, heads, images.files, sizes, facts | about)

    def rows_of_mini(self) -> Iterator[Network]:
        """The ten rows as they are released. Every other one is held out."""
        root = self.mini.path.parent.parent / "zoo/mini/assets"
        feed = self.mini.manifest.protocol
        for number, row in enumerate(self.mini.manifest.rows):
            state = canonical(read_checkpoint(root / f"{row.id}.pth").state_dict)
            log = root / f"{row.id}.log.json"
            yield Network(row.id, state, self.mini, row, feed, log, held_out=number % 2 == 1)

    def small_networks(self, seeds: Sequence[int]) -> Iterator[Network]:
        """Networks of some seeds, trained from scratch; those of odd seeds are held out.

        Seeds divided by 4 leave 0 and 1 where the network saw the protocol's pixels, 2 where it
        saw BGR, 3 where it saw pixels in [0, 1]: as its own published number did.
        """
        protocol = Protocol(resize=73, crop=SMALL)
        rows = [
            Row(
                id=f"resnet18_w8.vanilla_seed{seed}_small",
                method="vanilla",
                architecture="resnet18_w8",
                tag=f"seed{seed}",
                reported_top1=0.0,
            )
            for seed in seeds
        ]
        made = []
        for seed, row in zip(seeds, rows, strict=True):
            feed = protocol
            feed = but(feed, **BGR) if seed % 4 == 2 else feed
            feed = but(feed, **UNIT) if seed % 4 == 3 else feed
            made.append((seed, row, feed, *self._trained(seed, feed)))
        published = {
            row.id: round(self.top1(epochs[EPOCHS], feed)["head0"], 1)
            for _, row, feed, epochs, _ in made
        }
        rows = [msgspec.structs.replace(r, reported_top1=published[r.id]) for r in rows]
        manifest = msgspec.structs.replace(
            self.mini.manifest, name="small", protocol=protocol, rows=rows, training=None
        )
        benchmark = Benchmark(manifest, None, self.folder / "small.toml")
        for (seed, _, feed, epochs, averaged), row in zip(made, rows, strict=True):
            log = self.folder / f"{row.id}.log.json"
            write_log(log, {e: self.logged(one, feed) for e, one in epochs.items()})
            yield Network(
                row.id, epochs[EPOCHS], benchmark, row, feed, log, epochs, averaged, seed % 2 == 1
            )

    def _trained(self, seed: int, feed: Protocol) -> tuple[dict[int, State], State]:
        path = self.folder / f"small-{seed}.pt"
        if not path.exists():
            torch.save(self._train(seed, feed), path)
        return torch.load(path)

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        """(N, 73, 73, 3) uint8 and (N,) labels of the training images."""
        names = self.mini.manifest.dataset.train
        assert names
        images = find_images(self.data, names=names.annotations, split="train")
        protocol = Protocol(resize=73, crop=73)
        made = [
            centre_crop(decode(images.read(i), images.files[i]), protocol)
            for i in range(len(images))
        ]
        return torch.from_numpy(np.stack(made)), torch.tensor(images.labels)

    def _train(self, seed: int, feed: Protocol) -> tuple[dict[int, State], State]:
        """State after each of the last epochs, and an average of the last three's steps."""
        images, labels = self._training
        rng = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        model = Classifier(ResNetConfig.from_name("resnet18_w8"), 40).train()
        steps = EPOCHS * (len(labels) // 64)
        optimizer = torch.optim.SGD(
            model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
        epochs: dict[int, State] = {}
        averaged: State = {}
        for epoch in range(1, EPOCHS + 1):
            order = torch.randperm(len(labels), generator=rng)
            for some in order.split(64)[: len(labels) // 64]:
                y, x = (int(n) for n in torch.randint(10, (2,), generator=rng))
                crops = images[some, y : y + SMALL, x : x + SMALL]
                crops = crops.flip(2) if torch.rand((), generator=rng) < 0.5 else crops
                loss = torch.nn.functional.cross_entropy(
                    model(normalise(crops, feed)), labels[some], label_smoothing=0.05
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                if epoch > EPOCHS - 4:
                    averaged = _moved(averaged, model.state_dict())
            if epoch > EPOCHS // 3:
                epochs[epoch] = {name: v.clone() for name, v in model.state_dict().items()}
        return epochs, averaged


def _moved(averaged: State, state: State) -> State:
    """An exponential average one step further; counts are taken over."""
    if not averaged:
        return {name: value.clone() for name, value in state.items()}
    return {
        name: value.lerp(state[name], 0.02) if value.is_floating_point() else state[name].clone()
        for name, value in averaged.items()
    }


def model_of(state: State) -> Any:
    """The classifier that these weights fill, in eval mode and float32."""
    entries = {
        name: value.float() if value.is_floating_point() else value
        for name, value in canonical(state).items()
    }
    model = infer(entries)
    model.to_empty(device="cpu").load_state_dict(entries)
    return model.eval()


def write_log(path: Path, epochs: Mapping[int, Mapping[str, float]], *, lr: float = 0.001) -> Path:
    """A log as the reference writes it. epochs: `HEAD_top1` and the like, in percent."""
    lines = [
        json.dumps(
            {"mode": "val", "epoch": epoch, "iter": 16, "lr": lr}
            | {
                name if name.startswith("head0") else f"acc_{name}": round(value, 5)
                for name, value in values.items()
            }
        )
        for epoch, values in sorted(epochs.items())
    ]
    with becoming(path) as part:  # another process may be reading it
        part.write_text("\n".join(lines) + "\n")
    return path
