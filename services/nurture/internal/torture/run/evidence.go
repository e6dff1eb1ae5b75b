package run

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/journal"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/witness"
)

// evidence waits until all work has ended and gathers what is known.
func (r *run) evidence(ctx context.Context) (*torture.Evidence, error) {
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := r.allReady(ready); err != nil {
		return nil, err
	}
	r.say("torture: the blows are over, waiting for the work to end")
	ev := &torture.Evidence{Seed: r.Plan.Seed}
	var err error
	if ev.Facts, ev.Waiting, err = r.calm(ctx); err != nil {
		return nil, err
	}
	ev.Quiet = len(ev.Waiting) == 0
	if ev.Facts, err = r.ask(ctx, ev.Facts); err != nil {
		return nil, err
	}
	if ev.Verified, err = r.verify(ctx); err != nil {
		return nil, err
	}
	for _, name := range r.fleet.Stop(stopPatience) {
		r.stubborn.Store(name, true)
	}
	for name := range r.stubborn.Range {
		ev.Crashes = append(ev.Crashes, fmt.Sprintf("%v did not end when it was asked to", name))
	}
	ev.Crashes = append(ev.Crashes, r.fleet.Panics()...)
	r.say("torture: ended by themselves and started again: %v", r.fleet.Exits())
	ev.Journal, err = journal.Read(filepath.Join(r.Dir, "journal.jsonl"))
	return ev, err
}

// calm waits until nobody has anything left to do, and returns the facts of
// that moment, or after the patience what still waits.
func (r *run) calm(ctx context.Context) (facts []torture.Fact, waiting []string, err error) {
	w, before := r.witness(), ""
	end := r.Now().Add(r.Profile.Calm)
	for {
		var mark string
		waiting, mark, err = w.Waiting(ctx)
		if n := r.load.Busy(); n > 0 {
			waiting = append(waiting, fmt.Sprintf("%d people have something left to say", n))
		}
		if err == nil && len(waiting) == 0 && mark == before {
			if facts, err = w.Tell(ctx); err == nil {
				waiting = open(facts)
			}
			if err == nil && len(waiting) == 0 {
				return facts, nil, nil
			}
		}
		before = mark
		if r.Now().After(end) {
			break
		}
		if !sleep(ctx, time.Second) {
			return nil, nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	facts, err = w.Tell(ctx)
	return facts, waiting, err
}

// maxNamed bounds how many open things are named.
const maxNamed = 10

// open names what has begun and not ended.
func open(facts []torture.Fact) []string {
	names := append(unjudged(facts), awaited(facts)...)
	unfinished := []string{torture.StatusPlanned, torture.StatusDeferred, torture.StatusActive, torture.StatusPending, torture.StatusRetrying}
	for _, f := range facts {
		journey := f.Kind == torture.Touch || f.Kind == torture.Enrollment || f.Kind == torture.Delivery
		if journey && slices.Contains(unfinished, f.Status) && len(names) < maxNamed {
			names = append(names, fmt.Sprintf("%s %s is %s", f.Kind, f.ID, f.Status))
		}
	}
	return names
}

// unjudged names opens and clicks that wait for their verdict.
func unjudged(facts []torture.Fact) []string {
	judged := map[string]bool{}
	for _, f := range facts {
		judged[f.ID] = judged[f.ID] || f.Kind == torture.Judged
	}
	var names []string
	for _, f := range facts {
		if f.Kind == torture.Activity && torture.IsHit(f.Type) && !judged[f.ID] && len(names) < maxNamed {
			names = append(names, fmt.Sprintf("hit %s has no verdict", f.ID))
		}
	}
	return names
}

// awaited names leads that have not seen what others hand over to them.
func awaited(facts []torture.Fact) []string {
	var names []string
	for _, f := range facts {
		if f.Kind == torture.Awaits && len(names) < maxNamed {
			names = append(names, fmt.Sprintf("%s waits in %s for %s", f.Lead, f.Stream, f.Ref))
		}
	}
	return names
}

// ask compares what the services answer: with the cache as the run left it, and
// with an empty one.
func (r *run) ask(ctx context.Context, facts []torture.Fact) ([]torture.Fact, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var warm, cold []torture.Fact
	for _, i := range r.place.Instances {
		if i.Service == "ingest" {
			if err := witness.Unseal(ctx, i.GRPC, facts); err != nil {
				return nil, err
			}
		}
		said, err := witness.Ask(ctx, witness.Service{Name: i.Service, GRPC: i.GRPC}, facts, i.Name+", with the cache as it was left")
		if err != nil {
			return nil, err
		}
		warm = append(warm, said...)
	}
	if err := r.flush(ctx); err != nil {
		return nil, err
	}
	for _, i := range r.place.Instances {
		said, err := witness.Ask(ctx, witness.Service{Name: i.Service, GRPC: i.GRPC}, facts, i.Name+", with an empty cache")
		if err != nil {
			return nil, err
		}
		cold = append(cold, said...)
	}
	return append(append(facts, warm...), cold...), nil
}

// verify rebuilds every state from the log.
func (r *run) verify(ctx context.Context) ([]torture.Verified, error) {
	reports, err := box.VerifyLog(ctx, r.bus, box.Verification{Config: r.place.ConfigDir(), Service: "all", DataKey: r.place.Key})
	if err != nil {
		return nil, err
	}
	all := make([]torture.Verified, 0, len(reports))
	for _, v := range reports {
		one := torture.Verified{Service: v.Service, Leads: v.Leads, Records: v.Records}
		for _, m := range v.Mismatches {
			one.Mismatches = append(one.Mismatches, fmt.Sprintf("%s at %d: %s", m.Lead, m.Seq, m.Why))
		}
		all = append(all, one)
		r.say("torture: verify %s: leads=%d records=%d mismatches=%d", v.Service, v.Leads, v.Records, len(v.Mismatches))
	}
	return all, nil
}
