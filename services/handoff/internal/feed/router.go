package feed

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// CmdOffer is the command that looks at a held lead again because a rep became free.
const CmdOffer = "offer"

// Viewer knows the joined view of leads.
type Viewer interface {
	View(ctx context.Context, ids []string) (map[string]*leadv1.View, error)
}

// Router adds to an input what the desk has to know beyond its state: what is
// known about the lead, and the rep whose turn it is.
type Router struct {
	Board  *Board
	Views  Viewer
	Ingest ingestv1.IngestServiceClient
	Policy desk.Policy
	Log    *slog.Logger
	// Within bounds the questions to other services; a lead that is not known
	// then is held for a moment, and never stops the others.
	Within time.Duration
}

// need is one input that wants a rep.
type need struct {
	in    *ledger.Input
	not   string
	view  *leadv1.View
	facts *leadv1.Facts
	score *leadv1.ScoreFacts
}

// Enrich sets the view of the inputs that may lead to an assignment. It asks
// for all of them at once, and again, straight from the log, for those whose
// lead the gate would hold: a cache may be a moment behind the score.
func (r Router) Enrich(ctx context.Context, ins []*ledger.Input) error {
	var needs []*need
	for _, in := range ins {
		if n := r.needOf(in); n != nil {
			needs = append(needs, n)
		}
	}
	if len(needs) == 0 {
		return nil
	}
	r.hear(ins, needs)
	ctx, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	r.look(ctx, needs)
	r.lookAgain(ctx, needs)
	for _, n := range needs {
		if err := r.propose(n); err != nil {
			return err
		}
	}
	return nil
}

// needOf says whether an input may lead to an assignment; nil when not. It
// must be cheap: every activity of every lead passes here.
func (r Router) needOf(in *ledger.Input) *need {
	switch open := r.Board.Open(in.Lead); {
	case in.Stream == bus.Scores:
		if q := qualifiedIn(in); q != nil && open.GetStatus() <= handoffv1.HandoffStatus_HANDOFF_STATUS_HELD {
			s := q.GetScore()
			return &need{in: in, score: &leadv1.ScoreFacts{
				Fit: s.GetFit(), Behaviour: s.GetBehaviour(), Grade: s.GetGrade(), Qualified: s.GetQualified(), FastTrack: s.GetFastTrack(),
			}}
		}
	case in.Stream == bus.Leads:
		if open.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD {
			return &need{in: in, facts: r.factsIn(in)}
		}
	case in.Stream == "" && in.Kind == CmdOffer:
		if open.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD {
			return &need{in: in}
		}
	case in.Due():
		if want := r.Policy.Wants(open, in.Time); want.Rep {
			return &need{in: in, not: want.Not}
		}
	}
	return nil
}

// qualifiedIn finds the Qualified event of a score record; nil without one. An
// undecodable record is the fold's to refuse.
func qualifiedIn(in *ledger.Input) (q *scoringv1.Qualified) {
	events, err := ledger.Records(*in, &scoringv1.State{}, func() *scoringv1.Event { return &scoringv1.Event{} })
	if err != nil {
		return nil
	}
	for _, e := range events {
		if e.GetQualified() != nil {
			q = e.GetQualified()
		}
	}
	return q
}

// factsIn reads the lead from ingest's own record: nothing is fresher.
func (r Router) factsIn(in *ledger.Input) *leadv1.Facts {
	s := &ingestv1.State{}
	if _, err := ledger.Records(*in, s, func() *ingestv1.Event { return &ingestv1.Event{} }); err != nil || s.GetLead() == nil {
		return nil
	}
	return s.GetLead().GetFacts()
}

// hear takes what ingest's own records in this pass say about leads that are
// looked at: a lead that is ready at once comes together with its first record,
// and nobody has to be asked.
func (r Router) hear(ins []*ledger.Input, needs []*need) {
	told := map[string]*ledger.Input{}
	for _, in := range ins {
		if in.Stream == bus.Leads && in.Kind == bus.KindState {
			told[in.Lead] = in
		}
	}
	for _, n := range needs {
		if in := told[n.in.Lead]; in != nil && n.facts == nil {
			n.facts = r.factsIn(in)
		}
	}
}

// look asks for the views of all leads at once, but for those of which all is known.
func (r Router) look(ctx context.Context, needs []*need) {
	var ids []string
	for _, n := range needs {
		if n.facts == nil || n.score == nil {
			ids = append(ids, n.in.Lead)
		}
	}
	var views map[string]*leadv1.View
	if len(ids) > 0 {
		var err error
		if views, err = r.Views.View(ctx, ids); err != nil {
			r.Log.Warn("look up leads for routing", "leads", len(ids), "error", err)
		}
	}
	for _, n := range needs {
		n.view = &leadv1.View{LeadId: n.in.Lead}
		if v := views[n.in.Lead]; v != nil {
			n.view = proto.CloneOf(v)
		}
		if n.facts != nil {
			n.view.Lead = n.facts
		}
		if n.score != nil {
			n.view.Score = n.score
		}
	}
}

// lookAgain reads the leads that the gate would hold from ingest's log.
func (r Router) lookAgain(ctx context.Context, needs []*need) {
	var ids []string
	for _, n := range needs {
		if n.facts == nil && r.Policy.Gate(n.view.GetLead()) != desk.Clear {
			ids = append(ids, n.in.Lead)
		}
	}
	if len(ids) == 0 {
		return
	}
	resp, err := r.Ingest.BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: ids, Fresh: true, FactsOnly: true})
	if err != nil {
		r.Log.Warn("read leads for routing", "leads", len(ids), "error", err)
		return
	}
	fresh := map[string]*leadv1.Lead{}
	for _, l := range resp.GetLeads() {
		fresh[l.GetLeadId()] = l
	}
	for _, n := range needs {
		if l := fresh[n.in.Lead]; l != nil {
			n.view.Lead = l.GetFacts()
		}
	}
}

// propose asks the board for a rep if the gate lets the lead through, and puts
// all that was found out into the input.
func (r Router) propose(n *need) error {
	view := &handoffv1.RoutingView{Lead: n.view}
	if r.Policy.Gate(n.view.GetLead()) == desk.Clear {
		p := r.Board.Propose(n.view, n.not)
		view.Rep, view.RoutedBy = p.Rep, string(p.By)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(view)
	if err != nil {
		return fmt.Errorf("encode routing view: %w", err)
	}
	n.in.View = raw
	return nil
}
