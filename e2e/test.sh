#!/usr/bin/env bash
# Every test of the project: formatting, lints, unit, conformance and property tests, the chart's, the scenarios of e2e/ over
# real `fedsx` processes, PostgreSQL and RabbitMQ, and those of e2e/cluster in a Kubernetes cluster, where there is one.
# Arguments go to `cargo test`: `e2e/test.sh follows` runs the tests with that in their names, and no cluster.
#
# Needs the Rust toolchain (rust-toolchain.toml), the C compiler that it links with, which compiles SQLite too, a static libc
# (libc6-dev of Debian has it, elsewhere glibc-static), the programs of PostgreSQL and RabbitMQ, and Helm. Where servers or Helm
# are missing, it installs Debian's packages if it runs as root, and Helm by Go's toolchain below target/. It starts
# servers of its own on free ports in a temporary folder and removes them, unless FEDSX_TEST_POSTGRES, FEDSX_TEST_RABBITMQ
# and FEDSX_TEST_RABBITMQ_API name servers that run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing() { echo "$1" >&2; exit 1; }

# The scenarios kill servers of their own, whichever servers run already.
have_servers() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || return 1
    [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || command -v rabbitmq-server >/dev/null
}

# Installs the packages without letting them start a server.
install_servers() {
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'rm -f /usr/sbin/policy-rc.d' RETURN EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
    fi
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql rabbitmq-server
}

command -v cargo >/dev/null || missing "cargo is missing: https://rustup.rs"
command -v "${CC:-cc}" >/dev/null || missing "a C compiler is missing: ${CC:-cc}"
if ! have_servers; then
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null ||
        missing "install PostgreSQL and RabbitMQ (Debian: sudo apt-get install postgresql rabbitmq-server)"
    install_servers
fi

# The chart's tests render it.
HELM=$(e2e/tools.sh)
export HELM

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings

# The tests and the binaries that they start come out of one build: the same packages with the same features.
cargo build --workspace --bins --tests

# A scenario waits more than it computes.
cores=$(getconf _NPROCESSORS_ONLN)
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((cores < 4 ? 4 : cores))}"
export RUST_BACKTRACE="${RUST_BACKTRACE:-1}"

servers=("${CARGO_TARGET_DIR:-target}/$(rustc --print host-tuple)/debug/fedsx-test-servers" --)
if [[ -n ${FEDSX_TEST_POSTGRES:-} && -n ${FEDSX_TEST_RABBITMQ:-} && -n ${FEDSX_TEST_RABBITMQ_API:-} ]]; then
    servers=()
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
"${servers[@]}" cargo test --workspace --no-fail-fast "$@" 2>&1 | tee "$output" || status=$?
cluster=0
if [[ $# == 0 ]]; then
    e2e/cluster/run 2>&1 | tee --append "$output" || cluster=$?
fi
awk -v seconds="$SECONDS" -v status="$status" '
    /^test result:/ { suites++; passed += $4; failed += $6; ignored += $8 }
    END {
        printf "%d passed, %d failed, %d ignored in %d suites; %d s in all", passed, failed, ignored, suites, seconds
        print (status == 0 ? "" : "; cargo test ended with " status)
    }' "$output"
case $cluster in
    0) ;;
    # There is no cluster here.
    3) grep '^e2e/cluster/run: the cluster scenarios did not run' "$output" ;;
    *) echo "the cluster scenarios failed ($cluster)"; [[ $status != 0 ]] || status=$cluster ;;
esac
exit "$status"
