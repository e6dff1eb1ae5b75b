package ingest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/services/ingest"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// redrive has a reject read again.
func (r *room) redrive(id uint64) *ingestv1.RedriveRejectResponse {
	r.t.Helper()
	got, err := r.api.RedriveReject(r.t.Context(), &ingestv1.RedriveRejectRequest{RejectId: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestARejectedWebhookIsReadAgainByItsDialectWhenTheMappingIsMended(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	f := newSources(t, strings.ReplaceAll(partnerYAML, "contact.mail: email, ", ""))
	r := f.room()
	const body = `{"type":"demo.booked","id":17,"contact":{"mail":"jo@acme.example","firm":"Acme"}}`
	if got := r.signed("/v1/hooks/partner", "msg_1", body); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	list := r.rejects("partner")
	if len(list) != 1 || r.leads() != 0 {
		t.Fatalf("rejects %v, %d leads", list, r.leads())
	}
	id := list[0].GetRejectId()
	if still := r.redrive(id); still.GetTaken() || len(still.GetFaults()) == 0 {
		t.Fatalf("redriven before anything was mended: %v", still)
	}
	f.write(partnerYAML)
	var done *ingestv1.RedriveRejectResponse
	r.eventually("the mended mapping is in use", func() bool { done = r.redrive(id); return done.GetTaken() })
	if len(done.GetLeadIds()) != 1 || done.GetCreated() != 1 || len(r.rejects("partner")) != 0 {
		t.Fatalf("redriven %v, rejects left %v", done, r.rejects("partner"))
	}
	// The sender comes again: it is the same event.
	if got := r.signed("/v1/hooks/partner", "msg_1", body); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	if got := r.types(done.GetLeadIds()[0]); got != "demo_requested" || r.leads() != 1 {
		t.Errorf("activities %q of %d leads", got, r.leads())
	}
}

func TestARejectOfAKindThatItsSourceIsNotAnyMoreSaysSo(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	f := newSources(t, partnerYAML)
	r := f.room()
	if got := r.signed("/v1/hooks/partner", "msg_1", `{"contact":{"firm":"Acme"}}`); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	id := r.rejects("partner")[0].GetRejectId()
	f.write("sources:\n  partner:\n    kind: typeform\n    secrets: [{env: HOOK_SECRET}]\n")
	r.eventually("the new kind is in use", func() bool { src, _ := r.source("partner"); return src.GetKind() == "typeform" })
	got := r.redrive(id)
	if got.GetTaken() || len(got.GetFaults()) != 1 || !strings.Contains(got.GetFaults()[0].GetMessage(), `sent as "webhook"`) {
		t.Errorf("redriven %v", got)
	}
}

func TestAMailThatCameBackIsReadAgainAndKeptOnce(t *testing.T) {
	r := newRoomWith(t, func(c *ingest.Config) { bouncing(c) })
	resp, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{
		Mail: []byte("From: jo@acme.example\r\nSubject: Hello\r\n\r\nIs anybody there?\r\n"), Recipient: "postmaster@" + bounceDomain,
	})
	if err != nil || resp.GetParked() == "" {
		t.Fatalf("a letter is a report: %v, %v", resp, err)
	}
	list := r.rejects("")
	if len(list) != 1 {
		t.Fatalf("rejects %v", list)
	}
	got := r.redrive(list[0].GetRejectId())
	if got.GetTaken() || len(got.GetFaults()) != 1 || got.GetFaults()[0].GetField() != "mail" {
		t.Errorf("redriven %v", got)
	}
	if left := r.rejects(""); len(left) != 1 {
		t.Errorf("reading it again left %v", left)
	}
}
