// Package witness reads the streams when a torture run is over and tells what
// they say, fact by fact. It decodes records by itself: it shares no code with
// the services but the language they write.
package witness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Witness reads the log.
type Witness struct {
	js jetstream.JetStream
}

// New makes a witness on a connection of its own.
func New(js jetstream.JetStream) *Witness { return &Witness{js: js} }

// teller makes facts of the messages of one stream.
type teller interface {
	// tell takes one message; last gives the facts about last states.
	tell(m message) ([]torture.Fact, error)
	last() []torture.Fact
}

// message is one of a stream.
type message struct {
	stream, subject string
	seq             uint64
	at              time.Time
	data            []byte
	// lead, kind and id are the parts of its subject.
	lead, kind, id string
}

func (m message) fact(kind torture.FactKind) torture.Fact {
	return torture.Fact{Stream: m.stream, Seq: m.seq, At: m.at, Lead: m.lead, Kind: kind}
}

// facts makes facts of one message, all about the same lead.
type facts func(torture.FactKind) torture.Fact

// about makes facts about the lead of an event: of several that are one person
// the one that it was told of.
func (m message) about(origin string) facts {
	return func(kind torture.FactKind) torture.Fact {
		f := m.fact(kind)
		if origin != "" && origin != m.lead {
			f.Lead, f.Host = origin, m.lead
		}
		return f
	}
}

// Tell reads everything.
func (w *Witness) Tell(ctx context.Context) ([]torture.Fact, error) {
	var all []torture.Fact
	for _, s := range []struct {
		name   string
		teller teller
	}{
		{bus.Leads, newLeads()}, {bus.Scores, newScores()}, {bus.Campaign, newCampaign()}, {bus.Handoff, newHandoff()}, {bus.Parked, parked{}},
	} {
		err := w.read(ctx, s.name, func(m message) error {
			facts, err := s.teller.tell(m)
			all = append(all, facts...)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, s.teller.last()...)
	}
	return all, nil
}

// read gives every message of a stream in order.
func (w *Witness) read(ctx context.Context, name string, each func(message) error) error {
	s, err := w.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	last := s.CachedInfo().State
	if last.Msgs == 0 {
		return nil
	}
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	it, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		raw, err := it.Next()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, errors.Join(err, ctx.Err()))
		}
		meta, err := raw.Metadata()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		m := message{stream: name, subject: raw.Subject(), seq: meta.Sequence.Stream, at: meta.Timestamp.UTC(), data: raw.Data()}
		m.lead, m.kind, m.id, _ = bus.Split(m.subject)
		if err := each(m); err != nil {
			return fmt.Errorf("read %s/%d (%s): %w", name, m.seq, m.subject, err)
		}
		if m.seq >= last.LastSeq || meta.NumPending == 0 {
			return nil
		}
	}
}

// record decodes a record, its state, and its events.
func record[S, E proto.Message](data []byte, state S, newEvent func() E) (*ledgerv1.Record, []E, error) {
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(data, rec); err != nil {
		return nil, nil, fmt.Errorf("decode record: %w", err)
	}
	if err := proto.Unmarshal(rec.GetState(), state); err != nil {
		return nil, nil, fmt.Errorf("decode state: %w", err)
	}
	events := make([]E, len(rec.GetEvents()))
	for i, raw := range rec.GetEvents() {
		events[i] = newEvent()
		if err := proto.Unmarshal(raw, events[i]); err != nil {
			return nil, nil, fmt.Errorf("decode event %d: %w", i, err)
		}
	}
	return rec, events, nil
}

// Waiting names what the services have not read yet, and what came last into
// each stream: when neither changes, all is quiet.
func (w *Witness) Waiting(ctx context.Context) (waiting []string, mark string, err error) {
	for _, name := range []string{bus.Inbound, bus.Leads, bus.Scores, bus.Campaign, bus.Handoff} {
		s, err := w.js.Stream(ctx, name)
		if err != nil {
			return nil, "", fmt.Errorf("open stream %s: %w", name, err)
		}
		mark += fmt.Sprintf("%s=%d ", name, s.CachedInfo().State.LastSeq)
		list := s.ListConsumers(ctx)
		for c := range list.Info() {
			if c.Config.Durable != "" && c.NumPending+uint64(c.NumAckPending) > 0 {
				waiting = append(waiting, fmt.Sprintf("%s has %d unread and %d unanswered of %s", c.Config.Durable, c.NumPending, c.NumAckPending, name))
			}
		}
		if err := list.Err(); err != nil {
			return nil, "", fmt.Errorf("list consumers of %s: %w", name, err)
		}
	}
	return waiting, mark, nil
}
