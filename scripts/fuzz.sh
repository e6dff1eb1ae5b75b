#!/usr/bin/env bash
# Lets every fuzz target look for inputs that break a parser, each for
# FUZZ (default 30s), two at a time with one worker each. What breaks one is
# written into testdata/fuzz beside it: mend the parser and commit the input.
# Arguments choose targets by name, e.g. scripts/fuzz.sh FuzzEmail.
set -euo pipefail
cd "$(dirname "$0")/.."
export FUZZ=${FUZZ:-30s}

# one PACKAGE-DIRECTORY TARGET runs one target; it prints only what went wrong.
one() {
  local log
  log=$(mktemp)
  if (cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZ" -fuzzminimizetime 20x -parallel 1 . >"$log" 2>&1); then
    printf '%-44s %-14s %s\n' "$1" "$2" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
    rm -f "$log"
    return 0
  fi
  printf '%s %s FAILED\n' "$1" "$2" >&2
  cat "$log" >&2
  rm -f "$log"
  return 1
}
export -f one

targets=$(git grep -oE "^func Fuzz[A-Za-z]+" -- "*_test.go" |
  sed -E 's|^(.*)/[^/]*:func (Fuzz.*)$|\1 \2|' | sort)
[ $# -eq 0 ] || targets=$(grep -wE "$(IFS='|'; echo "$*")" <<<"$targets")
[ "$(wc -l <<<"$targets")" -ge 8 ] || [ $# -gt 0 ] || { echo "fewer than 8 fuzz targets were found" >&2; exit 1; }
xargs -P 2 -L 1 bash -c 'one "$@"' one <<<"$targets"
