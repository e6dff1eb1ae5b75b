package scoring

import (
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/services/scoring/internal/model"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// The flow, read top to bottom: what happened to the lead changes its points
// or its stage; then it is judged as of now; what changed is told, and the
// moment at which fading alone would change the verdict becomes the wake-up.

// folder is the fold of scoring: a pure function of state, input and now, for
// one model.
type folder struct{ model *model.Model }

// fold decides what one input means for one lead.
func (f folder) fold(s *scoringv1.State, in ledger.Input, now time.Time) (ledger.Change[*scoringv1.State], error) {
	switch {
	case s.GetScore().GetStage() == leadv1.Stage_STAGE_ERASED:
		return ledger.Unchanged[*scoringv1.State](string(ReasonErased)), nil
	case in.Tombstone:
		return forget(in.Lead, now), nil
	}
	t := newTurn(f.model, s, in.Lead, now)
	var err error
	switch {
	case in.Due():
		t.note(ReasonDue)
		err = t.take(in.View)
	case in.Stream == bus.Leads:
		err = f.lead(t, in)
	case in.Stream == bus.Handoff:
		err = f.sales(t, in)
	}
	if err != nil {
		return ledger.Change[*scoringv1.State]{}, err
	}
	return t.conclude(), nil
}

// lead takes in what ingest tells: who the lead is, and what it did.
func (f folder) lead(t *turn, in ledger.Input) error {
	record, events, err := decode(in, func() *ingestv1.Event { return &ingestv1.Event{} })
	if err != nil {
		return err
	}
	person := &profile{raw: record.GetState()}
	t.seq = in.Seq
	if closes(events) { // what it did before it closed counts
		if err := f.events(t, events, person); err != nil {
			return err
		}
	}
	if tied(events) {
		if err := t.follow(person, events); err != nil {
			return err
		}
	}
	if t.isMerged() {
		return nil
	}
	if t.isFirst() || t.isStale() || changesPerson(events) {
		if err := t.person(person); err != nil {
			return err
		}
	}
	return f.events(t, events, person)
}

// events takes in what the lead did.
func (f folder) events(t *turn, events []*ingestv1.Event, person *profile) error {
	for _, e := range events {
		var err error
		t.origin = e.GetOriginLeadId()
		switch f := e.GetFact().(type) {
		case *ingestv1.Event_Activity:
			if !f.Activity.GetPending() {
				err = t.activity(f.Activity, person)
			}
		case *ingestv1.Event_Judged:
			err = t.judged(f.Judged, person)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sales takes in what sales did with the lead.
func (f folder) sales(t *turn, in ledger.Input) error {
	_, events, err := decode(in, func() *handoffv1.Event { return &handoffv1.Event{} })
	if err != nil {
		return err
	}
	for _, e := range events {
		t.salesFact(e)
	}
	return nil
}

// changesPerson reports whether any event is about who the lead is or what it
// allows: then the profile has to be judged anew.
func changesPerson(events []*ingestv1.Event) bool {
	for _, e := range events {
		if e.GetActivity() == nil && e.GetJudged() == nil {
			return true
		}
	}
	return false
}
