package leadview

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/pkg/ledger"
)

const (
	// redisPatience is how long the cache may take before its owners are asked.
	redisPatience = 250 * time.Millisecond
	// perCall is how many leads the owners take in one call.
	perCall = 1000
)

// Ingest is the part of ingest's client that is used here.
type Ingest interface {
	BatchGetLeads(ctx context.Context, in *ingestv1.BatchGetLeadsRequest, opts ...grpc.CallOption) (*ingestv1.BatchGetLeadsResponse, error)
}

// Scoring is the part of scoring's client that is used here.
type Scoring interface {
	BatchGetScores(ctx context.Context, in *scoringv1.BatchGetScoresRequest, opts ...grpc.CallOption) (*scoringv1.BatchGetScoresResponse, error)
}

// Campaign is the part of campaign's client that is used here.
type Campaign interface {
	BatchGetEnrollments(ctx context.Context, in *campaignv1.BatchGetEnrollmentsRequest, opts ...grpc.CallOption) (*campaignv1.BatchGetEnrollmentsResponse, error)
}

// Deps are where the parts come from. A nil client leaves its part out; the
// generated clients fit. Redis is optional.
type Deps struct {
	Redis    redis.UniversalClient
	Ingest   Ingest
	Scoring  Scoring
	Campaign Campaign
}

// Views reads views.
type Views struct {
	redis redis.UniversalClient
	parts []part
}

// part is what one service knows about a lead.
type part struct {
	// stream is the owner's, for the key of its cached record.
	stream string
	// read puts the state of a cached record into a view.
	read func(state []byte, view *leadv1.View) error
	// ask fetches up to perCall leads from the owner into their views.
	ask func(ctx context.Context, ids []string, views map[string]*leadv1.View) error
}

// New prepares views of the parts whose owners are given.
func New(deps Deps) *Views {
	v := &Views{redis: deps.Redis}
	if deps.Ingest != nil {
		v.parts = append(v.parts, leadPart(deps.Ingest))
	}
	if deps.Scoring != nil {
		v.parts = append(v.parts, scorePart(deps.Scoring))
	}
	if deps.Campaign != nil {
		v.parts = append(v.parts, programPart(deps.Campaign))
	}
	return v
}

// View answers a view for every id. Parts that their owner does not know are
// absent: a lead that nobody knows has its id alone. A lead that ingest knows
// and scoring has not seen yet is NEW. An owner that cannot be asked is an
// error; it is worth trying again.
func (v *Views) View(ctx context.Context, ids []string) (map[string]*leadv1.View, error) {
	views := make(map[string]*leadv1.View, len(ids))
	for _, id := range ids {
		views[id] = &leadv1.View{LeadId: id}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	missing := v.fromCache(ctx, ids, views)

	// The parts write different fields of the views.
	asking, ctx := errgroup.WithContext(ctx)
	for i, p := range v.parts {
		asking.Go(func() error {
			for chunk := range slices.Chunk(missing[i], perCall) {
				if err := p.ask(ctx, chunk, views); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, fmt.Errorf("view leads: %w", err)
	}
	for _, view := range views {
		if view.GetLead() != nil && view.GetStage() == leadv1.Stage_STAGE_UNSPECIFIED {
			view.Stage = leadv1.Stage_STAGE_NEW
		}
	}
	return views, nil
}

// fromCache fills in what Redis has and answers, per part, the leads it has
// not. One MGET per lead, all in one round trip: a lead's keys are on one node
// of a cluster, different leads' need not be.
func (v *Views) fromCache(ctx context.Context, ids []string, views map[string]*leadv1.View) [][]string {
	missing := make([][]string, len(v.parts))
	cached := v.mget(ctx, ids)
	for n, id := range ids {
		for i, p := range v.parts {
			if cached == nil || !p.fill(cached[n].Val(), i, views[id]) {
				missing[i] = append(missing[i], id)
			}
		}
	}
	return missing
}

func (v *Views) mget(ctx context.Context, ids []string) []*redis.SliceCmd {
	if v.redis == nil || len(ids) == 0 || len(v.parts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	pipe := v.redis.Pipeline()
	cmds := make([]*redis.SliceCmd, len(ids))
	keys := make([]string, len(v.parts))
	for n, id := range ids {
		for i, p := range v.parts {
			keys[i] = ledger.CacheKey(p.stream, id)
		}
		cmds[n] = pipe.MGet(ctx, keys...)
	}
	// Commands that failed have no values, and so are asked of the owners.
	_, _ = pipe.Exec(ctx)
	return cmds
}

// fill reads the i-th of a lead's cached values. A value that cannot be read is
// as good as none.
func (p part) fill(values []any, i int, view *leadv1.View) bool {
	if i >= len(values) {
		return false
	}
	text, ok := values[i].(string)
	if !ok {
		return false
	}
	_, rec, err := ledger.DecodeCache([]byte(text))
	return err == nil && p.read(rec.GetState(), view) == nil
}
