"""Writes pillow.csv: CRC-32 of what Pillow makes of procedural images, for many sizes and settings.

Made with Pillow 11.3.0, numpy 2.4.6, seed 20240501; run `python pillow.py > pillow.csv`. The image `noise`
of a case is a function of (x, y, channel, salt) that `golden_augment.rs` repeats; `smooth` is a
quarter of it around a ramp. Contrast, saturation and hue follow torchvision 0.26, whose functions
on Pillow images are the lines below.
"""
import random
import zlib

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def picture(width: int, height: int, salt: int, smooth: int) -> Image.Image:
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    bits = (x * 73856093 ^ y * 19349663 ^ c * 83492791 ^ salt * 2654435761) & 0xFFFFFFFF
    bits = (bits * 2246822519 & 0xFFFFFFFF) >> 24
    if smooth:
        bits = bits // 4 + (x * 3 + y * 2 + c * 40) % 192
    return Image.fromarray(bits.astype(np.uint8))


def hue(image: Image.Image, turns: float) -> Image.Image:
    h, s, v = image.convert("HSV").split()
    shifted = np.array(h, dtype=np.uint8) + np.int32(turns * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(shifted), s, v)).convert("RGB")


def change(op: str, image: Image.Image, a: float) -> Image.Image:
    match op:
        case "brightness":
            return ImageEnhance.Brightness(image).enhance(a)
        case "contrast":
            return ImageEnhance.Contrast(image).enhance(a)
        case "saturation":
            return ImageEnhance.Color(image).enhance(a)
        case "hue":
            return hue(image, a)
        case "blur":
            return image.filter(ImageFilter.GaussianBlur(a))
        case "grayscale":
            return image.convert("L").convert("RGB")
        case "solarize":
            return ImageOps.solarize(image, 128)


def line(op: str, width: int, height: int, salt: int, value: float, box: tuple, out: tuple) -> str:
    image = picture(width, height, salt, salt % 2)
    if op == "resize":
        left, top, w, h = box
        made = image.crop((left, top, left + w, top + h)).resize(out, Image.Resampling.BICUBIC)
    else:
        made = change(op, image, value)
    numbers = (width, height, salt, repr(value), *box, *out, zlib.crc32(made.tobytes()))
    return ",".join([op, *map(str, numbers)])


def main() -> None:
    rng = random.Random(20240501)
    print("op,width,height,salt,value,left,top,box_width,box_height,out_width,out_height,crc32")
    none = ((0, 0, 0, 0), (0, 0))
    extremes = [(1, 1), (1, 300), (300, 1), (2, 3), (500, 375)]
    for salt in range(150):
        width, height = extremes[salt] if salt < 5 else (rng.randint(1, 400), rng.randint(1, 400))
        left, top = rng.randrange(width), rng.randrange(height)
        box = (left, top, rng.randint(1, width - left), rng.randint(1, height - top))
        out = (rng.choice([1, 32, 96, 224, box[2]]), rng.choice([7, 32, 96, 224, box[3]]))
        print(line("resize", width, height, salt, 0.0, box, out))
    ranges = {"brightness": (0, 3), "contrast": (0, 3), "saturation": (0, 3), "hue": (-0.5, 0.5),
              "blur": (0.1, 2.0), "grayscale": (0, 0), "solarize": (0, 0)}
    for op, (low, high) in ranges.items():
        for salt in range(60 if high else 4):
            size = extremes[salt] if salt < 5 else (rng.randint(1, 200), rng.randint(1, 200))
            top_value = high if salt % 4 else 4 * high if op == "blur" else high
            print(line(op, *size, salt, rng.uniform(low, top_value), *none))


if __name__ == "__main__":
    main()
