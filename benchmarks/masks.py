"""Do learnt masks follow the organisms? Mini's drawings know where theirs are.

    python benchmarks/masks.py [CHECKPOINT ...]    # rows or files; unless told AutoMix and SAMix

40 pairs of validation pictures, every species once first and once second; lam 0.5. `mean` is the
mean of the masks, which should be near lam. `own` is the share of each organism that its own mask
keeps, `ground` the share that it keeps of the other pixels: a mask that ignores what it masks
keeps as much of both. Writes results/masks.json and build/masks/NAME.png, pairs with their masks.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from machine import machine
from mixzoo.eval.pixels import centre_crop
from mixzoo.viz.mix import mix_pair
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.mini import example, silhouette, species
from PIL import Image

HERE = Path(__file__).parent
OUT, PICTURES = HERE / "results" / "masks.json", HERE.parent / "build" / "masks"
SPECIES = len(species())


def main() -> None:
    """Mix, compare with the outlines, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*")
    manifest = open_catalog().benchmark("mini").manifest
    learnt = [row.id for row in manifest.rows if row.method in ("automix", "samix")]
    cut = manifest.protocol
    pictures = [centre_crop(np.asarray(example(one, 0)), cut) for one in range(SPECIES)]
    outlines = [
        centre_crop(np.asarray(silhouette(one, 0).convert("RGB")), cut)[..., 0] / 255
        for one in range(SPECIES)
    ]
    found = {}
    print("| checkpoint | mean | own | ground |\n|---|---|---|---|")
    for ref in parser.parse_args().checkpoints or learnt:
        model, lines = load(ref), []
        means, own, ground = [], [], []
        for a in range(SPECIES):
            b = (a + SPECIES // 2) % SPECIES
            [mixed] = mix_pair(
                pictures[a], pictures[b], model.method, [0.5], model=model, protocol=cut
            )
            means.append(mixed.mask.mean())
            for mask, outline in ((mixed.mask, outlines[a]), (1 - mixed.mask, outlines[b])):
                own.append((mask * outline).sum() / outline.sum())
                ground.append((mask * (1 - outline)).sum() / (1 - outline).sum())
            grey = np.repeat(np.uint8(255 * mixed.mask)[..., None], 3, axis=2)
            lines.append(np.hstack([pictures[a], pictures[b], grey, mixed.image]))
        name = Path(ref).name.removesuffix(".pth")
        figures = {"mean": means, "own": own, "ground": ground}
        found[name] = {key: round(float(np.mean(values)), 3) for key, values in figures.items()}
        found[name]["mean_within_0.1"] = int(sum(abs(one - 0.5) <= 0.1 for one in means))
        print(f"| {name} | {' | '.join(f'{100 * found[name][key]:.1f}%' for key in figures)} |")
        PICTURES.mkdir(parents=True, exist_ok=True)
        columns = [np.vstack(lines[start : start + 10]) for start in range(0, SPECIES, 10)]
        Image.fromarray(np.hstack(columns)).save(PICTURES / f"{name}.png")
    content = {"pairs": SPECIES, "found": found, "machine": machine("torch", "pillow")}
    OUT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
