#!/usr/bin/env bash
# Kills processes and engines under load and accounts for every event. The last
# line says what was found; the exit code is 0 only when nothing is missing.
#
#   scripts/torture.sh [short|long] [more arguments for the program]
set -euo pipefail
cd "$(dirname "$0")/.."
length=${1:-short}
shift || true
case "$length" in
  short | long) ;;
  *)
    echo "torture: unknown length \"$length\": want short or long" >&2
    exit 2
    ;;
esac
scripts/tools.sh redis
go build -o bin/torture ./services/nurture/cmd/torture
exec bin/torture --length "$length" "$@"
