#!/usr/bin/env python3
"""Writes small sources of images for journey.sh, each with two classes that differ in texture and color.

    journey_images.py FOLDER

    photos/{train,test}/{meadow,sea}/*.jpg   photographs of different sizes
    microscopy/{dots,stripes}/*.tif          five channels of 16 bits, of which 12 are used
    labelled.parquet                         columns `image` and `label`

Needs NumPy; JPEGs need Pillow, and the parquet file needs pyarrow. What cannot be written is named on standard error.
"""

import io
import os
import struct
import sys

TRAIN, TEST = 96, 32


def photo(number, kind):
    """A JPEG of 120 to 200 pixels: a gradient, waves and noise."""
    import numpy
    from PIL import Image

    draw = numpy.random.default_rng(number)
    width, height = 120 + number * 7 % 80, 120 + number * 11 % 60
    y, x = numpy.mgrid[:height, :width]
    wave = 60 * numpy.sin(draw.uniform(0.05, 0.3) * (x if kind else x + y) + number)
    gray = wave + 60 * y / height + draw.uniform(0, 24, (height, width))
    color = numpy.array([40, 90, 170] if kind else [90, 150, 50])
    pixels = numpy.clip(gray[:, :, None] + color, 0, 255).astype(numpy.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    return file.getvalue()


def tiff(number, kind, side=64, channels=5):
    """An uncompressed TIFF with channels of 16 bits side by side; values of a 12-bit camera."""
    import numpy

    draw = numpy.random.default_rng(number)
    y, x = numpy.mgrid[:side, :side]
    if kind:
        signal = 0.5 + 0.5 * numpy.sin(2 * numpy.pi * x / draw.uniform(6, 12))
    else:
        spots = draw.uniform(8, side - 8, (6, 2))
        signal = numpy.max([numpy.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in spots], axis=0)
    values = 200 + signal[:, :, None] * (600 + 400 * numpy.arange(channels))
    data = (values + draw.uniform(0, 60, values.shape)).astype("<u2").tobytes()
    bits = struct.pack(f"<{channels}H", *[16] * channels)
    kinds = struct.pack(f"<{channels - 3}H", *[0] * (channels - 3))
    bits_at = 8 + len(data)
    entries = [
        (256, 3, 1, side),  # width
        (257, 3, 1, side),  # height
        (258, 3, channels, bits_at),
        (259, 3, 1, 1),  # no compression
        (262, 3, 1, 2),  # RGB
        (273, 4, 1, 8),  # where the pixels are
        (277, 3, 1, channels),
        (278, 3, 1, side),  # rows of a strip
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),  # channels side by side
        (338, 3, channels - 3, struct.unpack("<I", kinds)[0]),  # two extra channels of any kind
    ]
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", bits_at + len(bits)) + data + bits + table + bytes(4)


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def photos(folder):
    for part, first, count in [("train", 0, TRAIN), ("test", TRAIN, TEST)]:
        for number in range(first, first + count):
            name = ["meadow", "sea"][number % 2]
            write(f"{folder}/photos/{part}/{name}/{number:03}.jpg", photo(number, number % 2))


def microscopy(folder):
    for number in range(TRAIN):
        name = ["dots", "stripes"][number % 2]
        write(f"{folder}/microscopy/{name}/{number:03}.tif", tiff(number, number % 2))


def parquet(folder):
    import pyarrow
    import pyarrow.parquet

    images = [{"bytes": photo(number, number % 2), "path": f"{number:03}.jpg"} for number in range(TRAIN)]
    table = pyarrow.table({"image": images, "label": [number % 2 for number in range(TRAIN)]})
    pyarrow.parquet.write_table(table, f"{folder}/labelled.parquet")


if __name__ == "__main__":
    home = sys.argv[1]
    os.makedirs(home, exist_ok=True)
    for source in (photos, microscopy, parquet):
        try:
            source(home)
        except ImportError as error:
            print(f"{source.__name__} are left out: {error}", file=sys.stderr)
