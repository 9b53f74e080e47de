"""Checks every model of a folder with `onnx`, runs it with ONNX Runtime, and prints the largest differences.

Each `NAME.json` lists the passes: shapes of the images, and the tokens that this program computes. Values lie
in `.f32` files.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

folder = Path(sys.argv[1])


def read(name, shape):
    return np.fromfile(folder / name, "<f4").reshape(shape)


found = {}
for manifest in sorted(folder.glob("*.json")):
    path = manifest.with_suffix(".onnx")
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    passes = []
    for one in json.loads(manifest.read_text()):
        images = read(one["images"]["file"], one["images"]["shape"])
        names = sorted(one["tokens"])
        outputs = session.run(names, {"images": images})
        differences = {}
        for name, output in zip(names, outputs):
            expected = read(one["tokens"][name]["file"], one["tokens"][name]["shape"])
            assert output.shape == expected.shape, (name, output.shape, expected.shape)
            assert output.dtype == np.float32, output.dtype
            differences[name] = float(np.abs(output - expected).max() / np.abs(expected).max())
        passes.append(differences)
    found[manifest.stem] = {
        "passes": passes,
        "opset": model.opset_import[0].version,
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        "inputs": [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input],
        "outputs": [output.name for output in model.graph.output],
    }
print(json.dumps(found))
