"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest
import torch

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_python_of_the_readme_runs(golden: Path) -> None:
    """All blocks, one after the other, on two images; the file name stands for a real checkpoint."""
    checkpoint = golden / "runs/tiny_automix_ep8/epoch_8.pth"
    names: dict[str, object] = {
        "images": torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)),
        "labels": torch.tensor([3, 5]),
    }

    for block in BLOCKS:
        exec(block.replace('"epoch_100.pth"', repr(str(checkpoint))), names)

    assert names["mixed"].images.shape == (2, 3, 128, 128)  # type: ignore[attr-defined]
    assert names["swept"].mask.shape == (5, 2, 1, 128, 128)  # type: ignore[attr-defined]
    assert names["everything"].keys() == {"one_k", "mix_k", "one_q", "mix_q"}  # type: ignore[attr-defined]


def test_every_make_target_of_the_readme_exists() -> None:
    """`make demo` and the like are targets of the Makefile."""
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()

    for target in re.findall(r"make (\w+)", README.replace("make a row", "")):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("needed", ["make demo", "make test", "mixzoo quickstart"])
def test_first_commands_stand_in_the_readme(needed: str) -> None:
    """The two commands of a fresh clone are told."""
    assert needed in README
