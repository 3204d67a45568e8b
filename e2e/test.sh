#!/usr/bin/env bash
# Every test of the project: formatting, lints, unit, conformance and property tests, and the scenarios of e2e/ over real
# `fedsx` processes. Arguments go to `cargo test`: `e2e/test.sh follows` runs the tests with that in their names.
#
# Needs the Rust toolchain (rust-toolchain.toml) and the C compiler that it links with, which compiles SQLite too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v cargo >/dev/null || { echo "cargo is missing: https://rustup.rs" >&2; exit 1; }
command -v "${CC:-cc}" >/dev/null || { echo "a C compiler is missing: ${CC:-cc}" >&2; exit 1; }

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings

# The tests and the binary that they start come out of one build: the same packages with the same features.
cargo build --workspace --bins --tests

# A scenario waits more than it computes.
cores=$(getconf _NPROCESSORS_ONLN)
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((cores < 4 ? 4 : cores))}"
export RUST_BACKTRACE="${RUST_BACKTRACE:-1}"

output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
cargo test --workspace --no-fail-fast "$@" 2>&1 | tee "$output" || status=$?
awk -v seconds="$SECONDS" -v status="$status" '
    /^test result:/ { suites++; passed += $4; failed += $6; ignored += $8 }
    END {
        printf "%d passed, %d failed, %d ignored in %d suites; %d s in all", passed, failed, ignored, suites, seconds
        print (status == 0 ? "" : "; cargo test ended with " status)
    }' "$output"
exit "$status"
