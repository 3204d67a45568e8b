#!/usr/bin/env bash
# Prints where helm lies: $HELM, the one on PATH, or one that Go builds into target/tools, once. The tests of charts/ run it:
#   export HELM=$(e2e/tools.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v4.3.1
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools

if [[ -n ${HELM:-} ]]; then
    echo "$HELM"
elif command -v helm; then
    :
elif [[ -x $tools/helm ]]; then
    echo "$tools/helm"
elif command -v go >/dev/null; then
    echo "building helm $version into $tools, which takes minutes the first time" >&2
    # GOBIN is refused where another system is built for.
    env -u GOOS -u GOARCH GOBIN="$tools" GOFLAGS= go install "helm.sh/helm/v4/cmd/helm@$version" >&2
    echo "$tools/helm"
else
    echo "helm is missing, and Go to build it with: https://helm.sh/docs/intro/install (4), or HELM=/path" >&2
    exit 1
fi
