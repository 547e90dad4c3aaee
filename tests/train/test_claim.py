"""A folder is one run's at a time, and always the same one's."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mixzoo.train.claim as module
import pytest
from mixzoo.train.claim import check_name, claimed, facts_of
from mixzoo.train.data import Data, check_labels, find_data
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import DataError, UsageError
from mixzoo.zoo.manifest import Manifest


@pytest.fixture
def benchmark(manifest: Path) -> Manifest:
    """The colours' manifest."""
    return open_catalog([manifest]).benchmark("colours").manifest


def test_images_are_found_by_the_manifests_names(benchmark: Manifest, colours: Path) -> None:
    """Both splits, with the protocol of the benchmark."""
    data = find_data(benchmark, colours)

    assert (len(data.train), len(data.val)) == (29, 70)
    assert data.train.labels[:7] == (0, 1, 2, 3, 4, 5, 0)
    assert (data.protocol.resize, data.protocol.crop) == (36, 32)


def test_lists_can_be_named(benchmark: Manifest, colours: Path, tmp_path: Path) -> None:
    """Annotations elsewhere, of some of the images."""
    few = tmp_path / "few.txt"
    few.write_text("train3.png,3\ntrain4.png,4\n")

    data = find_data(benchmark, colours, few, few)

    assert data.train.files == data.val.files == ("train3.png", "train4.png")


def test_missing_labels_are_named_with_the_way_out(benchmark: Manifest, tmp_path: Path) -> None:
    """What was looked for, and the option."""
    with pytest.raises(DataError, match=r"train\.txt.*found none.*--train-list"):
        find_data(benchmark, tmp_path)


def test_data_is_asked_for(benchmark: Manifest) -> None:
    """Only drawn benchmarks can do without."""
    with pytest.raises(UsageError, match="expected --data DIR"):
        find_data(benchmark, None)


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_without_a_class_are_refused(split: str, tiny: Recipe, data: Data) -> None:
    """Before the first step, with the largest label."""
    images = getattr(data, split)
    wrong = replace(data, **{split: replace(images, labels=(*images.labels[:-1], 6))})

    with pytest.raises(DataError, match=r"below num_classes 6, got 6"):
        check_labels(tiny, wrong)
    check_labels(tiny, data)


@pytest.mark.parametrize("name", ["last", "epoch_3", "a/b", "..", ".hidden", ""])
def test_names_that_would_hide_or_replace_files_are_refused(name: str) -> None:
    """The final weights must not overwrite a checkpoint."""
    with pytest.raises(UsageError, match="--name"):
        check_name(name)
    check_name("resnet18_w4.mixup_colours")


def test_a_folder_remembers_its_run(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """The same facts go on; the file is whole."""
    facts = facts_of("run", tiny, data)
    for _ in range(2):
        with claimed(tmp_path / "deep" / "out", facts):
            pass

    assert json.loads((tmp_path / "deep" / "out" / "run.json").read_text()) == facts


def test_another_recipe_is_refused_by_its_differences(
    tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Named as the settings that would have been given."""
    with claimed(tmp_path, facts_of("run", tiny, data)):
        pass
    other = facts_of("run", replace(tiny, lr=0.5, seed=3), data)

    with (
        pytest.raises(UsageError, match=r"--set lr=0\.5, --set seed=3\. .*another folder"),
        claimed(tmp_path, other),
    ):
        pass


@pytest.mark.parametrize("what", ["name", "train", "val"])
def test_another_name_or_list_is_refused(
    what: str, tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """By what it is."""
    facts = facts_of("run", tiny, data)
    with claimed(tmp_path, facts):
        pass
    few = replace(data.train, files=data.train.files[:9], labels=data.train.labels[:9])
    others = {
        "name": facts_of("other", tiny, data),
        "train": facts_of("run", tiny, replace(data, train=few)),
        "val": facts_of("run", tiny, replace(data, val=few)),
    }

    with (
        pytest.raises(UsageError, match=f"now different: {what}\\."),
        claimed(tmp_path, others[what]),
    ):
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


def test_the_drawn_benchmark_needs_no_folder(tmp_path: Path, mixzoo: Callable) -> None:
    """It would be drawn; here its recipe is only shown."""
    code, out, err = mixzoo("train", "resnet18_w6.mixup_mini", "--show")

    assert (code, err) == (0, "")
    assert "--data" in out
