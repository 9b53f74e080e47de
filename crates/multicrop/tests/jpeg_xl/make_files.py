"""Writes the JPEG XL files of this folder with libjxl, and as PNG what libjxl makes of them.

Needs imagecodecs (2026.3.6 was used, with libjxl 0.11), numpy and Pillow.
"""

import pathlib

import imagecodecs
import numpy as np
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)


def picture(samples):
    y, x = np.mgrid[0:37, 0:53]
    waves = [127 + 90 * np.sin(x / (5 + c) + c) * np.cos(y / (7 - c)) for c in range(samples)]
    return np.clip(np.stack(waves, -1) + RNG.normal(0, 6, (37, 53, samples)), 0, 255).astype(np.uint8)


for name, samples, options in (
    ("gray", 1, {"lossless": True}),
    ("gray_alpha", 2, {"lossless": True}),
    ("rgb", 3, {"lossless": True}),
    ("rgba", 4, {"lossless": True}),
    ("lossy", 3, {"distance": 1.5}),
    ("container", 3, {"lossless": True, "usecontainer": True}),
):
    array = picture(samples)
    data = imagecodecs.jpegxl_encode(array[..., 0] if samples == 1 else array, **options)
    (FOLDER / f"{name}.jxl").write_bytes(data)
    decoded = imagecodecs.jpegxl_decode(data)
    Image.fromarray(decoded).save(FOLDER / f"{name}.png")
