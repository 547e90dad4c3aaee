"""`mixzoo zoo publish`: rows and runs as a repository on the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo.catalog import open_catalog
from ..console import print_json, print_table, say
from ..options import FilePath, OutputFolder, complete_names, json_option, manifest_option, option

if TYPE_CHECKING:
    from ...zoo.publish.repository import Model


@click.command("publish")
@click.argument(
    "refs", nargs=-1, required=True, metavar="ROW|RUN...", shell_complete=complete_names
)
@option("--repo OWNER/NAME", "Name of the repository on the hub.", to="repository", required=True)
@option(
    "--report FILE.json",
    "What `mixzoo eval --out` wrote for these weights; without it no number is published.",
    FilePath,
)
@option(
    "--evidence DIR",
    "What `mixzoo eval --evidence` wrote, instead of --report: it is checked, and published too.",
    FilePath,
    to="evidence_in",
)
@option("--log FILE", "Training log of a run, if it isn't found.", FilePath)
@option("--row ROW", "The row whose method and recipe a run has.")
@option("--license ID", "Licence of the weights, in the hub's words.", default="unknown")
@option(
    "--leaderboard OWNER/DATASET:TASK",
    "Also enter the number at this benchmark of the hub (.eval_results).",
)
@option("--folder DIR", "Folder to build in.  [default: ./NAME]", OutputFolder)
@option("--force", "Replace files in the folder that differ.")
@option("--private", "Create the repository private.")
@option("--dry-run", "Build the folder and stop; nothing is uploaded.")
@manifest_option
@json_option
def command(
    folder: Path | None,
    evidence_in: Path | None,
    private: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Publish rows or runs as a repository on the hub.

    A ROW is a row id, a RUN a checkpoint file or the folder of a training run. The repository
    is a source of weights itself: it holds safetensors, logs, a model card, the report, and a
    manifest with its lock; and the weights under timm's names, with its config.json, where timm
    has such a network. Uploading takes HF_TOKEN (or `hf auth login`) and honours HF_ENDPOINT.
    """
    from ...eval.signed import sound
    from ...zoo.files import sha256_of
    from ...zoo.publish.build import Publication, build
    from ...zoo.publish.repository import Evidence
    from ...zoo.publish.upload import hub, upload
    from ...zoo.signing import SIGNATURE, check

    folder = folder or Path(options["repository"].partition("/")[2])
    paths = (evidence_in,) if evidence_in else ()
    evidence = [
        Evidence(tuple(one.files), one.digest, one.report)
        for one in sound(paths, open_catalog(options["manifests"]))
    ]
    publication = Publication(folder=folder, evidence=evidence, **options)
    api = None if dry_run else hub()  # a missing token is told before anything is built
    repository, hashes = build(publication)
    if signature := check(folder):  # a part of what was signed would be another folder
        hashes |= {**signature.files, SIGNATURE: sha256_of(folder / SIGNATURE)}
    files = [
        {"path": name, "size": (folder / name).stat().st_size, "sha256": sha256}
        for name, sha256 in hashes.items()
    ]
    notes = list(repository.notes())
    if not as_json:
        cells = [(file["path"], f"{file['size']:,}", file["sha256"]) for file in files]
        print_table(("File", "Bytes", "sha256"), cells, right=("Bytes",), optional=("sha256",))
        for note in notes:
            say(note, style="yellow")
        say(f"The repository {repository.id} is built in {folder}")
    url = commit = None
    if api:
        url, commit = upload(api, repository.id, folder, list(hashes), private=private)
    if not as_json:
        say(f"Uploaded: {url}" if url else "Dry run: nothing was uploaded.")
        return
    print_json(
        {
            "repository": repository.id,
            "folder": str(folder),
            "files": files,
            "models": [_facts(model) for model in repository.models],
            "notes": notes,
            "uploaded": url is not None,
            "url": url,
            "commit": commit,
        }
    )


def _facts(model: "Model") -> dict[str, Any]:
    return {
        "id": model.id,
        "row": model.candidate.row.id,
        "file": model.weights.name,
        "source_sha256": model.candidate.checkpoint.sha256,
        "released": model.candidate.is_released,
        "top1": model.number.top1 if model.number else None,
    }
