#!/usr/bin/env bash
# The first day with one's own images, command by command, on small data: photographs, 16-bit TIFFs with five channels,
# and a labelled parquet file. Every command must end as a person expects it to.
#
#     scripts/journey.sh [PROGRAM]        # the release build by default
#
# Python with NumPy, Pillow and pyarrow (DINO_VMF_PYTHON, else python3) writes the images. What it cannot write is named
# and left out.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/dino-vmf}")
scripts=$PWD/scripts
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export NO_COLOR=1 DINO_VMF_CACHE=off
"${DINO_VMF_PYTHON:-python3}" "$scripts/journey_images.py" "$home"
cd "$home"

fail() {
    printf 'journey: %s\n' "$*"
    sed 's/^/    /' "$home/log"
    exit 1
}
# Runs the program, which must exit with CODE: expect CODE ARGUMENTS...
expect() {
    local code=$1 found=0
    shift
    printf '$ dino-vmf %s\n' "$*"
    "$program" "$@" >"$home/log" 2>&1 || found=$?
    [ "$found" = "$code" ] || fail "exit code $found instead of $code"
}
says() { grep -q -- "$1" "$home/log" || fail "no \`$1\` in the output"; }

# Trains with defaults for four epochs, is stopped after the first step, resumes and goes on to six epochs.
train() {
    local run=$1
    shift
    printf '$ dino-vmf pretrain %s --epochs 4 --out %s    # and Ctrl-C after a step\n' "$*" "$run"
    "$program" pretrain "$@" --epochs 4 --out "$run" >"$home/log" 2>&1 &
    local job=$! code=0
    until grep -qs '"loss"' "$run/metrics.jsonl"; do
        kill -0 "$job" 2>/dev/null || fail "the run ended before its first step"
        sleep 0.05
    done
    kill -INT "$job"
    wait "$job" || code=$?
    [ "$code" = 130 ] || fail "exit code $code instead of 130"
    says "pretrain --resume $run"
    expect 0 pretrain --resume "$run"
    says "resuming after step"
    expect 0 pretrain --resume "$run" --epochs 6
    says "extended from"
    says "run folder: $run"
}

# journey SOURCE TRAIN TEST ARGUMENTS...: TRAIN and TEST have labels.
journey() {
    local source=$1 labelled=$2 test=$3 run
    shift 3
    if [ ! -e "$source" ]; then return; fi
    run=run-${source%.*}
    printf '\n-- %s (%s s)\n' "$source" "$SECONDS"
    expect 0 data inspect "$source" "$@"
    expect 0 data preview "$source" "$@" --images 2 --out "$run.png"
    expect 0 plan --data "$source" "$@"
    train "$run" --data "$source" "$@"
    expect 0 eval knn --checkpoint "$run" --train "$labelled" --test "$test" --k 5
    says "top-1"
    expect 0 analyze mixture --checkpoint "$run" --data "$test" --html "$run.html"
    expect 0 analyze features --checkpoint "$run" --data "$test"
    grep -q '</html>' "$run.html" || fail "$run.html is no whole page"
}

journey photos photos:train photos:test
journey microscopy microscopy microscopy --channels 5
journey labelled.parquet labelled.parquet labelled.parquet
printf '\nthe journey took %s s\n' "$SECONDS"
