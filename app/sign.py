"""`mixzoo sign`: evidence and repositories, by a key or a certificate of one's own."""

from pathlib import Path

import click

from ..zoo.catalog import open_catalog
from .console import say
from .options import FilePath, PresentFile, manifest_option, option


@click.command("sign")
@click.argument("folders", nargs=-1, required=True, type=FilePath, metavar="FOLDER...")
@option("--key FILE", "Your private key: PEM, P-256, P-384 or P-521.", PresentFile, required=True)
@option(
    "--certificate FILE",
    "The key's certificate, then those between it and its authority's (PEM).",
    PresentFile,
)
@option(
    "--password",
    "The key's password, where it has one; without TEXT it is asked for.",
    str,
    prompt="Password of the key",
    prompt_required=False,
    hide_input=True,
)
@manifest_option
def command(
    folders: tuple[Path, ...],
    key: Path,
    certificate: Path | None,
    password: str | None,
    manifests: tuple[Path, ...],
) -> None:
    """Sign evidence, or a repository, with a key of your own.

    A FOLDER is what mixzoo eval --evidence or mixzoo zoo publish wrote. Each row's evidence is
    checked first; then its verdict is signed (verdict.sigstore.json), and all of its files
    (model.sig). A repository is signed as a whole, too. It works offline and takes
    pip install 'mixzoo[sign]'.
    """
    from ..eval import signed
    from ..zoo.signing import Signer

    catalog, signer = open_catalog(manifests), Signer(key, certificate, password)
    for folder in folders:
        for path, by in signed.sign(folder, signer, catalog):
            say(f"{path}: signed by {by}")
    say(
        "Give your public key or certificate to those who check: eval check, zoo verify "
        "--signed-by."
    )
