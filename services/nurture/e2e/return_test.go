package e2e

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
)

// open runs the whole platform in this process, on the example.
func open(t *testing.T) (*box.Box, *person) {
	t.Helper()
	return openOn(t, example(t))
}

func openOn(t *testing.T, config string) (*box.Box, *person) {
	t.Helper()
	b, err := box.Open(t.Context(), box.Options{
		Data: t.TempDir(), Config: config, NATSPort: -1, Doors: box.AnyDoors(), TimeScale: 0.02,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b, &person{
		t: t, ingest: b.URL(box.IngestHTTP), handoff: b.URL(box.HandoffHTTP), desk: b.URL(box.DeskHTTP), inbox: b.URL(box.InboxHTTP), grpc: b.Addr(box.IngestGRPC), nats: b.NATSURL(),
	}
}

func TestWhoComesBackAfterAnErasureIsSomebodyNewAndStillNotWrittenTo(t *testing.T) {
	b, p := open(t)
	p.wait("the form is taken", func() bool { p.lead = p.fill(nil); return p.lead != "" })
	api, address := p.api(), canaries()["e-mail"]
	_, err := api.AddSuppressions(t.Context(), &ingestv1.AddSuppressionsRequest{
		Emails: []string{address}, Reason: leadv1.Suppression_SUPPRESSION_MANUAL, Note: "ticket 1", By: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	old := p.lead
	p.erase(api)
	p.erased(api)
	mailed := len(mailsTo(t, b, address))

	p.lead = p.fill(nil)
	if p.lead == "" || p.lead == old {
		t.Fatalf("who comes back is lead %q, and was %q", p.lead, old)
	}
	got, err := api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: p.lead})
	if err != nil {
		t.Fatal(err)
	}
	if l := got.GetLead(); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_MANUAL || l.GetActivities() != 1 || len(l.GetMergedFrom()) > 0 {
		t.Errorf("who comes back has suppression %v, %d activities, %v", l.GetSuppression(), l.GetActivities(), l.GetMergedFrom())
	}
	if again, err := api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: old}); err == nil && again.GetLead().GetProfile().GetEmail() != "" {
		t.Errorf("the erased lead is alive: %v", again)
	}
	// Somebody else after that gets a mail: what was to come for the first one has come.
	status, answer := p.post("/v1/forms/website", "", map[string]any{"email": "next@acme.example", "first_name": "Jo", "consent_marketing_email": "yes"})
	if status/100 != http.StatusOK/100 {
		t.Fatalf("the next one: %d %s", status, answer)
	}
	p.wait("the next one is mailed", func() bool { return len(mailsTo(t, b, "next@acme.example")) > 0 })
	if n := len(mailsTo(t, b, address)); n != mailed {
		t.Errorf("%d mails went to a suppressed address after the erasure", n-mailed)
	}
}

func mailsTo(t *testing.T, b *box.Box, address string) []*inbox.Mail {
	t.Helper()
	if b.Inbox.Counts() == (inbox.Counts{}) {
		return nil
	}
	all, err := b.Inbox.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(all), func(m *inbox.Mail) bool { return m.To != address })
}
