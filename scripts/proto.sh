#!/usr/bin/env bash
# Regenerates the Go code of proto/ in place.
#
#   scripts/proto.sh             generate
#   scripts/proto.sh fresh       generate, then fail if that changed anything
#   scripts/proto.sh baseline    make today's language the one that
#                                `buf breaking` compares with (at a release)
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh proto
cd proto
case "${1:-generate}" in
  generate)
    ../bin/buf generate
    ;;
  fresh)
    ../bin/buf generate
    if [ -n "$(git status --porcelain -- .)" ]; then
      git --no-pager diff --stat -- .
      git status --short -- .
      echo "proto: the generated code does not match the .proto files: run \"make proto\" and commit the result" >&2
      exit 1
    fi
    ;;
  baseline)
    ../bin/buf build --path nurture --exclude-source-info --output baseline.binpb
    ;;
  *)
    echo "proto: unknown action \"$1\": want generate, fresh or baseline" >&2
    exit 2
    ;;
esac
