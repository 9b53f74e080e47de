"""One self-distillation training step in PyTorch, timed: what `dino-vmf bench step` is compared with.

Random crops are kept in memory, so no image is read. Prints one JSON line.

--attention eager : plain arithmetic as in the public training loops (explicit softmax attention, a Python loop over view
                    pairs in the loss, per-tensor clipping with host reads, per-tensor EMA, default AdamW)
--attention sdpa  : the same mathematics as an experienced user would run it (fused attention, loss with summed targets,
                    fused AdamW, foreach clipping and EMA, iBOT logits only where a token is masked)
"""
from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import statistics
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ARCH = {"vit_tiny": (192, 12, 3), "vit_small": (384, 12, 6), "vit_base": (768, 12, 12)}


class Layer(nn.Module):
    """Pre-norm transformer layer with stochastic depth."""

    def __init__(self, d: int, heads: int, drop: float, fused: bool) -> None:
        super().__init__()
        self.h, self.rate, self.fused = heads, drop, fused
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc1, self.fc2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def keep(self, x: Tensor) -> Tensor:
        if self.rate == 0.0 or not self.training:
            return x
        on = torch.rand(x.shape[0], 1, 1, device=x.device, dtype=x.dtype).add_(1.0 - self.rate).floor_()
        return x / (1.0 - self.rate) * on

    def attend(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            o = F.scaled_dot_product_attention(q, k, v)
        else:
            o = ((q @ k.transpose(-2, -1)) * (d // self.h) ** -0.5).softmax(-1) @ v
        return self.proj(o.transpose(1, 2).reshape(b, n, d))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.keep(self.attend(self.norm1(x)))
        return x + self.keep(self.fc2(F.gelu(self.fc1(self.norm2(x)))))


class Backbone(nn.Module):
    """Patch projection, [CLS], positions (resampled for other sizes), layers, final norm; returns all tokens."""

    def __init__(self, arch: str, patch: int, size: int, drop: float, fused: bool, masked: bool) -> None:
        super().__init__()
        d, depth, heads = ARCH[arch]
        self.patch, self.side = patch, size // patch
        self.proj = nn.Conv2d(3, d, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * .02)
        self.pos = nn.Parameter(torch.randn(1, self.side ** 2 + 1, d) * .02)
        if masked:
            self.masked_embed = nn.Parameter(torch.zeros(d))
        self.layers = nn.ModuleList([Layer(d, heads, drop * i / (depth - 1), fused) for i in range(depth)])
        self.norm = nn.LayerNorm(d, eps=1e-6)

    def positions(self, gh: int, gw: int) -> Tensor:
        if gh == gw == self.side:
            return self.pos
        t = self.pos[:, 1:].reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        t = F.interpolate(t, scale_factor=((gh + .1) / self.side, (gw + .1) / self.side), mode="bicubic")
        return torch.cat([self.pos[:, :1], t.flatten(2).transpose(1, 2)], 1)

    def forward(self, img: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.proj(img)
        gh, gw = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        if mask is not None:
            x = torch.where(mask.flatten(1).unsqueeze(-1), self.masked_embed.to(x.dtype), x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.positions(gh, gw)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class Head(nn.Module):
    """Three-layer MLP to a unit bottleneck; prototypes with separate length and direction."""

    def __init__(self, d: int, k: int, hidden: int, p: int, free: bool) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, p))
        self.g = nn.Parameter(torch.ones(k, 1), requires_grad=free)
        self.v = nn.Parameter(torch.empty(k, p).uniform_(-p ** -.5, p ** -.5))

    def unit(self, x: Tensor) -> Tensor:
        return F.normalize(self.mlp(x), dim=-1)

    def rows(self) -> Tensor:
        return torch._weight_norm(self.v, self.g, 0)


def log_c(g: Tensor, tau: float, p: int) -> Tensor:
    """Leading-order vMF log-normalizer of every prototype, relative to kappa = 0, in float32."""
    nu = p / 2 - 1
    kap = g.float().view(-1).abs() / tau
    q = torch.sqrt(nu * nu + kap * kap)
    d = kap * kap / (nu + q)
    return nu * torch.log1p(d / (2 * nu)) - d + .5 * torch.log1p(d / nu)


class Bench:
    """Student, teacher, optimizer and the pieces of a step."""

    def __init__(self, a: argparse.Namespace) -> None:
        self.a, self.fast = a, a.attention != "eager"
        self.dev = torch.device(a.device)
        torch.manual_seed(a.seed)
        d = ARCH[a.arch][0]
        ibot = a.method == "ibot"
        mk = lambda drop, masked: Backbone(a.arch, a.patch, a.gsize, drop, self.fast, masked)
        self.sb, self.tb = mk(a.drop_path, ibot).to(self.dev), mk(0.0, False).to(self.dev)
        free = a.method != "dino"
        self.sh, self.th = Head(d, a.k, a.hidden, a.bottleneck, free).to(self.dev), Head(d, a.k, a.hidden, a.bottleneck, False).to(self.dev)
        self.tb.load_state_dict(self.sb.state_dict(), strict=False)
        self.th.load_state_dict(self.sh.state_dict())
        self.src, self.dst = [], []
        for s, t in ((self.sb, self.tb), (self.sh, self.th)):
            own = dict(s.named_parameters())
            for n, p in t.named_parameters():
                p.requires_grad_(False)
                self.src.append(own[n]), self.dst.append(p)
        named = [(n, p) for m in (self.sb, self.sh) for n, p in m.named_parameters() if p.requires_grad]
        self.params = [p for _, p in named]
        plain = [p for n, p in named if n.endswith("bias") or p.dim() == 1]
        decay = [p for n, p in named if not (n.endswith("bias") or p.dim() == 1)]
        groups = [dict(params=decay, weight_decay=.04), dict(params=plain, weight_decay=0.0)]
        self.opt = torch.optim.AdamW(groups, lr=1e-4, **(dict(fused=True) if self.fast else {}))
        self.center = torch.zeros(a.k, device=self.dev)
        self.center2 = torch.zeros(a.k, device=self.dev)
        self.batches = []
        gen = torch.Generator().manual_seed(a.seed)
        for _ in range(a.batches):
            crops = [torch.randn(a.batch, 3, a.gsize, a.gsize, generator=gen) for _ in range(a.gcount)]
            crops += [torch.randn(a.batch, 3, a.lsize, a.lsize, generator=gen) for _ in range(a.lcount)]
            n = a.gsize // a.patch
            masks = torch.rand(a.gcount * a.batch, n, n, generator=gen) < .3 * (torch.rand(a.gcount * a.batch, 1, 1, generator=gen) < .5) * 1.0
            self.batches.append(([c.to(self.dev) for c in crops], masks.to(self.dev)))
        if a.compile:
            # one specialized graph per resolution
            self.sb, self.tb = torch.compile(self.sb, dynamic=False), torch.compile(self.tb, dynamic=False)
            self.pair_loss_fast = torch.compile(self.pair_loss_fast, dynamic=False)
        self.amp = lambda: torch.autocast(self.dev.type, torch.bfloat16) if a.precision == "bf16" else nullcontext()
        self.clock: dict[str, float] = {}

    # ---- pieces
    def mark(self, name: str, on: bool) -> None:
        if on:
            if self.dev.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            self.clock[name] = self.clock.get(name, 0.0) + now - self.t0
            self.t0 = now

    def teacher_target(self, z: Tensor, center: Tensor, tau: float) -> tuple[Tensor, Tensor]:
        """Probabilities and the uncentered scores the center is averaged from."""
        if self.a.method == "dino_vmf":
            sc = z / tau + log_c(self.th.g, tau, self.a.bottleneck)
            return torch.softmax(sc - center, -1), sc
        return torch.softmax((z - center) / tau, -1), z

    def move_center(self, c: Tensor, sc: Tensor) -> Tensor:
        sc = sc.flatten(0, -2)
        if self.a.method == "dino_vmf":
            fresh = torch.logsumexp(torch.log_softmax(sc.float(), -1), 0) - math.log(sc.shape[0])
        else:
            fresh = sc.float().sum(0) / sc.shape[0]
        return c * .9 + fresh * .1

    def pair_loss_eager(self, zs: Tensor, pt: Tensor, bias: Tensor | None) -> Tensor:
        """Loop over view pairs with one log-softmax per pair."""
        a = self.a
        zs = zs / .1 if bias is None else zs / .1 + bias
        views, targets = zs.chunk(a.gcount + a.lcount), pt.chunk(a.gcount)
        total, terms = 0.0, 0
        for i, q in enumerate(targets):
            for j, s in enumerate(views):
                if i != j:
                    total = total + torch.sum(-q * F.log_softmax(s.float(), -1), -1).mean()
                    terms += 1
        return total / terms

    def pair_loss_fast(self, zs: Tensor, pt: Tensor, bias: Tensor | None) -> Tensor:
        """Linear in the targets, so every student view is compared once with the sum of its targets."""
        a = self.a
        v = a.gcount + a.lcount
        zs = zs.float() / .1 if bias is None else zs.float() / .1 + bias
        ls = F.log_softmax(zs, -1).view(v, a.batch, -1)
        pt = pt.view(a.gcount, a.batch, -1)
        whole = pt.sum(0)
        hit = torch.einsum("vbk,bk->", ls, whole) - (ls[:a.gcount] * pt).sum()
        return -hit / (a.batch * a.gcount * (v - 1))

    def forward_cls(self, crops: list[Tensor], timed: bool) -> Tensor:
        a = self.a
        with torch.no_grad(), self.amp():
            yt = self.th.unit(self.tb(torch.cat(crops[:a.gcount]))[:, 0])
            zt = yt @ self.th.rows().t()
        self.mark("teacher_forward", timed)
        with self.amp():
            feats = [self.sb(torch.cat(crops[:a.gcount]))[:, 0]]
            if a.lcount:
                feats.append(self.sb(torch.cat(crops[a.gcount:]))[:, 0])
            zs = self.sh.unit(torch.cat(feats)) @ self.sh.rows().t()
        self.mark("student_forward", timed)
        with torch.no_grad():
            pt, sc = self.teacher_target(zt.float() if self.fast else zt, self.center, .04)
        bias = log_c(self.sh.g, .1, a.bottleneck) if a.method == "dino_vmf" else None
        loss = (self.pair_loss_fast if self.fast else self.pair_loss_eager)(zs, pt, bias)
        with torch.no_grad():
            self.center = self.move_center(self.center, sc)
        self.mark("loss", timed)
        return loss

    def forward_ibot(self, crops: list[Tensor], masks: Tensor, timed: bool) -> Tensor:
        a = self.a
        flat = masks.flatten(1)
        per = flat.sum(1).clamp(min=1).float()
        with torch.no_grad(), self.amp():
            yt = self.th.unit(self.tb(torch.cat(crops[:a.gcount])))
            wt = self.th.rows().t()
            if self.fast:
                zt, zpt = yt[:, 0] @ wt, yt[:, 1:][flat] @ wt
                mean2 = (yt[:, 1:].float().mean((0, 1)) @ wt.float())
            else:
                zt, zpt = yt[:, 0] @ wt, yt[:, 1:] @ wt
        self.mark("teacher_forward", timed)
        with self.amp():
            tok = self.sb(torch.cat(crops[:a.gcount]), masks)
            w = self.sh.rows().t()
            ys = self.sh.unit(tok)
            cls = ys[:, 0]
            if a.lcount:
                cls = torch.cat([cls, self.sh.unit(self.sb(torch.cat(crops[a.gcount:]))[:, 0])])
            zs = cls @ w
            zps = (ys[:, 1:][flat] if self.fast else ys[:, 1:]) @ w
        self.mark("student_forward", timed)
        with torch.no_grad():
            pt = torch.softmax((zt.float() - self.center) / .04, -1)
            ppt = torch.softmax((zpt - self.center2) / .04, -1)
        loss = (self.pair_loss_fast if self.fast else self.pair_loss_eager)(zs, pt, None)
        ce = -(ppt * F.log_softmax(zps.float() / .1 if self.fast else (zps / .1).float(), -1)).sum(-1)
        if self.fast:
            weight = (1.0 / per).unsqueeze(1).expand_as(flat)[flat]
            loss = loss + (ce * weight).sum() / flat.shape[0]
        else:
            loss = loss + ((ce * flat.float()).sum(-1) / per).mean()
        with torch.no_grad():
            self.center = self.move_center(self.center, zt)
            fresh2 = mean2 if self.fast else zpt.float().mean((0, 1))
            self.center2 = self.center2 * .9 + fresh2 * .1
        self.mark("loss", timed)
        return loss

    @torch.no_grad()
    def clip(self, limit: float = 3.0) -> None:
        if self.fast:
            grads = [p.grad for p in self.params]
            scale = torch.stack(torch._foreach_norm(grads)).add_(1e-6).reciprocal_().mul_(limit).clamp_(max=1.0)
            torch._foreach_mul_(grads, list(scale.unbind()))
            return
        for p in self.params:
            n = p.grad.norm(2)
            n.item()
            f = limit / (n + 1e-6)
            if f < 1:
                p.grad.mul_(f)

    @torch.no_grad()
    def ema(self, m: float = .996) -> None:
        if self.fast:
            torch._foreach_lerp_(self.dst, self.src, 1.0 - m)
            return
        for s, t in zip(self.src, self.dst):
            t.mul_(m).add_((1 - m) * s.detach())

    def step(self, i: int, timed: bool = False) -> float:
        crops, masks = self.batches[i % len(self.batches)]
        self.t0 = time.perf_counter()
        loss = self.forward_ibot(crops, masks, timed) if self.a.method == "ibot" else self.forward_cls(crops, timed)
        if not self.fast:
            assert math.isfinite(loss.item())
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        self.mark("backward", timed)
        self.clip()
        self.opt.step()
        self.mark("clip_and_adamw", timed)
        self.ema()
        self.mark("ema", timed)
        return float(loss.detach()) if self.dev.type == "cpu" or timed else 0.0


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--arch", default="vit_small", choices=list(ARCH))
    ap.add_argument("--patch", type=int, default=16)
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--global", dest="globals_", default="2x224")
    ap.add_argument("--local", dest="locals_", default="8x96")
    ap.add_argument("--k", type=int, default=65536)
    ap.add_argument("--hidden", type=int, default=2048)
    ap.add_argument("--bottleneck", type=int, default=256)
    ap.add_argument("--method", default="dino", choices=["dino", "dino_vmf", "ibot"])
    ap.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    ap.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    ap.add_argument("--attention", default="eager", choices=["eager", "sdpa", "cudnn"])
    ap.add_argument("--compile", type=int, default=0)
    ap.add_argument("--steps", type=int, default=5)
    ap.add_argument("--warmup", type=int, default=2)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--drop-path", type=float, default=.1)
    ap.add_argument("--batches", type=int, default=2, help="distinct random batches kept in memory")
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    a.gcount, a.gsize = map(int, a.globals_.split("x"))
    a.lcount, a.lsize = map(int, a.locals_.split("x"))
    torch.set_num_threads(a.threads)
    if a.attention == "cudnn":  # cuDNN's fused attention instead of FlashAttention-2: faster on Hopper at training shapes
        for name in ("flash", "mem_efficient", "math"):
            getattr(torch.backends.cuda, f"enable_{name}_sdp")(False)
        torch.backends.cuda.enable_cudnn_sdp(True)
    if a.device == "cuda" and a.attention != "eager":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    b = Bench(a)
    cuda = a.device == "cuda"
    losses, times = [], []
    for i in range(a.warmup):
        losses.append(b.step(i))
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    for i in range(a.steps):
        t = time.perf_counter()
        losses.append(b.step(a.warmup + i, timed=not cuda))
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - t)
    if cuda:
        for i in range(3):
            losses.append(b.step(i, timed=True))
    n = 3 if cuda else a.steps
    med = statistics.median(times)
    print(json.dumps(dict(
        peer="torch", torch=torch.__version__, device=torch.cuda.get_device_name() if cuda else f"cpu {platform.machine()}", threads=a.threads,
        method=a.method, arch=a.arch, patch=a.patch, batch=a.batch, crops=f"{a.globals_}+{a.locals_}", k=a.k, precision=a.precision, attention=a.attention,
        compile=a.compile, drop_path=a.drop_path, s_per_step_median=round(med, 4), s_per_step=[round(t, 4) for t in times], img_per_s=round(a.batch / med, 3),
        peak_rss_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), max_cuda_mib=round(torch.cuda.max_memory_allocated() / 2 ** 20) if cuda else None,
        breakdown_s={k: round(v / n, 4) for k, v in b.clock.items()}, losses=[round(x, 5) for x in losses if x])))


if __name__ == "__main__":
    main()
