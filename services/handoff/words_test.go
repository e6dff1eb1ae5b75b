package handoff_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

const (
	secretWords = "moves to Rome, call the wife first"
	other       = leadv1.RejectReason_REJECT_REASON_OTHER
)

// clear says where words can be read in a stream, and how many messages it has.
func (r *room) clear(stream, words string) (n int) {
	r.tb.Helper()
	for m, err := range r.bus.Read(r.tb.Context(), stream, ">", 1) {
		if err != nil {
			r.tb.Fatal(err)
		}
		n++
		if bytes.Contains(m.Data, []byte(words)) {
			r.tb.Errorf("%s has the words of sales in %s: %q", stream, m.Subject, m.Data)
		}
	}
	return n
}

// says checks a stay as somebody is shown it.
func says(t *testing.T, where string, h *handoffv1.Handoff, text string) {
	t.Helper()
	if h.GetText() != text || len(h.GetSealedText()) > 0 {
		t.Errorf("%s shows %q and %d sealed bytes, want %q", where, h.GetText(), len(h.GetSealedText()), text)
	}
}

func (r *room) handed(lead string) {
	r.tb.Helper()
	r.arrive(lead)
	r.until(lead, "assigned", inStatus(assigned))
}

func TestWhatSalesWritesIsSealedInTheLogAndShownToWhoAsks(t *testing.T) {
	r := newRoom(t, setup{})
	for _, lead := range []string{"lead-1", "lead-2", "lead-3"} {
		r.handed(lead)
	}
	rejected, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords, By: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	says(t, "reject", rejected.GetHandoff(), secretWords)
	qualified, err := r.sales.RecordOutcome(t.Context(), &handoffv1.RecordOutcomeRequest{
		LeadId: "lead-2", Outcome: handoffv1.Outcome_OUTCOME_SALES_QUALIFIED, Text: secretWords + " 2",
	})
	if err != nil {
		t.Fatal(err)
	}
	says(t, "outcome", qualified.GetHandoff(), secretWords+" 2")
	recycle, err := r.sales.Recycle(t.Context(), &handoffv1.RecycleRequest{LeadId: "lead-2", Text: secretWords + " 3"})
	if err != nil {
		t.Fatal(err)
	}
	says(t, "recycle", recycle.GetHandoff(), secretWords+" 3")
	got, err := r.sales.GetHandoff(t.Context(), &handoffv1.GetHandoffRequest{LeadId: "lead-1"})
	if err != nil {
		t.Fatal(err)
	}
	says(t, "get", got.GetHandoff(), secretWords)
	d, err := r.sales.GetDossier(t.Context(), &handoffv1.GetDossierRequest{LeadId: "lead-1"})
	if err != nil || len(d.GetDossier().GetMissing()) > 0 {
		t.Errorf("got %v, %v", d, err)
	}
	says(t, "dossier", d.GetDossier().GetHandoff(), secretWords)
	asked := r.words.opened()
	b, err := r.sales.BatchGetHandoffs(t.Context(), &handoffv1.BatchGetHandoffsRequest{LeadIds: []string{"lead-2", "lead-3", "lead-1"}})
	if err != nil || len(b.GetHandoffs()) != 3 || r.words.opened() != asked+1 {
		t.Fatalf("got %v, %v after %d questions", b, err, r.words.opened()-asked)
	}
	for i, want := range []string{secretWords + " 3", "", secretWords} {
		says(t, "batch", b.GetHandoffs()[i], want)
	}
	if r.clear(bus.Handoff, secretWords) == 0 || r.clear(bus.Outbound, secretWords) == 0 {
		t.Error("there is nothing in a stream that must have something")
	}
	verified(t, r)
}

func TestAnAnswerWithWordsWaitsForIngestAndOneWithoutDoesNot(t *testing.T) {
	r := newRoom(t, setup{})
	r.handed("lead-1")
	r.handed("lead-2")
	r.words.set(true)
	reject := &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords, RequestId: "r1"}
	_, err := r.sales.Reject(t.Context(), reject)
	if s := status.Convert(err); s.Code() != codes.Unavailable || rpc.DelayOf(s) == 0 || !strings.Contains(s.Message(), "answer again") || strings.Contains(s.Message(), "Rome") {
		t.Fatalf("got %v", err)
	}
	resp, err := http.Post(r.http+"/v1/handoffs/lead-1:reject", "application/json", //nolint:noctx // a test of the plain surface
		strings.NewReader(`{"reason":"REJECT_REASON_OTHER","text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	var problem struct{ Detail string }
	if err := json.Unmarshal(body, &problem); err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(problem.Detail, "nothing was changed") {
		t.Errorf("over HTTP: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if h := r.until("lead-1", "as it was", inStatus(assigned)); h.GetRejectReason() != 0 {
		t.Errorf("got %v", h)
	}
	for _, text := range []string{"", " \n"} { // blank words are none
		got, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{
			LeadId: "lead-2", Reason: leadv1.RejectReason_REJECT_REASON_NO_BUDGET, Text: text, RequestId: "r2",
		})
		if err != nil || got.GetHandoff().GetStatus() != recycled {
			t.Fatalf("without words: %v, %v", got, err)
		}
		says(t, "without words", got.GetHandoff(), "")
	}
	r.words.set(false)
	got, err := r.sales.Reject(t.Context(), reject)
	if err != nil || got.GetHandoff().GetStatus() != recycled {
		t.Fatalf("asked again: %v, %v", got, err)
	}
	says(t, "asked again", got.GetHandoff(), secretWords)
}

func TestARepeatIsRecognisedThoughTheSameWordsAreNeverSealedAlike(t *testing.T) {
	r := newRoom(t, setup{})
	r.handed("lead-1")
	kept := func() []byte {
		e, err := r.svc.Ledger().Get(t.Context(), "lead-1")
		if err != nil || len(e.State.GetHandoff().GetSealedText()) == 0 {
			t.Fatalf("got %v, %v", e, err)
		}
		return e.State.GetHandoff().GetSealedText()
	}
	var first []byte
	for n := range 3 {
		got, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords, RequestId: "r1"})
		if err != nil || got.GetHandoff().GetStatus() != recycled {
			t.Fatalf("got %v, %v", got, err)
		}
		says(t, "again", got.GetHandoff(), secretWords)
		if n == 0 {
			first = kept()
		}
	}
	if !bytes.Equal(first, kept()) {
		t.Error("a repeat was recorded")
	}
}

func TestWhileIngestIsAwayHandoffsAreShownWithoutWords(t *testing.T) {
	r := newRoom(t, setup{})
	r.handed("lead-1")
	if _, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords}); err != nil {
		t.Fatal(err)
	}
	r.words.set(true)
	says(t, "get", r.until("lead-1", "recycled", inStatus(recycled)), "")
	b, err := r.sales.BatchGetHandoffs(t.Context(), &handoffv1.BatchGetHandoffsRequest{LeadIds: []string{"lead-1"}})
	if err != nil || len(b.GetHandoffs()) != 1 {
		t.Fatalf("got %v, %v", b, err)
	}
	says(t, "batch", b.GetHandoffs()[0], "")
	d, err := r.sales.GetDossier(t.Context(), &handoffv1.GetDossierRequest{LeadId: "lead-1"})
	if err != nil || !slices.Equal(d.GetDossier().GetMissing(), []string{"text"}) {
		t.Fatalf("got %v, %v", d, err)
	}
	says(t, "dossier", d.GetDossier().GetHandoff(), "")
}

// tokens makes an access file with one token for each role, named as the role.
func tokens(t *testing.T) (*rpc.Access, map[string]string) {
	t.Helper()
	file, all, raw := filepath.Join(t.TempDir(), "access.yaml"), map[string]string{}, []byte(nil)
	for _, role := range access.Roles() {
		name, err := access.NameOf(role), error(nil)
		all[name] = access.Mint(name)
		if raw, err = access.Added(file, raw, access.Entry{Name: name, Roles: []access.Role{role}, Created: "2026-11-25"}, all[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := rpc.OpenAccess(rpc.AccessOptions{File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a, all
}

func TestWhoMayNotSeePeopleIsNotShownWhatSalesWroteOfThem(t *testing.T) {
	keeper, token := tokens(t)
	t.Setenv("NURTURE_TOKEN", token["admin"])
	r := newRoom(t, setup{access: keeper})
	r.handed("lead-1")
	if _, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords}); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]string{"read": "", "personal": secretWords, "operate": secretWords, "admin": secretWords} {
		conn, err := rpc.DialAs(r.grpc, token[role])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		as := handoffv1.NewHandoffServiceClient(conn)
		got, err := as.GetHandoff(t.Context(), &handoffv1.GetHandoffRequest{LeadId: "lead-1"})
		if err != nil || got.GetHandoff().GetStatus() != recycled {
			t.Fatalf("%s: %v, %v", role, got, err)
		}
		says(t, role, got.GetHandoff(), want)
		many, err := as.BatchGetHandoffs(t.Context(), &handoffv1.BatchGetHandoffsRequest{LeadIds: []string{"lead-1"}})
		if err != nil {
			t.Fatal(err)
		}
		says(t, role+", asked for many", many.GetHandoffs()[0], want)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.http+"/v1/handoffs/lead-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token[role])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if bytes.Contains(body, []byte(secretWords)) != (want != "") || resp.StatusCode != http.StatusOK {
			t.Errorf("%s over HTTP: %d %s", role, resp.StatusCode, body)
		}
	}
}

func TestWordsAboutAStayThatWasTakenOverAreThoseOfTheLeadItCameFrom(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	r.handed("lead-1")
	r.others.know(someone("lead-2"))
	freeze(r, "lead-1", "lead-2")
	adopt(r, "lead-1", "lead-2")
	r.until("lead-2", "taken over", inStatus(assigned))
	outcome := &handoffv1.RecordOutcomeRequest{LeadId: "lead-1", Outcome: handoffv1.Outcome_OUTCOME_SALES_QUALIFIED, Text: secretWords}
	got, err := r.sales.RecordOutcome(t.Context(), outcome)
	if err != nil || got.GetHandoff().GetLeadId() != "lead-2" {
		t.Fatalf("got %v, %v", got, err)
	}
	says(t, "the survivor", got.GetHandoff(), secretWords)
	separate(r, "lead-1", "lead-2")
	says(t, "the lead that has its stay again", r.until("lead-1", "its own", inStatus(handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED)), secretWords)
	r.until("lead-2", "given back", inStatus(withdrawn))
	for range 3 { // assigned, merged, unmerged
		if w := crm.next(); bytes.Contains(w.body, []byte("sealedText")) || bytes.Contains(w.body, []byte("Rome")) {
			t.Errorf("the CRM is told %s", w.body)
		}
	}
	r.words.forget("lead-1") // and lead-2 is somebody else, who was not erased
	says(t, "whose words are about an erased lead", r.until("lead-2", "given back", inStatus(withdrawn)), "")
	if _, err := r.sales.RecordOutcome(t.Context(), &handoffv1.RecordOutcomeRequest{LeadId: "lead-1", Outcome: handoffv1.Outcome_OUTCOME_WON, Text: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("words about an erased lead: %v", err)
	}
	if r.clear(bus.Handoff, secretWords) == 0 || r.clear(bus.Outbound, secretWords) == 0 {
		t.Error("there is nothing in a stream that must have something")
	}
	verified(t, r)
}

func TestOfAnErasedLeadNoSealedWordsAreKept(t *testing.T) {
	r := newRoom(t, setup{})
	r.handed("lead-1")
	if _, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: other, Text: secretWords}); err != nil {
		t.Fatal(err)
	}
	r.forget("lead-1")
	r.until("lead-1", "erased", inStatus(handoffv1.HandoffStatus_HANDOFF_STATUS_ERASED))
	e, err := r.svc.Ledger().Get(t.Context(), "lead-1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(e.Record)
	if err != nil || bytes.Contains(raw, []byte("lead-1/")) {
		t.Errorf("what is kept: %v, %v", e.Record, err)
	}
}

// forget records the erasure of a lead as ingest does.
func (r *room) forget(lead string) {
	r.tb.Helper()
	raw, err := proto.Marshal(&ledgerv1.Record{Id: "erased", Tombstone: true})
	if err != nil {
		r.tb.Fatal(err)
	}
	if _, err := r.bus.Publish(r.tb.Context(), &nats.Msg{Subject: bus.Subject(bus.Leads, lead, bus.KindState), Data: raw, Header: nats.Header{bus.HeaderTombstone: {"1"}}}); err != nil {
		r.tb.Fatal(err)
	}
}
