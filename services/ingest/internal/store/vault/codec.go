package vault

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Seal encrypts records under the data keys of their leads and leaves in them
// what others may read.
func (v *Vault) Seal(ctx context.Context, sheets []*ledger.Sheet) {
	v.each(ctx, sheets, true, v.seal)
}

// Open decrypts records.
func (v *Vault) Open(ctx context.Context, sheets []*ledger.Sheet) {
	v.each(ctx, sheets, false, open)
}

// each works on the sheets whose key is there; the others get the error.
func (v *Vault) each(ctx context.Context, sheets []*ledger.Sheet, create bool, work func(*ledger.Sheet, [KeySize]byte) (*ledgerv1.Record, error)) {
	leads := make([]string, len(sheets))
	for i, s := range sheets {
		leads[i] = s.Lead
	}
	keys, err := v.keys(ctx, leads, create)
	for _, s := range sheets {
		f, ok := keys[s.Lead]
		switch {
		case err != nil:
			s.Err = err
		case !ok: // sealed once, and nothing is left of the key: not even a tombstone
			s.Err = ledger.ErrForgotten
		case f.err != nil:
			s.Err = f.err
		default:
			s.Record, s.Err = work(s, f.key)
		}
	}
}

func (v *Vault) seal(s *ledger.Sheet, key [KeySize]byte) (*ledgerv1.Record, error) {
	hidden, err := ledger.EncodeHidden(ledger.Hide(s.Record))
	if err != nil {
		return nil, err
	}
	aead, err := subtle.NewAESGCM(key[:])
	if err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	stored := ledger.Bare(s.Record)
	if stored.Sealed, err = aead.Encrypt(hidden, about(s)); err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	state, ok := s.State.(*ingestv1.State)
	if !ok {
		state = &ingestv1.State{}
		if err := proto.Unmarshal(s.Record.GetState(), state); err != nil {
			return nil, fmt.Errorf("read state to be sealed: %w", err)
		}
	}
	return stored, v.bare(s.Record, state, stored)
}

// bare puts into a stored record what of the whole one may be read by all.
func (v *Vault) bare(whole *ledgerv1.Record, state *ingestv1.State, stored *ledgerv1.Record) error {
	profile := state.GetLead().GetProfile()
	var err error
	if stored.State, err = deterministic.Marshal(PlainState(v.known, state)); err != nil {
		return fmt.Errorf("encode plain state: %w", err)
	}
	stored.Events = make([][]byte, len(whole.GetEvents()))
	for i, raw := range whole.GetEvents() {
		e := &ingestv1.Event{}
		if err := proto.Unmarshal(raw, e); err != nil {
			return fmt.Errorf("read event to be sealed: %w", err)
		}
		if stored.Events[i], err = deterministic.Marshal(PlainEvent(v.known, e, profile)); err != nil {
			return fmt.Errorf("encode plain event: %w", err)
		}
	}
	return nil
}

func open(s *ledger.Sheet, key [KeySize]byte) (*ledgerv1.Record, error) {
	aead, err := subtle.NewAESGCM(key[:])
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	raw, err := aead.Decrypt(s.Record.GetSealed(), about(s))
	if err != nil {
		return nil, fmt.Errorf("open record %s of lead %s: %w", s.Record.GetId(), s.Lead, err)
	}
	h, err := ledger.DecodeHidden(raw)
	if err != nil {
		return nil, err
	}
	return ledger.Reveal(s.Record, h)
}

// about ties what is sealed to its lead and its record.
func about(s *ledger.Sheet) []byte {
	return append(append(make([]byte, 0, 96), s.Lead...), "/"+s.Record.GetId()...)
}
