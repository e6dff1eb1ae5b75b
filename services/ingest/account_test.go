package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
)

// account asks for an account and gives it.
func (r *room) account(req *ingestv1.GetAccountRequest) *ingestv1.GetAccountResponse {
	r.t.Helper()
	got, err := r.acc.GetAccount(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// members waits until an account has as many leads as expected and gives them.
func (r *room) members(account string, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	var got []string
	r.eventually(fmt.Sprintf("account %s has %v", account, want), func() bool {
		got = r.account(&ingestv1.GetAccountRequest{AccountId: account}).GetLeadIds()
		return slices.Equal(got, want)
	})
}

func TestPeopleOfOneDomainAreOfOneAccount(t *testing.T) {
	r := newRoom(t)
	one, two, other, private := r.addressed("jo@acme.example"), r.addressed("kim@mail.acme.example"), r.addressed("ann@rival.example"), r.addressed("jo@gmail.com")
	acme := r.lead(one).GetAccountId()
	if acme == "" || r.lead(two).GetAccountId() != acme || r.lead(one).GetAccountBy() != "email" {
		t.Errorf("accounts %q and %q by %q", acme, r.lead(two).GetAccountId(), r.lead(one).GetAccountBy())
	}
	if rival := r.lead(other).GetAccountId(); rival == "" || rival == acme {
		t.Errorf("the other company is %q", rival)
	}
	if got := r.lead(private).GetAccountId(); got != "" {
		t.Errorf("who has free mail is with %q", got)
	}
	got := r.account(&ingestv1.GetAccountRequest{Domain: "www.acme.example"})
	if got.GetAccount().GetAccountId() != acme || got.GetAccount().GetCompany().GetDomain() != "acme.example" {
		t.Errorf("asked by domain: %v", got)
	}
	r.members(acme, one, two)
	for _, bad := range []*ingestv1.GetAccountRequest{{}, {Domain: "a.example", AccountId: acme}, {GroupId: "g"}, {Domain: "nonsense"}} {
		if _, err := r.acc.GetAccount(t.Context(), bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("asked %v: %v", bad, err)
		}
	}
	for _, none := range []*ingestv1.GetAccountRequest{{Domain: "nobody.example"}, {AccountId: "0193f0000000700080000000000000aa"}, {AccountId: "a.b"}} {
		if _, err := r.acc.GetAccount(t.Context(), none); status.Code(err) != codes.NotFound {
			t.Errorf("asked %v: %v", none, err)
		}
	}
}

func TestAGroupCallBeatsTheDomainAndBringsTraits(t *testing.T) {
	r := newRoom(t)
	lead := r.addressed("jo@acme.example")
	domain := r.lead(lead).GetAccountId()
	group := map[string]any{"userId": "u1", "groupId": "ws-1", "traits": map[string]any{
		"name": "Workspace One", "plan": "team", "employees": 40, "contact_email": "jo@acme.example", "tier": "gold",
	}, "context": map[string]any{"traits": map[string]any{"email": "jo@acme.example"}}}
	r.track("/v1/group", group)
	l := r.lead(lead)
	if l.GetAccountId() == domain || l.GetAccountBy() != "group" {
		t.Fatalf("the account is %q by %q", l.GetAccountId(), l.GetAccountBy())
	}
	r.did("jo@acme.example", "later")
	if got := r.lead(lead).GetAccountId(); got != l.GetAccountId() {
		t.Error("an event with the address moved the person back")
	}
	got := r.account(&ingestv1.GetAccountRequest{GroupId: "ws-1", Source: "website"}).GetAccount()
	c := got.GetCompany()
	if c.GetName() != "Workspace One" || c.GetPlan() != "team" || c.GetEmployees() != 40 || c.GetAttributes()["tier"] != "gold" || len(c.GetAttributes()) != 1 {
		t.Errorf("company %v", c)
	}
	r.members(domain)
	r.members(got.GetAccountId(), lead)
	if joined := r.joined(lead); !slices.Equal(joined, []string{domain + " email", got.GetAccountId() + " group"}) {
		t.Errorf("the history tells %v", joined)
	}
}

// joined lists the accounts a lead was ever with, and why.
func (r *room) joined(lead string) (all []string) {
	r.t.Helper()
	got, err := r.api.ExportLead(r.t.Context(), &ingestv1.ExportLeadRequest{LeadId: lead})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range got.GetEvents() {
		if j := e.GetEvent().GetJoined(); j != nil {
			all = append(all, j.GetAccountId()+" "+j.GetBy())
		}
	}
	return all
}

func TestAGroupIsTheCompanyOfItsDomain(t *testing.T) {
	r := newRoom(t)
	lead := r.addressed("jo@acme.example")
	r.track("/v1/group", map[string]any{"userId": "u2", "groupId": "g", "traits": map[string]any{"website": "https://www.acme.example"}})
	acme := r.account(&ingestv1.GetAccountRequest{GroupId: "g", Source: "website"})
	if got := acme.GetAccount(); got.GetAccountId() != r.lead(lead).GetAccountId() || len(got.GetKeys()) != 2 || len(got.GetConflicts()) > 0 {
		t.Errorf("the group's account is %v", got)
	}
}

func TestTwoAccountsAreNeverMadeOneInSilence(t *testing.T) {
	r := newRoom(t)
	lead := r.addressed("jo@acme.example")
	r.track("/v1/group", map[string]any{"userId": "u2", "groupId": "g"})
	for range 3 {
		r.track("/v1/group", map[string]any{"userId": "u2", "groupId": "g", "traits": map[string]any{"domain": "acme.example"}})
	}
	group := r.account(&ingestv1.GetAccountRequest{GroupId: "g", Source: "website"}).GetAccount()
	domain := r.account(&ingestv1.GetAccountRequest{Domain: "acme.example"}).GetAccount()
	if group.GetAccountId() == domain.GetAccountId() || domain.GetAccountId() != r.lead(lead).GetAccountId() {
		t.Fatalf("%v and %v", group, domain)
	}
	c := group.GetConflicts()
	if len(c) != 1 || c[0].GetAccountId() != domain.GetAccountId() || c[0].GetKey().GetValue() != "acme.example" {
		t.Errorf("conflicts %v", c)
	}
}

// onSubject counts messages of LEADS.
func (r *room) onSubject(subject string) (n int) {
	r.t.Helper()
	for _, err := range r.bus.Read(r.t.Context(), bus.Leads, subject, 1) {
		if err != nil {
			r.t.Fatal(err)
		}
		n++
	}
	return n
}

func TestReplicasThatMeetACompanyAtOnceMakeOneAccount(t *testing.T) {
	b := bustest.New(t)
	rooms := []*room{joinRoom(t, b), joinRoom(t, b)}
	var all sync.WaitGroup
	leads := make([]string, 40)
	for i := range leads {
		all.Go(func() {
			domain := fmt.Sprintf("acme%d.example", i%4)
			got, err := rooms[i%2].api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
				Source: "crm", Profile: &leadv1.Profile{Email: fmt.Sprintf("p%d@%s", i, domain)}, GroupId: []string{"", domain}[i/4%2],
				Company: &ingestv1.Company{Domain: domain},
			})
			if err != nil {
				t.Error(err)
			}
			leads[i] = got.GetLeadId()
		})
	}
	all.Wait()
	accounts := map[string]string{}
	for i, id := range leads {
		domain, account := fmt.Sprint(i%4), rooms[i/4%2].lead(id).GetAccountId()
		if was, ok := accounts[domain]; ok && was != account || account == "" {
			t.Errorf("domain %s has the accounts %q and %q", domain, was, account)
		}
		accounts[domain] = account
	}
	if n := rooms[0].onSubject("leads.identity.domain.*"); n != 4 {
		t.Errorf("%d domains are claimed", n)
	}
}

func TestAKnownCompanyCostsNoMessage(t *testing.T) {
	r := newRoom(t)
	r.addressed("p0@acme.example")
	for i := range 20 {
		r.addressed(fmt.Sprintf("p%d@acme.example", i+1))
		r.track("/v1/track", map[string]any{"userId": fmt.Sprint("u", i), "event": "Seen", "context": map[string]any{"groupId": "g"}})
		r.track("/v1/group", map[string]any{"userId": fmt.Sprint("u", i), "groupId": "g", "traits": map[string]any{"name": "Acme"}})
	}
	if domains, groups, records := r.onSubject("leads.identity.domain.*"), r.onSubject("leads.identity.group.*"), r.onSubject("leads.account.*"); domains != 1 || groups != 1 || records != 3 {
		t.Errorf("%d domains, %d groups, %d records of accounts", domains, groups, records)
	}
}

func TestASenderStatesThatTwoUsersAreOne(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	identify := func(user, email string) {
		r.track("/v1/identify", map[string]any{"userId": user, "traits": map[string]any{"email": email}})
	}
	identify("u1", "jo@acme.example")
	identify("u2", "jo@home.example")
	r.track("/v1/alias", map[string]any{"userId": "u1", "previousId": "u2"})
	whole := r.lead(two)
	if whole.GetLeadId() != one || !slices.Equal(whole.GetMergedFrom(), []string{two}) || len(whole.GetUserIds()) != 2 || len(whole.GetAnonymousIds()) > 0 {
		t.Fatalf("after the alias: %v", whole)
	}
	merges, err := r.api.ListMerges(t.Context(), &ingestv1.ListMergesRequest{LeadId: one})
	if err != nil || len(merges.GetMerges()) != 1 || merges.GetMerges()[0].GetBy() != "alias" {
		t.Errorf("merges %v, %v", merges, err)
	}
	if _, err := r.api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	r.track("/v1/alias", map[string]any{"userId": "u1", "previousId": "u2"})
	if got := r.lead(two); got.GetLeadId() != two {
		t.Errorf("what a person separated is merged again: %v", got)
	}
}

func TestABrowserOfSomebodyElseIsNotJoinedByAnAlias(t *testing.T) {
	r := newRoom(t)
	r.track("/v1/identify", map[string]any{"anonymousId": "shared", "userId": "u1", "traits": map[string]any{"email": "jo@acme.example"}})
	r.track("/v1/identify", map[string]any{"userId": "u2", "traits": map[string]any{"email": "kim@acme.example"}})
	r.track("/v1/alias", map[string]any{"userId": "u2", "previousId": "shared"})
	for _, email := range []string{"jo@acme.example", "kim@acme.example"} {
		got, err := r.api.LookupLead(t.Context(), &ingestv1.LookupLeadRequest{Email: email})
		if err != nil || len(got.GetLead().GetMergedFrom()) > 0 || len(got.GetLead().GetUserIds()) != 1 {
			t.Errorf("%s: %v, %v", email, got, err)
		}
	}
}

func TestAGroupThatNobodyIsInYetIsAnAccount(t *testing.T) {
	r := newRoom(t)
	body := `{"api_key":"` + websiteKey + `","batch":[
		{"event":"$groupidentify","distinct_id":"$company_acme","properties":{"$group_type":"company","$group_key":"acme","$group_set":{"name":"Acme Ltd","website":"acme.example"}}},
		{"event":"invited","distinct_id":"u1","properties":{"$groups":{"company":"acme"},"$is_identified":true}}]}`
	if got := r.post("/batch/", []byte(body)); got.status != 200 {
		t.Fatalf("%d: %s", got.status, got.body)
	}
	got := r.account(&ingestv1.GetAccountRequest{Domain: "acme.example"}).GetAccount()
	if got.GetCompany().GetName() != "Acme Ltd" || len(got.GetKeys()) != 2 {
		t.Errorf("account %v", got)
	}
	who, err := r.api.LookupLead(t.Context(), &ingestv1.LookupLeadRequest{UserId: "u1"})
	if err != nil || who.GetLead().GetAccountId() != got.GetAccountId() || r.leads() != 1 {
		t.Errorf("lead %v, %v; %d leads", who, err, r.leads())
	}
}

func TestAMergeFollowsTheStrongerAccountAndAnUnmergeGivesItBack(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	r.track("/v1/group", map[string]any{"userId": "u", "groupId": "g", "context": map[string]any{"traits": map[string]any{"email": "jo@home.example"}}})
	r.did("jo@acme.example", "later")
	acme, group := r.lead(one).GetAccountId(), r.lead(two).GetAccountId()
	if _, err := r.api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: one, FromLeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	if got := r.lead(one); got.GetAccountId() != group || got.GetAccountBy() != "group" {
		t.Errorf("merged: %s by %s", got.GetAccountId(), got.GetAccountBy())
	}
	r.members(group, one)
	r.members(acme)
	if _, err := r.api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	if a, b := r.lead(one).GetAccountId(), r.lead(two).GetAccountId(); a != acme || b != group {
		t.Errorf("separated: %s and %s", a, b)
	}
	r.members(group, two)
	r.members(acme, one)
	if joined := r.joined(one); !slices.Equal(joined, []string{acme + " email", group + " merge", acme + " unmerge"}) {
		t.Errorf("the history tells %v", joined)
	}
}

func TestWhoIsErasedLeavesNothingInTheirAccount(t *testing.T) {
	r := newRoom(t)
	got, err := r.api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", GroupId: "ws", Profile: &leadv1.Profile{Email: "jane@jane-doe.example"},
		Company: &ingestv1.Company{Name: "Jane Doe Consulting", Domain: "jane-doe.example", Industry: "Consulting"},
	})
	if err != nil {
		t.Fatal(err)
	}
	lead := got.GetLeadId()
	if _, err := r.api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", ExternalId: "named", Profile: &leadv1.Profile{Email: "jane@jane-doe.example", FirstName: "Jane", LastName: "Doe"},
	}); err != nil {
		t.Fatal(err)
	}
	account := r.lead(lead).GetAccountId()
	r.members(account, lead)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // it waits for services that are not here
		defer close(done)
		_, _ = r.api.EraseLead(ctx, &ingestv1.EraseLeadRequest{LeadId: lead})
	}()
	r.eventually("the account is cleared", func() bool {
		return r.onSubject(bus.AccountSubject(account)) == 1 && r.account(&ingestv1.GetAccountRequest{AccountId: account}).GetAccount().GetCompany().GetName() == ""
	})
	cancel()
	<-done
	left := r.account(&ingestv1.GetAccountRequest{AccountId: account}).GetAccount()
	if strings.Contains(strings.ToLower(left.String()), "doe") || left.GetCompany().GetIndustry() != "Consulting" {
		t.Errorf("left is %v", left)
	}
	r.members(account)
}

func TestWhatHubSpotTellsOfACompanyIsKnownOfTheAccountOfItsPeople(t *testing.T) {
	r := fetchRoom(t, "sources:\n  crm: {kind: hubspot, secrets: [{env: HOOK_SECRET}]}\n")
	tell := func(event int, property, value string, at time.Time) {
		body := fmt.Sprintf(`[{"eventId":%d,"subscriptionType":"company.propertyChange","objectId":77,"occurredAt":%d,"propertyName":%q,"propertyValue":%q}]`,
			event, at.UnixMilli(), property, value)
		ms := fmt.Sprint(time.Now().UnixMilli())
		sum := hook.HMAC([]byte(hookSecret), []byte("POST"), []byte(r.url+"/v1/hooks/crm"), []byte(body), []byte(ms))
		if got := r.post("/v1/hooks/crm", []byte(body), "X-Hubspot-Request-Timestamp", ms, "X-Hubspot-Signature-V3", hook.Base64(sum)); got.status != http.StatusOK {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	now := time.Now()
	tell(1, "name", "Acme GmbH", now)
	tell(2, "domain", "acme.example", now)
	tell(3, "numberofemployees", "1200", now)
	tell(4, "numberofemployees", "900", now.Add(-time.Hour)) // came late
	got := r.account(&ingestv1.GetAccountRequest{ExternalId: "hubspot:77"})
	if c := got.GetAccount().GetCompany(); c.GetName() != "Acme GmbH" || c.GetEmployees() != 1200 || got.GetLeads() != 0 || r.leads() != 0 {
		t.Errorf("known of the company: %v, %d leads", c, r.leads())
	}
	if lead := r.addressed("jo@acme.example"); r.lead(lead).GetAccountId() != got.GetAccount().GetAccountId() {
		t.Errorf("who has an address there is with %q", r.lead(lead).GetAccountId())
	}
	if len(r.parked()) != 0 {
		t.Errorf("parked %v", r.parked())
	}
	tell(5, "country", "Atlantis", now)
	list := r.parked()
	if len(list) != 1 {
		t.Fatalf("a country that is none left %v", list)
	}
	if again := r.redrive(list[0].Seq); !again.GetTaken() || len(again.GetLeadIds()) != 0 {
		t.Errorf("sent back, it is %v; it tells of no lead", again)
	}
}
