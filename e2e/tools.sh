#!/usr/bin/env bash
# Prints where helm lies: $HELM, the one on PATH, or one that Go builds into target/tools, once. The tests of charts/ run it:
#   export HELM=$(e2e/tools.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v4.3.1
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools

# `helm test --logs` of what comes before 4.1 looks for pods that are gone.
is_new() {
    local version
    version=$("$1" version --template '{{.Version}}' 2>/dev/null) || return
    [[ $version =~ ^v([0-9]+)\.([0-9]+) ]] || return
    ((BASH_REMATCH[1] > 4 || (BASH_REMATCH[1] == 4 && BASH_REMATCH[2] >= 1)))
}

if [[ -n ${HELM:-} ]]; then
    echo "$HELM"
elif command -v helm >/dev/null && is_new helm; then
    command -v helm
elif [[ -x $tools/helm ]]; then
    echo "$tools/helm"
elif command -v go >/dev/null; then
    echo "building helm $version into $tools, which takes minutes the first time" >&2
    # GOBIN is refused where another system is built for.
    env -u GOOS -u GOARCH GOBIN="$tools" GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags '-s -w' "helm.sh/helm/v4/cmd/helm@$version" >&2
    echo "$tools/helm"
else
    echo "helm 4.1 or later is missing, and Go to build it with: https://helm.sh/docs/intro/install, or HELM=/path" >&2
    exit 1
fi
