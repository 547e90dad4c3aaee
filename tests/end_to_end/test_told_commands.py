"""Every command in a code block of the documentation runs, as told or on a stand-in."""

import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import package_path
from PIL import Image

from ..emulator.github import GitHub
from ..mini_rows import ARCHITECTURE, ASSETS, AUTOMIX, weights

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
# What needs a network of timm's shape, hours, a browser, a cluster, a second log or images that a
# benchmark draws: these few are held against their command's options alone (tests/test_docs.py).
NOT_RUN = (
    r"mixzoo app|mixzoo quickstart|timm/|--submit|--deep|hf:|2022\S+\.log$|--assign epoch_100|\$|runs/seed|"
    r"--shard|--onnx|zoo import|--names|eval merge|publish runs/automix|train publish runs/both$|own\.toml|more\.(csv|json)"
)
Run = Callable[..., tuple[int, str, str]]


def _told(page: Path) -> list[str]:
    """The lines of code blocks that begin with `mixzoo` or `openssl`."""
    blocks = "\n".join(re.findall(r"(?ms)^```\w*$(.*?)^```", page.read_text()))
    lines = (line.split(" #")[0].strip() for line in blocks.replace("\\\n", " ").split("\n"))
    return [it for it in lines if re.match("mixzoo |openssl ", it) and not re.search(NOT_RUN, it)]


def _furnish(folder: Path) -> None:
    """The files that pages name: pictures, a checkpoint and its log, a released zip."""
    for name, colour in (("a", "teal"), ("b", "coral")):
        (folder / "photos" / name).mkdir(parents=True)
        for path in (name, f"photos/{name}", *(f"photos/{name}/{n}" for n in range(3))):
            Image.new("RGB", (140, 120), colour).save(folder / f"{path}.jpg")
    learnt = weights(AUTOMIX)
    for name in ("my_checkpoint.pth", "epoch_100.pth", "my.pth"):
        shutil.copy(learnt, folder / name)
    for name in ("my.log.json", "20220101_120000.log.json"):
        shutil.copy(learnt.with_suffix(".log.json"), folder / name)
    with zipfile.ZipFile(folder / "vis.zip", "w") as archive:
        archive.write(folder / "a.jpg", "vis/epoch_1.jpg")


@pytest.fixture
def walk(tmp_path: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of iNaturalist's table: mini's, whose files are on a release."""
    text = (package_path("manifests") / "mini.toml").read_text()
    text = text.replace('name = "mini"\ntitle', 'name = "walk"\ntitle').replace('_mini"', '_walk"')
    source = 'kind = "github"\nrepository = "me/walk"\ntag = "v1"\n'
    text = text.replace('kind = "package"\npath = "zoo/mini/assets"\n', source)
    (tmp_path / "walk.toml").write_text(text)
    release = github.release("me/walk", "v1")
    for path in sorted(ASSETS.glob("*.pth")):
        for file in (path, path.with_suffix(".log.json")):
            github.upload(release, file.name.replace("_mini", "_walk"), file.read_bytes())
    monkeypatch.setenv("MIXZOO_MANIFESTS", str(tmp_path / "walk.toml"))
    return tmp_path


def _translated(line: str, images: Path, walk: Path) -> list[str]:
    """The words of a command on the stand-in, short where it would train for hours."""
    line = re.sub(
        r"(resnet50|resnext101_32x4d)\.(\w+)_(inat2018|own)", rf"{ARCHITECTURE}.\2_\3", line
    )
    line = line.replace("/data/inat2018", str(images)).replace(" DIR", f" {images}")
    line = line.replace("inat2018", "walk")
    line = line.replace("train2018.json", f"{images}/val2018.json")
    line = line.replace("my_benchmark.toml", str(walk / "walk.toml"))
    line = line.replace("resnet50.mixup_cutmix_photos", f"{ARCHITECTURE}.mixup_cutmix_photos")
    line = line.replace("table mini", "table walk").replace("--sample 2000", "--sample 200")
    line = line.replace("--benchmark mini", f"--benchmark mini --data {images}")
    if "data prepare" in line:  # drawn, where iNaturalist's images are unpacked
        line = re.sub(r" --archive \S+| --as tar", "", line).replace("walk", "mini")
    if "mixzoo train resnet" in line:  # rows of photos for an epoch; their recipe, of others
        short = f" --threads 1 --set epochs=1 --set crop=32 --set architecture={ARCHITECTURE}"
        line += short if "_photos" in line else " --show" * ("--show" not in line)
    return shlex.split(line.split(" > ")[0])


@pytest.mark.timeout(900)
def test_told_commands_run(
    mixzoo: Run, walk: Path, mini_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page in a folder of its own: later lines find what earlier ones made. One cache."""
    table = [f"{ARCHITECTURE}.{method}_walk" for method in ("automix", "samix", "cutmix")]
    assert mixzoo("eval", *table, "--out", walk / "t.json", "--evidence", walk / "OUT")[0] == 0
    failures = []
    for page in PAGES:
        (walk / page.stem).mkdir()
        monkeypatch.chdir(walk / page.stem)
        _furnish(Path())
        shutil.copytree(walk / "OUT", "OUT")
        if page.name != "README.md":  # which makes its own
            shutil.copytree(walk / f"OUT/{ARCHITECTURE}.automix_walk", "evidence")
        for line in _told(page):
            shutil.copy(walk / "t.json", "report.json")
            words = _translated(line, mini_images, walk)
            if words[0] == "openssl":
                assert not subprocess.run(words, check=False, capture_output=True).returncode, line
            elif (found := mixzoo(*words[1:]))[0]:
                failures.append((page.name, " ".join(words), found[2]))
            for written in re.findall(r"--(?:out|to) ([^\s.]\S*)", line):
                if not Path(written).exists() and words[-1] != "--show":
                    failures.append((page.name, line, "wasn't written"))

    assert not failures
