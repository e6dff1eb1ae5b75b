package handoff_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

const merged = handoffv1.HandoffStatus_HANDOFF_STATUS_MERGED

func freeze(r *room, from, into string) {
	m := &ingestv1.Merge{Id: "m-" + from, FromLeadId: from, IntoLeadId: into}
	r.record(bus.Leads, from, &ingestv1.State{Lead: someone(from), MergedInto: m},
		&ingestv1.Event{Fact: &ingestv1.Event_MergedInto{MergedInto: &ingestv1.MergedInto{IntoLeadId: into}}})
}

func adopt(r *room, from, into string) {
	m := &ingestv1.Merge{Id: "m-" + from, FromLeadId: from, IntoLeadId: into}
	r.record(bus.Leads, into, &ingestv1.State{
		Lead: someone(into), MergedFrom: []string{from}, Parts: []*ingestv1.Part{{Lead: &leadv1.Lead{LeadId: from}, Merge: m}},
	}, &ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: from}}})
}

func separate(r *room, from, into string) {
	r.record(bus.Leads, into, &ingestv1.State{Lead: someone(into)}, &ingestv1.Event{Fact: &ingestv1.Event_Unmerged{
		Unmerged: &ingestv1.Unmerged{LeadId: from, MergeId: "m-" + from},
	}})
	r.record(bus.Leads, from, &ingestv1.State{Lead: someone(from)}, &ingestv1.Event{Fact: &ingestv1.Event_Restored{
		Restored: &ingestv1.Restored{FromLeadId: into, Hosts: []*ingestv1.Host{{LeadId: into, MergeId: "m-" + from}}},
	}})
}

// ready lets scoring find a lead ready, knowing who else it is.
func ready(r *room, lead string, from ...string) {
	r.record(bus.Scores, lead, &scoringv1.State{}, &scoringv1.Event{Fact: &scoringv1.Event_Qualified{Qualified: &scoringv1.Qualified{
		Score: &scoringv1.Score{LeadId: lead}, Why: "threshold", MergedFrom: from,
	}}})
}

func TestALeadThatIsFoundReadyBeforeItsUnmergeIsKnownIsHandedOver(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	closed := func(lead string) bool {
		e, err := r.svc.Ledger().Get(t.Context(), lead)
		return err == nil && e.State.GetTies().GetIntoLeadId() != ""
	}
	leads := []string{"early", "late"}
	for _, lead := range leads {
		r.others.know(someone(lead))
		freeze(r, lead, "host")
	}
	for end := time.Now().Add(patience); !closed("early") || !closed("late"); {
		if time.Now().After(end) {
			t.Fatal("they never close")
		}
	}
	// Scoring had not read of the merge of one, and had read of the unmerge of the other.
	for lead, read := range map[string]uint64{"early": 0, "late": 1000} {
		r.recordHaving(bus.Scores, lead, read, &scoringv1.State{}, &scoringv1.Event{Fact: &scoringv1.Event_Qualified{
			Qualified: &scoringv1.Qualified{Score: &scoringv1.Score{LeadId: lead}, Why: "threshold"},
		}})
	}
	for end := time.Now().Add(patience); ; {
		if e, err := r.svc.Ledger().Get(t.Context(), "late"); err == nil && e.State.GetAhead() != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody remembers that it was found ready")
		}
	}
	for _, lead := range leads {
		separate(r, lead, "host")
	}
	r.until("late", "assigned", inStatus(assigned))
	if w := crm.next(); w.dossier.GetLeadId() != "late" {
		t.Errorf("sales got %v", w.dossier.GetLeadId())
	}
	if _, err := r.sales.GetHandoff(t.Context(), &handoffv1.GetHandoffRequest{LeadId: "early"}); status.Code(err) != codes.NotFound {
		t.Errorf("one that scoring has to judge anew: %v", err)
	}
	verified(t, r)
}

func TestAPersonWhomSalesHasIsNotHandedOverAgainAsTheLeadItWasMergedInto(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	if w := crm.next(); w.kind != typeAssigned {
		t.Fatalf("got %v", w)
	}
	r.others.know(someone("lead-2"))
	ready(r, "lead-2", "lead-1") // scoring was faster: handoff has not read of the merge
	if h := r.until("lead-2", "held", inStatus(held)); h.GetReason() != "merge_under_way" {
		t.Fatalf("got %v", h)
	}
	freeze(r, "lead-1", "lead-2")
	adopt(r, "lead-1", "lead-2")
	h := r.until("lead-2", "taken over", inStatus(assigned))
	if h.GetRep() != "ada" || h.GetFromLeadId() != "lead-1" || len(h.GetDeliveries()) != 0 {
		t.Fatalf("got %v", h)
	}
	r.until("lead-1", "closed", inStatus(merged))
	if w := crm.next(); w.kind != "com.nurture.lead.merged" || w.dossier.GetLeadId() != "lead-1" || w.dossier.GetHandoff().GetIntoLeadId() != "lead-2" {
		t.Fatalf("the CRM is told %s %v", w.kind, w.dossier)
	}
	// Sales answers under the id it knows; the survivor is meant.
	resp, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-1", By: "ada"})
	if err != nil || resp.GetHandoff().GetLeadId() != "lead-2" || resp.GetHandoff().GetStatus() != accepted {
		t.Fatalf("accept: %v %v", resp, err)
	}
	separate(r, "lead-1", "lead-2")
	r.until("lead-1", "what sales said meanwhile", inStatus(accepted))
	r.until("lead-2", "given back", inStatus(withdrawn))
	if w := crm.next(); w.kind != "com.nurture.lead.unmerged" || w.dossier.GetLeadId() != "lead-1" {
		t.Fatalf("the CRM is told %s %v", w.kind, w.dossier)
	}
	r.arrive("lead-3")
	if w := crm.next(); w.kind != typeAssigned || w.dossier.GetLeadId() != "lead-3" {
		t.Fatalf("somebody was handed over again: %s %v", w.kind, w.dossier)
	}
	verified(t, r)
}

func TestALeadThatIsMergedWhileItIsBeingDeliveredIsDeliveredOnce(t *testing.T) {
	crm := newCRM(t, func(n int) int {
		if n == 1 {
			return 503
		}
		return 200
	})
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	crm.next() // turned away
	freeze(r, "lead-1", "lead-2")
	adopt(r, "lead-1", "lead-2")
	r.until("lead-2", "taken over", inStatus(assigned))
	ready(r, "lead-2", "lead-1")
	kinds := map[string]int{}
	for range 2 {
		w := crm.next()
		kinds[w.kind+" "+w.dossier.GetLeadId()]++
	}
	if kinds[typeAssigned+" lead-1"] != 1 || kinds["com.nurture.lead.merged lead-1"] != 1 {
		t.Fatalf("got %v", kinds)
	}
	r.until("lead-1", "delivered", func(h *handoffv1.Handoff) bool { return deliveryIs(0, isDelivered)(h) && h.GetStatus() == merged })
	r.arrive("lead-3")
	if w := crm.next(); w.dossier.GetLeadId() != "lead-3" {
		t.Fatalf("somebody was handed over again: %s %v", w.kind, w.dossier)
	}
	verified(t, r)
}

func TestOfTwoLeadsThatSalesHasBothTheSurvivorsStayGoesOn(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	r.arrive("lead-2")
	crm.next()
	crm.next()
	if _, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-2", By: "ada"}); err != nil {
		t.Fatal(err)
	}
	freeze(r, "lead-1", "lead-2")
	adopt(r, "lead-1", "lead-2")
	if w := crm.next(); w.kind != "com.nurture.lead.merged" {
		t.Fatalf("got %s %v", w.kind, w.dossier)
	}
	r.until("lead-1", "closed", inStatus(merged))
	if h := r.until("lead-2", "goes on", inStatus(accepted)); h.GetFromLeadId() != "" {
		t.Fatalf("got %v", h)
	}
	verified(t, r)
}

func TestWhatSalesAnswersWhileLeadsAreMergedIsNotTurnedAway(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	r.arrive("lead-2")
	crm.next()
	crm.next()
	answers := func(lead string) codes.Code {
		_, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: lead, By: "ada"})
		return status.Code(err)
	}
	freeze(r, "lead-1", "lead-3")
	r.until("lead-1", "closed", inStatus(merged))
	if got := answers("lead-1"); got != codes.Unavailable {
		t.Errorf("the survivor has not heard of it: %v", got)
	}
	late, err := proto.Marshal(&handoffv1.AcceptRequest{LeadId: "lead-1", By: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.svc.Ledger().Update(t.Context(), "lead-1", ledger.Command{Kind: "accept", Data: late}); !errors.Is(err, desk.ErrMerging) {
		t.Errorf("closed after it was looked up: %v", err)
	}
	adopt(r, "lead-1", "lead-3")
	r.until("lead-3", "taken over", inStatus(assigned))
	if got := answers("lead-1"); got != codes.OK {
		t.Errorf("taken over: %v", got)
	}
	adopt(r, "lead-4", "lead-2") // and lead-4 has not closed
	for end := time.Now().Add(10 * time.Second); answers("lead-2") != codes.Unavailable; {
		if time.Now().After(end) {
			t.Fatal("an answer is taken while it is not known who has the stay")
		}
	}
	adopt(r, "lead-5", "lead-6") // the same, and lead-6 never was with sales itself
	for end := time.Now().Add(10 * time.Second); ; {
		_, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-6", Reason: leadv1.RejectReason_REJECT_REASON_NOT_READY, Text: "in spring", By: "ada"})
		if status.Code(err) == codes.Unavailable {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("words about a stay that is on its way are turned away: %v", err)
		}
	}
	verified(t, r)
}

// verified rebuilds every state from the log.
func verified(t *testing.T, r *room) {
	t.Helper()
	report, err := r.svc.Ledger().Verify(t.Context())
	if err != nil || len(report.Mismatches) > 0 || report.Records == 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
}
