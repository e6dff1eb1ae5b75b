package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

func listPlan() *ingestv1.ImportPlan {
	return &ingestv1.ImportPlan{ListId: "fair-2026", Basis: &ingestv1.ImportBasis{
		Kind: ingestv1.ImportBasis_KIND_OPT_IN, Purpose: "marketing_email", Text: "Yes, write to me.", Column: "ok",
	}}
}

func person(n int, ok string) *ingestv1.ImportRow {
	return &ingestv1.ImportRow{Number: uint64(n), Values: map[string]string{
		"E-Mail": fmt.Sprintf("p%d@acme.example", n), "First name": fmt.Sprintf("P%d", n), "ok": ok,
	}}
}

// importRows sends a list and returns the answers in order.
func (r *room) importRows(plan *ingestv1.ImportPlan, rows ...*ingestv1.ImportRow) ([]*ingestv1.ImportLeadsResponse, error) {
	r.t.Helper()
	stream, err := r.api.ImportLeads(r.t.Context())
	if err != nil {
		return nil, err
	}
	go func() {
		// A stream that the server ended refuses sends; its reason comes from Recv.
		_ = stream.Send(&ingestv1.ImportLeadsRequest{Part: &ingestv1.ImportLeadsRequest_Plan{Plan: plan}})
		for _, row := range rows {
			_ = stream.Send(&ingestv1.ImportLeadsRequest{Part: &ingestv1.ImportLeadsRequest_Row{Row: row}})
		}
		_ = stream.CloseSend()
	}()
	var answers []*ingestv1.ImportLeadsResponse
	for {
		a, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, a)
	}
}

func results(answers []*ingestv1.ImportLeadsResponse) map[ingestv1.ImportLeadsResponse_Result]int {
	n := map[ingestv1.ImportLeadsResponse_Result]int{}
	for _, a := range answers {
		n[a.GetResult()]++
	}
	return n
}

func TestAListComesInOnceHoweverOftenItIsSent(t *testing.T) {
	r := newRoom(t)
	rows := make([]*ingestv1.ImportRow, 0, 700)
	for n := 1; n <= 700; n++ {
		rows = append(rows, person(n, "yes"))
	}
	rows[9].Values["E-Mail"] = "no address"
	rows[19].Values["E-Mail"] = "p1@acme.example"

	checked := listPlan()
	checked.DryRun = true
	dry, err := r.importRows(checked, rows...)
	if err != nil {
		t.Fatal(err)
	}
	if n := results(dry); n[ingestv1.ImportLeadsResponse_RESULT_VALID] != 699 || len(dry[19].GetProblems()) != 1 {
		t.Fatalf("dry run %v, row 20 %v", n, dry[19].GetProblems())
	}

	// Half of it, as if the sender had died; then all of it, twice.
	if _, err := r.importRows(listPlan(), rows[:300]...); err != nil {
		t.Fatal(err)
	}
	second, err := r.importRows(listPlan(), rows...)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range second {
		if a.GetNumber() != uint64(i+1) {
			t.Fatalf("answer %d is of row %d", i, a.GetNumber())
		}
	}
	n := results(second)
	if n[ingestv1.ImportLeadsResponse_RESULT_DUPLICATE] != 299 || n[ingestv1.ImportLeadsResponse_RESULT_CREATED] != 400 || n[ingestv1.ImportLeadsResponse_RESULT_REJECTED] != 1 {
		t.Fatalf("second time %v", n)
	}
	third, err := r.importRows(listPlan(), rows...)
	if n := results(third); err != nil || n[ingestv1.ImportLeadsResponse_RESULT_DUPLICATE] != 699 {
		t.Fatalf("third time %v, %v", n, err)
	}

	leads := r.exportLeads()
	if len(leads) != 698 {
		t.Fatalf("%d leads, want 698: two rows tell about one, and one is refused", len(leads))
	}
	for _, l := range leads {
		if c := l.GetLead().GetConsents(); len(c) != 1 || !c[0].GetGranted() || c[0].GetMethod() != "import" || c[0].GetText() == "" {
			t.Fatalf("consents of %s: %v", l.GetLead().GetLeadId(), c)
		}
	}
	if all := r.exportEvents(nil); len(all) != 698*4+2 { // captured, identified, joined an account, consent; and the two that row 20 told
		t.Errorf("%d events", len(all))
	}
	if later := r.exportEvents(timestamppb.New(time.Now().Add(time.Minute))); len(later) != 0 {
		t.Errorf("%d events of the future", len(later))
	}
}

func (r *room) exportLeads() (all []*ingestv1.ExportLeadsResponse) {
	r.t.Helper()
	stream, err := r.api.ExportLeads(r.t.Context(), &ingestv1.ExportLeadsRequest{})
	for err == nil {
		var l *ingestv1.ExportLeadsResponse
		if l, err = stream.Recv(); err == nil {
			all = append(all, l)
		}
	}
	if !errors.Is(err, io.EOF) {
		r.t.Fatal(err)
	}
	return all
}

func (r *room) exportEvents(since *timestamppb.Timestamp) (all []*ingestv1.ExportEventsResponse) {
	r.t.Helper()
	stream, err := r.api.ExportEvents(r.t.Context(), &ingestv1.ExportEventsRequest{Since: since})
	for err == nil {
		var e *ingestv1.ExportEventsResponse
		if e, err = stream.Recv(); err == nil {
			all = append(all, e)
		}
	}
	if !errors.Is(err, io.EOF) {
		r.t.Fatal(err)
	}
	return all
}

func TestAListWithoutAPlanOrABasisIsRefused(t *testing.T) {
	r := newRoom(t)
	for name, plan := range map[string]*ingestv1.ImportPlan{
		"no plan": nil, "no basis": {ListId: "x"},
		"no words": {ListId: "x", Basis: &ingestv1.ImportBasis{Kind: ingestv1.ImportBasis_KIND_OPT_IN, Purpose: "marketing_email"}},
	} {
		if _, err := r.importRows(plan, person(1, "yes")); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
