"""Whoever is asked, the command, the demo or a published repository, gives one verdict."""

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mixzoo.app.demo.recomputed import find
from mixzoo.eval.evaluate import Request, evaluate_refs
from mixzoo.eval.world import join
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.files import sha256_of
from mixzoo.zoo.publish import build
from mixzoo.zoo.report import Report

from ..mini_rows import ARCHITECTURE, ASSETS, EPOCHS, PROTOCOL, ROWS

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
METHODS = ("vanilla", "saliencymix", "samix")  # with one head, and with four
IMAGES = 24
CHANGES: dict[str, dict[str, Any]] = {
    "as published": {},
    "in fp32": {"precision": "fp32"},
    "in fast arithmetic": {"precision": "fast"},
    "other pixels": {"resize": PROTOCOL.resize + 1, "precision": "fp32"},
    "another list": {"precision": "fp32"},
}
OWN = ("as published", "in fp32")
MANIFEST = f"""
format = 1
name = "{{name}}"
title = "mini's weights on few images"
[metric]
statistic = "median_of_last_epochs"
epochs = 5
decimals = 1
[protocol]
resize = {PROTOCOL.resize}
crop = {PROTOCOL.crop}
[dataset]
name = "few"
num_classes = 40
[dataset.val]
images = {{images}}
annotations = ["val.txt"]
list_sha256 = "{{list_sha256}}"
[[sources]]
kind = "file"
path = "files"
"""
ROW = f"""
[[rows]]
id = "{ARCHITECTURE}.{{method}}_{{name}}"
architecture = "{ARCHITECTURE}"
method = "{{method}}"
reported_top1 = {{top1}}
"""


@dataclass(frozen=True)
class Answers:
    """What the three say of each row: row -> word and whether it is comparable."""

    command: dict[str, tuple[str, bool]]
    demo: dict[str, tuple[str, bool]]
    published: dict[str, tuple[str, bool]]


class Table:
    """Two benchmarks of some of mini's rows on few images: one whose logs are here, one without."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self.files = folder, folder / "files"
        self.files.mkdir()
        self.data = shutil.copytree(images, folder / "data")
        self.list_sha256 = ""
        self.counts: dict[str, dict[str, int]] = {}
        told = json.loads((self.data / "val2018.json").read_text())
        labels = {a["image_id"]: a["category_id"] for a in told["annotations"]}
        chosen = told["images"][:: len(told["images"]) // IMAGES][:IMAGES]
        lines = [f"{one['file_name']},{labels[one['id']]}\n" for one in chosen]
        (self.data / "val.txt").write_text("".join(lines))

    def write(self, name: str, *, logs: bool) -> Path:
        """The benchmark's manifest and lock, and its logs: the median of each is its number."""
        text = MANIFEST.format(name=name, images=IMAGES, list_sha256=self.list_sha256)
        assets = []
        for method in METHODS:
            heads = self.counts[method]
            first = next(iter(heads))
            # as many images less that no other head has the number by chance
            off = next(n for n in range(1, IMAGES) if heads[first] - n not in heads.values())
            epochs = {head: [k - off] * 3 + [k + 1, k] for head, k in heads.items()}
            top1 = 100 * statistics.median(epochs[first]) / IMAGES
            text += ROW.format(method=method, name=name, top1=top1)
            row = f"{ARCHITECTURE}.{method}_{name}"
            assets.append(self._asset(row, "weights", f"{ROWS[method]}.pth"))
            if logs:
                path = self.files / f"{row}.log.json"
                path.write_text("".join(_lines(epochs)))
                assets.append(self._asset(row, "log", path.name))
        lock = {"format": 1, "benchmark": name, "assets": assets}
        (self.folder / f"{name}.lock.json").write_text(json.dumps(lock))
        (self.folder / f"{name}.toml").write_text(text)
        return self.folder / f"{name}.toml"

    def _asset(self, row: str, kind: str, name: str) -> dict[str, Any]:
        path = self.files / name
        if kind == "weights" and not path.exists():
            path.hardlink_to(ASSETS / name)
        return {"row": row, "kind": kind, "name": name, "size": path.stat().st_size} | {
            "sha256": sha256_of(path)
        }


def _lines(epochs: dict[str, list[int]]) -> Iterator[str]:
    """Validation lines of the last five epochs, as the reference writes them, after earlier ones."""
    names = {head: head if head == "head0" else f"acc_{head}" for head in epochs}
    for epoch in range(1, EPOCHS + 1):
        values = {
            f"{names[head]}_top1": round(100 * k[max(0, epoch - EPOCHS + 4)] / IMAGES, 5)
            for head, k in epochs.items()
        }
        facts = {"mode": "val", "epoch": epoch, "iter": 1, "lr": 0.001} | values
        yield json.dumps(facts) + "\n"


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, mini_images: Path
) -> dict[tuple[str, str], Answers]:
    """(change, benchmark) -> what all three say."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("one_verdict")
        table = Table(folder, mini_images)
        patch.setenv("MIXZOO_LOCKS", str(folder / "locks"))
        first = _count(patch, table)
        table.list_sha256 = first.data.list_sha256
        table.counts = {
            row.id.split(".")[1].removesuffix("_mini"): {h.head: h.correct for h in row.heads}
            for row in first.rows
        }
        manifests = {
            name: table.write(name, logs=logs)
            for name, logs in (("with", True), ("without", False))
        }
        found = {}
        for change, options in CHANGES.items():
            patch.setenv("MIXZOO_CACHE", str(folder / change.replace(" ", "_")))
            for name, manifest in manifests.items():
                found[change, name] = _ask(table, name, manifest, change, options)
        return found


def _count(patch: pytest.MonkeyPatch, table: Table) -> Report:
    patch.setenv("MIXZOO_CACHE", str(table.folder / "first"))
    rows = [ROWS[method] for method in METHODS]
    with join("cpu") as world:
        request = Request(
            refs=rows,
            data=table.data,
            list_file=table.data / "val.txt",
            workers=0,
            batch_size=IMAGES,
        )
        return evaluate_refs(request, world, quiet=True)


def _ask(table: Table, name: str, manifest: Path, change: str, options: dict[str, Any]) -> Answers:
    listed = table.data / "val.txt"
    if change == "another list":
        listed = table.data / "other.txt"
        first, *lines = (table.data / "val.txt").read_text().splitlines()
        file, _, label = first.rpartition(",")
        other = file.replace(".jpg", "x.jpg")
        listed.write_text("\n".join([f"{other},{label}", *lines]) + "\n")
        (table.data / other).write_bytes((table.data / file).read_bytes())
    with join("cpu") as world:
        request = Request(
            benchmark=name,
            data=table.data,
            list_file=listed,
            manifests=[manifest],
            workers=0,
            batch_size=IMAGES,
            **options,
        )
        report = evaluate_refs(request, world, quiet=True)
    out = table.folder / f"{change}-{name}.json".replace(" ", "_")
    out.write_text(report.to_json())
    benchmark = open_catalog([manifest]).benchmark(name)
    kept, problems = find(benchmark, None)
    assert problems == []
    return Answers(
        command={row.id: (row.verdict, row.not_comparable is None) for row in report.rows},
        demo={i: (f.row.verdict, f.row.not_comparable is None) for i, f in kept.items()},
        published=_published(table, manifest, out, report),
    )


def _published(
    table: Table, manifest: Path, report_file: Path, report: Report
) -> dict[str, tuple[str, bool]]:
    """What the card of a repository with all rows says, and whether a result is entered."""
    folder = table.folder / f"hub-{report_file.stem}"
    rows = [row.id for row in report.rows]
    build.build(
        build.Publication(
            refs=rows, repository="a/b", folder=folder, report=report_file, manifests=[manifest]
        )
    )
    card = (folder / "README.md").read_text()
    entered = open_catalog([folder / "mixzoo.toml"]).benchmark("a_b").manifest.rows
    return {
        row.id: (
            next(w for w in WORDS if any(_tells(line, own.id, w) for line in card.splitlines())),
            own.reported_top1 is not None,
        )
        for row, own in zip(report.rows, entered, strict=True)
    }


WORDS = ("not comparable", "reproduced", "consistent with a median", "close", "not reproduced")


def _tells(line: str, row: str, word: str) -> bool:
    cells = [cell.strip(" `") for cell in line.split("|")]
    return row in cells and word in cells


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("logs", ["with", "without"])
@pytest.mark.parametrize("change", CHANGES)
def test_command_demo_and_publishing_agree(
    answers: dict[tuple[str, str], Answers], change: str, logs: str, method: str
) -> None:
    """On rows of mini, under every change, with its log and without: one word."""
    said, row = answers[change, logs], f"{ARCHITECTURE}.{method}_{logs}"

    assert said.command[row] == said.demo[row] == said.published[row]
    if change not in OWN:
        assert said.command[row] == ("not comparable", False)
    else:
        # One epoch lies an image, four points here, above its median: only the log can tell.
        assert said.command[row] == ("reproduced" if logs == "with" else "not reproduced", True)
