package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
)

// stations tells where the time of a ready lead goes, by the times at which the
// log stored things: the first record of each service, and sales' last.
func (r *rig) stations(ctx context.Context, at string) ([]Line, error) {
	first, last := map[string]map[string]time.Time{}, map[string]time.Time{}
	names := []string{bus.Leads, bus.Scores, bus.Handoff}
	for _, name := range names {
		first[name] = map[string]time.Time{}
		for msg, err := range r.bus.Read(ctx, name, bus.Filter(name, "*", bus.KindState), 1) {
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			lead, _, _, _ := bus.Split(msg.Subject)
			if _, seen := first[name][lead]; !seen {
				first[name][lead] = msg.Time
			}
			if name == bus.Handoff {
				last[lead] = msg.Time
			}
		}
	}
	legs := []struct {
		name     string
		from, to map[string]time.Time
	}{
		{"speed_leads_to_scores", first[bus.Leads], first[bus.Scores]},
		{"speed_scores_to_handoff", first[bus.Scores], first[bus.Handoff]},
		{"speed_handoff_to_settled", first[bus.Handoff], last},
	}
	var lines []Line
	for _, leg := range legs {
		var took []time.Duration
		for lead, to := range leg.to {
			took = append(took, to.Sub(leg.from[lead]))
		}
		lines = append(lines,
			Line{leg.name + "_p50" + at, quantile(took, .5), "ms"},
			Line{leg.name + "_p99" + at, quantile(took, .99), "ms"})
	}
	return lines, nil
}
