"""Clues of what is wrong with a number, each with its evidence in numbers and the next command.

A clue gives the chance that a faithful row shows as much, and how much it speaks for its cause, in
decimal digits. Which of them count, and in which order, is decided in `eval.causes`.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from ..zoo.checkpoint.facts import TrainingFacts
from ..zoo.data import diagnose_list
from ..zoo.errors import UsageError
from ..zoo.looks import NOT_ITS_LOG, signed
from ..zoo.manifest import Protocol, slug
from .case import FACT, KEYS, MOST, PIXEL_KEYS, WORD, Case, Found, Trial
from .judge import FAR, HANDFUL
from .logs import LogAudit, rounds_to
from .logs.arithmetic import padding
from .predictions import Counts
from .protocol import changes, flags, override
from .renumbering import Confusion, Renumbered
from .statistics import mcnemar

SURE = 0.01  # chance with which a clue is passed on at most
UNRELATED = 1 / 40  # a point: density of a number that has nothing to do with the row's
SAME = 0.98  # share of equal predictions from which two evaluations are one
SAME_PIXELS = 0.99  # what arithmetic leaves equal at least
PARTLY = 0.3  # share of what a numbering should explain, below which it isn't the one
FEWEST = -5.0  # digits that a number at the wrong place can take from a cause

# Where the gap, recomputed minus published, of a cause lies, in points, if nothing tells it better.
GAPS = dict.fromkeys(KEYS, (-100.0, 5.0)) | {
    "crop": (-15.0, 5.0),
    "resize": (-15.0, 5.0),
    "interpolation": (-5.0, 2.0),
    "arithmetic": (-1.0, 1.0),
    "other-row": (-30.0, 30.0),
    "averaged": (-5.0, 5.0),
    "half-weights": (-1.0, 1.0),
    "leak": (0.0, 100.0),
    "images-missing": (-5.0, 5.0),
    "padded": (-0.5, 0.5),
}


def _near(case: Case, value: float, spread: float) -> float:
    """Digits by which a published number speaks for a cause under which it lies near a value."""
    if case.reported is None:
        return 0.0
    z = (case.reported - value) / spread
    density = math.exp(-min(z * z, 100) / 2) / (spread * math.sqrt(2 * math.pi))
    return max(FEWEST, math.log10(density / UNRELATED))


def within(gap: float, low: float, high: float) -> float:
    """Digits by which a gap speaks for a cause under which it lies anywhere between two."""
    return max(FEWEST, math.log10(1 / (high - low) / UNRELATED)) if low <= gap <= high else FEWEST


def usual(case: Case, key: str) -> float:
    """Digits by which the gap speaks for a cause, of which only the usual size is known."""
    return within(case.gap, *GAPS[key])


def _met_by(case: Case, values: int) -> float:
    """Digits by which meeting the published digits with one of some values speaks for a cause."""
    return -math.log10(values * UNRELATED * 10.0**-case.decimals)


def _digits(p: float) -> float:
    return -math.log10(max(p, 10.0**-MOST))


def _by_traits(case: Case) -> Iterator[Found]:
    for key, text in case.traits.items():
        fit = 0.0 if case.stored is None else usual(case, key)
        ref = case.ref or (case.row.id if case.row else "FILE")
        inspect = case.command("zoo", "inspect", ref)
        yield Found(
            key,
            f"{KEYS[key]}: {text}",
            {"gap_points": round(case.gap, 4)} if case.stored else {},
            case.as_row(case.owner) if key == "other-row" and case.owner else inspect,
            fit=fit,
        )


def _by_conditions(case: Case) -> Iterator[Found]:
    """What wasn't as the table's number was measured, by the evaluation's own word."""
    seen, stored = case.conditions, case.stored
    if seen is None or stored is None or case.benchmark is None:
        return
    data, published = case.benchmark.manifest.dataset, case.benchmark.manifest.protocol
    known, verify = case.known, case.command("data", "verify", case.benchmark.name)
    for key, told in _changed(seen.protocol, published).items():
        yield Found(
            key,
            f"{KEYS[key]}: {', '.join(f'{n} {text}' for n, text in told.items())}, as this "
            "evaluation was told",
            dict(told),
            case.evaluation(),
            fit=usual(case, key),
        )
    if seen.precision == "fast" and case.is_off:
        yield Found(
            "arithmetic",
            f"{KEYS['arithmetic']}, as this evaluation was told",
            {"precision": seen.precision},
            case.evaluation(),
            fit=usual(case, "arithmetic"),
        )
    if seen.unreadable:
        rest = 100 * case.counts[case.head].correct / max(1, seen.images - seen.unreadable)
        yield Found(
            "images-missing",
            f"{seen.unreadable} of {seen.images} images can't be read and count as wrong; without "
            f"them the top-1 is {rest:.{case.decimals + 1}f}",
            {"unreadable": seen.unreadable, "images": seen.images, "top1_of_the_rest": rest},
            verify,
            fit=_near(case, rest, 0.5),
        )
    labels = known.labels.tolist()
    why = diagnose_list(stored.files, labels, data, "val", case.datasets)
    expected = data.val.images
    if expected is not None and seen.images < expected and why is None:
        yield Found(
            "images-missing",
            f"{seen.images} images, the table's validation set has {expected}: "
            f"{expected - seen.images} are missing",
            {"images": seen.images, "expected": expected},
            verify,
            fit=_near(case, case.counts[case.head].top1, 2.0),
        )
    elif why or (expected and seen.images != expected):
        yield Found(
            "other-list",
            f"{KEYS['other-list']}: {why or f'{seen.images} images, expected {expected}'}",
            {"images": seen.images, "expected": expected},
            verify,
            fit=within(case.gap, -100, 100),
        )
    elif data.val.list_sha256 not in (None, seen.list_sha256):
        yield Found(
            "other-list",
            "as many images as the table's, but another list of paths and labels",
            {"list_sha256": seen.list_sha256, "expected": data.val.list_sha256},
            verify,
            digits=WORD,
            fit=within(case.gap, -100, 100),
        )


def _changed(protocol: Protocol, published: Protocol) -> dict[str, dict[str, str]]:
    """What differs from the published pixels: key of the cause -> name -> in words."""
    found: dict[str, dict[str, str]] = {}
    told = changes(protocol, published)
    bare = protocol.mean == (0, 0, 0) and len(set(protocol.std)) == 1
    norm = "bgr" if "channels" in told else "no-normalisation" if bare else "other-normalisation"
    keys = {"mean": norm, "std": norm, "channels": "bgr"}
    for name, text in told.items():
        found.setdefault(keys.get(name, name), {})[name] = text
    return found


def key_of_pixels(protocol: Protocol, published: Protocol) -> str:
    """The cause that pixels in place of the published ones stand for; "" for these themselves."""
    return next(iter(_changed(protocol, published)), "")


def _by_the_files_word(case: Case) -> Iterator[Found]:
    """What the checkpoint's own notes say: a method, an epoch, pixels."""
    facts, row = case.facts, case.row
    if row is None or case.benchmark is None:
        return
    said = {
        "method": (facts.method and slug(facts.method), row.method),
        "architecture": (facts.architecture, row.architecture),
        "classes": (facts.num_classes, case.benchmark.manifest.dataset.num_classes),
    }
    if other := [f"{n} {a}, the row's is {b}" for n, (a, b) in said.items() if a and a != b]:
        net = (said["method"][0] or row.method, facts.architecture or row.architecture)
        like = [o.id for o in case.benchmark.manifest.rows if (o.method, o.architecture) == net]
        yield Found(
            "other-row" if facts.num_classes in (None, said["classes"][1]) else "other-head",
            f"the checkpoint's config says: {'; '.join(other)}",
            {name: str(value) for name, (value, _) in said.items() if value},
            case.as_row(like[0]) if len(like) == 1 else case.command("zoo", "show", row.id),
            digits=WORD,
            fit=usual(case, "other-row"),
        )
    if not case.is_off:
        return
    window = case.benchmark.manifest.metric.epochs
    if facts.epoch and facts.epochs and facts.epoch <= facts.epochs - window:
        yield Found(
            "other-epoch",
            f"the checkpoint was written after epoch {facts.epoch} of {facts.epochs}; the number "
            "is of the last",
            {"epoch": facts.epoch, "epochs": facts.epochs},
            case.command("logs", row.id),
            digits=WORD,
            fit=usual(case, "other-epoch"),
        )
    protocol = case.benchmark.manifest.protocol
    named = pixels_said(facts, protocol)
    if changed := _changed(named, protocol):
        told = {name: text for one in changed.values() for name, text in one.items()}
        yield Found(
            next(iter(changed)),
            "the checkpoint's own config evaluates with other pixels than the table's: "
            + ", ".join(f"{name} {text}" for name, text in told.items()),
            told,
            case.evaluation(*flags(named, protocol)),
            digits=WORD,
            fit=usual(case, next(iter(changed))),
        )


def pixels_said(facts: TrainingFacts, protocol: Protocol) -> Protocol:
    """The pixels that a checkpoint's own config names; the protocol where none can hold them."""
    try:
        return override(protocol, **facts.eval_pixels)
    except UsageError:  # height and width, or an interpolation that isn't ours
        return protocol


def _by_log(case: Case) -> Iterator[Found]:
    """The row's own log: another statistic, padding, rounding."""
    audit, reported = case.audit, case.reported
    if audit is None or reported is None or case.row is None:
        return
    logs, test = case.command("logs", case.row.id), audit.arithmetic
    if test.expected and test.images and (of := padding(test.expected, test.images)):
        repeated = test.images - test.expected
        most = 100 * repeated / test.images
        yield Found(
            "padded",
            f"the log's accuracies are of {test.images:,} images, which is {test.expected:,} "
            f"padded to a multiple of {of[0]}: {repeated} images were counted twice",
            {"images": test.images, "expected": test.expected, "multiples": list(of[:4])},
            logs,
            fit=within(case.gap, -most - 0.3, most + 0.3),
        )
    table = audit.table_values
    if any(rounds_to(one.value, reported, case.decimals) for one in table):
        return
    given = (s for s in audit.summaries if rounds_to(s.value, reported, case.decimals))
    if one := next(given, None):
        yield Found(
            "other-statistic",
            f"the published {reported:.{case.decimals}f} is the {one.rule} of {one.head} in the "
            f"training log ({one.value:.5f}), the table names the {audit.claim.rule} ("
            + ", ".join(dict.fromkeys(f"{value.value:.5f}" for value in table))
            + ")",
            {"rule": one.rule, "head": one.head, "value": one.value, "epochs": list(one.epochs)},
            logs,
            fit=_met_by(case, len({round(one.value, case.decimals) for one in audit.summaries})),
        )
    for one in table:
        yield from _rounded(case, one.value, "the log's " + one.rule, logs, FACT)


def _by_epochs(case: Case) -> Iterator[Found]:
    """Whether some other epoch of the log gives exactly these counts."""
    audit = case.audit
    if not case.is_off or not case.counts or case.row is None or audit is None:
        return
    named = set(audit.table_value.epochs) if audit.table_value else set()
    last = max((v.epoch for v in audit.log.validations), default=0)
    hits, chance = _epochs_like(case.counts, audit, {v.epoch for v in audit.log.validations})
    if hits and not hits & (named or {last}):
        epoch = max(hits)
        yield Found(
            "other-epoch",
            f"these are the numbers of epoch {epoch} in the training log, the table's are of epoch "
            f"{max(named or {last})}",
            {"epoch": epoch, "expected": sorted(named or {last}), "chance": chance},
            case.command("logs", case.row.id),
            p=chance,
            digits=_digits(chance),
            fit=usual(case, "other-epoch"),
        )


def _epochs_like(
    counts: Mapping[str, Counts], audit: LogAudit, among: Collection[int]
) -> tuple[set[int], float]:
    """Epochs whose logged top-1 and top-5 these counts are, and the chance that any would be."""
    alike, chance, compared = set(among), 1.0, 0
    for head, one in counts.items():
        slack = max(HANDFUL, 100 / one.total) + 1e-4
        for name, value in (("top1", one.top1), ("top5", one.top5)):
            if series := audit.log.floats(f"{head}_{name}"):
                off = {e: abs(series[e] - value) for e in alike if e in series}
                alike = {e for e in off if off[e] <= slack}
                # as near as it came, and half an image: the same number tells more than a near one
                near = min((off[e] for e in alike), default=slack) + 50 / one.total
                spread = max(series.values()) - min(series.values())
                # the heads of one network rise together: each after the first tells less
                chance *= min(1.0, 2 * near / max(spread, near)) if compared < 2 else 0.5
                compared += 1
    return alike if compared else set(), min(1.0, len(among) * chance)


def _by_rounding(case: Case) -> Iterator[Found]:
    """Without a log: the recomputed number itself, cut off or rounded to fewer digits."""
    metric = case.benchmark.manifest.metric if case.benchmark else None
    if case.is_off and case.audit is None and metric and metric.statistic == "last_epoch":
        value = case.counts[case.head].top1
        yield from _rounded(case, value, "the recomputed number", case.evaluation(), WORD)


def _rounded(case: Case, value: float, of: str, command: str, digits: float) -> Iterator[Found]:
    reported, places = case.reported, case.decimals
    if reported is None or rounds_to(value, reported, places):
        return
    unit = 10.0**-places
    ways = {
        "cut off": math.floor(value / unit + 1e-9) * unit,
        "rounded up": math.ceil(value / unit - 1e-9) * unit,
        "rounded twice": round(round(value, places + 1) + unit / 1e4, places),
    }
    for fewer in range(places):
        ways |= {
            f"rounded to {fewer} digits": round(value, fewer),
            f"cut off after {fewer} digits": math.floor(value * 10**fewer) / 10**fewer,
        }
    for way, got in ways.items():
        if abs(got - reported) < unit / 100:
            values = len({round(one, places) for one in ways.values()})
            yield Found(
                "rounding",
                f"{of}, {value:.{places + 3}f}, gives the published {reported:.{places}f} if it is "
                f"{way}",
                {"value": value, "way": way},
                command,
                digits=digits,
                fit=_met_by(case, values),
            )
            return


def _by_rows(case: Case) -> Iterator[Found]:
    """Other rows of the table that have these predictions."""
    if case.row is None or case.stored is None:
        return
    for name, kept in case.kept.items():
        if sorted(kept.files) == sorted(case.stored.files) and case.head in kept.heads:
            theirs = kept.ordered(case.stored.files).heads[case.head]
            same = float((theirs.top[:, 0] == case.known.top[:, 0]).mean())
            if same >= SAME:
                yield Found(
                    "other-row",
                    f"{100 * same:.1f}% of the predictions are those of {name}: the file is that "
                    "row's",
                    {"row": name, "equal_predictions": same},
                    case.as_row(name),
                    digits=MOST,
                    fit=usual(case, "other-row"),
                )


def _by_numbers_of_rows(case: Case) -> Iterator[Found]:
    """Other rows of the table: their logs' numbers, their published numbers."""
    if case.row is None or case.stored is None or case.benchmark is None:
        return
    own = case.audit and case.audit.table_value
    mine = _epochs_like(case.counts, case.audit, own.epochs)[0] if case.audit and own else None
    for name, audit in case.logs.items() if case.is_off or mine == set() else ():
        table = audit.table_value
        hits, chance = _epochs_like(case.counts, audit, table.epochs if table else ())
        p = min(1.0, len(case.logs) * chance)
        if hits:
            yield Found(
                "other-row",
                f"these are the numbers of {name}'s training log (epoch {max(hits)}): the file is "
                "that row's",
                {"row": name, "epoch": max(hits), "chance": p},
                case.as_row(name),
                p=p,
                digits=_digits(p),
                fit=usual(case, "other-row"),
            )
    others = [one for one in case.benchmark.manifest.rows if one.id != case.row.id]
    exonerated = case.verdict is not None and case.logged and case.verdict.log != NOT_ITS_LOG
    same_number = [one.id for one in others if one.reported_top1 == case.reported]
    if exonerated and same_number and case.logged and not case.logged.given_by:
        yield Found(
            "other-row",
            f"the file is its log's, and the published number is also {same_number[0]}'s: it may "
            "stand in the wrong line",
            {"row": same_number[0]},
            case.command("zoo", "show", case.row.id),
            fit=_met_by(case, len(others)),
        )


def _by_labels(case: Case) -> Iterator[Found]:
    """Whether another numbering of the classes makes the predictions right."""
    if not case.is_off or case.stored is None or case.reported is None or case.benchmark is None:
        return
    confusion = Confusion(case.known, case.stored.files, case.reported)
    named = confusion.named()
    tested = [*named, confusion.fitted()]
    verify = case.command("data", "verify", case.benchmark.name)
    better = [one for one in tested if one.p * len(tested) <= SURE]
    known = [one for one in better if one in named and one.hits >= one.expected * 0.6]
    explains = [one for one in better if one.hits >= one.expected * PARTLY]
    for one in known or explains:  # an order without a name only where no known one explains it
        p = min(1.0, one.p * len(tested))
        yield _renumbered(case, one, p, verify, fitted=one is tested[-1])
    if any(one.hits / max(one.expected, 1.0) >= 0.6 for one in better):
        return  # the numbering explains it all
    hits, images, commonest = confusion.told
    from scipy.stats import binom

    p = float(binom.sf(hits - 1, images, min(1.0, 2 * commonest)))
    related = [min(1.0, one.p * len(tested)) for one in better if one not in explains]
    before = case.counts[case.head].correct / case.counts[case.head].total
    if before <= 3 * max(commonest, 1 / confusion.classes) and (
        related or 100 * hits / images > case.reported / 4
    ):
        p = min(p, *related, 1.0)
        yield Found(
            "other-head",
            f"the predictions tell the classes apart ({100 * hits / images:.1f}% of one half of "
            "the images follow from what the other half's predictions meant), but by no numbering "
            f"of these classes: {KEYS['other-head']}",
            {"told": 100 * hits / images, "top1": 100 * before, "p": p},
            case.command(
                "zoo", "inspect", case.ref or "FILE", *(["--row", case.row.id] if case.row else [])
            ),
            p=p,
            digits=min(FACT - 1, _digits(p)),  # what the file itself shows goes before
        )


def _renumbered(case: Case, one: Renumbered, p: float, verify: str, *, fitted: bool) -> Found:
    """A numbering that makes significantly more predictions right, and how well it explains them."""
    ratio = one.hits / max(one.expected, 1.0)
    fit = 1.0 if 0.6 <= ratio <= 1.6 else within(ratio, 0.8, 1.25)
    how = "fitted on the other half" if fitted else "as it stands"
    return Found(
        one.key,
        f"{one.order}: with it, {one.hits} of {one.images} images are right in place of "
        f"{one.before} ({how})",
        {"before": one.before, "after": one.hits, "images": one.images, "p": p},
        verify,
        p=p,
        digits=_digits(p),
        fit=fit - 0.5 * fitted,  # a known order before one that fits everything
    )


def _by_training(case: Case) -> Iterator[Found]:
    """Evaluated images among the training's."""
    if case.stored is None or not case.counts:
        return
    shared = set(case.training or ())
    both = np.array([file in shared for file in case.stored.files], bool)
    right = case.known.correct
    if both.any():
        on, off = 100 * right[both].mean(), 100 * right[~both].mean() if (~both).any() else math.nan
        yield Found(
            "leak",
            f"{int(both.sum())} of {len(both)} evaluated images stand in the training list; of "
            f"them {on:.1f}% are right, of the others {off:.1f}%",
            {"images": int(both.sum()), "top1_on_them": on, "top1_on_others": off},
            case.command("data", "verify", case.benchmark.name) if case.benchmark else None,
            digits=FACT + 1,
            fit=0.5,
        )


def _too_good(case: Case) -> Iterator[Found]:
    """A number above all that the log has."""
    if case.stored is None or not case.is_off or case.gap <= FAR:
        return
    logged = case.audit.summaries if case.audit else ()
    best = max((one.value for one in logged), default=case.reported or 0.0)
    if case.counts[case.head].top1 > best + HANDFUL:
        sure = float(np.nanmean(case.known.confidence))
        yield Found(
            "leak",
            f"{signed(case.gap, case.decimals)} points more than published, more than any "
            "epoch of the log: as of a network that saw these images in training (mean "
            f"confidence {sure:.2f})",
            {"gap_points": case.gap, "best_logged": best, "confidence": sure},
            case.command("zoo", "inspect", case.ref or "FILE"),
            digits=1.0,
            fit=usual(case, "leak"),
        )


def _by_trials(case: Case) -> Iterator[Found]:
    """Other pixels, tried on some images: do they give the published number, or these predictions?"""
    if not case.is_off or case.stored is None or case.benchmark is None:
        return
    published, others = case.benchmark.manifest.protocol, [one for one in case.trials if one.key]
    for one in others:
        fit, gained, lost, evidence = tried(case, one)
        p = min(1.0, len(others) * mcnemar(gained, lost)) if gained > lost else 1.0
        digits = _digits(p)
        if "as_kept" in evidence:
            text = (
                f"so {100 * evidence['as_kept']:.1f}% of the {evidence['images']} predictions "
                "tried come out as they were kept, by the table's own pixels "
                f"{100 * evidence['as_kept_before']:.1f}%"
            )
            command = case.evaluation("--fresh")
        else:
            # It is hard to make a network right by chance, and easy to make it wrong: of pixels that
            # lose images only how near they come to the published number counts.
            missing = abs(evidence["top1"] - (case.reported or 0.0))
            whole = evidence["images"] == case.counts[case.head].total
            near = HANDFUL + 0.5 * 10.0**-case.decimals if whole else 3 * evidence["spread"]
            if missing <= near:
                p, digits = (0.0 if whole else p), max(digits if case.gap < 0 else 0.0, 1.0)
            elif case.gap > 0 or missing > -case.gap / 2:
                continue
            if not whole and case.gap > 0:
                p = min(1.0, len(others) * 6 * evidence["spread"] * UNRELATED)
            text = (
                f"so {evidence['right']} of {evidence['images']} images tried are right in place "
                f"of {evidence['right_before']}, which makes about {evidence['top1']:.1f} of all"
            )
            command = case.evaluation(*flags(one.protocol, published))
        fit += max(-1.0, usual(case, one.key)) / 2  # of two that give the number, the commoner
        yield Found(
            one.key, f"{KEYS[one.key]}: {text}", evidence, command, p=p, digits=digits, fit=fit
        )


def tried(case: Case, trial: Trial) -> tuple[float, int, int, dict[str, Any]]:
    """What a trial says beside the benchmark's own pixels on the same images.

    Digits by which it explains the number, images that it gains and loses, and the evidence. Where
    the benchmark's pixels don't give the predictions as they were kept, gained is what comes out
    as kept; else what is right.
    """
    base = next(o for o in case.trials if not o.key and np.array_equal(o.indices, trial.indices))
    seen, again, given = (
        known.top[:, 0]
        for known in (
            trial.heads[case.head],
            base.heads[case.head],
            case.known.at(trial.indices),
        )
    )
    labels, n = case.known.labels[trial.indices], len(seen)
    alike, alike_before = float((seen == given).mean()), float((again == given).mean())
    evidence: dict[str, Any] = {
        "images": n,
        "right": int((seen == labels).sum()),
        "right_before": int((again == labels).sum()),
    }
    aim = labels if alike_before >= SAME_PIXELS else given
    gained = int(((seen == aim) & (again != aim)).sum())
    lost = int(((seen != aim) & (again == aim)).sum())
    if aim is given:
        evidence |= {"as_kept": alike, "as_kept_before": alike_before}
        return 4 * alike, gained, lost, evidence
    evidence["top1"] = case.counts[case.head].top1 + 100 * (gained - lost) / n
    whole = n == case.counts[case.head].total  # then nothing is left to chance but a handful
    spread = max(
        HANDFUL if whole else 100 * math.sqrt(gained + lost) / n, 0.5 * 10.0**-case.decimals
    )
    evidence["spread"] = spread
    missing = abs(evidence["top1"] - (case.reported or 0.0)) / max(abs(case.gap), 1e-9)
    closed = FEWEST + 4 * max(0.0, 1 - missing)  # of what doesn't give it all, what gives most
    return max(_near(case, evidence["top1"], spread), closed), gained, lost, evidence


_BY_FILE = (_by_traits, _by_the_files_word, _by_rows)
FACTS = (*_BY_FILE, _by_conditions, _by_log, _by_labels, _by_training)
OTHERWISE = {*PIXEL_KEYS, "arithmetic", "other-row", "other-head"}
_ANYTHING = {*OTHERWISE, "images-missing", "other-list"}
# Clues that hold the number itself against log, table or trials; which causes each can find; and
# beside which known ones it is silent. An image or two, as fast arithmetic flips, is no leak.
GUESSES = (
    (_by_epochs, {"other-epoch"}, _ANYTHING),
    (_by_rounding, {"rounding"}, _ANYTHING),
    (_by_numbers_of_rows, {"other-row"}, _ANYTHING - {"other-row"}),
    (_too_good, {"leak"}, _ANYTHING - {"arithmetic"}),
    (_by_trials, set(PIXEL_KEYS), OTHERWISE),
)


def look(case: Case) -> tuple[list[Found], set[str]]:
    """All that was found, and the causes that this number isn't fit to tell, see GUESSES."""
    found, silent = [one for fact in FACTS for one in fact(case)], set[str]()
    differs = known_to_differ(case)
    for guess, keys, beside in GUESSES:
        silent |= keys if differs & beside else set()
        found += () if differs & beside else guess(case)
    return found, silent


def known_to_differ(case: Case) -> set[str]:
    """Causes by which the number isn't the one that log and table tell of, by anybody's word."""
    of_file = {one.key for by in _BY_FILE for one in by(case)}
    return of_file & {"other-row", "other-head"} | {one.key for one in _by_conditions(case)}
