"""Writes linear.safetensors: a sweep of learning rates trained by PyTorch's SGD on random features.

    pip install torch==2.15.0 safetensors numpy
    python linear.py

Seed 20261128. 90 rows of width 12 in 5 classes, batches of 32 (the last one has 26), 4 epochs, 3 rates; order
of the rows and first weights are stored. Features are float32, PyTorch computes in float64. Holds the weights
after all epochs and the test accuracies after each.
"""
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(20261128)
ROWS, TEST, WIDTH, CLASSES, BATCH, EPOCHS, RATES = 90, 40, 12, 5, 32, 4, [0.05, 1.0, 20.0]
centers = torch.randn(CLASSES, WIDTH)
y, y_test = torch.randint(0, CLASSES, (ROWS,)), torch.randint(0, CLASSES, (TEST,))
x = (centers[y] + 1.2 * torch.randn(ROWS, WIDTH)).float()
x_test = (centers[y_test] + 1.2 * torch.randn(TEST, WIDTH)).float()
start = (0.01 * torch.randn(CLASSES, WIDTH)).float()
orders = torch.stack([torch.randperm(ROWS) for _ in range(EPOCHS)])
out = {"x": x, "y": y, "x_test": x_test, "y_test": y_test, "start": start, "orders": orders}
for i, rate in enumerate(RATES):
    w = start.double().clone().requires_grad_()
    b = torch.zeros(CLASSES, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([w, b], lr=1.0, momentum=0.9, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR
    sgd.param_groups[0]["lr"] = rate * BATCH / 256
    schedule = schedule(sgd, EPOCHS, eta_min=0)
    accuracies = []
    for order in orders:
        for batch in order.split(BATCH):
            loss = F.cross_entropy(F.linear(x[batch].double(), w, b), y[batch])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        schedule.step()
        scores = F.linear(x_test.double(), w, b)
        accuracies.append(100.0 * float((scores.argmax(1) == y_test).double().mean()))
    out |= {f"{i}/weight": w.detach(), f"{i}/bias": b.detach(), f"{i}/top1": torch.tensor(accuracies, dtype=torch.float64)}
save_file({k: v.contiguous() for k, v in out.items()}, "linear.safetensors", {"rates": str(RATES), "batch": str(BATCH)})
