package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAWordOfTheCRMThatHandoffRefusesWaitsAsARejectUntilItCanBeTold(t *testing.T) {
	config, flags := platform(t)
	change(t, filepath.Join(config, "sources.yaml"), func(s string) string {
		return s + "\n  shop:\n    kind: crm\n    secrets: [{env: HOOK_SECRET}]\n"
	})
	me := &person{T: t, flags: flags}
	me.types("source list", "/v1/hooks/shop")
	conn, err := rpc.Dial(flags[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	capture := func(activity string) string {
		got, err := ingestv1.NewIngestServiceClient(conn).CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
			Source: "product", Activity: &leadv1.Activity{Type: activity},
			Profile: &leadv1.Profile{Email: "ann@acme.example", FirstName: "Ann", JobTitle: "CTO", Employees: 500, Country: "DE"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetLeadId()
	}
	me.lead = capture("page_viewed")

	message := filepath.Join(t.TempDir(), "message.json")
	if err := os.WriteFile(message, []byte(`{"lead_id":"`+me.lead+`","status":"accepted"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := &person{T: t, flags: flags}
	other.types("source test shop --body "+message, "answered  200")
	waits := func() string {
		return regexp.MustCompile(`(?m)^(\d+) +shop`).FindStringSubmatch(other.types("rejects list --source shop", "shop", "inbound"))[1]
	}
	first := waits()
	other.types("rejects show "+first, `"leadId": "`+me.lead+`"`, "SALES_STATUS_ACCEPTED", "wrong    ")

	other.types("rejects redrive "+first, "redriven "+first)
	if again := waits(); again == first {
		t.Errorf("reject %s was sent back and is still there", first)
	}

	capture("demo_requested") // the cause goes away: sales has the lead
	me.types("lead show LEAD", "assigned to")
	other.types("rejects redrive "+waits(), "redriven")
	me.types("lead show LEAD", "accepted")
	other.types("rejects list --source shop", "nothing was rejected")

	// What sales writes lies sealed in the log, and is shown to whoever may see people.
	const said = "went to the competition after all"
	if err := os.WriteFile(message, []byte(`{"lead_id":"`+me.lead+`","status":"rejected","reason":"no budget","text":"`+said+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other.types("source test shop --body "+message, "answered  200")
	me.types("lead show LEAD", "given back", "no budget: "+said)
	dir := t.TempDir()
	me.types("lead export LEAD --out "+dir, "lead-"+me.lead+".json")
	for _, kind := range []string{".json", ".html"} {
		bundle, err := os.ReadFile(filepath.Join(dir, "lead-"+me.lead+kind))
		if err != nil || !strings.Contains(string(bundle), said) || strings.Contains(string(bundle), "sealedText") {
			t.Errorf("the bundle of the person does not say what sales wrote, %v:\n%s", err, bundle)
		}
	}
}
