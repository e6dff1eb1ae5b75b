package handoff

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/feed"
	"github.com/nurturehq/nurture/services/handoff/internal/rpc"
)

// THE FLOW. A score record says "qualified" -> the router proposes a rep
// (Router.Enrich, kept in the record's cause) -> the desk decides: held, or
// assigned with a delivery intended -> the ledger commits the record -> the
// deliverer sends the dossier and commands the outcome -> the desk folds it:
// delivered, tried again later, or parked. Sales' answers come as commands, the
// rep's clock and retries as wake-ups, by the same path.

type (
	state  = *handoffv1.State
	change = ledger.Change[state]
)

// handler folds every input of one lead into its handoff state.
type handler struct{ desk desk.Desk }

func (h handler) fold(s state, in ledger.Input, now time.Time) (change, error) {
	switch {
	case in.Tombstone:
		return changed(h.desk.Forget(s, in.Lead, now)), nil
	case in.Stream == bus.Leads:
		return h.leadChanged(s, in, now)
	case in.Stream == bus.Scores:
		return h.scored(s, in, now)
	case in.Due():
		return h.due(s, in, now)
	case in.Kind == bus.KindOutcome:
		return h.outcome(s, in, now)
	default:
		return h.command(s, in, now)
	}
}

// scored looks for what concerns sales in a score record.
func (h handler) scored(s state, in ledger.Input, now time.Time) (change, error) {
	score := &scoringv1.State{}
	events, err := ledger.Records(in, score, func() *scoringv1.Event { return &scoringv1.Event{} })
	if err != nil {
		return change{}, err
	}
	qualified, left := verdict(events, in.Lead)
	switch {
	case qualified != nil && s.GetTies().GetIntoLeadId() != "":
		return h.ahead(s, in, score, qualified, now)
	case qualified != nil:
		return h.qualified(s, in, qualified, now)
	case left != nil:
		return changed(h.desk.Leave(s, left, now)), nil
	default:
		return ledger.Unchanged[state](string(desk.NotQualified)), nil
	}
}

// verdict is the last word of a score record on whether a lead is ready for sales;
// both are nil when it has none.
func verdict(events []*scoringv1.Event, lead string) (qualified *scoringv1.Qualified, left *scoringv1.StageChanged) {
	for _, e := range events {
		switch f := e.GetFact().(type) {
		case *scoringv1.Event_Qualified:
			qualified, left = f.Qualified, nil
		case *scoringv1.Event_StageChanged:
			if desk.LeavesSales(f.StageChanged.GetTo()) {
				qualified, left = nil, f.StageChanged
			}
		}
	}
	if qualified != nil {
		if qualified.GetScore() == nil {
			qualified.Score = &scoringv1.Score{}
		}
		qualified.Score.LeadId = lead
	}
	return qualified, left
}

// ahead is a lead that was found ready and is merged into another one as far as we
// know.
func (h handler) ahead(s state, in ledger.Input, score *scoringv1.State, q *scoringv1.Qualified, now time.Time) (change, error) {
	upTo, err := ledger.ReadUpTo(in, bus.Leads)
	if err != nil {
		return change{}, err
	}
	if !ties.Reopened(s.GetTies(), score.GetTies(), upTo) {
		return ledger.Unchanged[state](string(desk.Merged)), nil
	}
	return changed(h.desk.Expect(s, q, now)), nil
}

func (h handler) qualified(s state, in ledger.Input, q *scoringv1.Qualified, now time.Time) (change, error) {
	view, err := viewOf(in)
	if err != nil {
		return change{}, err
	}
	return changed(h.desk.Qualify(s, q, view, now)), nil
}

// tied follows which leads are one person.
func (h handler) tied(s state, in ledger.Input, now time.Time) (change, error) {
	told := &ingestv1.State{}
	events, err := ledger.Records(in, told, func() *ingestv1.Event { return &ingestv1.Event{} })
	if err != nil {
		return change{}, err
	}
	return changed(h.desk.Follow(s, in.Lead, desk.Told{State: told, Events: events, Seq: in.Seq}, now)), nil
}

// leadChanged matters to a held lead alone, so nothing is decoded for others.
func (h handler) leadChanged(s state, in ledger.Input, now time.Time) (change, error) {
	if in.Stream == bus.Leads && ties.Concerns(in.Data) {
		return h.tied(s, in, now)
	}
	view, err := viewOf(in)
	if err != nil {
		return change{}, err
	}
	return changed(h.desk.Offer(s, view, now)), nil
}

func (h handler) due(s state, in ledger.Input, now time.Time) (change, error) {
	view, err := viewOf(in)
	if err != nil {
		return change{}, err
	}
	return changed(h.desk.Due(s, in.Lead, view, now)), nil
}

// outcome is what became of an attempt: a command of the deliverer.
func (h handler) outcome(s state, in ledger.Input, now time.Time) (change, error) {
	o := &handoffv1.DeliveryOutcome{}
	if err := proto.Unmarshal(in.Data, o); err != nil {
		return change{}, fmt.Errorf("decode outcome %s: %w", in.ID, err)
	}
	return changed(h.desk.Outcome(s, o, now)), nil
}

// command is what sales, or a person who redrives a parked delivery, asks for.
func (h handler) command(s state, in ledger.Input, now time.Time) (change, error) {
	switch in.Kind {
	case rpc.CmdAccept:
		return ask(s, in, now, &handoffv1.AcceptRequest{}, h.desk.Accept)
	case rpc.CmdReject:
		return ask(s, in, now, &handoffv1.RejectCommand{}, h.desk.Reject)
	case rpc.CmdRecycle:
		return ask(s, in, now, &handoffv1.RecycleCommand{}, h.desk.Recycle)
	case rpc.CmdRecordOutcome:
		return ask(s, in, now, &handoffv1.OutcomeCommand{}, h.desk.Outcomed)
	case rpc.CmdRedeliver:
		return ask(s, in, now, &handoffv1.RedeliverRequest{}, func(s state, r *handoffv1.RedeliverRequest, now time.Time) (desk.Decision, error) {
			return h.desk.Redeliver(s, r.GetDeliveryId(), now)
		})
	case feed.CmdOffer:
		return h.leadChanged(s, in, now)
	default:
		return change{}, fmt.Errorf("unknown input %q of stream %q", in.Kind, in.Stream)
	}
}

// ask lets the desk decide about what sales says. While others have something of
// this person it is not known what that would be about.
func ask[R proto.Message](s state, in ledger.Input, now time.Time, req R, decide func(state, R, time.Time) (desk.Decision, error)) (change, error) {
	if err := proto.Unmarshal(in.Data, req); err != nil {
		return change{}, fmt.Errorf("decode %s: %w", in.Kind, err)
	}
	if in.Kind != rpc.CmdRedeliver && desk.Merging(s) {
		return change{}, desk.ErrMerging
	}
	d, err := decide(s, req, now)
	if err != nil {
		return change{}, err
	}
	return changed(d), nil
}

// viewOf decodes what the router added; nil when it added nothing.
func viewOf(in ledger.Input) (*handoffv1.RoutingView, error) {
	if len(in.View) == 0 {
		return nil, nil //nolint:nilnil // no view is a valid view
	}
	v := &handoffv1.RoutingView{}
	if err := proto.Unmarshal(in.View, v); err != nil {
		return nil, fmt.Errorf("decode routing view: %w", err)
	}
	return v, nil
}

// changed turns a decision into the ledger's words.
func changed(d desk.Decision) change {
	events := make([]proto.Message, len(d.Events))
	for i, e := range d.Events {
		events[i] = e
	}
	return change{State: d.State, Events: events, WakeAt: d.WakeAt, Reason: string(d.Reason), Same: d.Same, Tombstone: d.Tombstone}
}
