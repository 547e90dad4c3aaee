"""Signed verdicts: what a folder of evidence gives, as an in-toto statement that somebody signs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ..zoo import signing
from ..zoo.catalog import Catalog
from ..zoo.errors import IntegrityError
from ..zoo.looks import look
from . import evidence
from .evidence import INDEX, VERDICT, Checked, find

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def statement(checked: Checked) -> dict[str, Any]:
    """The verdict on weights, by in-toto's predicate for the results of tests.

    Its subject is the weights; its configuration names list, predictions and all else of the
    evidence by their hashes, with protocol and counts. It has PASSED where the number is
    reproduced, FAILED where it is contradicted, else WARNED.
    """
    row, report, index = checked.row, checked.report, checked.index
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for word in filter(None, (row.verdict, row.matches_log)):
        result = {"good": "passedTests", "bad": "failedTests"}.get(look(word).tone, "warnedTests")
        tests[result].append(word)
    hashes = {INDEX: checked.digest, "list": report.data.list_sha256} | index.files
    said = {name: getattr(row.judged, name) for name in ("head", "correct", "correct5", "total")}
    said |= {"row": row.id, "published": row.reported_top1}
    said |= {"pixels": report.protocol, "precision": index.key.get("precision")}
    worst = [name for name, words in tests.items() if words][-1]
    plain = {
        "_type": signing.STATEMENT,
        "subject": [{"name": row.weights.file, "digest": {"sha256": row.weights.sha256}}],
        "predicateType": TEST_RESULT,
        "predicate": tests
        | {
            "result": worst.removesuffix("Tests").upper(),
            "configuration": [
                {"name": name, "digest": {"sha256": sha256}} for name, sha256 in hashes.items()
            ],
        },
    }
    plain["predicate"]["configuration"][0]["annotations"] = said
    return json.loads(msgspec.json.encode(plain))


def sign(folder: Path, signer: signing.Signer, catalog: Catalog) -> Iterator[tuple[Path, str]]:
    """Sign evidence (a row's, or the folders of several), or a repository and the evidence in it.

    Evidence in a repository that is signed already keeps its signature. Yields each folder that was
    signed, and by whom. Raises IntegrityError for evidence that isn't what it says, and for a
    folder that is neither.
    """
    from ..zoo.publish.repository import LOCK

    whole = (folder / LOCK).is_file()
    for row in sorted(p.parent for p in folder.rglob(INDEX)) if whole else find((folder,)):
        checked = (check if whole else evidence.check)(row, catalog)
        if checked.problems:
            raise IntegrityError(f"{row}: wasn't signed. {checked.problems[0]}")
        if checked.signature:  # who evaluated may be another than who publishes
            continue
        signer.sign_statement(statement(checked), row / VERDICT)
        yield row, signer.sign_folder(row).by
    if whole:
        yield folder, signer.sign_folder(folder).by


def check(folder: Path, catalog: Catalog, signed_by: Path | None = None) -> Checked:
    """`evidence.check`, and who signed the folder; a signature that doesn't hold is a problem, too.

    signed_by: as `signing.check` takes it.
    """
    checked = evidence.check(folder, catalog)
    try:
        found = signing.check(folder, signed_by)
        if found and VERDICT in found.files:
            path = folder / VERDICT
            if signing.read(path, signed_by, TEST_RESULT).statement != statement(checked):
                raise IntegrityError(
                    f"{path}: the evidence gives another verdict than was signed. Get both again."
                )
    except IntegrityError as error:
        problem = str(error).removeprefix(f"{folder}: ")
        return replace(checked, problems=(*checked.problems, problem))
    return replace(checked, signature=found)


def sound(folders: tuple[Path, ...], catalog: Catalog) -> list[Checked]:
    """The evidence in these folders. Raises IntegrityError if it isn't what it or who signs says."""
    checked = [check(folder, catalog) for folder in find(folders)]
    evidence.require_sound(checked)
    return checked
