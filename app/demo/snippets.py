"""The command line and the Python lines that make the picture that the page shows."""

import shlex
from dataclasses import dataclass

import msgspec

from ...zoo.manifest import Protocol
from .pictures import Picture


@dataclass(frozen=True)
class Recipe:
    """All that a mix depends on: the pictures, the method and its numbers, the row's id."""

    a: Picture
    b: Picture
    method: str
    lam: float
    seed: int
    ref: str
    protocol: Protocol


def command_line(recipe: Recipe) -> str:
    """The `mixzoo viz mix` command; the pictures are files beside it under the names shown."""
    words = ["mixzoo", "viz", "mix", recipe.ref, "--images", *_files(recipe)]
    words += ["--methods", recipe.method, "--lams", f"{recipe.lam:g}", "--seed", f"{recipe.seed}"]
    return shlex.join([*words, "--out", "mix.png"])


def python_lines(recipe: Recipe) -> str:
    """A program that saves the page's mixed picture, pixel for pixel, as `mixed.png`."""
    lines = {
        "import mixzoo": True,
        "import numpy as np": True,
        "from mixzoo.eval.pixels import centre_crop": True,
        "from mixzoo.viz.mix import mix_pair": True,
        "from mixzoo.zoo.manifest import Protocol": True,
        "from mixzoo.zoo.mini import example": recipe.a.drawn or recipe.b.drawn,
        "from PIL import Image, ImageOps": not (recipe.a.drawn and recipe.b.drawn),
        "from PIL import Image": recipe.a.drawn and recipe.b.drawn,
    }
    file_a, file_b = _files(recipe)
    return "\n".join(
        [
            *(line for line, needed in lines.items() if needed),
            "",
            f"protocol = {_protocol(recipe.protocol)}",
            f"a = centre_crop(np.asarray({_opened(recipe.a, file_a)}), protocol)",
            f"b = centre_crop(np.asarray({_opened(recipe.b, file_b)}), protocol)",
            f'model = mixzoo.load("{recipe.ref}")',
            f'[mixed] = mix_pair(a, b, "{recipe.method}", [{recipe.lam:g}], seed={recipe.seed}, '
            "model=model, protocol=protocol)",
            'Image.fromarray(mixed.image).save("mixed.png")',
        ]
    )


def _files(recipe: Recipe) -> tuple[str, str]:
    """The pictures' file names, told apart where they are the same."""
    a, b = recipe.a.name, recipe.b.name
    return (a, b) if a != b or recipe.a.crop is recipe.b.crop else (f"a-{a}", f"b-{b}")


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
