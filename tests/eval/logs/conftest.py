"""Writes training logs in mmcv's two formats, of runs that might have been."""

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

SECONDS_PER_EPOCH = 7
Change = Mapping[tuple[int, str], float]


def run_lines(
    *,
    images: int = 24426,
    epochs: Iterable[int] = range(1, 101),
    horizon: int = 100,
    heads: Iterable[str] = ("head0",),
    batches: int = 48,
    iterations: tuple[int, ...] = (1650, 1700),
    lr: float = 0.1,
    change: Change | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The lines of an honest run, header first; `change` replaces values by (epoch, name)."""
    draw = random.Random(seed)
    lines: list[dict[str, Any]] = [{"env_info": "made for a test", "seed": 0, "exp_name": "run.py"}]
    for epoch in epochs:
        rate = 0.5 * lr * (1 + math.cos(math.pi * (epoch - 1) / horizon))
        about = {"epoch": epoch, "lr": rate}
        lines += [{"mode": "train", "iter": i, "loss": 1.0} | about for i in iterations]
        values = {}
        for head in heads:
            correct = int(images * (0.64 - 0.5 * (1 - epoch / horizon) ** 2)) + draw.randint(
                0, max(2, images // 400)
            )
            values[f"{head}_top1"] = round(correct * 100.0 / images, 5)
            values[f"{head}_top5"] = round((correct + images // 5) * 100.0 / images, 5)
        values |= {name: value for (e, name), value in (change or {}).items() if e == epoch}
        lines.append({"mode": "val", "iter": batches} | about | values)
    return lines


def as_json(lines: list[dict[str, Any]]) -> str:
    """The lines as a `.log.json`, every number rounded to 5 decimals."""
    rounded = [
        {name: round(v, 5) if isinstance(v, float) else v for name, v in line.items()}
        for line in lines
    ]
    return "".join(json.dumps(line) + "\n" for line in rounded)


def as_text(lines: list[dict[str, Any]], *, last_iteration: int = 1710) -> str:
    """The lines as a text log, one line each `SECONDS_PER_EPOCH`."""
    texts = []
    for number, line in enumerate(lines):
        seconds = number * SECONDS_PER_EPOCH
        time = f"2022-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},000"
        if "mode" not in line:
            texts.append(f"{time} - openmixup - INFO - Environment info:\nPython: 3.8")
            continue
        values = ", ".join(f"{k}: {v:.4f}" for k, v in line.items() if "_top" in k)
        if line["mode"] == "val":
            said = f"Epoch(val) [{line['epoch']}][{line['iter']}]\t{values}"
        else:
            said = (
                f"Epoch [{line['epoch']}][{line['iter']}/{last_iteration}]\tlr: {line['lr']:.3e}, "
                f"eta: 1 day, 2:03:04, time: 0.5, loss: {line['loss']:.4f}"
            )
        texts.append(f"{time} - openmixup - INFO - {said}")
    return "\n".join(texts) + "\n"


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[..., Path]:
    """Writes the log of a run (see `run_lines`) and returns its path."""

    def write(name: str = "run.log.json", **run: Any) -> Path:
        path = tmp_path / name
        lines = run_lines(**run)
        path.write_text(as_json(lines) if name.endswith(".json") else as_text(lines))
        return path

    return write
