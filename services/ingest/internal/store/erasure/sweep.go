package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/mention"
)

// How often a moment is looked for in which everything on inbound is handled.
const (
	clearTries = 25
	clearEvery = 20 * time.Millisecond
)

// traces are the identities of a person, as they are in what is about to be
// forgotten. They are never written down.
type traces struct {
	keys        map[identity.Key]bool
	ids, phones map[string]bool
}

// gather reads the identities of a person from all that was recorded of it.
func (e *Eraser) gather(ctx context.Context, c *ingestv1.Erasure) (traces, error) {
	t := traces{keys: map[identity.Key]bool{}, ids: map[string]bool{}, phones: map[string]bool{}}
	for _, lead := range c.GetLeadIds() {
		t.ids[lead] = true
		history, err := e.Ledger.History(ctx, lead)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return traces{}, err
		}
		for _, entry := range history {
			if err := e.trace(&t, entry); err != nil {
				return traces{}, err
			}
		}
	}
	return t, nil
}

// trace adds what one record tells: the state's identities, and what each
// command told.
func (e *Eraser) trace(t *traces, entry ledger.Entry[*ingestv1.State]) error {
	l := entry.State.GetLead()
	told := []*ingestv1.CaptureLeadRequest{{Profile: l.GetProfile()}}
	for _, email := range entry.State.GetEmails() {
		told = append(told, &ingestv1.CaptureLeadRequest{Profile: &leadv1.Profile{Email: email}})
	}
	for _, id := range l.GetUserIds() {
		told = append(told, &ingestv1.CaptureLeadRequest{UserId: id})
	}
	for _, id := range l.GetAnonymousIds() {
		told = append(told, &ingestv1.CaptureLeadRequest{AnonymousId: id})
	}
	for _, phone := range l.GetPhones() {
		told = append(told, &ingestv1.CaptureLeadRequest{Profile: &leadv1.Profile{Phone: phone}})
	}
	told = append(told, &ingestv1.CaptureLeadRequest{ExternalIds: l.GetExternalIds()})
	cmds, err := commands(entry)
	if err != nil {
		return err
	}
	for _, cmd := range cmds {
		told = append(told, cmd.GetCapture())
	}
	for _, capture := range told {
		t.add(capture, e.Keys(capture))
	}
	return nil
}

func (t *traces) add(c *ingestv1.CaptureLeadRequest, keys []identity.Key) {
	for _, k := range keys {
		t.keys[k] = true
	}
	for _, id := range []string{c.GetProfile().GetEmail(), c.GetUserId(), c.GetAnonymousId(), c.GetExternalId()} {
		if id != "" {
			t.ids[id] = true
		}
	}
	for _, id := range c.GetExternalIds() {
		if _, own, ok := strings.Cut(id, ":"); ok {
			id = own
		}
		t.ids[id] = true
	}
	if phone := c.GetProfile().GetPhone(); phone != "" {
		t.phones[phone] = true
	}
}

func (t traces) person() mention.Person { return mention.New(sorted(t.ids), sorted(t.phones)) }

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// release gives up the identities, so that who comes again is somebody new.
func (e *Eraser) release(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	t, err := e.gather(ctx, c)
	if err != nil {
		return result{}, err
	}
	keys := make([]identity.Key, 0, len(t.keys))
	for k := range t.keys {
		keys = append(keys, k)
	}
	n, err := e.Release(ctx, keys, c.GetLeadIds())
	if err != nil {
		return result{}, err
	}
	return result{status: done, removed: n, note: "identity entries removed"}, nil
}

// sweepParked removes parked messages of the person: those that say whose they
// are, and those in which one of the identities stands.
func (e *Eraser) sweepParked(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	t, err := e.gather(ctx, c)
	if err != nil {
		return result{}, err
	}
	who := t.person()
	return e.sweep(ctx, bus.Parked, "parked.>", func(raw *jetstream.RawStreamMsg) (bool, error) {
		if mentions(who, raw) {
			return true, nil
		}
		return e.isInside(ctx, who, raw)
	})
}

// isInside looks for a person in what is sealed of a parked message.
func (e *Eraser) isInside(ctx context.Context, who mention.Person, raw *jetstream.RawStreamMsg) (bool, error) {
	p := &ledgerv1.Parked{}
	if err := proto.Unmarshal(raw.Data, p); err != nil || len(p.GetSealed()) == 0 {
		return false, nil //nolint:nilerr // there is nothing sealed in it
	}
	if err := e.Open(ctx, p); errors.Is(err, ledger.ErrForgotten) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	whole, err := proto.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("look into parked message %d: %w", raw.Sequence, err)
	}
	return who.In(whole), nil
}

// unhandled waits until what upstreams published about the person is handled.
func (e *Eraser) unhandled(ctx context.Context, c *ingestv1.Erasure) (note string, err error) {
	t, err := e.gather(ctx, c)
	if err != nil {
		return "", err
	}
	floor, err := e.Inbound.Handled(ctx)
	if err != nil {
		return "", err
	}
	who := t.person()
	for raw, err := range e.Bus.Read(ctx, bus.Inbound, "inbound.>", floor+1) {
		if err != nil {
			return "", err
		}
		if mentions(who, raw) {
			return "waits until messages on inbound are handled", nil
		}
	}
	return "", nil
}

// sweepInbound removes what upstreams published about the person.
func (e *Eraser) sweepInbound(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	t, err := e.gather(ctx, c)
	if err != nil {
		return result{}, err
	}
	return e.sweep(ctx, bus.Inbound, "inbound.>", naming(t.person()))
}

// clearInbound removes what is left on disk of messages that were taken before: they
// were removed, and not overwritten, which leaves them where a newer one is near.
func (e *Eraser) clearInbound(ctx context.Context, _ *ingestv1.Erasure) (result, error) {
	for range clearTries {
		if whole, err := e.Inbound.Clear(ctx); err != nil {
			return result{}, err
		} else if whole {
			return result{status: done, note: "removed from disk with all that was taken"}, nil
		}
		select {
		case <-ctx.Done():
			return result{}, fmt.Errorf("clear inbound: %w", ctx.Err())
		case <-time.After(clearEvery):
		}
	}
	return result{status: pending, note: "waits for a moment in which nothing on inbound is unread"}, nil
}

// sweepOutbound removes what was told about the person to whoever listens.
func (e *Eraser) sweepOutbound(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	return e.sweep(ctx, bus.Outbound, "outbound.>", naming(mention.New(c.GetLeadIds(), nil)))
}

// naming finds messages in which somebody is named.
func naming(who mention.Person) func(*jetstream.RawStreamMsg) (bool, error) {
	return func(raw *jetstream.RawStreamMsg) (bool, error) { return mentions(who, raw), nil }
}

// sweep overwrites every message of a stream that is about somebody.
func (e *Eraser) sweep(ctx context.Context, stream, filter string, about func(*jetstream.RawStreamMsg) (bool, error)) (result, error) {
	s, err := e.Bus.JS.Stream(ctx, stream)
	if err != nil {
		return result{}, fmt.Errorf("open stream %s: %w", stream, bus.Classify(err))
	}
	r := result{status: nothing}
	for raw, err := range e.Bus.Read(ctx, stream, filter, 1) {
		if err != nil {
			return result{}, err
		}
		if it, err := about(raw); err != nil {
			return result{}, err
		} else if !it {
			continue
		}
		if err := bus.WipeMsg(ctx, s, raw.Sequence); err != nil {
			return result{}, err
		}
		r.status, r.note = done, "overwritten on disk"
		r.removed++
	}
	return r, nil
}

func mentions(who mention.Person, raw *jetstream.RawStreamMsg) bool {
	if who.In([]byte(raw.Subject)) || who.In(raw.Data) {
		return true
	}
	for _, values := range raw.Header {
		for _, v := range values {
			if who.In([]byte(v)) {
				return true
			}
		}
	}
	return false
}
