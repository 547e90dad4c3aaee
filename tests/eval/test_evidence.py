"""Evidence gives the verdict again from predictions alone, and no edit of it goes unseen."""

import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mixzoo.eval import evidence
from mixzoo.eval.compare import LEVEL
from mixzoo.eval.evaluate import Request, evaluate_refs
from mixzoo.eval.statistics import mcnemar
from mixzoo.eval.world import join
from mixzoo.zoo.catalog import Catalog, open_catalog
from mixzoo.zoo.errors import IntegrityError, MixzooError
from safetensors.numpy import load, save

from ..mini_rows import PROTOCOL, SAMIX, VANILLA, hits, published

ROWS = (VANILLA, SAMIX)
OTHER = round(published(SAMIX) - 0.1, 1)
Edit = Callable[[Path, random.Random], object]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, mini_images: Path) -> Path:
    """Evidence of two rows of mini, as an evaluation writes it."""
    root = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch, join("cpu") as world:
        patch.setenv("MIXZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        evaluate_refs(Request(refs=ROWS, data=mini_images, evidence=root), world, quiet=True)
    return root


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return open_catalog()


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """A copy of SAMix's evidence that may be changed."""
    return shutil.copytree(root / ROWS[1], tmp_path / "copy")


def test_intact_evidence_gives_the_verdict_without_torch(root: Path) -> None:
    """Both rows through the command line, which imports no torch on the way."""
    code = (
        "import sys; from mixzoo.app.cli import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules, 'torch'"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "eval", "check", root, "--pairs"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(re.findall("reproduced +intact", done.stdout)) == 2
    samix, vanilla = (
        load((root / row / f"{head}.safetensors").read_bytes())["correct"].astype(bool)
        for row, head in ((SAMIX, "one_k"), (VANILLA, "head0"))
    )
    alone = int((samix & ~vanilla).sum()), int((vanilla & ~samix).sum())
    word = "better" if alone[0] > alone[1] else "worse"
    found = f"is {word} than" if mcnemar(*alone) < LEVEL else "and"
    assert f"{SAMIX} {found} {VANILLA} " in done.stdout


def test_a_single_row_is_checked_before_pairs_are_asked_for(
    root: Path, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """--pairs of one row: its verdict stands there, and what is missing is the error."""
    code, out, error = mixzoo("eval", "check", root / ROWS[1], "--pairs")

    assert (code, "intact" in out) == (2, True)
    assert "Expected at least two rows to compare, got 1" in error
    assert mixzoo("eval", "check", root / ROWS[1], "--pairs", "--json")[1].startswith("{")


def test_the_strangers_script_comes_to_the_same_numbers(root: Path, tmp_path: Path) -> None:
    """The one in docs/evidence.md, with numpy and safetensors alone."""
    page = Path(__file__).parents[2] / "docs/evidence.md"
    *_, script = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "check.py").write_text(script)

    done = subprocess.run(
        [sys.executable, tmp_path / "check.py", root / ROWS[1]],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert f"one_k: {hits(SAMIX)} of 1000 right" in done.stdout
    assert len(script.splitlines()) <= 50


def test_a_row_of_the_evidence_may_be_the_one_to_compare_with(
    root: Path, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """`--against` names it by its id: it isn't added a second time."""
    code, out, error = mixzoo("eval", "compare", root, "--against", ROWS[0], "--json")

    assert code == 0, error
    (pair,) = json.loads(out)["pairs"]
    assert (pair["a"], pair["b"]) == (ROWS[1], ROWS[0])


def test_evidence_is_tallied_after_it_was_checked(
    root: Path, folder: Path, tmp_path: Path, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """By hand, as JSON and as CSV; evidence that says anything else doesn't count."""
    code, said, _ = mixzoo("eval", "tally", root)
    _, facts, _ = mixzoo("eval", "tally", root, folder / "report.json", "--json")
    _, lines, _ = mixzoo("eval", "tally", root, "--csv")
    report = folder / "report.json"
    report.write_text(report.read_text().replace('"verdict": "reproduced"', '"verdict": "differs"'))
    edited, _, error = mixzoo("eval", "tally", folder)

    assert (code, edited) == (0, 5)
    assert "were recomputed: 2 of the tables' 10. Off: 0 by more than 0.05 points" in said
    assert json.loads(facts)["off_by_more"] == {"0.05": 0, "1": 0, "5": 0}
    assert lines.splitlines()[1].startswith(
        f"mini,{SAMIX},one_k,{hits(SAMIX)},1000,{published(SAMIX)},{published(SAMIX)},0.0"
    )
    assert "isn't what it says" in error


def test_published_evidence_is_checked_where_it_arrives(
    root: Path, folder: Path, tmp_path: Path, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """Built from sound evidence alone, and sound in the repository; its card says the digest."""
    repo = tmp_path / "repo"
    how = ("zoo", "publish", ROWS[1], "--repo", "jane/x", "--folder", repo, "--dry-run")

    code, _, _ = mixzoo(*how, "--evidence", root)
    _, facts, _ = mixzoo("eval", "check", repo / "evidence", "--json")
    report = folder / "report.json"
    report.write_text(report.read_text().replace('"verdict": "reproduced"', '"verdict": "differs"'))
    refused, _, error = mixzoo(*how, "--force", "--evidence", folder)

    [one] = json.loads(facts)["evidence"]
    assert (code, one["row"], one["verdict"]) == (0, ROWS[1], "reproduced")
    assert one["digest"] in (repo / "README.md").read_text()
    assert (refused, "isn't what it says" in error) == (5, True)


def test_an_edited_index_is_blamed_and_no_verdict_of_it_believed(
    folder: Path, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """A digit of evidence.json itself; of another file there is no digest either."""
    index = folder / evidence.INDEX
    index.write_text(re.sub(r'"ties": *\d+', '"ties": 777', index.read_text()))

    code, said, error = mixzoo("eval", "check", folder)
    _, facts, _ = mixzoo("eval", "check", folder, "--json")
    (folder / "extra.txt").write_text("")
    _, more, _ = mixzoo("eval", "check", folder, "--json")

    assert code == 5
    assert re.search(r"ties: says \d+, evidence.json says 777", said + error)
    assert "reproduced" not in said.split("not intact: ")[0]
    [one], [other] = (json.loads(text)["evidence"] for text in (facts, more))
    assert (one["verdict"], other["verdict"]) == ("not intact", "not intact")
    assert one["digest"] == hashlib.sha256(index.read_bytes()).hexdigest()
    assert other["digest"] == ""


def of_json(name: str, change: Callable[[Any, random.Random], object]) -> Edit:
    def edit(folder: Path, rng: random.Random) -> None:
        content = json.loads((folder / name).read_text())
        change(content, rng)
        (folder / name).write_text(json.dumps(content))

    return edit


def of_column(name: str, change: Callable[[Any, random.Random], object]) -> Edit:
    def edit(folder: Path, rng: random.Random) -> None:
        path = rng.choice(sorted(folder.glob("*.safetensors")))
        columns = {key: value.copy() for key, value in load(path.read_bytes()).items()}
        change(columns[name], rng)
        path.write_bytes(save(columns))

    return edit


def a_head(report: Any, rng: random.Random) -> Any:
    return rng.choice(report["rows"][0]["heads"])


def one_more(head: Any, _: random.Random) -> None:
    """A count and what is divided from it, so that the report agrees with itself."""
    head["correct"] += 1
    head["top1"] = 100 * head["correct"] / head["total"]


def fits_nothing(top: Any, rng: random.Random) -> None:
    top[rng.randrange(len(top))] = [37, 38, 39, 36, 35] if rng.random() < 0.5 else -1


def moved(labels: list[int], rng: random.Random) -> None:
    at = rng.randrange(len(labels))
    labels[at] = (labels[at] + rng.randrange(1, 40)) % 40


def falsified(report: Any, rng: random.Random) -> None:
    name = rng.choice(["verdict", "reason", "matches_log", "head"])
    row = report["rows"][0]
    row[name] = "mix_k" if name == "head" else f"{row.get(name)}, really"


EDITS: dict[str, Edit] = {
    "a count": of_json("report.json", lambda r, rng: one_more(a_head(r, rng), rng)),
    "the verdict": of_json("report.json", falsified),
    "the published number": of_json("report.json", lambda r, _: r["rows"][0].update(reported_top1=OTHER)),
    "an interval": of_json("report.json", lambda r, rng: a_head(r, rng).update(interval95=[66, 67])),
    "a group": of_json(
        "report.json",
        lambda r, rng: one_more(rng.choice(a_head(r, rng)["breakdown"]["supercategory"]), rng),
    ),
    "pixels": of_json("report.json", lambda r, _: r["protocol"].update(resize=PROTOCOL.resize + 1)),
    "the weights": of_json("report.json", lambda r, _: r["rows"][0]["weights"].update(sha256="0" * 64)),
    "a label": of_json("images.json", lambda i, rng: moved(i["labels"], rng)),
    "an image": of_json("images.json", lambda i, rng: i["files"].pop(rng.randrange(1000))),
    "a mark": of_column("correct", lambda c, rng: np.logical_not.at(c, rng.randrange(len(c)))),
    **{
        f"state {n}": of_column("state", lambda column, _, n=n: column.fill(n)) for n in (0, 3, 4)
    },
    "the log's hash": of_json("evidence.json", lambda e, _: e["files"].pop("log-0.log.json", 0)),
    "the log": lambda folder, _: (folder / "log-0.log.json").write_bytes(
        (folder / "log-0.log.json").read_bytes().replace(str(published(SAMIX)).encode(), str(OTHER).encode())
    ),
    "other weights": of_json("evidence.json", lambda e, _: e["key"].update(weights_sha256="1" * 64)),
}  # fmt: skip


def problems(folder: Path, catalog: Catalog) -> list[str]:
    try:
        return list(evidence.check(folder, catalog).problems)
    except MixzooError as error:
        return [str(error)]


def with_fitting_hashes(folder: Path) -> None:
    index = json.loads((folder / "evidence.json").read_text())
    for name in index["files"]:
        index["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "evidence.json").write_text(json.dumps(index))


@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("fitted", [False, True])
def test_an_edit_is_found(folder: Path, catalog: Catalog, what: str, fitted: bool) -> None:
    """Also where the hashes were made to fit: the numbers don't follow any more."""
    for seed in range(2):
        EDITS[what](folder, random.Random(seed))
        if fitted:
            with_fitting_hashes(folder)

        assert problems(folder, catalog), f"seed {seed}"


@pytest.mark.parametrize("name", ["top", "margin", "margin5", "confidence", "state"])
def test_an_edited_prediction_is_found(folder: Path, catalog: Catalog, name: str) -> None:
    """One cell of one image, whether it changes a count or not."""

    def change(column: Any, rng: random.Random) -> None:
        cell = column.reshape(-1)
        cell[rng.randrange(len(cell))] += 1

    for seed in range(2):
        of_column(name, change)(folder, random.Random(seed))

        assert problems(folder, catalog)


def test_a_prediction_with_fitting_hashes_is_found_by_the_counts(
    folder: Path, catalog: Catalog
) -> None:
    """Another first class for images that were right."""
    for path in folder.glob("*.safetensors"):
        columns = load(path.read_bytes())
        top = columns["top"].copy()
        top[np.flatnonzero(columns["correct"])[0], 0] = -1
        path.write_bytes(save(columns | {"top": top}))
    with_fitting_hashes(folder)

    found = problems(folder, catalog)

    assert any("correct: says" in problem for problem in found)
    assert any("marked otherwise" in problem for problem in found)


def test_every_flipped_byte_is_found(folder: Path, catalog: Catalog) -> None:
    """In any file, at any place; what can't be read is one line, too. The index has its digest."""
    rng = random.Random(0)
    digest = evidence.check(folder, catalog).digest
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(4):
            damaged = bytearray(whole)
            damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(4)
            path.write_bytes(damaged)
            try:
                checked = evidence.check(folder, catalog)
            except MixzooError:
                continue
            assert checked.problems or checked.digest != digest, path.name
        path.write_bytes(whole)

    assert problems(folder, catalog) == []


@pytest.mark.parametrize("name", ["../report.json", "/etc/passwd", "a/../b"])
def test_names_stay_in_the_folder(folder: Path, catalog: Catalog, name: str) -> None:
    """Evidence comes from strangers."""
    of_json("evidence.json", lambda e, _: e["files"].update({name: "0" * 64}))(
        folder, random.Random()
    )

    [problem] = problems(folder, catalog)

    assert "names of files in this folder" in problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
@pytest.mark.parametrize("name", ["report.json", "one_k.safetensors", "log-0.log.json"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    folder: Path, catalog: Catalog, name: str
) -> None:
    """An archive of evidence can hold one."""
    (folder / name).unlink()
    os.mkfifo(folder / name)

    [problem] = problems(folder, catalog)

    assert f"{name}: expected a file" in problem


def test_kept_predictions_give_evidence_later(
    mixzoo: Callable[..., tuple[int, str, str]], mini_images: Path, tmp_path: Path
) -> None:
    """`mixzoo evidence ROW`, without images; of what was never evaluated it says how."""
    before, _, told = mixzoo("evidence", ROWS[0], "--out", tmp_path / "e")
    mixzoo("eval", ROWS[0], "--data", mini_images)

    code, out, err = mixzoo("evidence", ROWS[0], "--out", tmp_path / "e")
    checked, table, _ = mixzoo("eval", "check", tmp_path / "e")

    assert before == 2
    assert "mixzoo eval" in told
    assert (code, checked) == (0, 0), err
    assert "intact" in table
    assert str(tmp_path / "e") in out


# Edits that the numbers don't depend on, which with fitting hashes only the digest gives away.
BY_DIGEST_ALONE = {
    "a prediction",
    "a margin",
    "a margin of the first five",
    "a confidence",
    "a state",
    "a digit of the report",
    "a digit of the list",
    "a line of the log",
    "a fact of the index",
    "a byte",
    "everything, by mixzoo itself",
}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark, which is part of no package."""
    path = Path(__file__).parents[2] / "benchmarks/edited_evidence.py"
    spec = importlib.util.spec_from_file_location("edited_evidence", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_edits_are_found(bench: ModuleType, root: Path) -> None:
    """`benchmarks/edited_evidence.py`, less often: by the folder itself; with fitting hashes by the
    numbers, or by the digest."""
    plain, fitted = bench.edited(root, len(bench.EDITS), seed=1)

    for kind, found in plain.items():
        assert found["digest"] == found["edits"], kind
        assert found["folder"] == found["edits"] or kind in ("a fact of the index", "a byte"), kind
    for kind, found in fitted.items():
        assert found["digest"] == found["edits"], kind
        assert found["folder"] == found["edits"] or kind in BY_DIGEST_ALONE, kind


def test_intact_evidence_is_never_accused(bench: ModuleType) -> None:
    """Few images or many, judged or not, heads, logs, odd names, images that can't be read."""
    assert bench.intact(40, seed=1) == []


def test_a_file_that_nothing_names_is_found(folder: Path, catalog: Catalog) -> None:
    """A second report beside the first, say; a signature and what systems hide are no part of it."""
    for name in ("model.sig", "verdict.sigstore.json", ".DS_Store"):
        (folder / name).write_text("{}")
    before = problems(folder, catalog)
    (folder / "report-2.json").write_text("{}")

    [problem] = problems(folder, catalog)

    assert before == []
    assert "report-2.json: is no part of the evidence" in problem


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_what_an_older_version_did_not_write_is_no_edit(
    folder: Path, catalog: Catalog, version: str | None
) -> None:
    """A field that reports gained later; all that the report has must agree still."""

    def older(report: Any, _: random.Random) -> None:
        del report["rows"][0]["heads"][0]["calibration"]
        report["rules"] = dict.fromkeys(report["rules"], "in other words")
        report["rows"][0]["reason"] = "As another version said it."
        report["versions"]["mixzoo"] = version or report["versions"]["mixzoo"]

    of_json("report.json", older)(folder, random.Random())
    with_fitting_hashes(folder)
    before = problems(folder, catalog)
    EDITS["a count"](folder, random.Random())
    with_fitting_hashes(folder)

    assert bool(before) == (version is None)
    assert any("correct: says" in problem for problem in problems(folder, catalog))


def test_a_report_that_contradicts_itself_is_no_evidence(folder: Path, catalog: Catalog) -> None:
    """Its reader refuses the percentage; that is evidence which isn't sound, no manifest's fault."""

    def half(report: Any, _: random.Random) -> None:
        report["rows"][0]["heads"][0]["top1"] /= 2

    of_json("report.json", half)(folder, random.Random())

    with pytest.raises(IntegrityError, match="isn't evidence as it was written"):
        evidence.check(folder, catalog)
