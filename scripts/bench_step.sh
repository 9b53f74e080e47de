#!/bin/sh
# Times one training step of PyTorch and of dino-vmf, in turns, and prints medians and ratios.
#
# Usage: scripts/bench_step.sh [PEER.py] [flags of both, such as --arch vit_small --batch 8]
#
# PEER        the PyTorch program, if it is not the first argument (default scripts/peer/step.py)
# PEER_FLAGS  flags of the PyTorch program alone (default: --attention sdpa, its faster form in f32)
# PYTHON      a Python with the packages of scripts/peer/requirements.txt (default python3)
# DINO_VMF    the program (default: built here with cargo build --release)
# ROUNDS      how often each of them runs (default 3)
# THREADS     threads of both (default 2)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in
*.py) PEER=$1 && shift ;;
esac
: "${PEER:=$root/scripts/peer/step.py}" "${PEER_FLAGS=--attention sdpa}"
: "${PYTHON:=python3}" "${ROUNDS:=3}" "${THREADS:=2}"
if [ -z "${DINO_VMF:-}" ]; then
    (cd "$root" && cargo build --release --quiet --package dino-vmf)
    DINO_VMF=${CARGO_TARGET_DIR:-$root/target}/release/dino-vmf
fi
[ -f "$PEER" ] || { echo "error: no PyTorch program \`$PEER\`; give its path or set PEER" >&2; exit 2; }

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
round=1
while [ "$round" -le "$ROUNDS" ]; do
    echo "round $round of $ROUNDS" >&2
    # shellcheck disable=SC2086
    "$PYTHON" "$PEER" $PEER_FLAGS --threads "$THREADS" "$@" >>"$lines"
    "$DINO_VMF" bench step --json --quiet --threads "$THREADS" "$@" >>"$lines"
    round=$((round + 1))
done

python3 - "$lines" <<'TABLE'
import json, statistics, sys

runs = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
peers, ours = [r for r in runs if r["peer"] == "torch"], [r for r in runs if r["peer"] == "dino-vmf"]
median = lambda rows, get: statistics.median(map(get, rows))
print(f"{ours[0]['method']} {ours[0]['arch']}/{ours[0]['patch']} batch {ours[0]['batch']} "
      f"crops {ours[0]['crops']} K {ours[0]['k']}, {ours[0]['threads']} threads (torch {peers[0]['threads']})")
print(f"{'':18}{'torch':>12}{'dino-vmf':>12}{'torch/ours':>12}")


def row(name, get, digits=3):
    a, b = median(peers, get), median(ours, get)
    print(f"{name:18}{a:12.{digits}f}{b:12.{digits}f}{a / b if b else float('nan'):12.2f}")


row("s per step", lambda r: r["s_per_step_median"])
row("images per s", lambda r: r["img_per_s"])
row("peak memory MiB", lambda r: r["peak_rss_mib"], 0)
for part in ours[0]["breakdown_s"]:
    row("  " + part, lambda r: r["breakdown_s"].get(part, 0.0))
ratios = [a["s_per_step_median"] / b["s_per_step_median"] for a, b in zip(peers, ours)]
print("torch/ours, round by round:", " ".join(f"{ratio:.2f}" for ratio in ratios))
TABLE
