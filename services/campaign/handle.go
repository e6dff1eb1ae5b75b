package campaign

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/rpc"
)

// The flow, read top to bottom: what happened to the lead, told by ingest,
// scoring, handoff, the sender, the clock or a person, is told to one turn of
// its journey; the turn decides; a touch it plans is in the record, where the
// sender (internal/sender/handle.go) finds it.

// fold decides what one input means for one lead.
func (s *Service) fold(state *campaignv1.State, in ledger.Input, now time.Time) (ledger.Change[*campaignv1.State], error) {
	switch {
	case state.GetStage() == leadv1.Stage_STAGE_ERASED && in.Stream != "":
		return ledger.Unchanged[*campaignv1.State](journey.Forgotten), nil
	case in.Tombstone:
		return changeOf(journey.Forget(in.Lead, now)), nil
	}
	pin, err := readPin(in.View)
	if err != nil {
		return ledger.Change[*campaignv1.State]{}, err
	}
	book, err := s.book(pin, state)
	if err != nil {
		return ledger.Change[*campaignv1.State]{}, err
	}
	t := journey.Begin(book, state, in.Lead, now)
	if in.Due() {
		t.Take(pin.GetTaken())
	}
	if err := tell(t, in); err != nil {
		return ledger.Change[*campaignv1.State]{}, err
	}
	return changeOf(t.End()), nil
}

// book finds the programs the decision is made by, and makes sure that every
// version the lead is on is at hand. A bucket that cannot be read is waited for.
func (s *Service) book(pin *campaignv1.Pin, state *campaignv1.State) (*program.Book, error) {
	ctx, cancel := context.WithTimeout(context.Background(), programPatience)
	defer cancel()
	book, err := s.programs.Book(ctx, pin.GetBook())
	if err != nil {
		return nil, ledger.Transient(err)
	}
	stays := slices.Clone(state.GetEnrollments())
	for _, k := range pin.GetTaken() {
		stays = append(stays, k.GetStays()...)
	}
	for _, e := range stays {
		if !journey.GoesOn(e) {
			continue
		}
		if _, err := s.programs.Program(ctx, e.GetVersion()); err != nil {
			return nil, ledger.Transient(err)
		}
	}
	return book, nil
}

func tell(t *journey.Turn, in ledger.Input) error {
	switch {
	case in.Due():
		t.Due()
		return nil
	case in.Kind == bus.KindOutcome:
		return tellOutcome(t, in)
	case in.Stream == bus.Leads:
		return tellLead(t, in)
	case in.Stream == bus.Scores:
		return tellScore(t, in)
	case in.Stream == bus.Handoff:
		return tellSales(t, in)
	default:
		return obey(t, in)
	}
}

func tellLead(t *journey.Turn, in ledger.Input) error {
	state := &ingestv1.State{}
	events, err := ledger.Records(in, state, func() *ingestv1.Event { return &ingestv1.Event{} })
	if err != nil {
		return err
	}
	if ties.Concerns(in.Data) {
		t.Follow(state, events, in.Seq)
	}
	for _, e := range events {
		if e.GetConfirmationAsked() != nil {
			t.ConsentAsked()
		}
	}
	t.LeadTold(state.GetLead().GetFacts(), did(events))
	return nil
}

// did is what the lead did as far as it is known: an open or a click counts when
// its verdict comes, and not before.
func did(events []*ingestv1.Event) []*leadv1.Activity {
	var list []*leadv1.Activity
	for _, e := range events {
		switch f := e.GetFact().(type) {
		case *ingestv1.Event_Activity:
			if !f.Activity.GetPending() {
				list = append(list, f.Activity)
			}
		case *ingestv1.Event_Judged:
			list = append(list, f.Judged.GetActivity())
		}
	}
	return list
}

func tellScore(t *journey.Turn, in ledger.Input) error {
	state := &scoringv1.State{}
	if _, err := ledger.Records(in, state, func() *scoringv1.Event { return &scoringv1.Event{} }); err != nil {
		return err
	}
	score, since := state.GetScore(), in.Time
	if score.GetStageSince() != nil {
		since = score.GetStageSince().AsTime()
	}
	t.ScoreTold(&leadv1.ScoreFacts{
		Fit: score.GetFit(), Behaviour: score.GetBehaviour(), Grade: score.GetGrade(),
		Qualified: score.GetQualified(), FastTrack: score.GetFastTrack(),
	}, score.GetStage(), since)
	return nil
}

func tellSales(t *journey.Turn, in ledger.Input) error {
	state := &handoffv1.State{}
	events, err := ledger.Records(in, state, func() *handoffv1.Event { return &handoffv1.Event{} })
	if err != nil {
		return err
	}
	recycled := false
	for _, e := range events {
		recycled = recycled || e.GetRecycled() != nil
	}
	t.SalesTold(stageOf(state.GetHandoff().GetStatus()), recycled)
	return nil
}

// stageOf is the stage that follows from what sales did.
func stageOf(status handoffv1.HandoffStatus) leadv1.Stage {
	switch status {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED:
		return leadv1.Stage_STAGE_ASSIGNED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED:
		return leadv1.Stage_STAGE_ACCEPTED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		return leadv1.Stage_STAGE_SALES_QUALIFIED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_REJECTED:
		return leadv1.Stage_STAGE_REJECTED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED:
		return leadv1.Stage_STAGE_RECYCLED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED:
		return leadv1.Stage_STAGE_DISQUALIFIED
	case handoffv1.HandoffStatus_HANDOFF_STATUS_WON:
		return leadv1.Stage_STAGE_WON
	case handoffv1.HandoffStatus_HANDOFF_STATUS_LOST:
		return leadv1.Stage_STAGE_LOST
	case handoffv1.HandoffStatus_HANDOFF_STATUS_UNSPECIFIED, handoffv1.HandoffStatus_HANDOFF_STATUS_HELD,
		handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN, handoffv1.HandoffStatus_HANDOFF_STATUS_MERGED,
		handoffv1.HandoffStatus_HANDOFF_STATUS_ERASED:
		return leadv1.Stage_STAGE_UNSPECIFIED
	}
	return leadv1.Stage_STAGE_UNSPECIFIED
}

func tellOutcome(t *journey.Turn, in ledger.Input) error {
	o := &campaignv1.Outcome{}
	if err := proto.Unmarshal(in.Data, o); err != nil {
		return fmt.Errorf("decode outcome %s/%d: %w", in.Stream, in.Seq, err)
	}
	t.Settled(o)
	return nil
}

// obey carries out a command of a person.
func obey(t *journey.Turn, in ledger.Input) error {
	switch in.Kind {
	case rpc.CommandEnroll:
		c := &campaignv1.EnrollCommand{}
		if err := proto.Unmarshal(in.Data, c); err != nil {
			return fmt.Errorf("decode command %s: %w", in.Kind, err)
		}
		t.Introduce(c.GetView())
		return t.Enroll(c.GetRequest().GetProgram())
	case rpc.CommandExit:
		c := &campaignv1.ExitRequest{}
		if err := proto.Unmarshal(in.Data, c); err != nil {
			return fmt.Errorf("decode command %s: %w", in.Kind, err)
		}
		return t.Exit(c.GetProgram(), c.GetReason())
	case rpc.CommandResolve:
		c := &campaignv1.ResolveTouchRequest{}
		if err := proto.Unmarshal(in.Data, c); err != nil {
			return fmt.Errorf("decode command %s: %w", in.Kind, err)
		}
		return t.Resolve(c.GetTouchId(), c.GetStatus())
	default:
		return fmt.Errorf("unknown input %q", in.Kind)
	}
}

func changeOf(c journey.Change) ledger.Change[*campaignv1.State] {
	if c.Same {
		return ledger.Unchanged[*campaignv1.State](c.Reason)
	}
	events := make([]proto.Message, len(c.Events))
	for i, e := range c.Events {
		events[i] = e
	}
	return ledger.Change[*campaignv1.State]{
		State: c.State, Events: events, WakeAt: c.WakeAt, Reason: c.Reason, Urgent: c.Urgent, Tombstone: c.Tombstone,
	}
}
