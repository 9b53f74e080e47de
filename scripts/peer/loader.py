"""Multi-crop augmentation with Pillow and torchvision in a DataLoader, timed: what `dino-vmf bench loader` is compared
with.

The recipe is DINO's: two global crops of 224 pixels and eight local crops of 96, each with flip, color jitter,
grayscale, blur and solarization of its own. Prints one JSON line.
"""
from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import PIL
import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ColorJitter, InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Recipe:
    """One kind of crop: output size, range of areas, probabilities of blur and of solarization."""

    size: int
    scale: tuple[float, float]
    blur: float
    solarize: float = 0.0


def jitter(img: Image.Image, order: list[int], values: tuple[float, ...]) -> Image.Image:
    """Brightness (0), contrast (1), saturation (2) and hue (3) in the given order, rounded to 8 bits after each."""
    ops = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for i in order:
        img = ops[i](img, values[i])
    return img


def crop(img: Image.Image, r: Recipe) -> Tensor:
    box = RandomResizedCrop.get_params(img, list(r.scale), [3.0 / 4.0, 4.0 / 3.0])
    x = F.resized_crop(img, *box, [r.size, r.size], InterpolationMode.BICUBIC)
    if torch.rand(1) < 0.5:
        x = F.hflip(x)
    if torch.rand(1) <= 0.8:
        order, *values = ColorJitter.get_params((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1))
        x = jitter(x, order.tolist(), tuple(values))
    if torch.rand(1) < 0.2:
        x = F.rgb_to_grayscale(x, num_output_channels=3)
    if r.blur > 0 and random.random() <= r.blur:
        x = x.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))
    if r.solarize > 0 and random.random() < r.solarize:
        x = ImageOps.solarize(x, 128)
    return F.normalize(F.to_tensor(x), MEAN, STD)


class Folder(Dataset):
    """Every JPEG below a folder, decoded and cropped; `repeat` walks the list several times."""

    def __init__(self, root: str, recipes: list[Recipe], repeat: int) -> None:
        self.files = sorted(p for p in Path(root).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        self.recipes, self.repeat = recipes, repeat

    def __len__(self) -> int:
        return len(self.files) * self.repeat

    def __getitem__(self, i: int) -> list[Tensor]:
        with open(self.files[i % len(self.files)], "rb") as f:
            img = Image.open(f).convert("RGB")
        return [crop(img, recipe) for recipe in self.recipes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True)
    for name, default in dict(locals=8, workers=1, batch=8, repeat=8).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--global-scale", type=float, nargs=2, default=(0.4, 1.0))
    parser.add_argument("--local-scale", type=float, nargs=2, default=(0.05, 0.4))
    a = parser.parse_args()
    torch.set_num_threads(1)
    large = tuple(a.global_scale)
    recipes = [Recipe(224, large, 1.0), Recipe(224, large, 0.1, 0.2)]
    recipes += [Recipe(96, tuple(a.local_scale), 0.5)] * a.locals
    data = Folder(a.dir, recipes, a.repeat)
    start = time.perf_counter()
    for path in data.files:
        Image.open(path).convert("RGB")
    decode = time.perf_counter() - start
    batches = iter(DataLoader(data, batch_size=a.batch, num_workers=a.workers, shuffle=True, drop_last=True))
    # Start-up is not timed. Batches that workers have prefetched by now change the rate by less than 2 % at repeat 8.
    for _ in range(2):
        next(batches)
    images, start = 0, time.perf_counter()
    for crops in batches:
        images += crops[0].shape[0]
    seconds, cores = time.perf_counter() - start, max(a.workers, 1)
    print(json.dumps(dict(
        peer="torchvision", pillow=PIL.__version__, torchvision=torchvision.__version__, workers=a.workers,
        batch=a.batch, locals=a.locals, files=len(data.files), images=images, img_per_s=round(images / seconds, 2),
        ms_per_img_core=round(1000 * seconds * cores / images, 2),
        decode_ms_per_img=round(1000 * decode / len(data.files), 2))))


if __name__ == "__main__":
    main()
