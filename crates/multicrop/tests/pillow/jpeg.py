"""Makes JPEG files of all kinds, and what Pillow reads from them, for `tests/pillow_jpeg.rs`.

    python jpeg.py FOLDER
    python jpeg.py --golden ../../../jpeg/tests/golden        (Pillow 12.3.0, libjpeg-turbo 3.1.4)

Writes FOLDER/index.tsv: for each file its part, name, scale, and either width, height and values of a
pixel, or "refused". Pixels are in FOLDER/<name>.<scale>.raw; those of CMYK are converted to RGB.

With --golden, only the few small files that are committed for `crates/jpeg/tests/golden.rs`.

Files come from Pillow, from libjpeg-turbo's `cjpeg` where it is installed, and from the encoder below,
which writes random coefficients with any sampling factors, ids, scans and markers.
"""

import io
import pathlib
import shutil
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
RNG = np.random.default_rng(15)

ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8, i % 8)[(i // 8 + i % 8) % 2 == 0]))
# codes of 8 bits for DC sizes 0 to 11, and of 8 bits for the commonest symbols of AC, 16 for the others
DC_CODES = {size: (size, 8) for size in range(12)}
AC_SHORT = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 8)]
AC_LONG = [run << 4 | size for run in range(16) for size in range(8, 11)]
AC_CODES = {symbol: (i, 8) for i, symbol in enumerate(AC_SHORT)}
AC_CODES |= {symbol: (len(AC_SHORT) * 256 + i, 16) for i, symbol in enumerate(AC_LONG)}


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + bytes(body)


def huffman():
    dc = [0] * 7 + [12] + [0] * 8
    ac = [0] * 7 + [len(AC_SHORT)] + [0] * 7 + [len(AC_LONG)]
    return segment(0xC4, [0x00, *dc, *range(12)]) + segment(0xC4, [0x10, *ac, *AC_SHORT, *AC_LONG])


class Bits:
    def __init__(self):
        self.text = []

    def code(self, code, length):
        self.text.append(format(code, f"0{length}b"))

    def value(self, value):
        size = int(abs(value)).bit_length()
        if size:
            self.code(value if value > 0 else value + (1 << size) - 1, size)

    def flush(self):
        text = "".join(self.text)
        self.text = []
        text += "1" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        return data.replace(b"\xff", b"\xff\0")


def put_block(bits, block, last):
    difference = int(block[0]) - last
    bits.code(*DC_CODES[abs(difference).bit_length()])
    bits.value(difference)
    run = 0
    for value in block[1:]:
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits.code(*AC_CODES[0xF0])
            run -= 16
        bits.code(*AC_CODES[run << 4 | int(abs(value)).bit_length()])
        bits.value(int(value))
        run = 0
    if run:
        bits.code(*AC_CODES[0])
    return int(block[0])


def random_blocks(rows, columns, strength):
    blocks = np.zeros((rows, columns, 64), int)
    blocks[..., 0] = np.clip(RNG.normal(0, 40, (rows, columns)).cumsum(1), -250, 250)
    count = RNG.integers(0, 1 + strength, (rows, columns))
    for y, x in np.ndindex(rows, columns):
        if RNG.random() < 0.4:
            continue
        places = RNG.integers(1, 64, count[y, x])
        blocks[y, x, places] = RNG.integers(-20, 21, len(places)) * (RNG.random(len(places)) ** 3 * 4).astype(int)
    return blocks


def encode(width, height, factors, *, ids=None, scans=None, restart=0, head=b"", strength=12, sof=0xC0, bits=8):
    """A baseline file; `factors` are pairs (h, v), `scans` lists of component indices."""
    n = len(factors)
    ids = ids or list(range(1, n + 1))
    scans = scans or [list(range(n))]
    max_h, max_v = max(h for h, _ in factors), max(v for _, v in factors)
    mcus_x, mcus_y = -(-width // (8 * max_h)), -(-height // (8 * max_v))
    blocks = [random_blocks(mcus_y * v, mcus_x * h, strength) for h, v in factors]
    quant = np.minimum(255, 3 + np.arange(64) // 2)
    out = b"\xff\xd8" + head + segment(0xDB, [0, *quant])
    frame = [bits, *height.to_bytes(2, "big"), *width.to_bytes(2, "big"), n]
    for i, (h, v) in zip(ids, factors):
        frame += [i, h << 4 | v, 0]
    out += segment(sof, frame) + huffman()
    if restart:
        out += segment(0xDD, restart.to_bytes(2, "big"))
    for scan in scans:
        body = [len(scan)] + [byte for c in scan for byte in (ids[c], 0)] + [0, 63, 0]
        out += segment(0xDA, body) + encode_scan(scan, factors, blocks, (width, height), (mcus_x, mcus_y), restart)
    return out + b"\xff\xd9"


def encode_scan(scan, factors, blocks, size, mcus, restart):
    max_h, max_v = max(h for h, _ in factors), max(v for _, v in factors)
    units = []
    if len(scan) == 1:
        h, v = factors[scan[0]]
        columns, rows = -(-size[0] * h // (8 * max_h)), -(-size[1] * v // (8 * max_v))
        units = [[(scan[0], y, x)] for y in range(rows) for x in range(columns)]
    else:
        for y in range(mcus[1]):
            for x in range(mcus[0]):
                unit = []
                for c in scan:
                    h, v = factors[c]
                    unit += [(c, y * v + i, x * h + j) for i in range(v) for j in range(h)]
                units.append(unit)
    bits, out, last = Bits(), b"", {}
    for i, unit in enumerate(units):
        if restart and i and i % restart == 0:
            out += bits.flush() + bytes([0xFF, 0xD0 + (i // restart - 1) % 8])
            last = {}
        for c, y, x in unit:
            last[c] = put_block(bits, blocks[c][y, x], last.get(c, 0))
    return out + bits.flush()


def picture(width, height, mode="RGB"):
    """Slopes, edges and noise."""
    y, x = np.mgrid[:height, :width]
    planes = [
        128 + 100 * np.sin(x / 5.0 + k) * np.cos(y / (7.0 + k)) + 30 * ((x // 9 + y // 7 + k) % 3)
        for k in range(4)
    ]
    values = np.stack(planes, 2) + RNG.normal(0, 6, (height, width, 4))
    values = np.clip(values, 0, 255).astype(np.uint8)
    if mode == "L":
        return Image.fromarray(values[..., 0])
    if mode == "CMYK":
        return Image.frombytes("CMYK", (width, height), values.tobytes())
    return Image.fromarray(values[..., :3])


def save(image, **options):
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def sizes():
    for width in [*range(1, 20), 31, 32, 33, 63, 65, 130]:
        for height in {1, 2, 3, 7, 8, 9, 15, 16, 17, width, 33}:
            subsampling = int(RNG.integers(0, 3))
            quality = int(RNG.choice([20, 60, 85, 100]))
            yield save(picture(width, height), subsampling=subsampling, quality=quality)


def modes():
    for mode in ["L", "RGB", "CMYK"]:
        for quality in [1, 10, 50, 75, 90, 100]:
            for subsampling in [0, 1, 2]:
                for options in [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}]:
                    width, height = map(int, RNG.integers(17, 90, 2))
                    yield save(picture(width, height, mode), quality=quality, subsampling=subsampling, **options)
                yield save(picture(50, 40, mode), quality=quality, progressive=True, restart_marker_rows=1)
    yield save(picture(70, 50), keep_rgb=True)


def sampling():
    factors = [(h, v) for h in (1, 2, 4) for v in (1, 2, 4) if h * v <= 8] + [(3, 1), (1, 3), (3, 3)]
    for luma in factors:
        for chroma in factors:
            for size in [(1, 1), (5, 3), (16, 16), (37, 41), (65, 30)]:
                all_factors = [luma, chroma, (1, 1)]
                if sum(h * v for h, v in all_factors) <= 10:
                    yield encode(*size, all_factors)
                else:
                    yield encode(*size, all_factors, scans=[[0], [1], [2]])
    for h in (1, 2, 3, 4):
        for v in (1, 2, 3, 4):
            yield encode(43, 29, [(h, v)])
            yield encode(43, 29, [(2, 2), (1, 1), (1, 1), (2, 2)] if h + v == 4 else [(1, 1)] * 4)


def scans():
    for factors in [[(2, 2), (1, 1), (1, 1)], [(2, 1), (1, 1), (1, 1)], [(1, 2), (1, 1), (1, 1)], [(1, 1)] * 3]:
        for order in [[[0], [1], [2]], [[0, 1], [2]], [[0], [1, 2]], [[1], [0], [2]], [[2], [1], [0]], [[0, 2], [1]]]:
            for restart in [0, 1, 4]:
                yield encode(45, 35, factors, scans=order, restart=restart)
    yield encode(45, 35, [(1, 1)] * 3, scans=[[0], [1]])
    yield encode(45, 35, [(1, 1)] * 3, scans=[[0], [1], [2], [0]])
    yield encode(45, 35, [(1, 1)] * 3, scans=[[1, 0, 2]])


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform):
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def markers():
    for head in [b"", JFIF, adobe(0), adobe(1), adobe(2), adobe(7), JFIF + adobe(0), segment(0xE0, b"JFIF\0"),
                 segment(0xFE, b"hello"), segment(0xE1, b"x" * 300), b"\xff" * 9, b"junk" * 5, segment(0xEE, b"Adobe"),
                 segment(0xDC, b"\0\5"), b"\xff\xd0", b"\xff\xd8", b"\xff\x01", segment(0xF0, b"abc"),
                 segment(0xDF, b"\x11"), segment(0xCC, bytes([0, 0x10])), segment(0x02, b"ab"), b"\xff\xd9",
                 b"\xff\xe1\0\0", b"\xff\xe1\xff\xff"]:
        for ids in [[1, 2, 3], [0, 1, 2], [82, 71, 66], [1, 1, 1], [7, 7, 9]]:
            yield encode(33, 20, [(1, 1)] * 3, ids=ids, head=head)
        yield encode(33, 20, [(1, 1)] * 4, head=head)
        yield encode(33, 20, [(2, 2), (1, 1), (1, 1), (2, 2)], head=head)
        yield encode(33, 20, [(1, 1)], head=head)
    for sof in [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xC8, 0xCD]:
        if sof != 0xC3:
            yield encode(20, 20, [(1, 1)] * 3, sof=sof)
    yield encode(20, 20, [(1, 1)] * 3, bits=12)
    yield encode(20, 20, [(1, 1)] * 2)
    yield encode(20, 20, [(1, 1)] * 3).replace(b"\xff\xc0\0\x11\x08\0\x14", b"\xff\xc0\0\x11\x08\0\0")
    yield encode(20, 20, [(1, 1)] * 3).replace(huffman(), b"")
    yield encode(20, 20, [(5, 1), (1, 1), (1, 1)])
    yield encode(20, 20, [(4, 4), (1, 1), (1, 1)])


def progressive_scans(data):
    """The parts of a progressive file: everything before the first scan, then each scan."""
    places, at = [], 2
    while True:
        marker = data[at + 1]
        if marker == 0xD9:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        places.append((marker, data[at:end]))
        at = end
    return places


def without_scans(data, keep):
    out, number = b"\xff\xd8", 0
    for marker, body in progressive_scans(data):
        if marker == 0xDA:
            number += 1
            if number - 1 not in keep:
                continue
        out += body
    return out + b"\xff\xd9"


def coarse():
    for size in [(8, 8), (16, 16), (17, 33), (40, 41), (90, 70), (129, 31)]:
        for mode, subsampling in [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0), ("CMYK", 0)]:
            data = save(picture(*size, mode), quality=80, subsampling=subsampling, progressive=True)
            count = sum(marker == 0xDA for marker, _ in progressive_scans(data))
            for end in range(1, count):
                yield without_scans(data, range(end))
            for missing in range(count):
                yield without_scans(data, [i for i in range(count) if i != missing])


def ends():
    sources = [
        save(picture(50, 40), quality=80, subsampling=2),
        save(picture(50, 40), quality=80, subsampling=0, restart_marker_blocks=4),
        save(picture(50, 40), quality=80, progressive=True),
        save(picture(50, 40, "L"), quality=80),
        encode(50, 40, [(2, 2), (1, 1), (1, 1)], scans=[[0], [1], [2]]),
    ]
    for data in sources:
        body = data[:-2]
        for trailer in [b"", b"\0" * 100, b"SEFT trailer of a phone " * 4, b"\0" * 7, b"\0" * 70000, b"\0" * 70000 + b"\xff\xd8",
                        b"\xff\xd8\xff\xe0\0\x10JFIF\0" * 3, b"ab\xff\xda12345678", b"ab\xff\x05abcdefgh",
                        b"ab\xff\xe1\0\x10abcdefgh", b"\xff" * 30]:
            yield body + trailer
            yield data + trailer
        start = body.rindex(b"\xff\xda") + 14
        for cut in [*range(start, len(body), 97), *range(len(body) - 12, len(body))]:
            if cut < len(body) - 8:
                yield body[:cut]
            yield body[:cut] + b"\xff\xd9"
            yield body[:cut] + b"\0" * 20 + b"\xff\xd9"
            yield body[:cut] + b"\0" * 3000


def damage():
    sources = [
        save(picture(60, 45), quality=85, subsampling=2),
        save(picture(60, 45), quality=95, subsampling=0, restart_marker_blocks=2),
        save(picture(60, 45), quality=60, subsampling=1, progressive=True),
        save(picture(60, 45), quality=60, progressive=True, restart_marker_rows=1),
        save(picture(60, 45, "CMYK"), quality=85),
        encode(50, 40, [(2, 2), (1, 1), (1, 1)], scans=[[0], [1], [2]], restart=2),
        encode(50, 40, [(1, 2), (1, 1), (1, 1)], restart=1),
    ]
    for data in sources:
        start = data.index(b"\xff\xda") + 8
        for _ in range(150):
            broken = bytearray(data)
            for _ in range(int(RNG.integers(1, 4))):
                at = int(RNG.integers(start, len(data) - 2))
                kind = RNG.integers(0, 4)
                if kind == 0:
                    broken[at] = int(RNG.integers(0, 256))
                elif kind == 1:
                    broken[at] ^= 1 << int(RNG.integers(0, 8))
                elif kind == 2:
                    del broken[at : at + int(RNG.integers(1, 9))]
                else:
                    broken[at:at] = bytes([0xFF, int(RNG.choice([0xD0, 0xD1, 0xD3, 0xD7, 0, 0xC0]))])
            # libjpeg-turbo tries such blocks twice, and keeps coefficients of the first, wrong attempt
            if b"\xff\xff\0" not in broken:
                yield bytes(broken)


def cjpeg():
    if not shutil.which("cjpeg"):
        return
    data = io.BytesIO()
    for size in [(21, 14), (50, 37), (16, 16), (1, 1), (97, 70)]:
        for gray in [False, True]:
            data = io.BytesIO()
            picture(*size, "L" if gray else "RGB").save(data, "PPM")
            for options in [["-arithmetic"], ["-arithmetic", "-progressive"], ["-arithmetic", "-restart", "1"],
                            ["-progressive", "-restart", "2B"], ["-sample", "1x2"], ["-sample", "4x1"],
                            ["-sample", "2x2,1x2,2x1"], ["-rgb"], ["-arithmetic", "-sample", "1x1"],
                            ["-arithmetic", "-progressive", "-restart", "3B"], ["-quality", "100", "-arithmetic"]]:
                command = ["cjpeg", *options]
                made = subprocess.run(command, input=data.getvalue(), capture_output=True)
                if made.returncode == 0:
                    yield made.stdout


def scaled():
    for subsampling in [0, 1, 2]:
        for mode in ["RGB", "L", "CMYK"]:
            for options in [{}, {"progressive": True}]:
                size = tuple(map(int, RNG.integers(9, 120, 2)))
                yield save(picture(*size, mode), quality=85, subsampling=subsampling, **options)
    for factors in [[(1, 2), (1, 1), (1, 1)], [(4, 1), (1, 1), (1, 1)], [(2, 2), (2, 1), (1, 2)], [(4, 2), (1, 1), (1, 1)],
                    [(3, 1), (1, 1), (1, 1)], [(2, 4), (1, 1), (1, 1)]]:
        for size in [(67, 45), (20, 31), (8, 8)]:
            scans = [[0], [1], [2]]
            yield encode(*size, factors, scans=scans)


def golden():
    three = [(2, 2), (1, 1), (1, 1)]
    progressive = save(picture(17, 11), quality=70, progressive=True)
    yield save(picture(19, 13), quality=85, subsampling=2)
    yield save(picture(19, 13), quality=85, subsampling=1)
    yield progressive
    yield without_scans(progressive, [0])
    yield without_scans(progressive, [0, 1, 2])
    yield encode(21, 18, three, scans=[[0], [1], [2]], strength=5)
    yield encode(21, 18, three, scans=[[0, 1], [2]], restart=1, strength=5)
    yield encode(18, 21, [(1, 2), (1, 1), (1, 1)], strength=5)
    yield encode(18, 9, [(4, 1), (1, 1), (2, 1)], strength=5)
    yield encode(9, 9, [(1, 1)] * 3, ids=[82, 71, 66], strength=5)
    yield encode(9, 9, [(1, 1)] * 4, head=adobe(2), strength=5)
    yield encode(21, 18, three, strength=5)[:-2] + b"SEFT trailer of a phone"
    yield encode(21, 18, three, strength=5)[:-60] + b"\xff\xd9"
    yield encode(21, 18, three, strength=5)[:-60]
    yield from (data for _, data in zip(range(3), cjpeg()))


PARTS = [golden, sizes, modes, sampling, scans, markers, coarse, ends, damage, cjpeg, scaled]


def read(data, scale):
    """What Pillow reads, as bytes of L or RGB; raises where it refuses."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    if scale > 1:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
        if image.decoderconfig[0] != scale:
            return None
    image.load()
    return image if image.mode == "L" else image.convert("RGB")


def main(folder, parts):
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for part in parts:
        for number, data in enumerate(part()):
            name = f"{part.__name__}-{number}"
            (folder / f"{name}.jpg").write_bytes(data)
            for scale in [1, 2, 4, 8] if part in (scaled, golden) else [1]:
                try:
                    image = read(data, scale)
                except Exception:
                    lines.append(f"{part.__name__}\t{name}\t{scale}\trefused")
                    continue
                if image is not None:
                    (folder / f"{name}.{scale}.raw").write_bytes(image.tobytes())
                    shape = f"{image.width}\t{image.height}\t{len(image.mode)}"
                    lines.append(f"{part.__name__}\t{name}\t{scale}\t{shape}")
    (folder / "index.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[-1]), [golden] if "--golden" in sys.argv else PARTS)
