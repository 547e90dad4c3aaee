"""Honest logs of every writer are read and never accused; forged and damaged ones never believed."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mixzoo.eval.logs import LogAudit, audit_files, explain
from mixzoo.eval.logs.arithmetic import fits
from mixzoo.eval.logs.summaries import Claim
from mixzoo.zoo.errors import DataError

Run = Mapping[int, Sequence[float]]  # epoch -> top-1 and top-5, percent
FUZZ = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mmcv_json(run: Run, names: tuple[str, str]) -> str:
    """`.log.json`: 5 decimals."""
    return _json(
        line
        for epoch, values in run.items()
        for line in (
            {"mode": "train", "epoch": epoch, "iter": 100, "lr": 0.01, "loss": 2.0},
            {"mode": "val", "epoch": epoch, "iter": 9, "lr": 0.01}
            | {name: round(v, 5) for name, v in zip(names, values, strict=True)},
        )
    )


def mmcv_text(run: Run, names: tuple[str, str]) -> str:
    """The text log beside it: 4 decimals."""
    return "".join(
        f"2022-01-01 00:00:00,000 - mmcls - INFO - Epoch(val) [{epoch}][9]\t"
        + ", ".join(f"{name}: {v:.4f}" for name, v in zip(names, values, strict=True))
        + "\n"
        for epoch, values in run.items()
    )


def mmengine_text(run: Run, names: tuple[str, str]) -> str:
    """Two spaces between items, and lines of a validation on its way."""
    stamp = "2024/01/01 00:00:00 - mmengine - INFO - "
    return "".join(
        f"{stamp}Epoch(train)   [{epoch}][ 100/1252]  lr: 1.0000e-02  eta: 1 day, 2:00:00  loss: 2.0\n"
        f"{stamp}Epoch(val)   [{epoch}][ 10/196]    eta: 0:00:09  time: 0.1000\n"
        f"{stamp}Epoch(val) [{epoch}][196/196]    "
        + "  ".join(f"{name}: {v:.4f}" for name, v in zip(names, values, strict=True))
        + "  data_time: 0.0100  time: 0.1000\n"
        for epoch, values in run.items()
    )


def scalars_json(run: Run, names: tuple[str, str]) -> str:
    """mmengine's scalars.json: single precision, all digits, iterations counted on."""
    return _json(
        line
        for epoch, values in run.items()
        for line in (
            {"lr": 0.01, "loss": 2.0, "epoch": epoch, "iter": 100 * epoch, "step": 100 * epoch},
            {name: float(np.float32(v)) for name, v in zip(names, values, strict=True)}
            | {"time": 0.1, "step": epoch},
        )
    )


def fractions_json(run: Run, names: tuple[str, str]) -> str:
    """From 0 to 1."""
    return mmcv_json({epoch: [v / 100 for v in values] for epoch, values in run.items()}, names)


def deit(run: Run, names: tuple[str, str]) -> str:
    """log.txt: epochs from 0."""
    return _json(
        {"train_loss": 2.0, "epoch": epoch - 1} | dict(zip(names, values, strict=True))
        for epoch, values in run.items()
    )


def timm_csv(run: Run, names: tuple[str, str]) -> str:
    """summary.csv: epochs from 0."""
    lines = [f"epoch,train_loss,{names[0]},{names[1]},lr"]
    lines += [f"{epoch - 1},2.0,{a!r},{b!r},0.01" for epoch, (a, b) in run.items()]
    return "\r\n".join(lines) + "\r\n"


def _json(lines: Any) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


WRITERS: dict[str, tuple[Callable[[Run, tuple[str, str]], str], tuple[str, str]]] = {
    "openmixup": (mmcv_json, ("head0_top1", "head0_top5")),
    "openmixup, text": (mmcv_text, ("acc_head0_top1", "acc_head0_top5")),
    "mmcls": (mmcv_json, ("accuracy_top-1", "accuracy_top-5")),
    "mmcls, text": (mmcv_text, ("accuracy_top-1", "accuracy_top-5")),
    "mmpretrain, text": (mmengine_text, ("accuracy/top1", "accuracy/top5")),
    "mmpretrain": (scalars_json, ("accuracy/top1", "accuracy/top5")),
    "fractions": (fractions_json, ("top1_acc", "top5_acc")),
    "deit": (deit, ("test_acc1", "test_acc5")),
    "timm": (timm_csv, ("eval_top1", "eval_top5")),
}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "Windows": lambda text: (
        b"\xef\xbb\xbf" + text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    ),
    "PowerShell": lambda text: text.encode("utf-16"),
    "still running": lambda text: text.encode()[:-3],
}


def drawn(images: int, epochs: int, seed: int) -> dict[int, list[float]]:
    """An honest run on so many images."""
    random, run = Random(seed), {}
    for epoch in range(1, epochs + 1):
        top1 = random.randint(images // 2, images)
        run[epoch] = [100 * k / images for k in (top1, random.randint(top1, images))]
    return run


def audited(path: Path, text: str | bytes, images: int | None) -> LogAudit:
    """The audit of a log of this content."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return audit_files([path], Claim(images=images))


@pytest.mark.parametrize("writer", WRITERS)
@FUZZ
@given(
    images=st.integers(2, 200_000),
    epochs=st.integers(1, 30),
    seed=st.integers(0, 9999),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    known=st.booleans(),
    resumed=st.booleans(),
)
def test_an_honest_log_is_not_accused(
    tmp_path: Path,
    writer: str,
    images: int,
    epochs: int,
    seed: int,
    encoding: str,
    known: bool,
    resumed: bool,
) -> None:
    """Whoever wrote it, on however many images, resumed, recoded, or cut in its last line."""
    write, names = WRITERS[writer]
    run = drawn(images, epochs, seed)
    assume(min(run[1]) > 1 and (epochs > 1 or encoding != "still running"))
    text = write(run, names)
    if resumed:
        text += write({epochs: run[epochs]}, names)

    audit = audited(tmp_path / "run.log", ENCODINGS[encoding](text), images if known else None)

    assert audit.arithmetic.is_possible, list(explain(audit))
    assert audit.arithmetic.problem is None
    whole = [1] if encoding == "still running" else run
    logged = audit.log.floats("head0_top1")
    assert [logged[e] for e in whole] == pytest.approx([run[e][0] for e in whole], abs=0.001)
    assert set(logged) <= set(run)


@pytest.mark.parametrize("images", [153_017, 265_213, 500_123])
@pytest.mark.parametrize("writer", ["openmixup", "fractions", "deit"])
def test_even_steps_are_no_edits(tmp_path: Path, writer: str, images: int) -> None:
    """Accuracies near 5%, 10%, ... are nearly those of fewer images as well, all but one."""
    write, names = WRITERS[writer]
    run = {n: [100 * (images * n // 20) / images] * 2 for n in range(1, 11)}

    audit = audited(tmp_path / "run.log", write(run, names), None)

    assert audit.arithmetic.is_possible, list(explain(audit))


def test_rounded_fractions_of_very_many_images(tmp_path: Path) -> None:
    """A zero at a fraction's end isn't written; so few values don't narrow what is searched."""
    images = 500_123
    run = {n: [round(v / 100, 6) for v in values] for n, values in drawn(images, 30, 7).items()}
    lines = _json(
        {"mode": "val", "epoch": n, "iter": 9, "top1_acc": v} for n, (v, _) in run.items()
    )

    audit = audited(tmp_path / "run.log.json", lines, None)

    assert audit.arithmetic.is_possible, list(explain(audit))


@FUZZ
@given(images=st.integers(100, 200_000), pasted=st.integers(1, 19), seed=st.integers(0, 9999))
def test_lines_pasted_from_a_text_log(tmp_path: Path, images: int, pasted: int, seed: int) -> None:
    """They have four decimals, the others five: said, and no fault."""
    run = drawn(images, 20, seed)
    coarse = {e: [round(v, 4) for v in run[e]] if e <= pasted else run[e] for e in run}

    audit = audited(tmp_path / "run.log.json", mmcv_json(coarse, ("top1", "top5")), images)

    found = audit.arithmetic
    assert found.word == "whole numbers of images"
    assert {reading.epoch for reading in found.coarser} <= set(range(1, pasted + 1))
    assert ("as if from a text log" in " ".join(explain(audit))) == bool(found.coarser)


@pytest.mark.parametrize("writer", WRITERS)
@FUZZ
@given(
    images=st.integers(100, 50_000),
    seed=st.integers(0, 9999),
    off=st.floats(0.25, 0.75),
    known=st.booleans(),
)
def test_an_edited_last_line_is_seen(
    tmp_path: Path, writer: str, images: int, seed: int, off: float, known: bool
) -> None:
    """Where the logged digits can tell that no number of right answers gives the value."""
    write, names = WRITERS[writer]
    run = drawn(images, 40, seed)
    run[40][0] = 100 * (int(images * 0.6) + off) / images
    decimals = {mmcv_text: 4, mmengine_text: 4, fractions_json: 3}.get(write, 5)
    assume(not fits(np.array([round(run[40][0], decimals)]), images, min(decimals, 4)).any())
    assume(2 * 10.0**-decimals * images < 20)

    audit = audited(tmp_path / "run.log", write(run, names), images if known else None)

    if known:
        assert audit.arithmetic.problem
    assert audit.arithmetic.word != "whole numbers of images" or audit.arithmetic.images != images


HOSTILE = (
    *(
        "NaN",
        "-Infinity",
        "1e9999",
        "1e99999999999999999999",
        "-1",
        "101",
        "9" * 5000,
        "0." + "1" * 5000,
    ),
    *(
        "[" * 3000,
        '{"a":' * 3000,
        "\0",
        "\x1b[2J",
        "\ufeff",
        "\r",
        "\n",
        '"',
        "{}",
        "[]",
        "null",
        "true",
    ),
    *(
        '{"mode": "val"}',
        '"config": "x = ' + "(" * 500,
        "Epoch(val) [",
        "Epoch [1][2/3]\tlr: 1e999",
    ),
    *(",", "epoch,top1", "x" * 100_000, "\ud7ff", "Config:", "١", "1_0", "0x10"),
)


@pytest.mark.parametrize("writer", WRITERS)
@FUZZ
@given(data=st.data())
def test_any_damage_is_a_reading_or_one_line(
    tmp_path: Path, writer: str, data: st.DataObject
) -> None:
    """Whatever stands in a log, nothing but mixzoo's own error is raised."""
    write, names = WRITERS[writer]
    config = json.dumps({"env_info": "x", "config": "lr_config = dict(policy='step')"}) + "\n"
    raw = bytearray(
        config.encode() * data.draw(st.booleans()) + write(drawn(300, 4, 0), names).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        upto = at + data.draw(st.integers(0, 30))
        raw[at:upto] = data.draw(
            st.sampled_from(HOSTILE).map(lambda text: text.encode("utf-8", "surrogatepass"))
            | st.binary(max_size=4)
        )

    try:
        audit = audited(tmp_path / "run.log", bytes(raw), 300)
        said = [*explain(audit), json.dumps(audit.to_dict())]
    except DataError as error:
        said = [str(error), ""]

    assert all("\n" not in line and len(line) < 20_000 for line in said[:-1])
