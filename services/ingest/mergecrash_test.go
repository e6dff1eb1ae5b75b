package ingest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	who "github.com/nurturehq/nurture/services/ingest/internal/person"
)

// cut takes the first n steps of a merge of two into one, or of its undoing, as a
// process does that dies then.
func (r *room) cut(one, two string, undo bool, n int) {
	r.t.Helper()
	m := &ingestv1.Merge{Id: "m1", FromLeadId: two, IntoLeadId: one, By: "ada", Confidence: 1}
	var frozen, whole ledger.Entry[*ingestv1.State]
	steps := []func(){
		func() { r.step(one, &ingestv1.Step{Step: &ingestv1.Step_Join{Join: proto.CloneOf(m)}}) },
		func() { frozen = r.step(two, &ingestv1.Step{Step: &ingestv1.Step_Freeze{Freeze: proto.CloneOf(m)}}) },
		func() {
			parts := []*ingestv1.Part{proto.CloneOf(who.Parts(frozen.State)[0])}
			parts[0].Merge, parts[0].RecentIds = m, frozen.Record.GetRecentIds()
			r.step(one, &ingestv1.Step{Step: &ingestv1.Step_Adopt{Adopt: &ingestv1.Adopt{Merge: m, Parts: parts}}})
		},
	}
	if undo {
		steps = []func(){
			func() {
				whole = r.step(one, &ingestv1.Step{Step: &ingestv1.Step_Release{Release: &ingestv1.Release{LeadId: two, By: "ada"}}})
			},
			func() {
				l := whole.State.GetLeaving()[0]
				back := &ingestv1.Restore{Id: l.GetId(), FromLeadId: one, Parts: l.GetParts(), Hosts: l.GetHosts()}
				r.step(two, &ingestv1.Step{Step: &ingestv1.Step_Restore{Restore: back}})
			},
			func() {
				r.step(one, &ingestv1.Step{Step: &ingestv1.Step_Forget{Forget: whole.State.GetLeaving()[0].GetId()}})
			},
		}
	}
	for _, take := range steps[:n] {
		take()
	}
}

func (r *room) step(lead string, step *ingestv1.Step) ledger.Entry[*ingestv1.State] {
	r.t.Helper()
	data, err := proto.Marshal(&ingestv1.Apply{Step: step})
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := r.svc.Ledger().Update(r.t.Context(), lead, ledger.Command{Kind: who.KindStep, Data: data})
	if err != nil {
		r.t.Fatalf("step %v of lead %s: %v", step, lead, err)
	}
	return res.Entry
}

// story is what everybody can read of leads.
func (r *room) story(leads ...string) string {
	r.t.Helper()
	var b strings.Builder
	for i, id := range leads {
		l := r.lead(id)
		acts, err := r.api.ListActivities(r.t.Context(), &ingestv1.ListActivitiesRequest{LeadId: id})
		if err != nil {
			r.t.Fatal(err)
		}
		var did []string
		for _, a := range acts.GetActivities() {
			did = append(did, a.GetId())
		}
		slices.Sort(did)
		fmt.Fprintf(&b, "lead %d is lead %d: %s %v, did %d: %v\n", i, slices.Index(leads, l.GetLeadId()), l.GetProfile().GetEmail(), l.GetPhones(), l.GetActivities(), did)
	}
	return b.String()
}

func TestAMergeOrAnUnmergeCutShortAfterAnyStepComesToTheSameEnd(t *testing.T) {
	for _, undo := range []bool{false, true} {
		want := ""
		for n := 3; n >= 1; n-- { // first the one that nobody cut
			t.Run(fmt.Sprintf("undo %t, %d steps", undo, n), func(t *testing.T) {
				r := newRoom(t)
				one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
				r.did("jo@home.example", "before")
				if undo {
					r.cut(one, two, false, 3)
					r.did("jo@home.example", "between")
				}
				r.cut(one, two, undo, n)
				next := joinRoom(t, r.bus) // another process, that knows nothing but the log
				if got := next.did("jo@home.example", "after"); got.GetDuplicate() {
					t.Errorf("an event after the crash is taken for a repeat: %v", got)
				}
				got := next.story(one, two)
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
				for _, lead := range []string{one, two} {
					e, err := next.svc.Ledger().Get(t.Context(), lead)
					if err != nil || len(e.State.GetJoining())+len(e.State.GetLeaving()) > 0 {
						t.Errorf("something is still under way: %v, %v", e.State, err)
					}
				}
				if again := next.did("jo@home.example", "after"); !again.GetDuplicate() {
					t.Errorf("sent again: %v", again)
				}
			})
		}
		if !strings.Contains(want, map[bool]string{false: "lead 1 is lead 0", true: "lead 1 is lead 1"}[undo]) {
			t.Errorf("the end is\n%s", want)
		}
	}
}
