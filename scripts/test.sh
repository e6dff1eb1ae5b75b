#!/usr/bin/env bash
# Runs every test of every module. Some want a real redis-server, curl or openssl,
# which are installed when this runs as root on Debian and they are missing. Extra
# arguments go to `go test`, e.g. scripts/test.sh -run Story.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh test
exec go test -timeout 10m "$@" work
