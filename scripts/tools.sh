#!/usr/bin/env bash
# Installs the pinned build tools into ./bin, which git ignores. Needs Go, and
# npm for the quick way to buf (without npm, buf is built from source). Says
# nothing and needs no network when everything is there already.
#
#   scripts/tools.sh            all of them
#   scripts/tools.sh proto      buf and the code generators only
#   scripts/tools.sh lint       golangci-lint only
#   scripts/tools.sh redis      a redis-server to test against, by apt as root
#   scripts/tools.sh test       that, curl and openssl, by apt as root
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$PWD/bin"
mkdir -p "$bin"

golangci_lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
protoc_gen_go=google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
protoc_gen_go_grpc=google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
protoc_gen_grpc_gateway=github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.32.0
buf=github.com/bufbuild/buf/cmd/buf@v1.75.0
# SHA-512 of the npm packages of that version.
buf_linux_x64=606189031d25a4c084eda3168cd38971fa04686fdefa26079d30b8499d0fe5e4b821f7ccaf203d678fdb6f59b5c0d5c0109f004c530464e024ff9c7d544e3b8a
buf_linux_aarch64=797f97ca8933243aac348168f1bd4edc306f6e792c3a8ccf257e1056c367eb526a494b56b29c9335e62ac20f254436a770c2fe6c3a9910314f0018c0b1509019

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

# npm_buf takes the ready-made buf from its npm package, if its hash is the one
# we know. No script of the package is run.
npm_buf() {
  local platform sum dir
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux-x64 sum=$buf_linux_x64 ;;
    Linux-aarch64) platform=linux-aarch64 sum=$buf_linux_aarch64 ;;
    *) return 1 ;;
  esac
  dir=$(mktemp -d)
  (cd "$dir" &&
    npm pack --silent "@bufbuild/buf-$platform@${buf##*@v}" >/dev/null 2>&1 &&
    mv ./*.tgz buf.tgz &&
    echo "$sum  buf.tgz" | sha512sum --check --quiet &&
    tar -xzf buf.tgz &&
    install -m 755 package/bin/buf "$bin/buf")
  local result=$?
  rm -rf "$dir"
  return "$result"
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

# apt_install PACKAGE... installs mere binaries, when this runs as root on Debian.
apt_install() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    return 1
  fi
  echo "tools: installing $*"
  apt-get update -qq
  # RUNLEVEL=1 keeps them mere binaries: no service is started.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# install_redis makes sure that there is a real redis-server: the suites that
# need one fail without it, since a suite that skips proves nothing.
install_redis() {
  if command -v redis-server >/dev/null || apt_install redis-server; then
    return
  fi
  echo "tools: there is no redis-server: install it (Debian: sudo apt-get install redis-server; macOS: brew install redis)" >&2
  exit 1
}

# install_test adds what a reader of docs/howto types besides nurture. Where it
# cannot be installed that one test says so and is left out.
install_test() {
  install_redis
  if command -v curl >/dev/null && command -v openssl >/dev/null; then
    return
  fi
  apt_install ca-certificates curl openssl ||
    echo "tools: there is no curl or no openssl: the commands of docs/howto are not tried" >&2
}

case "${1:-all}" in
  all) install_proto && install_lint ;;
  proto) install_proto ;;
  lint) install_lint ;;
  redis) install_redis ;;
  test) install_test ;;
  *)
    echo "tools: unknown set \"$1\": want all, proto, lint, redis or test" >&2
    exit 2
    ;;
esac
