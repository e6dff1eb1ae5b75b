#!/usr/bin/env bash
# Builds every module by itself, without the workspace: the compiler's proof
# that a module's go.mod tells the truth and that no service leans on another.
set -euo pipefail
cd "$(dirname "$0")/.."
while read -r dir; do
  echo "alone: ${dir#"$PWD"/}"
  (cd "$dir" && GOWORK=off go build ./... && GOWORK=off go vet ./... )
done < <(go list -m -f '{{.Dir}}')
