"""k-NN, the sweep of linear probes and logistic regression in PyTorch and scikit-learn, timed: what
`dino-vmf bench evaluation` is compared with. Rows are drawn around the centers of their classes. Prints one JSON line.

knn       one search for k = 10 and 20: product, top-k, votes exp(cosine / 0.07) by scatter-add
linear    45 learning rates of SGD with momentum in one matrix, cosine by epoch, batches of 1024
logistic  scikit-learn's LogisticRegression (L-BFGS) at the same optimum, C = 1 / (1e-4 rows)
"""
import argparse
import json
import math
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F


def features(a):
    torch.manual_seed(0)
    centers = torch.randn(a.classes, a.width)
    sets = []
    for count in (a.train, a.test):
        labels = torch.arange(count) % a.classes
        sets += [centers[labels] + 3.5 * torch.randn(count, a.width), labels]
    return sets


def knn(a, x, y, test_x, test_y):
    bank, hits = x.t().contiguous(), 0
    for queries, labels in zip(test_x.split(256), test_y.split(256)):
        cosines, places = (queries @ bank).topk(20, dim=1)
        neighbors, weights = y[places], (cosines / 0.07).exp()
        for k in (10, 20):
            votes = torch.zeros(len(queries), a.classes).scatter_add_(1, neighbors[:, :k], weights[:, :k])
            best = votes.argmax(1)
        hits += (best == labels).sum().item()
    return {"top1": 100 * hits / len(test_y)}


def linear(a, x, y, test_x, test_y):
    rates = torch.tensor([i * 10.0**e for e in range(-4, 1) for i in range(1, 10)])
    n = len(rates)
    weight = (0.01 * torch.randn(a.classes, a.width)).repeat(n, 1)  # [rates · classes, width]
    bias = torch.zeros(n * a.classes)
    velocities = torch.zeros_like(weight), torch.zeros_like(bias)
    batch_size = 1024
    with torch.no_grad():
        for epoch in range(a.epochs):
            scale = 0.5 * (1 + math.cos(math.pi * epoch / a.epochs)) * batch_size / 256
            step = (rates * scale).repeat_interleave(a.classes)
            for batch in torch.randperm(len(x)).split(batch_size):
                rows, labels = x[batch], y[batch]
                scores = torch.addmm(bias, rows, weight.t()).view(len(rows), n, a.classes)
                residuals = torch.softmax(scores, dim=2)
                residuals[torch.arange(len(rows)), :, labels] -= 1
                residuals = residuals.view(len(rows), -1).div_(len(rows))
                velocities[0].mul_(0.9).addmm_(residuals.t(), rows)
                velocities[1].mul_(0.9).add_(residuals.sum(0))
                weight -= step[:, None] * velocities[0]
                bias -= step * velocities[1]
        hits = torch.zeros(n)
        for rows, labels in zip(test_x.split(1024), test_y.split(1024)):
            scores = torch.addmm(bias, rows, weight.t()).view(len(rows), n, a.classes)
            hits += (scores.argmax(2) == labels[:, None]).sum(0)
    return {"top1": 100 * hits.max().item() / len(test_y), "passes": a.epochs}


def logistic(a, x, y, test_x, test_y):
    from sklearn.linear_model import LogisticRegression

    decay = 1e-4
    model = LogisticRegression(C=1 / (decay * len(x)), tol=a.tolerance, max_iter=1000)
    model.fit(x.numpy(), y.numpy())
    scores = torch.from_numpy(model.decision_function(x.numpy()))
    weight = torch.from_numpy(model.coef_)
    loss = F.cross_entropy(scores, y).item() + 0.5 * decay * weight.square().sum().item()
    top1 = 100 * np.mean(model.predict(test_x.numpy()) == test_y.numpy())
    return {"top1": top1, "passes": int(np.max(model.n_iter_)), "loss": loss}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["knn", "linear", "logistic"])
    for name, value in [("train", 50000), ("test", 10000), ("width", 384), ("classes", 100), ("epochs", 10), ("runs", 3)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--tolerance", type=float, default=1e-6, help="largest entry of the gradient, for logistic")
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    x, y, test_x, test_y = features(a)
    if a.task == "knn":
        x, test_x = F.normalize(x), F.normalize(test_x)
    seconds = []
    for _ in range(a.runs):
        start = time.perf_counter()
        found = {"knn": knn, "linear": linear, "logistic": logistic}[a.task](a, x, y, test_x, test_y)
        seconds.append(round(time.perf_counter() - start, 3))
    peer = "scikit-learn" if a.task == "logistic" else "torch"
    record = {
        "peer": peer, "task": a.task, "threads": a.threads, "train": a.train, "test": a.test, "dim": a.width,
        "classes": a.classes, "seconds_median": statistics.median(seconds), "seconds": seconds, **found,
    }  # fmt: skip
    print(json.dumps(record))


if __name__ == "__main__":
    main()
