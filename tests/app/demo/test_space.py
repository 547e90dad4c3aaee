"""The folder that runs where people put demos."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from mixzoo.app.demo import space
from mixzoo.app.demo.settings import Settings
from mixzoo.zoo.errors import UsageError

from ...mini_rows import VANILLA

NAME = "somebody-mixzoo.hf.space"


def test_it_runs_from_the_folder_alone(tmp_path: Path, write_report: Callable[..., Path]) -> None:
    """Started as a Space starts it, it answers under the Space's name, and may stand in a frame."""
    write_report("some/mini.json", {(VANILLA, "head0"): 502})
    folder = tmp_path / "space"
    space.write(folder, Settings(reports=tmp_path / "reports", allow_downloads=False))
    asks = (
        "import mixzoo, sys; sys.stderr.write(mixzoo.__file__); import runpy; "
        "sys.argv = ['app.py']; runpy.run_path('app.py', run_name='__main__')"
    )
    told = {"SYSTEM": "spaces", "SPACE_ID": "somebody/mixzoo", "SPACE_HOST": NAME, "PORT": "0"}

    with subprocess.Popen(
        [sys.executable, "-c", asks],
        cwd=folder,
        env=os.environ | told | {"MIXZOO_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        port = url.rstrip("/").rpartition(":")[2]
        as_frame = {"Host": NAME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}
        page = requests.get(f"http://127.0.0.1:{port}/", headers=as_frame, timeout=30)
        other = requests.get(f"http://127.0.0.1:{port}/", headers={"Host": "a.b"}, timeout=30)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]

    assert page.status_code == 200
    assert "frame-ancestors" not in page.headers["content-security-policy"]
    assert "x-frame-options" not in page.headers
    assert f"https://{NAME}" in page.text or f"http://{NAME}" in page.text
    assert other.status_code == 403
    assert said.startswith(str(folder / "mixzoo"))
    assert "Traceback" not in said


def test_what_it_needs_is_told(tmp_path: Path, write_report: Callable[..., Path]) -> None:
    """Requirements in the versions that ran here, a description that a Space reads, all options."""
    write_report("mini.json", {(VANILLA, "head0"): 502})

    space.write(tmp_path / "space", Settings(reports=tmp_path / "reports", allow_downloads=True))

    here = {path.name for path in (tmp_path / "space").iterdir()}
    assert here == space.NAMES
    needed = (tmp_path / "space/requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in needed)
    names = {line.partition("==")[0] for line in needed}
    assert {"gradio", "torch", "msgspec"} <= names
    assert not {"pytest", "mcp", "timm"} & names
    _, metadata, _ = (tmp_path / "space/README.md").read_text().split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in metadata.splitlines())
    assert facts["sdk"] == "gradio"
    assert f"gradio=={facts['sdk_version']}" in needed
    assert facts["disable_embedding"] == "false"
    assert len(facts["short_description"]) <= 60  # what a Space takes
    options = (tmp_path / "space/app.py").read_text()
    assert "['--allow-downloads', '--reports', 'reports']" in options


def test_it_is_written_anew_but_over_nothing_else(tmp_path: Path) -> None:
    """An earlier one is replaced, git's files stay, and a folder of anything else is refused."""
    folder = tmp_path / "space"
    space.write(folder, Settings())
    (folder / ".gitattributes").write_text("x")
    (folder / "mixzoo" / "old.py").write_text("")

    space.write(folder, Settings())

    assert not (folder / "mixzoo" / "old.py").exists()
    assert (folder / ".gitattributes").exists()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match=r"found thesis\.tex"):
        space.write(folder, Settings())
    with pytest.raises(UsageError, match="neither --ref nor --manifest"):
        space.write(tmp_path / "other", Settings(refs=(VANILLA,)))
