"""`mixzoo zoo export` writes, prints what it wrote, and refuses in one line."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from mixzoo.app.zoo.export import command
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.errors import UsageError

ROWS = ("resnet18_w6.vanilla_mini", "resnet18_w6.mixup_mini")


def run(*arguments: object) -> str:
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(command, words, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_rows_are_written_and_told(tmp_path: Path) -> None:
    """A line for each file, with its hash and that of its source."""
    printed = run(*ROWS, "--to", tmp_path)

    for row in ROWS:
        path = tmp_path / f"{row}.safetensors"
        assert load_file(path).num_classes == 40
        assert hashlib.sha256(path.read_bytes()).hexdigest() in printed
        assert f"{row}.pth" in printed


def test_json_is_for_programs(tmp_path: Path) -> None:
    """id, path, size, sha256 and the file's metadata."""
    [facts] = json.loads(run(ROWS[1], "--to", tmp_path, "--json"))

    assert facts["id"] == ROWS[1]
    assert facts["size"] == Path(facts["path"]).stat().st_size
    assert facts["metadata"]["reported_top1"] == "59.6"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Nothing is written when one export would replace another."""
    run(ROWS[0], "--to", tmp_path)
    path = tmp_path / f"{ROWS[0]}.safetensors"

    with pytest.raises(UsageError, match="two REFs would get this name"):
        run(ROWS[0], path, "--to", tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_row_goes_with_one_file(tmp_path: Path) -> None:
    """--row can't speak for several files."""
    with pytest.raises(UsageError, match="--row"):
        run(*ROWS, "--row", ROWS[0], "--to", tmp_path)


def test_replacing_must_be_asked_for(tmp_path: Path) -> None:
    """The second time needs --force."""
    run(ROWS[0], "--to", tmp_path)

    with pytest.raises(UsageError, match="Give --force"):
        run(ROWS[0], "--to", tmp_path)

    assert "wrote" in run(ROWS[0], "--to", tmp_path, "--force")
