package person

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// judges are rules that a test gives, found by what they are called there.
type judges map[string]*signal.Rules

func newJudges(t testing.TB, yaml ...string) judges {
	t.Helper()
	all := judges{}
	for i, text := range yaml {
		r, err := signal.Parse("signals.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all[string(rune('a'+i))] = r
	}
	return all
}

func (j judges) fold(t testing.TB, st *ingestv1.State, in ledger.Input) Change {
	t.Helper()
	find := func(hash string) (*signal.Rules, error) { return j[hash], nil }
	ch, err := Folding(nil, find)(st, in, in.Time)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func encodedCmd(t testing.TB, cmd *ingestv1.Apply) []byte {
	t.Helper()
	data, err := proto.Marshal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheFlagsFollowTheAddressAndTheRules(t *testing.T) {
	all := newJudges(t, "", "addresses: {competitors: [rival.example]}")
	cmd := told(&leadv1.Profile{Email: "ann@gmail.com"})
	cmd.Signals = "a"
	ch := all.fold(t, New(), ledger.Input{Lead: "L", ID: "1", Time: noon, Data: encodedCmd(t, cmd)})
	if got := ch.State.GetLead().GetFlags(); !got.GetFreeMail() || facts(ch) != "Captured Identified Identified" {
		t.Fatalf("%v, facts %s", got, facts(ch))
	}
	cmd = told(&leadv1.Profile{Email: "ann@rival.example"})
	ch = all.fold(t, ch.State, ledger.Input{Lead: "L", ID: "2", Time: noon, Data: encodedCmd(t, cmd)})
	if got := ch.State.GetLead().GetFlags(); got != nil {
		t.Fatalf("by the former rules: %v", got)
	}
	again := &ingestv1.Apply{Signals: "b", Rejudge: &ingestv1.Rejudge{}}
	in := ledger.Input{Lead: "L", ID: "3", Kind: KindRejudge, Time: noon, Data: encodedCmd(t, again)}
	ch = all.fold(t, ch.State, in)
	if got := ch.State.GetLead().GetFlags(); !got.GetCompetitor() || ch.Reason != ReasonFlagged {
		t.Fatalf("by the new rules: %v, reason %s", got, ch.Reason)
	}
	if ch = all.fold(t, ch.State, in); !ch.Same {
		t.Errorf("a second time: %+v", ch)
	}
}

// reading is one lead whose hits are judged.
type reading struct {
	t   testing.TB
	all judges
	st  *ingestv1.State
	ch  Change
	n   int
}

func newReading(t testing.TB, yaml ...string) *reading {
	r := &reading{t: t, all: newJudges(t, yaml...), st: New()}
	cmd := told(&leadv1.Profile{Email: "ann@acme.example"})
	cmd.Signals = "a"
	r.do(ledger.Input{Kind: KindCapture, Time: noon, Data: encodedCmd(t, cmd)})
	return r
}

// do folds an input, and folds it again from the bytes before: the same must come out.
func (r *reading) do(in ledger.Input) {
	r.t.Helper()
	r.n++
	in.Lead, in.ID = "L", fmt.Sprint("in-", r.n)
	before := proto.CloneOf(r.st)
	r.ch = r.all.fold(r.t, r.st, in)
	again := r.all.fold(r.t, before, in)
	if !r.ch.Same {
		r.st = r.ch.State
		if !proto.Equal(r.ch.State, again.State) || !r.ch.WakeAt.Equal(again.WakeAt) || len(r.ch.Events) != len(again.Events) {
			r.t.Fatal("the fold gives something else the second time")
		}
	}
}

func (r *reading) hit(at time.Time, id string, change func(*leadv1.Activity)) {
	r.t.Helper()
	a := &leadv1.Activity{Id: id, Type: "email_clicked", OccurredAt: timestamppb.New(at), Properties: map[string]string{"touch_id": "L-t1"}, Hit: &leadv1.Hit{
		Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Link: "1", Network: "198.51.100.0/24",
	}}
	if change != nil {
		change(a)
	}
	cmd := &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Source: "campaign", Activity: a}, Signals: "a", MustExist: true}
	r.do(ledger.Input{Kind: KindTrack, Time: at, Data: encodedCmd(r.t, cmd)})
}

func (r *reading) wake(at time.Time) { r.do(ledger.Input{Kind: "due", Time: at}) }

// verdicts are what the latest input judged, like "c1 human again".
func (r *reading) verdicts() string {
	var list []string
	for _, e := range r.ch.Events {
		if j := e.(*ingestv1.Event).GetJudged(); j != nil { //nolint:forcetypeassert,errcheck // ingest's events
			list = append(list, j.GetActivity().GetId()+" "+j.GetActivity().GetVerdict()+map[bool]string{true: " again"}[j.GetAgain()])
		}
	}
	return strings.Join(list, ", ")
}

func trapped(a *leadv1.Activity) { a.Hit.Trap, a.Hit.Link = true, "trap" }

func TestAHitWaitsForItsVerdictAndIsJudgedOnce(t *testing.T) {
	r := newReading(t, "")
	r.hit(noon, "c1", nil)
	if !r.ch.WakeAt.Equal(noon.Add(10*time.Second)) || facts(r.ch) != "Activity" {
		t.Fatalf("wakes at %s with %s", r.ch.WakeAt, facts(r.ch))
	}
	first := r.ch.Events[0].(*ingestv1.Event).GetActivity() //nolint:forcetypeassert,errcheck // ingest's events
	if !first.GetPending() || first.GetMachine() || r.st.GetLead().GetLastSeenAt() != nil {
		t.Errorf("recorded as %v, seen at %v", first, r.st.GetLead().GetLastSeenAt())
	}
	r.wake(noon.Add(9 * time.Second))
	if !r.ch.Same || r.ch.Reason != ReasonNotDue {
		t.Errorf("too early: %+v", r.ch)
	}
	r.wake(noon.Add(10 * time.Second))
	if r.verdicts() != "c1 human" || r.ch.Reason != ReasonJudged || !r.ch.WakeAt.IsZero() || !r.st.GetLead().GetLastSeenAt().AsTime().Equal(noon) {
		t.Errorf("%q, %s, wakes at %s, seen at %v", r.verdicts(), r.ch.Reason, r.ch.WakeAt, r.st.GetLead().GetLastSeenAt())
	}
	r.wake(noon.Add(11 * time.Second))
	if !r.ch.Same {
		t.Errorf("a second wake-up: %+v", r.ch)
	}
}

func TestHitsOfOneMailAreJudgedTogetherAndOthersAreNot(t *testing.T) {
	r := newReading(t, "")
	r.hit(noon, "c1", nil)
	r.hit(noon, "other", func(a *leadv1.Activity) { a.Properties["touch_id"] = "L-t2" })
	r.hit(noon.Add(5*time.Second), "trap", trapped)
	r.wake(noon.Add(10 * time.Second))
	if r.verdicts() != "c1 with_trap_link, other human" {
		t.Errorf("judged %q", r.verdicts())
	}
	if !r.ch.WakeAt.Equal(noon.Add(15 * time.Second)) {
		t.Errorf("the trap's own verdict is due %s", r.ch.WakeAt)
	}
	r.wake(noon.Add(15 * time.Second))
	if r.verdicts() != "trap trap_link" {
		t.Errorf("judged %q", r.verdicts())
	}
	if r.st.GetLead().GetLastSeenAt() == nil { // by the other mail
		t.Error("a person was not seen")
	}
}

func TestWhatComesALittleLaterOverrulesAVerdict(t *testing.T) {
	r := newReading(t, "")
	r.hit(noon, "c1", nil)
	r.wake(noon.Add(10 * time.Second))
	r.hit(noon.Add(30*time.Second), "trap", trapped)
	r.wake(noon.Add(40 * time.Second))
	if r.verdicts() != "c1 same_as_machine again, trap trap_link" {
		t.Errorf("judged %q", r.verdicts())
	}
	r.hit(noon.Add(time.Hour), "late", trapped)
	if len(r.st.GetHits()) != 1 {
		t.Errorf("%d hits are remembered for ever", len(r.st.GetHits()))
	}
}

func TestOfTooManyHitsTheOldestAreJudgedAtOnce(t *testing.T) {
	r := newReading(t, "")
	judged := 0
	for i := range 40 {
		r.hit(noon.Add(time.Duration(i)*100*time.Millisecond), fmt.Sprint("c", i), func(a *leadv1.Activity) { a.Properties["touch_id"] = fmt.Sprint("L-t", i) })
		if r.verdicts() != "" {
			judged++
		}
	}
	if judged != 40-maxHits || len(r.st.GetHits()) != maxHits || r.st.GetHitsTotal() != 40 {
		t.Errorf("%d judged, %d kept, %d ever", judged, len(r.st.GetHits()), r.st.GetHitsTotal())
	}
}

func TestNewRulesJudgeHistoryAgainAndOnlyWhatDiffersIsTold(t *testing.T) {
	r := newReading(t, "", "networks: {scanners: [198.51.100.0/24]}")
	r.hit(noon, "c1", nil)
	r.hit(noon.Add(time.Minute), "c2", func(a *leadv1.Activity) { a.Hit.Network = "203.0.113.0/24" })
	r.wake(noon.Add(2 * time.Minute))
	var history []*leadv1.Activity
	for _, e := range r.ch.Events {
		history = append(history, e.(*ingestv1.Event).GetJudged().GetActivity()) //nolint:forcetypeassert,errcheck // ingest's events
	}
	rejudge := func(rules string, hits []*leadv1.Activity) {
		r.do(ledger.Input{Kind: KindRejudge, Time: noon.Add(time.Hour), Data: encodedCmd(t, &ingestv1.Apply{Signals: rules, Rejudge: &ingestv1.Rejudge{Hits: hits}})})
	}
	rejudge("b", history)
	if r.verdicts() != "c1 scanner_network again" || r.ch.Reason != ReasonRejudged {
		t.Fatalf("judged %q, %s", r.verdicts(), r.ch.Reason)
	}
	history[0] = r.ch.Events[0].(*ingestv1.Event).GetJudged().GetActivity() //nolint:forcetypeassert,errcheck // ingest's events
	rejudge("b", history)
	if !r.ch.Same {
		t.Errorf("a second time: %q", r.verdicts())
	}
	rejudge("a", history)
	if r.verdicts() != "c1 human again" {
		t.Errorf("by the former rules: %q", r.verdicts())
	}
	rejudge("a", []*leadv1.Activity{{Id: "old", Type: "email_clicked"}, {Id: "waits", Type: "email_clicked", Pending: true}})
	if !r.ch.Same {
		t.Errorf("what has no evidence or waits is judged: %q", r.verdicts())
	}
}

func TestAnErasedLeadIsNotJudged(t *testing.T) {
	r := newReading(t, "")
	r.hit(noon, "c1", nil)
	data, err := proto.Marshal(&ingestv1.Erase{})
	if err != nil {
		t.Fatal(err)
	}
	r.do(ledger.Input{Kind: KindErase, Time: noon.Add(time.Second), Data: data})
	r.wake(noon.Add(time.Minute))
	if !r.ch.Same {
		t.Errorf("%+v", r.ch)
	}
}
