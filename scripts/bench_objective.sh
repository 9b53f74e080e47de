#!/bin/sh
# Times the objective of PyTorch (scripts/peer/objective.py) and of dino-vmf, in turns, and prints medians and
# ratios.
#
# Usage: scripts/bench_objective.sh [flags of both, such as --method dino_vmf --k 65536]
#
# PYTHON    a Python with the packages of scripts/peer/requirements.txt (default python3)
# DINO_VMF  the program (default: built here with cargo build --release)
# ROUNDS    how often each of them runs (default 5)
# THREADS   threads of both (default 2)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${PYTHON:=python3}" "${ROUNDS:=5}" "${THREADS:=2}"
if [ -z "${DINO_VMF:-}" ]; then
    (cd "$root" && cargo build --release --quiet --package dino-vmf)
    DINO_VMF=${CARGO_TARGET_DIR:-$root/target}/release/dino-vmf
fi

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
round=1
while [ "$round" -le "$ROUNDS" ]; do
    echo "round $round of $ROUNDS" >&2
    "$PYTHON" "$root/scripts/peer/objective.py" --threads "$THREADS" "$@" >>"$lines"
    "$DINO_VMF" bench objective --json --quiet --threads "$THREADS" "$@" >>"$lines"
    round=$((round + 1))
done

python3 - "$lines" <<'TABLE'
import json, statistics, sys

runs = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
peers, ours = [r for r in runs if r["peer"] == "torch"], [r for r in runs if r["peer"] == "dino-vmf"]
first = ours[0]
print(f"{first['method']} {first['teacher_rows']} + {first['student_rows']} rows K {first['k']}, {first['threads']} threads")
print(f"{'':18}{'torch':>12}{'dino-vmf':>12}{'torch/ours':>12}")
for name, key in [("ms", "ms_median"), ("peak memory MiB", "peak_mib")]:
    a, b = (statistics.median(r[key] for r in rows) for rows in (peers, ours))
    print(f"{name:18}{a:12.1f}{b:12.1f}{a / b:12.2f}")
print("torch/ours, round by round:", " ".join(f"{a['ms_median'] / b['ms_median']:.2f}" for a, b in zip(peers, ours)))
TABLE
