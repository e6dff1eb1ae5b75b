package person

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// news says what became of the mail of a touch, so many minutes after noon.
func news(touch, what string, minute int, limit uint32) *ingestv1.Apply {
	a := &leadv1.Activity{
		Id: fmt.Sprint(touch, what, minute), Type: emailDelivered, Properties: map[string]string{"touch_id": touch},
		OccurredAt: timestamppb.New(noon.Add(time.Duration(minute) * time.Minute)),
	}
	if what == "soft" {
		a.Type, a.SoftBounceLimit = emailBounced, limit
		a.Properties["bounce"] = "soft"
	}
	return &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Source: "postmark", Activity: a}}
}

// after folds lines like "t1 soft 5" with a limit of three.
func after(t testing.TB, lines ...string) *ingestv1.State {
	t.Helper()
	st := New()
	for _, line := range lines {
		var touch, what string
		var minute int
		if _, err := fmt.Sscan(line, &touch, &what, &minute); err != nil {
			t.Fatal(err)
		}
		st = must(t, st, news(touch, what, minute, 3), noon.Add(24*time.Hour)).State
	}
	return st
}

func TestAnAddressThatSendsEverythingBackIsGone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lines []string
		gone  bool
	}{
		"two in a row":                       {[]string{"t1 soft 1", "t2 soft 2"}, false},
		"three in a row":                     {[]string{"t1 soft 1", "t2 soft 2", "t3 soft 3"}, true},
		"the same mail three times":          {[]string{"t1 soft 1", "t1 soft 2", "t1 soft 3"}, false},
		"a delivery in between":              {[]string{"t1 soft 1", "t2 soft 2", "t3 delivered 3", "t4 soft 4"}, false},
		"a delivery before":                  {[]string{"t1 delivered 1", "t2 soft 2", "t3 soft 3", "t4 soft 4"}, true},
		"taken first, sent back later":       {[]string{"t1 delivered 1", "t1 soft 2", "t2 delivered 3", "t2 soft 4", "t3 delivered 5", "t3 soft 6"}, true},
		"sent back first, taken later":       {[]string{"t1 soft 1", "t2 soft 2", "t2 delivered 3", "t3 soft 4"}, false},
		"the delivery in between comes late": {[]string{"t1 soft 1", "t3 soft 3", "t2 delivered 2"}, false},
		"an old bounce comes late":           {[]string{"t3 delivered 3", "t4 soft 4", "t5 soft 5", "t1 soft 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := after(t, tt.lines...).GetLead().GetSuppression() == leadv1.Suppression_SUPPRESSION_HARD_BOUNCE
			if got != tt.gone {
				t.Errorf("gone %t, want %t", got, tt.gone)
			}
		})
	}
}

func TestASoftBounceCountsOnlyFromWhoeverMaySay(t *testing.T) {
	t.Parallel()
	st := New()
	for i := range 20 {
		st = must(t, st, news(fmt.Sprint("t", i), "soft", i, 0), noon.Add(time.Hour)).State
	}
	if len(st.GetMails()) != 0 || st.GetLead().GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		t.Errorf("state %v", st)
	}
}

func TestWhatBecameOfMailsDoesNotDependOnTheOrderOfTheNews(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.Custom(func(rt *rapid.T) string {
			return fmt.Sprintf("t%d %s %d", rapid.IntRange(1, 8).Draw(rt, "touch"), rapid.SampledFrom([]string{"soft", "delivered"}).Draw(rt, "what"), rapid.IntRange(0, 60).Draw(rt, "minute"))
		})
		lines := rapid.SliceOfN(line, 1, 20).Draw(rt, "news")
		a, b := after(t, lines...), after(t, append(rapid.Permutation(lines).Draw(rt, "order"), lines[0])...)
		if diff := cmp.Diff(a.GetMails(), b.GetMails(), protocmp.Transform()); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestTheMailsKeptStayFew(t *testing.T) {
	t.Parallel()
	st := New()
	for i := range 100 {
		st = must(t, st, news(fmt.Sprint("t", i), []string{"soft", "delivered"}[i%2], i, 10), noon.Add(24*time.Hour)).State
	}
	if len(st.GetMails()) != maxMails || MaxSoftBounces >= maxMails {
		t.Errorf("%d mails kept", len(st.GetMails()))
	}
}

func TestUnsubscribingFromNobodyKnowsWhatTakesEverythingBack(t *testing.T) {
	t.Parallel()
	st := must(t, New(), &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Source: "website", Consents: []*leadv1.Consent{
		{Purpose: "marketing_email", Granted: true}, {Purpose: "newsletter", Granted: true}, {Purpose: "partners"},
	}}}, noon).State
	cmd := func(consents ...*leadv1.Consent) *ingestv1.Apply {
		return &ingestv1.Apply{Suppression: leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, Capture: &ingestv1.CaptureLeadRequest{
			Source: "postmark", Consents: consents, Activity: &leadv1.Activity{Id: "u1", Type: emailUnsubscribed},
		}}
	}
	left := func(st *ingestv1.State) string {
		var granted []string
		for _, c := range st.GetLead().GetConsents() {
			if c.GetGranted() {
				granted = append(granted, c.GetPurpose())
			}
		}
		return strings.Join(granted, " ")
	}
	all := must(t, proto.CloneOf(st), cmd(), noon.Add(time.Hour))
	if left(all.State) != "" || strings.Count(facts(all), "Consent") != 2 || all.State.GetLead().GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED {
		t.Errorf("left %q, facts %q", left(all.State), facts(all))
	}
	one := must(t, proto.CloneOf(st), cmd(&leadv1.Consent{Purpose: "newsletter"}), noon.Add(time.Hour))
	if left(one.State) != "marketing_email" {
		t.Errorf("left %q", left(one.State))
	}
	untold := cmd()
	untold.Suppression = leadv1.Suppression_SUPPRESSION_UNSPECIFIED
	if got := must(t, proto.CloneOf(st), untold, noon.Add(time.Hour)); left(got.State) != "marketing_email newsletter" {
		t.Errorf("an activity that anybody can send took back consents: %q left", left(got.State))
	}
}
