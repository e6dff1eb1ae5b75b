package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Drawer keeps what waits for a person. Nobody knows yet whose it is, so it is
// sealed under a key of the day on which it was put away: whoever destroys that
// key has forgotten the day, whatever copies there are.
type Drawer struct {
	bus   *bus.Bus
	vault *Vault
	ids   []byte
}

// NewDrawer makes a drawer; ids is a secret by which repeats are recognised.
func NewDrawer(b *bus.Bus, v *Vault, ids []byte) *Drawer {
	return &Drawer{bus: b, vault: v, ids: ids}
}

// What lies in a drawer for a while, and what until a person decides.
const (
	rejects = "rejects"
	parked  = "parked"
)

// dayKey is the name of a day's key. It is no lead's id.
func dayKey(what string, day time.Time) string { return what + "/" + day.UTC().Format(time.DateOnly) }

// Park puts away a message that could not be processed.
func (d *Drawer) Park(ctx context.Context, p *ledgerv1.Parked) error {
	what := parked
	if p.GetSource() != "" { // it lies among the rejects of its source, and as long
		what = rejects
	}
	if err := d.seal(ctx, p, what); err != nil {
		return err
	}
	return d.bus.Park(ctx, p)
}

// Reject puts away what a source sent and nobody took. The same words of the same
// source within two minutes are one entry.
func (d *Drawer) Reject(ctx context.Context, p *ledgerv1.Parked) error {
	mac := hmac.New(sha256.New, d.ids)
	mac.Write([]byte(p.GetSource() + " " + p.GetKind() + " " + p.GetReason() + " "))
	mac.Write(p.GetData())
	if err := d.seal(ctx, p, rejects); err != nil {
		return err
	}
	return d.bus.ParkReject(ctx, p, hex.EncodeToString(mac.Sum(nil)))
}

// seal hides in a message what its sender wrote.
func (d *Drawer) seal(ctx context.Context, p *ledgerv1.Parked, what string) error {
	if p.GetParkedAt() == nil {
		p.ParkedAt = timestamppb.Now()
	}
	name := dayKey(what, p.GetParkedAt().AsTime())
	keys, err := d.vault.keys(ctx, []string{name}, true)
	if err != nil {
		return fmt.Errorf("seal parked message: %w", err)
	}
	if err := keys[name].err; err != nil {
		return fmt.Errorf("seal parked message: %w", err)
	}
	hidden, err := deterministic.Marshal(&ledgerv1.Parked{Headers: p.GetHeaders(), Data: p.GetData(), Error: p.GetError(), Faults: p.GetFaults()})
	if err != nil {
		return fmt.Errorf("seal parked message: %w", err)
	}
	key := keys[name].key
	aead, err := subtle.NewAESGCM(key[:])
	if err != nil {
		return fmt.Errorf("seal parked message: %w", err)
	}
	if p.Sealed, err = aead.Encrypt(hidden, aboutParked(name, p)); err != nil {
		return fmt.Errorf("seal parked message: %w", err)
	}
	p.Key, p.Headers, p.Data, p.Error, p.Faults = name, nil, nil, "", nil
	return nil
}

// aboutParked ties what is sealed to its day, its source and its place.
func aboutParked(name string, p *ledgerv1.Parked) []byte {
	return fmt.Appendf(nil, "%s/%s/%s/%d", name, p.GetSource(), p.GetStream(), p.GetSeq())
}

// Open makes a message whole again; ledger.ErrForgotten when its day is forgotten.
// One that was not sealed stays as it is.
func (d *Drawer) Open(ctx context.Context, p *ledgerv1.Parked) error {
	if len(p.GetSealed()) == 0 {
		return nil
	}
	keys, err := d.vault.keys(ctx, []string{p.GetKey()}, false)
	if err != nil {
		return fmt.Errorf("open parked message: %w", err)
	}
	f, ok := keys[p.GetKey()]
	if _, _, daily := ofDay(p.GetKey()); !ok || !daily {
		return fmt.Errorf("open parked message: %w", ledger.ErrForgotten)
	}
	if f.err != nil {
		return fmt.Errorf("open parked message: %w", f.err)
	}
	aead, err := subtle.NewAESGCM(f.key[:])
	if err != nil {
		return fmt.Errorf("open parked message: %w", err)
	}
	raw, err := aead.Decrypt(p.GetSealed(), aboutParked(p.GetKey(), p))
	if err != nil {
		return fmt.Errorf("open parked message: %w", err)
	}
	hidden := &ledgerv1.Parked{}
	if err := proto.Unmarshal(raw, hidden); err != nil {
		return fmt.Errorf("open parked message: %w", err)
	}
	p.Headers, p.Data, p.Error, p.Faults = hidden.GetHeaders(), hidden.GetData(), hidden.GetError(), hidden.GetFaults()
	p.Sealed, p.Key = nil, ""
	return nil
}

// Get takes out one entry; bus.ErrNoMessage when there is none of this number, or
// its day is forgotten.
func (d *Drawer) Get(ctx context.Context, seq uint64) (bus.ParkedMsg, error) {
	m, err := d.bus.GetParked(ctx, seq)
	if err != nil {
		return m, err
	}
	if err := d.Open(ctx, m.Parked); errors.Is(err, ledger.ErrForgotten) {
		return m, fmt.Errorf("parked message %d: %w", seq, bus.ErrNoMessage)
	} else if err != nil {
		return m, fmt.Errorf("parked message %d: %w", seq, err)
	}
	return m, nil
}

// Rejects takes out what sources sent and nobody took, as bus.Rejects does. What
// is forgotten is left out.
func (d *Drawer) Rejects(ctx context.Context, source string, after uint64, visit func(bus.ParkedMsg) bool) error {
	var failed error
	err := d.bus.Rejects(ctx, source, after, func(m bus.ParkedMsg) bool {
		switch err := d.Open(ctx, m.Parked); {
		case errors.Is(err, ledger.ErrForgotten):
			return true
		case err != nil:
			failed = fmt.Errorf("parked message %d: %w", m.Seq, err)
			return false
		}
		return visit(m)
	})
	return errors.Join(failed, err)
}

// Forget destroys the keys of days that ended before a time, and says of how many:
// rejects of theirs that are still there can be read by nobody.
func (d *Drawer) Forget(ctx context.Context, before time.Time) (days int, err error) {
	for raw, err := range d.bus.Read(ctx, bus.Leads, bus.Filter(bus.Leads, rejects, bus.KindKey), 1) {
		if err != nil {
			return days, fmt.Errorf("forget days: %w", err)
		}
		name := holder(raw.Subject)
		_, date, _ := ofDay(name)
		day, err := time.Parse(time.DateOnly, date)
		if err != nil || len(raw.Data) == 0 || !day.AddDate(0, 0, 1).Before(before) {
			continue
		}
		if err := d.vault.Destroy(ctx, name); err != nil {
			return days, err
		}
		days++
	}
	return days, nil
}
