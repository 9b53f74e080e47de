"""Makes folders, tar archives, WebDataset shards and lists, and writes what Python reads in them.

    containers_matrix.py FOLDER

`FOLDER/manifest.json` becomes a list of cases: {family, name, source, options, images, labels, order}.
`images` are SHA-256 of the files' bytes, `labels` the names of classes or null. The judges:

folders       the rules of torchvision's ImageFolder: the class is the first folder
parts         `datasets` with its builder `imagefolder`, which finds parts by the names of folders
tars          `tarfile`: the archive is unpacked, and the folder is read
web_dataset   `webdataset`: samples of all shards, one after the other
lists         `csv` and `json` of the standard library; `datasets` for `metadata.csv` and `.jsonl`

Where dino-vmf differs on purpose, the case's name says so: archives are sorted by name, not read in
their own order, and files of a folder are sorted with its folders, not before them (`order` is false).
"""

import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import random
import sys
import tarfile
from pathlib import Path

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF",
           "tif": "TIFF", "ppm": "PPM"}
rng = random.Random(15)
cases = []


def picture(extension):
    from PIL import Image

    color = tuple(rng.randrange(256) for _ in range(3))
    bytes_ = io.BytesIO()
    noise = Image.frombytes("RGB", (4, 3), rng.randbytes(36))
    Image.blend(Image.new("RGB", (4, 3), color), noise, 0.3).save(
        bytes_, FORMATS[extension.lower()])
    return bytes_.getvalue()


def digest(bytes_):
    return hashlib.sha256(bytes_).hexdigest()


def add(family, name, source, found, order=True, options=None):
    """`found` are pairs of bytes and label."""
    if not order:
        found = sorted((digest(image), label) for image, label in found)
    else:
        found = [(digest(image), label) for image, label in found]
    cases.append({
        "family": family, "name": name, "source": str(source), "options": options or {},
        "images": [image for image, _ in found], "labels": [label for _, label in found],
        "order": order,
    })


def image_folder(root, names=EXTENSIONS):
    """torchvision's `make_dataset`: classes are sorted, then folders, then files."""
    found = []
    for class_ in sorted(entry.name for entry in os.scandir(root) if entry.is_dir()):
        if class_.startswith("."):
            continue
        for folder, _, files in sorted(os.walk(root / class_, followlinks=True)):
            for file in sorted(files):
                if file.lower().endswith(names) and not file.startswith("."):
                    found.append((Path(folder, file).read_bytes(), class_))
    return found


def write(path, bytes_):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_)


def make_tree(root, deep):
    classes = rng.sample(["cat", "dog", "0", "1", "10", "Z", "a b", "ünï", "x.y", "b-c"], 3)
    for class_ in classes:
        for place in range(rng.randrange(1, 5)):
            extension = rng.choice(["jpg", "JPG", "jpeg", "png", "Png", "webp", "bmp", "gif", "tif"])
            folder = root / class_
            if deep and rng.random() < 0.5:
                folder = folder / rng.choice(["one", "two", "two/three"])
            write(folder / f"{rng.randrange(100)}-{place}.{extension}", picture(extension))
        write(root / class_ / "notes.txt", b"text")
    if rng.random() < 0.5:
        write(root / classes[0] / ".hidden.png", picture("png"))


def folders(out):
    for number in range(40):
        root, deep = out / f"tree-{number}", number % 2 == 1
        make_tree(root, deep)
        name = "folders of classes" if not deep else "deep folders, in another order"
        add("folders", f"{name} {number}", root, image_folder(root), order=not deep)


def loaded(folder, split, **options):
    """What `datasets` reads of a part; labels by name."""
    from datasets import Image, load_dataset

    data = load_dataset("imagefolder", split=split, cache_dir=str(folder) + "-cache", **options)
    data = data.cast_column("image", Image(decode=False))
    classes = getattr(data.features.get("label"), "names", None)
    for row in data:
        image = row["image"]["bytes"] or Path(row["image"]["path"]).read_bytes()
        label = row.get("label")
        if label is not None:
            label = classes[label] if classes else str(label)
        yield image, label


def parts(out):
    words = [("train", "test"), ("train", "val"), ("training", "validation"), ("Train", "Test"),
             ("train", "valid"), ("train", "dev"), ("training", "testing"), ("train", "eval")]
    for number, (train, other) in enumerate(words):
        root = out / f"parts-{number}"
        for part in (train, other):
            for class_ in ("cat", "dog"):
                for place in range(2):
                    write(root / part / class_ / f"{place}.png", picture("png"))
        part = {"test": "test", "testing": "test", "eval": "test"}.get(other.lower(), "validation")
        # `datasets` knows the words in lower case alone
        folder = root
        if train != train.lower():
            folder = out / f"parts-{number}-lower"
            for file in sorted(root.rglob("*.png")):
                write(folder / str(file.relative_to(root)).lower(), file.read_bytes())
        for suffix, split in (("", "train"), (":test", part)):
            found = list(loaded(folder, split, data_dir=str(folder)))
            add("parts", f"{train} and {other}{suffix}", f"{root}{suffix}", found)


def pack(path, members, format_, packing):
    bytes_ = io.BytesIO()
    with tarfile.open(fileobj=bytes_, mode="w", format=format_) as archive:
        for name, contents, link in members:
            info = tarfile.TarInfo(name)
            if link:
                info.type, info.linkname = link
                archive.addfile(info)
            else:
                info.size = len(contents)
                archive.addfile(info, io.BytesIO(contents))
    bytes_ = bytes_.getvalue()
    if packing == "gz":
        bytes_ = gzip.compress(bytes_)
    elif packing == "members":
        middle = len(bytes_) // 2
        bytes_ = gzip.compress(bytes_[:middle]) + gzip.compress(bytes_[middle:]) + bytes(512)
    write(path, bytes_)


def tars(out):
    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    prefixes = ["", "./", "photos/", "./photos/./"]
    contents = ["plain", "long names", "hard links", "symbolic links", "written again"]
    for number, (format_, prefix, content, packing) in enumerate(
            itertools.product(formats, prefixes, contents, ["", "gz", "members"])):
        members = []
        for class_ in ("cat", "dog", "ünï" if format_ != "ustar" else "uni"):
            for place in range(rng.randrange(1, 4)):
                name = f"{prefix}{class_}/{place}.png"
                if content == "long names" and format_ != "ustar":
                    name = f"{prefix}{class_}/{'x' * 150}/{'y' * 120}{place}.png"
                members.append((name, picture("png"), None))
        rng.shuffle(members)
        first = members[0][0]
        if content == "hard links":
            members.append((f"{prefix}linked/1.png", b"", (tarfile.LNKTYPE, first)))
        elif content == "symbolic links":
            target = os.path.relpath(first, f"{prefix}linked")
            members.append((f"{prefix}linked/1.png", b"", (tarfile.SYMTYPE, target)))
        elif content == "written again":
            members.append((first, picture("png"), None))
        path = out / f"{number}.tar"
        pack(path, members, formats[format_], packing)
        unpacked = out / f"unpacked-{number}"
        with tarfile.open(path) as archive:
            archive.extractall(unpacked, filter="tar")
        root = unpacked / "photos" if "photos" in prefix else unpacked
        order = content != "long names"
        name = f"{content}, {format_}, prefix `{prefix}`, packing `{packing}`"
        add("tars", name, path, image_folder(root), order)


def web_samples(paths, pick):
    """Samples of each shard, sorted by key, with the image that `pick` takes."""
    import webdataset

    for path in paths:
        samples = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
        for sample in sorted(samples, key=lambda sample: sample["__key__"].split("/")):
            image = pick(sample)
            label = sample.get("cls")
            if label is None and "json" in sample:
                label = json.loads(sample["json"]).get("label")
                label = None if label is None else str(label).encode()
            yield image, None if label is None else label.decode().strip()


def web_dataset(out):
    import webdataset

    kinds = ["numbers", "names", "json", "none"]
    images = ["jpg", "png", "jpg and seg.png", "rgb.png and depth.png"]
    for number, (kind, image, folder, shards, order) in enumerate(
            itertools.product(kinds, images, ["", "a/"], [1, 3], ["sorted", "shuffled"])):
        root = out / f"web-{number}"
        root.mkdir(parents=True)
        extensions = image.split(" and ")
        keys = [f"{folder}{i:04}" for i in range(9)]
        if order == "shuffled":
            rng.shuffle(keys)
        paths = [root / f"{shard:03}.tar" for shard in range(shards)]
        for shard, path in enumerate(paths):
            with webdataset.TarWriter(str(path)) as writer:
                for key in keys[shard::shards] if shard < 2 else []:
                    sample = {"__key__": key, "txt": "a caption of this image"}
                    for extension in extensions:
                        sample[extension] = picture(extension.split(".")[-1])
                    label = rng.choice(["3", "0", "7"] if kind != "names" else ["cat", "dog"])
                    if kind in ("numbers", "names"):
                        sample["cls"] = label.encode()
                    elif kind == "json":
                        sample["json"] = {"label": int(label), "text": "a caption"}
                    writer.write(sample)
        found = list(web_samples(paths, lambda sample: sample[extensions[0]]))
        if kind == "none" and folder:
            found = [(image, "a") for image, _ in found]
        name = f"{kind}, {image}, folder `{folder}`, {shards} shards, keys {order} (sorted by us)"
        add("web_dataset", name, root, found)
        if len(extensions) > 1:
            second = extensions[1]
            found = [(image, "a" if kind == "none" and folder else label)
                     for image, label in web_samples(paths, lambda sample: sample[second])]
            add("web_dataset", f"{name}, chosen `{second}`", root, found,
                options={"image_extension": second})


def lists(out):
    for number, (delimiter, quoting, ends, mark, kind) in enumerate(itertools.product(
            [",", "\t", ";"], [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ["\n", "\r\n"], ["", "\ufeff"],
            ["path", "names", "numbers", "captions", "some"])):
        root = out / f"list-{number}"
        rows, found = [], []
        for place in range(5):
            file = rng.choice(["{}.png", "a b/{}.png", "ü/{}.png", "x, y; z/{}.png"]).format(place)
            image = picture("png")
            write(root / file, image)
            label = {
                "path": None, "names": rng.choice(["cat", "dog, wild"]), "captions": None,
                "numbers": str(place % 3), "some": rng.choice(["cat", None]) if place else "cat",
            }[kind]
            row = {"file_name": file, "note": f"one, {place}"}
            if kind in ("names", "numbers", "some"):
                row["label"] = label or ""
            rows.append(row)
            found.append((image, label))
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, quoting=quoting,
                                lineterminator=ends)
        writer.writeheader()
        writer.writerows(rows)
        read = csv.DictReader(io.StringIO(text.getvalue()), delimiter=delimiter)
        assert [row["file_name"] for row in read] == [row["file_name"] for row in rows]
        path = root / "list.csv"
        write(path, (mark + text.getvalue()).encode())
        add("lists", f"{kind} between {delimiter!r}, {quoting}, {ends!r}, {mark!r}", path, found)
        write(root / "list.jsonl", "".join(json.dumps(row) + ends for row in rows).encode())
        add("lists", f"{kind} as JSON lines {number}", root / "list.jsonl", found)
    for number, ending in enumerate(["csv", "jsonl"]):
        root = out / f"metadata-{number}"
        rows = [{"file_name": f"im/{i}.png", "label": i % 2, "text": f"photo, {i}"} for i in range(6)]
        for row in rows:
            write(root / row["file_name"], picture("png"))
        path = root / f"metadata.{ending}"
        if ending == "csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = list(loaded(root, "train", data_dir=str(root), drop_labels=True))
        add("lists", f"metadata.{ending} of imagefolder", path, found)


def main():
    out = Path(sys.argv[1])
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["HF_HOME"] = str(out / "hugging-face")
    for make in (folders, parts, tars, web_dataset, lists):
        make(out / make.__name__)
    (out / "manifest.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
