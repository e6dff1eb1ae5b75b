package signal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

const ours = `
quarantine: 5s
clicks: {crowd: 7}
agents: {programs: [AcmeScan/]}
networks: {scanners: [203.0.113.0/24]}
addresses:
  competitors: [rival.example]
  own_staff: [acme.example]
  test: [test.example, QA@corp.example]
  free_mail: [anybody.example]
  disposable: [gone.example]
  roles: [ahoy]
`

func rules(t testing.TB, yaml string) *Rules {
	t.Helper()
	r, err := Parse("signals.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnAddressSaysWhatKindOfLeadItIs(t *testing.T) {
	r := rules(t, ours)
	free, disposable, role := &leadv1.Flags{FreeMail: true}, &leadv1.Flags{Disposable: true}, &leadv1.Flags{RoleAddress: true}
	test, competitor, own := &leadv1.Flags{Test: true}, &leadv1.Flags{Competitor: true}, &leadv1.Flags{OwnStaff: true}
	for email, want := range map[string]*leadv1.Flags{
		"":                         nil,
		"ann@corp.example":         nil,
		"ann@gmail.com":            free,
		"ann@anybody.example":      free,
		"ann@notgmail.com":         nil,
		"x@mailinator.com":         disposable,
		"x@sub.mailinator.com":     disposable,
		"x@gone.example":           disposable,
		"info@corp.example":        role,
		"info-de@corp.example":     role,
		"sales+fair@corp.example":  role,
		"ahoy@corp.example":        role,
		"infoline@corp.example":    nil,
		"admin.smith@corp.example": nil,
		"support@gmail.com":        {FreeMail: true, RoleAddress: true},
		"a@test.example":           test,
		"qa@corp.example":          test,
		"source-test@nurture.test": test,
		"ann@rival.example":        competitor,
		"ann@eu.rival.example":     competitor,
		"ann@arrival.example":      nil,
		"ann@acme.example":         own,
	} {
		if diff := cmp.Diff(want, r.Flags(&leadv1.Profile{Email: email}), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", email, diff)
		}
	}
}

func TestASourceAndACompanySayItToo(t *testing.T) {
	r := rules(t, ours)
	for said, want := range map[string]bool{"true": true, "Yes": true, "1": true, "false": false, "": false, "maybe": false} {
		if got := r.Flags(&leadv1.Profile{Attributes: map[string]string{IsTest: said}}).GetTest(); got != want {
			t.Errorf("is_test %q: %t", said, got)
		}
	}
	at := &leadv1.Profile{Email: "ann@gmail.com", CompanyDomain: "rival.example"}
	if diff := cmp.Diff(&leadv1.Flags{FreeMail: true, Competitor: true}, r.Flags(at), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// Who links our own site in a form is not one of us.
	if got := r.Flags(&leadv1.Profile{CompanyDomain: "acme.example"}); got != nil {
		t.Errorf("flags of a visitor: %v", got)
	}
}

func TestRulesAreReadBackAsTheyWereKept(t *testing.T) {
	r := rules(t, ours)
	again, err := Decode(r.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != again.Version || string(r.Raw) != string(again.Raw) || again.Quarantine != 5*time.Second || again.Crowd != 7 {
		t.Errorf("%s is read back as %s", r.Version, again.Version)
	}
	if got := again.Flags(&leadv1.Profile{Email: "ann@rival.example"}); !got.GetCompetitor() {
		t.Error("the lists were lost")
	}
	if other := rules(t, strings.Replace(ours, "5s", "6s", 1)); other.Version == r.Version {
		t.Error("other rules have the same version")
	}
	short, err := r.WithQuarantine(time.Second)
	if err != nil || short.Quarantine != time.Second || short.Version == r.Version || r.Quarantine != 5*time.Second {
		t.Errorf("%v, %v", short.Quarantine, err)
	}
}

func TestAFaultySignalsFileIsRefusedWithThePlace(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"no network":             {"networks:\n  scanners: [elsewhere]\n", `signals.yaml:2:14: "elsewhere": expected a network like 203.0.113.0/24`},
		"a network of few":       {"networks:\n  data_centres: [203.0.113.7/32]\n", "signals.yaml:2:18: \"203.0.113.7/32\": expected a network of /24 or larger"},
		"no domain":              {"addresses:\n  competitors:\n    - rival\n", `signals.yaml:3:7: "rival": expected a domain like rival.example`},
		"no test address":        {"addresses: {test: [qa@]}\n", "signals.yaml:1:20: \"qa@\": expected a domain like test.example or an address"},
		"a role with a domain":   {"addresses: {roles: [info@acme.example]}\n", "signals.yaml:1:21"},
		"an agent of one letter": {"agents: {programs: [x]}\n", "signals.yaml:1:21"},
		"no quarantine at all":   {"quarantine: 0s\n", "quarantine: expected a duration above zero"},
		"a crowd of one":         {"clicks: {crowd: 1}\n", "at least 2"},
		"a word nobody knows":    {"adresses: {}\n", "signals.yaml:1:1"},
	} {
		if _, err := Parse("signals.yaml", []byte(c.yaml)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
