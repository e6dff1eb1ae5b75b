#!/usr/bin/env bash
# Everything that can be wrong without running the product: Go style, imports
# and formatting, the proto files, and the rules of the house (scripts/check.sh).
# All of it runs even when an early part fails; the exit code tells.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
scripts/tools.sh || exit 1
failed=0

# At a go.work root `./...` matches nothing, so the modules are named.
mapfile -t modules < <(go list -m -f '{{.Dir}}/...')
bin/golangci-lint run --allow-serial-runners "${modules[@]}" || failed=1

(cd proto && ../bin/buf lint) || failed=1
# The baseline is the language as last released; docs/adr/0009 says why a file.
(cd proto && ../bin/buf breaking --path nurture --against baseline.binpb) || failed=1

scripts/check.sh || failed=1
exit "$failed"
