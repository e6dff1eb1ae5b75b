package handoff_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestSalesAnswersOnceHoweverOftenItAsks(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	for range 3 {
		resp, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-1", By: "ada", RequestId: "r1"})
		if err != nil || resp.GetHandoff().GetStatus() != accepted {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	for range 2 { // the second one repeats the request, although the status forbids it now
		resp, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{
			LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_NO_BUDGET, RequestId: "r1",
		})
		if err != nil || resp.GetHandoff().GetStatus() != recycled {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	_, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-1", RequestId: "r2"})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "it is RECYCLED") {
		t.Fatalf("got %v", err)
	}
}

func TestErrorsHaveTheStatusThatSaysWhoHasToAct(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	ctx := t.Context()
	calls := map[string]struct {
		call func() error
		want codes.Code
	}{
		"an unknown lead": {func() error {
			_, err := r.sales.Accept(ctx, &handoffv1.AcceptRequest{LeadId: "nobody"})
			return err
		}, codes.NotFound},
		"no handoff to show": {func() error {
			_, err := r.sales.GetHandoff(ctx, &handoffv1.GetHandoffRequest{LeadId: "nobody"})
			return err
		}, codes.NotFound},
		"recycling what nobody accepted": {func() error {
			_, err := r.sales.Recycle(ctx, &handoffv1.RecycleRequest{LeadId: "lead-1"})
			return err
		}, codes.FailedPrecondition},
		"a reject without a reason": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "lead-1"})
			return err
		}, codes.InvalidArgument},
		"an unknown lead, in words": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "nobody", Reason: leadv1.RejectReason_REJECT_REASON_OTHER, Text: "why"})
			return err
		}, codes.NotFound},
		"OTHER with a blank text": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_OTHER, Text: " \n"})
			return err
		}, codes.InvalidArgument},
		"OTHER without a text": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_OTHER})
			return err
		}, codes.InvalidArgument},
		"an unknown delivery": {func() error {
			_, err := r.sales.Redeliver(ctx, &handoffv1.RedeliverRequest{LeadId: "lead-1", DeliveryId: "x"})
			return err
		}, codes.NotFound},
	}
	for name, c := range calls {
		if err := c.call(); status.Code(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestSalesCanAnswerOverPlainHTTP(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	post := func(path, body string) (int, map[string]any) {
		resp, err := http.Post(r.http+path, "application/json", strings.NewReader(body)) //nolint:noctx // a test of the plain surface
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(resp.Body)
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %s", path, raw)
		}
		return resp.StatusCode, got
	}
	if code, got := post("/v1/handoffs/lead-1:accept", `{"by":"ada"}`); code != 200 {
		t.Fatalf("%d %v", code, got)
	}
	if code, got := post("/v1/handoffs/lead-1/outcome", `{"outcome":"OUTCOME_WON","amountMinor":"120000","currency":"EUR"}`); code != 200 {
		t.Fatalf("%d %v", code, got)
	}
	if code, got := post("/v1/handoffs/lead-1:reject", `{"reason":"REJECT_REASON_NOT_READY"}`); code != 409 || !strings.Contains(got["detail"].(string), "it is WON") {
		t.Fatalf("%d %v", code, got)
	}
}

func TestTheDossierAndTheBatchCanBeRead(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.arrive("lead-2")
	r.until("lead-1", "assigned", inStatus(assigned))
	r.until("lead-2", "assigned", inStatus(assigned))
	d, err := r.sales.GetDossier(t.Context(), &handoffv1.GetDossierRequest{LeadId: "lead-1"})
	if err != nil || d.GetDossier().GetProfile().GetEmail() == "" || d.GetDossier().GetHandoff().GetRep() != "ada" {
		t.Fatalf("got %v, %v", d, err)
	}
	b, err := r.sales.BatchGetHandoffs(t.Context(), &handoffv1.BatchGetHandoffsRequest{LeadIds: []string{"lead-2", "nobody", "lead-1"}})
	if err != nil || len(b.GetHandoffs()) != 2 || b.GetHandoffs()[0].GetLeadId() != "lead-2" {
		t.Fatalf("got %v, %v", b, err)
	}
}
