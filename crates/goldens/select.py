"""Makes `fixtures/` from the full set: python3 select.py FULL_SET (a folder such as golden/visible).

Needs Python 3 alone. Numbers are not changed, except that those named in ROUNDED are stored as
float32: tests compare them with tolerances of 1e-5 and more, and the selection stays small.
"""

import json
import pathlib
import shutil
import struct
import sys

COPIED = ["vmf", "schedules", "head", "masks", "traj_common"]
TRAJECTORIES = ["dino_norm", "dino_free", "dino_vmf", "dino_vmf_b", "dino_vmf_kp", "ibot", "ibot_vmf"]
FILES = {
    **{f"traj_{name}": {"drop": ("f32/", "schedule/"), "round": ("f64/final/",)} for name in TRAJECTORIES},
    "loss_dino_mid": {"drop": (), "round": ("",), "keep": ("/loss", "/centre")},
    "koleo": {"drop": ("large/",), "round": ()},
    "evaluate": {"drop": ("davis/",), "round": ()},
}


def read(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    head.pop("__metadata__", None)
    body = data[8 + length :]
    return {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in head.items()}


def rounded(dtype, shape, data):
    if dtype != "F64":
        return dtype, shape, data
    values = struct.unpack(f"<{len(data) // 8}d", data)
    return "F32", shape, struct.pack(f"<{len(values)}f", *values)


def write(path, tensors):
    head, body = {}, b""
    # Wide numbers first keep all of them aligned.
    for name in sorted(tensors, key=lambda name: (tensors[name][0] not in ("F64", "I64"), name)):
        dtype, shape, data = tensors[name]
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    full, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent / "fixtures"
    for name in COPIED:
        for suffix in (".json", ".safetensors"):
            shutil.copyfile(full / (name + suffix), here / (name + suffix))
    for name, rule in FILES.items():
        tensors = {}
        for tensor, content in read(full / f"{name}.safetensors").items():
            if tensor.startswith(rule["drop"]):
                continue
            exact = tensor.endswith(rule.get("keep", ())) if "keep" in rule else False
            tensors[tensor] = rounded(*content) if tensor.startswith(rule["round"]) and not exact else content
        write(here / f"{name}.safetensors", tensors)
        settings = json.loads((full / f"{name}.json").read_text())
        # Their list of tensors holds no longer, nor do settings of what is left out.
        for key in ("tensors", "davis"):
            settings.pop(key, None)
        if name == "koleo":
            del settings["cases"]["large"]
        (here / f"{name}.json").write_text(json.dumps(settings, indent=0) + "\n")


main()
