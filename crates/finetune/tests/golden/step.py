"""Writes step.safetensors: two steps of fine-tuning a small network by timm and PyTorch, and its parameter groups.

torch 2.15.0, timm 1.0.31; seed 3. Tensors: `before.*` and `after.*` weights, `images` [6, 3, 8, 8], `labels` [6], `losses` [2].
Metadata `groups`: for each parameter the factor on its learning rate, and its weight decay.

Step 1 mixes by mixup with a share of 0.3, step 2 by CutMix of rows 2 to 5 and columns 1 to 6. In timm's groups the final
norm belongs to the last block; BEiT and iBOT count it to the head, which is changed below.
"""

import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy
from timm.models.vision_transformer import VisionTransformer
from timm.optim import param_groups_layer_decay

LR, DECAY, LAYER_DECAY, SMOOTHING = 0.01, 0.05, 0.65, 0.1

torch.manual_seed(3)
model = VisionTransformer(
    img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, num_classes=3
)
for name, value in model.named_parameters():
    torch.nn.init.normal_(value, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
tensors = {f"before.{name}": value.detach().clone() for name, value in model.named_parameters()}

groups = param_groups_layer_decay(
    model, DECAY, no_weight_decay_list=model.no_weight_decay(), layer_decay=LAYER_DECAY
)
names = {value: name for name, value in model.named_parameters()}
split, table = [], {}
for group in groups:
    for value in group["params"]:
        scale = 1.0 if names[value].startswith("norm.") else group["lr_scale"]
        table[names[value]] = [scale, group["weight_decay"]]
        split.append({"params": [value], "lr": LR * scale, "weight_decay": group["weight_decay"]})
optimizer = torch.optim.AdamW(split)

images, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 2, 1, 1, 0, 2])
losses = []
for step in range(2):
    x, share = images.clone(), 0.3
    if step == 0:
        x = x * share + x.flip(0) * (1 - share)
    else:
        x[:, :, 2:6, 1:7] = images.flip(0)[:, :, 2:6, 1:7]
        share = 1 - 24 / 64
    targets = mixup_target(labels, 3, share, SMOOTHING)
    loss = SoftTargetCrossEntropy()(model(x), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

tensors |= {f"after.{name}": value.detach().clone() for name, value in model.named_parameters()}
tensors |= {"images": images, "labels": labels.float(), "losses": torch.tensor(losses)}
metadata = {"groups": json.dumps(table), "versions": f"torch {torch.__version__}, timm {timm.__version__}"}
save_file(tensors, Path(__file__).with_suffix(".safetensors"), metadata)
