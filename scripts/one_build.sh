#!/usr/bin/env bash
# Checks that `cargo run` and `cargo test --workspace` compile every library with the same features. Otherwise cargo
# builds the program twice, with most of its libraries: minutes each time. To mend a difference, turn on the missing
# feature in `[workspace.dependencies]` of Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

# Name, version and features of everything that is compiled.
compiled() {
    cargo tree --locked --prefix none --format '{p} [{f}]' "$@" | sed -n 's/^\([^ ]* v[^ ]*\) .*\(\[.*\]\).*/\1 \2/p' | sort -u
}
different=$(comm -23 <(compiled --edges normal,build) <(compiled --workspace --edges all))
if [ -n "$different" ]; then
    printf 'cargo run has other features than cargo test --workspace:\n%s\n' "$different"
    exit 1
fi
