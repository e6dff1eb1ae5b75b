// Package funnel counts where every lead stands and what was done, from the
// records of the four services. It is a read model: it writes nothing, and
// everything in it can be counted again from the log.
package funnel

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Funnel is the read model. It is not safe for concurrent use.
type Funnel struct {
	leads map[string]*lead
	// last is the latest sequence applied per stream: each record counts once.
	last map[string]uint64
}

// lead is what the funnel knows of one lead.
type lead struct {
	seen      bool   // ingest has a record of it
	arrivedAt uint64 // sequence in LEADS of the record that said who it is; 0 while nobody knows
	merged    bool   // turned out to be another lead
	uncounted bool   // a test lead, or one of our own people
	stage     leadv1.Stage
	open      int  // enrollments under way
	withSales bool // a rep owns it
	wake      [wakes]time.Time
	changed   time.Time
	// qualifiedBy are the LEADS sequences that caused the first qualification.
	qualifiedBy []uint64
	// What ever happened to it.
	handedOff, accepted, recycled bool
	tally                         Tally
}

// The services whose wake-ups a lead can have.
const (
	scoringWake = iota
	campaignWake
	handoffWake
	wakes
)

// Tally are counts of things that happened, since the log began.
type Tally struct {
	// Sent are mails the channel took; Deferred are times a gate asked to wait;
	// Suppressed are mails stopped by suppression or missing consent; Skipped are
	// mails stopped by any other gate; Bounced were refused for good; Ambiguous
	// were attempted with unknown result.
	Sent, Deferred, Suppressed, Skipped, Bounced, Ambiguous int
}

func (tally *Tally) add(t Tally) {
	tally.Sent += t.Sent
	tally.Deferred += t.Deferred
	tally.Suppressed += t.Suppressed
	tally.Skipped += t.Skipped
	tally.Bounced += t.Bounced
	tally.Ambiguous += t.Ambiguous
}

// New makes an empty funnel.
func New() *Funnel {
	return &Funnel{leads: map[string]*lead{}, last: map[string]uint64{}}
}

// Record is one message of a service's stream.
type Record struct {
	Stream string
	Seq    uint64
	Lead   string
	// Time is when the stream took it.
	Time time.Time
	Data []byte
}

// Apply counts a record. One that was counted before changes nothing.
func (f *Funnel) Apply(r Record) error {
	if r.Seq <= f.last[r.Stream] {
		return nil
	}
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(r.Data, rec); err != nil {
		return fmt.Errorf("decode record %s/%d: %w", r.Stream, r.Seq, err)
	}
	l := f.lead(r.Lead)
	if err := f.fold(l, r, rec); err != nil {
		return fmt.Errorf("count record %s/%d: %w", r.Stream, r.Seq, err)
	}
	f.last[r.Stream] = r.Seq
	if r.Time.After(l.changed) {
		l.changed = r.Time
	}
	return nil
}

func (f *Funnel) lead(id string) *lead {
	l := f.leads[id]
	if l == nil {
		l = &lead{}
		f.leads[id] = l
	}
	return l
}

func (f *Funnel) fold(l *lead, r Record, rec *ledgerv1.Record) error {
	switch r.Stream {
	case bus.Leads:
		return f.leadRecord(l, r.Seq, rec)
	case bus.Scores:
		return f.scoreRecord(l, rec)
	case bus.Campaign:
		return f.campaignRecord(l, rec)
	case bus.Handoff:
		return f.handoffRecord(l, rec)
	}
	return fmt.Errorf("stream %s is none of the four", r.Stream)
}

func (f *Funnel) leadRecord(l *lead, seq uint64, rec *ledgerv1.Record) error {
	s := &ingestv1.State{}
	if err := proto.Unmarshal(rec.GetState(), s); err != nil {
		return err
	}
	l.seen = true
	facts := s.GetLead().GetFacts()
	l.uncounted = facts.GetTest() || facts.GetOwnStaff()
	if l.arrivedAt == 0 && (facts.GetHasEmail() || facts.GetHasPhone() || s.GetErasedAt() != nil) {
		l.arrivedAt = seq
	}
	return each(rec, func(e *ingestv1.Event) {
		switch {
		case e.GetMerged() != nil:
			f.lead(e.GetMerged().GetFromLeadId()).merged = true
		case e.GetMergedInto() != nil:
			l.merged = true
		case e.GetRestored() != nil:
			l.merged = false
		}
	})
}

func (f *Funnel) scoreRecord(l *lead, rec *ledgerv1.Record) error {
	s := &scoringv1.State{}
	if err := proto.Unmarshal(rec.GetState(), s); err != nil {
		return err
	}
	l.stage, l.wake[scoringWake] = s.GetScore().GetStage(), wakeAt(rec)
	return each(rec, func(e *scoringv1.Event) {
		if e.GetQualified() != nil && l.qualifiedBy == nil {
			l.qualifiedBy = causesIn(rec, bus.Leads)
		}
	})
}

func (f *Funnel) campaignRecord(l *lead, rec *ledgerv1.Record) error {
	s := &campaignv1.State{}
	if err := proto.Unmarshal(rec.GetState(), s); err != nil {
		return err
	}
	l.open, l.wake[campaignWake] = 0, wakeAt(rec)
	for _, e := range s.GetEnrollments() {
		if e.GetStatus() == campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE {
			l.open++
		}
	}
	return each(rec, func(e *campaignv1.Event) {
		if t := e.GetTouchSettled().GetTouch(); t != nil {
			l.tally.touch(t)
		}
	})
}

func (tally *Tally) touch(t *campaignv1.Touch) {
	switch t.GetStatus() {
	case campaignv1.TouchStatus_TOUCH_STATUS_SENT:
		tally.Sent++
	case campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED:
		tally.Deferred++
	case campaignv1.TouchStatus_TOUCH_STATUS_FAILED:
		tally.Bounced++
	case campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS:
		tally.Ambiguous++
	case campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED:
		if r := t.GetReason(); r == "suppressed" || r == "no_consent" {
			tally.Suppressed++
			return
		}
		tally.Skipped++
	case campaignv1.TouchStatus_TOUCH_STATUS_UNSPECIFIED, campaignv1.TouchStatus_TOUCH_STATUS_PLANNED:
	}
}

func (f *Funnel) handoffRecord(l *lead, rec *ledgerv1.Record) error {
	s := &handoffv1.State{}
	if err := proto.Unmarshal(rec.GetState(), s); err != nil {
		return err
	}
	l.wake[handoffWake], l.withSales = wakeAt(rec), false
	switch s.GetHandoff().GetStatus() {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED,
		handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		l.withSales = s.GetHandoff().GetRep() != ""
	default:
	}
	return each(rec, func(e *handoffv1.Event) {
		switch {
		case e.GetAssigned() != nil:
			l.handedOff = true
		case e.GetAccepted() != nil:
			l.accepted = true
		case e.GetRecycled() != nil:
			l.recycled = true
		}
	})
}

// each decodes a record's events, one after the other.
func each[E any, P interface {
	*E
	proto.Message
}](rec *ledgerv1.Record, see func(P)) error {
	for _, raw := range rec.GetEvents() {
		e := P(new(E))
		if err := proto.Unmarshal(raw, e); err != nil {
			return err
		}
		see(e)
	}
	return nil
}

func wakeAt(rec *ledgerv1.Record) time.Time {
	if rec.GetWakeAt() == nil {
		return time.Time{}
	}
	return rec.GetWakeAt().AsTime()
}

// causesIn lists the sequences of one stream that a record was made from. It is
// never nil: a lead qualified by something else is qualified all the same.
func causesIn(rec *ledgerv1.Record, stream string) []uint64 {
	seqs := []uint64{}
	for _, c := range rec.GetCauses() {
		if c.GetStream() == stream {
			seqs = append(seqs, c.GetSeq())
		}
	}
	return seqs
}
