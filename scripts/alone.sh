#!/usr/bin/env bash
# Builds every module by itself, without the workspace: the compiler's proof
# that a module's go.mod tells the truth and that no service leans on another.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
go list -m -f '{{.Dir}}' | while read -r dir; do
  echo "alone: ${dir#"$root"/}"
  (cd "$dir" && GOWORK=off go build ./...)
done
