#!/usr/bin/env bash
# Times PyTorch's training steps (step.py) on one NVIDIA GPU. Each configuration adds a JSON line to
# OUT/gpu_steps.jsonl and to standard output.
#
# Usage: scripts/peer/gpu_steps.sh OUT [seconds per configuration, default 110]
#
# PYTHON  a Python with a CUDA build of torch (default python3)
set -uo pipefail
out=${1:?"usage: scripts/peer/gpu_steps.sh OUT [seconds per configuration]"} limit=${2:-110}
here=$(cd "$(dirname "$0")" && pwd)
: "${PYTHON:=python3}"
mkdir -p "$out"

run() {
    timeout "$limit" "$PYTHON" "$here/step.py" --device cuda --precision bf16 --steps 20 --warmup 5 "$@" \
        2>>"$out/errors.log" | tail -n 1 | tee -a "$out/gpu_steps.jsonl" || echo "failed: $*" | tee -a "$out/errors.log"
}
small="--arch vit_small --batch 128"
base="--arch vit_base --batch 64"
tiny="--arch vit_tiny --patch 4 --global 2x32 --local 6x16 --batch 512 --k 4096"
# Words of the variables are separate arguments.
# shellcheck disable=SC2086
for compile in 0 1; do
    run $small --method dino --attention sdpa --compile $compile
    run $small --method dino_vmf --attention sdpa --compile $compile
    run $small --method ibot --k 8192 --attention sdpa --compile $compile
    run $base --method dino --attention sdpa --compile $compile
    run $tiny --method dino --attention sdpa --compile $compile
done
# shellcheck disable=SC2086
run $small --method dino --attention eager
# shellcheck disable=SC2086
run $small --method dino --attention cudnn --compile 1
# shellcheck disable=SC2086
run $base --method dino --attention cudnn --compile 1
run --arch vit_small --batch 32 --method dino --attention sdpa --compile 1
