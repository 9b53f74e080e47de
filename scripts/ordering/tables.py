#!/usr/bin/env python3
"""Prints docs/results/ordering.csv as tables: each cell, the effect of the normalizer over time, and paired differences
with intervals of 95 %. Then stability.csv beside it: what happened at each learning rate.

    scripts/ordering/tables.py [docs/results/ordering.csv]

A difference is that of two cells with the same seed: first weights and the order of images are the same. The interval is
Student's: mean ± t · standard deviation / √seeds. It covers what another seed would change, and supposes that
differences are roughly normal. Processors round differently, so the two runs of a pair may end with other last digits
where they ran on different ones; the number of such pairs is in the table.
"""

import csv
import math
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Quantiles at 0.975 of Student's distribution for 1, 2, … degrees of freedom.
STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131]
NORMAL = 1.96
PAIRS = [
    ("vmf+prob-a", "free+logit", "the paper's pair"),
    ("vmf+prob-a", "l2+logit", "the paper's pair, fixed norms"),
    ("vmf+logit", "free+logit", "normalizer alone"),
    ("vmf+prob-a", "free+prob-a", "normalizer alone"),
    ("vmf+sinkhorn", "free+sinkhorn", "normalizer alone"),
    ("free+prob-a", "free+logit", "centering alone"),
    ("free+sinkhorn", "free+logit", "centering alone"),
    ("free+logit", "l2+logit", "free norms alone"),
]
MEASURES = {
    "knn": "k-NN", "linear": "linear", "shots_1": "1 image", "shots_5": "5 images", "shots_25": "25 images",
    "auroc_likelihood": "AUROC likelihood", "auroc_knn1": "AUROC k-NN", "unique_090": "unique at 0.9", "nmi": "NMI",
    "effective_components": "effective components",
}  # fmt: skip
STATE = {
    "lever_kl_half": "effect, half", "lever_kl": "effect, end", "kappa_median": "median κ", "kappa_max": "largest κ",
    "in_use": "in use", "loss": "loss", "steps_not_finite": "not finite",
}  # fmt: skip
# Columns of stability.csv.
STABILITY = {
    "knn": "k-NN", "loss": "loss", "prototypes_in_use": "prototypes in use", "kappa_max_10": "largest κ, 10 % of the steps",
    "kappa_max_50": "50 %", "kappa_max_100": "100 %",
}  # fmt: skip


def main():
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/results/ordering.csv")
    with path.open(newline="") as file:
        runs = {(line["cell"], line["seed"]): line for line in csv.DictReader(file)}
    cells = sorted({cell for cell, _ in runs})
    for measures in (MEASURES, STATE):
        head(["cell", "seeds", *measures.values()])
        for cell in cells:
            lines = [line for (name, _), line in runs.items() if name == cell]
            row([cell, len(lines), *(mean_and_spread(numbers(lines, key), key) for key in measures)])
    lever(path.with_name(f"{path.stem}-lever.csv"))
    head(["first - second", "what differs", "pairs", "of two processors", *MEASURES.values()])
    for first, second, what in PAIRS:
        pairs = [(line, runs[second, seed]) for (cell, seed), line in runs.items() if cell == first and (second, seed) in runs]
        if pairs:
            mixed = sum(one["processor"] != other["processor"] for one, other in pairs)
            row([f"{first} - {second}", what, len(pairs), mixed, *(difference(pairs, key) for key in MEASURES)])
    head(["cell", "seed", *MEASURES.values(), "processor"])
    for (cell, seed), line in sorted(runs.items()):
        row([cell, seed, *(line[key] for key in MEASURES), line["processor"]])
    stability(path.with_name("stability.csv"))


def lever(path):
    """The effect of the normalizer over time, in nats."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        points = list(csv.DictReader(file))
    shares = sorted({float(point["share"]) for point in points})
    head(["effect, nats, after", *(f"{100 * share:.0f} %" for share in shares)])
    for cell in sorted({point["cell"] for point in points}):
        of_share = [[p for p in points if p["cell"] == cell and float(p["share"]) == share] for share in shares]
        row([cell, *(mean_and_spread(numbers(lines, "kl"), "lever_kl") for lines in of_share)])


def stability(path):
    """How the deep networks ended at each learning rate."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        runs = list(csv.DictReader(file))
    head(["norms", "times the rate", "runs", "with an alarm", "steps not finite", "ended early", "at step", *STABILITY.values()])
    for times, norm in sorted({(int(run["times"]), run["norm"]) for run in runs}):
        lines = [run for run in runs if (run["norm"], run["times"]) == (norm, str(times))]
        alarms = sum(run["alarms"] != "" for run in lines)
        not_finite = sum(int(run["steps_not_finite"]) for run in lines)
        early = [run for run in lines if run["ended"] != "whole"]
        measured = [mean_and_spread(numbers(lines, key), key) for key in STABILITY]
        ends = mean_and_spread(numbers(early, "steps"), "steps")
        row([norm, times, len(lines), alarms, not_finite, len(early), ends, *measured])


def numbers(lines, key):
    return [float(line[key]) for line in lines if line[key]]


def digits(key):
    return {"nmi": 3, "lever_kl_half": 4, "lever_kl": 4, "loss": 2, "kappa_median": 1, "kappa_max": 1, "steps_not_finite": 0,
            "unique_090": 0, "in_use": 0, "effective_components": 0, "prototypes_in_use": 0, "steps": 0}.get(key, 1)  # fmt: skip


def mean_and_spread(values, key):
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits(key)}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits(key)}f}{spread}"


def difference(pairs, key):
    values = [float(a[key]) - float(b[key]) for a, b in pairs if a[key] and b[key]]
    if len(values) < 2:
        return f"{values[0]:+.{digits(key)}f}" if values else "-"
    t = STUDENT[len(values) - 2] if len(values) - 2 < len(STUDENT) else NORMAL
    mean, half = statistics.mean(values), t * statistics.stdev(values) / math.sqrt(len(values))
    # Bold: the interval does not hold 0.
    mark = "**" if abs(mean) > half else ""
    return f"{mark}{mean:+.{digits(key)}f}{mark} ± {half:.{digits(key)}f}"


def head(names):
    print()
    row(names)
    row(["---"] * len(names))


def row(values):
    print("|", " | ".join(map(str, values)), "|")


if __name__ == "__main__":
    main()
