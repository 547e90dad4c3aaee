"""A run that is killed at any point leaves nothing half done, and the next one ends it."""

import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mixzoo.zoo.data.prepare import prepare

from .conftest import Publish, Tree

# Kills itself right before the n-th thing it does to a file: no moment of the run is out of reach.
KILLED = """
import os, resource, signal, sys
from pathlib import Path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data.request import Request
from mixzoo.zoo.data.prepare import prepare
from mixzoo.zoo.net.sources import Location
import filelock, isal.igzip, tqdm


manifest, root, form, left = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
dataset = open_catalog([Path(manifest)]).benchmark("own").manifest.dataset
archive = Location(Path(manifest).with_name("train_val2018.tar.gz"))

def count(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.rmdir"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
if left < 0:  # or amid a write, when a file is so long
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (-left, -left))
prepare(Request(dataset, root, ["val"], archive, [], form))
"""


def killed(published: Any, root: Path, form: str, after: int) -> bool:
    """Prepare in a process that dies after so many file operations; whether it died.

    after: 0 for never; below it, the process dies in a write, when a file has so many bytes.
    """
    arguments = [str(published.manifest()), str(root), form, str(after)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode in (0, -signal.SIGKILL, -signal.SIGXFSZ), done.stderr
    return done.returncode != 0


def require_sound(here: dict[str, bytes], whole: dict[str, bytes]) -> None:
    """Whatever has a final name has its final bytes, and the mark comes last."""
    final = {name: data for name, data in here.items() if not name.startswith(".")}
    assert all(whole[name] == data for name, data in final.items())
    if "prepared-val2018.json" in final:
        assert final == whole


@pytest.mark.parametrize("form", ["files", "tar"])
def test_killed_again_and_again(
    publish: Publish, tmp_path: Path, root: Path, tree: Tree, form: Any
) -> None:
    """Kills at random moments, each resumed, end in the tree of an undisturbed run."""
    published, random = publish(), Random(form)
    prepare(published.request(tmp_path / "undisturbed", form=form))
    whole = tree(tmp_path / "undisturbed")
    # files: about 56 operations of 24 images; tar: 20 in all, most of them after the last image
    most = 60 if form == "files" else 22

    deaths = 0
    for _ in range(8):
        deaths += killed(published, root, form, random.randint(1, most))
        require_sound(tree(root), whole)
    assert deaths > 2
    assert not killed(published, root, form, 0)

    assert tree(root) == whole


@pytest.mark.parametrize("form", ["files", "tar"])
def test_killed_amid_a_write(
    publish: Publish, tmp_path: Path, root: Path, tree: Tree, form: Any
) -> None:
    """Half an image, or half a tar, never has a final name."""
    published = publish(lambda entries: [lengthened(*it) for it in entries])
    prepare(published.request(tmp_path / "undisturbed", form=form))
    whole = tree(tmp_path / "undisturbed")

    assert killed(published, root, form, -7000)

    require_sound(tree(root), whole)
    assert not killed(published, root, form, 0)
    assert tree(root) == whole


def lengthened(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """A member longer than the annotations, so that no file is cut before it."""
    info.size = len(data) + 9000
    return info, data + bytes(9000)
