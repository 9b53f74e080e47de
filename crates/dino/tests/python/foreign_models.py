"""Writes models of timm and transformers with random weights as users save them, and the tokens that they compute.

    python foreign_models.py FOLDER

FOLDER/cases.json lists the files. Needs torch, timm, transformers and safetensors; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer

OUT = Path(sys.argv[1])
SIZES = dict(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4)
HUGGING_FACE = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
CASES = []


def randomized(model):
    """The model with weights that make every layer count."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def case(path, format_, tokens, tolerance=1e-4, heads=4):
    CASES.append(dict(path=path, format=format_, tokens=tokens, tolerance=tolerance, heads=heads))


def save_tokens(name, **tensors):
    save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / f"{name}.tokens")
    return f"{name}.tokens"


def write_timm(pixels):
    packed = dict(mlp_ratio=4, mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU)
    scaled = dict(num_classes=0, init_values=1e-5)
    registers = dict(reg_tokens=4, no_embed_class=True)
    variants = {
        "classes": (dict(num_classes=5), "timm model"),
        "scaled": (scaled, "timm model"),
        "plain": (dict(num_classes=0), "backbone with DINO's names"),
        "unbiased": (dict(num_classes=0, qkv_bias=False), "backbone with DINO's names"),
        "table_without_cls": (dict(num_classes=0, no_embed_class=True), "backbone with DINO's names"),
        "registers": (scaled | registers, "timm model"),
        "swiglu": (scaled | packed, "timm model"),
    }
    for name, (arguments, format_) in variants.items():
        model = randomized(VisionTransformer(**SIZES, **arguments, dynamic_img_size=True))
        tensors = dict(pixels=pixels)
        with torch.no_grad():
            tensors["tokens"] = model.forward_features(pixels)
            # names that DINO has too are read as DINO's, which resamples positions in another way
            if format_ == "timm model":
                tensors |= dict(other_pixels=OTHER_SIZE, other_tokens=model.forward_features(OTHER_SIZE))
        tokens = save_tokens(name, **tensors)
        state = model.state_dict()
        torch.save(state, OUT / f"{name}.pth")
        case(f"{name}.pth", format_, tokens)
        save_file({key: value.clone() for key, value in state.items()}, OUT / f"{name}.safetensors")
        case(f"{name}.safetensors", format_, tokens)
        if name == "classes":
            write_containers(model, tokens, format_)


def write_containers(model, tokens, format_):
    """One model in every form that PyTorch writes."""
    state = model.state_dict()
    torch.save(state, OUT / "protocol5.pth", pickle_protocol=5)
    torch.save(state, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    wrapped = {"state_dict": {"module." + key: value for key, value in state.items()}, "epoch": 7}
    torch.save(wrapped, OUT / "wrapped.pth.tar")
    parameters = {key: torch.nn.Parameter(value) for key, value in state.items()}
    torch.save(parameters, OUT / "parameters.pt")
    flat = torch.cat([value.flatten() for value in state.values()])
    views, start = {}, 0
    for key, value in state.items():
        views[key] = flat[start : start + value.numel()].view(value.shape)
        start += value.numel()
    torch.save(views, OUT / "views.pt")
    strided = {key: value.t().contiguous().t() if value.dim() == 2 else value for key, value in state.items()}
    torch.save(strided, OUT / "strided.pt")
    torch.serialization.set_crc32_options(False)
    torch.save(state, OUT / "unchecked.pth")
    torch.serialization.set_crc32_options(True)
    names = ["protocol5.pth", "legacy.pth", "wrapped.pth.tar", "parameters.pt", "views.pt", "strided.pt", "unchecked.pth"]
    for name in names:
        case(name, format_, tokens)
    torch.save({key: value.double() for key, value in state.items()}, OUT / "double.pth")
    case("double.pth", format_, tokens)
    torch.save({key: value.half() for key, value in state.items()}, OUT / "half.pth")
    case("half.pth", format_, tokens, 2e-2)
    torch.save({key: value.bfloat16() for key, value in state.items()}, OUT / "bfloat16.pth")
    case("bfloat16.pth", format_, tokens, 2e-1)
    torch.save(model, OUT / "whole_module.pth")
    CASES.append(dict(path="whole_module.pth", error="which is code"))


def write_hugging_face(pixels):
    t = transformers
    eps = dict(layer_norm_eps=1e-6)
    models = {
        "ViT": (t.ViTModel, t.ViTConfig(**HUGGING_FACE, intermediate_size=128, **eps)),
        "ViT-12": (t.ViTModel, t.ViTConfig(**HUGGING_FACE, intermediate_size=128)),
        "ViT-classes": (t.ViTForImageClassification, t.ViTConfig(**HUGGING_FACE, intermediate_size=128, **eps)),
        "ViT-tanh": (t.ViTModel, t.ViTConfig(**HUGGING_FACE, hidden_act="gelu_pytorch_tanh", **eps)),
        "Dinov2": (t.Dinov2Model, t.Dinov2Config(**HUGGING_FACE, mlp_ratio=2)),
        "Dinov2-swiglu": (t.Dinov2Model, t.Dinov2Config(**HUGGING_FACE, mlp_ratio=2, use_swiglu_ffn=True)),
        "Dinov2-with-registers": (t.Dinov2WithRegistersModel, t.Dinov2WithRegistersConfig(**HUGGING_FACE, mlp_ratio=2)),
    }
    for name, (kind, config) in models.items():
        model = randomized(kind(config))
        backbone = getattr(model, "vit", model)
        with torch.no_grad():
            more = {"interpolate_pos_encoding": True} if name.startswith("ViT") else {}
            tokens = save_tokens(
                name,
                pixels=pixels,
                tokens=backbone(pixels).last_hidden_state,
                other_pixels=OTHER_SIZE,
                other_tokens=backbone(OTHER_SIZE, **more).last_hidden_state,
            )
        format_ = "Hugging Face " + (name if name.endswith("registers") else name.split("-")[0])
        model.save_pretrained(OUT / name)
        case(name, format_, tokens)
        model.save_pretrained(OUT / f"{name}-sharded", max_shard_size="60KB")
        case(f"{name}-sharded", format_, tokens)
        folder = OUT / f"{name}-bin"
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        case(f"{name}-bin", format_, tokens)
    model = t.DINOv3ViTModel(t.DINOv3ViTConfig(**HUGGING_FACE, intermediate_size=128, num_register_tokens=4))
    model.save_pretrained(OUT / "DINOv3")
    CASES.append(dict(path="DINOv3", error="rotary positions"))


torch.manual_seed(0)
OTHER_SIZE = torch.randn(1, 3, 24, 40)
write_timm(torch.randn(2, 3, 32, 32))
write_hugging_face(torch.randn(2, 3, 32, 32))
(OUT / "cases.json").write_text(json.dumps(CASES))
