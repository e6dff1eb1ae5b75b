#!/usr/bin/env bash
# Measures this machine: one line each, "name value unit". Ratios are measured
# in one run and hold between machines; docs/performance.md explains every name.
# Extra arguments go to the program.
set -euo pipefail
cd "$(dirname "$0")/.."
go build -o bin/bench ./services/nurture/cmd/bench
exec bin/bench "$@"
