"""Whether `mixzoo eval check` finds every edit of evidence, and accuses none that is intact.

Edits 1,000 folders at random, in each way below: as they are, and with hashes made to fit. A folder
alone gives most of them away; its digest, published beside the number, must give away all, and so
must a signature (where the extra mixzoo[sign] is installed). Then writes 1,000 intact folders of
invented evaluations, as odd as they come, and checks them.

    python benchmarks/edited_evidence.py [--runs 1000]
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mixzoo.eval import evidence
from mixzoo.eval.logs import audit_files, claim_of
from mixzoo.eval.predictions import Predictions, Rows
from mixzoo.eval.protocol import pixels
from mixzoo.eval.report import report_of, row_of
from mixzoo.eval.store import Stored
from mixzoo.zoo import shelf
from mixzoo.zoo.catalog import Benchmark, Catalog, open_catalog
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.manifest import Row
from safetensors.numpy import load, save

OUT = Path(__file__).parent / "results/edited_evidence.json"
INDEX, REPORT, IMAGES = "evidence.json", "report.json", "images.json"
CREATED = "2026-01-01T00:00:00+00:00"
PICTURES = ("b", "ä", "日本", "with space", "a,comma", "x'y", "\N{PILE OF POO}")
Edit = Callable[[Path, random.Random, list[Path]], object]


def heads_of(folder: Path) -> list[Path]:
    """The files of predictions."""
    return sorted(folder.glob("*.safetensors"))


def of_json(name: str, change: Callable[[Any, random.Random], object]) -> Edit:
    """An edit of a file's plain data."""

    def edit(folder: Path, rng: random.Random, _: list[Path]) -> None:
        content = json.loads((folder / name).read_bytes())
        change(content, rng)
        (folder / name).write_text(json.dumps(content))

    return edit


def of_column(name: str, change: Callable[[Any, random.Random], object]) -> Edit:
    """An edit of one column of one head."""

    def edit(folder: Path, rng: random.Random, _: list[Path]) -> None:
        path = rng.choice(heads_of(folder))
        columns = {key: value.copy() for key, value in load(path.read_bytes()).items()}
        change(columns[name], rng)
        path.write_bytes(save(columns))

    return edit


def a_cell(column: Any, rng: random.Random) -> None:
    """Another value in one place."""
    flat = column.reshape(-1)
    at = rng.randrange(len(flat))
    if column.dtype == bool:
        flat[at] = not flat[at]
    elif column.dtype == np.uint8:
        flat[at] = 3 - flat[at]
    elif column.dtype == np.int32:
        flat[at] = (flat[at] + rng.randrange(1, 40)) % 40
    else:
        flat[at] = np.float32(flat[at] * 2 + 0.125)


def a_label(images: Any, rng: random.Random) -> None:
    """Another label of one image."""
    at = rng.randrange(len(images["labels"]))
    images["labels"][at] = (images["labels"][at] + rng.randrange(1, 40)) % 40


def two_labels(images: Any, rng: random.Random) -> None:
    """Exchanged, so that counts of classes stay."""
    labels = images["labels"]
    a, b = rng.sample(range(len(labels)), 2)
    while labels[a] == labels[b]:
        a, b = rng.sample(range(len(labels)), 2)
    labels[a], labels[b] = labels[b], labels[a]


def a_name(images: Any, rng: random.Random) -> None:
    """Another name of one image."""
    at = rng.randrange(len(images["files"]))
    images["files"][at] = images["files"][at].replace(".jpg", rng.choice(["_.jpg", ".png"]))


def an_image_less(images: Any, rng: random.Random) -> None:
    """One image less."""
    at = rng.randrange(len(images["files"]))
    for column in images.values():
        del column[at]


def a_head(report: Any, rng: random.Random) -> Any:
    """One of the report's heads."""
    return rng.choice(report["rows"][0]["heads"])


def one_more(counted: Any, _: random.Random) -> None:
    """A count one higher, and what is divided from it."""
    counted["correct"] += 1
    counted["top1"] = 100 * counted["correct"] / counted["total"]


def a_verdict(report: Any, rng: random.Random) -> None:
    """Another word."""
    row = report["rows"][0]
    words = ["reproduced", "not reproduced", "close, not exact", "consistent"]
    row["verdict"] = rng.choice([word for word in words if word != row["verdict"]])


def a_digit(name: str) -> Edit:
    """Another digit in the place of one."""

    def edit(folder: Path, rng: random.Random, _: list[Path]) -> None:
        text = (folder / name).read_text()
        at = rng.choice([match.start() for match in re.finditer(r"\d", text)])
        digit = rng.choice([d for d in "123456789" if d != text[at]])
        (folder / name).write_text(text[:at] + digit + text[at + 1 :])

    return edit


def a_line(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """Of the log: left out, written twice, or with another accuracy."""
    path = next(iter(folder.glob("log-*")))
    lines = path.read_text().splitlines()
    told = [i for i, line in enumerate(lines) if '"val"' in line]
    at, way = rng.choice(told), rng.randrange(3)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(at, lines[at])
    else:
        line = json.loads(lines[at])
        name = rng.choice([key for key in line if key.endswith("_top1")])
        line[name] = round(line[name] + 0.1 * rng.choice([-3, -2, -1, 1, 2, 3]), 1)
        lines[at] = json.dumps(line)
    path.write_text("\n".join(lines) + "\n")


def swapped(folder: Path, rng: random.Random, others: list[Path]) -> None:
    """One file in the place of another: of another row, or of another head."""
    names = [p.name for p in folder.iterdir() if p.name not in (INDEX, "model.sig")]
    name = rng.choice(names)
    source = rng.choice([other for other in others if other.name != folder.name])
    theirs = source / name
    if not theirs.exists():
        theirs = rng.choice(heads_of(source))
    if theirs.read_bytes() == (folder / name).read_bytes():  # their lists are the same
        name, theirs = heads_of(folder)[0].name, heads_of(source)[0]
    shutil.copy(theirs, folder / name)


def cut(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """A file's end, or the whole of it."""
    path = rng.choice(sorted(folder.iterdir()))
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def lost(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """A file is gone."""
    rng.choice(sorted(folder.iterdir())).unlink()


def a_byte(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """One bit, anywhere."""
    path = rng.choice(sorted(folder.iterdir()))
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def added(folder: Path, rng: random.Random, others: list[Path]) -> None:
    """A file that nothing names."""
    name = rng.choice(["mix_q2.safetensors", "report2.json", "log-7.log.json", "README.md", "x"])
    shutil.copy(rng.choice(others) / REPORT, folder / name)


def another_row(folder: Path, rng: random.Random, others: list[Path]) -> None:
    """All of another row's evidence under this row's name, wherever a name stands."""
    source = rng.choice([other for other in others if other.name != folder.name])
    for path in [*folder.iterdir()]:
        if path.name != "model.sig":  # only this row's own fits its name
            path.unlink()
    for path in source.iterdir():
        if path.name == "model.sig":
            continue
        content = path.read_bytes()
        if path.suffix == ".json" and path.name != IMAGES:
            content = content.replace(source.name.encode(), folder.name.encode())
        (folder / path.name).write_bytes(content)


def an_index(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """Another fact in the index."""
    index = json.loads((folder / INDEX).read_bytes())
    way = rng.randrange(5)
    if way == 0:
        index["key"]["weights_sha256"] = hashlib.sha256(rng.randbytes(4)).hexdigest()
    elif way == 1:
        index["about"]["created"] = "2020-01-01T00:00:00+00:00"
    elif way == 2:
        index["key"]["protocol"]["resize"] += 1
    elif way == 3:
        index["about"]["epoch"] = rng.randrange(1, 39)
    else:
        index["judged_as"] = None
    (folder / INDEX).write_text(json.dumps(index))


EDITS: dict[str, Edit] = {
    "a prediction": of_column("top", a_cell),
    "a margin": of_column("margin", a_cell),
    "a margin of the first five": of_column("margin5", a_cell),
    "a confidence": of_column("confidence", a_cell),
    "a state": of_column("state", a_cell),
    "a mark": of_column("correct", a_cell),
    "a label": of_json(IMAGES, a_label),
    "two labels exchanged": of_json(IMAGES, two_labels),
    "an image's name": of_json(IMAGES, a_name),
    "an image left out": of_json(IMAGES, an_image_less),
    "a count": of_json(REPORT, lambda report, rng: one_more(a_head(report, rng), rng)),
    "a verdict": of_json(REPORT, a_verdict),
    "a digit of the report": a_digit(REPORT),
    "a digit of the list": a_digit(IMAGES),
    "a line of the log": a_line,
    "a fact of the index": an_index,
    "a byte": a_byte,
    "files swapped": swapped,
    "a file cut short": cut,
    "a file lost": lost,
    "a file added": added,
    "another row under this name": another_row,
}


def fit_hashes(folder: Path) -> None:
    """What a forger does who knows of the hashes; those of the list's content, too."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        images = json.loads((folder / IMAGES).read_bytes())
        pairs = zip(images["files"], images["labels"], strict=True)
        lines = sorted(f"{file},{label}\n" for file, label in pairs)
        index["key"]["list_sha256"] = hashlib.sha256("".join(lines).encode()).hexdigest()
        for name in list(index["files"]):
            path = folder / name
            if path.is_file():
                index["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                del index["files"][name]
        (folder / INDEX).write_text(json.dumps(index))
    except (OSError, ValueError):
        pass  # nothing is left to make fit


def make_all_fit(folder: Path, rng: random.Random, _: list[Path]) -> None:
    """The whole forgery: other predictions, and the report that they give, by mixzoo itself."""
    for path in heads_of(folder):
        columns = {key: value.copy() for key, value in load(path.read_bytes()).items()}
        labels = np.array(json.loads((folder / IMAGES).read_bytes())["labels"])
        wrong = np.flatnonzero(~columns["correct"])
        at = wrong[rng.randrange(len(wrong))]
        columns["top"][at, 0] = labels[at]
        columns["correct"][at] = True
        path.write_bytes(save(columns))
    fit_hashes(folder)
    try:
        derived = evidence.check(folder, open_catalog()).report
    except MixzooError:
        return
    (folder / REPORT).write_text(derived.to_json())
    fit_hashes(folder)


def seen(folder: Path, catalog: Catalog, digest: str, key: Path | None) -> dict[str, int]:
    """Whether a check finds something wrong: by the folder alone, the published digest, a signature."""
    try:
        checked = evidence.check(folder, catalog)
        alone = bool(checked.problems)
        found = {"folder": alone, "digest": alone or checked.digest != digest}
    except MixzooError:
        found = {"folder": True, "digest": True}
    if key:
        from mixzoo.zoo import signing

        try:
            found["signature"] = signing.check(folder, key) is None
        except MixzooError:
            found["signature"] = True
    return {"edits": 1} | {name: int(was) for name, was in found.items()}


def signed(root: Path, keys: Path) -> Path | None:
    """Sign all evidence below `root` by a new key; the public one, or None without the extra."""
    try:
        import model_signing  # noqa: F401
    except ImportError:
        return None
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from mixzoo.eval.signed import sign
    from mixzoo.zoo.signing import Signer

    pem, key = serialization.Encoding.PEM, ec.generate_private_key(ec.SECP256R1())
    private, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (keys / "key.pem").write_bytes(key.private_bytes(pem, private, plain))
    (keys / "key.pub").write_bytes(key.public_key().public_bytes(pem, public))
    for _ in sign(root, Signer(keys / "key.pem"), open_catalog()):
        pass
    return keys / "key.pub"


def edited(
    root: Path, runs: int, seed: int = 0, key: Path | None = None
) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """Edit copies of the folders below `root` at random; how often each kind of edit was found.

    key: public, by which the folders are signed. Returns kind -> "edits", and how many were found
    by "folder" (alone), "digest" and "signature"; as edited, and with hashes that were made to fit.
    """
    rng, catalog = random.Random(seed), open_catalog()
    folders = sorted(path.parent for path in root.glob(f"*/{INDEX}"))
    plain, fitted = ({kind: Counter[str]() for kind in EDITS} for _ in range(2))
    fitted["everything, by mixzoo itself"] = Counter()
    kinds = [*EDITS] * (runs // len(EDITS) + 1)
    with tempfile.TemporaryDirectory() as space:
        for number, kind in enumerate([*kinds[:runs], *["everything"] * (runs // 50)]):
            source = rng.choice(folders)
            digest = hashlib.sha256((source / INDEX).read_bytes()).hexdigest()
            copy = Path(shutil.copytree(source, Path(space) / str(number) / source.name))
            if kind == "everything":
                make_all_fit(copy, rng, folders)
                rounds = [fitted["everything, by mixzoo itself"]]
            else:
                EDITS[kind](copy, rng, folders)
                rounds = [plain[kind], fitted[kind]]
            for found in rounds:
                found.update(seen(copy, catalog, digest, key))
                fit_hashes(copy)
            shutil.rmtree(copy.parent)
    return plain, fitted


def invented(root: Path, rng: np.random.Generator, benchmark: Benchmark) -> Path:
    """Evidence of an invented evaluation: of few images or many, judged or not, with oddities."""
    count, classes = int(rng.integers(1, 400)), int(rng.choice([2, 3, 7, 40, 1000]))
    row: Row | None = benchmark.manifest.rows[int(rng.integers(len(benchmark.manifest.rows)))]
    if rng.random() < 0.3:
        row = None
    labels = rng.integers(0, classes, count)
    files = tuple(
        f"{rng.choice(PICTURES)}/{label}/{i}.jpg" if rng.random() < 0.9 else f"{i}.png"
        for i, label in enumerate(labels)
    )
    several = bool(row and row.method in ("automix", "samix")) or (
        row is None and rng.random() < 0.3
    )
    names = ("one_k", "mix_k", "one_q", "mix_q") if several else ("head0",)
    heads = {}
    for name in names:
        known = heads[name] = Predictions.empty(labels)
        scores = rng.normal(size=(count, classes)).astype(np.float32)
        scores[np.arange(count), labels] += rng.uniform(0, 4)
        top = np.full((count, 5), -1, np.int32)
        order = np.argsort(-scores, axis=1)[:, :5]
        top[:, : order.shape[1]] = order
        margin5 = np.full(count, np.inf) if classes <= 5 else rng.gamma(1, 1, count)
        confidence = rng.choice([rng.uniform(1 / classes, 1, count), np.ones(count)])
        floats = (a.astype(np.float32) for a in (rng.gamma(1, 1, count), margin5, confidence))
        known.put(
            Rows(np.arange(count), top, *floats, rng.random(count) < 0.5, np.zeros(count, bool))
        )
        if rng.random() < 0.2:
            known.put_unreadable(np.flatnonzero(rng.random(count) < 0.1))
    images = LabelledImages(FolderStore(root), files, tuple(labels.tolist()), "invented")
    protocol = pixels(benchmark.manifest.protocol)
    if rng.random() < 0.2:
        protocol["resize"] += 10
    sha256 = hashlib.sha256(rng.bytes(8)).hexdigest()
    if row:  # as the lock says, where one does
        sha256 = shelf.file(benchmark, row).sha256 or sha256
    weights = {
        "file": "invented.pth",
        "sha256": sha256,
        "architecture": row.architecture if row else "resnet18",
        "method": "plain",
        "num_classes": classes,
        "heads": names,
        "remarks": ("its weights are stored as float16",) if rng.random() < 0.2 else (),
    }
    key = {
        "weights_sha256": sha256,
        "protocol": protocol,
        "list_sha256": images.sha256(),
        "precision": str(rng.choice(["fp32", "guarded", "fast"])),
    }
    about = {"weights": weights, "created": CREATED, "epoch": 40}
    stored = Stored(key, heads, files, np.zeros(count, np.int64), about)
    training = {int(n): int(rng.integers(1, 300)) for n in set(labels.tolist())}
    training = training if rng.random() < 0.5 else {}
    logs: tuple[Path, ...] = ()
    audit = None
    if row and rng.random() < 0.5:
        logs = (_log(root / "run.log.json", rng, names, count),)
        audit = audit_files(logs, claim_of(benchmark.manifest, row))
    used = benchmark if row else None
    name = row.id if row else f"/somewhere/weights-{rng.integers(9)}.pth"
    judged = row_of(stored, name, used, row, audit=audit, training_images=training)
    report = report_of([judged], stored, used, labels="invented", run={}, created=CREATED)
    return evidence.write(
        root, report, judged, stored,
        judged_as=row.id if row else None, logs=logs, training_images=training,
    )  # fmt: skip


def _log(path: Path, rng: np.random.Generator, heads: tuple[str, ...], count: int) -> Path:
    top1 = [
        {
            f"acc_{head}_top1" if len(heads) > 1 else f"{head}_top1": round(
                100 * int(rng.integers(0, count + 1)) / count, 5
            )
            for head in heads
        }
        for _ in range(int(rng.integers(1, 41)))
    ]
    path.write_text(
        "".join(
            json.dumps({"mode": "val", "epoch": e, "iter": 16, "lr": 0.1} | one) + "\n"
            for e, one in enumerate(top1, start=1)
        )
    )
    return path


def intact(runs: int, seed: int = 0) -> list[tuple[int, tuple[str, ...]]]:
    """Seeds and problems of the intact folders that a check accuses, of `runs`."""
    catalog, accused = open_catalog(), []
    benchmarks = list(catalog.benchmarks.values())
    for number in range(runs):
        rng = np.random.default_rng([seed, number])
        with tempfile.TemporaryDirectory() as folder:
            made = invented(Path(folder), rng, benchmarks[number % len(benchmarks)])
            try:
                problems = evidence.check(made, catalog).problems
            except MixzooError as error:
                problems = (str(error),)
        if problems:
            accused.append((number, problems))
    return accused


def evidence_of_mini(root: Path, data: Path | None = None) -> Path:
    """Evidence of mini's ten rows, evaluated now or before."""
    from mixzoo.eval.evaluate import Request, evaluate_refs
    from mixzoo.eval.world import join

    with join("cpu") as world:
        evaluate_refs(Request(benchmark="mini", data=data, evidence=root), world, quiet=True)
    return root


def main() -> None:
    """Edit, check, print, write."""
    from machine import machine

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--data", type=Path, help="mini's images, if they are somewhere already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as space:
        root = evidence_of_mini(Path(folder), options.data)
        key = signed(root, Path(space))
        plain, fitted = edited(root, options.runs, key=key)
        whole = [evidence.check(one, open_catalog()).problems for one in evidence.find((root,))]
    accused = intact(options.runs)
    shown = {}
    for name, table in (("as edited", plain), ("with hashes that fit", fitted)):
        total: Counter[str] = sum(table.values(), Counter())
        shown[name] = {"all": dict(total)} | {kind: dict(one) for kind, one in table.items()}
        print(f"{name}: {dict(total)}")
        for kind, one in table.items():
            if one["folder"] < one["edits"]:
                print(f"  {kind}: {dict(one)}")
    print(f"intact: {options.runs}, accused: {len(accused)} {accused[:3]}; mini's own: {whole}")
    content = {
        "edited": shown,
        "intact": {"checked": options.runs + len(whole), "accused": len(accused) + sum(map(bool, whole))},
        "machine": machine("mixzoo", "numpy", "safetensors"),
    }  # fmt: skip
    OUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
