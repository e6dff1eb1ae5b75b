package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

type entry = ledger.Entry[*ingestv1.State]

// history gives all a person did, in the order it happened, under whichever of
// their leads' ids it was told: those that are one now, and those they were
// merged into for a while.
func (s *Server) history(ctx context.Context, lead string) ([]*leadv1.Activity, error) {
	e, err := s.Who.Find(ctx, lead)
	if err != nil {
		return nil, err
	}
	if e.State.GetErasedAt() != nil { // what is still on the log is being removed
		return nil, nil
	}
	own := append([]string{e.Lead}, e.State.GetMergedFrom()...)
	read, todo := map[string]bool{}, slices.Clone(own)
	var acts []*leadv1.Activity
	judged := map[string]*leadv1.Activity{} // as it was recorded, with its verdict
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		if read[id] {
			continue
		}
		read[id] = true
		records, err := s.records(ctx, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return nil, fmt.Errorf("read records: %w", err)
		}
		did, hosts, err := told(records, own, judged)
		if err != nil {
			return nil, err
		}
		acts, todo = append(acts, did...), append(todo, hosts...)
	}
	for i, a := range acts {
		if verdict := judged[a.GetId()]; verdict != nil {
			acts[i] = verdict
		}
	}
	slices.SortStableFunc(acts, func(a, b *leadv1.Activity) int {
		return cmp.Or(a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return acts, nil
}

// records reads a lead's records. The first record is all there is while there is
// no other, and Redis has that of a lead that came just now.
func (s *Server) records(ctx context.Context, lead string) ([]entry, error) {
	if e, err := s.Ledger.Peek(ctx, lead); err == nil && e.Record.GetVersion() == 1 {
		return []entry{e}, nil
	}
	return s.Ledger.History(ctx, lead)
}

// told reads out of a lead's records what one of the given leads did, and into
// which leads this one was ever merged.
func told(records []entry, own []string, judged map[string]*leadv1.Activity) (acts []*leadv1.Activity, hosts []string, err error) {
	for _, e := range records {
		events, err := eventsOf(e.Record)
		if err != nil {
			return nil, nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
		}
		for _, c := range e.Record.GetCauses() {
			n := min(int(c.GetEvents()), len(events))
			mine := slices.Contains(own, cmp.Or(originOf(c), e.Lead))
			for _, event := range events[:n] {
				if a := event.GetActivity(); a != nil && mine {
					acts = append(acts, a)
				}
				if a := event.GetJudged().GetActivity(); a != nil {
					judged[a.GetId()] = a
				}
				if m := event.GetMergedInto(); m != nil && slices.Contains(own, e.Lead) {
					hosts = append(hosts, m.GetIntoLeadId())
				}
				for _, h := range event.GetRestored().GetHosts() {
					hosts = append(hosts, h.GetLeadId())
				}
			}
			events = events[n:]
		}
	}
	return acts, hosts, nil
}

// originOf gives the lead that a command was about, when it was merged into the
// one that has the record.
func originOf(c *ledgerv1.Cause) string {
	cmd := &ingestv1.Apply{}
	if err := proto.Unmarshal(c.GetCommand(), cmd); err != nil {
		return "" // one that cannot be read never made an event
	}
	return cmd.GetOrigin()
}

func eventsOf(rec *ledgerv1.Record) ([]*ingestv1.Event, error) {
	events := make([]*ingestv1.Event, len(rec.GetEvents()))
	for i, raw := range rec.GetEvents() {
		events[i] = &ingestv1.Event{}
		if err := proto.Unmarshal(raw, events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// activities reads what was done out of records, in the order it happened.
func activities(history []ledger.Entry[*ingestv1.State]) ([]*leadv1.Activity, error) {
	var acts []*leadv1.Activity
	at := map[string]int{} // where an open or a click is, by its id
	for _, e := range history {
		for _, raw := range e.Record.GetEvents() {
			event := &ingestv1.Event{}
			if err := proto.Unmarshal(raw, event); err != nil {
				return nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
			}
			if a := event.GetActivity(); a != nil {
				at[a.GetId()] = len(acts)
				acts = append(acts, a)
			}
			if a := event.GetJudged().GetActivity(); a != nil {
				if i, ok := at[a.GetId()]; ok {
					acts[i] = a // as it was recorded, with its verdict
				}
			}
		}
	}
	slices.SortStableFunc(acts, func(a, b *leadv1.Activity) int {
		return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime())
	})
	return acts, nil
}
