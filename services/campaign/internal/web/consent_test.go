package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// acts are what the desk was asked to change.
func (d *desk) changed() int { return len(d.consent) + len(d.updated) + len(d.confirmed) + d.asked }

func (d *desk) ListPreferences(context.Context, *ingestv1.ListPreferencesRequest, ...grpc.CallOption) (*ingestv1.ListPreferencesResponse, error) {
	return &ingestv1.ListPreferencesResponse{
		Version: "v1", ConfirmSeconds: 3600,
		Preferences: []*ingestv1.Preference{
			{Purpose: "marketing_email", Title: "Useful articles", Description: "Now & then.", Allowed: true, Reason: "granted"},
			{Purpose: "product_news", Title: "Product news", Reason: "not_granted"},
			{Purpose: "webinar", Title: "Webinars", Allowed: true, Reason: "granted"},
		},
	}, d.down
}

func (d *desk) UpdatePreferences(_ context.Context, in *ingestv1.UpdatePreferencesRequest, _ ...grpc.CallOption) (*ingestv1.UpdatePreferencesResponse, error) {
	if d.down != nil {
		return nil, d.down
	}
	d.updated = append(d.updated, in)
	return &ingestv1.UpdatePreferencesResponse{}, nil
}

func (d *desk) ConfirmConsent(_ context.Context, in *ingestv1.ConfirmConsentRequest, _ ...grpc.CallOption) (*ingestv1.ConfirmConsentResponse, error) {
	d.confirmed = append(d.confirmed, in)
	result := "confirmed"
	if len(d.confirmed) > 1 {
		result = "already_confirmed"
	}
	return &ingestv1.ConfirmConsentResponse{Result: result}, d.down
}

func (d *desk) AskConfirmation(context.Context, *ingestv1.AskConfirmationRequest, ...grpc.CallOption) (*ingestv1.AskConfirmationResponse, error) {
	d.asked++
	return &ingestv1.AskConfirmationResponse{Result: "asked"}, nil
}

func (d *desk) confirmLink(age time.Duration) string {
	return "/confirm/" + d.token(link.Confirm, link.Ask{Issued: now.Add(-age), Requests: []string{"lead-1-c1"}}.Target())
}

func TestAScannerThatFollowsEveryLinkAThousandTimesChangesNothing(t *testing.T) {
	d := newDesk(t)
	links := []string{
		"/u/" + d.token(link.Unsubscribe, "marketing_email"), "/u/" + d.token(link.Unsubscribe, ""),
		"/preferences/" + d.token(link.Preferences, ""), d.confirmLink(time.Minute), d.confirmLink(2 * time.Hour),
	}
	for i := range 1000 {
		method := http.MethodGet
		if i%3 == 0 {
			method = http.MethodHead
		}
		if resp, _ := d.ask(t, method, links[i%len(links)], ""); resp.StatusCode >= 500 {
			t.Fatalf("%s %s: %s", method, links[i%len(links)], resp.Status)
		}
	}
	if d.changed() != 0 {
		t.Errorf("%d changes", d.changed())
	}
}

func TestAConfirmationIsPressedOnceAndTheSecondTimeIsToldSo(t *testing.T) {
	d := newDesk(t)
	at := d.confirmLink(time.Minute)
	for _, want := range []string{"Thank you", "Already confirmed"} {
		resp, body := d.ask(t, http.MethodPost, at, "do=confirm")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s", resp.Status, body)
		}
	}
	got := d.confirmed[0]
	if got.GetLeadId() != "lead-1" || got.GetRequestIds()[0] != "lead-1-c1" || got.GetHow().GetProof() != "lead-1-t1" || got.GetHow().GetIp() == "" {
		t.Errorf("%v", got)
	}
}

func TestAnOldConfirmationOffersANewMailAndConfirmsNothing(t *testing.T) {
	d := newDesk(t)
	at := d.confirmLink(2 * time.Hour)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		resp, body := d.ask(t, method, at, "")
		if resp.StatusCode != http.StatusGone || !strings.Contains(body, "Send me a new one") {
			t.Errorf("%s: %s %s", method, resp.Status, body)
		}
	}
	if _, body := d.ask(t, http.MethodPost, at, "do=again"); !strings.Contains(body, "on its way") || d.asked != 1 || len(d.confirmed) != 0 {
		t.Errorf("asked %d, confirmed %d: %s", d.asked, len(d.confirmed), body)
	}
}

func TestAnotherLinkConfirmsNothing(t *testing.T) {
	d := newDesk(t)
	for _, token := range []string{d.token(link.Unsubscribe, "1 x"), d.token(link.Confirm, "soon"), "x"} {
		if resp, _ := d.ask(t, http.MethodPost, "/confirm/"+token, "do=confirm"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s", resp.Status)
		}
	}
	if d.changed() != 0 {
		t.Error("something changed")
	}
}

func TestOnlyWhatIsAnsweredOtherwiseIsRecorded(t *testing.T) {
	d := newDesk(t)
	at := "/preferences/" + d.token(link.Preferences, "")
	resp, body := d.ask(t, http.MethodPost, at, "do=save&shown=marketing_email&shown=product_news&purpose=product_news")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Saved.") || len(d.updated) != 1 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	got := map[string]bool{}
	for _, a := range d.updated[0].GetAnswers() {
		got[a.GetPurpose()] = a.GetGranted()
	}
	// The webinar was not on the page that was sent: it was not answered.
	if len(got) != 2 || got["marketing_email"] || !got["product_news"] {
		t.Errorf("%v", got)
	}
	if words := d.updated[0].GetAnswers()[0]; words.GetText() != "Useful articles\nNow & then." || words.GetTextVersion() != "v1" {
		t.Errorf("%v", words)
	}
}

func TestThePageTakesNothingAwayWhenItIsSentEmpty(t *testing.T) {
	d := newDesk(t)
	if resp, _ := d.ask(t, http.MethodPost, "/preferences/"+d.token(link.Preferences, ""), ""); resp.StatusCode != http.StatusBadRequest || d.changed() != 0 {
		t.Errorf("%s, %d changes", resp.Status, d.changed())
	}
}

func TestLeavingEverythingIsOnePress(t *testing.T) {
	d := newDesk(t)
	if _, body := d.ask(t, http.MethodPost, "/preferences/"+d.token(link.Preferences, ""), "do=leave"); !strings.Contains(body, "no more mails") {
		t.Error(body)
	}
	if _, err := d.ask(t, http.MethodPost, "/u/"+d.token(link.Unsubscribe, ""), "List-Unsubscribe=One-Click"); err == "" {
		t.Error("no page")
	}
	if len(d.updated) != 2 || !d.updated[0].GetUnsubscribeAll() || !d.updated[1].GetUnsubscribeAll() || d.updated[1].GetHow().GetMethod() != "one_click" {
		t.Errorf("%v", d.updated)
	}
}
