"""A writer of TIFFs that no library writes: any bits, order of bytes and bits, strips or tiles, planes,
compression, predictor and extra samples. Follows TIFF 6.0 and the BigTIFF proposal."""

import struct
import zlib

import numpy as np

NONE, LZW, DEFLATE, PACK_BITS = 1, 5, 8, 32773


def lzw(data):
    """TIFF's LZW: codes of 9 to 12 bits, most significant bit first, widened one code early."""
    clear, end = 256, 257
    bits, count = 0, 0
    out = bytearray()

    def put(code, width):
        nonlocal bits, count
        bits, count = bits << width | code, count + width
        while count >= 8:
            count -= 8
            out.append(bits >> count & 255)
        bits &= (1 << count) - 1

    table, width = {bytes([i]): i for i in range(256)}, 9
    put(clear, width)
    following, word = 258, b""
    for i in range(len(data)):
        longer = word + data[i : i + 1]
        if longer in table:
            word = longer
            continue
        put(table[word], width)
        table[longer] = following
        following += 1
        if following + 1 > 1 << width:
            width += 1
        if following >= 4094:
            put(clear, width)
            table, width, following = {bytes([i]): i for i in range(256)}, 9, 258
        word = data[i : i + 1]
    if word:
        put(table[word], width)
        following += 1
        if following + 1 > 1 << width:
            width += 1
    put(end, width)
    put(0, 7)
    return bytes(out)


def pack_bits(data):
    """Runs of equal bytes, and literal bytes between them."""
    out, at = bytearray(), 0
    while at < len(data):
        run = 1
        while run < 128 and at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run > 1:
            out += bytes([257 - run, data[at]])
            at += run
            continue
        stop = at + 1
        while stop < len(data) and stop - at < 128 and (stop + 1 >= len(data) or data[stop] != data[stop + 1]):
            stop += 1
        out += bytes([stop - at - 1]) + data[at:stop]
        at = stop
    return bytes(out)


COMPRESS = {NONE: bytes, LZW: lzw, DEFLATE: zlib.compress, PACK_BITS: pack_bits}


def reversed_bits(data):
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)


def write(array, photometric, *, bits=8, big_endian=False, big=False, compression=NONE, predictor=1,
          tile=None, rows_per_strip=None, planar=False, extra=None, fill_order=1, tags=None):
    """`array` is [height, width, samples]; `extra` the values of the tag on extra samples."""
    height, width, samples = array.shape
    order = ">" if big_endian else "<"

    def packed(block):
        block = block.astype(np.int64)
        if predictor == 2:
            block = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1) % (1 << bits)
        if bits >= 8:
            return block.astype(f"{order}u{bits // 8}").tobytes()
        lines = []
        for line in block.reshape(block.shape[0], -1).astype(np.uint8):
            ones = np.unpackbits(line[:, None], axis=1)[:, 8 - bits :]
            lines.append(np.packbits(ones.ravel()).tobytes())
        return b"".join(lines)

    planes = np.split(array, samples, 2) if planar else [array]
    blocks = []
    for plane in planes:
        if tile:
            for top in range(0, height, tile[1]):
                for left in range(0, width, tile[0]):
                    part = plane[top : top + tile[1], left : left + tile[0]]
                    # what stands outside of the image is no zeros, so that it is seen if it is read
                    block = np.full((tile[1], tile[0], plane.shape[2]), 0xAA & ((1 << bits) - 1), plane.dtype)
                    block[: part.shape[0], : part.shape[1]] = part
                    blocks.append(packed(block))
        else:
            rows = rows_per_strip or height
            blocks += [packed(plane[top : top + rows]) for top in range(0, height, rows)]
    blocks = [COMPRESS[compression](block) for block in blocks]
    if fill_order == 2:
        blocks = [reversed_bits(block) for block in blocks]

    data, starts = b"", []
    for block in blocks:
        starts.append(len(data))
        data += block + b"\0" * (-len(block) % 8)
    entries = {
        256: ("H", [width]), 257: ("H", [height]), 258: ("H", [bits] * samples), 259: ("H", [compression]),
        262: ("H", [photometric]), 277: ("H", [samples]), 284: ("H", [2 if planar else 1]),
        317: ("H", [predictor]), 266: ("H", [fill_order]),
    }
    if extra:
        entries[338] = ("H", extra)
    wide = "Q" if big else "I"
    places, lengths = (324, 325) if tile else (273, 279)
    entries[lengths] = (wide, [len(block) for block in blocks])
    if tile:
        entries[322], entries[323] = ("H", [tile[0]]), ("H", [tile[1]])
    else:
        entries[278] = ("I", [rows_per_strip or height])
    entries.update(tags or {})
    # the directory stands in front of the pixels, so that files are cut where pixels are
    header = 16 if big else 8
    count, entry, field = ("Q", 20, 8) if big else ("H", 12, 4)
    behind = header + struct.calcsize(order + count) + entry * (len(entries) + 1) + field

    def packed_directory(first):
        entries[places] = (wide, [first + start for start in starts])
        directory, tail = b"", b""
        for tag, (kind, values) in sorted(entries.items()):
            code = {"B": 1, "H": 3, "I": 4, "Q": 16}[kind]
            body = struct.pack(f"{order}{len(values)}{kind}", *values)
            if len(body) > field:
                tail, body = tail + body, struct.pack(order + wide, behind + len(tail))
            directory += struct.pack(order + "HH" + wide, tag, code, len(values)) + body.ljust(field, b"\0")
        return struct.pack(order + count, len(entries)) + directory + struct.pack(order + wide, 0) + tail

    pixels_at = header + len(packed_directory(0))
    if big:
        head = struct.pack(order + "HHHQ", 43, 8, 0, header)
    else:
        head = struct.pack(order + "HI", 42, header)
    return (b"MM" if big_endian else b"II") + head + packed_directory(pixels_at) + data
