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

// history gives all a person did, in the order it happened.
func (s *Server) history(ctx context.Context, lead string) ([]*leadv1.Activity, error) {
	acts, _, err := s.deeds(ctx, lead)
	return acts, err
}

// deeds gives all a person did, in the order it happened, and by the id of each of
// which lead it was told.
func (s *Server) deeds(ctx context.Context, lead string) (acts []*leadv1.Activity, about map[string]string, err error) {
	about = map[string]string{}
	judged := map[string]*leadv1.Activity{} // as it was recorded, with its verdict
	err = s.walk(ctx, lead, func(t tale) {
		if a := t.event.GetActivity(); a != nil && t.mine {
			acts = append(acts, a)
			about[a.GetId()] = t.about
		}
		if a := t.event.GetJudged().GetActivity(); a != nil {
			judged[a.GetId()] = a
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for i, a := range acts {
		if verdict := judged[a.GetId()]; verdict != nil {
			acts[i] = verdict
		}
	}
	slices.SortStableFunc(acts, func(a, b *leadv1.Activity) int {
		return cmp.Or(a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return acts, about, nil
}

// tale is one event with what recorded it.
type tale struct {
	record entry
	cause  *ledgerv1.Cause
	event  *ingestv1.Event
	// about is the lead it was told of; mine says that it is one of the person's.
	about string
	mine  bool
}

// walk visits all that was recorded of a person, under whichever of their leads'
// ids it was told: those that are one now, and, for what came meanwhile, those
// that they were merged into for a while. Nothing of an erased one.
func (s *Server) walk(ctx context.Context, lead string, visit func(tale)) error {
	e, err := s.Who.Find(ctx, lead)
	if err != nil {
		return err
	}
	if e.State.GetErasedAt() != nil { // what is still on the log is being removed
		return nil
	}
	own := append([]string{e.Lead}, e.State.GetMergedFrom()...)
	read, todo := map[string]bool{}, slices.Clone(own)
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		if read[id] {
			continue
		}
		read[id] = true
		records, err := s.records(ctx, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("read records: %w", err)
		}
		hosts, err := tell(records, own, visit)
		if err != nil {
			return err
		}
		todo = append(todo, hosts...)
	}
	return nil
}

// records reads a lead's records. The first record is all there is while there is
// no other, and Redis has that of a lead that came just now.
func (s *Server) records(ctx context.Context, lead string) ([]entry, error) {
	if e, err := s.Ledger.Peek(ctx, lead); err == nil && e.Record.GetVersion() == 1 {
		return []entry{e}, nil
	}
	return s.Ledger.History(ctx, lead)
}

// tell visits the events in a lead's records, and gives the leads that one of the
// person's was ever merged into.
func tell(records []entry, own []string, visit func(tale)) (hosts []string, err error) {
	for _, e := range records {
		events, err := eventsOf(e.Record)
		if err != nil {
			return nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
		}
		for _, c := range e.Record.GetCauses() {
			n := min(int(c.GetEvents()), len(events))
			about := cmp.Or(originOf(c), e.Lead)
			for _, event := range events[:n] {
				visit(tale{record: e, cause: c, event: event, about: about, mine: slices.Contains(own, about)})
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
	return hosts, nil
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
