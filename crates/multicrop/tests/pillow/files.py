"""The generated matrix of image files, part by part; the names of parts are those of
`tests/pillow_formats.rs`."""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

import bitmaps
import tiffs

RNG = np.random.default_rng(15)


def noise(height, width, samples, bits=8):
    """Random pixels with some structure, so that compression has runs and differences to find."""
    wide = RNG.integers(0, 1 << bits, (height, width, samples))
    wide[: height // 3] = wide[: height // 3, :1]
    return wide.astype(np.uint16 if bits > 8 else np.uint8)


def image(array):
    array = np.ascontiguousarray(array, dtype=np.uint8)
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def saved(picture, format, **options):
    data = io.BytesIO()
    picture.save(data, format, **options)
    return data.getvalue()


# ---------------------------------------------------------------- TIFF


def tiff_rgb(add):
    """Red, green, blue and extra samples in all layouts; 37 x 29 pixels fill no tile of 16 x 16."""
    codings = [(tiffs.NONE, 1), (tiffs.PACK_BITS, 1)]
    codings += [(c, p) for c in (tiffs.LZW, tiffs.DEFLATE) for p in (1, 2)]
    extras = [[], [0], [1], [2], [0, 0]]
    layouts = [dict(tile=(16, 16)), dict(tile=(48, 32)), dict(rows_per_strip=7), dict()]
    for bits, big_endian, layout, planar, (compression, predictor), extra in itertools.product(
        (8, 16), (False, True), layouts, (False, True), codings, extras
    ):
        if layout.get("tile") == (48, 32) and (compression not in (tiffs.NONE, tiffs.LZW) or not extra):
            continue
        array = noise(29, 37, 3 + len(extra), bits)
        data = tiffs.write(array, 2, bits=bits, big_endian=big_endian, planar=planar, predictor=predictor,
                           compression=compression, extra=extra, **layout)
        high = (array >> (bits - 8)).astype(np.uint8)
        rgba = None
        if extra == [1]:
            color, alpha = high[..., :3].astype(int), high[..., 3:].astype(int)
            full = np.where(alpha == 0, 0, np.minimum(color * 255 // np.maximum(alpha, 1), 255))
            truth = image(np.dstack([full, alpha]))
        elif extra == [2]:
            truth = image(high)
        else:
            truth = image(high[..., :3])
            # four samples of no stated meaning are four channels
            rgba = image(high) if extra == [0] else None
        kind = f"{bits}{'be' if big_endian else 'le'}-{layout}-{'planes' if planar else 'pixels'}"
        add(f"{kind}-c{compression}p{predictor}-extra{extra}", data, truth, rgba)


def tiff_gray_and_palette(add):
    for bits, photometric, big_endian, layout, compression in itertools.product(
        (1, 2, 4, 8, 16), (0, 1, 3), (False, True), (dict(rows_per_strip=5), dict(tile=(16, 16))),
        (tiffs.NONE, tiffs.LZW, tiffs.DEFLATE, tiffs.PACK_BITS)
    ):
        if photometric == 3 and bits == 16:
            continue
        array = noise(19, 21, 1, bits)
        tags = {}
        if photometric == 3:
            palette = RNG.integers(0, 65536, 3 << bits)
            tags[320] = ("H", palette.tolist())
            colors = (palette.reshape(3, -1) >> 8).astype(np.uint8)
            truth = image(colors[:, array[..., 0]].transpose(1, 2, 0))
        else:
            high = array >> (bits - 8) if bits > 8 else array * (255 // ((1 << bits) - 1))
            truth = image(255 - high if photometric == 0 else high)
        data = tiffs.write(array, photometric, bits=bits, big_endian=big_endian, compression=compression,
                           tags=tags, **layout)
        add(f"{bits}-photometric{photometric}-{'be' if big_endian else 'le'}-{layout}-c{compression}", data, truth)


def tiff_alpha_and_ink(add):
    for bits, planar, compression, tile in itertools.product(
        (8, 16), (False, True), (tiffs.NONE, tiffs.LZW), (None, (16, 16))
    ):
        options = dict(bits=bits, planar=planar, compression=compression, tile=tile)
        kind = "-".join(map(str, options.values()))
        array = noise(19, 21, 4, bits)
        high = (array >> (bits - 8)).astype(np.uint8)
        ink = Image.fromarray(np.ascontiguousarray(high), "CMYK")
        add(f"ink-{kind}", tiffs.write(array, 5, **options), ink)
        five = np.dstack([array, array[..., :1]])
        add(f"ink-extra-{kind}", tiffs.write(five, 5, extra=[0], **options), ink)
        pair = array[..., :2]
        both = Image.fromarray(np.ascontiguousarray(high[..., :2]), "LA")
        add(f"gray-alpha-{kind}", tiffs.write(pair, 1, extra=[2], **options), both)
        if bits == 8:
            shades = RNG.integers(0, 65536, 768)
            tags = {320: ("H", shades.tolist())}
            colors = (shades.reshape(3, -1) >> 8).astype(np.uint8)[:, pair[..., 0]].transpose(1, 2, 0)
            add(f"palette-alpha-{kind}", tiffs.write(pair, 3, extra=[2], tags=tags, **options),
                image(np.dstack([colors, pair[..., 1]])))
            add(f"palette-extra-{kind}", tiffs.write(pair, 3, extra=[0], tags=tags, **options), image(colors))
            add(f"no-word-of-alpha-{kind}", tiffs.write(array, 2, **options), image(array))
            add(f"corel-alpha-{kind}", tiffs.write(array, 2, extra=[999], **options), image(array))


def tiff_order_of_bits(add):
    for bits, photometric, compression in itertools.product(
        (1, 2, 4, 8), (0, 1, 2), (tiffs.NONE, tiffs.LZW, tiffs.DEFLATE, tiffs.PACK_BITS)
    ):
        if photometric == 2 and bits < 8:
            continue
        array = noise(19, 21, 3 if photometric == 2 else 1, bits)
        scaled = array * (255 // ((1 << bits) - 1))
        data = tiffs.write(array, photometric, bits=bits, compression=compression, fill_order=2, rows_per_strip=6)
        add(f"{bits}-photometric{photometric}-c{compression}", data, image(255 - scaled if photometric == 0 else scaled))


def tiff_big(add):
    for big_endian, tile, planar, compression in itertools.product(
        (False, True), (None, (16, 16)), (False, True), (tiffs.NONE, tiffs.LZW)
    ):
        array = noise(19, 21, 3)
        data = tiffs.write(array, 2, big=True, big_endian=big_endian, tile=tile, planar=planar, compression=compression)
        add(f"{'be' if big_endian else 'le'}-{tile}-{planar}-c{compression}", data, image(array))


def tiff_by_libtiff(add):
    """What Pillow writes through libtiff: its compressions of each mode."""
    color = Image.fromarray(noise(40, 37, 3)).resize((61, 47))
    compressions = [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "webp", "lzma"]
    for mode, compression, predictor in itertools.product(
        ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "RGBX"), compressions, (1, 2)
    ):
        if predictor == 2 and (mode == "1" or compression not in ("tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma")):
            continue  # libtiff ends the process for some of these
        picture = color.convert("L").convert(mode) if mode in ("1", "I;16") else color.convert(mode)
        if (mode, compression) == ("YCbCr", None):
            continue  # Pillow does not read what it writes
        options = {"tiffinfo": {317: 2}} if predictor == 2 else {}
        if compression:
            options["compression"] = compression
        if compression == "webp":
            options["quality"] = 100
        try:
            data = saved(picture, "TIFF", **options)
        except Exception:
            continue  # libtiff does not write this one
        add(f"{mode}-{compression}-p{predictor}", data)


def tiff_fax(add):
    shape = np.zeros((60, 83), np.uint8)
    y, x = np.mgrid[:60, :83]
    shape[(x - 40) ** 2 + (y - 30) ** 2 < 500] = 255
    shape[RNG.random(shape.shape) < 0.03] ^= 255
    shape[:3], shape[50:52] = 0, 255
    pictures = [shape, noise(9, 8, 1)[..., 0], 255 - shape, np.full((5, 2600), 255), np.zeros((5, 3000))]
    for number, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels.astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
        for compression, tags in itertools.product(
            ("tiff_ccitt", "group3", "group4"), ({}, {292: 1}, {292: 4}, {292: 5}, {266: 2}, {278: 8}, {262: 1})
        ):
            try:
                data = saved(picture, "TIFF", compression=compression, tiffinfo=tags)
            except Exception:
                continue
            add(f"{number}-{compression}-{tags}", data)


def tiff_jpeg(add):
    """Within 4 of 255, as JPEG files are."""
    smooth = Image.fromarray(noise(5, 6, 3)).resize((61, 47), Image.Resampling.BICUBIC)
    for mode, quality, tags in itertools.product(("L", "RGB", "YCbCr"), (75, 95), ({}, {278: 16})):
        data = saved(smooth.convert(mode), "TIFF", compression="jpeg", quality=quality, tiffinfo=tags)
        add(f"{mode}-{quality}-{tags}", data, tolerance=4)


def tiff_luma_and_chroma(add):
    tags = {530: ("H", [1, 1])}
    for planar, compression, tile in itertools.product((False, True), (tiffs.LZW, tiffs.DEFLATE), (None, (16, 16))):
        array = noise(19, 21, 3)
        add(f"{planar}-c{compression}-{tile}",
            tiffs.write(array, 6, planar=planar, compression=compression, tile=tile, tags=tags))


def tiff_cut(add):
    for compression, tile in itertools.product((tiffs.NONE, tiffs.LZW, tiffs.DEFLATE, tiffs.PACK_BITS), (None, (16, 16))):
        data = tiffs.write(noise(19, 21, 3), 2, compression=compression, tile=tile)
        for cut in (16, 60, 300, len(data) - 200, len(data) - 12, len(data) - 5):
            add(f"c{compression}-{tile}-{cut}", data[:-cut])
        add(f"c{compression}-{tile}-trailer", data + b"behind")


# ---------------------------------------------------------------- PNG


def chunk(kind, body, checksum=None):
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


SIGNATURE = b"\x89PNG\r\n\x1a\n"
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def filtered(lines, bytes_per_pixel, filters):
    """Prefixes each line with its filter number, cycling through `filters`."""
    out, above = b"", None
    for line, kind in zip(lines, filters):
        line = np.frombuffer(line, np.uint8).astype(int)
        up = np.zeros_like(line) if above is None else above
        left = np.concatenate([np.zeros(bytes_per_pixel, int), line])[: len(line)]
        corner = np.concatenate([np.zeros(bytes_per_pixel, int), up])[: len(line)]
        guess = left + up - corner
        distance = [abs(guess - side) for side in (left, up, corner)]
        paeth = np.where((distance[0] <= distance[1]) & (distance[0] <= distance[2]), left,
                         np.where(distance[1] <= distance[2], up, corner))
        predicted = [0 * line, left, up, (left + up) // 2, paeth][kind]
        out += bytes([kind]) + ((line - predicted) % 256).astype(np.uint8).tobytes()
        above = line
    return out


def png(array, color, bits, interlaced=False, before=(), after=(), pieces=1, filters=(0, 1, 2, 3, 4)):
    samples = array.shape[2]

    def lines(part):
        if bits == 16:
            return [line.astype(">u2").tobytes() for line in part.reshape(part.shape[0], -1)]
        ones = [np.unpackbits(line.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :] for line in part.reshape(part.shape[0], -1)]
        return [np.packbits(line.ravel()).tobytes() for line in ones]

    parts = [array[b::d, a::c] for a, b, c, d in PASSES] if interlaced else [array]
    body = b"".join(filtered(lines(p), max(1, samples * bits // 8), itertools.cycle(filters)) for p in parts if p.size)
    packed = zlib.compress(body)
    size = -(-len(packed) // pieces)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, color, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *before]
    chunks += [(b"IDAT", packed[at : at + size]) for at in range(0, len(packed), size)]
    return SIGNATURE + b"".join(chunk(*c) for c in [*chunks, *after, (b"IEND", b"")])


COLORS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def png_depths(add):
    for color, samples in COLORS.items():
        for bits, interlaced, (height, width) in itertools.product(
            DEPTHS[color], (False, True), ((1, 1), (2, 9), (13, 3), (21, 19), (8, 8))
        ):
            array = noise(height, width, samples, bits)
            before = [(b"PLTE", noise(1, 1 << bits, 3).tobytes())] if color == 3 else []
            add(f"{color}-{bits}-{interlaced}-{width}x{height}", png(array, color, bits, interlaced, before))


def png_transparency(add):
    for color, bits, interlaced in itertools.product((0, 2, 3), (1, 2, 4, 8, 16), (False, True)):
        if bits not in DEPTHS[color]:
            continue
        array = noise(21, 19, COLORS[color], bits)
        for variant in range(4):
            if color == 3:
                alphas = [bytes([0]), bytes([255, 0, 255, 255])[: 1 << bits], noise(1, max(1, (1 << bits) - 1), 1).tobytes(),
                          noise(1, 1 << bits, 1).tobytes()][variant]
                before = [(b"PLTE", noise(1, 1 << bits, 3).tobytes()), (b"tRNS", alphas)]
            else:
                value = array[5, 7] if variant < 2 else array[0, 0] ^ 1
                before = [(b"tRNS", struct.pack(f">{len(value)}H", *value.tolist()))]
            truth = None
            if color != 3 and bits in (2, 4, 16):
                # the stored value counts; Pillow compares it with what is left in 8 bits
                clear = np.where((array == value).all(2), 0, 255)
                high = array >> 8 if bits == 16 else array * (255 // ((1 << bits) - 1))
                truth = Image.fromarray(np.dstack([high, clear]).astype(np.uint8), "LA" if color == 0 else "RGBA")
            add(f"{color}-{bits}-{interlaced}-{variant}", png(array, color, bits, interlaced, before), truth)


    for bits in (1, 2, 4):
        # only as many bits of the value count as a pixel has
        array = noise(21, 19, 1, bits)
        largest = (1 << bits) - 1
        clear = np.where(array == (0xAB & largest), 0, 255)
        truth = Image.fromarray(np.dstack([array * (255 // largest), clear]).astype(np.uint8), "LA")
        add(f"more-bits-{bits}", png(array, 0, bits, before=[(b"tRNS", b"\x12\xab")]), truth)


def png_palettes(add):
    for bits, colors in itertools.product((1, 2, 4, 8), (1, 2, 3, 5, 16, 17, 100, 256)):
        array = noise(21, 19, 1, bits)
        if colors <= 1 << bits:
            add(f"short-{bits}-{colors}", png(array, 3, bits, before=[(b"PLTE", noise(1, colors, 3).tobytes())]))
            inside = (array.astype(int) % colors).astype(np.uint8)
            add(f"inside-{bits}-{colors}", png(inside, 3, bits, before=[(b"PLTE", noise(1, colors, 3).tobytes())]))
    add("none", png(noise(21, 19, 1), 3, 8))
    suggested = [(b"PLTE", noise(1, 16, 3).tobytes())]
    add("suggested", png(noise(21, 19, 3), 2, 8, before=suggested))


def png_filters(add):
    for color, bits, filters in itertools.product((0, 2, 6), (8, 16), ((0,), (1,), (2,), (3,), (4,), (4, 3, 2, 1, 0))):
        add(f"{color}-{bits}-{filters}", png(noise(21, 19, COLORS[color], bits), color, bits, filters=filters))
    for pieces in (2, 5, 40):
        add(f"pieces-{pieces}", png(noise(21, 19, 3), 2, 8, pieces=pieces))
        add(f"interlaced-pieces-{pieces}", png(noise(21, 19, 3), 2, 8, True, pieces=pieces))


def png_cut(add):
    """Cut off, without an end, with wrong checksums."""
    for color, interlaced, pieces in itertools.product((0, 2, 3), (False, True), (1, 3)):
        before = [(b"PLTE", noise(1, 256, 3).tobytes())] if color == 3 else []
        data = png(noise(21, 19, COLORS[color]), color, 8, interlaced, before, pieces=pieces)
        for cut in (1, 4, 8, 11, 12, 13, 16, 17, 18, 20, 24, 60, 200):
            add(f"{color}-{interlaced}-{pieces}-{cut}", data[:-cut])
        add(f"{color}-{interlaced}-{pieces}-trailer", data + b"behind the end")
        for kind in (b"IHDR", b"IDAT", b"IEND"):
            wrong = bytearray(data)
            at = wrong.index(kind)
            (length,) = struct.unpack(">I", wrong[at - 4 : at])
            wrong[at + 4 + length] ^= 1
            add(f"{color}-{interlaced}-{pieces}-checksum-{kind}", bytes(wrong))
        broken = bytearray(data)
        broken[data.index(b"IDAT") + 6] ^= 0x07  # the form of the first block of deflated data
        add(f"{color}-{interlaced}-{pieces}-broken", bytes(broken))


def exif(orientation, big_endian=False, kind=3, count=1):
    order = ">" if big_endian else "<"
    value = struct.pack(order + {1: "B", 3: "H", 4: "I", 8: "h"}[kind], orientation).ljust(4, b"\0")
    body = struct.pack(order + "HHHI", 1, 0x112, kind, count) + value + struct.pack(order + "I", 0)
    return (b"MM\0\x2a" if big_endian else b"II\x2a\0") + struct.pack(order + "I", 8) + body


def xmp(orientation, element=False):
    said = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else f'<rdf tiff:Orientation="{orientation}"/>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{said}</x:xmpmeta>'.encode()


def itxt(keyword, text, packed=False):
    body = zlib.compress(text) if packed else text
    return (b"iTXt", keyword + b"\0" + bytes([packed, 0]) + b"\0\0" + body)


def profile(block):
    return b"\nexif\n%8d\n" % len(block) + b"\n".join(block.hex().encode()[i : i + 72] for i in range(0, 2 * len(block), 72)) + b"\n"


def orientation_blocks():
    """Names and EXIF blocks, XMP packets."""
    for tag in range(0, 10):
        yield f"exif-{tag}", exif(tag), None
        yield f"xmp-{tag % 10}", None, xmp(tag)
        yield f"xmp-element-{tag}", None, xmp(tag, True)
    yield "exif-be", exif(6, True), None
    yield "exif-long", exif(6, kind=4), None
    yield "exif-signed", exif(6, kind=8), None
    yield "exif-byte", exif(6, kind=1), None
    yield "exif-named", b"Exif\0\0" + exif(6), None
    yield "exif-1-xmp-6", exif(1), xmp(6)
    yield "exif-6-xmp-3", exif(6), xmp(3)
    yield "exif-cut", exif(6)[:20], None
    yield "exif-cut-xmp", exif(6)[:12], xmp(3)


def orientation_png(add):
    array = noise(5, 7, 3)
    for name, block, packet in orientation_blocks():
        chunks = ([(b"eXIf", block)] if block else []) + ([itxt(b"XML:com.adobe.xmp", packet)] if packet else [])
        add(f"before-{name}", png(array, 2, 8, before=chunks))
        add(f"after-{name}", png(array, 2, 8, after=chunks))
        if packet:
            add(f"packed-{name}", png(array, 2, 8, before=[itxt(b"XML:com.adobe.xmp", packet, True)]))
        if block:
            text = profile(block)
            add(f"profile-{name}", png(array, 2, 8, before=[(b"tEXt", b"Raw profile type exif\0" + text)]))
            packed = b"Raw profile type exif\0\0" + zlib.compress(text)
            add(f"packed-profile-{name}", png(array, 2, 8, after=[(b"zTXt", packed)]))
            add(f"text-profile-{name}", png(array, 2, 8, after=[itxt(b"Raw profile type exif", text)]))


def orientation_webp(add):
    picture = image(noise(5, 7, 3))
    for name, block, packet in orientation_blocks():
        more = {key: value for key, value in (("exif", block), ("xmp", packet)) if value}
        add(name, saved(picture, "WEBP", lossless=True, **more))


def orientation_tiff(add):
    array = noise(5, 7, 3)
    for tag in range(0, 10):
        add(f"tag-{tag}", tiffs.write(array, 2, tags={274: ("H", [tag])}))
        add(f"lzw-{tag}", tiffs.write(array, 2, compression=5, tags={274: ("H", [tag])}))
        add(f"long-{tag}", tiffs.write(array, 2, tags={274: ("I", [tag])}))
        add(f"xmp-{tag}", tiffs.write(array, 2, tags={700: ("B", list(xmp(tag)))}))
    add("tag-1-xmp-6", tiffs.write(array, 2, tags={274: ("H", [1]), 700: ("B", list(xmp(6)))}))


def orientation_jpeg(add):
    """Where the picture is turned to; within 4 of 255, as JPEG files are."""
    flat = Image.fromarray(np.full((16, 32, 3), 90, np.uint8))
    flat.paste((200, 180, 160), (0, 0, 8, 8))
    for name, block, packet in orientation_blocks():
        more = {}
        if block:
            more["exif"] = block if block.startswith(b"Exif") else b"Exif\0\0" + block
        if packet:
            more["xmp"] = packet
        add(name, saved(flat, "JPEG", quality=95, subsampling=0, **more), tolerance=4)


# ---------------------------------------------------------------- others


def webp(add):
    color = Image.fromarray(noise(40, 37, 3)).resize((61, 47), Image.Resampling.BICUBIC)
    alpha = color.copy()
    alpha.putalpha(Image.fromarray(noise(47, 61, 1)[..., 0]))
    flat_alpha = color.copy()
    flat_alpha.putalpha(Image.linear_gradient("L").resize(color.size))
    for (name, picture), quality, method in itertools.product(
        (("rgb", color), ("rgba", alpha), ("flat", flat_alpha), ("palette", alpha.quantize(12))), (0, 30, 75, 100), (0, 4, 6)
    ):
        picture = picture.convert("RGBA") if picture.mode == "P" else picture
        for lossless, exact in ((False, False), (True, False), (True, True)):
            data = saved(picture, "WEBP", lossless=lossless, exact=exact, quality=quality, method=method)
            add(f"{name}-{lossless}-{exact}-{quality}-{method}", data)
    for width, height in itertools.product((1, 2, 3, 16, 17, 33), repeat=2):
        picture = image(noise(height, width, 4))
        add(f"{width}x{height}", saved(picture, "WEBP", quality=50))
        add(f"{width}x{height}-lossless", saved(picture, "WEBP", lossless=True, exact=True))
    frames = [alpha, Image.fromarray(noise(47, 61, 3)).convert("RGBA")]
    for options in (dict(lossless=True), dict(quality=50), dict(minimize_size=True), dict(background=(9, 8, 7, 6))):
        add(f"animated-{options}", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options))


def webp_cut(add):
    for lossless in (False, True):
        data = saved(Image.fromarray(noise(47, 61, 3)), "WEBP", lossless=lossless, quality=50)
        for cut in (1, 2, 10, 100, len(data) // 2):
            add(f"{lossless}-{cut}", data[:-cut])
        add(f"{lossless}-trailer", data + b"behind")


def gif(add):
    color = Image.fromarray(noise(23, 19, 3))
    for colors, interlace, clear in itertools.product((2, 3, 7, 16, 100, 256), (0, 1), (None, 0, 2)):
        picture = color.quantize(colors)
        more = {} if clear is None else {"transparency": clear}
        add(f"{colors}-{interlace}-{clear}", saved(picture, "GIF", interlace=interlace, **more))
    for mode in ("1", "L", "RGB", "RGBA"):
        add(mode, saved(color.convert(mode), "GIF"))
    wide = Image.fromarray(noise(300, 280, 3)).quantize(256)
    add("wide", saved(wide, "GIF"))
    frames = [color.quantize(16).convert("RGB"), Image.fromarray(noise(23, 19, 3))]
    for disposal in (0, 1, 2, 3):
        add(f"animated-{disposal}", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=disposal))
    for clear, (left, top), (width, height) in itertools.product((None, 2), ((0, 0), (4, 3), (30, 2)), ((23, 29), (19, 23), (3, 2))):
        more = {} if clear is None else {"transparency": clear}
        data = bytearray(saved(color.quantize(16), "GIF", **more))
        data[6:10] = struct.pack("<HH", width, height)
        at = data.index(b"\x2c", 13 + 3 * (2 << (data[10] & 7)))
        data[at + 1 : at + 5] = struct.pack("<HH", left, top)
        add(f"placed-{clear}-{left}-{width}", bytes(data))
        for background in (0, 3, 15):
            data[11] = background
            add(f"background-{background}-{clear}-{left}-{width}", bytes(data))
    no_palette = bytearray(saved(color.quantize(16), "GIF"))
    size = 3 * (2 << (no_palette[10] & 7))
    no_palette[10] &= 0x7F
    add("no-palette", bytes(no_palette[:13] + no_palette[13 + size :]))
    data = saved(color.quantize(64), "GIF")
    for cut in (1, 2, 10, 100, len(data) // 2):
        add(f"cut-{cut}", data[:-cut])


def pnm(add):
    for width, height, largest in itertools.product((1, 8, 19), (1, 21), (1, 2, 15, 100, 255, 256, 1023, 4095, 65535)):
        for samples, plain, raw in ((1, b"P2", b"P5"), (3, b"P3", b"P6")):
            array = RNG.integers(0, largest + 1, (height, width, samples))
            head = b"\n%d %d\n%d\n" % (width, height, largest)
            add(f"{raw}-{width}x{height}-{largest}", raw + head + array.astype(">u2" if largest > 255 else "u1").tobytes())
            text = b" ".join(b"%d" % v for v in array.ravel())
            add(f"{plain}-{width}x{height}-{largest}", plain + head + text + b"\n")
        bits = RNG.integers(0, 2, (height, width)).astype(np.uint8)
        add(f"P4-{width}x{height}", b"P4 %d %d\n" % (width, height) + np.packbits(bits, axis=1).tobytes())
        add(f"P1-{width}x{height}", b"P1 %d %d\n" % (width, height) + b"".join(b"%d" % v for v in bits.ravel()))
    odd = {
        "comment": b"P5 # one\n# two\n3 # three\n1\n255\n\1\2\3", "above": b"P5 2 1 9\n\4\xff", "above-text": b"P2 2 1 9 4 10",
        "cut": b"P6 2 2 255\n\1\2\3", "cut-scaled": b"P6 2 2 99\n\1\2\3", "cut-text": b"P2 2 2 255 1 2 3", "zero": b"P5 1 1 0\n\0",
        "too-large": b"P5 1 1 65536\n\0\0", "no-size": b"P5", "negative": b"P2 1 1 255 -1", "word": b"P2 1 1 255 a",
        "long": b"P2 1 1 255 00000000001", "text-comment": b"P2 2 1 255 1 # 7\n 2", "bits-comment": b"P1 2 1 0#1\n1", "bits-2": b"P1 1 1 2",
        "carriage-return": b"P5\r3\r1\r255\r\1\2\3", "more": b"P5 1 1 255\n\1\2\3", "wide-scaled": b"P5 2 1 300\n\1\2\2\2",
    }
    for name, data in odd.items():
        add(name, data)


def bmp(add):
    for name, data in bitmaps.make(noise):
        add(name, data)


PARTS = [
    tiff_rgb, tiff_gray_and_palette, tiff_alpha_and_ink, tiff_order_of_bits, tiff_big, tiff_by_libtiff, tiff_fax, tiff_jpeg,
    tiff_luma_and_chroma, tiff_cut, png_depths, png_transparency, png_palettes, png_filters, png_cut, orientation_png,
    orientation_webp, orientation_tiff, orientation_jpeg, webp, webp_cut, gif, pnm, bmp,
]


def make(manifest):
    for part in PARTS:

        def add(name, data, truth=None, rgba=None, part=part.__name__, **more):
            manifest.add(part, name, data, truth, rgba, **more)

        part(add)
