package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/fact"
)

// maxRead is how many subjects one read of the log may name.
const maxRead = 1000

// Vault keeps the data keys in the log and seals records with them. It is the
// codec of ingest's ledger.
type Vault struct {
	bus    *bus.Bus
	ring   *Ring
	memory *memory
	pace   *bus.Pace
	known  *fact.Known
}

// New makes a vault that remembers at most size keys. known is what it leaves
// readable of a person.
func New(b *bus.Bus, ring *Ring, known *fact.Known, size int) *Vault {
	return &Vault{bus: b, ring: ring, memory: newMemory(size), pace: bus.NewPace(), known: known}
}

// Subject is where a lead's data key lies, or a day's.
func Subject(lead string) string {
	if what, day, ok := ofDay(lead); ok {
		return strings.Join([]string{bus.Prefix(bus.Leads), bus.KindKey, what, day}, ".")
	}
	return bus.Subject(bus.Leads, lead, bus.KindKey)
}

// holder is the lead, or the day, whose key lies on a subject.
func holder(subject string) string {
	lead, _, _, _ := bus.Split(subject)
	if Subject(lead) == subject {
		return lead
	}
	what, _, _ := strings.Cut(strings.TrimPrefix(subject, bus.Prefix(bus.Leads)+"."+bus.KindKey+"."), ".")
	return what + "/" + lead
}

// ofDay takes the name of a day's key apart, see Drawer: no lead's id has a slash.
func ofDay(name string) (what, day string, ok bool) { return strings.Cut(name, "/") }

// found is what the vault has for a lead.
type found struct {
	key [KeySize]byte
	// seq of the key's message; 0 when there is none.
	seq uint64
	// err is ledger.ErrForgotten for a destroyed key, ErrNoKey or ErrBadKey.
	err error
}

// isTombstone reports whether the key was destroyed.
func (f found) isTombstone() bool { return errors.Is(f.err, ledger.ErrForgotten) }

// Born makes the data key of a lead that is about to begin. Until settled is
// called the lead's first record is sealed with it; settled must be called, and
// says whether the message is on the log.
func (v *Vault) Born(lead string) (msg *nats.Msg, settled func(stored bool), err error) {
	key := NewKey()
	if msg, err = v.message(lead, key, 0); err != nil {
		return nil, nil, err
	}
	v.memory.expect(lead, key)
	return msg, func(stored bool) { v.memory.settle(lead, stored) }, nil
}

// keys gives the data keys of leads. A lead without one is not in the answer
// unless create is true. The error passes by itself.
func (v *Vault) keys(ctx context.Context, leads []string, create bool) (map[string]found, error) {
	have := make(map[string]found, len(leads))
	var unknown []string
	for _, lead := range leads {
		if _, again := have[lead]; again {
			continue
		}
		if key, ok := v.memory.get(lead); ok {
			have[lead] = found{key: key}
			continue
		}
		have[lead] = found{}
		unknown = append(unknown, lead)
	}
	for round := 0; len(unknown) > 0; round++ {
		if round > maxRounds {
			return nil, fmt.Errorf("make data keys: %w", bus.ErrUnavailable)
		}
		read, err := v.read(ctx, unknown)
		if err != nil {
			return nil, err
		}
		missing := v.take(have, read, unknown)
		if !create {
			for _, lead := range missing {
				delete(have, lead)
			}
			return have, nil
		}
		made, err := v.create(ctx, missing)
		if err != nil {
			return nil, err
		}
		unknown = v.take(have, made, missing)
	}
	return have, nil
}

// maxRounds bounds how often a key is looked for that somebody else just made.
const maxRounds = 4

// take moves what was found into have and lists the leads without it.
func (v *Vault) take(have, got map[string]found, leads []string) (missing []string) {
	for _, lead := range leads {
		f, ok := got[lead]
		if !ok {
			missing = append(missing, lead)
			continue
		}
		have[lead] = f
		if f.err == nil {
			v.memory.put(lead, f.key)
		}
	}
	return missing
}

// read reads keys from the log; leads that have none are left out.
func (v *Vault) read(ctx context.Context, leads []string) (map[string]found, error) {
	got := make(map[string]found, len(leads))
	for part := range slices.Chunk(leads, maxRead) {
		subjects := make([]string, len(part))
		for i, lead := range part {
			subjects[i] = Subject(lead)
		}
		msgs, err := v.bus.LastMsgs(ctx, bus.Leads, subjects)
		if err != nil {
			return nil, fmt.Errorf("read data keys: %w", err)
		}
		for i, lead := range part {
			if msg := msgs[subjects[i]]; msg != nil {
				got[lead] = v.decode(lead, msg)
			}
		}
	}
	return got, nil
}

func (v *Vault) decode(lead string, msg *jetstream.RawStreamMsg) found {
	k := &ingestv1.DataKey{}
	f := found{seq: msg.Sequence}
	if f.err = proto.Unmarshal(msg.Data, k); f.err != nil {
		return f
	}
	if len(k.GetWrapped()) == 0 {
		f.err = ledger.ErrForgotten
		return f
	}
	f.key, f.err = v.ring.Unwrap(lead, k)
	return f
}

// create makes keys for leads that have none. Leads that somebody else was
// faster with are left out.
func (v *Vault) create(ctx context.Context, leads []string) (map[string]found, error) {
	keys, msgs := make([][KeySize]byte, len(leads)), make([]*nats.Msg, len(leads))
	for i, lead := range leads {
		var err error
		keys[i] = NewKey()
		if msgs[i], err = v.message(lead, keys[i], 0); err != nil {
			return nil, err
		}
	}
	made := make(map[string]found, len(leads))
	var failed error
	for i, s := range v.bus.PublishAll(ctx, v.pace, msgs) {
		switch {
		case s.Err == nil:
			made[leads[i]] = found{key: keys[i], seq: s.Seq}
			v.memory.put(leads[i], keys[i])
		case !errors.Is(s.Err, bus.ErrConflict):
			failed = fmt.Errorf("make data key: %w", s.Err)
		}
	}
	return made, failed
}

func (v *Vault) message(lead string, key [KeySize]byte, on uint64) (*nats.Msg, error) {
	k, err := v.ring.Wrap(lead, key)
	if err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("encode data key: %w", err)
	}
	return bus.ExpectLast(&nats.Msg{Subject: Subject(lead), Data: raw}, on), nil
}
