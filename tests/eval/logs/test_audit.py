"""Whole audits: of the embedded rows, of honest runs and of forged ones, in data and in words."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from mixzoo.eval.logs import (
    AUTOMIX,
    LAST,
    MEDIAN,
    WINDOW,
    Claim,
    audit_files,
    claim_of,
    explain,
)
from mixzoo.eval.logs.sources import Audits
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import DataError

from ...mini_rows import MIXUP, ROWS, SAMIX, VANILLA, log, published, top1_by_epoch
from .conftest import run_lines

Write = Callable[..., Path]


def claim_on(row: str) -> Claim:
    """What the package's manifests say about a row."""
    benchmark, found = open_catalog().row(row)
    return claim_of(benchmark.manifest, found)


def test_claim_of_the_published_table() -> None:
    """The manifest's facts: a median of five epochs, and both splits."""
    assert claim_on("resnet50.automix_inat2018") == Claim(
        row="resnet50.automix_inat2018",
        top1=64.73,
        decimals=2,
        rule=MEDIAN,
        last=5,
        images=24426,
        train_images=437513,
    )


@pytest.mark.parametrize(
    ("row", "head"),
    [(VANILLA, "head0"), (MIXUP, "head0"), (ROWS["automix"], "one_k"), (SAMIX, "one_k")],
)
def test_embedded_rows_are_reproduced(row: str, head: str) -> None:
    """Their table is the last line of their logs, of the better head; it is whole numbers."""
    audit = audit_files([log(row)], claim_on(row))

    assert audit.verdict == "reproduced"
    assert audit.table_value == audit.summary(head, LAST)
    assert audit.table_value is not None
    assert audit.table_value.value == published(row) == top1_by_epoch(row, head)[-1]
    assert audit.arithmetic.word == "whole numbers of images"
    assert audit.remarks == ()


def test_published_median_is_found(write_log: Write) -> None:
    """An honest log whose last five epochs have the published median."""
    values = [line["head0_top1"] for line in run_lines() if line.get("mode") == "val"]
    claim = replace(claim_on("resnet50.cutmix_inat2018"), top1=round(median(values[-5:]), 2))

    audit = audit_files([write_log()], claim)

    assert audit.verdict == "reproduced"
    assert MEDIAN in {summary.rule for summary in audit.reproduced_by}
    assert audit.remarks == ()


@pytest.mark.parametrize("place", range(5))
def test_any_number_that_the_table_s_can_be(write_log: Write, place: int) -> None:
    """The table doesn't say which head it reports; the nearest candidate speaks for the row."""
    path = write_log(heads=("one_k", "mix_k", "mix_q", "one_q"), seed=7)
    claim = claim_on("resnet50.automix_inat2018")
    candidates = audit_files([path], claim).table_values

    audit = audit_files([path], replace(claim, top1=round(candidates[place].value, 2)))

    assert audit.table_value is not None
    assert audit.table_value.value == candidates[place].value
    assert audit.verdict == "reproduced"


def test_without_a_number_inference_speaks(write_log: Write) -> None:
    """The momentum pair, whichever stands first in the log; nothing, if epochs are missing."""
    heads = ("one_q", "mix_q", "one_k", "mix_k")
    whole = audit_files([write_log(heads=heads)], Claim())
    cut = audit_files([write_log(heads=heads, epochs=range(1, 98))], Claim())

    assert whole.table_value == whole.table_values[0]
    assert whole.table_values[0].head.endswith("k")
    assert cut.table_value is None


def test_heads_of_a_pair_share_its_number(golden: Path) -> None:
    """The reference's AutoMix rule gives one number for one_k and mix_k."""
    path = next((golden / "runs" / "tiny_automix_ep8").glob("*.log.json"))

    audit = audit_files([path], Claim(images=300))

    found = {head: audit.summary(head, AUTOMIX) for head in audit.heads}
    assert found["one_k"] == found["mix_k"]
    assert {head: f"{one.value:.2f}" for head, one in found.items() if one} == {
        "mix_k": "11.50",
        "one_k": "11.50",
        "mix_q": "17.33",
        "one_q": "17.33",
    }


def test_window_of_the_reference_reproduces(write_log: Write) -> None:
    """A number that only the six-epoch window gives is said to come from there."""
    audit = audit_files([write_log()], Claim(images=24426))
    window = audit.summary("head0", WINDOW)
    assert window is not None
    claim = Claim(top1=round(window.value, 2), images=24426)

    audit = audit_files([write_log()], claim)

    assert audit.verdict == "by another rule"
    assert WINDOW in {summary.rule for summary in audit.reproduced_by}


def test_joined_pieces_are_one_run(write_log: Write) -> None:
    """A run in two files, resumed from epoch 61, is audited as one."""
    first = write_log("20220101_000000.log.json", epochs=range(1, 64))
    second = write_log("20220102_000000.log.json", epochs=range(61, 101), seed=1)

    audit = audit_files([second, first], claim_on("resnet50.cutmix_inat2018"))

    assert audit.log.pieces == 2
    assert audit.remarks == (
        "validated more than once: epochs 61 to 63; the later values are used",
    )
    assert audit.arithmetic.tested == 2 * (100 + 3)


WORDS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "honest": (
        {},
        "not reproduced",
        [
            "epochs 1 to 100 of 100 (from the learning rates)",
            "nothing rounds to 64.73, nearest is the ",
            "all 200 accuracies are whole numbers of 24,426 images, to 5 decimals",
        ],
    ),
    "padded": (
        {"images": 24428},
        "not comparable",
        ["24,428 images (24,426 padded to a multiple of 4"],
    ),
    "edited": (
        {"change": {(98, "head0_top1"): 64.73}},
        "suspicious arithmetic",
        [
            "199 of 200 accuracies are whole numbers of 24,426 images",
            "64.73 (head0_top1, epoch 98, line 295)",
            "with a chance of 0.5",
        ],
    ),
    "contradiction": (
        {"change": {(7, "head0_top5"): 0.0}},
        "suspicious arithmetic",
        ["top-5 below top-1: 0.0 (head0_top5, epoch 7"],
    ),
}


@pytest.mark.parametrize(("run", "verdict", "said"), WORDS.values(), ids=WORDS)
def test_words(write_log: Write, run: dict[str, Any], verdict: str, said: list[str]) -> None:
    """A sentence each on reading, number and arithmetic, with the values that are wrong."""
    audit = audit_files([write_log(**run)], claim_on("resnet50.automix_inat2018"))

    text = "\n".join(explain(audit))

    assert audit.verdict == verdict
    assert [part for part in said if part not in text] == []


def test_words_of_an_impossible_log(golden: Path) -> None:
    """Invented values, and the honest way to get such ones."""
    path = golden / "runs" / "synthetic_logs" / "cls_20220101_000000.log.json"

    arithmetic = list(explain(audit_files([path], claim_on("resnet50.cutmix_inat2018"))))[2]

    assert "not whole numbers of 24,426 images, nor of any up to 1,000,000" in arithmetic
    assert "averaged over batches, edited or invented" in arithmetic


def test_chance_of_a_hit_needs_a_number(write_log: Write) -> None:
    """All rules' numbers of the only head against one that has nothing to do with them."""
    claims = (Claim(), Claim(top1=50.0))

    nothing, little = (audit_files([write_log()], claim).hit_by_chance for claim in claims)

    assert nothing is None
    assert little is not None
    assert 2 / 1500 < little < 4 / 1400  # of some 1,420 pairs of digits


def test_data_is_plain_json(write_log: Write, golden: Path) -> None:
    """Everything that is said in words is there for programs, too."""
    honest = audit_files([write_log()], claim_on("resnet50.automix_inat2018"))
    invented = audit_files(
        [golden / "runs" / "synthetic_logs" / "automix_20220101_000000.log.json"],
        claim_on("resnet50.automix_inat2018"),
    )

    found = Audits((honest, invented), errors=(DataError("e"),), missing=("a.b_c",))

    content = json.loads(json.dumps(found.to_dict()))

    assert content["format"] == 2
    assert (content["missing"], content["errors"]) == (["a.b_c"], ["e"])
    assert [log["verdict"] for log in content["logs"]] == [
        "not reproduced",
        "suspicious arithmetic",
    ]
    assert set(content["verdicts"]) == {"not reproduced", "suspicious arithmetic"}
    assert len(content["logs"][1]["arithmetic"]["misfits"]) == 88


def test_two_logs_of_one_run_agree(golden: Path) -> None:
    """The reference's own JSON and text log: only the digits differ."""
    folder = golden / "runs" / "tiny_automix_ep8"

    audit = audit_files(
        [next(folder.glob("train_*.log")), next(folder.glob("*.log.json"))], Claim()
    )

    assert (audit.log.format, audit.differences, audit.problem) == ("json", (), None)
    assert "two logs of one run, say the same" in " ".join(explain(audit))


def test_two_logs_of_one_run_disagree(write_log: Write) -> None:
    """Epochs, heads and both values are named, and epochs that one lacks; neither vouches."""
    honest = write_log("run.log.json", heads=("mix_k", "one_k"))
    change = {(98, "one_k_top1"): 50.0}
    other = write_log("run.log", heads=("mix_k", "one_k"), change=change, epochs=range(1, 100))

    audit = audit_files([other, honest], Claim())

    value = audit.log.series("one_k_top1")[98]
    assert audit.differences[0] == f"one_k_top1 of epoch 98: {value} and 50.0000"
    assert "one_k_top1 of epoch 100: only in run.log.json" in audit.differences
    assert audit.problem == "disagrees with the run's other log (see mixzoo logs)"
    assert "run.log.json and run.log, two logs of one run, disagree: one_k_top1 of" in " ".join(
        explain(audit)
    )


@pytest.mark.parametrize("share", [100, 1])
def test_a_run_below_one_percent_is_told_from_fractions(tmp_path: Path, share: int) -> None:
    """Where the number of images is known, the arithmetic tells them apart."""
    path = tmp_path / "r.log.json"
    lines = [
        {"mode": "val", "epoch": e, "iter": 1, "head0_top1": round(share * (2 * e + 1) / 24426, 5)}
        for e in range(1, 90)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    audit = audit_files([path], Claim(images=24426))

    assert audit.arithmetic.word == "whole numbers of images"
    assert audit.log.floats("head0_top1")[89] == pytest.approx(100 * 179 / 24426, abs=0.001)
    assert any("taken for fractions" in remark for remark in audit.remarks) == (share == 1)


def test_a_log_s_own_schedule_is_no_fault(tmp_path: Path) -> None:
    """Warm-up, cuts of the rate and the jumps that come with them, in a log of nobody's recipe."""
    config = "lr_config = dict(policy='step', step=[35], warmup='linear')\nepochs = 40\n"
    lines: list[dict[str, Any]] = [{"env_info": "x", "config": config}]
    for epoch in range(1, 41):
        lr, top1 = (0.1, 50 + epoch / 10) if epoch < 36 else (0.01, 60 + epoch / 10)
        lines.append({"mode": "train", "epoch": epoch, "iter": 9, "lr": lr * min(1, epoch / 5)})
        lines.append({"mode": "val", "epoch": epoch, "iter": 1, "lr": lr, "head0_top1": top1})
    path = tmp_path / "r.log.json"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    audit = audit_files([path], claim_on("resnet50.cutmix_inat2018"))

    assert [remark for remark in audit.remarks if "iterations" not in remark] == [
        "learning rates aren't compared: the config has step(step=(35,), warmup=linear)".replace(
            "(35,)", "(35)"
        )
    ]
