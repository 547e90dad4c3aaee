"""Finds kept predictions that can be paired: those of rows and checkpoints, or behind reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..zoo import shelf
from ..zoo.catalog import Benchmark, Catalog
from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.manifest import Row as TableRow
from ..zoo.report import Report, Row, read_report
from . import evidence
from .compare import NamedPredictions
from .protocol import flags, pixels
from .report import kept_report, readable_audit
from .store import Stored, of_weights

ALL_HEADS = "all"


def rows_of(
    refs: Sequence[str], catalog: Catalog, head: str | None = None
) -> tuple[list[NamedPredictions], list[str]]:
    """Kept predictions under one protocol and label list, however they are named.

    refs: rows and checkpoint files that were evaluated here, reports (`.json`, each of their rows),
    and folders of evidence, which must be intact. head: of AutoMix and SAMix, or ALL_HEADS; None
    for the one that inference uses. Returns them and the names of those made with fast arithmetic.
    Raises UsageError for what wasn't evaluated, or not under the protocol and list of the others,
    or a head that none has; what reading reports and evidence raises.
    """
    chosen: list[tuple[str, Stored]] = []
    own: list[str] = []
    for ref in refs:
        path = Path(ref)
        if path.suffix == ".json":
            report = read_report(path)
            chosen += [(row.id, behind(report, row, catalog)) for row in report.rows]
        elif path.is_dir():
            checked = [evidence.check(folder, catalog) for folder in evidence.find((path,))]
            evidence.require_sound(checked)
            chosen += [(one.row.id, one.stored) for one in checked]
        else:
            own.append(ref)
    chosen += _kept_here(own, catalog) if own else []
    for name, stored in chosen[1:]:
        if _setting(stored) != _setting(chosen[0][1]):
            raise _unlike(chosen[0][0], name, chosen[0][1], stored)
    return _named(chosen, head), [name for name, stored in chosen if _is_fast(stored)]


def _kept_here(refs: Sequence[str], catalog: Catalog) -> list[tuple[str, Stored]]:
    """Predictions of rows and files, which share a setting; fast ones where nothing else is kept."""
    known = {ref: sorted(of_weights(_weights_sha256(ref, catalog)), key=_is_fast) for ref in refs}
    for ref, found in known.items():
        if not found:
            raise UsageError(
                f"{ref}: no evaluation of it is stored. Run: {catalog.command('eval', ref)}"
            )
    return list(_under_one_setting(known).items())


def behind(report: Report, row: Row, catalog: Catalog) -> Stored:
    """The kept predictions that a report's row was made of.

    Raises UsageError with the command that makes them if they aren't kept here, or are of another
    evaluation.
    """
    setting = {"protocol": pixels(report.protocol), "list_sha256": report.data.list_sha256}
    for stored in of_weights(row.weights.sha256):
        hits = {head: known.counts().correct for head, known in stored.heads.items()}
        if _setting(stored) == setting and all(hits.get(h.head) == h.correct for h in row.heads):
            return stored
    benchmark = catalog.benchmarks.get(report.benchmark or "")
    used = msgspec.convert(pixels(report.protocol), Protocol)
    others = flags(used, benchmark.manifest.protocol) if benchmark else []
    if row.default.precision.get("precision") == "fast":
        others += ["--precision", "fast"]
    raise UsageError(
        f"{row.id}: the predictions behind its report aren't kept here (MIXZOO_CACHE). Evaluate it "
        f"again: {catalog.command('eval', row.id, *others)}"
    )


def write_evidence(benchmark: Benchmark, row: TableRow, root: Path) -> Path:
    """Write the evidence of a row that was evaluated here below `root`; returns its folder.

    Raises UsageError if no evaluation of it is kept, OSError where it can't be written.
    """
    report = kept_report(benchmark, row)
    if report is None:
        evaluate = benchmark.command("eval", row.id, *benchmark.images, "--evidence", root)
        raise UsageError(f"{row.id}: no evaluation of it is kept here. Run: {evaluate}")
    [judged] = report.rows
    audit, _ = readable_audit(benchmark, row)
    logs = audit.log.files if audit else ()
    stored = behind(report, judged, Catalog({benchmark.name: benchmark}))
    return evidence.write(root, report, judged, stored, judged_as=row.id, logs=logs)


def _named(chosen: Sequence[tuple[str, Stored]], head: str | None) -> list[NamedPredictions]:
    """The heads asked for, in the order of the first one's images."""
    known = dict.fromkeys(name for _, stored in chosen for name in stored.heads)
    if head not in (None, ALL_HEADS, *known):
        raise UsageError(f"--head {head}: expected one of {', '.join(known)}, or all. Name one.")
    rows = []
    for ref, stored in chosen:
        heads, list_sha256 = stored.ordered(chosen[0][1].files).heads, stored.key["list_sha256"]
        if head == ALL_HEADS and len(heads) > 1:
            names = {name: f"{ref} {name}" for name in heads}
        else:
            names = {head if head in heads else next(iter(heads)): ref}
        rows += [
            NamedPredictions(said, heads[name], list_sha256, chosen[0][1].files)
            for name, said in names.items()
        ]
    return rows


def _is_fast(stored: Stored) -> bool:
    return stored.key["precision"] == "fast"


def _weights_sha256(ref: str, catalog: Catalog) -> str:
    """The hash that predictions are stored under; a locked row's file needn't be here."""
    from ..zoo.refs import is_path, resolve

    known = None if is_path(ref) else shelf.file(*catalog.row(ref)).sha256
    return known or resolve(ref, catalog).sha256


def _under_one_setting(known: dict[str, list[Stored]]) -> dict[str, Stored]:
    """The newest evaluation of the first reference whose setting all others share."""
    first, *others = known
    for candidate in known[first]:
        setting = _setting(candidate)
        found = {
            ref: next((s for s in known[ref] if _setting(s) == setting), None) for ref in others
        }
        shared = {ref: stored for ref, stored in found.items() if stored is not None}
        if len(shared) == len(others):
            return {first: candidate, **shared}
    settings = [_setting(stored) for stored in known[first]]
    lonely = next(
        (ref for ref in others if all(_setting(one) not in settings for one in known[ref])),
        others[-1],
    )
    raise _unlike(first, lonely, known[first][0], known[lonely][0])


def _unlike(first: str, other: str, a: Stored, b: Stored) -> UsageError:
    return UsageError(
        f"{first} and {other} were not evaluated alike: {_differences(a, b)}. Evaluate them with "
        "the same --data, label list and protocol flags."
    )


def _setting(stored: Stored) -> dict[str, Any]:
    """What two evaluations must share to be paired: pixels and labelled list."""
    return {name: stored.key[name] for name in ("protocol", "list_sha256")}


def _differences(a: Stored, b: Stored) -> str:
    """How the newest evaluations of two references differ, in words."""
    told = [
        f"{name} {_plain(value)} and {_plain(b.key['protocol'].get(name))}"
        for name, value in a.key["protocol"].items()
        if value != b.key["protocol"].get(name)
    ]
    if a.key["list_sha256"] != b.key["list_sha256"]:
        told.append(f"label lists of {len(a.files)} and {len(b.files)} images")
    return ", ".join(told) or "no evaluation is shared by all"


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
