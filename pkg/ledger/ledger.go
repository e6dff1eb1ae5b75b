package ledger

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
)

// Source is one stream a service folds.
type Source struct {
	// Stream is the name, e.g. bus.Leads.
	Stream string
	// Kinds are the last tokens wanted, e.g. "state" or "outcome.*".
	Kinds []string
}

// Options say what a service is. Service, Stream, New and Fold are required.
type Options[S proto.Message] struct {
	// Service names consumers, parked messages and metrics, e.g. "scoring".
	Service string
	// Stream is the service's own, e.g. bus.Scores.
	Stream string
	// New makes the state of a lead never seen.
	New func() S
	// Fold decides.
	Fold Fold[S]
	// Sources are what it folds besides commands; its own wake-ups and redriven
	// inputs come by themselves.
	Sources []Source
	// Enrich may set View on inputs just before they are folded, in one call for
	// all that are at hand. Optional. Its errors are transient unless it parks.
	Enrich func(ctx context.Context, ins []*Input) error
	// Lanes is how many goroutines share the buckets. Default 1, at most 64.
	Lanes int
	// RecentIDs is how many ids of commands a state remembers. Default 16.
	RecentIDs int
	// CacheLeads bounds the states each lane keeps in memory. Default 10000.
	CacheLeads int
	// MaxAttempts is how often a failing input is tried before it is parked. Default 5.
	MaxAttempts int
}

// Deps are what a ledger works with.
type Deps struct {
	Bus *bus.Bus
	// Redis caches states; nil or unreachable costs speed, nothing else.
	Redis redis.UniversalClient
	Log   *slog.Logger
	// Now is the clock of commands. Default time.Now.
	Now func() time.Time
}
