"""Writes small valid files of each container format to fuzz/corpus: seeds. Python 3, nothing else."""

import gzip
import io
import json
import struct
import tarfile
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
