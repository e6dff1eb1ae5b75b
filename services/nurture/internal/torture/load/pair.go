package load

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
)

// met notes which lead somebody turned out to be, the first time that ingest says
// so.
func (l *Load) met(who, lead string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leads[who] == "" {
		l.leads[who] = lead
	}
}

// of gives the leads of a pair; empty for one that nobody knows yet.
func (l *Load) of(p torture.Pair) (into, from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads[p.Into.Key], l.leads[p.From.Key]
}

// known waits until both of a pair have a lead; false when their scripts ended
// and they never had.
func (l *Load) known(ctx context.Context, p torture.Pair, scripts ...<-chan struct{}) bool {
	for {
		over := closed(scripts) // before the look: nothing comes after it
		if into, from := l.of(p); into != "" && from != "" {
			return true
		}
		if over || !sleep(ctx, 100*time.Millisecond) {
			return false
		}
	}
}

func closed(all []<-chan struct{}) bool {
	for _, ch := range all {
		select {
		case <-ch:
		default:
			return false
		}
	}
	return true
}

// pair merges two leads, lets both go on, and separates them when it was a
// mistake. What did not happen for sure is not undone.
func (l *Load) pair(ctx context.Context, p torture.Pair) {
	if !sleep(ctx, p.After) {
		return
	}
	sure := l.say(ctx, p, torture.Merge)
	if sure || p.GiveUp {
		l.goOn(ctx, p.Merged)
	}
	if !sure || !p.Unmerge || !sleep(ctx, p.Stay) || !l.say(ctx, p, torture.Unmerge) {
		return
	}
	l.goOn(ctx, p.Parted)
}

func (l *Load) goOn(ctx context.Context, steps []torture.PairStep) {
	for _, s := range steps {
		if !sleep(ctx, s.Pause) {
			return
		}
		l.send(ctx, s.By, []torture.Step{s.Step})
	}
}

// say tells ingest that two leads are one person, or that they are not.
func (l *Load) say(ctx context.Context, p torture.Pair, what torture.Kind) bool {
	into, from := l.of(p)
	address, body := l.Ingest+"/v1/leads/"+into+":merge", map[string]string{"from_lead_id": from, "by": "torture"}
	if what == torture.Unmerge {
		address, body = l.Ingest+"/v1/leads/"+from+":unmerge", map[string]string{"by": "torture"}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		l.Fail(err)
		return false
	}
	return l.try(ctx, call{
		lines:  []torture.Line{{ID: string(what) + "-" + p.From.Key, Lead: into, From: from, Kind: what}},
		giveUp: p.GiveUp && what == torture.Merge,
		do: func(ctx context.Context) answer {
			l.begin(func() { // somewhere between its first step and its last
				if sleep(ctx, time.Duration(sink.Roll(l.Seed, from, 12))*time.Millisecond) {
					l.Merging()
				}
			})
			a := l.post(ctx, address, "application/json", raw)
			a.lead = "" // the line says who
			return a
		},
	})
}
