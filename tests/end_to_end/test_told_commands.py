"""The commands of the documentation that need no released file and no photograph run as told."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
# What asks for iNaturalist's images, a release, hours, or what another command made.
ELSEWHERE = (
    r"/data/|/walk|_walk|torchrun|mixzoo app|zoo (download|verify|lock|import)|epoch_100|2022|"
    r"runs/|OUT\b|sweep|my_benchmark|vis\.zip|report\.json|automix_inat2018 --images|"
    r"(logs|compare) resnet50|logs --all|quickstart|_photos|"
    r"--onnx|eval merge|--shard|my_checkpoint|my\.pth|check evidence|zoo (export|publish) resnet50|eval doubts"
)


def _told() -> list[str]:
    """Each once: the lines of code blocks that begin with `mixzoo`."""
    blocks = (
        block for page in PAGES for block in re.findall(r"(?ms)^```\w*$(.*?)^```", page.read_text())
    )
    lines = "\n".join(blocks).replace("\\\n", " ").split("\n")
    told = (line.split("#")[0].strip() for line in lines if line.startswith("mixzoo "))
    return list(dict.fromkeys(line for line in told if not re.search(ELSEWHERE, line)))


@pytest.mark.parametrize("line", _told())
def test_told_command_runs(
    line: str,
    mixzoo: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """In a folder with the pictures that it names; what it is to write is there."""
    for name, colour in (("a", "teal"), ("b", "coral")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for path in (
            f"{name}.jpg",
            f"photos/{name}.jpg",
            f"photos/{name}/0.jpg",
            f"photos/{name}/1.jpg",
        ):
            Image.new("RGB", (140, 120), colour).save(tmp_path / path)
    monkeypatch.chdir(tmp_path)

    code, _, err = mixzoo(*shlex.split(line)[1:])

    assert code == 0, err
    for written in re.findall(r"--(?:out|to) (\S+)", line):
        assert (tmp_path / written).exists()
