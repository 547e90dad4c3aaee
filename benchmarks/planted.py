"""Plants defects for real: in each case one thing is wrong, and everything else as it should be.

A case is what somebody has in hand who wonders why a number is off: predictions, the file, the
images, the log, the table. Defects of weights are planted in a file that is written; of pixels in
the network (its first layer wants other pixels, as if it had been trained on them) or in the image
files; of labels in the list, or in the order of the head's classes; of the table in its number.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from lab import BGR, BYTES, CREATED, HALF, UNIT, Lab, Network, State, View, but, write_log
from mixzoo.eval.predictions import Predictions, Rows
from mixzoo.eval.protocol import pixels
from mixzoo.eval.store import Stored
from mixzoo.zoo.catalog import Benchmark
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.manifest import Protocol, Row
from torch import Tensor, nn

Ints = np.ndarray
HEALTHY = "healthy"


@dataclass(frozen=True)
class Planted:
    """A case. kind: the defect, or HEALTHY and what is odd about it though nothing is wrong.

    of: the network's name. stored: None where the file can't be loaded. logs, kept: of other rows,
    by their ids. training: file -> label of the training images. state: the weights, if there are
    any. turned: whether the image files hold their channels turned round.
    """

    kind: str
    of: str
    held_out: bool
    benchmark: Benchmark
    row: Row
    stored: Stored | None
    checkpoint: Path | None = None
    images: LabelledImages | None = None
    log: Path | None = None
    logs: Mapping[str, Path] = field(default_factory=dict)
    kept: Mapping[str, Stored] = field(default_factory=dict)
    training: Mapping[str, int] | None = None
    state: State | None = None
    turned: bool = False

    @property
    def off(self) -> float:
        """Recomputed minus published, in points; of the head that inference uses."""
        assert self.stored
        first = self.stored.about["weights"]["heads"][0]
        return self.stored.heads[first].counts().top1 - (self.row.reported_top1 or 0)


# --- labels ---------------------------------------------------------------------------------


def as_strings(classes: int) -> Ints:
    """Label of each class where folders were sorted by name: 0, 1, 10, 11, ..., 2, 20, ..."""
    order = sorted(range(classes), key=str)
    return np.argsort(order)


def by_appearance(labels: Ints, classes: int) -> Ints:
    """Label of each class where classes were numbered as a list first names them."""
    seen = dict.fromkeys(labels.tolist())
    return np.argsort([*seen, *(c for c in range(classes) if c not in seen)])


def of_another_list(rng: np.random.Generator, classes: int) -> Ints:
    """Label of each class where a list of another year names them: in blocks, moved, some reversed.

    It has most of the classes in the same neighbourhoods, at other places.
    """
    cuts = np.sort(rng.choice(np.arange(1, classes), 6 if classes < 100 else 14, replace=False))
    blocks = np.split(np.arange(classes), cuts)
    order = rng.permutation(len(blocks))
    return np.argsort(np.concatenate([blocks[i] for i in order]))


RENUMBERED: dict[str, Callable[[np.random.Generator, Ints, int], Ints]] = {
    "labels sorted as strings": lambda _, labels, c: as_strings(c),
    "labels by first appearance": lambda _, labels, c: by_appearance(labels, c),
    "labels one too high": lambda _, labels, c: (np.arange(c) + 1) % c,
    "labels one too low": lambda _, labels, c: (np.arange(c) - 1) % c,
    "labels permuted at random": lambda rng, labels, c: rng.permutation(c),
    "labels of another list": lambda rng, labels, c: of_another_list(rng, c),
}

# --- weights --------------------------------------------------------------------------------


def _sides(state: State) -> list[str]:
    """Prefixes of the backbones."""
    return [name.removesuffix("conv1.weight") for name in state if name.count(".") == 2 and
            name.endswith(".conv1.weight") and name.startswith("backbone")]  # fmt: skip


def _heads(state: State) -> list[str]:
    return [name.removesuffix("weight") for name in state if name.endswith("fc.weight")]


def wants_bgr(state: State) -> State:
    """The network of somebody who trained on BGR."""
    return state | {
        f"{side}conv1.weight": state[f"{side}conv1.weight"].flip(1) for side in _sides(state)
    }


def wants(state: State, ours: Protocol, theirs: Protocol) -> State:
    """The network that makes of their normalisation what this one makes of ours.

    Up to the border, where a convolution pads with zeros, which then stand for another grey.
    """
    means, stds = (torch.tensor([getattr(p, n) for p in (ours, theirs)]) for n in ("mean", "std"))
    changed = dict(state)
    for side in _sides(state):
        weight = state[f"{side}conv1.weight"]
        shift = ((means[1] - means[0]) / stds[0])[None, :, None, None] * weight
        changed[f"{side}conv1.weight"] = weight * (stds[1] / stds[0])[None, :, None, None]
        mean = f"{side}bn1.running_mean"
        changed[mean] = state[mean] - shift.sum((1, 2, 3))
    return changed


def renumbered(state: State, label_of: Ints) -> State:
    """The network of somebody whose class c had the label `label_of[c]`."""
    order = torch.from_numpy(np.argsort(label_of))
    return state | {
        f"{head}{part}": state[f"{head}{part}"][order]
        for head in _heads(state)
        for part in ("weight", "bias")
    }


def rounded(state: State, dtype: torch.dtype) -> State:
    """Weights as they come back from 16 bits."""
    return {n: v.to(dtype) if v.is_floating_point() else v for n, v in state.items()}


def untrained_statistics(state: State) -> State:
    """Batch norms that saw no image."""
    changed = dict(state)
    for name, value in state.items():
        if name.endswith("running_mean"):
            changed[name] = torch.zeros_like(value)
        if name.endswith("running_var"):
            changed[name] = torch.ones_like(value)
        if name.endswith("num_batches_tracked"):
            changed[name] = torch.zeros_like(value)
    return changed


def left_out(state: State, what: str, rng: torch.Generator) -> State:
    """What a loader leaves that takes the keys it knows: the others as a network is made.

    what: part of the names, `fc.` or `layer4.1.`.
    """
    changed = dict(state)
    for name, value in state.items():
        if what not in name or not name.startswith(("backbone", "head")):
            continue
        if name.endswith("num_batches_tracked") or name.endswith(("bias", "running_mean")):
            changed[name] = torch.zeros_like(value)
        elif value.ndim == 1:
            changed[name] = torch.ones_like(value)
        elif value.ndim == 2:
            changed[name] = torch.randn(value.shape, generator=rng) * 0.01
        else:
            fan = value.shape[0] * value[0, 0].numel()
            changed[name] = torch.randn(value.shape, generator=rng) * (2 / fan) ** 0.5
    return changed


def moved(state: State, size: float, rng: torch.Generator) -> State:
    """Weights as they were some steps before or after: each a little off."""
    return {
        n: v + size * v.std() * torch.randn(v.shape, generator=rng)
        if v.is_floating_point() and v.ndim > 1
        else v
        for n, v in state.items()
    }


def _features(lab: Lab, state: State, feed: Protocol) -> dict[str, Tensor]:
    """Head's prefix -> (N, D), what it sees: by heads that hand their input through."""
    through = dict(state)
    heads = _heads(state)
    width = state[f"{heads[0]}weight"].shape[1]
    for head in heads:
        through |= {f"{head}weight": torch.eye(width), f"{head}bias": torch.zeros(width)}
    seen = lab.logits(through, feed)
    return dict(zip(heads, (seen[name] for name in _in_order(heads, list(seen))), strict=True))


def _in_order(prefixes: list[str], names: list[str]) -> list[str]:
    return [next(n for n in names if n == "head0" or f"_{n}." in p) for p in prefixes]


def fitted(lab: Lab, state: State, feed: Protocol, labels: Tensor, *, fresh: bool) -> State:
    """The network with heads fitted to labels of the validation images.

    fresh: from nothing, as another data set's head was; else going on from what it has.
    """
    changed = dict(state)
    for head, x in _features(lab, state, feed).items():
        fc = nn.Linear(x.shape[1], len(state[f"{head}bias"]))
        if fresh:
            nn.init.normal_(fc.weight, std=0.01, generator=torch.Generator().manual_seed(0))
            nn.init.zeros_(fc.bias)
        else:
            fc.load_state_dict({n: state[f"{head}{n}"] for n in ("weight", "bias")})
        optimizer = torch.optim.LBFGS(fc.parameters(), max_iter=40 if fresh else 25)

        def closure(fc: nn.Linear = fc, optimizer: Any = optimizer, x: Tensor = x) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(fc(x), labels) + 1e-3 * fc.weight.square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        changed |= {f"{head}{n}": v.detach().clone() for n, v in fc.state_dict().items()}
    return changed


def of_other_classes(lab: Lab, network: Network, seed: int) -> State:
    """The network with a head that was trained on as many classes of another data set.

    Their images are cut out of the same features by 40 random directions.
    """
    head, x = next(iter(_features(lab, network.state, network.feed).items()))
    del head
    rng = torch.Generator().manual_seed(seed)
    directions = torch.randn(x.shape[1], 40, generator=rng)
    other = (((x - x.mean(0)) / (x.std(0) + 1e-6)) @ directions).argmax(1)
    return fitted(lab, network.state, network.feed, other, fresh=True)


# --- cases ----------------------------------------------------------------------------------


class Planter:
    """Makes cases of networks. folder: for the files that are written, each overwritten by the next."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.made = 0

    def cases(
        self, networks: Sequence[Network], of: Sequence[Network] | None = None
    ) -> Iterator[Planted]:
        """All cases of some networks (of all of them), each with one defect or none.

        The other networks of the same benchmark lend their files, logs and predictions.
        """
        for network in networks if of is None else of:
            others = [
                one for one in networks
                if one.benchmark is network.benchmark and one is not network and one.log
            ]  # fmt: skip
            logs = {one.name: one.log for one in others if one.log}
            kept = {
                one.name: self.lab.stored(one.state, one.feed, one.benchmark, "0" * 64)
                for one in others
                if one.feed == network.benchmark.manifest.protocol
            }
            for ways in (self.healthy, self.labels, self.pixels, self.files, self.tables):
                for number, case in enumerate(ways(network)):
                    shelf = kept if number % 2 and case.kind != "file of another row" else {}
                    yield replace(case, logs=logs, kept=shelf) if case.stored else case
            if network.feed == network.benchmark.manifest.protocol:
                for number, case in enumerate(self.other_rows(network, others)):
                    if number == 0 and case.checkpoint and "weights-" not in case.checkpoint.name:
                        yield case  # saved again, neither its bytes nor its number tell it
                    yield replace(case, logs=logs)
                    yield replace(case, kept=kept)

    @property
    def shuffled(self) -> Ints:
        """The right labels in the order of `flat`."""
        return self.lab.labels.numpy()[self.lab.shuffled]

    def case(
        self, kind: str, network: Network, state: State | None = None, **changes: Any
    ) -> Planted:
        """A case of these weights, written to a file, and fed as the table's protocol says.

        changes: `meta` of the file, `content` in place of the weights' table, `published`,
        `benchmark`, `images`, `missing`, `files_sha256`, `feed` (what the image files make of it),
        `log`, `training`.
        """
        state = network.state if state is None else state
        benchmark: Benchmark = changes.pop("benchmark", network.benchmark)
        row: Row = changes.pop("row", network.row)
        if (published := changes.pop("published", None)) is not None:
            row = msgspec.structs.replace(row, reported_top1=published)
            rows = [row if one.id == row.id else one for one in benchmark.manifest.rows]
            manifest = msgspec.structs.replace(benchmark.manifest, rows=rows)
            benchmark = replace(benchmark, manifest=manifest)
        meta = {"epoch": network.last} | changes.pop("meta", {})
        meta = {name: value for name, value in meta.items() if value is not None}
        self.made += 1
        path = self.folder / f"weights-{self.made % 8}.pth"
        torch.save(changes.pop("content", {"state_dict": state}) | {"meta": meta}, path)
        original = changes.pop("original", None)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if original:
            path, sha256 = original, hashlib.sha256(original.read_bytes()).hexdigest()
        feed = changes.pop("feed", benchmark.manifest.protocol)
        images = changes.pop("images", self.lab.images)
        stored = self.lab.stored(
            changes.pop("seen", state), feed, benchmark, sha256, file=path.name, images=images,
            missing=changes.pop("missing", ()), epoch=meta.get("epoch"),
            files_sha256=changes.pop("files_sha256", self.lab.files_sha256),
        )  # fmt: skip
        log = changes.pop("log", network.log)
        training = changes.pop("training", None)
        assert not changes, changes
        return Planted(
            kind, network.name, network.held_out, benchmark, row, stored, path, images, log,
            training=training, state=state, turned=feed.channels == "BGR",
        )  # fmt: skip

    def flat(self, labels: Ints) -> LabelledImages:
        """The images under names that tell no label, in the lab's `shuffled` order, with these
        labels."""
        images = self.lab.images
        table = {
            f"val/{i:05}.jpg": images.root / images.files[at]
            for i, at in enumerate(self.lab.shuffled)
        }
        store = View(images.root, table)
        return LabelledImages(store, tuple(table), tuple(int(n) for n in labels), "list.txt")

    def unlocked(self, network: Network, **changes: Any) -> Benchmark:
        """Its benchmark with a table that locks no list, as most do."""
        manifest = network.benchmark.manifest
        val = msgspec.structs.replace(manifest.dataset.val, list_sha256=None, files_sha256=None)
        dataset = msgspec.structs.replace(manifest.dataset, val=val, image_tree="")
        changed = msgspec.structs.replace(manifest, dataset=dataset, **changes)
        return replace(network.benchmark, manifest=changed)

    def healthy(self, network: Network) -> Iterator[Planted]:
        """Nothing is wrong: the published number is this file's, or that of its log's statistic."""
        if network.feed == network.benchmark.manifest.protocol:
            yield self.case(HEALTHY, network)
            yield self.case(f"{HEALTHY}, no log", network, log=None, meta={"epoch": None})
            yield self.case(
                f"{HEALTHY}, other list of the same images",
                network,
                benchmark=self.unlocked(network),
                images=self.flat(self.shuffled),
            )
        for epoch, state in network.epochs.items():  # each epoch with its own number
            top1 = self.lab.top1(state, network.feed)["head0"]
            if network.feed == network.benchmark.manifest.protocol and epoch != network.last:
                yield self.case(
                    f"{HEALTHY}, an earlier epoch's own number", network, state,
                    published=round(top1, 1), meta={"epoch": epoch}, log=None,
                )  # fmt: skip

    def labels(self, network: Network) -> Iterator[Planted]:
        """Classes numbered in another way, by who trained (their head), and by who evaluates."""
        if network.feed != network.benchmark.manifest.protocol:
            return
        labels = self.shuffled
        rng = np.random.default_rng(int(hashlib.sha256(network.name.encode()).hexdigest()[:8], 16))
        for kind, renumber in RENUMBERED.items():
            label_of = renumber(rng, labels, 40)
            theirs = renumbered(network.state, label_of)
            if kind == "labels by first appearance":  # in the official list each is in its order
                yield self.case(
                    kind,
                    network,
                    theirs,
                    benchmark=self.unlocked(network),
                    images=self.flat(labels),
                )
            else:
                yield self.case(kind, network, theirs)
            yield self.case(
                kind, network, benchmark=self.unlocked(network), images=self.flat(label_of[labels])
            )

    def pixels(self, network: Network) -> Iterator[Planted]:
        """The published number is of other pixels than the table's protocol, or the files hold such."""
        ours = network.benchmark.manifest.protocol
        first = next(iter(self.lab.top1(network.state, network.feed)))
        if network.feed != ours:  # it was trained on others
            yield self.case("BGR" if network.feed.channels == "BGR" else "not normalised", network)
            return
        side, crop = ours.resize, ours.crop
        for kind, theirs, state in (
            ("BGR", but(ours, **BGR), wants_bgr(network.state)),
            ("not normalised", f := but(ours, **UNIT), wants(network.state, ours, f)),
            ("not normalised", f := but(ours, **BYTES), wants(network.state, ours, f)),
            ("other normalisation", f := but(ours, **HALF), wants(network.state, ours, f)),
        ):
            top1 = self.lab.top1(state, theirs)[first]
            yield self.case(kind, network, state, published=round(top1, 1))
        for kind, change in (
            ("other resize", {"resize": crop}),
            ("other resize", {"resize": side * 5 // 4}),
            ("other crop", {"crop": crop * 3 // 4}),
            ("other crop", {"crop": side}),
            ("other interpolation", {"interpolation": "bilinear"}),
            ("other interpolation", {"interpolation": "nearest"}),
        ):
            top1 = self.lab.top1(network.state, but(ours, **change))[first]
            case = self.case(
                kind, network, published=round(top1, 1), log=None, meta={"epoch": None}
            )
            if round(case.off, 1):
                yield case
        images = self.lab.images
        table = {file: images.root / file for file in images.files}
        swapped = replace(images, store=View(images.root, table, _bgr))
        yield self.case(
            "BGR", network, benchmark=self.unlocked(network), images=swapped,
            feed=but(ours, **BGR), files_sha256=None,
        )  # fmt: skip

    def files(self, network: Network) -> Iterator[Planted]:
        """The wrong file, or one that lost something."""
        lab, state, feed = self.lab, network.state, network.feed
        if feed != network.benchmark.manifest.protocol:
            return
        rng = torch.Generator().manual_seed(len(network.name) + ord(network.name[-6]))
        first = next(iter(lab.top1(state, feed)))
        yield from self.other_epochs(network, rng)
        raw, averaged = (
            (state, network.averaged) if network.averaged else (moved(state, 0.1, rng), state)
        )
        published = round(lab.top1(averaged, feed)[first], 1)
        both = {"state_dict": raw, "state_dict_ema": averaged}
        case = self.case("averaged copy published", network, raw, published=published, content=both,
                         log=None)  # fmt: skip
        if round(case.off, 1):
            yield case
        published = round(lab.top1(raw, feed)[first], 1)
        case = self.case("averaged copy in the file", network, averaged, published=published,
                         content={"state_dict_ema": averaged}, log=None)  # fmt: skip
        if round(case.off, 1):
            yield case
        for dtype in (torch.bfloat16, torch.float16):
            half = rounded(state, dtype)
            case = self.case("16-bit weights", network, half)
            if round(case.off, 1):
                yield case
        yield self.case("untrained batch norms", network, untrained_statistics(state))
        for what in ("fc.", "layer4.1.", "layer3.0."):
            yield self.case("keys left out", network, left_out(state, what, rng))
        yield self.case("head of another data set", network, of_other_classes(lab, network, 1))
        leaky = fitted(lab, state, feed, lab.labels, fresh=False)
        yield self.case("trained on validation images", network, leaky)
        listed = dict(zip(lab.images.files[::3], lab.images.labels[::3], strict=True))
        yield self.case("trained on validation images", network, leaky, log=None, training=listed)
        missing = sorted(np.random.default_rng(0).choice(1000, 30, replace=False).tolist())
        table = {f: lab.images.root / f for i, f in enumerate(lab.images.files) if i not in missing}
        absent = replace(lab.images, store=View(lab.images.root, table))
        yield self.case(
            "images missing", network, images=absent, missing=missing, files_sha256=None
        )
        yield from self.refused(network)

    def refused(self, network: Network) -> Iterator[Planted]:
        """Files that can't be loaded."""
        for kind, keep in (
            ("batch norms missing", lambda name: "running_" not in name),
            ("keys left out", lambda name: "layer4.1." not in name),
        ):
            path = self.folder / f"refused-{kind.replace(' ', '-')}.pth"
            torch.save({"state_dict": {n: v for n, v in network.state.items() if keep(n)}}, path)
            yield Planted(kind, network.name, network.held_out, network.benchmark, network.row,
                          None, path, self.lab.images, network.log)  # fmt: skip

    def other_rows(self, network: Network, networks: list[Network]) -> Iterator[Planted]:
        """The file of a row that the same architecture and kind of heads has, or of one saved again."""
        same = [
            one for one in networks
            if one.benchmark is network.benchmark and one.name != network.name
            and one.state.keys() == network.state.keys() and one.feed == network.feed
            and one.row.reported_top1 != network.row.reported_top1
        ]  # fmt: skip
        if not same:
            return
        other = same[len(network.name) % len(same)]
        released = other.log and other.log.with_name(f"{other.name}.pth")
        if released and released.exists():  # as it was released
            yield self.case("file of another row", network, other.state, original=released)
        yield self.case("file of another row", network, other.state, meta={"epoch": other.last})

    def other_epochs(self, network: Network, rng: torch.Generator) -> Iterator[Planted]:
        """A file from before the end of its run; it says so, or only the log tells."""
        lab, last = self.lab, network.last
        if network.epochs:
            earlier, log = {e: s for e, s in network.epochs.items() if e < last}, network.log
        else:
            earlier = {last - 4: moved(network.state, 0.08, rng)}
            log = self.folder / f"epoch-{network.name}.log.json"
            assert network.log
            lines = [json.loads(line) for line in network.log.read_text().splitlines()]
            said = lab.logged(earlier[last - 4], network.feed)
            for line in lines:
                if line.get("mode") == "val" and line["epoch"] == last - 4:
                    for name, value in said.items():
                        line[name if name in line else f"acc_{name}"] = round(value, 5)
            log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for number, (epoch, state) in enumerate(reversed(list(earlier.items()))):
            if number > 3:
                return
            says = {"epoch": epoch if number % 2 == 0 else None}
            case = self.case("another epoch", network, state, meta=says, log=log)
            if round(case.off, 1):
                yield case
            if not network.epochs:
                yield self.case("another epoch", network, state, meta={"epoch": None}, log=log)

    def tables(self, network: Network) -> Iterator[Planted]:
        """The published number was made in another way than the table says."""
        if network.feed != network.benchmark.manifest.protocol or not network.log:
            return
        lines = [json.loads(line) for line in network.log.read_text().splitlines()]
        val = [line for line in lines if line.get("mode") == "val"]
        head = next(iter(self.lab.top1(network.state, network.feed)))
        name = f"acc_{head}_top1" if f"acc_{head}_top1" in val[-1] else f"{head}_top1"
        best = max(line[name] for line in val)
        if round(best - val[-1][name], 1):
            yield self.case("best epoch published", network, published=round(best, 1))
        whole = msgspec.structs.replace(network.benchmark.manifest.metric, decimals=0)
        top1 = self.lab.top1(network.state, network.feed)[head]
        if top1 - int(top1) > 0.55:
            manifest = msgspec.structs.replace(network.benchmark.manifest, metric=whole)
            yield self.case(
                "cut off instead of rounded", network, published=float(int(top1)),
                benchmark=replace(network.benchmark, manifest=manifest),
            )  # fmt: skip
        yield from self.padded(network, val, name, head)

    def padded(self, network: Network, val: list[Any], name: str, head: str) -> Iterator[Planted]:
        """The log counts the images twice that filled up the processes' shares."""
        z = self.lab.logits(network.state, network.feed)[head]
        among = z.topk(5, dim=1).indices == self.lab.labels[:, None]
        log = self.folder / f"padded-{network.name}.log.json"
        for size in (64, 96):
            extra = -len(z) % size
            of = len(z) + extra
            top1: dict[int, dict[str, float]] = {line["epoch"]: {} for line in val}
            for digit, hit in (("1", among[:, 0].double()), ("5", among.any(1).double())):
                again = float(hit[:extra].mean())
                for line in val:
                    k = line[name.replace("top1", f"top{digit}")] * len(z) / 100
                    top1[line["epoch"]][f"{head}_top{digit}"] = (
                        100 * (round(k) + round(extra * again * k / float(hit.sum()))) / of
                    )
                last = 100 * float(hit.sum() + hit[:extra].sum()) / of
                top1[network.last][f"{head}_top{digit}"] = last
            write_log(log, top1)
            published = round(top1[network.last][f"{head}_top1"], 2)
            metric = msgspec.structs.replace(network.benchmark.manifest.metric, decimals=2)
            manifest = msgspec.structs.replace(network.benchmark.manifest, metric=metric)
            case = self.case(
                "padded evaluation in the log", network, published=published, log=log,
                benchmark=replace(network.benchmark, manifest=manifest),
            )  # fmt: skip
            if abs(case.off) > 0.1:
                yield case


def _bgr(rgb: np.ndarray) -> np.ndarray:
    return rgb[:, :, ::-1]


# --- invented predictions at iNaturalist's size ------------------------------------------------


IMAGES, CLASSES = 24426, 8142
ABOVE = ("Plantae", "Aves", "Insecta", "Fungi", "Mammalia", "Reptilia")


class Invented:
    """Predictions as a row of a published table could make them, and logs around them."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.benchmark = lab.catalog.benchmark("inat2018")
        order = np.random.default_rng(0).permutation(IMAGES)
        self.labels = order % CLASSES
        self.files = tuple(
            f"train_val2018/{ABOVE[n * len(ABOVE) // CLASSES]}/{n}/{i:032x}.jpg"
            for i, n in enumerate(self.labels)
        )
        self.flat = tuple(f"val/{i:06}.jpg" for i in range(IMAGES))
        self._hashes: dict[int, str] = {}

    def predictions(self, rng: np.random.Generator, top1: float) -> np.ndarray:
        """(N, 5) classes; most mistakes are classes near by, as those of a genus are, some just
        beside the label."""
        labels = self.labels
        steps = np.array([1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 7, -7, 11, -11])
        near = (
            labels[:, None]
            + np.array([rng.permutation(steps)[:6] for _ in range(64)])[
                rng.integers(64, size=IMAGES)
            ]
        )
        top = np.clip(near, 0, CLASSES - 1)[:, :5]
        far = rng.random(IMAGES) < 0.4
        top[far, 0] = rng.integers(0, CLASSES, far.sum())
        ease = rng.normal(size=CLASSES)[labels] * 0.8 + rng.normal(size=IMAGES)
        right = np.zeros(IMAGES, bool)
        right[np.argsort(-ease)[: round(top1 / 100 * IMAGES)]] = True
        top[right, 0] = labels[right]
        second = ~right & (rng.random(IMAGES) < 0.45)
        top[second, 1] = labels[second]
        wrong = (top == labels[:, None]) & ~right[:, None]
        wrong[:, 1] &= ~second
        top[wrong] = (labels[:, None].repeat(5, 1)[wrong] + 40) % CLASSES
        return top.astype(np.int32)

    def stored(
        self,
        top: np.ndarray,
        rng: np.random.Generator,
        row: Row,
        *,
        labels: np.ndarray | None = None,
        head: str = "head0",
        epoch: int | None = 100,
        missing: Ints | None = None,
    ) -> Stored:
        """What an evaluation keeps of such predictions."""
        labels = self.labels if labels is None else labels
        known = Predictions.empty(labels)
        right = top[:, 0] == self.labels
        confidence = np.where(right, rng.beta(5, 2, IMAGES), rng.beta(2, 3, IMAGES))
        margin = rng.gamma(1.5, np.where(right, 2.5, 0.8))
        floats = (a.astype(np.float32) for a in (margin, rng.gamma(1.5, 1.5, IMAGES), confidence))
        known.put(
            Rows(np.arange(IMAGES), top, *floats, np.ones(IMAGES, bool), np.zeros(IMAGES, bool))
        )
        if missing is not None:
            known.put_unreadable(missing)
        files = self.files if labels is self.labels else self.flat
        images = LabelledImages(FolderStore(self.folder), files, tuple(labels.tolist()), "list")
        sha256 = hashlib.sha256(rng.bytes(16)).hexdigest()
        weights = {
            "file": "weights.pth",
            "sha256": sha256,
            "architecture": row.architecture,
            "method": "plain",
            "num_classes": CLASSES,
            "heads": (head,),
            "remarks": (),
        }
        if id(labels) not in self._hashes:
            self._hashes = {id(labels): images.sha256()} | (
                {id(self.labels): self._hashes[id(self.labels)]}
                if id(self.labels) in self._hashes
                else {}
            )
        key = {
            "weights_sha256": sha256,
            "protocol": pixels(self.benchmark.manifest.protocol),
            "list_sha256": self._hashes[id(labels)],
            "precision": "guarded",
        }
        about = {"weights": weights, "created": CREATED} | ({"epoch": epoch} if epoch else {})
        return Stored(key, {head: known}, files, np.zeros(IMAGES, np.int64), about)

    def case(
        self,
        kind: str,
        seed: int,
        row: Row,
        stored: Stored,
        published: float,
        log: Path | None = None,
        **rest: Any,
    ) -> Planted:
        """A case of an invented run."""
        row = msgspec.structs.replace(row, reported_top1=round(published, 2))
        rows = [row if one.id == row.id else one for one in self.benchmark.manifest.rows]
        manifest = msgspec.structs.replace(self.benchmark.manifest, rows=rows)
        return Planted(kind, f"invented {seed}", seed % 2 == 1,
                       replace(self.benchmark, manifest=manifest), row, stored, log=log, **rest)  # fmt: skip

    def run(self, rng: np.random.Generator, top1: float) -> dict[int, int]:
        """Right images after each of 100 epochs: a curve that flattens, and scatters as runs do."""
        at = np.arange(1, 101)
        curve = top1 * (1 - np.exp(-at / 18)) / (1 - np.exp(-100 / 18))
        curve[-8:] = top1
        curve[:-8] -= np.linspace(2.5, 0.3, 92)
        hits = np.rint(
            np.maximum(curve + rng.normal(scale=0.092, size=100), 0.1) / 100 * IMAGES
        ).astype(int)
        return dict(zip(at.tolist(), hits.tolist(), strict=True))

    def log(
        self, name: str, hits: Mapping[int, int], *tops: tuple[int, np.ndarray], of: int = IMAGES
    ) -> Path:
        """A log of so many right images. tops: predictions after some epochs."""
        among = {e: int((top == self.labels[:, None]).any(1).sum()) for e, top in tops}
        rng = np.random.default_rng(len(hits))
        said = {
            epoch: {
                "head0_top1": 100 * k / of,
                "head0_top5": 100
                * among.get(epoch, round(k + 0.43 * (of - k) + rng.normal(scale=30)))
                / of,
            }
            for epoch, k in hits.items()
        }
        return write_log(self.folder / f"{name}.log.json", said)

    def cases(self, seed: int) -> Iterator[Planted]:
        """Cases of one invented run: three honest ones, and one of each defect that shows so."""
        rng = np.random.default_rng([seed, 7])
        plain = [r for r in self.benchmark.manifest.rows if r.method not in ("automix", "samix")]
        row = plain[seed % len(plain)]
        top1 = float(rng.uniform(40, 80))
        hits = self.run(rng, top1)
        median = float(np.median([hits[e] for e in range(96, 101)])) / IMAGES * 100
        last = hits[100]
        top = self.predictions(rng, 100 * last / IMAGES)
        epoch = int(rng.integers(30, 90))
        early = self.predictions(rng, 100 * hits[epoch] / IMAGES)
        log = self.log(f"run-{seed}", hits, (100, top), (epoch, early))
        stored = self.stored(top, rng, row)
        yield self.case(f"{HEALTHY}, median of five with its log", seed, row, stored, median, log)
        yield self.case(f"{HEALTHY}, median of five without a log", seed, row, stored, median)
        few = last + int(rng.integers(-4, 5))
        yield self.case(f"{HEALTHY}, some images off", seed, row, stored, 100 * few / IMAGES)
        if seed // 2 % 8:  # the others take longer, and there are many of each
            return
        for kind, renumber in RENUMBERED.items():
            label_of = renumber(rng, self.labels, CLASSES)
            if rng.random() < 0.5:
                other = self.stored(label_of[top].astype(np.int32), rng, row)
            else:
                other = self.stored(top, rng, row, labels=label_of[self.labels])
            yield self.case(kind, seed, row, other, median, log if rng.random() < 0.5 else None)
        yield from self._of_the_log(seed, rng, row, hits, top, stored, median, epoch, early)
        others = [r for r in plain if r.architecture == row.architecture and r.id != row.id]
        other = others[int(rng.integers(len(others)))]
        assert other.reported_top1
        theirs = self.run(rng, other.reported_top1)
        shift = round(other.reported_top1 / 100 * IMAGES) - int(
            np.median([theirs[e] for e in range(96, 101)])
        )
        theirs = {e: k + shift for e, k in theirs.items()}
        said = self.predictions(rng, 100 * theirs[100] / IMAGES)
        its = self.stored(said, rng, row)
        if abs(median - other.reported_top1) > 1:
            found = self.case("file of another row", seed, row, its, median, log)
            yield replace(found, logs={other.id: self.log(f"other-{seed}", theirs, (100, said))})
        missing = rng.choice(IMAGES, int(rng.integers(60, 2000)), replace=False)
        yield self.case("images missing", seed, row,
                        self.stored(top, rng, row, missing=missing), median, log)  # fmt: skip
        alike = rng.integers(0, 300, CLASSES)[self.labels]  # it knows 300 kinds of things
        wild = np.where(rng.random(IMAGES) < 0.5, alike, rng.integers(0, CLASSES, IMAGES))
        strange = top.copy()
        strange[:, 0] = wild
        yield self.case("head of another data set", seed, row, self.stored(strange, rng, row),
                        median, log)  # fmt: skip

    def _of_the_log(
        self,
        seed: int,
        rng: np.random.Generator,
        row: Row,
        hits: dict[int, int],
        top: np.ndarray,
        stored: Stored,
        median: float,
        epoch: int,
        early: np.ndarray,
    ) -> Iterator[Planted]:
        log = self.folder / f"run-{seed}.log.json"
        best = 100 * max(hits.values()) / IMAGES
        if round(best, 2) != round(median, 2):
            yield self.case("best epoch published", seed, row, stored, best, log)
        says = epoch if rng.random() < 0.5 else None
        before = self.stored(early, rng, row, epoch=says)
        if abs(median - 100 * hits[epoch] / IMAGES) > 1:
            yield self.case("another epoch", seed, row, before, median, log)
        cut = np.floor(median * 100) / 100
        if abs(cut - round(median, 2)) > 1e-9:
            exact = int(np.median([hits[e] for e in range(96, 101)]))
            same = self.predictions(rng, 100 * exact / IMAGES)
            flat = {e: k - (k - exact if e == 100 else 0) for e, k in hits.items()}
            if float(np.median([flat[e] for e in range(96, 101)])) == exact:
                log = self.log(f"cut-{seed}", flat, (100, same))
                yield self.case("cut off instead of rounded", seed, row,
                                self.stored(same, rng, row), cut, log)  # fmt: skip
        size = int(rng.choice([256, 512, 1024]))
        extra = -IMAGES % size
        again = int((top[:extra, 0] == self.labels[:extra]).sum())
        padded = {e: round(k + again * k / hits[100]) for e, k in hits.items()}
        log = self.log(f"padded-{seed}", padded, of=IMAGES + extra)
        number = float(np.median([padded[e] for e in range(96, 101)])) / (IMAGES + extra) * 100
        yield self.case("padded evaluation in the log", seed, row, stored, number, log)
