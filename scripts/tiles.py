#!/usr/bin/env python3
"""Cuts photographs into tiles that have no up and down, to try the recipes `satellite` and `microscopy` on them.

    scripts/tiles.py PHOTOS TILES [--gray]
    scripts/tiles.py --histograms TILES

Each photograph becomes 4 x 4 tiles: eight in TILES/train, the others, like the squares of a checkerboard, in TILES/test.
Every tile is flipped and turned at random. The class of a tile is its photograph. `--histograms` prints how well the
nearest histograms of colors (8 x 8 x 8 bins, or 64 of gray; cosine of their square roots) find the photograph: what
colors alone tell. Needs Pillow and, for histograms, numpy.
"""

import argparse
import pathlib
import random

from PIL import Image

SIDE = 4
TURNS = [None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270]
NEIGHBORS = [1, 5, 20]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gray", action="store_true", help="write tiles in gray")
    parser.add_argument("--histograms", action="store_true", help="measure histograms of tiles that exist")
    parser.add_argument("folders", nargs="+", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.histograms:
        histograms(arguments.folders[0])
    else:
        photos, tiles = arguments.folders
        cut_all(photos, tiles, "L" if arguments.gray else "RGB")


def cut_all(photos, tiles, mode):
    rng = random.Random(0)
    for file in sorted(photos.rglob("*")):
        if file.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        photo = Image.open(file).convert("RGB")
        for row in range(SIDE):
            for column in range(SIDE):
                part = "train" if (row + column) % 2 == 0 else "test"
                path = tiles / part / file.stem / f"{row}{column}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cut(photo, row, column, rng).convert(mode).save(path)


def cut(photo, row, column, rng):
    width, height = photo.size
    box = (column * width // SIDE, row * height // SIDE, (column + 1) * width // SIDE, (row + 1) * height // SIDE)
    tile = photo.crop(box)
    if rng.random() < 0.5:
        tile = tile.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    turn = TURNS[rng.randrange(len(TURNS))]
    return tile.transpose(turn) if turn is not None else tile


def histograms(tiles):
    import numpy as np

    def load(part):
        rows, labels = [], []
        for label, folder in enumerate(sorted((tiles / part).iterdir())):
            for file in sorted(folder.iterdir()):
                rows.append(histogram(np.asarray(Image.open(file)), np))
                labels.append(label)
        return np.array(rows), np.array(labels)

    (bank, known), (queries, labels) = load("train"), load("test")
    cosines = queries @ bank.T
    for k in NEIGHBORS:
        nearest = np.argsort(-cosines, 1, kind="stable")[:, :k]
        votes = np.zeros((len(labels), known.max() + 1))
        for row, places in enumerate(nearest):
            np.add.at(votes[row], known[places], np.exp(cosines[row, places] / 0.07))
        print(f"k = {k}: {100 * (votes.argmax(1) == labels).mean():.1f} %")


def histogram(pixels, np):
    if pixels.ndim == 2:
        bins = pixels // 4
    else:
        bins = np.dot(pixels // 32, [64, 8, 1])
    counts = np.bincount(bins.ravel(), minlength=512)
    return np.sqrt(counts / counts.sum())


if __name__ == "__main__":
    main()
