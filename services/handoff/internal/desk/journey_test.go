package desk_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

var update = flag.Bool("update", false, "write the transcripts anew") //nolint:gochecknoglobals // a test flag

// journey plays inputs on one lead and writes down what the desk makes of them.
type journey struct {
	t    *testing.T
	desk desk.Desk
	s    *handoffv1.State
	now  time.Time
	wake time.Time
	out  strings.Builder
}

func play(t *testing.T, p desk.Policy) *journey {
	return &journey{t: t, desk: desk.New(p), s: &handoffv1.State{}, now: t0()}
}

func (j *journey) note(what string, d desk.Decision, err error) {
	fmt.Fprintf(&j.out, "+%-10s %s", j.now.Sub(t0()), what)
	switch {
	case err != nil:
		fmt.Fprintf(&j.out, "\n            refused: %v\n", err)
		return
	case d.Same:
		fmt.Fprintf(&j.out, "\n            nothing changes: %s\n", d.Reason)
		return
	}
	j.s, j.wake = d.State, d.WakeAt
	h := d.State.GetHandoff()
	fmt.Fprintf(&j.out, "\n            %s: %s, round %d, rep %q, reason %q", d.Reason, desk.StatusName(h.GetStatus()), h.GetRound(), h.GetRep(), h.GetReason())
	if !d.WakeAt.IsZero() {
		fmt.Fprintf(&j.out, ", wakes at +%s", d.WakeAt.Sub(t0()))
	}
	j.out.WriteByte('\n')
	for _, e := range d.Events {
		fmt.Fprintf(&j.out, "            - %s\n", words(e))
	}
}

func words(e *handoffv1.Event) string {
	switch f := e.GetFact().(type) {
	case *handoffv1.Event_Held:
		return "held: " + f.Held.GetReason()
	case *handoffv1.Event_Assigned:
		return fmt.Sprintf("assigned to %s by %s (before: %q)", f.Assigned.GetRep(), f.Assigned.GetRoutedBy(), f.Assigned.GetPreviousRep())
	case *handoffv1.Event_DeliveryIntended:
		return fmt.Sprintf("delivery %s of %s, attempt %d", f.DeliveryIntended.GetDelivery().GetId(), f.DeliveryIntended.GetDelivery().GetType(), f.DeliveryIntended.GetAttempt())
	case *handoffv1.Event_DeliverySettled:
		return fmt.Sprintf("delivery %s is %s: %s", f.DeliverySettled.GetDelivery().GetId(), f.DeliverySettled.GetDelivery().GetStatus(), f.DeliverySettled.GetDelivery().GetReason())
	case *handoffv1.Event_Reminded:
		return fmt.Sprintf("reminded %s, time %d", f.Reminded.GetRep(), f.Reminded.GetReminder())
	case *handoffv1.Event_Accepted:
		return "accepted by " + f.Accepted.GetRep()
	case *handoffv1.Event_Rejected:
		return "rejected: " + f.Rejected.GetReason().String()
	case *handoffv1.Event_Recycled:
		return "recycled: " + f.Recycled.GetReason().String()
	case *handoffv1.Event_Disqualified:
		return "disqualified: " + f.Disqualified.GetReason().String()
	case *handoffv1.Event_OutcomeRecorded:
		return "outcome: " + f.OutcomeRecorded.GetOutcome().String()
	case *handoffv1.Event_Withdrawn:
		return "withdrawn: " + f.Withdrawn.GetReason()
	}
	return "?"
}

func (j *journey) qualify(v *handoffv1.RoutingView) {
	j.note("qualified", j.desk.Qualify(j.s, qualified(), v, j.now), nil)
}

// sleep waits for the wake-up the desk asked for.
func (j *journey) sleep(v *handoffv1.RoutingView) {
	if j.wake.IsZero() {
		j.t.Fatalf("nobody will wake the lead up\n%s", j.out.String())
	}
	j.now = j.wake
	j.note("wakes up", j.desk.Due(j.s, "lead-1", v, j.now), nil)
}

func (j *journey) pass(d time.Duration) { j.now = j.now.Add(d) }

// answer is what the CRM says to the latest attempt under way.
func (j *journey) answer(what string, o *handoffv1.DeliveryOutcome) {
	for _, d := range j.s.GetHandoff().GetDeliveries() {
		if d.GetStatus() == handoffv1.DeliveryStatus_DELIVERY_STATUS_PENDING {
			o.DeliveryId, o.Attempt, o.At = d.GetId(), d.GetAttempts(), timestamppb.New(j.now)
		}
	}
	j.note("the CRM answers "+what, j.desk.Outcome(j.s, o, j.now), nil)
}

func (j *journey) delivered() {
	j.answer("200", &handoffv1.DeliveryOutcome{Delivered: true, HttpStatus: 200, Reason: "delivered"})
}

func (j *journey) fails() {
	j.answer("500", &handoffv1.DeliveryOutcome{HttpStatus: 500, Reason: "http_error", Error: "the CRM answered 500"})
}

func (j *journey) accept() {
	d, err := j.desk.Accept(j.s, &handoffv1.AcceptRequest{By: "ada"}, j.now)
	j.note("the rep accepts", d, err)
}

func (j *journey) reject(r leadv1.RejectReason) {
	d, err := j.desk.Reject(j.s, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: r}}, j.now)
	j.note("the rep rejects: "+r.String(), d, err)
}

func (j *journey) golden(name string) {
	j.t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			j.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(j.out.String()), 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		j.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), j.out.String()); diff != "" {
		j.t.Fatalf("the transcript differs (-update writes it anew):\n%s", diff)
	}
}

func TestALeadIsDeliveredAcceptedAndWon(t *testing.T) {
	j := play(t, policy())
	j.qualify(to("ada"))
	j.pass(8 * time.Millisecond)
	j.delivered()
	j.delivered()
	j.qualify(to("bo"))
	j.pass(20 * time.Minute)
	j.accept()
	j.accept()
	d, err := j.desk.Outcomed(j.s, &handoffv1.OutcomeCommand{Request: &handoffv1.RecordOutcomeRequest{Outcome: handoffv1.Outcome_OUTCOME_WON, AmountMinor: 990000, Currency: "EUR"}}, j.now)
	j.note("won", d, err)
	j.reject(leadv1.RejectReason_REJECT_REASON_NOT_READY)
	j.golden("won")
}

func TestARepWhoIsSilentIsRemindedThenLosesTheLead(t *testing.T) {
	j := play(t, policy())
	j.qualify(to("ada"))
	j.delivered()
	j.sleep(nil) // reminded
	j.delivered()
	j.sleep(to("ada")) // nobody but the rep who has it
	j.sleep(to("bo"))
	j.delivered()
	j.sleep(nil)
	j.delivered()
	j.sleep(to("cy"))
	j.delivered()
	j.sleep(nil)
	j.delivered()
	j.sleep(to("ada")) // reassigned often enough: it stands where people see it
	if !j.wake.IsZero() {
		t.Fatalf("it still wakes up at %s", j.wake)
	}
	j.accept()
	j.golden("silent_rep")
}

func TestARejectedLeadComesBackWhenItIsReady(t *testing.T) {
	j := play(t, policy())
	j.qualify(routed(&leadv1.Facts{}, "", ""))
	j.sleep(routed(&leadv1.Facts{}, "", ""))
	j.pass(time.Minute)
	j.note("the lead changed", j.desk.Offer(j.s, to("ada"), j.now), nil)
	j.delivered()
	j.reject(leadv1.RejectReason_REJECT_REASON_NOT_READY)
	j.reject(leadv1.RejectReason_REJECT_REASON_NOT_READY)
	j.pass(30 * 24 * time.Hour)
	j.qualify(to("bo"))
	j.delivered()
	j.reject(leadv1.RejectReason_REJECT_REASON_COMPETITOR)
	j.qualify(to("ada"))
	j.golden("comes_back")
}

func TestADeliveryFollowsTheStandardScheduleThenIsParked(t *testing.T) {
	p := policy()
	p.SLA.RespondWithin = 0
	j := play(t, p)
	j.qualify(to("ada"))
	for range 9 {
		j.fails()
		j.sleep(nil)
	}
	j.fails()
	if !j.wake.IsZero() {
		t.Fatalf("a parked delivery wakes the lead up at %s", j.wake)
	}
	d, err := j.desk.Redeliver(j.s, "", j.now)
	j.note("a person sends it again", d, err)
	j.delivered()
	j.golden("exhausted")
}

func TestTheCRMCanAskForMoreTimeButNotForLess(t *testing.T) {
	for wish, want := range map[time.Duration]time.Duration{time.Second: 5 * time.Second, time.Minute: time.Minute} {
		p := policy()
		p.SLA.RespondWithin = 0
		j := play(t, p)
		j.qualify(to("ada"))
		j.answer("429", &handoffv1.DeliveryOutcome{HttpStatus: 429, RetryAt: timestamppb.New(j.now.Add(wish))})
		if got := j.wake.Sub(j.now); got != want {
			t.Errorf("Retry-After %s: tries again after %s, want %s", wish, got, want)
		}
	}
}

func TestAPermanentRefusalParksAtOnce(t *testing.T) {
	p := policy()
	p.SLA.RespondWithin = 0
	j := play(t, p)
	j.qualify(to("ada"))
	j.answer("410", &handoffv1.DeliveryOutcome{HttpStatus: 410, Permanent: true, Reason: "endpoint_disabled", Error: "gone"})
	d := j.s.GetHandoff().GetDeliveries()[0]
	if d.GetStatus() != handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED || d.GetReason() != string(desk.EndpointDisabled) {
		t.Fatalf("got %v", d)
	}
}

func TestADeliveryStillUnderWayIsRetriedWhenTheStayIsOver(t *testing.T) {
	j := play(t, policy())
	j.qualify(to("ada"))
	j.fails()
	j.reject(leadv1.RejectReason_REJECT_REASON_NOT_READY)
	j.sleep(nil)
	if d := j.s.GetHandoff().GetDeliveries()[0]; d.GetAttempts() != 2 {
		t.Fatalf("the delivery was forgotten: %v", d)
	}
}
