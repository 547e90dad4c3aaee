"""Writes the demo as a folder that runs where people put demos: a Hugging Face Space, or Docker."""

import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ...viz.pages import environment
from ...zoo import files
from ...zoo.errors import UsageError
from .settings import Settings

PACKAGE = Path(__file__).parents[2]
FOLDERS = ("app", "eval", "manifests", "train", "viz", "zoo")  # the package; tests and docs stay
TEXTS = {"README.md": "README.md", "app.py": "app.py.j2", "Dockerfile": "Dockerfile"}
NAMES = {*TEXTS, "requirements.txt", "mixzoo", "reports"}
NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc")


def write(folder: Path, settings: Settings) -> None:
    """Write a Space into a folder: the package, what starts it, its requirements, its description.

    Of the settings it takes reports, downloads and tools. An earlier Space there is replaced; git's
    own files stay. Raises UsageError for a folder that holds something else, for a row or a
    manifest of one's own, or if mixzoo isn't installed; OSError where it can't be written.
    """
    if settings.refs or settings.manifests:
        raise UsageError(
            "--space takes neither --ref nor --manifest: the folder holds what the package holds, "
            "and its page offers what is downloaded there. Leave them out."
        )
    here = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if other := sorted(name for name in here - NAMES if not name.startswith(".git")):
        raise UsageError(
            f"{folder}: expected a new folder, or a Space of mixzoo, and found {other[0]}. Name "
            "another one."
        )
    options = ["--mcp"] * settings.mcp
    if settings.allow_downloads is not None:
        options.append("--allow-downloads" if settings.allow_downloads else "--no-downloads")
    for name in ("mixzoo", "reports"):
        shutil.rmtree(folder / name, ignore_errors=True)
    if settings.reports:
        options += ["--reports", "reports"]
        for path in settings.reports.rglob("*.json"):
            copy = folder / "reports" / path.relative_to(settings.reports)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    for name in FOLDERS:
        shutil.copytree(PACKAGE / name, folder / "mixzoo" / name, ignore=NOT_CODE)
    for name in ("__init__.py", "__main__.py"):
        shutil.copyfile(PACKAGE / name, folder / "mixzoo" / name)
    facts = {
        "gradio": version("gradio"),
        "python": ".".join(map(str, sys.version_info[:2])),
        "mcp": settings.mcp,
        "options": options,
    }
    templates = environment(Path(__file__).parent / "templates" / "space", markdown=True)
    for name, template in TEXTS.items():
        files.write(folder / name, templates.get_template(template).render(facts))
    files.write(folder / "requirements.txt", "\n".join(_requirements(mcp=settings.mcp)) + "\n")


def _requirements(*, mcp: bool) -> list[str]:
    """What the package needs, in the versions that are installed here.

    Raises UsageError if mixzoo isn't installed.
    """
    wanted = "mcp" if mcp else None
    try:
        named = [
            re.match(r"([\w.-]+)(?:.*extra == [\"'](\w+)[\"'])?", one)
            for one in requires("mixzoo") or ()
        ]
        return [
            f"{found[1]}=={version(found[1]).partition('+')[0]}"
            for found in named
            if found and found[2] in (None, wanted)
        ]
    except PackageNotFoundError as error:
        raise UsageError(
            f"--space names the versions that are installed here, and {error.name} isn't. Run: pip "
            "install ."
        ) from None
