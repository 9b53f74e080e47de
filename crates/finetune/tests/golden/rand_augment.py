"""Writes rand_augment.bin: what Pillow makes of one image by the operations of RandAugment.

Pillow 12.3.0; the order is that of `CASES` in ../golden.rs. The image and all results are bytes, [14, 19, 3].
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

FILL = (124, 116, 104)


def affine(image, map):
    return image.transform(image.size, Image.AFFINE, map, resample=Image.BICUBIC, fillcolor=FILL)


def solarize_add(image, added):
    return image.point([min(255, v + added) if v < 128 else v for v in range(256)] * 3)


rng = np.random.default_rng(5)
waves = np.add.outer(np.arange(14) * 9, np.arange(19) * 6)[..., None] + np.array([0, 20, 40])
image = Image.fromarray((waves % 200 + rng.integers(20, 50, (14, 19, 3))).astype(np.uint8))
narrow = image.point([v // 3 + 60 for v in range(256)] * 3)

results = [
    image,
    narrow,
    ImageOps.autocontrast(narrow),
    ImageOps.equalize(narrow),
    ImageOps.equalize(image),
    ImageOps.invert(image),
    image.rotate(27.5, resample=Image.BICUBIC, fillcolor=FILL),
    image.rotate(-13.0, resample=Image.BICUBIC, fillcolor=FILL),
    ImageOps.posterize(image, 1),
    ImageOps.posterize(image, 3),
    ImageOps.solarize(image, 26),
    solarize_add(image, 99),
    ImageEnhance.Color(image).enhance(1.81),
    ImageEnhance.Color(image).enhance(0.19),
    ImageEnhance.Contrast(image).enhance(1.81),
    ImageEnhance.Contrast(image).enhance(0.19),
    ImageEnhance.Brightness(image).enhance(1.81),
    ImageEnhance.Sharpness(image).enhance(1.81),
    ImageEnhance.Sharpness(image).enhance(0.19),
    affine(image, (1, 0.27, 0, 0, 1, 0)),
    affine(image, (1, 0, 0, -0.27, 1, 0)),
    affine(image, (1, 0, 0.405 * 19, 0, 1, 0)),
    affine(image, (1, 0, 0, 0, 1, -0.405 * 14)),
]
# Equalizing has an effect only if a channel has more pixels than 255: 266 here.
path = Path(__file__).with_suffix(".bin")
path.write_bytes(b"".join(np.asarray(result).tobytes() for result in results))
