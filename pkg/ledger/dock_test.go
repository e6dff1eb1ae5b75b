package ledger

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// idleLane is a lane at a moment, with nothing at hand.
func idleLane(t *testing.T, now *time.Time) *lane[*leadv1.Lead] {
	t.Helper()
	l, err := New(Options[*leadv1.Lead]{
		Service: "scoring", Stream: bus.Scores, New: func() *leadv1.Lead { return &leadv1.Lead{} },
		Fold: func(*leadv1.Lead, Input, time.Time) (Change[*leadv1.Lead], error) { return Change[*leadv1.Lead]{}, nil },
	}, Deps{Bus: &bus.Bus{}, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return newLane(l, 0)
}

func (ln *lane[S]) flood() {
	for range 2 * busyAbove {
		ln.tide.rise(ln.l.d.Now())
	}
}

func inputOf(lead, id string, patient bool) *item {
	return &item{in: Input{Lead: lead, ID: id}, patient: patient}
}

func idsOf(its []*item) (ids []string) {
	for _, it := range its {
		ids = append(ids, it.in.ID)
	}
	return ids
}

func TestAnIdleLaneServesPatientInputsAtOnce(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	ln.route(inputOf("a", "1", true))
	if ln.prompt.n != 1 || !ln.mayDepart() {
		t.Errorf("%d items go at once, want 1", ln.prompt.n)
	}
}

func TestPatientInputsOfABusyLaneWaitForCompanyButNotForLong(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	ln.flood()
	ln.route(inputOf("a", "1", true))
	if ln.mayDepart() || ln.patient.n != 1 {
		t.Fatalf("%d items wait, may depart: %v", ln.patient.n, ln.mayDepart())
	}
	if wait := ln.patience(); wait != linger {
		t.Errorf("the lane sleeps %s, want %s", wait, linger)
	}
	now = now.Add(linger)
	if !ln.mayDepart() {
		t.Error("they wait on after their time")
	}
}

func TestAnEscortWaitsForCompanyWhereMuchIsComingAndNowhereElse(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	born := func(lead string) *item {
		it := inputOf(lead, lead, false)
		it.cmd = &command{escort: &Escort{Msgs: []*nats.Msg{{}}}}
		return it
	}
	ln.fare = 9 * time.Millisecond
	ln.route(born("a"))
	if !ln.mayDepart() {
		t.Error("it waits on a lane where nothing else comes")
	}
	for range 1000 {
		ln.tide.rise(now)
	}
	if wait := ln.patience(); ln.mayDepart() || wait != 3*time.Millisecond {
		t.Errorf("the lane sleeps %s, want a third of what a pass takes", wait)
	}
	ln.fare = time.Second
	if wait := ln.patience(); wait != gatherMax {
		t.Errorf("the lane sleeps %s, want no more than %s", wait, gatherMax)
	}
	now = now.Add(gatherMax)
	if !ln.mayDepart() {
		t.Error("it waits on after its time")
	}
	ln.escorting = 1
	if ln.mayDepart() {
		t.Error("it does not wait for the pass that is under way")
	}
	ln.escorting, ln.stopping, now = 0, true, now.Add(-gatherMax)
	if !ln.mayDepart() {
		t.Error("it waits for company while the lane stops")
	}
}

func TestAPromptInputTakesThePatientOnesOfItsLeadAlong(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	ln.flood()
	ln.route(inputOf("a", "1", true))
	ln.route(inputOf("b", "2", true))
	ln.route(inputOf("a", "3", false))
	ln.route(inputOf("a", "4", true))
	if got, want := idsOf(ln.prompt.load(passMax)), []string{"1", "3", "4"}; !slices.Equal(got, want) {
		t.Errorf("%v go at once, want %v", got, want)
	}
	if got, want := idsOf(ln.patient.load(passMax)), []string{"2"}; !slices.Equal(got, want) {
		t.Errorf("%v wait, want %v", got, want)
	}
}

func TestInputsOfOneLeadKeepTheirOrderHoweverTheyWait(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		now := moment(0)
		ln := idleLane(t, &now)
		ln.flood()
		sent := map[string][]string{}
		gone := map[string][]string{}
		depart := func(d *dock) {
			for _, it := range d.load(rapid.IntRange(1, 4).Draw(rt, "want")) {
				gone[it.in.Lead] = append(gone[it.in.Lead], it.in.ID)
			}
		}
		for i := range 60 {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				depart(ln.prompt)
			case 1:
				depart(ln.patient)
			default:
				lead := strconv.Itoa(rapid.IntRange(0, 3).Draw(rt, "lead"))
				sent[lead] = append(sent[lead], strconv.Itoa(i))
				ln.route(inputOf(lead, strconv.Itoa(i), rapid.Bool().Draw(rt, "patient")))
			}
		}
		for ln.prompt.n+ln.patient.n > 0 {
			depart(ln.prompt)
			depart(ln.patient)
		}
		for lead, ids := range sent {
			if !slices.Equal(gone[lead], ids) {
				rt.Fatalf("lead %s went as %v, came as %v", lead, gone[lead], ids)
			}
		}
	})
}
