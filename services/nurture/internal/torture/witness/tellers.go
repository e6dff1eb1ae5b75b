package witness

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// finals keeps the last state of each lead.
type finals[S any] struct {
	states map[string]S
	from   map[string]message
	order  []string
}

func newFinals[S any]() finals[S] {
	return finals[S]{states: map[string]S{}, from: map[string]message{}}
}

func (f *finals[S]) set(m message, s S) {
	if _, known := f.from[m.lead]; !known {
		f.order = append(f.order, m.lead)
	}
	f.states[m.lead], f.from[m.lead] = s, m
}

// each gives what tell makes of every last state.
func (f *finals[S]) each(tell func(message, S) []torture.Fact) []torture.Fact {
	var facts []torture.Fact
	for _, lead := range f.order {
		facts = append(facts, tell(f.from[lead], f.states[lead])...)
	}
	return facts
}

// name makes a word of an enumeration's name: STAGE_NURTURING is nurturing.
func name(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(value.String(), prefix))
}

type leads struct {
	finals[*ingestv1.State]
	// left are the leads that took a consent back: once more changes nothing.
	left map[string]bool
}

func newLeads() *leads {
	return &leads{finals: newFinals[*ingestv1.State](), left: map[string]bool{}}
}

func (l *leads) tell(m message) ([]torture.Fact, error) {
	if m.kind != bus.KindState {
		return nil, nil
	}
	state := &ingestv1.State{}
	_, events, err := record(m.data, state, func() *ingestv1.Event { return &ingestv1.Event{} })
	if err != nil {
		return nil, err
	}
	l.set(m, state)
	var facts []torture.Fact
	for _, e := range events {
		about := m.about(e.GetOriginLeadId())
		switch fact := e.GetFact().(type) {
		case *ingestv1.Event_Activity:
			facts = append(facts, activity(about, fact.Activity))
		case *ingestv1.Event_Judged:
			facts = append(facts, verdict(about, fact.Judged))
		case *ingestv1.Event_Consent:
			if !fact.Consent.GetGranted() && !l.left[m.lead] {
				l.left[m.lead] = true
				facts = append(facts, about(torture.Withdrawn))
			}
		case *ingestv1.Event_Suppressed:
			facts = append(facts, about(torture.Suppressed))
		default:
			facts = append(facts, tied(m, e)...)
		}
	}
	return facts, nil
}

// tied tells which leads are one person.
func tied(m message, e *ingestv1.Event) []torture.Fact {
	var f torture.Fact
	switch fact := e.GetFact().(type) {
	case *ingestv1.Event_Merged:
		f = m.fact(torture.Merged)
		f.Ref = fact.Merged.GetFromLeadId()
	case *ingestv1.Event_Unmerged:
		f = m.fact(torture.Unmerged)
		f.Ref = fact.Unmerged.GetLeadId()
	case *ingestv1.Event_MergedInto:
		f = m.fact(torture.Frozen)
		f.Ref = fact.MergedInto.GetIntoLeadId()
	case *ingestv1.Event_Restored:
		f = m.fact(torture.Restored)
		f.Ref = fact.Restored.GetFromLeadId()
	default:
		return nil
	}
	return []torture.Fact{f}
}

// activity tells what was done. Forms get their id from ingest, which puts the
// source before the submission's own.
func activity(about facts, a *leadv1.Activity) torture.Fact {
	f := about(torture.Activity)
	f.ID, f.Type = a.GetId(), a.GetType()
	if i := strings.LastIndexByte(f.ID, '/'); i >= 0 {
		f.ID = f.ID[i+1:]
	}
	if torture.IsHit(f.Type) {
		f.ID = hit(a)
	}
	// What others may read of an activity: a property of a track event, the page
	// of a form.
	said := a.GetProperties()["topic"]
	if said == "" {
		said = a.GetProperties()["url"][strings.LastIndexByte(a.GetProperties()["url"], '/')+1:]
	}
	f.Hash = torture.HashOf(a.GetType(), said)
	return f
}

// hit names an open or a click by its mail and by what was hit: the end of a
// link's address, or else the link that readers do not see.
func hit(a *leadv1.Activity) string {
	what, url := torture.TrapLink, a.GetProperties()["url"]
	switch {
	case a.GetType() == torture.Opened:
		what = torture.Picture
	case url != "":
		what = url[strings.LastIndexByte(url, '/')+1:]
	}
	return torture.HitID(a.GetProperties()["touch_id"], what)
}

func verdict(about facts, j *ingestv1.Judged) torture.Fact {
	f := about(torture.Judged)
	f.ID, f.Type, f.Status, f.Reason = hit(j.GetActivity()), j.GetActivity().GetType(), torture.StatusHuman, j.GetActivity().GetVerdict()
	if j.GetActivity().GetMachine() {
		f.Status = torture.StatusMachine
	}
	if j.GetAgain() {
		f.Ref = torture.Again
	}
	return f
}

func (l *leads) last() []torture.Fact {
	return l.each(func(m message, s *ingestv1.State) []torture.Fact {
		if s.GetMergedInto() != nil { // asked for, the other one is answered
			return nil
		}
		f, k := m.fact(torture.Digest), m.fact(torture.Known)
		f.Hash = DigestLead(s.GetLead())
		k.Points = float64(s.GetLead().GetActivities())
		return []torture.Fact{f, k}
	})
}

// DigestLead sums up a lead as ingest knows it.
func DigestLead(l *leadv1.Lead) string {
	return fmt.Sprintf("activities=%d suppression=%d updated=%s", l.GetActivities(), l.GetSuppression(), l.GetUpdatedAt().AsTime())
}

type scores struct{ finals[*scoringv1.State] }

func newScores() *scores { return &scores{newFinals[*scoringv1.State]()} }

func (s *scores) tell(m message) ([]torture.Fact, error) {
	if m.kind != bus.KindState {
		return nil, nil
	}
	state := &scoringv1.State{}
	_, events, err := record(m.data, state, func() *scoringv1.Event { return &scoringv1.Event{} })
	if err != nil {
		return nil, err
	}
	s.set(m, state)
	var facts []torture.Fact
	for _, e := range events {
		if q := e.GetQualified(); q != nil {
			f := m.fact(torture.Qualified)
			f.Reason = q.GetWhy()
			facts = append(facts, f)
		}
	}
	return facts, nil
}

func (s *scores) last() []torture.Fact {
	return s.each(func(m message, state *scoringv1.State) []torture.Fact {
		f, d := m.fact(torture.Score), m.fact(torture.Digest)
		f.Points, f.Status = state.GetScore().GetBehaviour(), name(state.GetScore().GetStage(), "STAGE_")
		d.Hash = DigestScore(state.GetScore())
		return append(awaits(m, state.GetTies()), f, d)
	})
}

// awaits tells for whom a state waits. One that is merged itself waits only for
// what it gets back.
func awaits(m message, t *leadv1.Ties) []torture.Fact {
	var facts []torture.Fact
	for _, tie := range t.GetAwaited() {
		if t.GetIntoLeadId() == "" || tie.GetBack() {
			f := m.fact(torture.Awaits)
			f.Ref = tie.GetLeadId()
			facts = append(facts, f)
		}
	}
	return facts
}

// DigestScore sums up what does not fade in a score. The points of a merged lead
// are its survivor's business.
func DigestScore(s *scoringv1.Score) string {
	if s.GetStage() == leadv1.Stage_STAGE_MERGED {
		return fmt.Sprintf("merged since=%s", s.GetStageSince().AsTime())
	}
	return fmt.Sprintf("stage=%s qualified=%t since=%s points=%.0f", name(s.GetStage(), "STAGE_"), s.GetQualified(), s.GetStageSince().AsTime(), s.GetBehaviour())
}

// parked tells what was given to a person, and what it is about.
type parked struct{}

func (parked) last() []torture.Fact { return nil }

func (parked) tell(m message) ([]torture.Fact, error) {
	p := &ledgerv1.Parked{}
	if err := proto.Unmarshal(m.data, p); err != nil {
		return nil, fmt.Errorf("decode parked message: %w", err)
	}
	f := m.fact(torture.Parked)
	f.Lead, f.Ref, f.Type, f.Seq = p.GetLeadId(), p.GetService(), p.GetStream(), p.GetSeq()
	f.Reason = p.GetReason() + ": " + p.GetError()
	if len(p.GetSealed()) > 0 { // see Unseal
		f.Hash = strconv.FormatUint(m.seq, 10)
		return []torture.Fact{f}, nil
	}
	f.ID = subjectOf(p)
	return []torture.Fact{f}, nil
}

// subjectOf is the id of the event, the touch or the delivery that a parked
// message is about; its subject when it is about none of them.
func subjectOf(p *ledgerv1.Parked) string {
	if p.GetSource() != "" { // a form that could not be used, as it was sent
		if sent, err := url.ParseQuery(string(p.GetData())); err == nil && sent.Get("submission_id") != "" {
			return sent.Get("submission_id")
		}
	}
	if p.GetStream() == bus.Inbound {
		var e struct {
			MessageID string `json:"messageId"`
		}
		if json.Unmarshal(p.GetData(), &e) == nil && e.MessageID != "" {
			return e.MessageID
		}
		return p.GetSubject()
	}
	_, kind, id, ok := bus.Split(p.GetSubject())
	if ok && id != "" && slices.Contains([]string{bus.KindClaim, "redeliver"}, kind) {
		return id
	}
	return p.GetSubject()
}
