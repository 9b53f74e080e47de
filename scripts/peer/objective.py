"""The objective of DINO and DINO-vMF in PyTorch, timed: what `dino-vmf bench objective` is compared with.

From unit vectors to loss, gradients of vectors, directions and norms of the prototypes, and the center. The
targets of a student's view are added before they meet its log-softmax, once for each view. Memory is what the
process grows by at most, less the gradients of the prototypes. Prints one JSON line.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

STUDENT_TEMP, TEACHER_TEMP, MOMENTUM, GLOBALS = 0.1, 0.04, 0.9, 2


def status_mib(field):
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) / 1024


def log_normalizer(g, tau, p):
    """Of every prototype, relative to kappa = 0, to leading order."""
    nu = p / 2 - 1
    kappa = g.view(-1).abs() / tau
    root = torch.sqrt(nu * nu + kappa * kappa)
    d = kappa * kappa / (nu + root)
    return nu * torch.log1p(d / (2 * nu)) - d + 0.5 * torch.log1p(d / nu)


class Objective:
    def __init__(self, a):
        self.a, self.vmf = a, a.method == "dino_vmf"
        torch.manual_seed(0)
        v = torch.randn(a.k, a.bottleneck)
        self.v, self.teacher_v = v.clone().requires_grad_(), v
        self.g = torch.ones(a.k, 1, requires_grad=self.vmf)
        self.teacher_g = torch.ones(a.k, 1)
        rows = (GLOBALS + a.local) * a.batch
        self.y = F.normalize(torch.randn(rows, a.bottleneck)).requires_grad_()
        self.teacher_y = F.normalize(torch.randn(GLOBALS * a.batch, a.bottleneck))
        self.center = torch.zeros(a.k)

    @torch.no_grad()
    def targets(self):
        scores = self.teacher_y @ torch._weight_norm(self.teacher_v, self.teacher_g, 0).t()
        if not self.vmf:
            p = F.softmax((scores - self.center) / TEACHER_TEMP, -1)
            self.center.lerp_(scores.mean(0), 1 - MOMENTUM)
            return p
        logits = scores / TEACHER_TEMP + log_normalizer(self.teacher_g, TEACHER_TEMP, self.a.bottleneck)
        p = F.softmax(logits - self.center, -1)
        self.center.lerp_(F.log_softmax(logits, -1).mean(0), 1 - MOMENTUM)
        return p

    def step(self):
        a, views = self.a, GLOBALS + self.a.local
        self.y.grad = self.v.grad = self.g.grad = None
        p = self.targets().view(GLOBALS, a.batch, -1)
        scores = self.y @ torch._weight_norm(self.v, self.g, 0).t() / STUDENT_TEMP
        if self.vmf:
            scores = scores + log_normalizer(self.g, STUDENT_TEMP, a.bottleneck)
        log_q = F.log_softmax(scores, -1).view(views, a.batch, -1)
        hit = torch.einsum("vbk,bk->", log_q, p.sum(0)) - (log_q[:GLOBALS] * p).sum()
        loss = -hit / (a.batch * GLOBALS * (views - 1))
        loss.backward()
        return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="dino", choices=["dino", "dino_vmf"])
    for name, default in dict(batch=8, local=8, k=65536, bottleneck=256, steps=10, warmup=2, threads=2).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    objective = Objective(a)
    before, ms = status_mib("VmRSS"), []
    for i in range(a.warmup + a.steps):
        start = time.perf_counter()
        loss = objective.step()
        if i >= a.warmup:
            ms.append(1e3 * (time.perf_counter() - start))
    gradients = (objective.v.numel() + objective.g.numel() + objective.y.numel()) * 4 / 2**20
    print(json.dumps(dict(
        peer="torch", version=torch.__version__, threads=a.threads, method=a.method, teacher_rows=GLOBALS * a.batch,
        student_rows=(GLOBALS + a.local) * a.batch, k=a.k, bottleneck=a.bottleneck,
        ms_median=round(statistics.median(ms), 2), ms=[round(x, 2) for x in ms],
        peak_mib=round(status_mib("VmHWM") - before - gradients, 1), loss=round(loss, 5))))


if __name__ == "__main__":
    main()
