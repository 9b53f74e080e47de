#!/bin/sh
# Times the multi-crop loader of PyTorch (Pillow, torchvision) and of dino-vmf, in turns, with one
# worker and with two, and prints medians and ratios.
#
# Usage: scripts/bench_loader.sh DIR [flags of both, such as --locals 8 --batch 8]
#
# DIR         a folder of JPEGs
# PEER        the PyTorch program (default scripts/peer/loader.py)
# PYTHON      a Python with the packages of scripts/peer/requirements.txt (default python3)
# DINO_VMF    the program (default: built here with cargo build --release)
# ROUNDS      how often each of them runs (default 3)
# WORKERS     numbers of workers (default "1 2")
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${PEER:=$root/scripts/peer/loader.py}" "${PYTHON:=python3}" "${ROUNDS:=3}" "${WORKERS:=1 2}"
dir=${1:?"give a folder of JPEGs"}
shift
if [ -z "${DINO_VMF:-}" ]; then
    (cd "$root" && cargo build --release --quiet --package dino-vmf)
    DINO_VMF=${CARGO_TARGET_DIR:-$root/target}/release/dino-vmf
fi
[ -f "$PEER" ] || { echo "error: no PyTorch program \`$PEER\`; set PEER" >&2; exit 2; }
[ -d "$dir" ] || { echo "error: no folder \`$dir\`; give a folder of JPEGs" >&2; exit 2; }

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
round=1
while [ "$round" -le "$ROUNDS" ]; do
    echo "round $round of $ROUNDS" >&2
    for workers in $WORKERS; do
        "$PYTHON" "$PEER" --dir "$dir" --workers "$workers" "$@" >>"$lines"
        "$DINO_VMF" bench loader "$dir" --workers "$workers" --json --quiet "$@" >>"$lines"
    done
    round=$((round + 1))
done

python3 - "$lines" <<'TABLE'
import json, statistics, sys

runs = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
select = lambda peer, workers: [r for r in runs if r["peer"] == peer and r["workers"] == workers]
median = lambda rows, key: statistics.median(row[key] for row in rows)
counts = sorted({r["workers"] for r in runs})
first = select("dino-vmf", counts[0])[0]
print(f"{first['files']} files, batch {first['batch']}, 2 x {first['global']} + {first['locals']} x {first['local']}")
for workers in counts:
    peers, ours = select("torchvision", workers), select("dino-vmf", workers)
    print(f"\n{workers} workers{'':19}{'torchvision':>12}{'dino-vmf':>12}{'ratio':>8}")
    a, b = median(peers, "img_per_s"), median(ours, "img_per_s")
    print(f"{'images per s':28}{a:12.2f}{b:12.2f}{b / a:8.2f}")
    a, b = median(peers, "ms_per_img_core"), median(ours, "ms_per_img_core")
    print(f"{'ms per image and core':28}{a:12.2f}{b:12.3f}{a / b:8.2f}")
    a, b = median(peers, "decode_ms_per_img"), median(ours, "decode_ms_per_img")
    print(f"{'  decode':28}{a:12.2f}{b:12.3f}{a / b:8.2f}")
    for stage in ("read", "augment"):
        print(f"{'  ' + stage:28}{'':12}{median(ours, stage + '_ms_per_img'):12.3f}")
    print(f"{'peak memory MiB':28}{'':12}{median(ours, 'peak_rss_mib'):12.0f}")
    ratios = [b["img_per_s"] / a["img_per_s"] for a, b in zip(peers, ours)]
    print("ratio, round by round:", " ".join(f"{ratio:.2f}" for ratio in ratios))

if len(counts) > 1:
    low, high = counts[0], counts[-1]
    print(f"\nscaling from {low} to {high} workers, images/s per worker kept:", end=" ")
    for peer in ("torchvision", "dino-vmf"):
        a, b = (median(select(peer, n), "img_per_s") / n for n in (low, high))
        print(f"{peer} {100 * b / a:.0f} %", end="  ")
    print()
TABLE
