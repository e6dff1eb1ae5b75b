package person

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func try(t testing.TB, st *ingestv1.State, cmd *ingestv1.Apply, at time.Time) (Change, error) {
	t.Helper()
	data, err := proto.Marshal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return Fold(st, ledger.Input{Lead: "L", Kind: KindCapture, ID: "id", Data: data}, at)
}

func must(t testing.TB, st *ingestv1.State, cmd *ingestv1.Apply, at time.Time) Change {
	t.Helper()
	ch, err := try(t, st, cmd, at)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func facts(ch Change) string {
	var names []string
	for _, e := range ch.Events {
		names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", e.(*ingestv1.Event).GetFact()), "*ingestv1.Event_"))
	}
	return strings.Join(names, " ")
}

func told(p *leadv1.Profile) *ingestv1.Apply {
	return &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Source: "website", Profile: p}}
}

func TestTheFirstFormIsOneRecordWithEverything(t *testing.T) {
	cmd := told(&leadv1.Profile{Email: "jo@acme.example", FirstName: "Jo"})
	cmd.Capture.Activity = &leadv1.Activity{Type: "demo_requested"}
	cmd.Capture.Consents = []*leadv1.Consent{{Purpose: "marketing_email", Granted: true}}
	cmd.Capture.Attribution = &leadv1.Attribution{UtmSource: "search"}
	ch := must(t, New(), cmd, noon)
	if got := facts(ch); got != "Captured Identified Consent Activity" || ch.Reason != ReasonCaptured {
		t.Fatalf("facts %q, reason %q", got, ch.Reason)
	}
	want := &leadv1.Lead{
		LeadId: "L", Source: "website", Profile: &leadv1.Profile{Email: "jo@acme.example", FirstName: "Jo"},
		FirstTouch: &leadv1.Attribution{UtmSource: "search", At: timestamppb.New(noon)},
		LastTouch:  &leadv1.Attribution{UtmSource: "search", At: timestamppb.New(noon)},
		Consents:   []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, At: timestamppb.New(noon)}},
		CreatedAt:  timestamppb.New(noon), UpdatedAt: timestamppb.New(noon), LastSeenAt: timestamppb.New(noon), Activities: 1,
	}
	if diff := cmp.Diff(want, ch.State.GetLead(), protocmp.Transform()); diff != "" {
		t.Errorf("lead (-want +got): %s", diff)
	}
	changed := ch.Events[1].(*ingestv1.Event).GetIdentified().GetChanged()
	if diff := cmp.Diff([]string{"email", "first_name", "first_touch", "last_touch"}, changed); diff != "" {
		t.Errorf("changed (-want +got): %s", diff)
	}
	if id := ch.Events[3].(*ingestv1.Event).GetActivity().GetId(); id != "id" {
		t.Errorf("an activity without an id of its own has %q, expected the command's", id)
	}
}

func TestNewerValuesWinAndEmptyOnesDoNot(t *testing.T) {
	st := must(t, New(), told(&leadv1.Profile{Email: "jo@acme.example", Company: "Acme", Attributes: map[string]string{"plan": "free", "size": "s"}}), noon).State
	ch := must(t, st, told(&leadv1.Profile{Email: "jo@new.example", Attributes: map[string]string{"plan": "pro", "size": ""}}), noon.Add(time.Hour))
	want := &leadv1.Profile{Email: "jo@new.example", Company: "Acme", Attributes: map[string]string{"plan": "pro", "size": "s"}}
	if diff := cmp.Diff(want, ch.State.GetLead().GetProfile(), protocmp.Transform()); diff != "" {
		t.Errorf("profile (-want +got): %s", diff)
	}
	if diff := cmp.Diff([]string{"jo@acme.example", "jo@new.example"}, ch.State.GetEmails()); diff != "" {
		t.Errorf("addresses (-want +got): %s", diff)
	}
	if again := must(t, ch.State, told(&leadv1.Profile{Company: "Acme"}), noon); !again.Same || again.Reason != ReasonNothingNew {
		t.Errorf("what is known changed something: %v", again)
	}
}

func TestTheFirstTouchStaysAndTheLastOneNamesACampaign(t *testing.T) {
	touch := func(source, page string) *ingestv1.Apply {
		return &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{
			Attribution: &leadv1.Attribution{UtmSource: source, LandingPage: page}, Activity: &leadv1.Activity{Type: "page_viewed"},
		}}
	}
	st := New()
	for i, cmd := range []*ingestv1.Apply{touch("search", "/a"), touch("", "/b"), touch("news", "/c"), touch("", "/d")} {
		st = must(t, st, cmd, noon.Add(time.Duration(i)*time.Minute)).State
	}
	if first, last := st.GetLead().GetFirstTouch(), st.GetLead().GetLastTouch(); first.GetUtmSource() != "search" || last.GetUtmSource() != "news" {
		t.Errorf("first %v, last %v", first, last)
	}
}

func TestTheLatestAnswerCountsAndAWithdrawalWinsATie(t *testing.T) {
	answer := func(granted bool, at time.Time) *ingestv1.Apply {
		return &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: granted, At: timestamppb.New(at)}}}}
	}
	for _, tc := range []struct {
		name    string
		answers []*ingestv1.Apply
		granted bool
	}{
		{"no after yes", []*ingestv1.Apply{answer(true, noon), answer(false, noon.Add(time.Second))}, false},
		{"yes after no", []*ingestv1.Apply{answer(false, noon), answer(true, noon.Add(time.Second))}, true},
		{"an old yes comes late", []*ingestv1.Apply{answer(false, noon), answer(true, noon.Add(-time.Hour))}, false},
		{"both at once", []*ingestv1.Apply{answer(false, noon), answer(true, noon)}, false},
		{"both at once, other way round", []*ingestv1.Apply{answer(true, noon), answer(false, noon)}, false},
		{"a yes from the future is of now", []*ingestv1.Apply{answer(true, noon.Add(time.Hour)), answer(false, noon.Add(time.Minute))}, false},
	} {
		st := New()
		for _, cmd := range tc.answers {
			ch := must(t, st, cmd, noon.Add(time.Minute))
			if !strings.Contains(facts(ch), "Consent") {
				t.Errorf("%s: an answer left no proof", tc.name)
			}
			st = ch.State
		}
		if c := st.GetLead().GetConsents(); len(c) != 1 || c[0].GetGranted() != tc.granted {
			t.Errorf("%s: %v", tc.name, c)
		}
	}
}

func TestAWeakerSuppressionDoesNotReplaceAStrongerOne(t *testing.T) {
	st := New()
	for _, s := range []leadv1.Suppression{leadv1.Suppression_SUPPRESSION_HARD_BOUNCE, leadv1.Suppression_SUPPRESSION_COMPLAINT, leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED} {
		cmd := told(&leadv1.Profile{})
		cmd.Suppression = s
		if ch := must(t, st, cmd, noon); !ch.Same {
			st = ch.State
		}
	}
	if got := st.GetLead().GetSuppression(); got != leadv1.Suppression_SUPPRESSION_COMPLAINT {
		t.Errorf("suppression %s", got)
	}
}

func TestALeadThatMustExistIsNotMade(t *testing.T) {
	if _, err := try(t, New(), &ingestv1.Apply{MustExist: true}, noon); !errors.Is(err, ErrUnknownLead) {
		t.Errorf("error %v", err)
	}
	if _, err := Fold(New(), ledger.Input{Lead: "L", Data: []byte{0xff}}, noon); !errors.Is(err, ErrUndecodable) {
		t.Errorf("error %v", err)
	}
	if ch, err := Fold(New(), ledger.Input{Lead: "L", Kind: "due"}, noon); err != nil || !ch.Same {
		t.Errorf("a stray wake-up: %v, %v", ch, err)
	}
}

func TestMachinesAndOurOwnMailAreNotSeenAsTheLead(t *testing.T) {
	for _, tc := range []struct {
		a    *leadv1.Activity
		seen bool
	}{
		{&leadv1.Activity{Type: "page_viewed"}, true},
		{&leadv1.Activity{Type: "email_sent"}, false},
		{&leadv1.Activity{Type: "email_opened", Machine: true}, false},
	} {
		ch := must(t, New(), &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Activity: tc.a}}, noon)
		if got := ch.State.GetLead().GetLastSeenAt() != nil; got != tc.seen {
			t.Errorf("%s: seen %t", tc.a.GetType(), got)
		}
	}
}

// command draws any command.
func command(t *rapid.T) *ingestv1.Apply {
	word := rapid.SampledFrom([]string{"", "a", "b", "c"})
	req := &ingestv1.CaptureLeadRequest{
		Source: word.Draw(t, "source"), UserId: word.Draw(t, "user"), AnonymousId: word.Draw(t, "anonymous"),
		Profile: &leadv1.Profile{
			Email: word.Draw(t, "email"), Company: word.Draw(t, "company"),
			Attributes: rapid.MapOfN(rapid.StringMatching(`[a-z]{1,2}`), word, 0, 4).Draw(t, "attributes"),
		},
		OccurredAt: timestamppb.New(noon.Add(time.Duration(rapid.Int64Range(-1e18, 1e18).Draw(t, "at")))),
	}
	if rapid.Bool().Draw(t, "touched") {
		req.Attribution = &leadv1.Attribution{UtmSource: word.Draw(t, "utm")}
	}
	if rapid.Bool().Draw(t, "acted") {
		req.Activity = &leadv1.Activity{Type: "x"}
	}
	if p := word.Draw(t, "purpose"); p != "" {
		req.Consents = []*leadv1.Consent{{Purpose: p, Granted: rapid.Bool().Draw(t, "granted")}}
	}
	cmd := &ingestv1.Apply{Capture: req, Suppression: leadv1.Suppression(rapid.Int32Range(0, 4).Draw(t, "suppression"))}
	return cmd
}

func TestAnyHistoryFoldsTheSameTwiceAndKeepsItsLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := New(), New()
		var acts uint64
		var first *leadv1.Attribution
		for i := range rapid.IntRange(1, 20).Draw(rt, "commands") {
			cmd, now := command(rt), noon.Add(time.Duration(i)*time.Minute)
			before := proto.Clone(a)
			x, y := must(t, a, cmd, now), must(t, b, cmd, now)
			if diff := cmp.Diff(x.Events, y.Events, protocmp.Transform()); diff != "" || x.Reason != y.Reason {
				rt.Fatalf("two folds differ: %s", diff)
			}
			if x.Same {
				if diff := cmp.Diff(before, proto.Message(a), protocmp.Transform()); diff != "" {
					rt.Fatalf("a command that changes nothing changed the state: %s", diff)
				}
				continue
			}
			a, b = x.State, y.State
			acts += uint64(strings.Count(facts(x), "Activity"))
			touch := a.GetLead().GetFirstTouch()
			if first != nil && touch.GetAt().AsTime().After(first.GetAt().AsTime()) {
				rt.Fatal("the first touch got later")
			}
			first = proto.Clone(touch).(*leadv1.Attribution)
			check(rt, a, acts, now)
		}
	})
}

func check(t *rapid.T, st *ingestv1.State, acts uint64, now time.Time) {
	l := st.GetLead()
	if l.GetActivities() != acts {
		t.Fatalf("%d activities counted, %d recorded", l.GetActivities(), acts)
	}
	if l.GetLastSeenAt() != nil && l.GetLastSeenAt().AsTime().After(now.Add(furthest)) {
		t.Fatal("seen in the future")
	}
	for i := 1; i < len(l.GetConsents()); i++ {
		if l.GetConsents()[i-1].GetPurpose() >= l.GetConsents()[i].GetPurpose() {
			t.Fatal("consents out of order")
		}
	}
	if e := l.GetProfile().GetEmail(); e != "" && !strings.Contains(strings.Join(st.GetEmails(), " "), e) {
		t.Fatal("an address in use is not among the addresses")
	}
}
