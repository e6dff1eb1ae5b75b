#!/usr/bin/env bash
# Installs the pinned build tools into ./bin, which git ignores. Needs Go, and
# npm for the quick way to buf (without npm, buf is built from source). Says
# nothing and needs no network when everything is there already.
#
#   scripts/tools.sh            all of them
#   scripts/tools.sh proto      buf and the code generators only
#   scripts/tools.sh lint       golangci-lint only
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$PWD/bin"
mkdir -p "$bin"

golangci_lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
protoc_gen_go=google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
protoc_gen_go_grpc=google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
protoc_gen_grpc_gateway=github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.32.0
buf=github.com/bufbuild/buf/cmd/buf@v1.75.0

# built TOOL reports the "package@version" a Go program in ./bin was built from.
built() {
  go version -m "$bin/$1" 2>/dev/null |
    awk '$1 == "path" { path = $2 } $1 == "mod" { print path "@" $3; exit }'
}

# go_tool PACKAGE@VERSION builds a Go program into ./bin unless it is there.
go_tool() {
  local name=${1%@*}
  name=${name##*/}
  if [ "$(built "$name")" = "$1" ]; then
    return
  fi
  echo "tools: building $name ${1##*@}"
  GOWORK=off GOFLAGS=-mod=mod GOBIN="$bin" go install "$1"
}

# npm_buf takes the ready-made buf from its npm package: npm checks the hashes
# of scripts/tools/package-lock.json and runs no script of the package.
npm_buf() {
  local dir="$bin/.npm" found
  mkdir -p "$dir"
  cp scripts/tools/package.json scripts/tools/package-lock.json "$dir/"
  npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null || return 1
  found=$(find "$dir/node_modules/@bufbuild" -path '*/buf-*/bin/buf' -type f | head -n 1)
  [ -n "$found" ] && install -m 755 "$found" "$bin/buf"
}

install_buf() {
  if [ "$("$bin/buf" --version 2>/dev/null)" = "${buf##*@v}" ]; then
    return
  fi
  echo "tools: installing buf ${buf##*@}"
  if command -v npm >/dev/null && npm_buf; then
    return
  fi
  echo "tools: no npm package to be had, building buf from source"
  GOWORK=off GOFLAGS=-mod=mod GOBIN="$bin" go install "$buf"
}

install_proto() {
  install_buf
  go_tool "$protoc_gen_go"
  go_tool "$protoc_gen_go_grpc"
  go_tool "$protoc_gen_grpc_gateway"
}

install_lint() {
  go_tool "$golangci_lint"
}

case "${1:-all}" in
  all) install_proto && install_lint ;;
  proto) install_proto ;;
  lint) install_lint ;;
  *)
    echo "tools: unknown set \"$1\": want all, proto or lint" >&2
    exit 2
    ;;
esac
