package ledger

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// ErrForgotten: the lead was forgotten, and what was recorded of it cannot be
// read any more.
var ErrForgotten = errors.New("lead was forgotten")

// Sheet is one record on its way to the log or from it.
type Sheet struct {
	Lead string
	// Record is replaced by the codec: by what is stored, or by what was folded.
	// The one that is given must not be changed: others hold it.
	Record *ledgerv1.Record
	// State is the record's state where it is at hand decoded, else nil. It must
	// not be changed either.
	State proto.Message
	// Err says why this record could not be sealed or opened: ErrForgotten, or
	// one that wraps bus.ErrUnavailable and passes by itself.
	Err error
}

// Codec stands between the fold and the log: what is folded is whole, what is
// stored may be readable in part only. Opening what was sealed gives the record
// again, byte for byte. Safe for concurrent use.
//
// A tombstone is never given to a codec: it is stored as it is.
type Codec interface {
	// Seal makes of folded records what is stored of them.
	Seal(ctx context.Context, sheets []*Sheet)
	// Open makes of stored records what was folded. One that was stored without
	// a codec comes back as it is.
	Open(ctx context.Context, sheets []*Sheet)
}

// seal makes the bytes that are stored for works that were folded. A work whose
// record cannot be sealed gets the error.
func (l *Ledger[S]) seal(ctx context.Context, works []*work[S]) {
	if l.o.Codec == nil {
		return
	}
	sheets, sealing := make([]*Sheet, 0, len(works)), make([]*work[S], 0, len(works))
	for _, w := range works {
		if w.rec.GetTombstone() {
			w.raw, w.err = encode(w.rec)
			continue
		}
		sheets, sealing = append(sheets, &Sheet{Lead: w.lead, Record: w.rec, State: w.ent.state}), append(sealing, w)
	}
	if len(sheets) == 0 {
		return
	}
	l.o.Codec.Seal(ctx, sheets)
	for i, w := range sealing {
		if w.err = sheets[i].Err; w.err == nil {
			w.raw, w.err = encode(sheets[i].Record)
		} else {
			w.err = fmt.Errorf("seal record: %w", w.err)
		}
	}
}

// open gives the folded forms of stored records, one each.
func (l *Ledger[S]) open(ctx context.Context, sheets []*Sheet) {
	if l.o.Codec == nil {
		return
	}
	sealed := make([]*Sheet, 0, len(sheets))
	for _, s := range sheets {
		if len(s.Record.GetSealed()) > 0 {
			sealed = append(sealed, s)
		}
	}
	if len(sealed) > 0 {
		l.o.Codec.Open(ctx, sealed)
	}
}

// openOne is open for one record.
func (l *Ledger[S]) openOne(ctx context.Context, lead string, rec *ledgerv1.Record) (*ledgerv1.Record, error) {
	s := &Sheet{Lead: lead, Record: rec}
	l.open(ctx, []*Sheet{s})
	return s.Record, s.Err
}

// openEntries opens the records of entries just read from the log.
func (l *Ledger[S]) openEntries(ctx context.Context, entries map[string]*entry[S]) error {
	if l.o.Codec == nil {
		return nil
	}
	sheets := make([]*Sheet, 0, len(entries))
	for lead, e := range entries {
		if e.rec != nil {
			sheets = append(sheets, &Sheet{Lead: lead, Record: e.rec})
		}
	}
	l.open(ctx, sheets)
	for _, s := range sheets {
		if s.Err != nil {
			return fmt.Errorf("open record of lead %s: %w", s.Lead, s.Err)
		}
		entries[s.Lead].rec = s.Record
	}
	return nil
}

// openCached opens what Redis had. What cannot be opened is read from the log.
func (l *Ledger[S]) openCached(ctx context.Context, found map[string]cached) map[string]cached {
	if l.o.Codec == nil || len(found) == 0 {
		return found
	}
	sheets := make([]*Sheet, 0, len(found))
	for lead, c := range found {
		sheets = append(sheets, &Sheet{Lead: lead, Record: c.rec})
	}
	l.open(ctx, sheets)
	for _, s := range sheets {
		if s.Err != nil {
			delete(found, s.Lead)
			continue
		}
		found[s.Lead] = cached{seq: found[s.Lead].seq, rec: s.Record}
	}
	return found
}

// Hide takes what is folded out of a record: the part of it that a codec
// encrypts. Reveal puts it back.
func Hide(rec *ledgerv1.Record) *ledgerv1.Hidden {
	h := &ledgerv1.Hidden{State: rec.GetState(), Events: rec.GetEvents()}
	for _, c := range rec.GetCauses() {
		h.Causes = append(h.Causes, &ledgerv1.HiddenCause{Id: c.GetId(), Command: c.GetCommand(), View: c.GetView()})
	}
	return h
}

// Bare copies a record without what Hide takes out of it.
func Bare(rec *ledgerv1.Record) *ledgerv1.Record {
	bare := &ledgerv1.Record{
		Id: rec.GetId(), Version: rec.GetVersion(), WakeAt: rec.GetWakeAt(), ArmedAt: rec.GetArmedAt(),
		Applied: rec.GetApplied(), RecentIds: rec.GetRecentIds(), Tombstone: rec.GetTombstone(),
		Causes: make([]*ledgerv1.Cause, len(rec.GetCauses())),
	}
	for i, c := range rec.GetCauses() {
		bare.Causes[i] = &ledgerv1.Cause{
			Stream: c.GetStream(), Seq: c.GetSeq(), Kind: c.GetKind(), Now: c.GetNow(), Reason: c.GetReason(), Events: c.GetEvents(),
		}
	}
	return bare
}

// Reveal is the folded record of a stored one and what was hidden of it.
func Reveal(stored *ledgerv1.Record, h *ledgerv1.Hidden) (*ledgerv1.Record, error) {
	if len(h.GetCauses()) != len(stored.GetCauses()) {
		return nil, fmt.Errorf("reveal record: %d causes are hidden, %d are told", len(h.GetCauses()), len(stored.GetCauses()))
	}
	whole := Bare(stored)
	whole.State, whole.Events = h.GetState(), h.GetEvents()
	for i, c := range h.GetCauses() {
		whole.Causes[i].Id, whole.Causes[i].Command, whole.Causes[i].View = c.GetId(), c.GetCommand(), c.GetView()
	}
	return whole, nil
}

// EncodeHidden is the encoding of what is to be encrypted.
func EncodeHidden(h *ledgerv1.Hidden) ([]byte, error) { return encode(h) }

// DecodeHidden reads what was decrypted.
func DecodeHidden(raw []byte) (*ledgerv1.Hidden, error) {
	h := &ledgerv1.Hidden{}
	if err := proto.Unmarshal(raw, h); err != nil {
		return nil, fmt.Errorf("decode hidden part of record: %w", err)
	}
	return h, nil
}
