package ties_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ties"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// into is a lead's record once it is merged.
func into(lead, merge string) *ingestv1.State {
	return &ingestv1.State{MergedInto: &ingestv1.Merge{Id: merge, IntoLeadId: lead}}
}

// with is a lead's record with others in it, each by a merge of the same name.
func with(leads ...string) *ingestv1.State {
	s := &ingestv1.State{MergedFrom: leads}
	for _, l := range leads {
		s.Parts = append(s.Parts, &ingestv1.Part{Lead: &leadv1.Lead{LeadId: l}, Merge: &ingestv1.Merge{Id: "m-" + l}})
	}
	return s
}

func TestASurvivorWaitsUntilTheOtherLeadHasClosedForThisVeryMerge(t *testing.T) {
	var survivor, other *leadv1.Ties
	news := ties.Follow(&survivor, with("b"), nil, 7)
	if !slices.Equal(news.Joined, []string{"b"}) || ties.Complete(survivor, []string{"b"}) {
		t.Fatalf("news %+v, ties %v", news, survivor)
	}
	awaited := survivor.GetAwaited()[0]
	if ties.Ready(other, awaited) {
		t.Error("ready before the other one was heard of")
	}
	ties.Follow(&other, into("z", "m-earlier"), nil, 2)
	ties.Follow(&other, &ingestv1.State{}, nil, 4)
	if ties.Ready(other, awaited) {
		t.Error("ready for an earlier merge")
	}
	if news := ties.Follow(&other, into("a", "m-b"), nil, 6); !news.Closed || !ties.Ready(other, awaited) {
		t.Errorf("closed, and not ready: %+v %v", news, other)
	}
	ties.Took(survivor, awaited)
	if !ties.Complete(survivor, []string{"b"}) || !ties.Next(survivor, time.Now()).IsZero() {
		t.Errorf("still waits: %v", survivor)
	}
}

func TestALeadThatIsGivenBackAwaitsWhoeverHadIt(t *testing.T) {
	var lead, host, last *leadv1.Ties
	ties.Follow(&lead, into("b", "m-a"), nil, 1)
	ties.Follow(&host, with("a"), nil, 2)
	ties.Follow(&host, into("c", "m-b"), nil, 3)
	ties.Follow(&last, with("a", "b"), nil, 4)
	restored := &ingestv1.Event{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{FromLeadId: "c", Hosts: []*ingestv1.Host{
		{LeadId: "b", MergeId: "m-b"}, {LeadId: "c", MergeId: "m-a"},
	}}}}
	news := ties.Follow(&lead, &ingestv1.State{}, []*ingestv1.Event{restored}, 6)
	if !news.Opened || !slices.Equal(news.Hosts, []string{"b", "c"}) || len(lead.GetAwaited()) != 2 {
		t.Fatalf("news %+v, ties %v", news, lead)
	}
	if !ties.Ready(host, lead.GetAwaited()[0]) || ties.Ready(last, lead.GetAwaited()[1]) {
		t.Error("who closed is done with it, who has not heard of it yet is not")
	}
	unmerged := &ingestv1.Event{Fact: &ingestv1.Event_Unmerged{Unmerged: &ingestv1.Unmerged{LeadId: "a", MergeId: "m-a"}}}
	if news := ties.Follow(&last, with("b"), []*ingestv1.Event{unmerged}, 5); !slices.Equal(news.Left, []string{"a"}) || !ties.Ready(last, lead.GetAwaited()[1]) {
		t.Errorf("given back, and not ready: %+v", news)
	}
}

func TestAwaitedLeadsAreLookedForLessAndLessOften(t *testing.T) {
	var a *leadv1.Ties
	ties.Follow(&a, with("b"), nil, 1)
	now, pause := time.Unix(0, 0), time.Duration(-1)
	for range 30 {
		next := ties.Next(a, now).Sub(now)
		if next < pause || next > time.Hour {
			t.Fatalf("after %s %s", pause, next)
		}
		pause = next
		a.Looks++
	}
	if pause != time.Hour {
		t.Errorf("in the end every %s", pause)
	}
}

func TestOnlyRecordsOfMergesConcernTies(t *testing.T) {
	for _, c := range []struct {
		event *ingestv1.Event
		want  bool
	}{
		{&ingestv1.Event{Source: "web", OriginLeadId: "b", Fact: &ingestv1.Event_Activity{Activity: &leadv1.Activity{Type: "page_viewed"}}}, false},
		{&ingestv1.Event{Fact: &ingestv1.Event_Suppressed{Suppressed: &ingestv1.Suppressed{}}}, false},
		{&ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: "b"}}}, true},
		{&ingestv1.Event{Fact: &ingestv1.Event_MergedInto{MergedInto: &ingestv1.MergedInto{}}}, true},
		{&ingestv1.Event{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{}}}, true},
		{&ingestv1.Event{Fact: &ingestv1.Event_Unmerged{Unmerged: &ingestv1.Unmerged{}}}, true},
	} {
		event, err := proto.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := proto.Marshal(&ledgerv1.Record{Id: "x", Version: 3, State: []byte{1, 2, 3}, Events: [][]byte{event}, RecentIds: []uint64{1}})
		if err != nil {
			t.Fatal(err)
		}
		if got := ties.Concerns(rec); got != c.want {
			t.Errorf("%v: %t", c.event, got)
		}
	}
	if ties.Concerns([]byte{0xff, 0xff}) {
		t.Error("nonsense concerns ties")
	}
}

func TestAnExpectedLeadWaitsForTheRecordThatNamesItsMerge(t *testing.T) {
	var a, b *leadv1.Ties
	ties.Expect(&a, []string{"b"})
	ties.Follow(&b, into("a", "m-b"), nil, 1)
	if len(a.GetAwaited()) != 1 || ties.Ready(b, a.GetAwaited()[0]) {
		t.Errorf("ready without knowing by which merge: %v", a)
	}
	ties.Follow(&a, with("b"), nil, 2)
	if len(a.GetAwaited()) != 1 || !ties.Ready(b, a.GetAwaited()[0]) {
		t.Errorf("not ready: %v", a)
	}
}
