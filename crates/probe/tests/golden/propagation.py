"""Writes propagation.safetensors: masks propagated through five frames of random tokens, and label maps resized.

    pip install numpy==2.4.6 pillow==13.0.0 safetensors==0.8.0
    python propagation.py

Seed 20261129. Tokens are float32, everything else is computed from them in float64, as the protocol describes it: the
affinities of all pairs of patches, of which those too far apart are set to zero; then all below the k-th largest of a
patch. Frames have 3 x 36 patches of 4 x 4 pixels, tokens the width 6; there are a background and 2 objects.
"""
import json
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

rng = np.random.default_rng(20261129)
ROWS, COLUMNS, WIDTH, FRAMES, OBJECTS, PATCH = 3, 36, 6, 5, 2, 4
N = ROWS * COLUMNS
tokens = rng.normal(size=(FRAMES, N, WIDTH)).astype(np.float32)
first = rng.integers(0, OBJECTS + 1, N)
CASES = [  # radius (0: everywhere), k, last frames, temperature
    dict(radius=2, topk=3, last_frames=2, temperature=0.1),
    dict(radius=0, topk=5, last_frames=7, temperature=0.1),
    dict(radius=1, topk=4, last_frames=0, temperature=0.02),
]


def unit(x):
    x = x.astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def near(radius):
    """[N, N]: 1 where both patches are at most `radius` rows and columns apart."""
    y, x = np.divmod(np.arange(N), COLUMNS)
    far = np.maximum(abs(y[:, None] - y), abs(x[:, None] - x))
    return (far <= radius) if radius > 0 else np.ones((N, N), bool)


def propagate(query, sources, masks, radius, topk, temperature):
    affinity = np.concatenate([np.exp(query @ s.T / temperature) * near(radius) for s in sources], axis=1)
    least = np.sort(affinity, axis=1)[:, -topk]
    affinity[affinity < least[:, None]] = 0
    affinity /= affinity.sum(axis=1, keepdims=True)
    return affinity @ np.concatenate(masks)


def enlarge(n):
    """[4 n, n]: weights of bilinear interpolation at pixel centers, borders repeated."""
    weights = np.zeros((PATCH * n, n))
    for i in range(PATCH * n):
        at = max((i + 0.5) / PATCH - 0.5, 0.0)
        low = int(at)
        weights[i, low] += 1 - (at - low)
        weights[i, min(low + 1, n - 1)] += at - low
    return weights


def winners(masks):
    large = [enlarge(ROWS) @ masks[:, c].reshape(ROWS, COLUMNS) @ enlarge(COLUMNS).T for c in range(OBJECTS + 1)]
    large = [(x - x.min()) / (x - x.min()).max() if x.max() > 0 else x for x in large]
    return np.argmax(large, axis=0).astype(np.uint8)


out = {"tokens": tokens, "first": first.astype(np.uint8)}
for i, case in enumerate(CASES):
    last, rest = case["last_frames"], {k: v for k, v in case.items() if k != "last_frames"}
    frames = [(unit(tokens[0]), np.eye(OBJECTS + 1)[first])]
    for t in range(1, FRAMES):
        used = [frames[0]] + (frames[1:][-last:] if last > 0 else [])
        query = unit(tokens[t])
        frames.append((query, propagate(query, [f[0] for f in used], [f[1] for f in used], **rest)))
    out[f"{i}/masks"] = np.stack([masks for _, masks in frames[1:]])
    out[f"{i}/winners"] = winners(frames[-1][1])
labels = rng.integers(0, 9, (57, 83), dtype=np.uint8)
out["labels"] = labels
for height, width in [(13, 20), (71, 97), (57, 5)]:
    out[f"labels/{height}x{width}"] = np.array(Image.fromarray(labels).resize((width, height), Image.NEAREST))
save_file(out, "propagation.safetensors", {"cases": json.dumps(CASES)})
