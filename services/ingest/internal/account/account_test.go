package account

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

func rules(t testing.TB) *signal.Rules {
	t.Helper()
	r, err := signal.Parse("signals.yaml", []byte("addresses:\n  own_staff: [ours.example]\n  test: [qa.example]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhichCompanyAPersonIsWith(t *testing.T) {
	r := rules(t)
	for _, tc := range []struct {
		name, email, domain, website, want, by string
	}{
		{"a business address", "jo@acme.example", "", "", "acme.example", ByEmail},
		{"below the registered domain", "jo@mail.eu.acme.example", "", "", "acme.example", ByEmail},
		{"below a public suffix of two parts", "jo@mail.acme.co.uk", "", "", "acme.co.uk", ByEmail},
		{"a public suffix itself", "jo@co.uk", "", "", "", ""},
		{"a host that gives names away", "jo@github.io", "", "", "", ""},
		{"a name at such a host", "", "", "https://acme.github.io/about", "acme.github.io", ByWebsite},
		{"in another script", "jo@bücher.example", "", "", "xn--bcher-kva.example", ByEmail},
		{"in another script, as DNS has it", "jo@XN--BCHER-KVA.example", "", "", "xn--bcher-kva.example", ByEmail},
		{"free mail", "jo@gmail.com", "", "", "", ""},
		{"free mail below", "jo@mail.gmx.de", "", "", "", ""},
		{"free mail and a website", "jo@gmail.com", "", "www.acme.example/team", "acme.example", ByWebsite},
		{"free mail named as the company's", "jo@gmail.com", "gmail.com", "", "", ""},
		{"thrown away", "jo@mailinator.com", "", "", "", ""},
		{"read by several", "info@acme.example", "", "", "", ""},
		{"read by several, with a website", "info@acme.example", "", "acme.example", "acme.example", ByWebsite},
		{"our own", "jo@mail.ours.example", "", "", "", ""},
		{"of tests", "jo@qa.example", "", "", "", ""},
		{"the domain told outright", "jo@consulting.example", "acme.example", "", "acme.example", ByDomain},
		{"a page where everybody has one", "jo@gmail.com", "", "https://www.linkedin.com/company/acme", "", ""},
		{"who works there", "jo@linkedin.com", "", "", "linkedin.com", ByEmail},
		{"an address of the net", "", "", "http://192.0.2.1/", "", ""},
		{"one label", "", "", "http://intranet/", "", ""},
	} {
		p := &leadv1.Profile{Email: tc.email, CompanyDomain: tc.domain, Website: tc.website}
		normal.Profile(p, "")
		got, by := Domain(p, r)
		if got != tc.want || by != tc.by {
			t.Errorf("%s: %q by %q, expected %q by %q", tc.name, got, by, tc.want, tc.by)
		}
	}
}

func TestWhatASubmissionTellsOfAnAccount(t *testing.T) {
	r := rules(t)
	read := func(c *ingestv1.CaptureLeadRequest) string {
		normal.Capture(c, "")
		n := Read(c, r)
		if n == nil {
			return ""
		}
		out := n.By
		for _, k := range n.Told.GetKeys() {
			out += " " + strings.TrimPrefix(k.GetKind().String(), "KIND_") + ":" + k.GetSource() + ":" + k.GetValue()
		}
		if n.Told.GetCompany() != nil {
			out += " " + n.Told.GetCompany().GetName()
		}
		return out
	}
	person := func(email string) *leadv1.Profile { return &leadv1.Profile{Email: email} }
	acme := &ingestv1.Company{Name: "Acme", Website: "https://www.acme.example/x"}
	for _, tc := range []struct {
		name string
		c    *ingestv1.CaptureLeadRequest
		want string
	}{
		{"an address", &ingestv1.CaptureLeadRequest{Source: "web", Profile: person("jo@acme.example")}, "email DOMAIN::acme.example"},
		{"a browser", &ingestv1.CaptureLeadRequest{Source: "web", AnonymousId: "a"}, ""},
		{
			"a group beats the address", &ingestv1.CaptureLeadRequest{Source: "web", GroupId: "g", Profile: person("jo@acme.example")},
			"group GROUP:web:g",
		},
		{
			"a group whose website is told", &ingestv1.CaptureLeadRequest{Source: "web", GroupId: "g", Company: acme, Profile: person("jo@gmail.com")},
			"group GROUP:web:g DOMAIN::acme.example Acme",
		},
		{
			"a company of another system", &ingestv1.CaptureLeadRequest{Source: "crm", Company: &ingestv1.Company{ExternalIds: []string{"hubspot:7"}}},
			"external_id EXTERNAL_ID::hubspot:7 ",
		},
		{
			"traits of nobody knows whose company", &ingestv1.CaptureLeadRequest{Source: "web", Company: &ingestv1.Company{Name: "Acme"}, Profile: person("jo@acme.example")},
			"email DOMAIN::acme.example",
		},
		{
			"a test", &ingestv1.CaptureLeadRequest{Source: "web", GroupId: "g", Profile: &leadv1.Profile{Attributes: map[string]string{"is_test": "true"}}},
			"",
		},
	} {
		if got := read(tc.c); got != tc.want {
			t.Errorf("%s: %q, expected %q", tc.name, got, tc.want)
		}
	}
}

func TestTheStrongestKeyThatSomebodyHasDecides(t *testing.T) {
	newID := func() string { return "new" }
	for _, tc := range []struct {
		name   string
		owners []string
		want   Answer
	}{
		{"nobody's", []string{"", ""}, Answer{Account: "new", New: true, Claim: []int{0, 1}}},
		{"known", []string{"a"}, Answer{Account: "a"}},
		{"a group joins the company of its domain", []string{"", "a"}, Answer{Account: "a", Claim: []int{0}}},
		{"a domain joins the company of its group", []string{"a", ""}, Answer{Account: "a", Claim: []int{1}}},
		{"two companies stay two", []string{"a", "b", ""}, Answer{Account: "a", Claim: []int{2}, Elsewhere: []int{1}}},
	} {
		if diff := cmp.Diff(tc.want, Decide(tc.owners, newID)); diff != "" {
			t.Errorf("%s (-want +got): %s", tc.name, diff)
		}
	}
}

func hour(n int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC))
}

// fold applies all that is told, in order.
func fold(tolds []*ingestv1.AccountTold) State {
	st := State{Account: &ingestv1.Account{AccountId: "a"}}
	for _, told := range tolds {
		st, _ = Fold(st, told, hour(1000).AsTime())
	}
	return st
}

func TestTheTraitsOfACompanyDoNotDependOnTheOrderInWhichTheyAreTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			return rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, name)
		}
		told := rapid.SliceOfN(rapid.Custom(func(*rapid.T) *ingestv1.AccountTold {
			return &ingestv1.AccountTold{At: hour(rapid.IntRange(0, 9).Draw(t, "hour")), Company: &ingestv1.Company{
				Name: text("name"), Industry: text("industry"), Plan: text("plan"), Employees: int64(rapid.IntRange(0, 3).Draw(t, "employees")),
				Domain: text("domain"), Attributes: map[string]string{"tier": text("tier"), "region": text("region")},
			}}
		}), 1, 12).Draw(t, "told")
		want := fold(told)
		got := fold(rapid.Permutation(told).Draw(t, "order"))
		if diff := cmp.Diff(want.Account.GetCompany(), got.Account.GetCompany(), protocmp.Transform()); diff != "" {
			t.Fatalf("told in another order (-one +other): %s", diff)
		}
	})
}

func TestWhatWasToldBeforeIsNotRecordedAgain(t *testing.T) {
	told := &ingestv1.AccountTold{
		At: hour(1), Company: &ingestv1.Company{Name: "Acme", Employees: 5, Attributes: map[string]string{"tier": "gold"}},
		Keys:      []*ingestv1.AccountKey{{Kind: ingestv1.AccountKey_KIND_DOMAIN, Value: "acme.example"}},
		Conflicts: []*ingestv1.AccountConflict{{Key: &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_GROUP, Source: "web", Value: "g"}, AccountId: "b"}},
	}
	st, changed := Fold(State{Account: &ingestv1.Account{AccountId: "a"}}, told, hour(1).AsTime())
	if !changed || st.Account.GetCompany().GetDomain() != "acme.example" {
		t.Fatalf("%v %t", st.Account, changed)
	}
	told.At = timestamppb.New(hour(1).AsTime().Add(59 * time.Minute))
	if _, changed = Fold(st, told, hour(2).AsTime()); changed {
		t.Error("the same within the hour is recorded again")
	}
	told.At = hour(2)
	if _, changed = Fold(st, told, hour(2).AsTime()); !changed {
		t.Error("that it still holds an hour later is not noted")
	}
}

func TestAnAccountKeepsABoundedNumberOfEverything(t *testing.T) {
	st := State{Account: &ingestv1.Account{AccountId: "a"}}
	for i := range 300 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		st, _ = Fold(st, &ingestv1.AccountTold{
			At: hour(i), Company: &ingestv1.Company{Attributes: map[string]string{name: "v"}},
			Keys:      []*ingestv1.AccountKey{{Kind: ingestv1.AccountKey_KIND_GROUP, Source: "web", Value: name}},
			Conflicts: []*ingestv1.AccountConflict{{AccountId: name}},
		}, hour(i).AsTime())
	}
	if a := st.Account; len(a.GetKeys()) != maxKeys || len(a.GetConflicts()) != maxConflicts || len(a.GetCompany().GetAttributes()) != maxAttributes {
		t.Errorf("%d keys, %d conflicts, %d attributes", len(a.GetKeys()), len(a.GetConflicts()), len(a.GetCompany().GetAttributes()))
	}
}

func TestWhatToldOfAnErasedPersonGoesAndTheCompanyStays(t *testing.T) {
	st := fold([]*ingestv1.AccountTold{{
		At: hour(1), Company: &ingestv1.Company{Name: "Jane Doe Consulting", Industry: "Consulting", Attributes: map[string]string{"owner": "Doe", "tier": "gold"}},
		Keys: []*ingestv1.AccountKey{
			{Kind: ingestv1.AccountKey_KIND_DOMAIN, Value: "jane-doe.example"},
			{Kind: ingestv1.AccountKey_KIND_GROUP, Source: "web", Value: "workspace-of-u-4711"},
		},
		Conflicts: []*ingestv1.AccountConflict{{Key: &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_DOMAIN, Value: "janedoe.example"}, AccountId: "b"}},
	}})
	jane := Person{Names: [][2]string{{"Jane", "Doe"}}, Words: []string{"jane@jane-doe.example", "u-4711"}}
	if found := Mentions(st.Account, jane); len(found.GetTraits()) != 2 || len(found.GetKeys()) != 2 || len(found.GetConflicts()) != 1 {
		t.Errorf("among others: %v", found)
	}
	jane.Alone = true
	found := Mentions(st.Account, jane)
	after, changed := Fold(st, &ingestv1.AccountTold{At: hour(2), Cleared: found}, hour(2).AsTime())
	want := &ingestv1.Company{Industry: "Consulting", Attributes: map[string]string{"tier": "gold"}}
	if diff := cmp.Diff(want, after.Account.GetCompany(), protocmp.Transform()); diff != "" || !changed {
		t.Errorf("what is left (-want +got): %s", diff)
	}
	if Mentions(after.Account, jane) != nil {
		t.Errorf("still there: %v", after.Account)
	}
	if found := Mentions(st.Account, Person{Names: [][2]string{{"Max", "Consulting"}}}); found != nil {
		t.Errorf("a colleague called like the company takes %v with them", found)
	}
}

func TestTheAccountThatStaysKnowsWhatWasToldOfBoth(t *testing.T) {
	key := func(domain string) *ingestv1.AccountKey {
		return &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_DOMAIN, Value: domain}
	}
	into := fold([]*ingestv1.AccountTold{{
		At: hour(3), Company: &ingestv1.Company{Name: "Acme", Employees: 5, Attributes: map[string]string{"tier": "gold"}}, Keys: []*ingestv1.AccountKey{key("acme.example")},
		Conflicts: []*ingestv1.AccountConflict{{Key: key("acme.test"), AccountId: "b"}, {Key: key("rival.example"), AccountId: "c"}},
	}})
	from := fold([]*ingestv1.AccountTold{
		{At: hour(2), Company: &ingestv1.Company{Name: "ACME Inc", Plan: "team", Attributes: map[string]string{"region": "dach"}}, Keys: []*ingestv1.AccountKey{key("acme.test")}},
		{At: hour(4), Company: &ingestv1.Company{Employees: 9, Attributes: map[string]string{"tier": "silver"}}},
	})
	from.Account.AccountId = "b"
	join := &ingestv1.AccountJoin{IntoAccountId: "a", FromAccountId: "b", Company: from.Account.GetCompany(), Times: from.Times}
	got, changed := Fold(into, &ingestv1.AccountTold{At: hour(9), Keys: from.Account.GetKeys(), Join: join}, hour(9).AsTime())
	want := &ingestv1.Company{
		Name: "Acme", Domain: "acme.example", Employees: 9, Plan: "team", Attributes: map[string]string{"tier": "silver", "region": "dach"},
	}
	if diff := cmp.Diff(want, got.Account.GetCompany(), protocmp.Transform()); diff != "" || !changed {
		t.Errorf("known of the company (-want +got): %s", diff)
	}
	if keys, conflicts := got.Account.GetKeys(), got.Account.GetConflicts(); len(keys) != 2 || len(conflicts) != 1 || conflicts[0].GetAccountId() != "c" {
		t.Errorf("keys %v, conflicts %v", keys, conflicts)
	}
	gone, changed := Fold(from, &ingestv1.AccountTold{At: hour(9), Join: join}, hour(9).AsTime())
	if !changed || gone.Account.GetJoinedInto() != "a" || gone.Account.GetCompany().GetName() != "ACME Inc" {
		t.Errorf("the other one is %v", gone.Account)
	}
}
