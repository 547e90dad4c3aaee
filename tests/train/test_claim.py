"""A folder is one run's at a time, and always the same one's."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mixzoo.train.claim as module
import pytest
from mixzoo.train.claim import claimed, facts_of
from mixzoo.train.data import Data
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.errors import UsageError


def test_a_folder_remembers_its_run(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """The same facts go on; the file is whole."""
    facts = facts_of("run", tiny, data)
    for _ in range(2):
        with claimed(tmp_path / "deep" / "out", facts):
            pass

    assert json.loads((tmp_path / "deep" / "out" / "run.json").read_text()) == facts


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("recipe", r"--set lr=0\.5, --set seed=3\. .*another folder"),
        ("name", r"now different: name\."),
        ("train", r"now different: train\."),
        ("val", r"now different: val\."),
    ],
)
def test_another_run_is_refused_by_what_differs(
    what: str, message: str, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """A recipe by the settings that would have been given, a name or a list as such."""
    with claimed(tmp_path, facts_of("run", tiny, data)):
        pass
    few = replace(data.train, files=data.train.files[:9], labels=data.train.labels[:9])
    others = {
        "recipe": facts_of("run", replace(tiny, lr=0.5, seed=3), data),
        "name": facts_of("other", tiny, data),
        "train": facts_of("run", tiny, replace(data, train=few)),
        "val": facts_of("run", tiny, replace(data, val=few)),
    }

    with pytest.raises(UsageError, match=message), claimed(tmp_path, others[what]):
        pass


def test_a_damaged_record_is_one_line(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """It says which file to remove."""
    (tmp_path / "run.json").write_text("")

    with (
        pytest.raises(UsageError, match=r"run\.json.*Remove that file"),
        claimed(tmp_path, facts_of("run", tiny, data)),
    ):
        pass


def test_two_jobs_cannot_have_one_folder(
    tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is told so, and the folder is free again afterwards."""
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    facts = facts_of("run", tiny, data)

    with (
        claimed(tmp_path, facts),
        pytest.raises(UsageError, match="another process is training here"),
        claimed(tmp_path, facts),
    ):
        pass
    with claimed(tmp_path, facts):
        pass


def test_orphans_of_a_killed_run_are_waited_for(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """Decoding processes hold the folder for some seconds longer than their killed parent."""
    holder = (
        "import fcntl, os, sys, time\n"  # as filelock did before it minded forks
        f"file = open({str(tmp_path / '.lock')!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "if os.fork(): print('held', flush=True); time.sleep(60)\n"
        "while os.getppid() == int(sys.argv[1] or 0) or os.getppid() not in (1,): time.sleep(0.05)\n"
        "time.sleep(0.5)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", holder, str(os.getpid())], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "held\n"
    parent.kill()
    parent.wait()
    parent.stdout.close()

    with claimed(tmp_path, facts_of("run", tiny, data)):
        assert (tmp_path / "run.json").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "file").touch()

    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(UsageError, match=r"^--out [^\n]*can't be the folder of a run[^\n]*$"),
            claimed(out, facts_of("run", tiny, data)),
        ):
            pass
