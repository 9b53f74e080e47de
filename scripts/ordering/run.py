#!/usr/bin/env python3
"""Does the vMF normalizer help at small scale? Trains the cells of the experiment, one run after another.

    scripts/ordering/run.py --cifar10 CIFAR10 --unknown TIN:train

CIFAR10 is a folder with `train` and `test`, each with a folder for each class. The runs train on the first 1,000
files of each class of `train`, by name. Every finished run is one line of docs/results/ordering.csv, and the effect of
the normalizer over time is in ordering-lever.csv beside it. A run with a line is not made again, so the script goes on
anywhere: after Ctrl-C, after a crash, on another machine. Several copies of it can work beside each other on one machine,
with one --work folder. Needs Python alone, and the program.

The settings are those of regime.toml beside this file. A cell is a kind of prototype norms with a kind of centering:
free+logit, vmf+prob-a and so on. One seed gives all cells the same first weights and the same order of images.
"""

import argparse
import datetime
import pathlib
import subprocess
import sys

from common import append, claimed, events, first_files, metrics, minutes, numbers, processor, version

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NORMS, CENTERINGS = ["l2", "free", "vmf"], ["logit", "prob-a", "sinkhorn"]
# The paper's own pair and {free, vmf} under one centering come first and get more seeds.
FIRST = ["free+logit", "vmf+logit", "vmf+prob-a"]
OTHERS = [f"{norm}+{centering}" for centering in CENTERINGS for norm in NORMS]
SEEDS_OF_FIRST, SEEDS_OF_OTHERS = range(101, 109), range(101, 106)
COLUMNS = [
    "cell", "seed", "knn", "linear", "linear_best", "shots_1", "shots_5", "shots_25", "nmi",
    "unique_090", "unique_095", "unique_0975", "in_use", "effective_components",
    "auroc_likelihood", "auroc_cosine", "auroc_knn1", "auroc_knn50",
    "lever_kl_half", "lever_kl", "lever_spread", "log_kappa_sd", "kappa_median", "kappa_max", "kappa_max_ever",
    "loss", "entropy", "alarms", "steps_not_finite", "minutes",
    "date", "version", "processor", "command",
]  # fmt: skip
# The effect of the normalizer during a run: the share of the steps that are done, and KL in nats.
LEVER_COLUMNS = ["cell", "seed", "processor", "share", "kl", "log_kappa_sd"]
LEVER_POINTS = 10


def main():
    arguments = parse()
    subset = first_files(arguments.cifar10, arguments.work)
    for cell, seed in order(arguments):
        with claimed(arguments.work, arguments.table, {"cell": cell, "seed": seed}) as free:
            if free:
                line, points = measured(arguments, subset, cell, seed)
                append(lever_table(arguments.table), LEVER_COLUMNS, points)
                append(arguments.table, COLUMNS, [line])
                print(f"{cell} seed {seed}: k-NN {line['knn']}, lever {line['lever_kl']}", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=pathlib.Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--unknown", required=True, help="images of other kinds, for AUROC")
    parser.add_argument("--program", default=ROOT / "target/release/dino-vmf", help="default: the release build")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target/ordering", help="folder of the runs")
    parser.add_argument("--table", type=pathlib.Path, default=ROOT / "docs/results/ordering.csv")
    parser.add_argument("--regime", type=pathlib.Path, default=HERE / "regime.toml")
    parser.add_argument("--cells", help="such as free+logit,vmf+logit; default: all, the paper's pair first")
    parser.add_argument("--seeds", type=numbers, help="such as 101,102; default: 101 to 108, 101 to 105 for the other cells")
    parser.add_argument("--threads", type=int, default=1, help="compute threads; results do not depend on them")
    return parser.parse_args()


def order(arguments):
    """Cells and seeds: all cells of a seed before the next seed, so that there are pairs at any time."""
    if arguments.cells or arguments.seeds:
        cells = arguments.cells.split(",") if arguments.cells else OTHERS
        seeds = arguments.seeds or SEEDS_OF_OTHERS
        unknown = set(cells) - set(OTHERS)
        if unknown:
            sys.exit(f"unknown cells {sorted(unknown)}: the cells are {', '.join(OTHERS)}")
        return [(cell, seed) for seed in seeds for cell in cells]
    first = [(cell, seed) for seed in SEEDS_OF_FIRST for cell in FIRST]
    others = [(cell, seed) for seed in SEEDS_OF_OTHERS for cell in OTHERS if cell not in FIRST]
    return first + others


def lever_table(table):
    return table.with_name(f"{table.stem}-lever.csv")


def measured(arguments, subset, cell, seed):
    """Trains one run, or goes on with it, and measures it: its line of the table, and its lines of the other one."""
    run = arguments.work / f"{cell}-{seed}"
    norm, centering = cell.split("+")
    if run.exists():
        training = ["pretrain", "--resume", str(run)]
    else:
        training = [
            "pretrain", "--config", str(arguments.regime), "--data", str(subset), "--out", str(run), "--seed", str(seed),
            "--method", "dino-vmf" if norm == "vmf" else "dino", "--set", f"objective.prototype_norm={norm}",
            "--set", f"objective.centering={centering}", "--set", f'eval.train="{subset}"',
            "--set", f'eval.test="{arguments.cifar10}/test"',
        ]  # fmt: skip
    threads = ["--threads", str(arguments.threads)]
    workers = ["--workers", str(arguments.threads)]
    ended = subprocess.run([arguments.program, *training, *threads, *workers, "--quiet"], stdout=subprocess.DEVNULL)
    if ended.returncode != 0:
        sys.exit(f"{cell} seed {seed}: training ended with code {ended.returncode}; the run stays in {run}")
    command = f"pretrain --config regime.toml --seed {seed} --set objective.prototype_norm={norm} --set objective.centering={centering}"
    line = {
        "cell": cell, "seed": seed, "command": command, "processor": processor(),
        "date": datetime.date.today().isoformat(), "version": version(arguments.program),
    }  # fmt: skip
    images = ["--train", str(subset), "--test", f"{arguments.cifar10}/test"]

    def ask(*command):
        return events(arguments.program, *command, *threads)

    records = metrics(run)
    line.update(history(run, records))
    line.update(classified(ask, run, images))
    line.update(mixture(ask, run, arguments))
    line.update(unknown(ask, run, subset, arguments))
    of_run = {column: line[column] for column in ("cell", "seed", "processor")}
    return line, [of_run | point for point in lever(records)]


def classified(ask, run, images):
    [nearest] = [r for r in ask("eval", "knn", str(run), *images, "--k", "20") if r["event"] == "knn"]
    [linear] = [r for r in ask("eval", "linear", str(run), *images, "--features", "cls") if r["event"] == "linear"]
    last = max(rate["last"] for rate in linear["rates"])
    found = ask("eval", "fewshot", str(run), *images, "--shots", "1,5,25", "--draws", "200")
    shots = {r["shots"]: round(r["top1"], 2) for r in found if r["event"] == "fewshot"}
    return {
        "knn": round(nearest["top1"], 2), "linear": round(last, 2), "linear_best": round(linear["top1"], 2),
        "shots_1": shots["1"], "shots_5": shots["5"], "shots_25": shots["25"],
    }  # fmt: skip


def mixture(ask, run, arguments):
    [found] = [r for r in ask("analyze", "mixture", str(run), "--data", f"{arguments.cifar10}/test") if r["event"] == "mixture"]
    unique = {round(count["cosine"], 3): count["all"] for count in found["unique"]}
    return {
        "nmi": round(found["labels"]["nmi"], 4), "in_use": found["in_use"],
        "unique_090": unique[0.9], "unique_095": unique[0.95], "unique_0975": unique[0.975],
        "effective_components": round(found["entropy"]["perplexity"], 1),
    }  # fmt: skip


def unknown(ask, run, subset, arguments):
    sets = ["--known", f"{arguments.cifar10}/test", "--unknown", arguments.unknown, "--train", str(subset)]
    found = ask("eval", "ood", str(run), *sets, "--k", "1,50")
    auroc = {(r["score"], r["k"]): round(r["auroc"], 2) for r in found if r["event"] == "ood"}
    names = {"likelihood": "auroc_likelihood", "cosine": "auroc_cosine"}
    line = {f"auroc_knn{k}": auroc["knn", k] for k in (1, 50)}
    line.update({column: auroc[score, None] for score, column in names.items()})
    return line


def diagnosed(records):
    """The measurements of the normalizer's effect, in the order of the steps."""
    found = [r["diagnostics"] | {"step": r["step"]} for r in records if "diagnostics" in r]
    return [r for r in found if r["normalizer"]]


def lever(records):
    """The effect of the normalizer at evenly spread steps."""
    last = max(r["step"] for r in records if "loss" in r)
    measured = diagnosed(records)
    points = []
    for number in range(1, LEVER_POINTS + 1):
        share = number / LEVER_POINTS
        nearest = min(measured, key=lambda r: abs(r["step"] / last - share), default=None)
        if nearest:
            kl, sd = nearest["normalizer"]["kl"], nearest["normalizer"]["log_kappa_sd"]
            points.append({"share": share, "kl": round(kl, 4), "log_kappa_sd": round(sd, 4)})
    return points


def history(run, records):
    """What metrics.jsonl says about the whole run."""
    steps = [r for r in records if "loss" in r]
    measured = diagnosed(records)
    half = min(measured, key=lambda r: abs(r["step"] - steps[-1]["step"] / 2), default=None)
    last = measured[-1] if measured else None
    line = {
        "loss": round(steps[-1]["loss"], 4), "entropy": round(steps[-1]["teacher_entropy"], 4),
        "kappa_max_ever": round(max(r["kappa_max"] for r in steps), 2),
        "alarms": " ".join(sorted({r["alarm"]["name"] for r in records if "alarm" in r})),
        "steps_not_finite": sum("skipped" in r for r in records),
        "minutes": minutes(run),
    }  # fmt: skip
    if last:
        kappa = last["kappa"]
        line |= {
            "lever_kl_half": round(half["normalizer"]["kl"], 4), "lever_kl": round(last["normalizer"]["kl"], 4),
            "lever_spread": round(last["normalizer"]["spread"], 3),
            "log_kappa_sd": round(last["normalizer"]["log_kappa_sd"], 4),
            "kappa_median": round(kappa["median"], 2), "kappa_max": round(kappa["max"], 2),
        }  # fmt: skip
    return line


if __name__ == "__main__":
    main()
