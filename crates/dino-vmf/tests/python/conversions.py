"""Loads converted checkpoints as their users do, and compares tokens.

    python conversions.py FOLDER

writes models of other programs with the tokens that they compute, prints `made`, and waits for the end of stdin. Then
it opens what FOLDER/cases.json names, and prints a list of failures as JSON.

Needs torch, timm, transformers, safetensors, numpy and pillow; downloads nothing.
"""

import functools
import json
import math
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import numpy
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

FOLDER = Path(sys.argv[1])
NATIVE, OTHER = 32, 48
TOLERANCE = 2e-5
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=NATIVE, patch_size=8)
transformers.logging.set_verbosity_error()


class Block(nn.Module):
    """A block under DINO's and iBOT's names."""

    def __init__(self, width, heads, has_scale):
        super().__init__()
        norm = functools.partial(nn.LayerNorm, eps=1e-6)
        self.heads = heads
        self.norm1 = norm(width)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.norm2 = norm(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        if has_scale:
            self.gamma_1, self.gamma_2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)).softmax(-1)
        y = self.attn["proj"]((weights @ v).transpose(1, 2).reshape(n, t, d))
        x = x + getattr(self, "gamma_1", 1.0) * y
        y = self.mlp["fc2"](nn.functional.gelu(self.mlp["fc1"](self.norm2(x))))
        return x + getattr(self, "gamma_2", 1.0) * y


class Plain(nn.Module):
    """A vision transformer under DINO's and iBOT's names, which resamples positions as they do."""

    def __init__(self, side=NATIVE // 8, has_scale=False, has_mask=False, width=16, depth=2, heads=2, patch=8):
        super().__init__()
        self.side, self.patch = side, patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, width))
        if has_mask:
            self.masked_embed = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.ModuleList([Block(width, heads, has_scale) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images):
        x = self.patch_embed["proj"](images)
        rows, cols = x.shape[-2:]
        patches = self.pos_embed[:, 1:].transpose(1, 2).reshape(1, -1, self.side, self.side)
        if (rows, cols) != (self.side, self.side):
            scale = ((rows + 0.1) / self.side, (cols + 0.1) / self.side)
            patches = nn.functional.interpolate(patches, scale_factor=scale, mode="bicubic")
        positions = torch.cat([self.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)], 1)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Head(nn.Module):
    """A projection head under DINO's and iBOT's names."""

    def __init__(self, names):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 8))
        self.last_layer = nn.utils.weight_norm(nn.Linear(8, 32, bias=False))
        if "head.last_layer2.weight_v" in names:
            self.last_layer2 = self.last_layer


class Loss(nn.Module):
    def __init__(self, is_ibot):
        super().__init__()
        self.register_buffer("center", torch.zeros(1, 32))
        if is_ibot:
            self.register_buffer("center2", torch.zeros(1, 1, 32))


def images(size):
    """The images, normalized as this program does it."""
    mean, std = numpy.array([0.485, 0.456, 0.406]), numpy.array([0.229, 0.224, 0.225])
    found = sorted((FOLDER / f"images{size}").glob("*.png"))
    pixels = [(numpy.asarray(Image.open(path)) / 255.0 - mean) / std for path in found]
    return torch.tensor(numpy.stack(pixels), dtype=torch.float32).permute(0, 3, 1, 2)


def randomized(model):
    """The model with weights that make every layer count."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def make():
    """Models of other programs, and their tokens at both sizes."""
    torch.manual_seed(0)
    h = transformers
    models = {
        "vit": h.ViTModel(h.ViTConfig(**SIZES, intermediate_size=48, layer_norm_eps=1e-12)),
        "dinov2": h.Dinov2Model(h.Dinov2Config(**SIZES, mlp_ratio=4)),
        "swiglu": h.Dinov2Model(h.Dinov2Config(**SIZES, mlp_ratio=4, use_swiglu_ffn=True)),
        "registers": h.Dinov2WithRegistersModel(h.Dinov2WithRegistersConfig(**SIZES, mlp_ratio=4)),
    }
    for name, model in models.items():
        randomized(model).save_pretrained(FOLDER / name)
        save_tokens(name, lambda x, model=model: model(x, **at_other_sizes(model, x)).last_hidden_state)
    v2 = randomized(Plain(has_scale=True, has_mask=True))
    names = {"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma", "masked_embed": "mask_token"}
    state = {functools.reduce(lambda n, k: n.replace(k, names[k]), names, n): t for n, t in v2.state_dict().items()}
    torch.save(state, FOLDER / "official.pth")
    save_tokens("official.pth", v2)


def at_other_sizes(model, x):
    is_vit, is_other = isinstance(model, transformers.ViTModel), x.shape[-1] != model.config.image_size
    return {"interpolate_pos_encoding": True} if is_vit and is_other else {}


def save_tokens(name, forward):
    for size in (NATIVE, OTHER):
        with torch.no_grad():
            save_file({"tokens": forward(images(size)).contiguous()}, FOLDER / f"{name}.{size}.tokens")


def tokens_of(case):
    """The tokens of a converted checkpoint at one size, with its line of Python for timm and transformers."""
    x, path, side = images(case["size"]), str(FOLDER / case["path"]), case.get("table", NATIVE) // 8
    if case["format"] == "hf":
        model, info = transformers.AutoModel.from_pretrained(path, output_loading_info=True)
        wrong = {key: found for key, found in info.items() if found}
        assert not wrong, f"{path}: {wrong}"
        processor = transformers.AutoImageProcessor.from_pretrained(path)
        picture = Image.fromarray(numpy.zeros((60, 90, 3), numpy.uint8))
        shape = processor(picture, return_tensors="pt")["pixel_values"].shape
        assert tuple(shape[2:]) == (side * 8, side * 8), f"{path}: preprocessed to {tuple(shape)}"
        output = model.eval()(x.to(model.dtype), **at_other_sizes(model, x))
        if isinstance(model, transformers.ViTModel):
            assert torch.equal(output.pooler_output, output.last_hidden_state[:, 0]), f"{path}: pooler"
        return output.last_hidden_state.float()
    if case["format"] == "timm":
        model = eval(case["python"]).eval()
        return model.forward_features(x)
    state = torch.load(path, weights_only=True)
    model = Plain(side, has_scale="blocks.0.gamma_1" in state)
    model.load_state_dict(state, strict=True)
    return model.eval()(x)


def expected_of(case):
    source = str(FOLDER / f"{case['source']}.{case['size']}.tokens")
    tensors = load_file(source)
    if "tokens" in tensors:
        return tensors["tokens"]
    return torch.cat([tensors["cls"][:, None], tensors["patches"]], 1)


def without_registers(found, count):
    return torch.cat([found[:, :1], found[:, 1 + found.shape[1] - count :]], 1) if found.shape[1] > count else found


def check_tokens(case):
    with torch.no_grad():
        found, expected = tokens_of(case), expected_of(case)
    found = without_registers(found, expected.shape[1])
    assert found.shape == expected.shape, f"{tuple(found.shape)} instead of {tuple(expected.shape)}"
    difference = (found - expected).abs().max().item()
    assert difference <= case.get("tolerance", TOLERANCE), f"tokens differ by {difference}"


def check_training(case):
    """Loads all parts strictly, and compares the optimizer with the moments of the run."""
    saved = torch.load(FOLDER / case["path"], weights_only=True)
    is_ibot = case["format"] == "ibot"
    student = nn.Module()
    student.module = nn.Module()
    teacher = nn.Module()
    for network, has_mask in ((student.module, is_ibot), (teacher, False)):
        network.backbone = Plain(has_mask=has_mask)
        network.head = Head({name.removeprefix("module.") for name in saved["student"]})
    student.load_state_dict(saved["student"], strict=True)
    teacher.load_state_dict(saved["teacher"], strict=True)
    if case["has_center"]:
        Loss(is_ibot).load_state_dict(saved[f"{case['format']}_loss"], strict=True)
    if not case["learns_norms"]:
        student.module.head.last_layer.weight_g.requires_grad = False
    named = [(name, p) for name, p in student.module.named_parameters() if p.requires_grad]
    is_other = lambda name, p: name.endswith(".bias") or p.dim() == 1
    groups = [{"params": [p for name, p in named if not is_other(name, p)]}]
    groups.append({"params": [p for name, p in named if is_other(name, p)], "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups)
    optimizer.load_state_dict(saved["optimizer"])
    own = load_file(FOLDER / case["run"])
    for name, parameter in named:
        moments = optimizer.state[parameter]
        assert moments["step"] == case["steps"], f"{name}: {moments['step']} steps"
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(moments[moment], own[f"{moment}.{name}"]), f"{moment}.{name}"
        assert torch.equal(parameter, own[f"student.{name}"]), f"student.{name}"
    for name, parameter in teacher.named_parameters():
        assert torch.equal(parameter, own[f"teacher.{name}"]), f"teacher.{name}"


def check():
    failures = []
    for case in json.loads((FOLDER / "cases.json").read_text()):
        try:
            check_training(case) if case.get("training") else check_tokens(case)
        except Exception as error:
            failures.append(f"{case}: {type(error).__name__}: {error}")
    print(json.dumps(failures))


make()
print("made", flush=True)
sys.stdin.read()
check()
