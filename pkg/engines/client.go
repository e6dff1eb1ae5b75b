package engines

import (
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisOptions turns an address ("host:port", several separated by commas, or a
// redis:// URL) into options with short timeouts and no retries: every read has
// the log to fall back on.
func redisOptions(addr string) *redis.UniversalOptions {
	o := &redis.UniversalOptions{Addrs: strings.Split(addr, ",")}
	if u, err := redis.ParseURL(addr); err == nil {
		o.Addrs = []string{u.Addr}
		o.Username, o.Password, o.DB, o.TLSConfig = u.Username, u.Password, u.DB, u.TLSConfig
	}
	o.DialTimeout = 200 * time.Millisecond
	o.ReadTimeout = 200 * time.Millisecond
	o.WriteTimeout = 200 * time.Millisecond
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	return o
}
