package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Suppressed is the list of addresses that get no mail: keyed hashes in the log,
// no lead's record, so that it outlives every lead. The last message of a
// subject counts; nothing is ever taken away.
type Suppressed struct{ bus *bus.Bus }

// NewSuppressed makes the list over the log.
func NewSuppressed(b *bus.Bus) *Suppressed { return &Suppressed{bus: b} }

// listed is an entry and its place in the log.
type listed struct {
	entry *ingestv1.SuppressionEntry
	seq   uint64
}

// Look reads entries, also lifted ones, from the log itself; keys without one
// are left out.
func (s *Suppressed) Look(ctx context.Context, keys []identity.Key) (map[identity.Key]*ingestv1.SuppressionEntry, error) {
	found, err := s.look(ctx, keys)
	if err != nil {
		return nil, err
	}
	entries := make(map[identity.Key]*ingestv1.SuppressionEntry, len(found))
	for k, l := range found {
		entries[k] = l.entry
	}
	return entries, nil
}

func (s *Suppressed) look(ctx context.Context, keys []identity.Key) (map[identity.Key]listed, error) {
	found := map[identity.Key]listed{}
	for len(keys) > 0 {
		n := min(len(keys), maxRead)
		if err := s.lookPart(ctx, keys[:n], found); err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return found, nil
}

func (s *Suppressed) lookPart(ctx context.Context, keys []identity.Key, found map[identity.Key]listed) error {
	subjects := make([]string, len(keys))
	bySubject := make(map[string]identity.Key, len(keys))
	for i, k := range keys {
		subjects[i] = Subject(k)
		bySubject[subjects[i]] = k
	}
	msgs, err := s.bus.LastMsgs(ctx, bus.Leads, subjects)
	if err != nil {
		return fmt.Errorf("read the suppression list: %w", err)
	}
	for subject, msg := range msgs {
		e := &ingestv1.SuppressionEntry{}
		if err := proto.Unmarshal(msg.Data, e); err != nil {
			return fmt.Errorf("decode suppression %d: %w", msg.Sequence, err)
		}
		found[bySubject[subject]] = listed{e, msg.Sequence}
	}
	return nil
}

// Add puts addresses on the list, durably, and gives how many were not on it for
// as strong a reason.
func (s *Suppressed) Add(ctx context.Context, keys []identity.Key, e *ingestv1.SuppressionEntry) (added int, err error) {
	for range maxRounds {
		found, err := s.look(ctx, keys)
		if err != nil {
			return added, err
		}
		lost := keys[:0:0]
		for _, k := range keys {
			have, ok := found[k]
			if ok && !consent.Replaces(e, have.entry) {
				continue
			}
			switch err := s.put(ctx, k, e, have.seq); {
			case errors.Is(err, bus.ErrConflict):
				lost = append(lost, k)
			case err != nil:
				return added, err
			default:
				added++
			}
		}
		if keys = lost; len(keys) == 0 {
			return added, nil
		}
	}
	return added, ErrContended
}

// Lift writes over an entry that it is lifted, if allowed says so of the one
// that counts. It reports whether there was one to lift.
func (s *Suppressed) Lift(ctx context.Context, k identity.Key, by *ingestv1.SuppressionEntry, allowed func(have *ingestv1.SuppressionEntry) error) (bool, error) {
	for range maxRounds {
		found, err := s.look(ctx, []identity.Key{k})
		if err != nil {
			return false, err
		}
		have, ok := found[k]
		if !ok || have.entry.GetLifted() {
			return false, nil
		}
		if err := allowed(have.entry); err != nil {
			return false, err
		}
		by.Reason, by.Lifted = have.entry.GetReason(), true
		err = s.put(ctx, k, by, have.seq)
		if !errors.Is(err, bus.ErrConflict) {
			return err == nil, err
		}
	}
	return false, ErrContended
}

func (s *Suppressed) put(ctx context.Context, k identity.Key, e *ingestv1.SuppressionEntry, seq uint64) error {
	data, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode suppression: %w", err)
	}
	if _, err := s.bus.Publish(ctx, bus.ExpectLast(&nats.Msg{Subject: Subject(k), Data: data}, seq)); err != nil {
		return fmt.Errorf("write the suppression list: %w", err)
	}
	return nil
}

// List gives up to limit entries that count, by their place in the log, after
// the given one. next is 0 at the end.
func (s *Suppressed) List(ctx context.Context, after uint64, limit int) (list []*ingestv1.ListedSuppression, next uint64, err error) {
	prefix := bus.IdentitySubject(identity.Suppressed.String(), "")
	for msg, err := range s.bus.Read(ctx, bus.Leads, prefix+"*", after+1) {
		if err != nil {
			return nil, 0, fmt.Errorf("list suppressions: %w", err)
		}
		last, err := s.isLast(ctx, msg)
		if err != nil {
			return nil, 0, err
		}
		if !last {
			continue
		}
		e := &ingestv1.SuppressionEntry{}
		if err := proto.Unmarshal(msg.Data, e); err != nil {
			return nil, 0, fmt.Errorf("decode suppression %d: %w", msg.Sequence, err)
		}
		hash := strings.TrimPrefix(msg.Subject, prefix)
		if list = append(list, &ingestv1.ListedSuppression{Hash: hash, Entry: e}); len(list) >= limit {
			return list, msg.Sequence, nil
		}
	}
	return list, 0, nil
}

// isLast reports whether a message is the one that counts.
func (s *Suppressed) isLast(ctx context.Context, msg *jetstream.RawStreamMsg) (bool, error) {
	last, err := s.bus.LastMsg(ctx, bus.Leads, msg.Subject)
	if err != nil {
		return false, fmt.Errorf("list suppressions: %w", err)
	}
	return last.Sequence == msg.Sequence, nil
}
