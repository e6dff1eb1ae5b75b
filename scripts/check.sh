#!/usr/bin/env bash
# The rules of the house that no linter knows. Each check prints what is wrong
# as file: message; the exit code is the number of checks that failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# tracked lists the files of the repository, committed or about to be.
tracked() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u; }

# anchors FILE lists the anchors of a Markdown file's headings.
anchors() {
  grep -E '^#{1,6} ' "$1" |
    sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g' |
    tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# links: every relative link in a Markdown file leads to a file and a heading
# that exist.
links() {
  local file target path anchor bad=0
  while IFS= read -r file; do
    [ -f "$file" ] || continue
    while IFS= read -r target; do
      case "$target" in *://* | mailto:* | '') continue ;; esac
      path=${target%%#*}
      anchor=""
      [[ "$target" == *"#"* ]] && anchor=${target#*#}
      if [ -z "$path" ]; then path=$file; else path="$(dirname "$file")/$path"; fi
      if [ ! -e "$path" ]; then
        echo "$file: link to $target: no such file"
        bad=1
      elif [ -n "$anchor" ] && [ -f "$path" ] && ! anchors "$path" | grep -qx -- "$anchor"; then
        echo "$file: link to $target: no such heading"
        bad=1
      fi
    done < <(sed '/^```/,/^```/d' "$file" | grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\(|\)$//g')
  done < <(tracked '*.md')
  return "$bad"
}

# targets: every `make target` that a document tells the reader to run exists.
targets() {
  local file target bad=0
  while IFS=: read -r file target; do
    if ! grep -qE "^$target:" Makefile; then
      echo "$file: tells the reader to run \"make $target\", which does not exist"
      bad=1
    fi
  done < <(tracked '*.md' | xargs grep -oHE '(`|^ {4,}|\$ )make [a-z]+' | sed -E 's/:(`| +|\$ )make /:/' | sort -u)
  return "$bad"
}

# proofs: every test that a document names as a proof exists.
proofs() {
  local file name bad=0
  while IFS=: read -r file name; do
    if ! tracked '*_test.go' '*/ledgertest/*.go' | xargs grep -qE "^func $name\\("; then
      echo "$file: names $name, but there is no such test"
      bad=1
    fi
  done < <(tracked '*.md' | xargs grep -oHE '\bTest[A-Z][A-Za-z0-9_]*' | sort -u)
  return "$bad"
}

# sizes: no hand-written source file is longer than 500 lines.
sizes() {
  local file lines bad=0
  while IFS= read -r file; do
    [ -f "$file" ] || continue
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 500 ]; then
      echo "$file: $lines lines: more than 500, split it by noun"
      bad=1
    fi
  done < <(tracked '*.go' '*.sh' '*.proto' | grep -vE '\.pb\.(gw\.)?go$|third_party/')
  return "$bad"
}

# markers: nothing is left for later in the code; that is what issues are for.
markers() {
  if tracked '*.go' '*.sh' '*.proto' '*.yaml' Makefile | grep -v '^scripts/check.sh$' |
    xargs grep -nE '\b(TODO|FIXME|XXX)\b'; then
    return 1
  fi
}

# versions: all modules agree on one version of every dependency.
versions() {
  tracked 'go.mod' '*/go.mod' | xargs awk '
    FNR == 1 { inside = 0 }
    /^require \(/ { inside = 1; next }
    /^\)/ { inside = 0 }
    { line = $0 }
    !inside && /^require / { sub(/^require /, "", line) }
    inside || /^require / {
      n = split(line, f, " ")
      if (n < 2 || f[2] == "v0.0.0") next
      if ((f[1] in seen) && seen[f[1]] != f[2]) {
        printf "%s: %s %s, but %s has %s\n", FILENAME, f[1], f[2], where[f[1]], seen[f[1]]
        bad = 1
      }
      seen[f[1]] = f[2]; where[f[1]] = FILENAME
    }
    END { exit bad }'
}

failed=0
for check in links targets proofs sizes markers versions; do
  if ! "$check"; then
    echo "check: $check failed" >&2
    failed=$((failed + 1))
  fi
done
exit "$failed"
