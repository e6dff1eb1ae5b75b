package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports below those that the system hands out for outgoing connections: a
// process that was killed must find its port free when it comes back.
const (
	lowestPort  = 18000
	highestPort = 30000
)

// Ports finds n different free ports on loopback.
func Ports(ctx context.Context, n int) ([]int, error) {
	found := make([]int, 0, n)
	var lc net.ListenConfig
	for tries := 0; len(found) < n; tries++ {
		if tries > 100*n {
			return nil, fmt.Errorf("find %d free ports between %d and %d: too few are free", n, lowestPort, highestPort)
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort) //nolint:gosec // no secret
		l, err := lc.Listen(ctx, "tcp", Addr(port))
		if err != nil {
			continue
		}
		defer l.Close() // kept until all are found, so that none is found twice
		found = append(found, port)
	}
	return found, nil
}

// Addr is a port on loopback as host:port.
func Addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
