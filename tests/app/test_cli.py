"""The command line parses, calls, prints; every error is one line and a non-zero exit code."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from mixzoo.app import cli
from mixzoo.zoo import errors
from mixzoo.zoo.files import require_writable

from ..mini_rows import MIXUP

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands with their names, groups left out."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command
            if verbs := getattr(command, "verbs", None):
                yield from commands(verbs, (*path, name))


COMMANDS = dict(commands(cli.app))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(mixzoo: Run, path: tuple[str, ...]) -> None:
    """A command that nobody explains doesn't exist for a user."""
    code, out, _ = mixzoo(*path, "--help")

    assert code == 0
    assert COMMANDS[path].help
    assert "Usage: mixzoo" in out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_in_whole_sentences(path: tuple[str, ...]) -> None:
    """The list of commands cuts none off; each option says what it is, then at most its default."""
    command = COMMANDS[path]

    assert not command.get_short_help_str(62).endswith("...")
    for option in command.params:
        if isinstance(option, click.Option):
            text = option.help or ""
            assert re.fullmatch(r"[A-Z`].*\.(  \[.*\])?", text, re.DOTALL), (option.opts, text)


def test_list_as_json_has_the_keys_that_scripts_rely_on(mixzoo: Run) -> None:
    """id, benchmark, method, architecture, reported_top1 and alpha of every row."""
    code, out, _ = mixzoo("zoo", "list", "inat2018", "--json")

    rows = json.loads(out)
    assert (code, len(rows)) == (0, 20)
    assert {"id", "benchmark", "method", "architecture", "reported_top1", "alpha"} <= rows[0].keys()
    assert rows[0]["reported_top1"] == 62.53


def test_show_as_json_tells_sources_and_protocol(mixzoo: Run) -> None:
    """All facts of a row can be read by a program."""
    _, out, _ = mixzoo("zoo", "show", "resnet50.automix_inat2018", "--json")

    facts = json.loads(out)
    assert facts["protocol"]["resize"] == 256
    assert facts["sources"][0]["tag"] == "mixup-inat2018-weights"
    assert facts["sources"][1]["code"] == "wy2v"


def test_own_benchmark_needs_no_code(
    mixzoo: Run, write_benchmark: Callable[..., Path], server
) -> None:
    """A data file with a web source lists, downloads, verifies and tells its place."""
    weights = b"some weights"
    server.answers["/w.pth"] = (200, {}, weights)
    manifest = write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{server.url}"', weights)
    own = ("own", "--manifest", manifest)

    assert "not downloaded" in mixzoo("zoo", "list", *own)[1]
    assert "fetched" in mixzoo("zoo", "download", *own)[1]
    assert "already here" in mixzoo("zoo", "download", *own)[1]
    _, verified, _ = mixzoo("zoo", "verify", *own, "--json")
    assert json.loads(verified)[0]["state"] == "verified"
    _, where, _ = mixzoo("zoo", "where", *own)
    assert Path(where.strip()).read_bytes() == weights


def test_verify_fails_on_changed_bytes(
    mixzoo: Run, write_benchmark: Callable[..., Path], server
) -> None:
    """A flipped byte is told with file, expected and got, and the exit code is 5."""
    server.answers["/w.pth"] = (200, {}, b"some weights")
    manifest = write_benchmark(f'[[sources]]\nkind = "http"\nurl = "{server.url}"', b"some weights")
    mixzoo("zoo", "download", "own", "--manifest", manifest)
    path = Path(mixzoo("zoo", "where", "own", "--manifest", manifest)[1].strip())
    path.write_bytes(b"same weightz")

    code, out, err = mixzoo("zoo", "verify", "own", "--manifest", manifest)

    assert code == 5
    assert "damaged" in out
    assert "expected sha256" in out
    assert "mixzoo zoo download resnet18_w4.vanilla_own --manifest" in err


def test_verify_fails_on_named_weights_that_are_missing(
    mixzoo: Run, write_benchmark: Callable[..., Path]
) -> None:
    """Naming a row asks for its weights, not for its log; naming none asks about what is here."""
    manifest = write_benchmark("", b"some weights")

    assert mixzoo("zoo", "verify", "own", "--manifest", manifest)[0] == 5
    assert mixzoo("zoo", "verify", "--manifest", manifest)[0] == 0
    write_benchmark("", b"a log", kind="log")
    assert "no file is locked or here" in mixzoo("zoo", "verify", "own", "--manifest", manifest)[2]


ERRORS = {
    "unknown command": (("zoo", "lst"), 2, "No such command 'lst'"),
    "unknown row": (
        ("zoo", "show", "resnet50.automx_inat2018"),
        2,
        "Did you mean 'resnet50.automix_inat2018'",
    ),
    "unknown benchmark": (("zoo", "list", "inat18"), 2, "No row 'inat18'"),
    "no such manifest": (
        ("zoo", "list", "--manifest", "gone.toml"),
        3,
        "gone.toml: expected a manifest, but: there is no such file",
    ),
    "unlocked row": (("zoo", "download", "resnet50.mixup_inat2018"), 4, "Get it by hand"),
    "missing file": (
        ("eval", "gone.pth", "--data", "."),
        2,
        "gone.pth: expected a checkpoint file, but it does not exist",
    ),
    "folder": (("eval", ".", "--data", "."), 2, "is a folder"),
    "report name": (("eval", "x", "--out", "report.txt"), 2, "expected a name ending in .json"),
    "batch of none": (("eval", "x", "--batch-size", "0"), 2, "--batch-size"),
    "data drawn": (
        ("data", "prepare", "mini", "--root", "d", "--as", "tar"),
        2,
        "is drawn by the package",
    ),
    "no GPU": (("eval", "x.pth", "--device", "tpu9"), 2, "--device tpu9: expected auto, cpu, cuda"),
}


@pytest.mark.parametrize(("arguments", "expected", "message"), ERRORS.values(), ids=ERRORS)
def test_error_is_one_line_and_an_exit_code(
    mixzoo: Run,
    arguments: tuple[str, ...],
    expected: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """stderr has one line that says what to do; stdout stays empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")

    code, out, err = mixzoo(*arguments)

    assert (code, out) == (expected, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_exit_codes_are_documented() -> None:
    """Every error's, in the table that --help shows and docs/commands.md repeats."""
    kinds = [errors.MixzooError, *errors.MixzooError.__subclasses__()]

    assert {kind.exit_code for kind in kinds} < cli.EXIT_CODES.keys()


@pytest.mark.parametrize("spelling", ["--local-rank=0", "--local_rank=0"])
@pytest.mark.parametrize("words", [["eval", "x.pth"], ["train", "x"], []])
def test_what_the_old_launcher_adds_is_named(mixzoo: Run, spelling: str, words: list[str]) -> None:
    """torch.distributed.launch, and what to start with instead."""
    code, _, err = mixzoo(*words[:1], spelling, *words[1:])

    assert (code, err.count("\n")) == (2, 1)
    assert "torch.distributed.launch" in err
    assert "torchrun --nproc_per_node N -m mixzoo" in err


OUTPUTS = {
    "eval": (("eval", "x.pth", "--out"), "r.json"),
    "eval --evidence": (("eval", "x.pth", "--evidence"), ""),
    "eval --crops": (("eval", "x.pth", "--crops"), ""),
    "evidence": (("evidence", "x.pth", "--out"), ""),
    "logs": (("logs", "x.json", "--out"), "r.json"),
    "quickstart": (("quickstart", "--out"), "r.json"),
    "train": (("train", MIXUP, "--out"), ""),
    "train --tensorboard": (("train", MIXUP, "--tensorboard"), ""),
    "train sweep": (("train", "sweep", MIXUP, "--out"), ""),
    "train publish": (("train", "publish", "x", "--manifest"), "m.toml"),
    "viz": (("viz", "mix", "--out"), "m.png"),
    "zoo export": (("zoo", "export", "x.pth", "--to"), ""),
    "data prepare": (("data", "prepare", "mini", "--root"), ""),
}


@pytest.mark.parametrize(("words", "name"), OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/x/y"])
def test_where_nothing_can_be_written_is_found_before_the_work(
    words: tuple[str, ...], name: str, place: str, mixzoo: Run, tmp_path: Path
) -> None:
    """A file in the way, or a folder that nobody can write; in one line, and nothing is left."""
    (tmp_path / "file").write_text("before")

    code, out, err = mixzoo(*words, tmp_path / place / name)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "can be written here" in err
    assert (tmp_path / "file").read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_outputs_that_can_be_written_are_left_alone(tmp_path: Path) -> None:
    """A file that is there, folders that aren't there yet; a folder is no file."""
    (tmp_path / "r.json").write_text("before")

    for path in (tmp_path / "r.json", tmp_path / "a/b/r.json"):
        require_writable(path)
    for path in (tmp_path, tmp_path / "a/b"):
        require_writable(path, folder=True)
    with pytest.raises(errors.UsageError, match="no file can be written here: it is no file"):
        require_writable(tmp_path)

    assert os.listdir(tmp_path) == ["r.json"]  # noqa: PTH208
    assert (tmp_path / "r.json").read_text() == "before"


COMMAND = (sys.executable, "-m", "mixzoo")
PRINTS = [["zoo", "list"], ["zoo", "list", "--json"], ["--help"]]
FULL = "error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("words", PRINTS, ids=" ".join)
@pytest.mark.parametrize(
    ("streams", "expected", "said"),
    [(">&-", 0, ""), ("2>&-", 0, ""), (">&- 2>&- <&-", 0, ""), (">/dev/full", 1, FULL)],
)
def test_streams_may_be_closed(words: list[str], streams: str, expected: int, said: str) -> None:
    """By who starts the command: nothing is said of it; what can't be written is one line."""
    shell = ["sh", "-c", f'"$@" {streams}', "sh", *COMMAND, *words]

    ended = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stderr) == (expected, said)


@pytest.mark.parametrize("words", PRINTS, ids=" ".join)
def test_a_reader_may_go_away(words: list[str]) -> None:
    """As `| head` does: without a word, and with the code that a shell gives for it."""
    reader, writer = os.pipe()
    os.close(reader)

    ended = subprocess.run(
        [*COMMAND, *words], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)

    assert (ended.returncode, ended.stderr) == (141, b"")


def test_closed_streams_give_no_file_their_numbers(
    tmp_path: Path,
) -> None:
    """What is printed must not land in the next file that is opened."""
    program = (
        "import sys, mixzoo.app.cli as cli\n"
        "cli._open_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "print('printed', flush=True)\n"
        "sys.exit(file.fileno())"
    )
    shell = ["sh", "-c", '"$@" >&- 2>&- <&-', "sh", sys.executable, "-c", program]

    ended = subprocess.run(shell, timeout=60, check=False)

    assert ended.returncode > 2
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize(("first", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM"])
def test_a_second_signal_finds_the_end_on_its_way(
    monkeypatch: pytest.MonkeyPatch, first: str, code: int, second: str
) -> None:
    """An impatient second Ctrl-C comes while the line of the first is written."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fail = cli._fail

    def interrupted(*words: Any) -> int:
        signal.raise_signal(getattr(signal, second))
        return fail(*words)

    monkeypatch.setattr(cli, "run", lambda _: signal.raise_signal(getattr(signal, first)))
    monkeypatch.setattr(cli, "_fail", interrupted)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == code
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_debug_shows_the_traceback(mixzoo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With MIXZOO_DEBUG the exception itself comes out."""
    monkeypatch.setenv("MIXZOO_DEBUG", "1")
    monkeypatch.setattr("sys.argv", ["mixzoo", "zoo", "show", "nothing"])

    with pytest.raises(Exception, match="No row 'nothing'"):
        cli.main()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_the_end_of_an_import(tmp_path: Path, number: int, code: int) -> None:
    """Amid one it came out as an error of numpy or torch, or aborted in torch's C++."""
    (tmp_path / "slow.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(0.5)\nprint('imported', flush=True)"
    )
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from mixzoo.app import cli\n"
        "cli.run = lambda words: (__import__('slow'), time.sleep(30))\n"
        "cli.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=25)

    assert (process.returncode, out) == (code, b"imported\n"), err
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mixzoo zo", {"zoo"}),
        ("mixzoo eval --prec", {"--precision"}),
        ("mixzoo eval --precision g", {"guarded"}),
        ("mixzoo train resnet50.samix_inat2018", {"resnet50.samix_inat2018"}),
        ("mixzoo zoo verify inat", {"inat2017", "inat2018"}),
        ("mixzoo eval ./epoch", {"./epoch"}),  # a file: the shell goes on
    ],
)
def test_tab_completes(line: str, expected: set[str]) -> None:
    """Commands, options, values and rows, as bash asks for them."""
    words = line.split()
    asked = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_MIXZOO_COMPLETE": "bash_complete",
    }

    answer = subprocess.run(
        [sys.executable, "-m", "mixzoo"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {found.split(",")[1] for found in answer.stdout.splitlines()} == expected
