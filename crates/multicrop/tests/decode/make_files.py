"""Makes the image files of this folder and `expected.json`, what Pillow makes of them.

    python make_files.py        (Pillow 13.0.0, libjpeg-turbo 3.2.0, libwebp 1.6.0, libtiff 4.7.2)

`expected.json` has for each file its size and, as hexadecimal digits, the values of
`ImageOps.exif_transpose(Image.open(file)).convert("RGB")`, and "L" and "RGBA" made of that; with
`stored` the same without `exif_transpose` where it differs. Where Pillow has no answer (gray of 16
bits, which it clips, and bands) the values come from the arrays that were written. `tolerance` is the
largest difference allowed: 0 but for lossy formats, whose decoders round differently.
"""

import io
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 7, 5
EXPECTED = []

y, x = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([30 * x + 5 * y, 50 * y + 3 * x, 255 - 20 * x - 11 * y], 2).astype(np.uint8)
GRAY = RGB[..., 0]
ALPHA = np.where((x + y) % 3 == 0, 0, 60 + 25 * x).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
GRAY_ALPHA = np.dstack([GRAY, ALPHA])
WIDE = (RGB.astype(np.uint16) << 8) + (37 * x + 91 * y)[..., None].astype(np.uint16) % 256
WIDE_ALPHA = np.dstack([WIDE, ALPHA.astype(np.uint16) * 256 + 200])
EXIF = Image.Exif()
EXIF[0x0112] = 6


def values(image):
    rgb = image.convert("RGBA").convert("RGB") if image.mode == "LA" else image.convert("RGB")
    rgba = image.convert("RGBA") if image.mode != "CMYK" else rgb.convert("RGBA")
    return {
        "width": image.width,
        "height": image.height,
        "rgb": rgb.tobytes().hex(),
        "l": rgb.convert("L").tobytes().hex(),
        "rgba": rgba.tobytes().hex(),
    }


def keep(name, data, truth=None, tolerance=0, **more):
    """Writes a file and what is expected of it: `truth`, an image, or else what Pillow reads."""
    assert len(data) < 2048, (name, len(data))
    (FOLDER / name).write_bytes(data)
    image = truth if truth is not None else Image.open(io.BytesIO(data))
    upright = ImageOps.exif_transpose(image)
    entry = {"file": name, "tolerance": tolerance, **values(upright), **more}
    if upright.size != image.size:
        stored = values(image)
        entry["stored"] = {key: stored[key] for key in ("width", "height", "rgb")}
    EXPECTED.append(entry)


def saved(image, format, **options):
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def png(array, color, bits, interlaced=False, chunks=()):
    """A PNG with all that Pillow does not write; `array` is [height, width, samples]."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(part):
        lines = []
        for line in part.reshape(part.shape[0], -1):
            if bits == 16:
                lines.append(b"\0" + line.astype(">u2").tobytes())
            else:
                ones = np.unpackbits(line.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
                lines.append(b"\0" + np.packbits(ones.ravel()).tobytes())
        return b"".join(lines)

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [array[b::d, a::c] for a, b, c, d in passes] if interlaced else [array]
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, color, 0, 0, interlaced)
    body = b"".join(rows(part) for part in parts if part.size)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + b"".join(chunk(kind, body) for kind, body in chunks)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def tiff(array, photometric, bits=8, extra=(), tile=None, planar=False, big_endian=False, tags=()):
    """An uncompressed TIFF; `array` is [height, width, samples]."""
    height, width, samples = array.shape
    order = ">" if big_endian else "<"
    kind = f"{order}u{bits // 8}"

    def packed(part):
        if bits >= 8:
            return part.astype(kind).tobytes()
        ones = lambda line: np.unpackbits(line.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
        return b"".join(np.packbits(ones(line.ravel()).ravel()).tobytes() for line in part)

    planes = np.split(array, samples, 2) if planar else [array]
    if tile:
        blocks = []
        for plane in planes:
            for top in range(0, height, tile):
                for left in range(0, width, tile):
                    block = np.zeros((tile, tile, plane.shape[2]), plane.dtype)
                    part = plane[top : top + tile, left : left + tile]
                    block[: part.shape[0], : part.shape[1]] = part
                    blocks.append(packed(block))
    else:
        blocks = [packed(part) for plane in planes for part in (plane[:3], plane[3:])]
    entries = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [bits] * samples),
        259: (3, [1]),
        262: (3, [photometric]),
        277: (3, [samples]),
        284: (3, [2 if planar else 1]),
        **dict(tags),
    }
    if extra:
        entries[338] = (3, list(extra))
    offsets, data = [], b""
    for block in blocks:
        offsets.append(8 + len(data))
        data += block + b"\0" * (len(block) % 2)
    places, lengths = (324, 325) if tile else (273, 279)
    entries[places] = (4, offsets)
    entries[lengths] = (4, [len(block) for block in blocks])
    if tile:
        entries[322], entries[323] = (3, [tile]), (3, [tile])
    else:
        entries[278] = (3, [3])
    start = 8 + len(data)
    behind = start + 2 + 12 * len(entries) + 4
    directory, tail = struct.pack(order + "H", len(entries)), b""
    for tag, (type_, numbers) in sorted(entries.items()):
        body = struct.pack(order + str(len(numbers)) + {3: "H", 4: "I"}[type_], *numbers)
        if len(body) > 4:
            tail, body = tail + body, struct.pack(order + "I", behind + len(tail))
        directory += struct.pack(order + "HHI", tag, type_, len(numbers)) + body.ljust(4, b"\0")
    head = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, start)
    return head + data + directory + struct.pack(order + "I", 0) + tail


def jpegs():
    rgb, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    for name, image, options in [
        ("baseline", rgb, {"subsampling": 0}),
        ("progressive", rgb, {"subsampling": 0, "progressive": True}),
        ("halved", rgb, {"subsampling": 2}),
        ("gray", gray, {}),
        ("colors_unchanged", rgb, {"keep_rgb": True}),
        ("turned", rgb, {"subsampling": 0, "exif": EXIF}),
    ]:
        keep(f"{name}.jpg", saved(image, "JPEG", quality=90, **options), tolerance=8 if name == "halved" else 2)
    ink = np.dstack([RGB, (8 * x + 20 * y).astype(np.uint8)])
    cmyk = saved(Image.fromarray(ink, "CMYK"), "JPEG", quality=90)
    keep("cmyk.jpg", cmyk, tolerance=2)
    marker = cmyk.index(b"\xff\xee")
    (length,) = struct.unpack(">H", cmyk[marker + 2 : marker + 4])
    assert cmyk[marker + 4 : marker + 9] == b"Adobe" and cmyk[marker + 15] == 0
    keep("cmyk_without_marker.jpg", cmyk[:marker] + cmyk[marker + 2 + length :], tolerance=2)
    keep("ycck.jpg", cmyk[: marker + 15] + b"\2" + cmyk[marker + 16 :], tolerance=2)


def pngs():
    palette = Image.fromarray(RGB).quantize(16)
    keep("palette_8.png", saved(palette, "PNG", bits=8))
    keep("palette_4.png", saved(palette, "PNG", bits=4))
    keep("palette_2.png", saved(Image.fromarray(RGB).quantize(4), "PNG", bits=2))
    keep("palette_1.png", saved(Image.fromarray(RGB).quantize(2), "PNG", bits=1))
    keep("palette_alpha.png", saved(palette, "PNG", bits=8, transparency=bytes(range(0, 160, 10))))
    for bits in (1, 2, 4):
        few = GRAY >> (8 - bits)
        keep(f"gray_{bits}.png", png(few[..., None], 0, bits))
    keep("gray_8.png", saved(Image.fromarray(GRAY), "PNG"))
    keep("gray_16.png", png(WIDE[..., :1], 0, 16), Image.fromarray(GRAY))
    keep("gray_alpha.png", saved(Image.fromarray(GRAY_ALPHA, "LA"), "PNG"))
    keep("gray_alpha_16.png", png(WIDE_ALPHA[..., [0, 3]], 4, 16))
    clear = struct.pack(">H", int(GRAY[2, 3]))
    keep("gray_one_clear.png", png(GRAY[..., None], 0, 8, chunks=[(b"tRNS", clear)]))
    keep("rgb_8.png", saved(Image.fromarray(RGB), "PNG"))
    keep("rgb_16.png", png(WIDE, 2, 16))
    clear = struct.pack(">HHH", *RGB[2, 3].tolist())
    keep("rgb_one_clear.png", png(RGB, 2, 8, chunks=[(b"tRNS", clear)]))
    keep("rgba_8.png", saved(Image.fromarray(RGBA), "PNG"))
    keep("rgba_16.png", png(WIDE_ALPHA, 6, 16))
    keep("interlaced.png", png(RGB, 2, 8, interlaced=True))
    keep("interlaced_gray_1.png", png((GRAY >> 7)[..., None], 0, 1, interlaced=True))
    keep("turned.png", saved(Image.fromarray(RGB), "PNG", exif=EXIF))
    second = [Image.fromarray(255 - RGB)]
    keep("animated.png", saved(Image.fromarray(RGB), "PNG", save_all=True, append_images=second))
    keep("animated_apart.png", saved(Image.fromarray(RGB), "PNG", save_all=True, default_image=True, append_images=second))


def webps():
    rgb, rgba = Image.fromarray(RGB), Image.fromarray(RGBA)
    keep("lossy.webp", saved(rgb, "WEBP", quality=80), tolerance=1)
    keep("lossy_alpha.webp", saved(rgba, "WEBP", quality=80), tolerance=1)
    keep("lossless.webp", saved(rgb, "WEBP", lossless=True))
    keep("lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True))
    keep("turned.webp", saved(rgb, "WEBP", lossless=True, exif=EXIF))
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - RGB)], "duration": 50}
    keep("animated.webp", saved(rgb, "WEBP", lossless=True, **frames))


def tiffs():
    rgb = Image.fromarray(RGB)
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        keep(f"{name.removeprefix('tiff_')}.tif", saved(rgb, "TIFF", compression=name))
    keep("differences.tif", saved(rgb, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
    keep("jpeg.tif", saved(rgb, "TIFF", compression="jpeg", quality=90), tolerance=4)
    keep("fax.tif", saved(Image.fromarray(GRAY).convert("1"), "TIFF", compression="group4"))
    keep("gray_1.tif", saved(Image.fromarray(GRAY).convert("1"), "TIFF"))
    keep("gray_4.tif", tiff((GRAY >> 4)[..., None], 1, bits=4))
    keep("gray_8.tif", saved(Image.fromarray(GRAY), "TIFF"))
    keep("gray_8_white_is_zero.tif", tiff(GRAY[..., None], 0))
    keep("gray_16.tif", tiff(WIDE[..., :1], 1, bits=16), Image.fromarray(GRAY))
    keep("gray_alpha.tif", tiff(GRAY_ALPHA, 1, extra=[2]))
    keep("rgb_16.tif", tiff(WIDE, 2, bits=16))
    keep("rgb_16_big_endian.tif", tiff(WIDE, 2, bits=16, big_endian=True))
    keep("rgba.tif", tiff(RGBA, 2, extra=[2]))
    multiplied = np.dstack([(RGB * (ALPHA[..., None] / 255)).astype(np.uint8), ALPHA])
    keep("rgba_multiplied.tif", tiff(multiplied, 2, extra=[1]))
    keep("tiled.tif", tiff(RGB, 2, tile=16))
    keep("planes.tif", tiff(RGB, 2, planar=True), rgb)
    keep("cmyk.tif", saved(Image.fromarray(np.dstack([RGB, GRAY // 2]), "CMYK"), "TIFF"))
    indices = ((x + 2 * y) % 16).astype(np.uint8)[..., None]
    shades = np.random.default_rng(1).integers(0, 65536, 3 * 16).tolist()
    keep("palette_4.tif", tiff(indices, 3, bits=4, tags=[(320, (3, shades))]))
    keep("palette_4_big_endian.tif", tiff(indices, 3, bits=4, big_endian=True, tags=[(320, (3, shades))]))
    keep("palette_8.tif", saved(rgb.quantize(8), "TIFF"))
    keep("turned.tif", tiff(RGB, 2, tags=[(274, (3, [6]))]))
    keep("pages.tif", saved(rgb, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)]))
    bands = np.dstack([RGB, RGB[..., ::-1]])
    for name, n, photometric in [("bands_5", 5, 1), ("bands_4_color", 4, 2), ("bands_6_color", 6, 2)]:
        extra = [0] * (n - (3 if photometric == 2 else 1))
        data = tiff(bands[..., :n], photometric, extra=extra)
        (FOLDER / f"{name}.tif").write_bytes(data)
        written = np.ascontiguousarray(bands[..., :n]).tobytes().hex()
        EXPECTED.append({"file": f"{name}.tif", "tolerance": 0, "width": WIDTH, "height": HEIGHT, "n": n, "bands": written})


def bitmaps():
    rgb = Image.fromarray(RGB)
    keep("1.bmp", saved(Image.fromarray(GRAY).convert("1"), "BMP"))
    keep("gray.bmp", saved(Image.fromarray(GRAY), "BMP"))
    keep("palette.bmp", saved(rgb.quantize(16), "BMP"))
    keep("24.bmp", saved(rgb, "BMP"))
    keep("32.bmp", saved(Image.fromarray(RGBA), "BMP"))


def gifs():
    palette = Image.fromarray(RGB).quantize(16)
    keep("plain.gif", saved(palette, "GIF"))
    keep("clear.gif", saved(palette, "GIF", transparency=3))
    second = [Image.fromarray(255 - RGB).quantize(16)]
    keep("animated.gif", saved(palette, "GIF", save_all=True, append_images=second))
    for name, options in [("corner", {}), ("corner_clear", {"transparency": 3})]:
        small = bytearray(saved(palette.crop((0, 0, 4, 3)), "GIF", **options))
        small[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
        frame = small.index(b"\x2c", 13 + 3 * (2 << (small[10] & 7)))
        small[frame + 1 : frame + 5] = struct.pack("<HH", 2, 1)
        keep(f"{name}.gif", bytes(small))
    small[6:10] = struct.pack("<HH", 3, 2)
    keep("sticks_out.gif", bytes(small))


def layouts():
    """Forms that no library writes, by the writer of `tests/pillow`; made with Pillow 12.3.0."""
    from pillow import tiffs as writer

    aerial = np.dstack([RGB, GRAY, 255 - GRAY])
    tiles = {"tile": (16, 16), "extra": [0, 0], "compression": writer.LZW, "predictor": 2}
    rgb = Image.fromarray(RGB)
    keep("big.tif", writer.write(RGB, 2, big=True), rgb)
    keep("big_big_endian.tif", writer.write(RGB, 2, big=True, big_endian=True), rgb)
    keep("extra_tiled.tif", writer.write(aerial, 2, **tiles), rgb)
    keep("extra_tiled_planes.tif", writer.write(aerial, 2, planar=True, **tiles), rgb)
    wide = np.dstack([WIDE, WIDE[..., :2]])
    keep("extra_wide.tif", writer.write(wide, 2, bits=16, big_endian=True, rows_per_strip=2, extra=[0, 0]), rgb)
    keep("bits_reversed.tif", writer.write(RGB, 2, fill_order=2), rgb)
    keep("fax_rle.tif", saved(Image.fromarray(GRAY).convert("1"), "TIFF", compression="tiff_ccitt"))
    keep("fax_3.tif", saved(Image.fromarray(GRAY).convert("1"), "TIFF", compression="group3"))
    keep("zstd.tif", saved(rgb, "TIFF", compression="zstd"))
    keep("palette_alpha.tif", writer.write(GRAY_ALPHA, 3, extra=[2], tags={320: ("H", [i * 255 for i in range(256)] * 3)}))


def texts():
    keep("plain.ppm", saved(Image.fromarray(RGB), "PPM"))
    keep("plain.pgm", saved(Image.fromarray(GRAY), "PPM"))
    keep("plain.pbm", saved(Image.fromarray(GRAY).convert("1"), "PPM"))
    keep("text.ppm", b"P3 # seven by five\n7 5 15\n" + b" ".join(b"%d" % (v >> 4) for v in RGB.ravel()))
    keep("text.pbm", b"P1\n7 5\n" + b"".join(b"%d" % (v >> 7) for v in GRAY.ravel()))
    keep("wide.pgm", b"P5 7 5 65535\n" + WIDE[..., 0].astype(">u2").tobytes(), Image.fromarray(GRAY))


def metadata():
    said = b'<x:xmpmeta><rdf tiff:Orientation="6"/></x:xmpmeta>'
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + said
    keep("turned_by_xmp.png", png(RGB, 2, 8, chunks=[(b"iTXt", body)]))
    keep("turned_by_xmp.webp", saved(Image.fromarray(RGB), "WEBP", lossless=True, xmp=said))
    block = EXIF.tobytes()
    lines = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    keep("turned_by_profile.png", png(RGB, 2, 8, chunks=[(b"tEXt", b"Raw profile type exif\0" + lines)]))
    keep("without_end.png", png(RGB, 2, 8)[:-12])


sys.path.append(str(FOLDER.parent))
jpegs(), pngs(), webps(), tiffs(), bitmaps(), gifs(), layouts(), texts(), metadata()
lines = ",\n".join(json.dumps(entry) for entry in EXPECTED)
(FOLDER / "expected.json").write_text(f"[\n{lines}\n]\n")
print(len(EXPECTED), "files")
