package desk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

const lead = "lead-1"

func t0() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func policy() desk.Policy {
	p := desk.DefaultPolicy()
	p.Delivery.Jitter = 0
	return p
}

func reachable() *leadv1.Facts { return &leadv1.Facts{HasEmail: true} }

func routed(facts *leadv1.Facts, rep string, why desk.Reason) *handoffv1.RoutingView {
	return &handoffv1.RoutingView{Lead: &leadv1.View{LeadId: lead, Lead: facts}, Rep: rep, RoutedBy: string(why)}
}

func to(rep string) *handoffv1.RoutingView { return routed(reachable(), rep, desk.RoundRobin) }

func qualified() *scoringv1.Qualified {
	return &scoringv1.Qualified{Score: &scoringv1.Score{LeadId: lead}, Why: "threshold"}
}

// at brings a lead into a status by the commands that lead there.
func at(t testing.TB, d desk.Desk, s handoffv1.HandoffStatus) *handoffv1.State {
	t.Helper()
	st := &handoffv1.State{}
	do := func(dec desk.Decision, err error) {
		if err != nil || dec.Same {
			t.Fatalf("bring lead to %s: %v %+v", s, err, dec)
		}
		st = dec.State
	}
	outcome := func(o handoffv1.Outcome) {
		do(d.Outcomed(st, &handoffv1.OutcomeCommand{Request: &handoffv1.RecordOutcomeRequest{Outcome: o}}, t0()))
	}
	reject := func(r leadv1.RejectReason) {
		do(d.Reject(st, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: r}}, t0()))
	}
	switch s {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_UNSPECIFIED:
		return st
	case handoffv1.HandoffStatus_HANDOFF_STATUS_HELD, handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN:
		do(d.Qualify(st, qualified(), routed(&leadv1.Facts{}, "", ""), t0()), nil)
	default:
		do(d.Qualify(st, qualified(), to("ada"), t0()), nil)
	}
	switch s {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED:
		do(d.Accept(st, &handoffv1.AcceptRequest{}, t0()))
	case handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		outcome(handoffv1.Outcome_OUTCOME_SALES_QUALIFIED)
	case handoffv1.HandoffStatus_HANDOFF_STATUS_WON:
		outcome(handoffv1.Outcome_OUTCOME_WON)
	case handoffv1.HandoffStatus_HANDOFF_STATUS_LOST:
		outcome(handoffv1.Outcome_OUTCOME_LOST)
	case handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED:
		reject(leadv1.RejectReason_REJECT_REASON_NOT_READY)
	case handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED:
		reject(leadv1.RejectReason_REJECT_REASON_WRONG_FIT)
	case handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN:
		do(d.Leave(st, &scoringv1.StageChanged{To: leadv1.Stage_STAGE_NURTURING, Reason: "cooled"}, t0()), nil)
	default: // assigned or held: it is there
	}
	if st.GetHandoff().GetStatus() != s {
		t.Fatalf("lead is %s, want %s", st.GetHandoff().GetStatus(), s)
	}
	return st
}

// TestEveryCommandInEveryStatus is the whole machine as a table: what each
// command makes of each status. "=" changes nothing, "!" is refused.
func TestEveryCommandInEveryStatus(t *testing.T) {
	commands := []string{"qualify", "accept", "not_ready", "wrong_fit", "recycle", "sql", "won", "lost", "leave"}
	want := map[string]string{
		"UNSPECIFIED":     "ASSIGNED ! ! ! ! ! ! ! =",
		"HELD":            "= ! ! ! ! ! ! ! WITHDRAWN",
		"ASSIGNED":        "= ACCEPTED RECYCLED DISQUALIFIED ! SALES_QUALIFIED WON LOST =",
		"ACCEPTED":        "= = RECYCLED DISQUALIFIED RECYCLED SALES_QUALIFIED WON LOST =",
		"SALES_QUALIFIED": "= ! RECYCLED DISQUALIFIED RECYCLED = WON LOST =",
		"RECYCLED":        "ASSIGNED ! ! ! = ! ! ! =",
		"DISQUALIFIED":    "= ! ! ! ! ! ! ! =",
		"WON":             "= ! ! ! ! ! = ! =",
		"LOST":            "ASSIGNED ! ! ! RECYCLED ! WON = =",
		"WITHDRAWN":       "ASSIGNED ! ! ! ! ! ! ! =",
	}
	d := desk.New(policy())
	for name, row := range want {
		for i, result := range strings.Fields(row) {
			t.Run(name+"/"+commands[i], func(t *testing.T) {
				s := at(t, d, handoffv1.HandoffStatus(handoffv1.HandoffStatus_value["HANDOFF_STATUS_"+name]))
				before := proto.CloneOf(s)
				dec, err := run(d, s, commands[i])
				switch result {
				case "!":
					if err == nil {
						t.Fatalf("it was allowed: %+v", dec)
					}
					if name != "UNSPECIFIED" && (!errors.Is(err, desk.ErrWrongState) || !strings.Contains(err.Error(), "it is "+name)) {
						t.Fatalf("the error does not name the status: %v", err)
					}
					if diff := cmp.Diff(before, s, protocmp.Transform()); diff != "" {
						t.Fatalf("a refused command changed the state:\n%s", diff)
					}
				case "=":
					if err != nil || !dec.Same || dec.Reason == "" {
						t.Fatalf("got %+v, %v", dec, err)
					}
				default:
					if err != nil || dec.Same || desk.StatusName(dec.State.GetHandoff().GetStatus()) != result {
						t.Fatalf("got %s, %v", dec.State.GetHandoff().GetStatus(), err)
					}
				}
			})
		}
	}
}

func run(d desk.Desk, s *handoffv1.State, command string) (desk.Decision, error) {
	now := t0().Add(time.Hour)
	outcome := func(o handoffv1.Outcome) (desk.Decision, error) {
		return d.Outcomed(s, &handoffv1.OutcomeCommand{Request: &handoffv1.RecordOutcomeRequest{Outcome: o}}, now)
	}
	switch command {
	case "qualify":
		return d.Qualify(s, qualified(), to("bo"), now), nil
	case "accept":
		return d.Accept(s, &handoffv1.AcceptRequest{By: "ada"}, now)
	case "not_ready":
		return d.Reject(s, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: leadv1.RejectReason_REJECT_REASON_NOT_READY}}, now)
	case "wrong_fit":
		return d.Reject(s, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: leadv1.RejectReason_REJECT_REASON_WRONG_FIT}}, now)
	case "recycle":
		return d.Recycle(s, &handoffv1.RecycleCommand{Request: &handoffv1.RecycleRequest{}}, now)
	case "sql":
		return outcome(handoffv1.Outcome_OUTCOME_SALES_QUALIFIED)
	case "won":
		return outcome(handoffv1.Outcome_OUTCOME_WON)
	case "lost":
		return outcome(handoffv1.Outcome_OUTCOME_LOST)
	case "leave":
		return d.Leave(s, &scoringv1.StageChanged{To: leadv1.Stage_STAGE_NURTURING}, now), nil
	}
	return desk.Decision{}, fmt.Errorf("unknown command %q", command)
}

func TestTheGateNamesWhatHoldsALead(t *testing.T) {
	p := policy()
	p.Require = []desk.Field{desk.FieldEmail, desk.FieldPhone, desk.FieldName, desk.FieldCompany}
	p.Consent = []string{"sales_contact"}
	whole := func(change func(*leadv1.Facts)) *leadv1.Facts {
		f := &leadv1.Facts{HasEmail: true, HasPhone: true, HasName: true, HasCompany: true, Consents: []string{"sales_contact"}}
		change(f)
		return f
	}
	for want, facts := range map[desk.Reason]*leadv1.Facts{
		desk.Clear:          whole(func(*leadv1.Facts) {}),
		desk.MissingEmail:   whole(func(f *leadv1.Facts) { f.HasEmail = false }),
		desk.MissingPhone:   whole(func(f *leadv1.Facts) { f.HasPhone = false }),
		desk.MissingName:    whole(func(f *leadv1.Facts) { f.HasName = false }),
		desk.MissingCompany: whole(func(f *leadv1.Facts) { f.HasCompany = false }),
		desk.NoConsent:      whole(func(f *leadv1.Facts) { f.Consents = []string{"newsletter"} }),
		desk.Suppressed:     whole(func(f *leadv1.Facts) { f.Suppressed, f.HasEmail = true, false }),
		desk.TestLead:       whole(func(f *leadv1.Facts) { f.Test, f.OwnStaff = true, true }),
		desk.OwnStaff:       whole(func(f *leadv1.Facts) { f.OwnStaff = true }),
		desk.Competitor:     whole(func(f *leadv1.Facts) { f.Competitor = true }),
		desk.LeadUnknown:    nil,
	} {
		if got := p.Gate(facts); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAHeldLeadGoesOnWhenWhatHeldItIsMended(t *testing.T) {
	d := desk.New(policy())
	s := at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_HELD)
	if s.GetHandoff().GetReason() != string(desk.MissingEmail) {
		t.Fatalf("held because of %q", s.GetHandoff().GetReason())
	}
	if dec := d.Offer(s, routed(&leadv1.Facts{}, "", ""), t0()); !dec.Same || dec.Reason != desk.StillHeld {
		t.Fatalf("an unrelated change of the lead is written down: %+v", dec)
	}
	dec := d.Offer(s, to("ada"), t0().Add(time.Minute))
	if h := dec.State.GetHandoff(); dec.Reason != desk.Assigned || h.GetRep() != "ada" || h.GetLookAt() != nil {
		t.Fatalf("got %+v", dec)
	}
}

func TestAHeldLeadIsLookedAtAgainAtGrowingPauses(t *testing.T) {
	d := desk.New(policy())
	dec := d.Qualify(&handoffv1.State{}, qualified(), routed(reachable(), "", desk.NoCapacity), t0())
	now := t0()
	for _, want := range []time.Duration{time.Second, 4 * time.Second, 16 * time.Second, 64 * time.Second} {
		if got := dec.WakeAt.Sub(now); got != want {
			t.Fatalf("looks again after %s, want %s", got, want)
		}
		now = dec.WakeAt
		dec = d.Due(dec.State, "lead-1", routed(reachable(), "", desk.NoCapacity), now)
		if len(dec.Events) != 0 {
			t.Fatalf("the same reason is told twice: %v", dec.Events)
		}
	}
	for range 20 {
		dec = d.Due(dec.State, "lead-1", routed(reachable(), "", desk.NoCapacity), dec.WakeAt)
	}
	if looked := dec.State.GetHandoff().GetHeldAt().AsTime(); dec.WakeAt.Sub(looked) != time.Hour {
		t.Fatalf("the pause is %s, want at most an hour", dec.WakeAt.Sub(looked))
	}
}

func TestAChangeWithoutAViewOnlyHastensTheNextLook(t *testing.T) {
	d := desk.New(policy())
	s := at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_HELD)
	now := t0().Add(500 * time.Millisecond)
	dec := d.Offer(s, nil, now)
	if dec.Reason != desk.LookAgain || !dec.WakeAt.Equal(now) || len(dec.Events) != 0 {
		t.Fatalf("got %+v", dec)
	}
	if dec = d.Offer(dec.State, nil, now); !dec.Same {
		t.Fatalf("it is written twice: %+v", dec)
	}
}

func TestASecondStayKeepsTheFirstInItsHistory(t *testing.T) {
	d := desk.New(policy())
	s := at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED)
	for round := range 12 {
		dec := d.Qualify(s, qualified(), to("ada"), t0().Add(time.Hour))
		for _, del := range dec.State.GetHandoff().GetDeliveries() {
			dec = d.Outcome(dec.State, &handoffv1.DeliveryOutcome{DeliveryId: del.GetId(), Attempt: 1, Delivered: true}, t0())
		}
		next, err := d.Reject(dec.State, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: leadv1.RejectReason_REJECT_REASON_NO_BUDGET}}, t0())
		if err != nil {
			t.Fatal(err)
		}
		s = next.State
		if got := s.GetHandoff().GetRound(); got != uint64(round)+2 {
			t.Fatalf("round %d, want %d", got, round+2)
		}
	}
	// The first stay's delivery never had an answer: it is kept, whatever comes.
	if n, first := len(s.GetHistory()), s.GetHistory()[0].GetRound(); n != 8 || first != 1 {
		t.Fatalf("%d earlier stays, the oldest of round %d", n, first)
	}
}
