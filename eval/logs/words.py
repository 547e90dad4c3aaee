"""An audit in sentences."""

from collections.abc import Iterator

from ...zoo.errors import NAMED, several
from .arithmetic import EDITED, IMPOSSIBLE, OTHER_IMAGES, WHOLE, CountTest, padding
from .audit import LogAudit
from .reading import spans

MOST_PROCESSES, RELEASED_BATCH = 64, 128  # of validations that may have been padded


def explain(audit: LogAudit) -> Iterator[str]:
    """What was read, what gives the published number, the k/N test, then remarks."""
    yield _read(audit)
    yield _published(audit)
    yield _arithmetic(audit.arithmetic)
    if audit.arithmetic.contradictions:
        impossible = several(audit.arithmetic.contradictions, "; ")
        yield f"top-5 below top-1: {impossible}. No evaluation gives that"
    if twin := audit.log.twin:
        names = " and ".join(one.files[0].name for one in (audit.log, twin))
        found = "; ".join(audit.differences)
        yield f"{names}, two logs of one run, " + (
            f"disagree: {found}" if found else "say the same"
        )
    yield from audit.remarks


def _read(audit: LogAudit) -> str:
    log, horizon = audit.log, audit.horizon
    pieces = f" in {log.pieces} pieces" if log.pieces > 1 else ""
    validated = spans(v.epoch for v in log.validations)
    return f"{validated}{pieces} of {horizon.epochs} ({horizon.how})"


def _published(audit: LogAudit) -> str:
    claim, by = audit.claim, audit.reproduced_by
    if claim.top1 is None:
        return "no published number to compare with, until it is told which row it is of"
    number = f"{claim.top1:.{claim.decimals}f}"
    odds = (
        f"{len(audit.summaries)} numbers were tried, and a random one between their lowest and "
        "highest would be met by some of them with a chance of "
        f"{100 * (audit.hit_by_chance or 0):.0f}%"
    )
    if not by:
        nearest = min(audit.summaries, key=lambda s: abs(s.value - (claim.top1 or 0)))
        value = f"{nearest.value:.{claim.decimals + 1}f}"
        name = f"{nearest.rule} of {nearest.head}"
        return f"nothing rounds to {number}, nearest is the {name}: {value}; {odds}"
    # The statistic that the table names comes first.
    ordered = sorted(by, key=lambda s: s.rule != claim.rule)
    names = " and the ".join(f"{s.rule} of {s.head}" for s in ordered)
    return f"the {names} round{'s' * (len(by) == 1)} to {number}; {odds}"


def _arithmetic(found: CountTest) -> str:
    rounded = f"to {found.decimals} decimals"
    passes = f"a random value would pass with a chance of {100 * found.chance:.2g}%"
    misfits = several(found.misfits, "; ")
    if coarser := found.coarser:
        most = max(-int(reading.value.as_tuple().exponent) for reading in coarser)
        rounded += f", {len(coarser)} of them only to {most} ({several(coarser, '; ')}), "
        rounded += "as if from a text log"
    if found.word == WHOLE:
        return f"all {found.tested} accuracies are whole numbers of {_images(found)}, {rounded}; {passes}"
    if found.word == EDITED:
        good = found.tested - len(found.misfits)
        return (
            f"{good} of {found.tested} accuracies are whole numbers of {_images(found)}, "
            f"{rounded}; edited or damaged: {misfits}; {passes}"
        )
    if found.word == OTHER_IMAGES:
        source = (
            f"all are whole numbers of {_images(found)}"
            if found.images
            else "too few values to say of how many images they are"
        )
        return f"not of {found.expected:,} images: {source}, {rounded}; {passes}"
    if found.word == IMPOSSIBLE:
        expected = f"{found.expected:,} images, nor of " if found.expected else ""
        return (
            f"not whole numbers of {expected}any up to {found.searched:,}, {rounded}: averaged "
            "over batches, edited or invented" + (f": {misfits}" if misfits else "")
        )
    return f"the k/N test says nothing: too few values, or too coarse ({rounded})"


def _images(found: CountTest) -> str:
    """`24,428 images (24,426 padded to a multiple of 4)`."""
    notes = []
    multiples = padding(found.expected, found.images) if found.expected and found.images else ()
    likely = [m for m in multiples if m <= MOST_PROCESSES or m % RELEASED_BATCH == 0]
    if likely:
        listed = " or ".join(map(str, likely[:NAMED]))
        notes.append(f"{found.expected:,} padded to a multiple of {listed}")
    elif found.expected not in (None, found.images):
        notes.append(f"{found.expected:,} expected")
    return f"{found.images:,} images" + (f" ({'; '.join(notes)})" if notes else "")
