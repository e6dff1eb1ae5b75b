package person

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

const strict = `
purposes:
  marketing_email: {title: Useful articles}
  product_news: {title: Product news}
jurisdictions:
  germany: {countries: [DE], basis: opt_in, double_opt_in: true}
  america: {countries: [US], basis: opt_out}
  elsewhere: {basis: opt_in}
default: elsewhere
confirmation: {ask_again: 10m}
`

// life is one lead whose commands are folded one after the other.
type life struct {
	t      testing.TB
	policy *consent.Policy
	st     *ingestv1.State
	now    time.Time
	n      int
	asked  int // confirmation mails wanted
}

func newLife(t testing.TB, country string) *life {
	t.Helper()
	p, err := consent.Parse("consent.yaml", []byte(strict))
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, policy: p, st: New(), now: time.Unix(1_700_000_000, 0)}
	l.do(&ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Profile: &leadv1.Profile{Email: "ann@x.example", Country: country}}})
	return l
}

func (l *life) do(cmd *ingestv1.Apply) Change {
	l.t.Helper()
	l.n++
	cmd.Policy = l.policy.Version
	data, err := proto.Marshal(cmd)
	if err != nil {
		l.t.Fatal(err)
	}
	fold := Folding(func(string) (*consent.Policy, error) { return l.policy, nil }, nil)
	ch, err := fold(l.st, ledger.Input{Lead: "l1", ID: fmt.Sprint("cmd-", l.n), Time: l.now, Data: data}, l.now)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range ch.Events {
		if e.(*ingestv1.Event).GetConfirmationAsked() != nil { //nolint:forcetypeassert,errcheck // ingest's events
			l.asked++
		}
	}
	return ch
}

// answer gives an answer to a purpose, now.
func (l *life) answer(purpose string, yes bool, method string, at time.Time) {
	l.t.Helper()
	l.do(&ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Consents: []*leadv1.Consent{{
		Purpose: purpose, Granted: yes, Method: method, Text: "the words", At: timestamppb.New(at),
	}}}})
}

func (l *life) tick(purpose string) { l.t.Helper(); l.answer(purpose, true, consent.MethodForm, l.now) }

// confirm uses the link of the latest mail about a purpose.
func (l *life) confirm(request string) Change {
	l.t.Helper()
	return l.do(&ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{Confirm: []string{request}, How: &leadv1.Consent{Proof: "t1", Ip: "192.0.2.1"}}})
}

func (l *life) request(purpose string) string {
	return consent.Of(l.st.GetLead().GetConsents(), purpose).GetRequestId()
}

// leave is unsubscribing from everything.
func (l *life) leave(s leadv1.Suppression, at time.Time) {
	l.t.Helper()
	l.do(&ingestv1.Apply{
		Capture: &ingestv1.CaptureLeadRequest{OccurredAt: timestamppb.New(at)}, Suppression: s,
		ConsentAct: &ingestv1.ConsentAct{WithdrawAll: s == leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED},
	})
}

func (l *life) reason(purpose string) string {
	return l.policy.Decide(purpose, l.st.GetLead()).GetReason()
}

func (l *life) want(purpose string, reason consent.Reason) {
	l.t.Helper()
	if got := l.reason(purpose); got != string(reason) {
		l.t.Errorf("%s: %s, want %s", purpose, got, reason)
	}
}

func TestATickInGermanyWaitsUntilItIsConfirmed(t *testing.T) {
	l := newLife(t, "DE")
	l.tick("marketing_email")
	l.want("marketing_email", consent.AwaitingConfirmation)
	if l.asked != 1 {
		t.Fatalf("%d mails wanted, not 1", l.asked)
	}
	l.now = l.now.Add(time.Hour)
	if ch := l.confirm(l.request("marketing_email")); ch.Reason != ReasonConfirmed {
		t.Errorf("reason %s", ch.Reason)
	}
	l.want("marketing_email", consent.Granted)
	l.want("product_news", consent.NotGranted)
	c := consent.Of(l.st.GetLead().GetConsents(), "marketing_email")
	if c.GetMethod() != consent.MethodDoubleOptIn || c.GetText() != "the words" || c.GetProof() != "t1" || c.GetRequestId() != "l1-c1" ||
		!c.GetRequestedAt().AsTime().Before(c.GetAt().AsTime()) {
		t.Errorf("the proof is %v", c)
	}
	if ch := l.confirm("l1-c1"); !ch.Same {
		t.Errorf("a second use changed something: %s", ch.Reason)
	}
}

func TestATickElsewhereCountsAtOnce(t *testing.T) {
	l := newLife(t, "FR")
	l.tick("marketing_email")
	l.want("marketing_email", consent.Granted)
	if l.asked != 0 {
		t.Error("a confirmation mail was wanted")
	}
}

func TestManyFormsAskForOneMailAndOneRequest(t *testing.T) {
	l := newLife(t, "DE")
	for range 1000 {
		l.now = l.now.Add(100 * time.Millisecond)
		l.tick("marketing_email")
	}
	if l.asked != 1 || l.request("marketing_email") != "l1-c1" {
		t.Errorf("%d mails wanted, request %s", l.asked, l.request("marketing_email"))
	}
	l.now = l.now.Add(11 * time.Minute)
	l.do(&ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{AskAgain: true}})
	if l.asked != 2 {
		t.Errorf("%d mails wanted after a while, not 2", l.asked)
	}
}

func TestWhoTookItBackIsNotGrantedByAnOldMail(t *testing.T) {
	l := newLife(t, "DE")
	l.tick("marketing_email")
	old := l.request("marketing_email")
	l.now = l.now.Add(time.Minute)
	l.answer("marketing_email", false, consent.MethodOneClick, l.now)
	l.now = l.now.Add(time.Minute)
	l.confirm(old)
	l.want("marketing_email", consent.TakenBack)
	l.tick("marketing_email")
	l.confirm(old)
	l.want("marketing_email", consent.AwaitingConfirmation)
	l.confirm(l.request("marketing_email"))
	l.want("marketing_email", consent.Granted)
}

func TestTakingOnePurposeBackLeavesTheOthers(t *testing.T) {
	l := newLife(t, "FR")
	l.tick("marketing_email")
	l.tick("product_news")
	l.now = l.now.Add(time.Second)
	l.answer("marketing_email", false, consent.MethodOneClick, l.now)
	l.want("marketing_email", consent.TakenBack)
	l.want("product_news", consent.Granted)
}

func TestWhoLeftComesBackByTheMailboxAlone(t *testing.T) {
	l := newLife(t, "FR") // no double opt-in by law
	l.tick("marketing_email")
	l.now = l.now.Add(time.Hour)
	l.leave(leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, l.now)
	l.want("marketing_email", consent.SuppressedAddress)
	l.now = l.now.Add(time.Hour)
	l.answer("marketing_email", true, consent.MethodPage, l.now)
	l.want("marketing_email", consent.SuppressedAddress)
	l.now = l.now.Add(time.Hour)
	if ch := l.confirm(l.request("marketing_email")); ch.Reason != ReasonConfirmed {
		t.Errorf("reason %s", ch.Reason)
	}
	l.want("marketing_email", consent.Granted)
	l.want("product_news", consent.TakenBack)
}

func TestNoConfirmationLiftsAComplaintABounceOrWhatStaffForbade(t *testing.T) {
	for _, s := range []leadv1.Suppression{
		leadv1.Suppression_SUPPRESSION_COMPLAINT, leadv1.Suppression_SUPPRESSION_HARD_BOUNCE, leadv1.Suppression_SUPPRESSION_MANUAL,
	} {
		l := newLife(t, "DE")
		l.leave(s, l.now)
		l.now = l.now.Add(time.Hour)
		l.tick("marketing_email")
		l.confirm(l.request("marketing_email"))
		l.want("marketing_email", consent.SuppressedAddress)
		if l.asked != 0 {
			t.Errorf("%s: a mail was wanted", s)
		}
	}
}

func TestStaffLiftsASuppressionAndTheConsentIsAskedAgain(t *testing.T) {
	l := newLife(t, "US")
	l.leave(leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, l.now)
	ch := l.do(&ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{Lift: &ingestv1.SuppressionLifted{Reason: "a mistake", By: "kim"}}})
	if ch.Reason != ReasonLifted || l.st.GetLead().GetSuppression() != 0 {
		t.Errorf("%s, %v", ch.Reason, l.st.GetLead().GetSuppression())
	}
	l.want("marketing_email", consent.TakenBack) // what the person said stands
}

func TestPermissionsInTheRecordAreThoseOfThePolicy(t *testing.T) {
	l := newLife(t, "US")
	got := l.st.GetLead().GetPermissions()
	if len(got) != 2 || !got[0].GetAllowed() || got[0].GetReason() != string(consent.OptOutBasis) {
		t.Errorf("%v", got)
	}
}

// TestNothingEverAllowsAMailAfterTheLatestNo plays every sort of event in every
// order, also late ones, and keeps its own book of when somebody said no last.
func TestNothingEverAllowsAMailAfterTheLatestNo(t *testing.T) {
	const purpose = "marketing_email"
	rapid.Check(t, func(rt *rapid.T) {
		l := newLife(t, rapid.SampledFrom([]string{"DE", "FR", "US", ""}).Draw(rt, "country"))
		var lastNo, lastYes time.Time // lastYes is when the newest yes was asked for
		never, old := false, []string{}
		for range rapid.IntRange(1, 25).Draw(rt, "n") {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "later")) * time.Minute)
			at := l.now.Add(-time.Duration(rapid.IntRange(0, 120).Draw(rt, "late")) * time.Minute)
			if r := l.request(purpose); r != "" {
				old = append(old, r)
			}
			no := func() {
				if at.After(lastNo) {
					lastNo = at
				}
			}
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				l.answer(purpose, true, rapid.SampledFrom([]string{consent.MethodForm, consent.MethodAPI, consent.MethodPage}).Draw(rt, "by"), at)
				if at.After(lastYes) {
					lastYes = at
				}
			case 1:
				l.answer(purpose, false, consent.MethodOneClick, at)
				no()
			case 2:
				l.leave(leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, at)
				no()
			case 3, 4:
				if len(old) > 0 {
					l.confirm(rapid.SampledFrom(old).Draw(rt, "request"))
				}
			case 5:
				l.do(&ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{AskAgain: true}})
			case 6:
				if rapid.IntRange(0, 5).Draw(rt, "complain") == 0 {
					l.leave(leadv1.Suppression_SUPPRESSION_COMPLAINT, at)
					never = true
				}
			}
			perm := l.policy.Decide(purpose, l.st.GetLead())
			if perm.GetAllowed() && (never || !lastNo.IsZero() && !lastYes.After(lastNo)) {
				rt.Fatalf("%s is allowed (%s) although nobody said yes since %v (last yes %v, complaint %v)", purpose, perm.GetReason(), lastNo, lastYes, never)
			}
		}
	})
}
