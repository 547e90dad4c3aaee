"""What is on the disk is what is shipped, and it imports cheaply from anywhere."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from .mini_rows import MIXUP

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
NOT_PACKAGES = {"tests", "benchmarks", "build", "docs"}


def packages_on_disk() -> set[str]:
    """Dotted names of all folders with an `__init__.py` that belong to the package."""
    found = {"mixzoo"}
    for init in ROOT.glob("[a-z]*/**/__init__.py"):
        parts = init.parent.relative_to(ROOT).parts
        if parts[0] not in NOT_PACKAGES:
            found.add(".".join(("mixzoo", *parts)))
    return found


def test_every_package_is_listed() -> None:
    """An unlisted package would work here and be missing from the wheel."""
    assert set(SETUPTOOLS["packages"]) == packages_on_disk()


def test_root_holds_no_stray_module() -> None:
    """A .py file in the root would be shipped as mixzoo.<name>."""
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a user's pip builds it from a copy of the repository."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (out / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            (out / "copy" / name).hardlink_to(ROOT / name)
    subprocess.run(
        [*build, "--wheel-dir", str(out), str(out / "copy")], check=True, capture_output=True
    )
    return next(out.glob("mixzoo-*.whl"))


def test_wheel_holds_modules_and_data(wheel: Path) -> None:
    """Every module and data file of the packages is in the wheel, and nothing of the tests."""
    shipped = set(zipfile.ZipFile(wheel).namelist())

    for package in packages_on_disk():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for path in folder.iterdir():
            if path.suffix in {".py", ".toml", ".json"} and (
                folder != ROOT or path.suffix == ".py"
            ):
                assert f"mixzoo/{path.relative_to(ROOT)}" in shipped
    assert "mixzoo/py.typed" in shipped
    for path in (ROOT / "zoo/mini/assets").iterdir():
        assert f"mixzoo/{path.relative_to(ROOT)}" in shipped
    assert not [name for name in shipped if "test" in name.lower()]


def test_installed_wheel_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own the command lists the embedded benchmark."""
    venv.create(tmp_path / "venv", system_site_packages=False, with_pip=False)
    python = tmp_path / "venv/bin/python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    dependencies = os.pathsep.join(path for path in sys.path if "site-packages" in path)

    run = subprocess.run(
        [str(python), "-m", "mixzoo", "zoo", "list", "mini"],
        cwd=tmp_path,
        env={"PYTHONPATH": dependencies, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert MIXUP in run.stdout


CHEAP = {
    "import mixzoo": "import mixzoo",
    "zoo list": "from mixzoo.app.cli import main; import sys; sys.argv = ['mixzoo', 'zoo', 'list']; main()",
    "zoo list --json": "from mixzoo.app.cli import main; import sys; sys.argv = ['mixzoo', 'zoo', 'list', '--json']; main()",
    "--help": "from mixzoo.app.cli import main; import sys; sys.argv = ['mixzoo', '--help']; main()",
    "zoo show": "from mixzoo.app.cli import main; import sys; sys.argv = ['mixzoo', 'zoo', 'show', 'resnet50.mixup_inat2018']; main()",
    "zoo verify": "from mixzoo.app.cli import main; import sys; sys.argv = ['mixzoo', 'zoo', 'verify']; main()",
}
HEAVY = ("torch", "torchvision", "requests", "scipy", "numpy", "pydantic")


@pytest.mark.parametrize("program", CHEAP.values(), ids=CHEAP)
def test_commands_without_tensors_import_nothing_heavy(program: str, tmp_path: Path) -> None:
    """Listing and help must feel instant, so torch and the network stay unimported."""
    report = f"import atexit, sys; atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules]))\n"

    run = subprocess.run(
        [sys.executable, "-c", report + program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.splitlines()[-1] == "[]"


def test_reports_need_no_torch(tmp_path: Path) -> None:
    """The demo's start waits for what is imported to judge kept predictions."""
    program = "import mixzoo.eval.report, sys; print({'torch', 'torchvision'} & {*sys.modules})"

    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert run.stdout == "set()\n"


def test_load_is_the_lazy_public_face(tmp_path: Path) -> None:
    """`mixzoo.load` is there without an import of its own, and unknown names still fail."""
    program = "import mixzoo; print(mixzoo.load.__module__); mixzoo.nothing"

    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert run.stdout == "mixzoo.zoo.checkpoint.load\n"
    assert "has no attribute 'nothing'" in run.stderr


def test_the_map_names_files_that_exist() -> None:
    """CONTRIBUTING.md leads to files and folders that are there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:zoo|eval|train|viz|app|manifests|tests|docs)/[\w/.]*)`", text))

    assert len(named) > 40
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_version_stands_once_for_all() -> None:
    """CITATION.cff says the package's, and the changelog tells of it."""
    version = re.findall(r'^__version__ = "(.*)"$', (ROOT / "__init__.py").read_text(), re.M)

    assert [yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]] == version
    assert f"## [{version[0]}]" in (ROOT / "CHANGELOG.md").read_text()


def test_workflows_run_what_a_clone_runs() -> None:
    """The hosted checks call .ci/run and nothing else."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]

    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == [".ci/run"]
