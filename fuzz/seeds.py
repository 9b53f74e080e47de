"""Writes small valid files of each container format to fuzz/corpus: seeds. Python 3, nothing else."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def write(target, name, contents):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(contents)


def tar(files, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, contents in files:
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return out.getvalue()


folders = [("./data/a/1.png", b"one"), ("./data/b/2.jpg", b"two"), ("./data/b/" + "long" * 60 + ".jpg", b"3")]
keyed = [("0.jpg", b"a"), ("0.cls", b"1"), ("1.jpg", b"b"), ("1.json", json.dumps({"label": 0}).encode())]
for number, (files, form) in enumerate((files, form) for files in (folders, keyed)
                                       for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
                                       if not (files is folders and form == tarfile.USTAR_FORMAT)):
    write("tar", f"{number}.tar", tar(files, form))
    write("tar", f"{number}.tar.gz", gzip.compress(tar(files, form)))

idx = struct.pack(">4I", 0x803, 2, 2, 3) + bytes(12)
write("idx", "plain", idx)
write("idx", "packed", gzip.compress(idx))
write("cifar", "ten", bytes([3]) + bytes(3072))
write("cifar", "hundred", bytes([3, 77]) + bytes(3072))
write("list", "paths", b"a.jpg\nb.jpg\n")
write("list", "csv", b'path,label\n"a.jpg",cat\n"b, c.jpg","d ""e"" "\n')
write("list", "tsv", b"id\tfile\tclass\r\n1\ta.jpg\t0\r\n2\ta.jpg\t1\r\n")
write("list", "caffe", b"a.jpg 0\nb.jpg 1\n")


def pickled(names):
    """A dict of tensors of shape (2, 2), one storage each."""
    out = io.BytesIO()
    put = out.write
    put(b"\x80\x02}(")
    for number, name in enumerate(names):
        put(b"X" + struct.pack("<I", len(name)) + name.encode())
        put(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0")
        put(b"%d" % number + b"X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtR")
    put(b"u.")
    return out.getvalue()


names = ["cls_token", "pos_embed", "blocks.0.norm1.weight"]
write("pickle", "plain", pickle.dumps({"epoch": 3, "lr": [0.5, None, True], "b": b"bytes", "t": (1, 2)}, 2))
write("pickle", "plain5", pickle.dumps({"epoch": 1 << 70, "set": {1, 2}, "b": bytearray(b"bytes")}, 5))
write("pickle", "bare", pickled(names))
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("a/data.pkl", pickled(names))
    for number in range(len(names)):
        archive.writestr(f"a/data/{number}", bytes(16))
write("pickle", "zip", packed.getvalue())
legacy = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + pickle.dumps({"little_endian": True}, 2)
legacy += pickled(names) + pickle.dumps([str(number) for number in range(len(names))], 2)
write("pickle", "legacy", legacy + (struct.pack("<q", 4) + bytes(16)) * len(names))

header = json.dumps({"patch_embed.proj.weight": {"dtype": "F32", "shape": [4, 3, 2, 2], "data_offsets": [0, 192]},
                     "blocks.0.mlp.fc1.weight": {"dtype": "F16", "shape": [4, 4], "data_offsets": [192, 224]},
                     "__metadata__": {"format": "pt"}}).encode()
write("safetensors", "two", struct.pack("<Q", len(header)) + header + bytes(224))
