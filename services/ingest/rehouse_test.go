package ingest_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/store"
)

// grouped tells that somebody is in a group, whose company has these traits.
func (r *room) grouped(email, group string, company *ingestv1.Company, at time.Time) string {
	r.t.Helper()
	got, err := r.api.CaptureLead(r.t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", GroupId: group, Company: company, Profile: &leadv1.Profile{Email: email}, OccurredAt: timestamppb.New(at),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetLeadId()
}

func (r *room) join(into, from string) *ingestv1.JoinAccountsResponse {
	r.t.Helper()
	got, err := r.acc.JoinAccounts(r.t.Context(), &ingestv1.JoinAccountsRequest{AccountId: into, FromAccountId: from, By: "ticket 1"})
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// sound fails when what is recorded of accounts is not what was told of them.
func (r *room) sound() {
	r.t.Helper()
	checked, wrong, err := r.svc.VerifyAccounts(r.t.Context())
	if err != nil || checked == 0 || len(wrong) > 0 {
		r.t.Errorf("%d records of accounts checked: %v, %v", checked, wrong, err)
	}
}

func TestTwoAccountsBecomeOneByAPersonsWord(t *testing.T) {
	r := newRoom(t)
	jo, kim := r.addressed("jo@acme.example"), r.grouped("kim@gmail.com", "g1", &ingestv1.Company{Website: "https://www.acme-inc.example", Plan: "team"}, time.Now())
	stays, goes := r.lead(jo).GetAccountId(), r.lead(kim).GetAccountId()
	if stays == goes {
		t.Fatal("they are one from the beginning: nothing is proved")
	}
	got := r.join(stays, goes)
	if c := got.GetAccount().GetCompany(); got.GetAlready() || c.GetDomain() != "acme-inc.example" || c.GetPlan() != "team" || len(got.GetAccount().GetKeys()) != 3 {
		t.Errorf("joined: %v", got)
	}
	if l := r.lead(kim); l.GetAccountId() != stays || l.GetAccountBy() != "group" {
		t.Errorf("who was in the other account is with %q by %q", l.GetAccountId(), l.GetAccountBy())
	}
	if facts := r.joined(kim); !slices.Equal(facts, []string{goes + " group", stays + " accounts_joined"}) {
		t.Errorf("the history says %v", facts)
	}
	lee := r.addressed("lee@acme-inc.example")
	r.members(stays, jo, kim, lee)
	r.grouped("kim@gmail.com", "g1", &ingestv1.Company{Industry: "Banking"}, time.Now())
	for _, name := range []*ingestv1.GetAccountRequest{{AccountId: goes}, {Domain: "acme-inc.example"}, {GroupId: "g1", Source: "crm"}, {Domain: "acme.example"}} {
		if got := r.account(name).GetAccount(); got.GetAccountId() != stays || got.GetCompany().GetIndustry() != "Banking" {
			t.Errorf("asked for %v: %v", name, got)
		}
	}
	for _, pair := range [][2]string{{stays, goes}, {goes, stays}, {stays, stays}} {
		if again := r.join(pair[0], pair[1]); !again.GetAlready() || again.GetAccount().GetAccountId() != stays {
			t.Errorf("joined again: %v", again)
		}
	}
	_, err := r.acc.JoinAccounts(t.Context(), &ingestv1.JoinAccountsRequest{AccountId: stays, FromAccountId: strings.Repeat("0", 32)})
	if status.Code(err) != codes.NotFound {
		t.Errorf("joined with nobody: %v", err)
	}
	r.sound()
}

func TestLeadsOfAJoinedAccountFollowThoughWhoeverJoinedItDied(t *testing.T) {
	b := bustest.New(t)
	r := joinRoom(t, b)
	jo, kim := r.addressed("jo@acme.example"), r.addressed("kim@acme-inc.example")
	stays, goes := r.lead(jo).GetAccountId(), r.lead(kim).GetAccountId()
	// The process that is told so dies after the commit.
	dead := store.NewAccounts(b, time.Now, 10, func(string, int) {})
	if _, _, err := dead.Join(t.Context(), stays, goes, "test"); err != nil {
		t.Fatal(err)
	}
	r.eventually("a replica that runs brings the lead along", func() bool { return r.lead(kim).GetAccountId() == stays })
	r.stop()

	later := store.NewAccounts(b, time.Now, 10, func(string, int) {})
	next := joinRoom(t, b)
	ann := next.addressed("ann@third.example")
	third := next.lead(ann).GetAccountId()
	next.stop()
	if _, _, err := later.Join(t.Context(), third, stays, "test"); err != nil {
		t.Fatal(err)
	}
	last := joinRoom(t, b)
	last.eventually("a replica that starts brings all leads along", func() bool {
		return last.lead(jo).GetAccountId() == third && last.lead(kim).GetAccountId() == third
	})
	last.members(third, jo, kim, ann)
	last.sound()
}

func TestTwoJoinsThatCrossMakeOneAccount(t *testing.T) {
	b := bustest.New(t)
	r, other := joinRoom(t, b), joinRoom(t, b)
	for range 5 {
		at := time.Now().Format("150405.000000000")
		one, two := r.lead(r.addressed("jo@a"+at[7:]+".example")).GetAccountId(), r.lead(r.addressed("jo@b"+at[7:]+".example")).GetAccountId()
		var all sync.WaitGroup
		for i, room := range []*room{r, other} {
			all.Go(func() {
				pair := []string{one, two}
				if i == 1 {
					slices.Reverse(pair)
				}
				if _, err := room.acc.JoinAccounts(t.Context(), &ingestv1.JoinAccountsRequest{AccountId: pair[0], FromAccountId: pair[1]}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		first, second := r.account(&ingestv1.GetAccountRequest{AccountId: one}), other.account(&ingestv1.GetAccountRequest{AccountId: two})
		if first.GetAccount().GetAccountId() != second.GetAccount().GetAccountId() {
			t.Errorf("one is %v, the other %v", first, second)
		}
	}
	r.sound()
}

func TestWhoIsRemovedFromAGroupIsWhereTheirAddressSays(t *testing.T) {
	r := newRoom(t)
	now := time.Now()
	jo, kim := r.grouped("jo@acme.example", "g1", nil, now.Add(-time.Minute)), r.grouped("kim@gmail.com", "g1", nil, now.Add(-time.Minute))
	group := r.lead(jo).GetAccountId()
	remove := func(lead, account string) (string, error) {
		got, err := r.acc.RemoveFromAccount(t.Context(), &ingestv1.RemoveFromAccountRequest{LeadId: lead, AccountId: account})
		return got.GetAccountId(), err
	}
	r.addressed("jo@acme.example") // says nothing against the group
	ann := r.addressed("ann@acme.example")
	acme := r.lead(ann).GetAccountId()
	if got, err := remove(jo, group); err != nil || got != acme || r.lead(jo).GetAccountBy() != "email" {
		t.Errorf("removed, they are with %q: %v", got, err)
	}
	if got, err := remove(kim, group); err != nil || got != "" {
		t.Errorf("who has only a private address is with %q: %v", got, err)
	}
	if facts := r.joined(kim); !slices.Equal(facts, []string{group + " group", " removed"}) {
		t.Errorf("the history says %v", facts)
	}
	for what, err := range map[string]error{
		"not there any more": second(remove(jo, group)), "there by their address": second(remove(ann, acme)), "of none": second(remove(kim, group)),
	} {
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.grouped("jo@acme.example", "g1", nil, now.Add(-2*time.Minute)) // was told before, and comes late
	if got := r.lead(jo).GetAccountId(); got != acme {
		t.Errorf("what was told before puts them back into %q", got)
	}
	r.grouped("jo@acme.example", "g1", nil, time.Now())
	if got := r.lead(jo).GetAccountId(); got != group {
		t.Errorf("who is in the group again is with %q", got)
	}
	r.members(group, jo)
}

func second(_ string, err error) error { return err }

func TestWhoIsErasedLeavesNothingInTheAccountThatTheirsBecamePartOf(t *testing.T) {
	r := newRoom(t)
	got, err := r.api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", GroupId: "g1", Company: &ingestv1.Company{Attributes: map[string]string{"project": "doe-jane"}},
		Profile: &leadv1.Profile{Email: "jane@gmail.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	jane, jo := got.GetLeadId(), r.addressed("jo@acme.example")
	stays, goes := r.lead(jo).GetAccountId(), r.lead(jane).GetAccountId()
	if _, err := r.acc.RemoveFromAccount(t.Context(), &ingestv1.RemoveFromAccountRequest{LeadId: jane, AccountId: goes}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", Profile: &leadv1.Profile{Email: "jane@gmail.com", FirstName: "Jane", LastName: "Doe"},
	}); err != nil {
		t.Fatal(err)
	}
	if c := r.join(stays, goes).GetAccount().GetCompany(); c.GetAttributes()["project"] != "doe-jane" {
		t.Fatalf("the account that stays knows %v: nothing is proved", c)
	}
	w := &town{room: r, leads: map[int]string{0: jane}}
	w.erase(0)
	r.eventually("the account that stays says nothing of them", func() bool {
		return r.account(&ingestv1.GetAccountRequest{AccountId: stays}).GetAccount().GetCompany().GetAttributes()["project"] == ""
	})
	for _, id := range []string{stays, goes} {
		for msg, err := range r.bus.Read(t.Context(), "LEADS", "leads.account."+id, 1) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(msg.Data), "doe-jane") {
				t.Errorf("a record of account %s still says it", id)
			}
		}
	}
	r.sound()
}
