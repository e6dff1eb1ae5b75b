package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// VerifyReport is the result of rebuilding every state from the log.
type VerifyReport struct {
	Leads   int
	Records int
	// Mismatches are records that the fold does not give again.
	Mismatches []Mismatch
	// Untold counts records whose inputs are no longer kept: they are taken as
	// they are, and the ones after them are checked.
	Untold int
	// Forgotten counts tombstones, and what lies before them and cannot be read:
	// the leads were erased.
	Forgotten int
}

// Mismatch is a record that cannot be explained by its causes.
type Mismatch struct {
	Lead string
	Seq  uint64
	Why  string
}

// errTrimmed: an input is no longer in its stream.
var errTrimmed = errors.New("input is no longer kept")

// Verify folds every cause of every record again, from the first record of each
// lead, and compares state, events and wake-up byte for byte with what is
// stored. It reads only; the service may run meanwhile.
func (l *Ledger[S]) Verify(ctx context.Context) (VerifyReport, error) {
	v := verifier[S]{l: l, last: map[string]*entry[S]{}, streams: map[string]inputStream{}}
	s, err := l.d.Bus.JS.Stream(ctx, l.o.Stream)
	if err != nil {
		return v.report, fmt.Errorf("open stream %s: %w", l.o.Stream, bus.Classify(err))
	}
	info, err := s.Info(ctx)
	if err != nil {
		return v.report, fmt.Errorf("read stream %s: %w", l.o.Stream, bus.Classify(err))
	}
	for raw, err := range l.d.Bus.Read(ctx, l.o.Stream, bus.Filter(l.o.Stream, "*", bus.KindState), 1) {
		if err == nil && raw.Sequence > info.State.LastSeq {
			break
		}
		if err == nil {
			err = v.check(ctx, raw)
		}
		if err != nil {
			return v.report, fmt.Errorf("verify %s: %w", l.o.Service, err)
		}
	}
	v.report.Leads = len(v.last)
	return v.report, nil
}

type inputStream struct {
	jetstream.Stream
	created uint64
}

type verifier[S proto.Message] struct {
	l       *Ledger[S]
	last    map[string]*entry[S]
	streams map[string]inputStream
	report  VerifyReport
}

// check refolds one record on top of the lead's previous one.
func (v *verifier[S]) check(ctx context.Context, raw *jetstream.RawStreamMsg) error {
	lead, _, _, _ := bus.Split(raw.Subject)
	rec, err := decodeRecord(raw.Data)
	if err != nil {
		v.mismatch(lead, raw.Sequence, err.Error())
		return nil
	}
	prev := v.last[lead]
	v.report.Records++
	rec, err = v.l.openOne(ctx, lead, rec)
	if err == nil && !rec.GetTombstone() {
		return v.checkOpen(ctx, raw, rec)
	}
	switch {
	case errors.Is(err, bus.ErrUnavailable) || ctx.Err() != nil:
		return err
	case errors.Is(err, ErrForgotten):
		v.report.Forgotten++
		v.last[lead] = nil
		return nil
	case err != nil:
		v.mismatch(lead, raw.Sequence, err.Error())
		return nil
	}
	if prev == nil {
		v.report.Forgotten++ // what came before is gone, as it should
		v.last[lead] = v.l.newEntry(raw.Sequence, rec)
		return nil
	}
	return v.checkOpen(ctx, raw, rec)
}

// checkOpen refolds one record that can be read.
func (v *verifier[S]) checkOpen(ctx context.Context, raw *jetstream.RawStreamMsg, rec *ledgerv1.Record) error {
	lead, _, _, _ := bus.Split(raw.Subject)
	prev, seen := v.last[lead]
	if !seen {
		prev = v.l.newEntry(0, nil)
	}
	v.last[lead] = v.l.newEntry(raw.Sequence, rec)
	if prev == nil || !seen && rec.GetVersion() != 1 {
		v.report.Untold++ // its beginning was trimmed
		return nil
	}
	again, err := v.refold(ctx, lead, prev, rec)
	switch {
	case errors.Is(err, errTrimmed):
		v.report.Untold++
	case errors.Is(err, bus.ErrUnavailable) || ctx.Err() != nil:
		return err
	case err != nil:
		v.mismatch(lead, raw.Sequence, err.Error())
	default:
		v.compare(lead, raw.Sequence, again, rec)
	}
	return nil
}

// refold applies a record's causes to the state before it.
func (v *verifier[S]) refold(ctx context.Context, lead string, prev *entry[S], rec *ledgerv1.Record) (*ledgerv1.Record, error) {
	if err := v.l.decode(prev); err != nil {
		return nil, err
	}
	w := &work[S]{lead: lead, ent: prev}
	d := v.l.newDraft(w)
	for _, c := range rec.GetCauses() {
		it, err := v.item(ctx, lead, c)
		if err != nil {
			return nil, err
		}
		ch, err := v.l.call(d.state, it.in)
		if err != nil {
			return nil, fmt.Errorf("fold %s again: %w", it.in.Kind, err)
		}
		if ch.Same {
			return nil, fmt.Errorf("fold %s again: it changes nothing now", it.in.Kind)
		}
		if err := d.add(it, ch); err != nil {
			return nil, err
		}
	}
	if err := d.finish(v.l, w); err != nil {
		return nil, err
	}
	return w.rec, nil
}

// item brings a cause back as the input it was.
func (v *verifier[S]) item(ctx context.Context, lead string, c *ledgerv1.Cause) (*item, error) {
	if c.GetStream() == "" {
		return &item{
			in:  Input{Lead: lead, Kind: c.GetKind(), ID: c.GetId(), Time: c.GetNow().AsTime(), Data: c.GetCommand(), View: c.GetView()},
			cmd: &command{idHash: HashID(c.GetId())},
		}, nil
	}
	s, err := v.stream(ctx, c.GetStream())
	if err != nil {
		return nil, err
	}
	raw, err := s.GetMsg(ctx, c.GetSeq())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, errTrimmed
	}
	if err != nil {
		return nil, fmt.Errorf("read input %s/%d: %w", c.GetStream(), c.GetSeq(), bus.Classify(err))
	}
	it, err := newItem(fromRaw(raw, c.GetStream(), s.created))
	if err != nil {
		return nil, err
	}
	it.in.View = c.GetView()
	return it, nil
}

func (v *verifier[S]) stream(ctx context.Context, name string) (inputStream, error) {
	if s, ok := v.streams[name]; ok {
		return s, nil
	}
	s, err := v.l.d.Bus.JS.Stream(ctx, name)
	if err != nil {
		return inputStream{}, fmt.Errorf("open stream %s: %w", name, bus.Classify(err))
	}
	in := inputStream{Stream: s, created: uint64(s.CachedInfo().Created.UnixNano())} //nolint:gosec // after 1970
	v.streams[name] = in
	return in, nil
}

func (v *verifier[S]) compare(lead string, seq uint64, again, rec *ledgerv1.Record) {
	switch {
	case again.GetVersion() != rec.GetVersion():
		v.mismatch(lead, seq, fmt.Sprintf("version %d follows %d", rec.GetVersion(), again.GetVersion()-1))
	case !bytes.Equal(again.GetState(), rec.GetState()):
		v.mismatch(lead, seq, "state differs")
	case !slices.EqualFunc(again.GetEvents(), rec.GetEvents(), bytes.Equal):
		v.mismatch(lead, seq, "events differ")
	case !proto.Equal(again.GetWakeAt(), rec.GetWakeAt()):
		v.mismatch(lead, seq, "wake-up differs")
	}
}

func (v *verifier[S]) mismatch(lead string, seq uint64, why string) {
	v.report.Mismatches = append(v.report.Mismatches, Mismatch{Lead: lead, Seq: seq, Why: why})
}
