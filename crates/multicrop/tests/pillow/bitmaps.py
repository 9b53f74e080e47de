"""Bitmaps (BMP) with all headers, depths, masks, run lengths and directions."""

import itertools
import struct

import numpy as np

HEADERS = {"os2": 12, "info": 40, "v2": 52, "v3": 56, "os22": 64, "v4": 108, "v5": 124}


def bitmap(width, height, bits, pixels, *, header="info", compression=0, palette=b"", colors=0, masks=(), top_down=False,
           file_header=True, gap=0):
    """`pixels` are the bytes as stored; `palette` in the form of the header."""
    size = HEADERS[header]
    if header == "os2":
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", size, width, -height if top_down else height, 1, bits, compression,
                           len(pixels), 2835, 2835, colors, 0)
        extra = struct.pack(f"<{len(masks)}I", *masks)
        head = (head + extra).ljust(size, b"\0")[: size if size > 40 else 40 + (len(extra) if masks else 0)]
    body = head + palette + b"\0" * gap
    if not file_header:
        return body + pixels
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, 14 + len(body)) + body + pixels


def rows(array, bits):
    """Rows of indices or of bytes, each filled up to four bytes."""
    lines = []
    for line in array[::-1]:
        if bits < 8:
            ones = np.unpackbits(line.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - bits :]
            line = np.packbits(ones.ravel())
        line = line.tobytes()
        lines.append(line + b"\0" * (-len(line) % 4))
    return b"".join(lines)


def palettes(noise, colors, header):
    color = noise(1, colors, 3)[0]
    ramp = np.repeat(np.linspace(0, 255, colors).astype(np.uint8)[:, None], 3, 1)
    for name, found in (("color", color), ("gray", ramp)):
        yield name, (found if header == "os2" else np.dstack([found[None], np.zeros((1, colors, 1), np.uint8)])[0]).tobytes()


def make(noise):
    width, height = 21, 9
    for header, bits, top_down in itertools.product(HEADERS, (1, 4, 8), (False, True)):
        if header == "os2" and top_down:
            continue
        indices = noise(height, width, 1, bits)
        for name, palette in palettes(noise, 1 << bits, header):
            yield f"{header}-{bits}-{name}-{top_down}", bitmap(width, height, bits, rows(indices, bits), header=header,
                                                               palette=palette, top_down=top_down)
        if header != "os2":
            few = max(2, (1 << bits) // 3)
            for name, palette in palettes(noise, few, header):
                yield f"{header}-{bits}-few-{name}-{top_down}", bitmap(
                    width, height, bits, rows(indices.astype(int) % few, bits), header=header, palette=palette, colors=few, top_down=top_down)
            yield f"{header}-{bits}-beyond-{top_down}", bitmap(
                width, height, bits, rows(indices, bits), header=header, palette=palette, colors=few, top_down=top_down)
            yield f"{header}-{bits}-gap-{top_down}", bitmap(
                width, height, bits, rows(indices.astype(int) % few, bits), header=header, palette=palette, colors=few, gap=24)
    for header, bits, top_down in itertools.product(HEADERS, (16, 24, 32), (False, True)):
        if header == "os2" and top_down:
            continue
        pixels = rows(noise(height, width, bits // 8), 8)
        yield f"{header}-{bits}-{top_down}", bitmap(width, height, bits, pixels, header=header, top_down=top_down)
    every_mask = {
        16: [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F), (0xF00, 0xF0, 0xF)], 24: [(0xFF0000, 0xFF00, 0xFF)],
        32: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF00, 0xFF, 0),
             (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
             (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0, 0, 0, 0), (0x3FF00000, 0xFFC00, 0x3FF, 0)],
    }
    for header, bits in itertools.product(("info", "v2", "v3", "v4", "v5"), every_mask):
        for masks in every_mask[bits]:
            masks = masks[:3] if header in ("info", "v2") else masks
            pixels = rows(noise(height, width, bits // 8), 8)
            yield f"masks-{header}-{bits}-{masks}", bitmap(width, height, bits, pixels, header=header, compression=3, masks=masks)
    yield from runs(noise)
    indices, (_, palette) = noise(height, width, 1, 8), next(iter(palettes(noise, 256, "info")))
    for bits in (1, 4, 8):
        _, palette = next(iter(palettes(noise, 1 << bits, "info")))
        yield f"dib-{bits}", bitmap(width, height, bits, rows(noise(height, width, 1, bits), bits), palette=palette, file_header=False)
    for bits in (16, 24, 32):
        yield f"dib-{bits}", bitmap(width, height, bits, rows(noise(height, width, bits // 8), 8), file_header=False)
    whole = bitmap(width, height, 24, rows(noise(height, width, 3), 8))
    for cut in (1, 4, 100, len(whole) - 54, len(whole) - 30):
        yield f"cut-{cut}", whole[:-cut]
    yield "jpeg-inside", bitmap(width, height, 24, b"\xff\xd8", compression=4)
    yield "png-inside", bitmap(width, height, 24, b"\x89PNG", compression=5)


def runs(noise):
    """Run lengths: encoded, absolute, ends of lines, jumps, with and without an end."""
    for bits, compression in ((8, 1), (4, 2)):
        for kind, palette in palettes(noise, 1 << bits, "info"):
            put = lambda data, name, width=21, height=9: (
                f"runs-{bits}-{kind}-{name}", bitmap(width, height, bits, data, compression=compression, palette=palette))
            line = bytes([21, 0x37])
            yield put((line + b"\0\0") * 9 + b"\0\1", "whole")
            yield put(line * 9 + b"\0\1", "without-ends-of-lines")
            yield put((line + b"\0\0") * 9, "without-end")
            yield put((line + b"\0\0") * 4 + b"\0\1", "early-end")
            yield put((bytes([5, 0x12]) + b"\0\0") * 9 + b"\0\1", "short-lines")
            yield put((bytes([30, 0x12]) + b"\0\0") * 9 + b"\0\1", "long-lines")
            yield put(bytes([5, 0x12]) + b"\0\2\3\2" + bytes([7, 0x34]) + b"\0\1", "jump")
            count = 21 if bits == 8 else 20  # Pillow loses the last pixel of odd numbers of half bytes
            stored = bytes(range(1, 1 + (count if bits == 8 else (count + 1) // 2)))
            stored += b"\0" * (len(stored) % 2)
            yield put((b"\0" + bytes([count]) + stored + b"\0\0") * 9 + b"\0\1", "absolute")
            even = bytes(range(1, 21 if bits == 8 else 11))
            yield put((b"\0" + bytes([20]) + even + bytes([1, 0x55]) + b"\0\0") * 9 + b"\0\1", "absolute-and-run")
            yield put(b"", "empty")
