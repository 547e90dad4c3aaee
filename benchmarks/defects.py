"""How often the right cause comes first for planted defects, and a healthy row is accused.

Plants each defect (see planted.py) in mini's ten rows, in small networks that are trained here for
a minute each, and in invented predictions at iNaturalist's size; asks `eval.causes` of each case as
`mixzoo explain` does, and prints which cause came first. Odd rows, seeds and runs are held out: the
rules were not tuned on them.

    python benchmarks/defects.py [--part open|held-out|all] [--keep FOLDER] [--data FOLDER]

--keep: where networks and what they say are kept; the second run then takes a few minutes. Results
of parts are written beside those of other parts.
"""

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lab import Lab, Network, but
from mixzoo.eval.causes import Case, Trial, causes_of
from mixzoo.eval.clues import key_of_pixels, pixels_said
from mixzoo.eval.logs import LogAudit, audit_files, claim_of
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.predictor import rank
from mixzoo.eval.statistics import wilson_interval
from mixzoo.eval.trials import variants
from mixzoo.zoo.checkpoint.facts import TrainingFacts, training_facts
from mixzoo.zoo.checkpoint.load import traits
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.manifest import Protocol
from planted import HEALTHY, Invented, Planted, Planter

OUT = Path(__file__).parent / "results" / "defects.json"
FEW = 200  # images that other pixels are tried on, where the number is far off
NONE = "none"

RIGHT: dict[str, set[str]] = {
    "labels sorted as strings": {"labels-as-strings"},
    "labels by first appearance": {"labels-first-appearance"},
    "labels one too high": {"labels-off-by-one"},
    "labels one too low": {"labels-off-by-one"},
    "labels permuted at random": {"labels-permuted"},
    "labels of another list": {"labels-permuted", "other-list"},
    "BGR": {"bgr"},
    "not normalised": {"no-normalisation"},
    "other normalisation": {"other-normalisation"},
    "other resize": {"resize"},
    "other crop": {"crop"},
    "other interpolation": {"interpolation"},
    "file of another row": {"other-row"},
    "another epoch": {"other-epoch"},
    "averaged copy published": {"averaged"},
    "averaged copy in the file": {"averaged"},
    "16-bit weights": {"half-weights"},
    "untrained batch norms": {"batch-norm-untrained"},
    "batch norms missing": {"batch-norm-missing"},
    "keys left out": {"keys-left-out"},
    "head of another data set": {"other-head"},
    "trained on validation images": {"leak"},
    "images missing": {"images-missing"},
    "padded evaluation in the log": {"padded"},
    "best epoch published": {"other-statistic"},
    "cut off instead of rounded": {"rounding"},
}
"""Planted -> the causes that are right. A list of another year is both: its classes are permuted."""


@dataclass(frozen=True)
class Outcome:
    """What was said of a case. first: the cause said first, NONE without any. others: also found.

    tried: whether other pixels could be tried.
    """

    planted: str
    of: str
    held_out: bool
    off: float | None
    tried: bool
    first: str
    others: tuple[str, ...]
    sentence: str

    @property
    def is_right(self) -> bool:
        """Whether the right cause came first; of a healthy case, whether nothing was found."""
        return self.first == NONE if self.is_healthy else self.first in RIGHT[self.planted]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was planted."""
        return self.planted.startswith(HEALTHY)


def asked(planted: Planted, lab: Lab, *, try_pixels: bool) -> Outcome:
    """What `eval.causes` says of a case."""
    facts, told = TrainingFacts(), {}
    if planted.checkpoint:
        checkpoint = read_checkpoint(planted.checkpoint)
        facts = training_facts(checkpoint.meta)
        told = traits(checkpoint, planted.row, planted.benchmark.manifest.dataset.num_classes)
    case = Case(
        stored=planted.stored,
        benchmark=planted.benchmark,
        row=planted.row,
        audit=_audit(planted, planted.row.id, planted.log) if planted.log else None,
        facts=facts,
        traits=told,
        logs={name: _audit(planted, name, log) for name, log in planted.logs.items()},
        kept=planted.kept,
        training=planted.training,
    )
    tried = try_pixels and planted.state is not None and case.is_off
    if tried:
        trials = list(
            tried_on(planted, lab, pixels_said(facts, planted.benchmark.manifest.protocol))
        )
        case = Case(**{name: getattr(case, name) for name in case.__dataclass_fields__} | {"trials": trials})  # fmt: skip
    causes = [cause for cause in causes_of(case) if cause.state == "found"]
    return Outcome(
        planted.kind,
        planted.of,
        planted.held_out,
        round(planted.off, 3) if planted.stored else None,
        tried,
        causes[0].key if causes else NONE,
        tuple(cause.key for cause in causes[1:]),
        causes[0].sentence if causes else "",
    )


def _audit(planted: Planted, row_id: str, log: Path) -> LogAudit:
    manifest = planted.benchmark.manifest
    row = manifest.row(row_id)
    assert row
    claim = claim_of(manifest, row)
    return _audited(log, log.stat().st_mtime_ns, claim)


@cache
def _audited(log: Path, _: int, claim: object) -> LogAudit:
    return audit_files([log], claim)  # type: ignore[arg-type]


def tried_on(planted: Planted, lab: Lab, said: Protocol) -> Iterator[Trial]:
    """Predictions by other pixels as `eval.trials` makes them, from logits that are kept.

    Of all images where it may be some of them that decide.
    """
    assert planted.stored
    assert planted.images
    assert planted.state is not None
    most = FEW if planted.off < -10 else None
    some = lab.some(most)
    shuffled = planted.images.files != lab.images.files
    place = np.argsort(lab.shuffled)[some] if shuffled else some
    order = np.argsort(place)
    labels = np.asarray(planted.images.labels)[place[order]]
    published = planted.benchmark.manifest.protocol
    for one in variants(published, said):
        fed = one
        if planted.turned:
            fed = but(one, channels="RGB" if one.channels == "BGR" else "BGR")
        heads = {}
        for head, z in lab.logits(planted.state, fed, most).items():
            heads[head] = Predictions.empty(labels)
            put_in_order = z[torch.from_numpy(order)], torch.from_numpy(labels)
            heads[head].put(rank(*put_in_order, torch.arange(len(labels)), exact=True))
        yield Trial(key_of_pixels(one, published), one, place[order], heads)


def of_networks(
    numbers: Sequence[int], keep: Path, data: Path | None, *, pixels: bool = True
) -> list[Outcome]:
    """Outcomes of some of the networks, by their numbers. pixels: try them, and plant defects of them."""
    torch.set_num_threads(1)
    lab = Lab(keep, data)
    networks = networks_of(lab)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        planter = Planter(lab, Path(folder))
        for number in numbers:
            for planted in planter.cases(networks, [networks[number]]):
                small = networks[number].benchmark.name == "small"
                of_pixels = RIGHT.get(planted.kind, set()) & PIXELS
                if of_pixels and not pixels:
                    continue
                tries = pixels and bool(small or of_pixels)
                found.append(asked(planted, lab, try_pixels=tries))
                _tell(found[-1])
    return found


def _tell(one: Outcome) -> None:
    if not one.is_right:
        print(
            f"{one.of}: {one.planted} ({one.off}): {one.first} {one.others} {one.sentence[:160]}",
            flush=True,
        )


PIXELS = {"bgr", "no-normalisation", "other-normalisation", "crop", "resize", "interpolation"}
SEEDS = range(8)


def networks_of(lab: Lab) -> list[Network]:
    """Mini's rows and the small networks."""
    return [*lab.rows_of_mini(), *lab.small_networks(SEEDS)]


def of_invented(seeds: Sequence[int], keep: Path, data: Path | None) -> list[Outcome]:
    """Outcomes of some invented runs."""
    torch.set_num_threads(1)
    lab = Lab(keep, data)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        invented = Invented(lab, Path(folder))
        for seed in seeds:
            for planted in invented.cases(seed):
                found.append(asked(planted, lab, try_pixels=False))
                _tell(found[-1])
            for log in Path(folder).glob("*.json"):
                log.unlink()
    return found


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Confusion of planted and said, shares and their intervals."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one in outcomes:
        table[one.planted][one.first] += 1
    healthy = [one for one in outcomes if one.is_healthy]
    planted = [one for one in outcomes if not one.is_healthy]
    accused = sum(not one.is_right for one in healthy)
    right = sum(one.is_right for one in planted)
    kinds = [
        np.mean([one.is_right for one in planted if one.planted == kind])
        for kind in table
        if not kind.startswith(HEALTHY)
    ]
    return {
        "planted": len(planted),
        "right_first_percent": round(100 * right / max(1, len(planted)), 2),
        "right_first_interval95": _interval(right, len(planted)),
        "right_first_mean_over_defects": round(100 * float(np.mean(kinds)), 2) if kinds else None,
        "healthy": len(healthy),
        "accused": accused,
        "accused_percent": round(100 * accused / max(1, len(healthy)), 3),
        "accused_interval95": _interval(accused, len(healthy)),
        "of": sorted({one.of for one in outcomes if not one.of.startswith("invented")}),
        "table": {kind: dict(found.most_common()) for kind, found in table.items()},
        "wrong": [asdict(one) for one in outcomes if not one.is_right],
    }


def _show(title: str, told: dict[str, Any]) -> None:
    print(f"== {title}")
    for key, value in told.items():
        if key not in ("table", "wrong"):
            print(f"{key}: {value}")
    for kind, said in told["table"].items():
        print(f"  {kind}: {said}")


def _interval(count: int, total: int) -> list[float]:
    return [round(limit, 3) for limit in wilson_interval(count, total)] if total else []


def main() -> None:
    """Plant, ask, print and write."""
    from machine import machine

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", choices=("open", "held-out", "all"), default="all")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "mixzoo-defects")
    parser.add_argument("--data", type=Path, help="mini's images, if they are somewhere already")
    parser.add_argument("--invented", type=int, default=400, help="invented runs")
    parser.add_argument("--only", default="", help="parts of the networks' names, with commas")
    parser.add_argument(
        "--no-pixels",
        dest="pixels",
        action="store_false",
        help="leave those defects out of networks",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(2)
    lab = Lab(options.keep, options.data)
    parts = {"open": (0,), "held-out": (1,), "all": (0, 1)}[options.part]
    networks = [
        number
        for number, one in enumerate(networks_of(lab))
        if one.held_out in parts and any(part in one.name for part in options.only.split(","))
    ]
    runs = [seed for seed in range(options.invented) if seed % 2 in parts]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        shared = (options.keep, options.data)
        jobs = [pool.submit(of_networks, [n], *shared, pixels=options.pixels) for n in networks]
        jobs += [
            pool.submit(of_invented, runs[i : i + 12], *shared) for i in range(0, len(runs), 12)
        ]
        for job in as_completed(jobs):  # written each time: it may be stopped
            outcomes += job.result()
            content = json.loads(options.out.read_text()) if options.out.exists() else {}
            for what, part, of in _parts(outcomes):
                content.setdefault(what, {})[part] = summary(of)
            content["machine"] = machine("mixzoo", "torch", "numpy")
            options.out.write_text(json.dumps(content, indent=2) + "\n")
    for what, part, of in _parts(outcomes):
        _show(f"{what}, {part}", summary(of))


def _parts(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, list[Outcome]]]:
    """Outcomes of networks and of invented runs, open and held out, as far as there are any."""
    for what in ("networks", "invented runs"):
        for name, held_out in (("open", False), ("held out", True)):
            of = [
                one
                for one in outcomes
                if one.held_out == held_out
                and (what == "networks") != one.of.startswith("invented")
            ]
            if of:
                yield what, name, of


if __name__ == "__main__":
    main()
