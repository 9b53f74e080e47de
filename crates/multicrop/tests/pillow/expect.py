"""What Pillow makes of image files, for `tests/pillow_formats.rs`.

    python3 expect.py OUT            makes the files of `files.py` and what is expected of them
    python3 expect.py OUT FOLDER     takes the files below FOLDER instead

Writes OUT/manifest.json, a list of files with their part of the matrix, and next to it the pixels of each
as `<number>.<mode>`. A file that Pillow refuses has `refused`, the reason. Needs Pillow 12 and numpy.
"""

import io
import json
import pathlib
import sys
import warnings

import numpy as np
from PIL import Image, ImageFile, ImageOps

MODES = ("L", "RGB", "RGBA")
# forms that `multicrop` names as not supported, so that there is nothing to compare
WIDE_MODES = ("I", "F", "LAB")


def of_pillow(data):
    """The upright image, and gray of 16 bits as its high byte, which Pillow would clip at 255."""
    image = Image.open(io.BytesIO(data))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "I" and image.format is None and data[:1] == b"P":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def planes(image):
    if image.mode in WIDE_MODES:
        return {mode: image.convert("RGB" if mode != "L" else "L").convert(mode) for mode in MODES}
    return {mode: image.convert(mode) for mode in MODES}


class Manifest:
    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.entries = []

    def add(self, part, name, data, truth=None, rgba=None, path=None, **more):
        """One file. `truth` is the image that was written: it goes before Pillow's answer, as some
        files are read by nobody else, or wrongly. `rgba` replaces what four channels are."""
        number = len(self.entries)
        entry = {"part": part, "name": name, **more}
        if path is None:
            path = self.out / f"{number}.file"
            path.write_bytes(data)
        entry["path"] = str(path)
        if b"\xff\xd8\xff" in data:
            entry.setdefault("tolerance", 4)  # JPEG, in a TIFF too
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = planes(of_pillow(data))
        except Exception as error:  # Pillow raises nearly anything
            found, entry["refused"] = None, f"{type(error).__name__}: {error}"
        if truth is not None:
            written = planes(truth)
            differ = found and any(found[m].tobytes() != written[m].tobytes() for m in ("RGB",))
            entry["pillow_differs"] = bool(differ)
            entry.pop("refused", None)
            found = written
        if rgba is not None and found is not None:
            found["RGBA"] = rgba
        if found is not None:
            entry["width"], entry["height"] = found["RGB"].size
            for mode, image in found.items():
                (self.out / f"{number}.{mode}").write_bytes(image.tobytes())
        self.entries.append(entry)

    def skip(self, part, reason):
        self.entries.append({"part": part, "missing": reason})

    def save(self):
        (self.out / "manifest.json").write_text(json.dumps(self.entries))


def main():
    manifest = Manifest(sys.argv[1])
    Image.MAX_IMAGE_PIXELS = 178_956_970 // 2
    if len(sys.argv) > 2:
        folder = pathlib.Path(sys.argv[2])
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            manifest.add("pictures", str(path.relative_to(folder)), data, path=path)
    else:
        import files

        files.make(manifest)
    manifest.save()


if __name__ == "__main__":
    main()
