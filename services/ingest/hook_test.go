package ingest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nurturehq/nurture/services/ingest"
)

// hookSecret signs the webhooks of the tests.
const hookSecret = "whsec_aG9va3MtaG9va3MtaG9va3MtaG9va3MtaG9va3M="

// hookRoom is a room whose sources are those of this YAML.
func hookRoom(t *testing.T, yaml string) *room {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRoomWith(t, func(c *ingest.Config) { c.Sources = file })
}

// signed sends a body as Standard Webhooks, signed by the library of the standard.
func (r *room) signed(path, id, body string) reply {
	r.t.Helper()
	return r.signedBy(hookSecret, path, id, body)
}

func (r *room) signedBy(secret, path, id, body string) reply {
	r.t.Helper()
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	now := time.Now()
	sig, err := signer.Sign(id, now, []byte(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post(path, []byte(body), "Content-Type", "application/json",
		"Webhook-Id", id, "Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10), "Webhook-Signature", sig)
}

const partnerYAML = `
sources:
  partner:
    kind: webhook
    secrets: [{env: HOOK_SECRET}]
    country: DE
    options: {activity.demo.booked: demo_requested}
    fields: {contact.mail: email, contact.firm: company, deal.campaign: utm_campaign}
`

func TestASignedWebhookMakesALeadOnceHoweverOftenItIsSent(t *testing.T) {
	r := hookRoom(t, partnerYAML)
	body := `{"type":"demo.booked","id":17,"contact":{"mail":"Jo@ACME.example","firm":"Acme"},"deal":{"campaign":"spring"}}`
	for range 3 {
		if got := r.signed("/v1/hooks/partner", "msg_1", body); got.status != http.StatusOK {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	id := r.submitAs("jo@acme.example")
	if got := r.types(id); got != "demo_requested form_submitted" {
		t.Errorf("activities %q", got)
	}
	lead := r.lead(id)
	if lead.GetProfile().GetCompany() != "Acme" || lead.GetFirstTouch().GetUtmCampaign() != "spring" || r.leads() != 1 {
		t.Errorf("lead %v of %d", lead, r.leads())
	}
}

// submitAs finds a lead by telling its address once more, over gRPC.
func (r *room) submitAs(email string) string {
	r.t.Helper()
	got, err := r.api.CaptureLead(r.t.Context(), capture("", email))
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetLeadId()
}

// The secret that `nurture source create` makes is one that the libraries of the
// standard and ingest read alike.
func TestTheSecretThatIsMadeForASourceSignsItsWebhooks(t *testing.T) {
	e := ingest.NewSource{Name: "partner", Kind: "webhook"}
	made := e.Chosen([]byte("24 bytes that are random"))
	r := hookRoom(t, partnerYAML)
	if got := r.signedBy(made, "/v1/hooks/partner", "m1", `{"contact":{"mail":"jo@acme.example"}}`); got.status != http.StatusUnauthorized {
		t.Errorf("under a secret that ingest does not have: %d", got.status)
	}
	t.Setenv("HOOK_SECRET", made)
	r.eventually("ingest has the secret that was made", func() bool {
		return r.signedBy(made, "/v1/hooks/partner", "m2", `{"contact":{"mail":"jo@acme.example"}}`).status == http.StatusOK
	})
}

func TestAForgedWebhookIsRefusedAndLeavesNothing(t *testing.T) {
	r := hookRoom(t, partnerYAML)
	got := r.post("/v1/hooks/partner", []byte(`{"email":"jo@acme.example"}`), "Webhook-Id", "a",
		"Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10), "Webhook-Signature", "v1,AAAA")
	if got.status != http.StatusUnauthorized || r.leads() != 0 || len(r.parked()) != 0 {
		t.Errorf("answered %d: %s; %d leads, %d parked", got.status, got.body, r.leads(), len(r.parked()))
	}
	if got := r.post("/v1/hooks/nobody", nil); got.status != http.StatusNotFound {
		t.Errorf("an unknown hook answered %d", got.status)
	}
}

func TestWhatAVerifiedWebhookCannotUseIsKeptAsAReject(t *testing.T) {
	r := hookRoom(t, partnerYAML)
	if got := r.signed("/v1/hooks/partner", "msg_2", `{"contact":{"firm":"Acme"}}`); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s; a sender must not send for ever what we cannot use", got.status, got.body)
	}
	if got := r.signed("/v1/hooks/partner", "msg_3", `{"contact":`); got.status != http.StatusBadRequest {
		t.Fatalf("what is not JSON was answered %d: %s", got.status, got.body)
	}
	list := r.parked()
	if len(list) != 2 || list[0].GetSource() != "partner" || list[0].GetFaults()[0].GetField() != "profile.email" || list[1].GetReason() != "undecodable" {
		t.Errorf("rejects %v", list)
	}
}
