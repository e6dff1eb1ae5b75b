package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Destroy destroys the data key of a lead, for ever: a tombstone takes its
// place, so that no new one is made, and the key itself is overwritten on disk.
// Doing it again finishes what a crash interrupted.
func (v *Vault) Destroy(ctx context.Context, lead string) error {
	v.memory.drop(lead)
	for range maxRounds {
		seq, err := v.entomb(ctx, lead)
		if errors.Is(err, bus.ErrConflict) {
			continue // somebody made or rewrapped the key just now
		}
		if err != nil {
			return err
		}
		v.memory.drop(lead)
		if _, err := v.bus.Wipe(ctx, bus.Leads, Subject(lead), seq); err != nil {
			return fmt.Errorf("destroy data key: %w", err)
		}
		return nil
	}
	return fmt.Errorf("destroy data key of lead %s: %w", lead, bus.ErrUnavailable)
}

// entomb puts the tombstone on top of the key and gives its sequence.
func (v *Vault) entomb(ctx context.Context, lead string) (uint64, error) {
	have, err := v.read(ctx, []string{lead})
	if err != nil {
		return 0, err
	}
	f := have[lead]
	if f.isTombstone() {
		return f.seq, nil
	}
	seq, err := v.bus.Publish(ctx, bus.ExpectLast(&nats.Msg{Subject: Subject(lead)}, f.seq))
	if err != nil {
		return 0, fmt.Errorf("destroy data key: %w", err)
	}
	return seq, nil
}

// Rewrap wraps every data key in the newest key of the ring, and overwrites what
// was wrapped in another one. It may be interrupted and begun again.
func (v *Vault) Rewrap(ctx context.Context) (done, current uint64, err error) {
	for raw, err := range v.bus.Read(ctx, bus.Leads, bus.Filter(bus.Leads, "*", bus.KindKey), 1) {
		if err != nil {
			return done, current, fmt.Errorf("rewrap data keys: %w", err)
		}
		did, err := v.rewrap(ctx, raw)
		switch {
		case err != nil:
			return done, current, err
		case did:
			done++
		}
		if !did && len(raw.Data) > 0 && v.isCurrent(raw) {
			current++
		}
	}
	return done, current - min(done, current), nil
}

// isCurrent reports whether a key is wrapped in the newest one.
func (v *Vault) isCurrent(raw *jetstream.RawStreamMsg) bool {
	k := &ingestv1.DataKey{}
	return proto.Unmarshal(raw.Data, k) == nil && k.GetWrappedBy() == v.ring.First()
}

// rewrap wraps one key anew, unless it is current, destroyed, or was replaced.
func (v *Vault) rewrap(ctx context.Context, raw *jetstream.RawStreamMsg) (bool, error) {
	lead := holder(raw.Subject)
	if len(raw.Data) == 0 || v.isCurrent(raw) {
		return false, nil
	}
	f := v.decode(lead, raw)
	if f.err != nil {
		return false, f.err
	}
	msg, err := v.message(lead, f.key, raw.Sequence)
	if err != nil {
		return false, err
	}
	seq, err := v.bus.Publish(ctx, msg)
	if errors.Is(err, bus.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("rewrap data key: %w", err)
	}
	_, err = v.bus.Wipe(ctx, bus.Leads, raw.Subject, seq)
	return err == nil, err
}
