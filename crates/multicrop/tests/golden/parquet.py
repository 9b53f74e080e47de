"""Small parquet files of the kinds that people have, written next to this script.

Written with pyarrow 26.0.1, Pillow 11.3 and Python 3.11; nothing is random. Image i is a PNG of
5 x 4 pixels, all (i, i, i).
"""

import base64
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from PIL import Image

HERE = Path(__file__).parent / "parquet"


def png(value):
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (value,) * 3).save(file, "PNG")
    return file.getvalue()


def hugging_face(name, values, labels, **options):
    """struct<bytes, path> and a ClassLabel, with the metadata of the `datasets` library."""
    rows = [{"bytes": None if v is None else png(v), "path": f"{v}.png"} for v in values]
    image = pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    features = {
        "image": {"_type": "Image"},
        "label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"},
    }
    table = pa.table({"id": list(range(len(values))), "image": image, "label": labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, HERE / f"{name}.parquet", **options)


def plain(name, values, **options):
    """A binary column and a column of text."""
    table = pa.table({
        "caption": [f"image {v}" for v in values],
        "img": pa.array([png(v) for v in values], pa.binary()),
        "class": [["owl", "cat"][v % 2] for v in values],
    })
    pq.write_table(table, HERE / f"{name}.parquet", **options)


HERE.mkdir(exist_ok=True)
hugging_face("train-00000-of-00002", [1, 2, 3, 4, None], [2, 0, 2, 1, 1], row_group_size=2)
hugging_face("train-00001-of-00002", [6, 7], [0, 0], compression="zstd")
hugging_face("test-00000-of-00001", [8], [-1], compression="none", use_dictionary=False)
plain("plain-gzip", [1, 2, 3], compression="gzip", data_page_version="2.0")
plain("plain-lz4", [1, 2, 3], compression="lz4", write_page_index=True)
plain("plain-delta", [1, 2, 3], use_dictionary=False, column_encoding={
    "caption": "PLAIN", "img": "DELTA_LENGTH_BYTE_ARRAY", "class": "DELTA_BYTE_ARRAY"})
pq.write_table(pa.table({"x": [1, 2], "text": ["a", "b"], "many": [[b"a"], [b"b"]]}), HERE / "no-image.parquet")
pq.write_table(pa.table({"image": pa.array([], pa.binary())}), HERE / "no-rows.parquet")
plain("brotli", [1, 2, 3], compression="brotli")
struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
images = pa.array([[{"bytes": png(1), "path": None}]], pa.list_(struct))
pq.write_table(pa.table({"images": images}), HERE / "list.parquet")
pq.write_table(pa.table({"image": pa.array([[1, 2]], pa.list_(pa.uint8()))}), HERE / "pixels.parquet")


class Keys(pe.KmsClient):
    """Keeps keys as they are: the content of these files is no secret."""

    def __init__(self, _):
        super().__init__()

    def wrap_key(self, key, _):
        return base64.b64encode(key)

    def unwrap_key(self, key, _):
        return base64.b64decode(key)


def encrypted(name, plaintext_footer):
    """One encrypted column, and metadata that are encrypted or not. Keys are random."""
    config = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"image": ["image"]}, plaintext_footer=plaintext_footer)
    properties = pe.CryptoFactory(Keys).file_encryption_properties(pe.KmsConnectionConfig(), config)
    table = pa.table({"image": pa.array([png(1)], pa.binary())})
    with pq.ParquetWriter(HERE / f"{name}.parquet", table.schema, encryption_properties=properties) as file:
        file.write_table(table)


encrypted("encrypted-footer", False)
encrypted("encrypted-columns", True)
