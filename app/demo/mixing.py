"""What the Mix tab shows of two pictures, computed; nothing here knows of a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import torch

from ...eval.protocol import normalise
from ...viz.mix import MixedPair, mix_pair
from ...zoo.looks import command
from ...zoo.manifest import Protocol
from .context import Model
from .pictures import Picture

TITLES = {  # as their papers write them; those of the page's first sight first, SAMix's soft masks
    "samix": "SAMix",  # before AutoMix's, which look like blocks where they are small
    "automix": "AutoMix",
    "cutmix": "CutMix",
    "mixup": "MixUp",
    "saliencymix": "SaliencyMix",
    "fmix": "FMix",
    "resizemix": "ResizeMix",
    "puzzlemix": "PuzzleMix",
}
STORY = tuple(TITLES)[:4]
PAIRINGS = {
    "turn": "in turn: A and B, the first two, the next two",
    "a": "A with each",
    "each": "each with each",
}
TOP = 5  # classes that are told
VISIBLE = 0.005  # a difference that two digits show
CLIPPED = "B's box reaches over the edge"
UNLIKE_LAM = {  # why a label isn't what was wanted
    "cutmix": CLIPPED,
    "saliencymix": CLIPPED,
    "resizemix": CLIPPED,
    "puzzlemix": "blocks are taken by what they show",
}
Guesses = dict[str, float]
"""The first classes of a classifier, the likeliest first: name -> probability in [0, 1]."""


@dataclass(frozen=True)
class Mix:
    """All that a mix depends on: pictures, the method and its numbers, the row and its model."""

    a: Picture
    b: Picture
    method: str
    lam: float
    seed: int
    ref: str
    model: Model
    protocol: Protocol


def look(mix: Mix, names: Sequence[str]) -> tuple[MixedPair, list[Guesses]]:
    """Mix two pictures; what the classifier takes A, the mix and B for.

    names: of the model's classes, by index. The classifier sees the mix as a file would hold it,
    rounded to 8 bits. Raises what `viz.mix.mix_pair` raises.
    """
    a, b, model, protocol = mix.a.crop, mix.b.crop, mix.model, mix.protocol
    [pair] = mix_pair(a, b, mix.method, [mix.lam], seed=mix.seed, model=model, protocol=protocol)
    x = normalise(torch.from_numpy(np.stack([a, pair.image, b])), protocol)  # (3, 3, S, S)
    with torch.inference_mode():
        probabilities, classes = model(x).softmax(1).topk(min(TOP, model.num_classes))
    guesses: list[Guesses] = [
        {names[int(number)]: value for number, value in zip(ids, values, strict=True)}
        for ids, values in zip(classes.tolist(), probabilities.tolist(), strict=True)
    ]
    return pair, guesses


def why_label(pair: MixedPair) -> str:
    """A sentence on lam, the part of A in the picture, and its part in the label."""
    area, lam = float(pair.mask.mean()), f"lam {pair.lam:.2f}"
    follows = f"A keeps {area:.2f} of the picture, and the label follows the picture."
    if abs(pair.share - pair.lam) >= VISIBLE:
        return f"{lam} was wanted, but {UNLIKE_LAM[pair.method]}: {follows}"
    if abs(area - pair.share) >= VISIBLE:
        return (
            f"The label stays at {lam}, though A has {area:.2f} of the picture: {pair.method} has "
            "learnt which pixels carry it."
        )
    return f"{lam}: A has as much of the picture as of the label."


def file_name(mix: Mix, ending: str = "") -> str:
    """A name for a saved picture that says what it is: `fox-owl-samix-lam0.3-seed0.png`."""
    stems = (re.sub(r"[^\w-]+", "-", Path(one.name).stem)[:40] for one in (mix.a, mix.b))
    return "-".join([*stems, mix.method, f"lam{_number(mix.lam)}", f"seed{mix.seed}"]) + (
        f"{ending}.png"
    )


def settings(mix: Mix) -> dict[str, str]:
    """What a saved picture says of itself in its PNG's text: what it is, and how it is made."""
    a, b = _files(mix)
    return {
        "Title": f"{a} and {b}, mixed by {TITLES[mix.method]}",
        "Description": f"lam {_number(mix.lam)}, seed {mix.seed}, checkpoint {mix.ref}",
        "Software": f"mixzoo {version('mixzoo')}",
        "Command": command_line(mix),
    }


def paired(pictures: Sequence[Picture], pairing: str) -> list[tuple[Picture, Picture]]:
    """Pictures in pairs, by one of PAIRINGS. In turn, one that is left over goes with the first."""
    if pairing == "each":
        return list(combinations(pictures, 2))
    if pairing == "a":
        return [(pictures[0], one) for one in pictures[1:]]
    whole = [*pictures, pictures[0]] if len(pictures) % 2 else pictures
    return list(zip(whole[::2], whole[1::2], strict=True))


def command_line(mix: Mix) -> str:
    """A command that saves the page's mixed picture, pixel for pixel, as `mix.png`.

    A visitor's own pictures are files beside it under the names shown.
    """
    images = [
        Path(file).stem if one.drawn else file
        for one, file in zip((mix.a, mix.b), _files(mix), strict=True)
    ]
    how = ["--methods", mix.method, "--lams", _number(mix.lam), "--seed", mix.seed]
    mix_alone = ["--layout", "mix", "--out", "mix.png"]
    return command("viz", "mix", mix.ref, "--images", *images, *how, *mix_alone)


def python_lines(mix: Mix) -> str:
    """A program that saves the page's mixed picture, pixel for pixel, as `mixed.png`."""
    lines = {
        "import mixzoo": True,
        "import numpy as np": True,
        "from mixzoo.eval.pixels import centre_crop": True,
        "from mixzoo.viz.mix import mix_pair": True,
        "from mixzoo.zoo.manifest import Protocol": True,
        "from mixzoo.zoo.mini import example": mix.a.drawn or mix.b.drawn,
        "from PIL import Image, ImageOps": not (mix.a.drawn and mix.b.drawn),
        "from PIL import Image": mix.a.drawn and mix.b.drawn,
    }
    file_a, file_b = _files(mix)
    return "\n".join(
        [
            *(line for line, needed in lines.items() if needed),
            "",
            f"protocol = {_protocol(mix.protocol)}",
            f"a = centre_crop(np.asarray({_opened(mix.a, file_a)}), protocol)",
            f"b = centre_crop(np.asarray({_opened(mix.b, file_b)}), protocol)",
            f'model = mixzoo.load("{mix.ref}")',
            f'[mixed] = mix_pair(a, b, "{mix.method}", [{_number(mix.lam)}], seed={mix.seed}, '
            "model=model, protocol=protocol)",
            'Image.fromarray(mixed.image).save("mixed.png")',
        ]
    )


def _number(lam: float) -> str:
    """A lam in the fewest digits that are the same number."""
    return repr(lam).removesuffix(".0")


def _files(mix: Mix) -> tuple[str, str]:
    """The pictures' file names, told apart where they are the same."""
    a, b = mix.a.name, mix.b.name
    return (a, b) if a != b or mix.a.crop is mix.b.crop else (f"a-{a}", f"b-{b}")


def _opened(picture: Picture, file: str) -> str:
    if picture.drawn:
        return f"example{picture.drawn}"
    return f'ImageOps.exif_transpose(Image.open({file!r})).convert("RGB")'


def _protocol(protocol: Protocol) -> str:
    """The call that makes it, without what is the default anyway."""
    plain = msgspec.structs.asdict(Protocol(resize=protocol.resize, crop=protocol.crop))
    told = {"resize": protocol.resize, "crop": protocol.crop} | {
        name: value
        for name, value in msgspec.structs.asdict(protocol).items()
        if name != "note" and value != plain[name]
    }
    return f"Protocol({', '.join(f'{name}={value!r}' for name, value in told.items())})"
