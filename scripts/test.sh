#!/usr/bin/env bash
# Runs every test of every module. The ledger's conformance suite also wants a
# real redis-server: it is installed when this runs as root on Debian and it is
# missing. Extra arguments go to `go test`, e.g. scripts/test.sh -run Story.
set -euo pipefail
cd "$(dirname "$0")/.."

install_redis() {
  if command -v redis-server >/dev/null; then
    return
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "test: no redis-server found; the tests against a real one will be skipped" >&2
    return
  fi
  echo "test: installing redis-server"
  apt-get update -qq
  # --no-install-recommends and the policy keep it a mere binary: no service is started.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

install_redis
exec go test -timeout 10m "$@" work
