"""More of mini's pictures to evaluate on: drawn as its validation pictures, and in neither split.

    python benchmarks/mini_more.py DIR [--each 100]
    mixzoo eval --all --benchmark mini --data DIR --list DIR/more.csv --out DIR/more.json
    mixzoo eval compare DIR/more.json --against resnet18_w12.vanilla_mini

With 4,000 pictures paired tests tell two points apart; with the table's 1,000, four.
"""

import argparse
from pathlib import Path

from mixzoo.zoo.mini import species
from mixzoo.zoo.mini.dataset import jpeg
from mixzoo.zoo.mini.species import VAL_COUNT


def main() -> None:
    """Draw, and write the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=100, help="pictures of each species")
    options, lines = parser.parse_args(), []
    for one in species():
        folder = options.folder / "more" / str(one.id)
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(VAL_COUNT, VAL_COUNT + options.each):
            (folder / f"{index}.jpg").write_bytes(jpeg(one, "val", index))
            lines.append(f"more/{one.id}/{index}.jpg,{one.id}\n")
    (options.folder / "more.csv").write_text("".join(lines))


if __name__ == "__main__":
    main()
