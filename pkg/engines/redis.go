package engines

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// StartRedis starts the stand-in for Redis on a free loopback port. It keeps
// nothing over a restart, which is all the platform asks of Redis.
func StartRedis() (addr string, stop func(), err error) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return "", nil, fmt.Errorf("start embedded Redis: %w", err)
	}
	return m.Addr(), m.Close, nil
}

// NewRedis opens a client that gives up quickly: a cache that is slower than
// the log is worse than none.
func NewRedis(addr string) redis.UniversalClient {
	return redis.NewUniversalClient(redisOptions(addr))
}
