"""The first command works: from a row's name to its number, on a machine that never ran mixzoo.

The real command line, and a server on loopback in the place of GitHub, with mini's weights.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import package_path
from mixzoo.zoo.errors import IntegrityError, SourceError

from ...emulator.github import GitHub
from ...emulator.server import Fault, burst
from ...mini_rows import ARCHITECTURE, ASSETS, IMAGES, MIXUP, hits, weights

ROW = MIXUP.replace("_mini", "_walk")
STYLES = {
    "as OpenMixup names runs": "r18_{method}_mixups_CE_none_4xb64_ep40",
    "rows": f"{ARCHITECTURE}.{{method}}_walk",
    "plain": "ResNet-18-{method}",
    "blanks as GitHub keeps them": "resnet18.{method}.walk",
}
SOURCES = f"""kind = "github"
repository = "me/walk"
tag = "v1"

[matching.architectures]
{ARCHITECTURE} = ["r18", "resnet18"]
"""
Mixzoo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mini's rows as a benchmark whose files are on a release; a home that was never used."""
    for name in ("MIXZOO_CACHE", "MIXZOO_LOCKS", "MIXZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/config"))
    text = (package_path("manifests") / "mini.toml").read_text()
    text = text.replace('name = "mini"\ntitle', 'name = "walk"\ntitle').replace('_mini"', '_walk"')
    path = tmp_path / "a folder" / "walk.toml"
    path.parent.mkdir()
    path.write_text(text.replace('kind = "package"\npath = "zoo/mini/assets"\n', SOURCES))
    return path


@pytest.fixture
def release(github: GitHub) -> Callable[[str], None]:
    """Puts mini's files on the emulated release, under names of a style; pages of 7 files."""
    github.most = 7
    release = github.release("me/walk", "v1")

    def fill(style: str) -> None:
        for path in sorted(ASSETS.glob("*.pth")):
            name = style.format(method=path.stem.split(".")[1].removesuffix("_mini"))
            github.upload(release, f"{name}.pth", path.read_bytes())
            log = path.with_suffix(".log.json").read_bytes()
            github.upload(release, f"{name}.log.json", log)

    return fill


def test_three_commands_from_a_name_to_its_number(
    mixzoo: Mixzoo,
    manifest: Path,
    release: Callable[[str], None],
    github: GitHub,
    mini_images: Path,
) -> None:
    """Download, verify, eval, no other; redirected to another host, over pages, after a failure."""
    release(STYLES["as OpenMixup names runs"])
    own = ("--manifest", manifest)
    github.emulator.front.plan = burst(Fault(status=502), None)

    downloaded = mixzoo("zoo", "download", ROW, *own)
    verified = mixzoo("zoo", "verify", ROW, *own)
    evaluated = mixzoo("eval", ROW, "--data", mini_images, *own)

    assert downloaded[0] == verified[0] == evaluated[0] == 0, (downloaded, verified, evaluated)
    assert "asked GitHub release me/walk@v1, which names 20 new files" in downloaded[2]
    assert downloaded[2].count("trusted on first use") == 1
    assert "trusted on first use" in verified[1]
    assert f"{hits(MIXUP)} / {IMAGES}" in evaluated[1]
    assert "reproduced" in evaluated[1]
    assert "asked" not in verified[2] + evaluated[2]
    assert sum("/releases/tags/" in one.path for one in github.emulator.front.requests) <= 2


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_names_of_any_style_lead_to_their_rows(
    style: str, mixzoo: Mixzoo, manifest: Path, release: Callable[[str], None]
) -> None:
    """The whole benchmark comes by one command, each file to the row that it is of."""
    release(style)

    code, out, error = mixzoo("zoo", "download", "walk", "--json", "--manifest", manifest)

    assert code == 0, error
    for one in json.loads(out):
        packaged = ASSETS / f"{one['id'].replace('_walk', '_mini')}.pth"
        assert Path(one["path"]).read_bytes() == packaged.read_bytes()


def test_eval_alone_does_the_same(
    mixzoo: Mixzoo, manifest: Path, release: Callable[[str], None], mini_images: Path
) -> None:
    """It asks, fetches, evaluates and judges."""
    release(STYLES["as OpenMixup names runs"])

    code, out, error = mixzoo("eval", ROW, "--data", mini_images, "--manifest", manifest)

    assert code == 0, error
    assert f"{hits(MIXUP)} / {IMAGES}" in out
    assert error.count("asked GitHub release me/walk@v1") == 1


def printed(text: str) -> list[list[str]]:
    """The `mixzoo` commands that a text prints, as a shell reads them."""
    found = re.findall(
        r"(?<![`\w])mixzoo (?:zoo|eval|logs|data) .*?(?=$|  or  |\. |; )", text, re.M
    )
    return [shlex.split(line)[1:] for line in found]


def test_every_printed_command_runs(
    mixzoo: Mixzoo,
    manifest: Path,
    release: Callable[[str], None],
    github: GitHub,
) -> None:
    """Doubt, a changed release, damage: each message's command settles it, as it is printed."""
    release(STYLES["as OpenMixup names runs"])
    github.upload(github.releases[0], "resnet18-mixup.pth", b"another")
    own = ("--manifest", manifest)

    code, _, doubt = mixzoo("zoo", "download", ROW, *own)
    assign = next(one for one in printed(doubt) if "--assign" in one and "r18_" in one[4])
    settled = mixzoo(*assign)
    downloaded = mixzoo("zoo", "download", ROW, *own)

    assert code == SourceError.exit_code
    assert settled[0] == 0, settled
    assert downloaded[0] == 0, downloaded

    name = assign[4].partition("=")[0]
    github.upload(github.releases[0], name, b"PK new weights", updated="2024-01-01T00:00:00Z")
    code, _, changed = mixzoo("zoo", "lock", "walk", "--allow-partial", *own)
    (accept,) = printed(changed)
    accepted = mixzoo(*accept)
    again = mixzoo("zoo", "download", ROW, *own)

    assert code == IntegrityError.exit_code
    assert accepted[0] == again[0] == 0, (accepted, again)
    assert "PK new weights" in Path(re.search(r"fetched, (.*) \(", again[1])[1]).read_text()

    _, fetched, _ = mixzoo("zoo", "download", ROW, "--logs", *own)
    log = Path(re.search(r"fetched, (.*\.json) \(", fetched)[1])
    log.write_text("damaged")
    code, _, damaged = mixzoo("zoo", "verify", ROW, *own)
    (mend,) = printed(damaged)
    mended = mixzoo(*mend)

    assert code == IntegrityError.exit_code
    assert mended[0] == 0, mended
    assert mixzoo("zoo", "verify", ROW, *own)[0] == 0


def test_terminal_is_asked_which_file_is_the_row(
    manifest: Path, release: Callable[[str], None], github: GitHub
) -> None:
    """At a terminal the command asks, keeps the answer, and goes on; the next one asks nothing."""
    release(STYLES["as OpenMixup names runs"])
    github.upload(github.releases[0], "resnet18-mixup.pth", b"another")
    command = [sys.executable, "-m", "mixzoo", "zoo", "download", ROW, "--manifest", str(manifest)]

    def run(typed: bytes) -> tuple[int, str]:
        ours, theirs = os.openpty()
        os.write(ours, typed)
        done = subprocess.run(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, check=False, timeout=60
        )
        os.close(theirs)
        said = os.read(ours, 1 << 16).decode()
        os.close(ours)
        return done.returncode, said

    first, second = run(b"1\n"), run(b"0\n")

    assert first[0] == second[0] == 0, (first, second)
    assert f"Which file is the weights of {ROW}?" in first[1]
    assert "1  r18_mixup_mixups_CE_none_4xb64_ep40.pth" in first[1]
    assert "Which file" not in second[1]
    lock = json.loads(manifest.with_name("walk.lock.json").read_text())
    assert [a["name"] for a in lock["assets"] if a.get("assigned")] == [
        "r18_mixup_mixups_CE_none_4xb64_ep40.pth"
    ]


@pytest.mark.parametrize("failure", ["rate limit", "no such release", "bad token", "a login page"])
def test_failure_is_one_line_and_the_same_command_goes_on(
    failure: str,
    mixzoo: Mixzoo,
    manifest: Path,
    release: Callable[[str], None],
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what is wrong and the way by hand; nothing is left that would stand in the way."""
    release(STYLES["as OpenMixup names runs"])
    known, github.reset = github.releases, 4102444800
    if failure == "rate limit":
        github.remaining = 1
    elif failure == "no such release":
        github.releases = []
    elif failure == "bad token":
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_expired")
    else:
        github.answers = [(200, {"Content-Type": "text/html"}, b"<html>log in</html>")]

    refused = mixzoo("zoo", "download", ROW, "--manifest", manifest)
    github.remaining, github.releases = None, known
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    again = mixzoo("zoo", "download", ROW, "--manifest", manifest)

    assert refused[0] == SourceError.exit_code
    assert refused[2].count("\n") == 1
    assert "ghp_expired" not in refused[2]
    assert "mixzoo zoo import FILE --row" in refused[2]
    assert again[0] == 0, again


def test_renamed_asset_says_how_to_go_on(
    mixzoo: Mixzoo, manifest: Path, release: Callable[[str], None], github: GitHub
) -> None:
    """A name that is gone is no bare 404, and the printed command finds the new one."""
    release(STYLES["as OpenMixup names runs"])
    mixzoo("zoo", "lock", "walk", "--manifest", manifest)
    kept = github.releases[0].assets
    old = "r18_mixup_mixups_CE_none_4xb64_ep40.pth"
    github.releases[0].assets = [one for one in kept if "_mixup_" not in one["name"]]
    content = github.emulator.files.pop(f"/me/walk/releases/download/v1/{old}")
    github.upload(github.releases[0], "r18_mixup_renamed.pth", content)

    code, _, error = mixzoo("zoo", "download", ROW, "--manifest", manifest)
    (lock,) = printed(error)
    locked = mixzoo(*lock, "--allow-partial")
    again = mixzoo("zoo", "download", ROW, "--manifest", manifest)

    assert code == SourceError.exit_code
    assert locked[0] == again[0] == 0, (locked, again)
    assert "r18_mixup_renamed.pth" in again[1]


def test_other_size_than_listed_says_how_to_go_on(
    mixzoo: Mixzoo, manifest: Path, release: Callable[[str], None], github: GitHub
) -> None:
    """A release that changed after it was asked is refused, and the printed command asks it again."""
    release(STYLES["as OpenMixup names runs"])
    name = "r18_mixup_mixups_CE_none_4xb64_ep40.pth"
    content = weights(MIXUP).read_bytes()
    github.upload(github.releases[0], name, content, size=12345)

    code, _, error = mixzoo("zoo", "download", ROW, "--manifest", manifest)
    github.upload(github.releases[0], name, content)
    (lock,) = printed(error)
    locked = mixzoo(*lock)
    again = mixzoo("zoo", "download", ROW, "--manifest", manifest)

    assert code == IntegrityError.exit_code
    assert locked[0] == again[0] == 0, (locked, again)


@pytest.mark.parametrize("command", ["inspect", "unpack"])
def test_pipe_that_nobody_writes_is_not_waited_for(
    mixzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, command: str
) -> None:
    """What is to be read twice is a file."""
    os.mkfifo(tmp_path / "pipe.zip")

    code, _, err = mixzoo("zoo", command, tmp_path / "pipe.zip")

    assert code != 0
    assert "a pipe or a device" in err
