#!/usr/bin/env bash
# Runs every test of every module. Some want a real redis-server, which is
# installed when this runs as root on Debian and it is missing. Extra arguments
# go to `go test`, e.g. scripts/test.sh -run Story.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh redis
exec go test -timeout 10m "$@" work
