"""Deep images as `tifffile`, `imagecodecs` and Pillow write them, and what numpy, scipy and Pillow make of
them. Writes `manifest.json` into the folder given; arrays are raw little-endian float32.

    python3 files.py folder
"""

import colorsys
import itertools
import json
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

OUT = Path(sys.argv[1])
RNG = np.random.default_rng(17)
MANIFEST = {"stored": [], "augmented": []}


def array(name, values):
    values.astype("<f4").tofile(OUT / name)
    return name


def stored(part, name, values, **options):
    """`values`, `[height, width, channels]`, are what the file `name` holds."""
    if values.ndim == 2:
        values = values[..., None]
    height, width, channels = values.shape
    entry = {"part": part, "file": name, "width": width, "height": height, "channels": channels}
    MANIFEST["stored"].append(entry | options | {"values": array(f"{len(MANIFEST['stored'])}.f32", values)})


def noise(dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (RNG.normal(size=shape) * 100).astype(dtype)
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)


def tiffs():
    types = ["u2", "i1", "i2", "u4", "i4", "f2", "f4", "f8"]
    codecs = [(None, 1), ("lzw", 2), ("zlib", 2), ("zstd", 1), ("packbits", 1)]
    layouts = [(1, {}), (5, {"planarconfig": "contig"}), (5, {"planarconfig": "separate"}),
               (1, {"tile": (16, 32)}), (3, {"planarconfig": "contig", "tile": (32, 16)})]
    matrix = itertools.product(types, codecs, enumerate(layouts), "<>")
    for dtype, (codec, predictor), (layout, (channels, options)), order in matrix:
        is_float = dtype[0] == "f"
        if is_float and predictor == 2:
            predictor = 3
        shape = (37, 41) if channels == 1 else (37, 41, channels)
        values = noise(dtype, shape)
        name = f"{dtype}-{codec}-{layout}-{'le' if order == '<' else 'be'}.tif"
        written = values
        if options.get("planarconfig") == "separate":
            written = np.moveaxis(values, -1, 0)
        tifffile.imwrite(OUT / name, written, byteorder=order, compression=codec, photometric="minisblack",
                         predictor=predictor if predictor > 1 else None, rowsperstrip=None if "tile" in options else 8,
                         **options)
        stored("tiff", name, values)


def pages():
    values = noise("u2", (4, 23, 31))
    with tifffile.TiffWriter(OUT / "stack.tif") as file:
        for page in values:
            file.write(page, photometric="minisblack", contiguous=False, compression="zlib")
    stored("pages", "stack.tif", values[0])
    stored("pages", "stack.tif", values[2], page=2)
    stored("pages", "stack.tif", np.moveaxis(values, 0, -1), page="channels")
    with tifffile.TiffWriter(OUT / "pyramid.tif") as file:
        file.write(values[0], photometric="minisblack")
        file.write(values[0][::2, ::2], photometric="minisblack", subfiletype=1)
    stored("pages", "pyramid.tif", values[0], page="channels")


def others():
    for channels in [1, 3, 4]:
        shape = (19, 27) if channels == 1 else (19, 27, channels)
        values = noise("u2", shape)
        (OUT / f"{channels}.png").write_bytes(imagecodecs.png_encode(values))
        stored("png", f"{channels}.png", values)
    for kind, channels in [(5, 1), (6, 3)]:
        values = RNG.integers(0, 4095, size=(19, 27, channels), endpoint=True)
        header = f"P{kind} 27 19 4095\n".encode()
        (OUT / f"{kind}.pnm").write_bytes(header + values.astype(">u2").tobytes())
        stored("pnm", f"{kind}.pnm", values)


def resized(values, box, size):
    """Pillow's resize of floats, cut off where the kernel overshoots."""
    left, top, width, height = box
    crop = values[top : top + height, left : left + width]
    planes = [Image.fromarray(np.ascontiguousarray(crop[..., c])) for c in range(crop.shape[2])]
    planes = [np.asarray(plane.resize((size, size), Image.BICUBIC)) for plane in planes]
    return np.clip(np.stack(planes, -1), 0, 1)


LUMA = np.array([19595, 38470, 7471]) / 65536


def turned(pixel, turns):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return colorsys.hsv_to_rgb((hue + turns) % 1.0, saturation, value)


def jittered(values, jitter):
    channels = values.shape[2]
    for change in jitter["order"]:
        if change == "brightness" and channels in (1, 3):
            values = np.clip(values * jitter[change], 0, 1)
        if change == "contrast" and channels in (1, 3):
            gray = values @ LUMA if channels == 3 else values
            values = np.clip(gray.mean() + jitter[change] * (values - gray.mean()), 0, 1)
        if change == "saturation" and channels == 3:
            gray = (values @ LUMA)[..., None]
            values = np.clip(gray + jitter[change] * (values - gray), 0, 1)
        if change == "hue" and channels == 3:
            values = np.apply_along_axis(turned, 2, values, jitter[change])
    return values


def blurred(values, sigma):
    """Three box averages by scipy, with the box of extended box filtering (Gwosdek et al., 2011)."""
    variance = sigma**2 / 3
    whole = np.floor((np.sqrt(12 * variance + 1) - 1) / 2)
    radius = whole + (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    reach, full = int(radius), 1 / (2 * radius + 1)
    edge = (1 - (2 * reach + 1) * full) / 2
    box = np.array([edge] + [full] * (2 * reach + 1) + [edge])
    for axis in (1, 1, 1, 0, 0, 0):
        values = ndimage.correlate1d(values, box, axis=axis, mode="nearest")
    return values


def augmentations():
    changes = ["brightness", "contrast", "saturation", "hue"]
    for index, channels in enumerate([1, 3, 5] * 6):
        height, width = RNG.integers(20, 90, size=2).tolist()
        values = ndimage.gaussian_filter(RNG.random((height, width, channels)), (1, 1, 0)).astype("f4")
        values = np.clip((values - 0.3) / 0.4, 0, 1).astype("f4")
        box_width, box_height = RNG.integers(8, width).item(), RNG.integers(8, height).item()
        box = [RNG.integers(0, width - box_width, endpoint=True).item(),
               RNG.integers(0, height - box_height, endpoint=True).item(), box_width, box_height]
        size = RNG.integers(6, 60).item()
        jitter = {"order": RNG.permutation(changes).tolist(), "hue": RNG.uniform(-0.5, 0.5)}
        jitter |= {change: RNG.uniform(0.4, 1.8) for change in changes[:3]}
        flip, gray = bool(index % 2), index % 5 == 4
        sigma, threshold = RNG.uniform(0.1, 3), [None, 128, 60][index % 3]
        mean, std = RNG.uniform(0.2, 0.6, channels), RNG.uniform(0.1, 0.5, channels)
        found = resized(values, box, size).astype("f8")
        found = found[:, ::-1] if flip else found
        found = jittered(found, jitter)
        if gray and channels == 3:
            found = np.repeat((found @ LUMA)[..., None], 3, axis=2)
        found = blurred(found, sigma)
        # a value at the threshold may be rounded to either side
        near = np.zeros(found.shape, bool)
        if threshold is not None:
            near = np.abs(found * 255 - threshold) < 1e-3
            found = np.where(found * 255 >= threshold, 1 - found, found)
        found = np.where(near, np.nan, (found - mean) / std)
        name = f"augment-{index}"
        MANIFEST["augmented"].append({
            "width": width, "height": height, "channels": channels, "box": box, "size": size, "flip": flip,
            "jitter": jitter, "gray": gray, "sigma": sigma, "threshold": threshold,
            "mean": mean.tolist(), "std": std.tolist(), "image": array(name + ".image", values),
            "values": array(name + ".values", np.moveaxis(found, -1, 0)),
        })


tiffs()
pages()
others()
augmentations()
(OUT / "manifest.json").write_text(json.dumps(MANIFEST))
