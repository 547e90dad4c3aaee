"""What the commands of pictures were given: a checkpoint, pairs of pictures, class names.

Imported when a command runs, since it takes torch.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePath

import msgspec
import numpy as np

from ...eval.pixels import Pixels, centre_crop, decode
from ...train.mixing import LEARNT_METHODS, PICTURED, check_pictured
from ...viz.mix import Model, Pairs
from ...zoo.catalog import Benchmark, open_catalog
from ...zoo.checkpoint.load import load_resolved
from ...zoo.errors import DataError, UsageError
from ...zoo.files import require_no_pipe
from ...zoo.images import is_picture
from ...zoo.manifest import Protocol
from ...zoo.mini import NAMED, example, species
from ...zoo.nets import MixClassifier
from ...zoo.refs import CheckpointFile, resolve

PAIRS_OF_MINI = ((18, 8), (36, 22), (4, 27))  # species that are drawn where no images are given
PLAIN = Protocol(resize=256, crop=224)  # where no row says another
MOST_PAIRS = 40  # in one picture: higher ones can't be rendered


@dataclass(frozen=True)
class Given:
    """A checkpoint, if `ref` names one, and the pictures that are mixed.

    images: files, folders, and names of drawings (`zoo.mini.NAMED`); empty for drawn species.
    size: of the crop, None is the protocol's.
    """

    ref: str | None
    images: tuple[Path, ...]
    size: int | None
    manifests: tuple[Path, ...]

    @cached_property
    def checkpoint(self) -> CheckpointFile | None:
        """The file, fetched if it isn't here. Raises what `resolve` raises."""
        return None if self.ref is None else resolve(self.ref, open_catalog(self.manifests))

    @cached_property
    def model(self) -> Model | None:
        """The checkpoint's model. Raises what `load_resolved` raises."""
        return load_resolved(self.checkpoint) if self.checkpoint else None

    @property
    def benchmark(self) -> Benchmark | None:
        """The checkpoint's benchmark, if that is known."""
        return self.checkpoint.benchmark if self.checkpoint else None

    @property
    def learnt(self) -> str | None:
        """The method whose MixBlock the model has, if it has one."""
        return self.model.method if isinstance(self.model, MixClassifier) else None

    @property
    def with_block(self) -> MixClassifier:
        """The model, which has a MixBlock. Raises UsageError if it has none."""
        if isinstance(self.model, MixClassifier):
            return self.model
        got = f"{self.checkpoint.name} has none" if self.checkpoint else "got no REF"
        raise UsageError(
            f"--layout maps: expected a REF with a MixBlock (automix, samix), {got}. Name such a "
            "row or file."
        )

    @property
    def title(self) -> str:
        """The row's id, or the end of the file's path."""
        return "/".join(Path(self.checkpoint.name).parts[-2:]) if self.checkpoint else ""

    def methods(self, text: str) -> list[str]:
        """The comma-separated methods of an option.

        Raises UsageError for an unknown name, or one that needs another checkpoint.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names:
            raise UsageError("expected at least one method, got none. Name one.")
        for name in names:
            check_pictured(name, self.model)
        return names

    def method(self, text: str | None, otherwise: str) -> str:
        """The one method of an option; by default the checkpoint's own, or `otherwise`.

        Raises UsageError as `methods`, and for several.
        """
        names = self.methods(text if text is not None else self.learnt or otherwise)
        if len(names) != 1:
            raise UsageError(f"--method: expected one name, got {', '.join(names)}. Choose one.")
        return names[0]

    def pairs(self, most: int = MOST_PAIRS) -> Pairs:
        """The pictures in pairs, cut as the benchmark's protocol has it.

        most: pairs that can be shown. Raises DataError for a file that isn't an image, UsageError
        for an odd number of them, or too many.
        """
        files = _files(self.images)
        if len(files) % 2:
            raise UsageError(
                "--images: expected an even number of pictures, since they are taken in pairs, "
                f"got {len(files)}. Add or leave out one."
            )
        if len(files) > 2 * most:
            raise UsageError(
                f"--images: expected at most {2 * most} pictures, since one sheet can't show more, "
                f"got {len(files)}. Name fewer."
            )
        protocol, benchmark = PLAIN, self.benchmark
        if not (benchmark or files or self.size):
            benchmark = open_catalog().benchmark("mini")
        if benchmark:
            protocol = benchmark.manifest.protocol
        if self.size:
            resize = round(self.size * protocol.resize / protocol.crop)
            protocol = msgspec.structs.replace(protocol, crop=self.size, resize=resize)
        if files:
            whole, names = [_read(file) for file in files], [file.stem for file in files]
        else:
            drawn = [one for pair in PAIRS_OF_MINI[:most] for one in pair]
            whole = [np.asarray(example(one, 0)) for one in drawn]
            names = [species()[one].name for one in drawn]
        crops = [centre_crop(pixels, protocol) for pixels in whole]
        return Pairs(
            list(zip(crops[::2], crops[1::2], strict=True)),
            list(zip(names[::2], names[1::2], strict=True)),
            protocol,
        )


def methods_here(learnt: Collection[str]) -> list[str]:
    """The methods that mix images on this machine, given the learnt ones that have a checkpoint.

    SaliencyMix takes OpenCV's detector.
    """
    lacking = {*LEARNT_METHODS} - {*learnt}
    if find_spec("cv2") is None:
        lacking.add("saliencymix")
    return [name for name in PICTURED if name not in lacking]


def _files(images: Sequence[Path]) -> list[Path]:
    """The files named, folders replaced by the pictures in them."""
    files: list[Path] = []
    for path in images:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if is_picture(PurePath(one.name)))
        if not inside:
            raise UsageError(f"--images {path}: holds no pictures itself. Name a folder that does.")
        files += inside
    return files


def _read(file: Path) -> Pixels:
    require_no_pipe(file)  # of a folder
    try:
        content = file.read_bytes()
    except OSError as error:
        if str(file) in NAMED and isinstance(error, FileNotFoundError):
            return np.asarray(example(*NAMED[str(file)]))
        hint = "" if file.suffix else " A REF stands before --images."
        raise DataError(f"{file}: expected an image, got {error.strerror}.{hint}") from None
    return decode(content, str(file), upright=True)
