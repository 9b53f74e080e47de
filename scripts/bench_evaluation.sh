#!/bin/sh
# Times k-NN, the sweep of linear probes and logistic regression in PyTorch or scikit-learn (scripts/peer/evaluation.py)
# and in dino-vmf, in turns, and prints medians and ratios.
#
# Usage: scripts/bench_evaluation.sh TASK [flags of both, such as --train 50000 --epochs 10]
#
# TASK      knn, linear or logistic
# PYTHON    a Python with the packages of scripts/peer/requirements.txt and, for logistic, scikit-learn (default python3)
# DINO_VMF  the program (default: built here with cargo build --release)
# ROUNDS    how often each of them runs (default 3)
# THREADS   threads of both (default 2)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${PYTHON:=python3}" "${ROUNDS:=3}" "${THREADS:=2}"
if [ -z "${DINO_VMF:-}" ]; then
    (cd "$root" && cargo build --release --quiet --package dino-vmf)
    DINO_VMF=${CARGO_TARGET_DIR:-$root/target}/release/dino-vmf
fi
# scikit-learn takes its threads from these.
export OMP_NUM_THREADS="$THREADS" OPENBLAS_NUM_THREADS="$THREADS"

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
round=1
while [ "$round" -le "$ROUNDS" ]; do
    echo "round $round of $ROUNDS" >&2
    "$PYTHON" "$root/scripts/peer/evaluation.py" --threads "$THREADS" --runs 1 "$@" >>"$lines"
    "$DINO_VMF" bench evaluation --json --quiet --threads "$THREADS" --runs 1 "$@" >>"$lines"
    round=$((round + 1))
done

python3 - "$lines" <<'TABLE'
import json, statistics, sys

runs = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
ours = [r for r in runs if r["peer"] == "dino-vmf"]
peers = [r for r in runs if r["peer"] != "dino-vmf"]
first, peer = ours[0], peers[0]
print(f"{first['task']}: {first['train']} x {first['test']} rows of {first['dim']}, {first['classes']} classes, {first['threads']} threads")
print(f"{'':18}{peer['peer']:>14}{'dino-vmf':>12}{'ratio':>8}")
a, b = (statistics.median(r["seconds_median"] for r in rows) for rows in (peers, ours))
print(f"{'seconds':18}{a:14.3f}{b:12.3f}{a / b:8.2f}")
for key in ("top1", "passes", "loss"):
    if key in peer and key in first:
        print(f"{key:18}{peer[key]:14.6g}{first[key]:12.6g}")
print("round by round:", " ".join(f"{a['seconds_median'] / b['seconds_median']:.2f}" for a, b in zip(peers, ours)))
TABLE
