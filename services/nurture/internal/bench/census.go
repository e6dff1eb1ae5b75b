package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
)

// written counts the durable messages of every stream that a lead leaves traces in.
type written map[string]uint64

// counted lists those streams in the order a lead passes them.
func counted() []string {
	return []string{bus.Inbound, bus.Leads, bus.Scores, bus.Campaign, bus.Handoff, bus.Outbound, bus.Parked}
}

// census counts the messages written so far, those since removed included.
func (r *rig) census(ctx context.Context) (written, error) {
	all := written{}
	for _, name := range counted() {
		s, err := r.bus.JS.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		all[name] = s.CachedInfo().State.LastSeq
	}
	return all, nil
}

// quietFor is how long nothing may be written until everything counts as done.
const quietFor = time.Second

// quiet waits until nothing is written any more and counts.
func (r *rig) quiet(ctx context.Context) (written, error) {
	var last written
	since := time.Now()
	err := until(ctx, "nothing is written any more", func() (bool, error) {
		now, err := r.census(ctx)
		if err != nil {
			return false, err
		}
		if last == nil || now.total() != last.total() {
			last, since = now, time.Now()
		}
		return time.Since(since) > quietFor, nil
	})
	return last, err
}

func (w written) total() uint64 {
	sum := uint64(0)
	for _, n := range w {
		sum += n
	}
	return sum
}

// each makes lines of what was written since, per one of n things: the sum as
// name, and a line for every stream.
func (w written) each(name string, since written, n int) []Line {
	lines := []Line{{name, float64(w.total()-since.total()) / float64(n), "messages"}}
	for _, stream := range counted() {
		if more := w[stream] - since[stream]; more > 0 {
			lines = append(lines, Line{name + "_" + strings.ToLower(stream), float64(more) / float64(n), "messages"})
		}
	}
	return lines
}
