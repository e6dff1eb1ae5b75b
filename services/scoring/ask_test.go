package scoring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// asks lets a lead ask for a demo.
func (p *people) asks(lead string) {
	e := did("demo_requested", p.now)
	if root := p.root(lead); root != lead {
		e.OriginLeadId = lead
	}
	p.tell(p.root(lead), e)
}

// sales is a record of handoff about a lead.
func (p *people) sales(lead string, events ...*handoffv1.Event) ledger.Input {
	rec := &ledgerv1.Record{State: p.encode(&handoffv1.State{})}
	for _, e := range events {
		rec.Events = append(rec.Events, p.encode(e))
	}
	return ledger.Input{Lead: lead, Stream: bus.Handoff, Kind: bus.KindState, Data: p.encode(rec)}
}

// takenOver says that a stay goes on as this lead's, as it is; of its own when
// from is empty.
func takenOver(from string, as handoffv1.HandoffStatus) *handoffv1.Event {
	return &handoffv1.Event{Fact: &handoffv1.Event_TakenOver{TakenOver: &handoffv1.TakenOver{FromLeadId: from, Status: as}}}
}

func TestWhatSalesAnsweredAMergedLeadIsNotAskedAgainByItsSurvivor(t *testing.T) {
	f := newLife(t).folder
	rapid.Check(t, func(rt *rapid.T) {
		p := newPeople(rt, f)
		p.asks("b")
		for len(p.unread["b"]) > 0 {
			p.read("b")
		}
		p.merge("a", "b")
		answers := []ledger.Input{p.sales("a", takenOver("b", handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED)), p.sales("a", rejected()...)}
		// Scoring reads the streams of ingest and of handoff, and looks at the other
		// lead, in whatever order.
		for len(answers) > 0 {
			switch rapid.IntRange(0, 2).Draw(rt, "next") {
			case 0:
				p.read("a")
			case 1:
				p.read("b")
			default:
				in := answers[0]
				in.Time, answers = p.now, answers[1:]
				p.fold(in)
			}
		}
		before := p.ready["a"]
		p.settle()
		for range 20 { // until after it has rested
			if !p.wakes["a"].IsZero() {
				p.wake("a")
			}
		}
		if st := p.states["a"]; p.ready["a"] != before || st.GetFastTrackRule() != "" || st.GetScore().GetQualified() {
			rt.Fatalf("told to sales %d and %d times: %v", before, p.ready["a"], st)
		}
	})
}

func TestWhatALeadAskedForWhileItWasAnotherOneIsItsOwnWhenTheyAreSeparated(t *testing.T) {
	f := newLife(t).folder
	rapid.Check(t, func(rt *rapid.T) {
		p := newPeople(rt, f)
		p.merge("a", "b")
		p.settle()
		p.asks("b")
		p.settle()
		if p.ready["a"] != 1 {
			rt.Fatalf("the survivor was told to sales %d times", p.ready["a"])
		}
		if rapid.Bool().Draw(rt, "assigned") {
			in := p.sales("a", &handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{}}})
			in.Time = p.now
			p.fold(in)
		}
		p.separate("b")
		for range rapid.IntRange(0, 5).Draw(rt, "reads") {
			p.read(rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "reader"))
		}
		p.settle()
		a, b := p.states["a"], p.states["b"]
		if p.ready["a"] != 1 || p.ready["b"] != 1 || !b.GetScore().GetQualified() || a.GetFastTrackRule() != "" {
			rt.Fatalf("told to sales: %v; a is %v, b is %v", p.ready, a, b)
		}
		if b.GetFastTrackLeadId() != "" {
			rt.Fatalf("b does not know that it asked itself: %v", b)
		}
	})
}

func TestALeadThatIsSeparatedIsWhereSalesLeftIt(t *testing.T) {
	f := newLife(t).folder
	for name, tt := range map[string]struct {
		left handoffv1.HandoffStatus
		want []leadv1.Stage
	}{
		"still assigned": {handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, []leadv1.Stage{leadv1.Stage_STAGE_ASSIGNED}},
		"accepted":       {handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED, []leadv1.Stage{leadv1.Stage_STAGE_ACCEPTED}},
		"given back":     {handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED, []leadv1.Stage{leadv1.Stage_STAGE_RECYCLED, leadv1.Stage_STAGE_NURTURING}},
		"withdrawn":      {handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN, []leadv1.Stage{leadv1.Stage_STAGE_NURTURING}},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				p := newPeople(rt, f)
				p.asks("b")
				p.settle()
				tell := func(e *handoffv1.Event) {
					in := p.sales("b", e)
					in.Time = p.now
					p.fold(in)
				}
				tell(assigned())
				p.merge("a", "b")
				p.settle()
				p.separate("b")
				for _, as := range []handoffv1.HandoffStatus{handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, tt.left} {
					if rapid.Bool().Draw(rt, "reads first") {
						p.read("b")
					}
					tell(takenOver("", as))
				}
				p.settle()
				st := p.states["b"].GetScore()
				if !slices.Contains(tt.want, st.GetStage()) || st.GetQualified() != stage.IsWithSales(st.GetStage()) || p.ready["b"] != 1 {
					rt.Fatalf("told to sales %d times: %v", p.ready["b"], st)
				}
			})
		})
	}
}

func TestWhoAskedBeforeAMergeIsHandedOverOnceMoreAtMostWhenSeparated(t *testing.T) {
	f := newLife(t).folder
	rapid.Check(t, func(rt *rapid.T) {
		p := newPeople(rt, f)
		p.asks("b")
		for len(p.unread["b"]) > 0 {
			p.read("b")
		}
		p.merge("a", "b")
		p.settle() // a asks in its stead
		p.separate("b")
		answer := p.sales("b", rejected()...)
		for told := false; !told; {
			if rapid.Bool().Draw(rt, "reads") {
				p.read(rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "reader"))
			} else if p.ready["b"] == 2 {
				answer.Time, told = p.now, true
				p.fold(answer)
			}
		}
		p.settle()
		for range 20 {
			if !p.wakes["b"].IsZero() {
				p.wake("b")
			}
		}
		if p.ready["a"] != 1 || p.ready["b"] != 2 {
			rt.Fatalf("told to sales: %v; b is %v", p.ready, p.states["b"])
		}
	})
}
