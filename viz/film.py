"""A sweep over lam that moves: frames of one size, and files that play them for ever."""

import io
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from tqdm import tqdm

from ..zoo.errors import UsageError
from ..zoo.files import becoming
from .canvas import Pixels
from .grid import Column, Row, Tile, draw_grid
from .mix import MASK_KEY, MixedPair, mask_tile, mixed_tile
from .save import named_format
from .themes import LIGHT, Theme

DOTS_PER_INCH = 130
TILE = 1.7  # inches
PALETTE_FRAMES = 12  # that the palette of a GIF is taken from
FORMATS = ("gif", "mp4")
TAIL = 200  # characters of ffmpeg's complaint that are passed on


def sweep_frames(
    sources: Column, mixes: Sequence[MixedPair], theme: Theme = LIGHT
) -> Iterator[Pixels]:
    """A picture for each mix: A, the mix, its mask, B.

    sources: of `Pairs.sources`. mixes: of one method, as `mix_pair` gives them. Yields (H', W', 3)
    uint8, all of one even size.
    """
    for mixed in mixes:
        figure = draw_grid([sweep_row(sources, mixed)], theme, tile=TILE)
        figure.set_dpi(DOTS_PER_INCH)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        height, width = (side // 2 * 2 for side in pixels.shape[:2])  # H.264 wants even sides
        yield pixels[:height, :width].copy()


def sweep_row(sources: Column, mixed: MixedPair) -> Row:
    """A, the mix, its mask and B side by side. sources: of `Pairs.sources`."""
    a, b = sources.tiles
    tiles: Sequence[Tile] = (a, mixed_tile(mixed), mask_tile(mixed), b)
    titles = ("", mixed.method, f"λ {mixed.lam:.2f}", "")
    columns = tuple(Column((tile,), title) for tile, title in zip(tiles, titles, strict=True))
    return Row(columns, key=MASK_KEY)


def film_format(path: Path) -> str:
    """The format that a name asks for. Raises UsageError for others, or MP4 without ffmpeg."""
    found = named_format(path, FORMATS)
    if found == "mp4" and shutil.which("ffmpeg") is None:
        raise UsageError(
            f"{path}: MP4 needs ffmpeg, which isn't installed. Name a .gif file instead."
        )
    return found


def save_film(frames: Iterable[Pixels], path: Path, *, fps: int = 15, total: int = 0) -> None:
    """Write frames of one size, there and back, as a GIF that loops or as an MP4, in one step.

    The way back leaves out both ends, so that a loop neither jumps nor halts. fps: pictures a
    second, 1 to 50. total: of frames, for the progress bar. Raises UsageError as `film_format`, or
    what ffmpeg says; OSError where the folder can't be written.
    """
    kind = film_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    way = list(tqdm(frames, "drawing", total or None, unit="frame", disable=None))
    loop = [*way, *way[-2:0:-1]]
    with becoming(path) as part:
        if kind == "gif":
            part.write_bytes(_gif(loop, fps))
        else:
            _write_mp4(loop, part, fps)


def _gif(frames: Sequence[Pixels], fps: int) -> bytes:
    """Frames as an endless GIF with one palette, so that colours don't flicker."""
    step = max(1, len(frames) // PALETTE_FRAMES)
    sample = Image.fromarray(np.concatenate(frames[::step]))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(one).quantize(palette=palette) for one in frames]
    buffer = io.BytesIO()
    # a GIF counts in hundredths of a second; equal frames are joined, their times added
    duration = 10 * round(100 / fps)
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0
    )
    return buffer.getvalue()


def _write_mp4(frames: Sequence[Pixels], path: Path, fps: int) -> None:
    """Pipe frames through ffmpeg as H.264 that every player knows."""
    size = f"{frames[0].shape[1]}x{frames[0].shape[0]}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(fps), "-i", "-"]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path)]
    command = ["ffmpeg", "-y", "-loglevel", "error", *source, *target]
    done = subprocess.run(
        command, input=b"".join(map(np.ndarray.tobytes, frames)), capture_output=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[-TAIL:]
        raise UsageError(f"{path}: ffmpeg can't write an MP4: {said}. Name a .gif file instead.")
