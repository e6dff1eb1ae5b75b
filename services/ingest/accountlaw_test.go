package ingest_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// town is people who are with companies, on a real service and as a list of what
// was told, out of which the batch is computed.
type town struct {
	*room
	rt    *rapid.T
	name  string
	begin time.Time
	// people by their address's number: the lead each one is, and what was told.
	leads map[int]string
	told  map[string][]word
	into  map[string]string
	// same is which company another one was made one with.
	same map[int]int
	// deaf are leads of whom nothing stated until now counts.
	deaf map[string]bool
	n    int
}

// word is one thing told of a lead's company.
type word struct {
	company int
	stated  bool
	at      time.Time
}

const companies, people = 3, 4

// tell captures a person with an address at a company, or in its group.
func (w *town) tell(person, company int, stated bool) {
	w.n++
	at := w.begin.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(w.rt, "ago"))*time.Millisecond - time.Duration(w.n))
	domain := fmt.Sprintf("company%d-%s.example", company, w.name)
	req := &ingestv1.CaptureLeadRequest{
		Source: "crm", UserId: fmt.Sprintf("u%d-%s", person, w.name), Profile: &leadv1.Profile{}, OccurredAt: timestamppb.New(at),
	}
	if stated {
		req.GroupId, req.Company = domain+"/group", &ingestv1.Company{Domain: domain}
	} else {
		req.Profile.Website = "https://www." + domain
	}
	got, err := w.api.CaptureLead(w.t.Context(), req)
	if err != nil {
		w.rt.Fatal(err)
	}
	if w.leads[person] == "" {
		w.leads[person] = got.GetLeadId()
	}
	if !stated || !w.deaf[w.leads[person]] {
		w.told[w.leads[person]] = append(w.told[w.leads[person]], word{company, stated, at})
	}
}

// one is the company that a company was made one with, itself of none.
func (w *town) one(company int) int {
	for {
		into, ok := w.same[company]
		if !ok {
			return company
		}
		company = into
	}
}

// joinAll makes one of the companies of two leads.
func (w *town) joinAll(a, b int) {
	with := w.batch()
	one, two := w.root(w.leads[a]), w.root(w.leads[b])
	x, known := with[one]
	y, other := with[two]
	if !known || !other || x == y {
		return
	}
	w.join(w.lead(one).GetAccountId(), w.lead(two).GetAccountId())
	w.same[y] = x
}

// remove takes a lead out of a company that it is stated to be with.
func (w *town) remove(a int) {
	lead := w.root(w.leads[a])
	told := w.words()[lead]
	if len(told) == 0 || !best(told).stated {
		return
	}
	from := w.one(best(told).company)
	_, err := w.acc.RemoveFromAccount(w.t.Context(), &ingestv1.RemoveFromAccountRequest{LeadId: lead, AccountId: w.lead(lead).GetAccountId()})
	if err != nil {
		w.rt.Fatal(err)
	}
	for _, one := range w.leads {
		if told := w.told[one]; w.root(one) == lead && len(told) > 0 && best(told).stated && w.one(best(told).company) == from {
			w.deaf[one] = true
			w.told[one] = slices.DeleteFunc(told, func(t word) bool { return t.stated })
		}
	}
}

func (w *town) root(lead string) string {
	for w.into[lead] != "" {
		lead = w.into[lead]
	}
	return lead
}

func (w *town) merge(a, b int) {
	from, into := w.root(w.leads[a]), w.root(w.leads[b])
	if from == "" || into == "" || from == into {
		return
	}
	if _, err := w.api.MergeLeads(w.t.Context(), &ingestv1.MergeLeadsRequest{LeadId: into, FromLeadId: from, By: "ada"}); err != nil {
		w.rt.Fatal(err)
	}
	w.into[from] = into
}

func (w *town) unmerge(a int) {
	lead := w.leads[a]
	if lead == "" || w.into[lead] == "" {
		return
	}
	if _, err := w.api.UnmergeLead(w.t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: lead, By: "ada"}); err != nil {
		w.rt.Fatal(err)
	}
	delete(w.into, lead)
}

// erase forgets a person, and all who are one with them.
func (w *town) erase(a int) {
	lead := w.root(w.leads[a])
	if lead == "" {
		return
	}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { // it waits for services that are not here
		defer close(done)
		_, _ = w.api.EraseLead(ctx, &ingestv1.EraseLeadRequest{LeadId: lead})
	}()
	w.eventually("the person's identities and accounts are given up", func() bool {
		got, err := w.api.GetErasure(ctx, &ingestv1.GetErasureRequest{LeadId: lead})
		return err == nil && slices.ContainsFunc(got.GetErasure().GetSteps(), func(s *ingestv1.ErasureStep) bool {
			return s.GetName() == "accounts" && s.GetStatus() != ingestv1.ErasureStatus_ERASURE_STATUS_PENDING
		})
	})
	stop()
	<-done
	for p, l := range w.leads {
		if w.root(l) == lead {
			delete(w.leads, p)
		}
	}
}

// words are what was told of all leads that are one.
func (w *town) words() map[string][]word {
	words := map[string][]word{}
	for _, lead := range w.leads {
		words[w.root(lead)] = append(words[w.root(lead)], w.told[lead]...)
	}
	return words
}

// best is the word that counts: a statement before a conclusion, then the one
// made last.
func best(told []word) word {
	return slices.MaxFunc(told, func(a, b word) int {
		if a.stated != b.stated {
			if a.stated {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.at.UnixNano(), b.at.UnixNano())
	})
}

// batch computes which company each lead is with that stands for itself.
func (w *town) batch() map[string]int {
	with := map[string]int{}
	for lead, told := range w.words() {
		if len(told) > 0 {
			with[lead] = w.one(best(told).company)
		}
	}
	return with
}

func TestAnyOrderOfEventsGivesTheAccountsThatTheBatchComputes(t *testing.T) {
	r := newRoom(t)
	names := 0
	rapid.Check(t, func(rt *rapid.T) {
		names++
		w := &town{
			room: r, rt: rt, name: fmt.Sprint("t", names), begin: time.Now(), leads: map[int]string{}, told: map[string][]word{}, into: map[string]string{},
			same: map[int]int{}, deaf: map[string]bool{},
		}
		person := rapid.IntRange(0, people-1)
		for range rapid.IntRange(1, 12).Draw(rt, "things") {
			switch rapid.IntRange(0, 11).Draw(rt, "what") {
			case 0, 1:
				w.merge(person.Draw(rt, "from"), person.Draw(rt, "into"))
			case 2:
				w.unmerge(person.Draw(rt, "person"))
			case 3:
				w.erase(person.Draw(rt, "person"))
			case 4:
				w.joinAll(person.Draw(rt, "one"), person.Draw(rt, "other"))
			case 5:
				w.remove(person.Draw(rt, "person"))
			default:
				w.tell(person.Draw(rt, "person"), rapid.IntRange(0, companies-1).Draw(rt, "company"), rapid.Bool().Draw(rt, "stated"))
			}
		}
		w.check()
	})
}

// check compares the leads, and the accounts' own lists of them, with the batch.
func (w *town) check() {
	members := make([][]string, companies)
	accounts := make([]string, companies)
	for lead, company := range w.batch() {
		account := w.lead(lead).GetAccountId()
		if account == "" || accounts[company] != "" && accounts[company] != account {
			w.rt.Fatalf("lead %s is with %q, others of company %d with %q", lead, account, company, accounts[company])
		}
		accounts[company] = account
		members[company] = append(members[company], lead)
	}
	for company, account := range accounts {
		if i := slices.Index(accounts, account); account != "" && i != company {
			w.rt.Fatalf("companies %d and %d have one account", i, company)
		}
		if account != "" {
			w.members(account, members[company]...)
		}
	}
}
