// Package ledgertest gives tests the engines a ledger works with, and the laws
// every ledger must keep as a conformance suite.
package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nurturehq/nurture/pkg/engines"
)

// Miniredis starts the embedded stand-in for this test.
func Miniredis(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	addr, stop, err := engines.StartRedis()
	if err != nil {
		tb.Fatal(err)
	}
	rdb := engines.NewRedis(addr)
	tb.Cleanup(func() { _ = rdb.Close(); stop() })
	return rdb
}

// RedisServer starts a real redis-server on a free loopback port for this test.
// The test fails when it is not installed: a suite that skips proves nothing.
func RedisServer(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Fatal("redis-server is not installed: run `make test`, which installs it when root, or `apt-get install redis-server`")
	}
	addr := freeAddr(tb)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(bin, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", tb.TempDir()) //nolint:gosec,noctx // a test's own server, ended below
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	rdb := engines.NewRedis(addr)
	tb.Cleanup(func() { _ = rdb.Close() })
	Eventually(tb, "redis-server answers", func() bool { return rdb.Ping(tb.Context()).Err() == nil })
	return rdb
}

// freeAddr is a free port below those that the system hands out for outgoing
// connections: nobody else gets it by chance before the server has it.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	const lowest, span = 18000, 12000
	var lc net.ListenConfig
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(span)) //nolint:gosec // no secret
		if l, err := lc.Listen(tb.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	tb.Fatal("no free port was found")
	return ""
}

// Eventually waits up to a minute for a condition: long enough for a busy
// machine, and only a failing test takes it.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			tb.Fatalf("still not so after a minute: %s", what)
		case <-tick.C:
		}
	}
}
