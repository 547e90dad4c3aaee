"""What the README and docs/ say is there, and runs as it stands."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.zoo.nets import ResNetConfig
from PIL import Image

from .mini_rows import ARCHITECTURE, PROTOCOL

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in ROOT.glob("docs/*.md")}
PAGES |= {
    name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")
}
README, PYTHON = PAGES["README.md"], PAGES["docs/python.md"]
SIDE = PROTOCOL.crop
WIDTH = 8 * ResNetConfig.from_name(ARCHITECTURE).base_width  # of the features
WIDEST = 99  # characters of a line, of a code block too


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()
COMMANDS = dict(REFERENCE.commands(REFERENCE.cli.app))


def _anchors(text: str) -> set[str]:
    """GitHub's names of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", REFERENCE.PAGES)
def test_reference_is_made_of_the_code(name: str) -> None:
    """`make format` writes these pages."""
    assert (ROOT / "docs" / name).read_text() == REFERENCE.PAGES[name]()


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_python_runs(name: str, golden: Path, tmp_path: Path) -> None:
    """A page's blocks, one after the other, on two images; the file's name stands for a real one."""
    checkpoint = golden / "runs/tiny_automix_ep8/epoch_8.pth"
    photograph = tmp_path / "photograph.jpg"
    Image.new("RGB", (150, 200), "coral").save(photograph)
    names: dict[str, object] = {
        "images": torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)),
        "labels": torch.tensor([3, 5]),
        "paths": [Image.new("RGB", (200, 150), "teal"), photograph],
    }

    for block in re.findall(r"```python\n(.*?)```", PAGES[name], flags=re.DOTALL):
        exec(block.replace('"epoch_100.pth"', repr(str(checkpoint))), names)

    assert names["logits"].shape == (2, 40)  # type: ignore[attr-defined]
    if name == "docs/python.md":
        assert names["mixed"].images.shape == (2, 3, SIDE, SIDE)  # type: ignore[attr-defined]
        assert names["swept"].mask.shape == (5, 2, 1, SIDE, SIDE)  # type: ignore[attr-defined]
        assert names["x"].shape == (2, 3, SIDE, SIDE)  # type: ignore[attr-defined]
        assert names["features"].shape == (2, WIDTH)  # type: ignore[attr-defined]
        assert names["tuned"](names["x"]).shape == (2, 10)  # type: ignore[operator]
        assert torch.equal(names["plain"](names["images"]), names["everything"]["one_q"])  # type: ignore
        assert names["everything"].keys() == {"one_k", "mix_k", "one_q", "mix_q"}  # type: ignore[attr-defined]


def test_recipes_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The notebook's cells, one after the other, which are the blocks of the page."""
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    book = json.loads((ROOT / "docs/recipes.ipynb").read_text())
    cells = ["".join(one["source"]) for one in book["cells"] if one["cell_type"] == "code"]
    names: dict[str, Any] = {}

    for cell in cells:
        exec(cell, names)

    assert len(cells) == 5
    assert [f"{cell}\n" for cell in cells] == re.findall(
        r"(?s)```python\n(.*?)```", PAGES["docs/recipes.md"]
    )
    said = capsys.readouterr().out
    labels, truth = names["labels"].numpy(), names["truth"].numpy()
    near = (-names["asked"] @ names["known"].T).numpy().argsort(axis=1)[:, :5]
    votes = [np.bincount(labels[five]).argmax() for five in near]
    assert f"{(votes == truth).sum()} of {len(truth)} are what most" in said
    tuned = int(re.findall(rf"(\d+) of {len(truth)} after fine-tuning", said)[0])
    assert min(tuned, (votes == truth).sum()) > 2 / 3 * len(truth)
    assert names["automix"].step == 3
    with Image.open("mixed.png") as sheet:
        assert sheet.size == (5 * SIDE, 2 * SIDE)


@pytest.mark.parametrize("name", PAGES)
def test_commands_that_are_told_exist(name: str) -> None:
    """Every line of a code block and every piece of code in a sentence, with its options."""
    blocks = "\n".join(re.findall(r"(?ms)^```\w*$(.*?)^```", PAGES[name])).replace("\\\n", " ")
    prose = re.sub(r"(?ms)^```.*?^```", "", PAGES[name])
    told = [*blocks.split("\n"), *(c.replace("\n", " ") for c in re.findall("`([^`]+)`", prose))]
    for line in told:
        found = re.match(r"(?:\$ )?(?:torchrun .*-m mixzoo[. ]|mixzoo )([a-z][^#]*)", line)
        if not found:
            continue
        words = ["mixzoo", *found[1].split()]
        paths = [path for path in COMMANDS if path.split() == words[: len(path.split())]]
        if not paths:  # a group's own name, as in "`mixzoo viz`"
            assert any(path.startswith(" ".join(words) + " ") for path in COMMANDS), line
            continue
        command = COMMANDS[max(paths, key=len)]
        known = {name for it in command.params for name in (*it.opts, *it.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", found[1])) <= known, line


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """To a file that is here, and to a heading that it has."""
    text = re.sub(r"(?ms)^```.*?^```", "", PAGES[name])
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = ROOT / Path(name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path.read_text()), target


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/")])
def test_every_page_is_linked_and_in_the_site(name: str) -> None:
    """From the README or another page; and from the site's own list."""
    others = {other: text for other, text in PAGES.items() if other != name}
    file = name.removeprefix("docs/")

    assert file == "index.md" or any(f"{file})" in t or f"{file}#" in t for t in others.values())
    assert file in (ROOT / "mkdocs.yml").read_text()


def test_every_make_target_exists() -> None:
    """`make demo` and the like, in any page."""
    makefile = (ROOT / "Makefile").read_text()

    for target in re.findall(
        r"(?:`|^)make (\w+)(?= *(?:`|#|$))", "\n".join(PAGES.values()), re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("name", PAGES)
def test_lines_are_short(name: str) -> None:
    """Of sentences and commands; a table's line is as long as it must be."""
    lines = enumerate(PAGES[name].split("\n"), 1)

    assert not [n for n, line in lines if len(line) > WIDEST and not line.startswith("|")]


def test_readme_is_read_in_five_minutes() -> None:
    """Short, with its first commands."""
    assert README.count("\n") <= 150
    for needed in ("make demo", "make test", "mixzoo quickstart"):
        assert needed in README


def test_every_variable_of_the_environment_is_told() -> None:
    """Those that the code reads under our own name."""
    code = "".join(
        path.read_text()
        for part in ("zoo", "eval", "train", "viz", "app")
        for path in (ROOT / part).rglob("*.py")
    )
    for variable in set(re.findall(r'"(MIXZOO_[A-Z_]+)"', code)):
        assert f"`{variable}`" in PAGES["docs/commands.md"]
