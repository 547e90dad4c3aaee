"""`mixzoo eval compare`: which row is right more often, image by image on the same images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo.catalog import Catalog, open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option

if TYPE_CHECKING:
    from ...eval.compare import NamedPredictions, Pair
    from ...eval.store import Stored

ALL_HEADS = "all"


@click.command("compare")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--against", metavar="REF", help="Compare the others with this one only.")
@click.option("--head", metavar="HEAD", help="Of AutoMix and SAMix: a head's name, or all.")
@click.option("--markdown", is_flag=True, help="Print Markdown instead of a table.")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    against: str | None,
    head: str | None,
    markdown: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Compare rows or checkpoints that were evaluated on the same images, by a paired test.

    Each REF must have been evaluated with mixzoo eval: the predictions are read from the store, no
    model is run. With three and more every two are compared and the p-values are corrected.
    """
    from ...eval.compare import compare_rows

    if as_json and markdown:
        raise UsageError("Both --json and --markdown were given; expected one of them.")
    if against is not None and against not in refs:
        refs = (*refs, against)
    if len(refs) < 2:
        raise UsageError(f"{' '.join(refs)}: expected at least two REFs to compare, got one.")
    if against is not None and head == ALL_HEADS:
        raise UsageError("--head all: expected one head with --against, which names one row.")
    rows, fast = find_rows(refs, open_catalog(manifests), head)
    show(compare_rows(rows, against=against), as_json=as_json, markdown=markdown)
    for name in fast if not as_json else ():
        text = f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's."
        click.echo(text, err=True)


def show(pairs: "Sequence[Pair]", *, as_json: bool = False, markdown: bool = False) -> None:
    """Print what was found, with the rules and how far they reach."""
    from ...eval import compare

    if as_json:
        print_json(compare.to_dict(pairs))
        return
    if markdown:
        click.echo(compare.to_markdown(pairs), nl=False)
        return
    print_table(
        compare.COLUMNS,
        [compare.cells(pair) for pair in pairs],
        right=compare.COLUMNS[2:8],
        optional=("p", "95% interval"),
    )
    for line in (pair.sentence for pair in pairs) if len(pairs) == 1 else ():
        say(line)
    for line in compare.legend(pairs):
        say(line)


def find_rows(
    refs: Sequence[str], catalog: Catalog, head: str | None = None
) -> "tuple[list[NamedPredictions], list[str]]":
    """Stored predictions of all references under one protocol and label list.

    head: which one of several; None for the one that inference uses. Returns them and the names of
    those made with fast arithmetic. Raises UsageError for a reference that wasn't evaluated, or
    none of whose evaluations has the protocol and list of the others'.
    """
    from ...eval.store import of_weights

    known = {ref: list(of_weights(_weights_sha256(ref, catalog))) for ref in refs}
    for ref, found in known.items():
        if not found:
            raise UsageError(
                f"{ref}: no evaluation of it is stored. Run: mixzoo eval {ref} --data DIR"
            )
    chosen = _under_one_setting(known)
    rows = [
        row
        for ref, stored in chosen.items()
        for row in _rows_of(ref, stored, chosen[refs[0]], head)
    ]
    return rows, [ref for ref, stored in chosen.items() if stored.key["precision"] == "fast"]


def _weights_sha256(ref: str, catalog: Catalog) -> str:
    """The hash that predictions are stored under; a locked row's file needn't be here."""
    from ...zoo import shelf
    from ...zoo.refs import is_path, resolve

    known = None if is_path(ref) else shelf.file(*catalog.row(ref)).sha256
    return known or resolve(ref, catalog).sha256


def _under_one_setting(known: "dict[str, list[Stored]]") -> "dict[str, Stored]":
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
    settings = {_setting(stored) for stored in known[first]}
    lonely = next((r for r in others if settings.isdisjoint(map(_setting, known[r]))), others[-1])
    raise UsageError(
        f"{first} and {lonely} were not evaluated alike: {_differences(known[first][0], known[lonely][0])}. "
        "Evaluate them with the same --data, label list and protocol flags."
    )


def _setting(stored: "Stored") -> str:
    """What two evaluations must share to be paired: pixels and labelled list."""
    names = ("protocol", "list_sha256")
    return json.dumps({name: stored.key[name] for name in names}, sort_keys=True)


def _differences(a: "Stored", b: "Stored") -> str:
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


def _rows_of(
    ref: str, stored: "Stored", first: "Stored", head: str | None
) -> "list[NamedPredictions]":
    """The heads asked for, in the order of the first reference's images."""
    from ...eval.compare import NamedPredictions

    heads, list_sha256 = stored.ordered(first.files).heads, stored.key["list_sha256"]
    if head == ALL_HEADS and len(heads) > 1:
        return [NamedPredictions(f"{ref} {name}", heads[name], list_sha256) for name in heads]
    name = next(iter(heads))
    if head not in (None, ALL_HEADS) and len(heads) > 1:
        if head not in heads:
            raise UsageError(f"--head {head}: {ref} has {', '.join(heads)}, or give all.")
        name = head
    return [NamedPredictions(ref, heads[name], list_sha256)]
