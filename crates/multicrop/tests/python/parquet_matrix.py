"""Writes parquet files over a matrix of forms into a folder, and what pyarrow reads in them.

    python parquet_matrix.py FOLDER

`FOLDER/cases.json` is a list of cases: family, name, source (relative to FOLDER), options, and for each
image in order its bytes as SHA-256 (null for none) and its label (a name, a number or null). The labels
come from what the reader returns, `datasets` for files with features and pyarrow for others; only
the order of files is stated here.
"""

import hashlib
import io
import itertools
import json
import sys
from decimal import Decimal
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(sys.argv[1])
CASES = []


def png(value):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (value % 256, value // 256, 7)).save(file, "PNG")
    return file.getvalue()


def sha(data):
    return None if data is None else hashlib.sha256(data).hexdigest()


def label(value):
    """A label as one rule for all sources reads it: null, NaN and negative numbers are none."""
    if value is None or value != value:
        return None
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, str) else value.decode()
    return None if value < 0 else int(value) if value == int(value) else None


def image_bytes(value, folder):
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return (folder / value["path"]).read_bytes()
        return value.get("bytes")
    return (folder / value).read_bytes() if isinstance(value, str) else value


def case(family, name, source, files, image="image", labels_in="label", **options):
    """What pyarrow reads in these files, one after the other."""
    images, labels = [], []
    for file in files:
        table = pq.ParquetFile(file).read()
        images += [sha(image_bytes(value, file.parent)) for value in table[image].to_pylist()]
        has_labels = labels_in in table.column_names
        labels += [label(v) for v in table[labels_in].to_pylist()] if has_labels else [None] * len(table)
    add(family, name, source, images, labels, options)


def add(family, name, source, images, labels, options):
    source = str(source.relative_to(ROOT))
    CASES.append(dict(family=family, name=name, source=source, images=images, labels=labels, options=options))


def folder(family, name):
    path = ROOT / family / name
    path.mkdir(parents=True)
    return path


def storage():
    """Compression x encoding x page version x nulls x rows of a row group."""
    codecs = ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]
    encodings = ["dictionary", "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
    matrix = itertools.product(codecs, encodings, ["1.0", "2.0"], [False, True], [1, 3, 100])
    for codec, encoding, version, nulls, rows in matrix:
        name = f"{codec}-{encoding}-{version}-{'nulls' if nulls else 'full'}-{rows}"
        values = [png(i) for i in range(7)]
        if nulls:
            values[0] = values[3] = None
        fixed = {} if encoding == "dictionary" else {"image": encoding}
        table = pa.table({"image": pa.array(values, pa.binary()), "label": [i % 3 for i in range(7)]})
        path = folder("storage", name) / "a.parquet"
        pq.write_table(
            table, path, compression=codec, data_page_version=version, row_group_size=rows,
            use_dictionary=encoding == "dictionary", column_encoding=fixed or None,
            write_page_index=rows == 3, data_page_size=300, write_page_checksum=rows == 1)
        case("storage", name, path, [path])
    # 3 bytes of header, so that each is of one length
    fixed = [png(1) for _ in range(5)]
    for encoding in ["PLAIN", "BYTE_STREAM_SPLIT", "DELTA_BYTE_ARRAY"]:
        path = folder("storage", f"fixed-{encoding}") / "a.parquet"
        table = pa.table({"image": pa.array(fixed, pa.binary(len(fixed[0])))})
        pq.write_table(table, path, use_dictionary=False, column_encoding={"image": encoding})
        case("storage", f"fixed-{encoding}", path, [path])


def types():
    """Types of image columns, and of other columns that are not images."""
    values = [png(i) for i in range(5)]
    structs = [{"bytes": v, "path": f"{i}.png"} for i, v in enumerate(values)]
    both = [("bytes", pa.binary()), ("path", pa.string())]
    arrays = {
        "binary": pa.array(values, pa.binary()),
        "large_binary": pa.array(values, pa.large_binary()),
        "binary_view": pa.array(values, pa.binary_view()),
        "dictionary": pa.array(values, pa.binary()).dictionary_encode(),
        "struct": pa.array(structs, pa.struct(both)),
        "struct-reversed": pa.array(structs, pa.struct(both[::-1])),
        "struct-large": pa.array(structs, pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])),
        "struct-more": pa.array(structs, pa.struct([("size", pa.int32()), *both])),
    }
    beside = {
        "alone": {},
        "audio": {"audio": [{"bytes": b"RIFF" + bytes([i]), "path": "a.wav"} for i in range(5)]},
        "sha": {"sha": [hashlib.sha256(v).digest() for v in values], "id": [b"%d" % i for i in range(5)]},
    }
    for (kind, array), (more, columns) in itertools.product(arrays.items(), beside.items()):
        for image in ["image", "scan"]:
            path = folder("types", f"{kind}-{more}-{image}") / "a.parquet"
            pq.write_table(pa.table({**columns, image: array}), path)
            case("types", f"{kind}-{more}-{image}", path, [path], image=image)


def labels():
    """Types of label columns, with nulls."""
    arrays = {
        **{str(t): pa.array([2, 0, None, 2, 1], t) for t in [
            pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(),
            pa.uint64(), pa.float32(), pa.float64()]},
        "negative": pa.array([1, -1, 0, 1, -1], pa.int64()),
        "nan": pa.array([1.0, float("nan"), 0.0, 2.0, None]),
        "bool": pa.array([True, False, None, True, False]),
        "decimal32": pa.array([Decimal(2), None, Decimal(0), Decimal(1), Decimal(2)], pa.decimal128(5, 1)),
        "decimal128": pa.array([Decimal(2), None, Decimal(0), Decimal(1), Decimal(2)], pa.decimal128(30, 2)),
        "string": pa.array(["dog", "cat", None, "dog", "ox"]),
        "large_string": pa.array(["dog", "cat", None, "dog", "ox"], pa.large_string()),
        "string_view": pa.array(["dog", "cat", None, "dog", "ox"], pa.string_view()),
        "dictionary": pa.array(["dog", "cat", None, "dog", "ox"]).dictionary_encode(),
        "binary": pa.array([b"dog", b"cat", None, b"dog", b"ox"]),
        "null": pa.array([None] * 5, pa.int64()),
    }
    for (kind, array), rows, column in itertools.product(arrays.items(), [1, 5], ["label", "kind"]):
        name = f"{kind}-{rows}-{column}"
        path = folder("labels", name) / "a.parquet"
        table = pa.table({"image": [png(i) for i in range(5)], column: array})
        pq.write_table(table, path, row_group_size=rows)
        options = {"label_column": column} if column == "kind" else {}
        case("labels", name, path, [path], labels_in=column, **options)


def files():
    """Several files: row groups of none and some rows, files without rows, partitions, paths."""
    for counts in [(3, 2), (0, 4), (4, 0, 1), (1, 1, 1, 1)]:
        name = "-".join(map(str, counts))
        root, paths, value = folder("files", name), [], 0
        for number, count in enumerate(counts):
            paths.append(root / f"part-{number}.parquet")
            table = pa.table({"image": pa.array([png(value + i) for i in range(count)], pa.binary()),
                              "label": pa.array([i % 2 for i in range(count)], pa.int64())})
            with pq.ParquetWriter(paths[-1], table.schema) as writer:
                writer.write_table(table.slice(0, 0))
                writer.write_table(table)
            value += count
        (root / "_SUCCESS").write_bytes(b"")
        (root / ".part-9.parquet.crc").write_bytes(b"crc")
        pq.write_metadata(table.schema, root / "_common_metadata")
        case("files", name, root, paths)
    root = folder("files", "hive")
    for number, name in enumerate(["cat", "dog"]):
        part = root / f"label={name}"
        part.mkdir()
        pq.write_table(pa.table({"image": [png(number)] * 2}), part / "part-0.parquet")
    table = pq.read_table(root, partitioning="hive").to_pydict()
    add("files", "hive", root, [sha(v) for v in table["image"]], [str(v) for v in table["label"]], {})
    for kind in ["struct", "string"]:
        root = folder("files", f"paths-{kind}")
        names = [f"pics/{i}.png" for i in range(4)]
        (root / "pics").mkdir()
        for number, name in enumerate(names):
            (root / name).write_bytes(png(number))
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        rows = [{"bytes": png(9) if n == 2 else None, "path": name} for n, name in enumerate(names)]
        array = pa.array(rows, struct) if kind == "struct" else names
        path = root / "a.parquet"
        pq.write_table(pa.table({"image": array, "label": ["a", "b", "a", None]}), path)
        case("files", f"paths-{kind}", path, [path])


def hugging_face():
    """What `datasets` writes, read by `datasets`; class names in the same and in another order."""
    for orders in itertools.product([["cat", "dog", "ox"], ["ox", "cat", "dog"]], repeat=2):
        name = "-".join(names[0] for names in orders)
        root, images, found = folder("hugging_face", name), [], []
        for number, names in enumerate(orders):
            features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
            rows = {"image": [{"bytes": png(number * 9 + i), "path": None} for i in range(4)],
                    "label": [0, 2, -1, 1]}
            path = root / f"part-{number}.parquet"
            datasets.Dataset.from_dict(rows, features).to_parquet(path)
            data = datasets.Dataset.from_parquet(str(path), cache_dir=str(ROOT / "cache"), keep_in_memory=True)
            feature = data.features["label"]
            raw = data.cast_column("image", datasets.Image(decode=False))
            images += [sha(row["image"]["bytes"]) for row in raw]
            found += [None if v is None or v < 0 else feature.int2str(v) for v in data["label"]]
        add("hugging_face", name, root, images, found, {})


for family in [storage, types, labels, files, hugging_face]:
    family()
(ROOT / "cases.json").write_text(json.dumps(CASES))
