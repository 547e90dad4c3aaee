"""Sweeps that move: frames of one size, files that loop, nothing half-written."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mixzoo.viz.film import (
    film_format,
    save_film,
    sweep_frames,
)
from mixzoo.viz.mix import Pairs, mix_pair
from mixzoo.viz.themes import DARK
from mixzoo.zoo.errors import UsageError
from PIL import Image


def test_frames_have_one_even_size_and_show_the_mixes(picture: Callable) -> None:
    """Whatever lam is; H.264 wants even sides."""
    a, b = picture(0), picture(1)
    mixes = mix_pair(a, b, "cutmix", [1.0, 0.35, 0.0])

    frames = list(
        sweep_frames(*Pairs([(a, b)], [("a long name " * 5, "b")]).sources(), mixes, DARK)
    )

    assert len({frame.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    assert not np.array_equal(frames[0], frames[1])
    assert frames[0].dtype == np.uint8
    assert tuple(frames[0][0, 0]) == tuple(int(DARK.ground[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize(("count", "loop"), [(4, [0, 1, 2, 3, 2, 1]), (2, [0, 1])])
def test_gifs_go_there_and_back_for_ever(count: int, loop: list[int], tmp_path: Path) -> None:
    """One palette, hundredths of a second, and neither end stands twice."""
    frames = [np.full((8, 10, 3), 20 * n, np.uint8) for n in range(count)]

    save_film(iter(frames), tmp_path / "sweep.gif", fps=10)

    with Image.open(tmp_path / "sweep.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (len(loop), 0)
        for number, shown in enumerate(loop):
            gif.seek(number)
            assert gif.info["duration"] == 100
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - frames[shown]).max() <= 4


@pytest.mark.parametrize("name", ["sweep.png", "sweep", "sweep.webm"])
def test_other_names_are_refused(name: str) -> None:
    """With the two that work."""
    with pytest.raises(UsageError, match=r"expected a name ending in one of \.gif, \.mp4"):
        film_format(Path(name))


def test_without_ffmpeg_an_mp4_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is drawn, with what to do instead."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(UsageError, match=r"MP4 needs ffmpeg.*Name a \.gif"):
        film_format(Path("sweep.mp4"))


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file nor a part of it; an older one stays."""
    out = tmp_path / "sweep.gif"
    out.write_bytes(b"older")

    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((8, 8, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_film(frames(), out)

    assert [path.name for path in tmp_path.iterdir()] == ["sweep.gif"]
    assert out.read_bytes() == b"older"


def fake_ffmpeg(folder: Path, script: str) -> None:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_ffmpeg_gets_every_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames as raw RGB through its standard input; what it wrote gets the final name."""
    fake_ffmpeg(tmp_path, 'for last; do :; done; cat > "$last"')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    frames = [np.full((4, 6, 3), n, np.uint8) for n in range(3)]
    out = tmp_path / "new" / "sweep.mp4"

    save_film(iter(frames), out, fps=5)

    assert out.read_bytes() == b"".join(frames[n].tobytes() for n in (0, 1, 2, 1))
    assert len(list(out.parent.iterdir())) == 1


def test_ffmpegs_complaint_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, also where it ends before it has read anything."""
    fake_ffmpeg(tmp_path, "exec 0<&-; echo no such encoder >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    out = tmp_path / "new" / "sweep.mp4"
    frames = [np.zeros((512, 512, 3), np.uint8)] * 4

    with pytest.raises(UsageError, match="ffmpeg can't write an MP4: no such encoder"):
        save_film(iter(frames), out)

    assert list(out.parent.iterdir()) == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg isn't installed")
def test_the_real_ffmpeg_writes_a_film(tmp_path: Path) -> None:
    """Where it is installed."""
    frames = [np.full((64, 64, 3), 40 * n, np.uint8) for n in range(5)]
    out = tmp_path / "sweep.mp4"

    save_film(iter(frames), out)

    assert out.read_bytes()[4:8] == b"ftyp"
