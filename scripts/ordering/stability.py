#!/usr/bin/env python3
"""Does the vMF normalizer keep deep networks stable? Trains a network of 12 blocks at growing learning rates.

    scripts/ordering/stability.py --cifar10 CIFAR10

2,000 steps with free norms and with the normalizer, both with the center of logits, at 1, 2, 4 and 8 times the learning
rate of regime.toml, or others by --times; ten seeds each. All else is as in run.py: data, seeds, and that it goes on
anywhere. Every finished run is one line of docs/results/stability.csv. A run that ends in an alarm or in values that are not
finite is finished.
"""

import argparse
import datetime
import pathlib
import subprocess
import sys

from common import append, claimed, first_files, metrics, minutes, numbers, processor, version

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NORMS, TIMES, SEEDS = ["free", "vmf"], [1, 2, 4, 8], range(201, 211)
# That of regime.toml.
LEARNING_RATE = 4e-3
STEPS = 2000
# The largest kappa so far, after these shares of the steps.
SHARES = [0.1, 0.25, 0.5, 0.75, 1.0]
COLUMNS = [
    "norm", "times", "seed", "steps", "ended", "alarms", "steps_not_finite", "loss", "entropy", "prototypes_in_use",
    "knn", *(f"kappa_max_{round(100 * share)}" for share in SHARES), "minutes", "date", "version", "processor", "command",
]  # fmt: skip


def main():
    arguments = parse()
    subset = first_files(arguments.cifar10, arguments.work)
    for seed in arguments.seeds:
        for times in arguments.times:
            for norm in NORMS:
                keys = {"norm": norm, "times": times, "seed": seed}
                with claimed(arguments.work, arguments.table, keys) as free:
                    if free:
                        line = keys | measured(arguments, subset, **keys)
                        append(arguments.table, COLUMNS, [line])
                        print(f"{norm} x{times} seed {seed}: {line['ended']}, loss {line['loss']}", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=pathlib.Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--program", default=ROOT / "target/release/dino-vmf", help="default: the release build")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target/ordering", help="folder of the runs")
    parser.add_argument("--table", type=pathlib.Path, default=ROOT / "docs/results/stability.csv")
    parser.add_argument("--regime", type=pathlib.Path, default=HERE / "regime.toml")
    parser.add_argument("--times", type=numbers, default=TIMES, help="such as 4,8; default: 1,2,4,8")
    parser.add_argument("--seeds", type=numbers, default=SEEDS, help="such as 201,202; default: 201 to 210")
    parser.add_argument("--threads", type=int, default=1, help="compute threads; results do not depend on them")
    return parser.parse_args()


def measured(arguments, subset, norm, times, seed):
    """Trains one run, or goes on with it: its line of the table."""
    run = arguments.work / f"depth12-{norm}-{times}-{seed}"
    settings = [
        "model.depth=12", f"optim.lr={times * LEARNING_RATE}", f"objective.prototype_norm={norm}",
        "objective.centering=logit",
    ]  # fmt: skip
    sets = [word for setting in settings for word in ("--set", setting)]
    if run.exists():
        training = ["pretrain", "--resume", str(run)]
    else:
        training = [
            "pretrain", "--config", str(arguments.regime), "--data", str(subset), "--out", str(run), "--seed", str(seed),
            "--steps", str(STEPS), "--method", "dino-vmf" if norm == "vmf" else "dino", *sets,
            "--set", f'eval.train="{subset}"', "--set", f'eval.test="{arguments.cifar10}/test"',
        ]  # fmt: skip
    threads = ["--threads", str(arguments.threads), "--workers", str(arguments.threads)]
    command = [arguments.program, *training, *threads, "--quiet"]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    # 1 is a run that ended by itself, 130 one that was stopped and saved.
    if ended.returncode not in (0, 1) or not (run / "metrics.jsonl").exists():
        sys.exit(f"{norm} x{times} seed {seed}: the program was stopped; the run stays in {run}")
    records = metrics(run)
    return history(records) | {
        "ended": "whole" if ended.returncode == 0 else reason(ended.stderr),
        "minutes": minutes(run), "date": datetime.date.today().isoformat(), "version": version(arguments.program),
        "processor": processor(), "command": f"pretrain --config regime.toml --seed {seed} --steps {STEPS} {' '.join(sets)}",
    }  # fmt: skip


def reason(stderr):
    """The error of a run that did not reach its end."""
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    return errors[-1] if errors else "no error printed"


def history(records):
    """What metrics.jsonl says about the run."""
    steps = [r for r in records if "loss" in r]
    last = steps[-1]
    found = [r["knn"]["scores"] for r in records if r.get("knn", {}).get("features") == "trained"]
    accuracies = [score["top1"] for scores in found for score in scores if score["k"] == 20]
    line = {
        "steps": last["step"], "loss": round(last["loss"], 4), "entropy": round(last["teacher_entropy"], 4),
        "prototypes_in_use": last.get("prototypes_in_use"), "knn": accuracies[-1] if accuracies else None,
        "alarms": " ".join(sorted({r["alarm"]["name"] for r in records if "alarm" in r})),
        "steps_not_finite": sum("skipped" in r for r in records),
    }  # fmt: skip
    for share in SHARES:
        so_far = [r["kappa_max"] for r in steps if r["step"] <= share * STEPS]
        line[f"kappa_max_{round(100 * share)}"] = round(max(so_far), 2) if so_far else None
    return line


if __name__ == "__main__":
    main()
