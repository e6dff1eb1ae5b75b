package consent

import (
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

const europe = `
purposes:
  marketing_email:
    title: Useful articles
    description: One mail a week.
  product_news: {title: Product news, double_opt_in: always}
  webinar: {title: Webinars, double_opt_in: never, basis: opt_in}
  phone_call: {title: A call, channel: phone}
jurisdictions:
  germany: {countries: [DE, AT], basis: opt_in, double_opt_in: true}
  america: {countries: [US], basis: opt_out}
  india: {countries: [IN], basis: legitimate_interest}
  elsewhere: {basis: opt_in}
default: elsewhere
confirmation: {expires: 3d, ask_again: 1h}
`

func policy(t testing.TB) *Policy {
	t.Helper()
	p, err := Parse("consent.yaml", []byte(europe))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func at(sec int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(sec, 0)) }

func TestEveryPermissionHasANamedReason(t *testing.T) {
	p := policy(t)
	yes := &leadv1.Consent{Purpose: "marketing_email", Granted: true, At: at(1)}
	waits := &leadv1.Consent{Purpose: "marketing_email", Pending: true, At: at(1), RequestedAt: at(1)}
	no := &leadv1.Consent{Purpose: "marketing_email", At: at(1)}
	interest := &leadv1.Consent{Purpose: "marketing_email", Granted: true, At: at(1), Method: MethodInterest}
	contract := &leadv1.Consent{Purpose: "marketing_email", Granted: true, At: at(1), Method: MethodContract}
	phone := &leadv1.Consent{Purpose: "phone_call", Granted: true, At: at(1)}
	complaint := leadv1.Suppression_SUPPRESSION_COMPLAINT
	for _, c := range []struct {
		name, country, purpose string
		answer                 *leadv1.Consent
		suppression            leadv1.Suppression
		want                   Reason
		allowed                bool
	}{
		{"nobody asked in Germany", "DE", "marketing_email", nil, 0, NotGranted, false},
		{"nobody asked in America", "US", "marketing_email", nil, 0, OptOutBasis, true},
		{"nobody asked in India", "IN", "marketing_email", nil, 0, ByInterest, true},
		{"nobody asked in a country that is not listed", "FR", "marketing_email", nil, 0, NotGranted, false},
		{"nobody asked and the country is not known", "", "marketing_email", nil, 0, NotGranted, false},
		{"a purpose that is asked everywhere", "US", "webinar", nil, 0, NotGranted, false},
		{"a purpose that is not configured", "DE", "gossip", nil, 0, NotGranted, false},
		{"yes", "DE", "marketing_email", yes, 0, Granted, true},
		{"a yes that waits", "DE", "marketing_email", waits, 0, AwaitingConfirmation, false},
		{"a yes that waits is no basis", "US", "marketing_email", waits, 0, AwaitingConfirmation, false},
		{"no", "DE", "marketing_email", no, 0, TakenBack, false},
		{"no beats the basis", "US", "marketing_email", no, 0, TakenBack, false},
		{"suppression beats a yes", "DE", "marketing_email", yes, complaint, SuppressedAddress, false},
		{"an interest where a yes is needed", "DE", "marketing_email", interest, 0, NotGranted, false},
		{"an interest where none is", "US", "marketing_email", interest, 0, ByInterest, true},
		{"an interest in what is asked everywhere", "US", "webinar", &leadv1.Consent{Purpose: "webinar", Granted: true, Method: MethodInterest}, 0, NotGranted, false},
		{"a contract", "DE", "marketing_email", contract, 0, ByContract, true},
		{"suppression beats a contract", "DE", "marketing_email", contract, complaint, SuppressedAddress, false},
		{"suppression is about mails", "DE", "phone_call", phone, complaint, Granted, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			lead := &leadv1.Lead{Profile: &leadv1.Profile{Country: c.country}, Suppression: c.suppression}
			if c.answer != nil {
				lead.Consents = []*leadv1.Consent{c.answer}
			}
			got := p.Decide(c.purpose, lead)
			if got.GetReason() != string(c.want) || got.GetAllowed() != c.allowed {
				t.Errorf("%s, allowed %v; want %s, %v", got.GetReason(), got.GetAllowed(), c.want, c.allowed)
			}
		})
	}
}

func TestAYesIsConfirmedWhereTheLawOrThePurposeWantsIt(t *testing.T) {
	p := policy(t)
	for _, c := range []struct {
		purpose, method, country string
		want                     bool
	}{
		{"marketing_email", MethodForm, "DE", true},
		{"marketing_email", "", "AT", true},
		{"marketing_email", MethodForm, "US", false},
		{"marketing_email", MethodForm, "", false},
		{"product_news", MethodForm, "US", true},
		{"webinar", MethodForm, "DE", false},
		{"phone_call", MethodForm, "DE", false},
		{"marketing_email", MethodImport, "DE", false},
		{"marketing_email", MethodDoubleOptIn, "DE", false},
		{"marketing_email", MethodPage, "DE", false},
		{"gossip", MethodAPI, "DE", true},
		{"marketing_email", MethodInterest, "DE", false},
	} {
		answer := &leadv1.Consent{Purpose: c.purpose, Method: c.method, Granted: true}
		if got := p.NeedsConfirmation(answer, c.country); got != c.want {
			t.Errorf("%s by %q in %q: %v, want %v", c.purpose, c.method, c.country, got, c.want)
		}
		answer.Granted = false
		if p.NeedsConfirmation(answer, c.country) {
			t.Errorf("a no to %s must be confirmed", c.purpose)
		}
	}
}

func TestWhatAPersonSaidStandsWhateverGroundASourceNames(t *testing.T) {
	for _, said := range []*leadv1.Consent{{Purpose: "p", At: at(1)}, {Purpose: "p", Granted: true, At: at(1)}} {
		ground := &leadv1.Consent{Purpose: "p", Granted: true, At: at(9), Method: MethodInterest}
		for _, order := range [][]*leadv1.Consent{{said, ground}, {ground, said}} {
			var have []*leadv1.Consent
			for _, c := range order {
				have, _ = Latest(have, c)
			}
			if len(have) != 1 || have[0] != said {
				t.Errorf("after %v: %v", order, have)
			}
		}
	}
}

// answers draws answers to one purpose: a yes, a request, its confirmation, a no.
func answers(t *rapid.T) []*leadv1.Consent {
	n := rapid.IntRange(1, 12).Draw(t, "n")
	list := make([]*leadv1.Consent, n)
	for i := range list {
		when := rapid.Int64Range(1, 8).Draw(t, "at")
		c := &leadv1.Consent{Purpose: "p", At: at(when)}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			c.Granted = true
		case 1:
			c.Pending, c.RequestedAt = true, c.GetAt()
		case 2: // confirmed later than asked for
			c.Granted, c.RequestedAt = true, at(rapid.Int64Range(1, when).Draw(t, "requested"))
		}
		list[i] = c
	}
	return list
}

func TestNoOrderOfAnswersAllowsWhatWasTakenBackSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := answers(t)
		var state []*leadv1.Consent
		for _, c := range rapid.Permutation(list).Draw(t, "order") {
			state, _ = Latest(state, c)
			state, _ = Latest(state, c) // told twice
		}
		var lastNo time.Time
		for _, c := range list {
			if Withdrawn(c) && c.GetAt().AsTime().After(lastNo) {
				lastNo = c.GetAt().AsTime()
			}
		}
		got := state[0]
		if !lastNo.IsZero() && got.GetGranted() && !counts(got).After(lastNo) {
			t.Fatalf("granted from %v although taken back at %v", counts(got), lastNo)
		}
		for _, c := range list {
			if beats(c, got) {
				t.Fatalf("%v counts, not the stronger %v", got, c)
			}
		}
	})
}

func TestTheOrderOfAnswersDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := answers(t)
		fold := func(order []*leadv1.Consent) (state []*leadv1.Consent) {
			for _, c := range order {
				state, _ = Latest(state, c)
			}
			return state
		}
		a, b := fold(list)[0], fold(rapid.Permutation(list).Draw(t, "order"))[0]
		if a.GetGranted() != b.GetGranted() || a.GetPending() != b.GetPending() || !counts(a).Equal(counts(b)) {
			t.Fatalf("%v or %v", a, b)
		}
	})
}

func TestOnlyWhoLeftComesBackByAskingAgain(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for s := range leadv1.Suppression_name {
		s := leadv1.Suppression(s)
		want := s == leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
		if Lifts(s, early, late) != want || Lifts(s, late, early) || Lifts(s, early, early) {
			t.Errorf("%s: lifted wrongly", s)
		}
	}
}

func TestWhatIsWrongWithAPolicyIsSaidWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"a basis nobody knows":    {"basis: opt_out}", "basis: optout}", `consent.yaml:11:37: basis "optout": expected opt_in or opt_out or legitimate_interest`},
		"a country twice":         {"countries: [US]", "countries: [DE]", "consent.yaml:10:25: country DE is in america and in germany"},
		"a country nobody knows":  {"countries: [US]", "countries: [XX]", "consent.yaml:11:25: country"},
		"a default nobody knows":  {"default: elsewhere", "default: nowhere", `consent.yaml:14:10: default "nowhere": expected one of the jurisdictions`},
		"a setting nobody knows":  {"double_opt_in: always", "double_opt: always", "consent.yaml:6:"},
		"an opt-in that may vary": {"double_opt_in: always", "double_opt_in: maybe", `double_opt_in "maybe": expected by_jurisdiction or always or never`},
		"a channel nobody knows":  {"channel: phone", "channel: smoke", `consent.yaml:8:40: channel "smoke"`},
		"no title":                {"title: Product news, ", "", "purpose product_news has no title"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("consent.yaml", []byte(strings.Replace(europe, c.from, c.to, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheExampleAndTheBuiltinPolicyAreGood(t *testing.T) {
	raw, err := os.ReadFile("../../../../deploy/example/consent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(raw), Builtin} {
		if _, err := Parse("consent.yaml", []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

func TestPermissionsListWhatIsConfiguredAndWhatWasAnswered(t *testing.T) {
	lead := &leadv1.Lead{Profile: &leadv1.Profile{}, Consents: []*leadv1.Consent{{Purpose: "gossip", Granted: true, At: at(1)}}}
	var got []string
	for _, perm := range policy(t).Permissions(lead) {
		got = append(got, perm.GetPurpose())
	}
	if want := "gossip marketing_email phone_call product_news webinar"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
