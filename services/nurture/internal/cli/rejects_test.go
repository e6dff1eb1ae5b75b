package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// shown is a reject as `nurture rejects show` prints it.
func shown(t *testing.T, r *ingestv1.Reject) string {
	t.Helper()
	var out strings.Builder
	if err := printReject(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestARefusedMessageIsShownAsAPersonReadsIt(t *testing.T) {
	raw, err := proto.Marshal(&ingestv1.Inbound{Command: &ingestv1.Inbound_Capture{Capture: &ingestv1.CaptureLeadRequest{
		Source: "website", Profile: &leadv1.Profile{FirstName: "Ann\u009b2J", Email: "ann@acme.example"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got := shown(t, &ingestv1.Reject{
		RejectId: 7, Source: "website", Kind: "inbound", Reason: "quarantined", Raw: raw,
		About: map[string]string{"Content-Type": "application/x-protobuf"}, Faults: []*ledgerv1.Fault{{Message: "filled in within 0.2 s"}},
	})
	_, text, found := strings.Cut(got, "bytes: ")
	var said struct {
		Capture struct {
			Source  string
			Profile struct{ FirstName, Email string }
		}
	}
	if err := json.Unmarshal([]byte(text), &said); !found || err != nil {
		t.Fatalf("what was sent is no JSON (%v):\n%s", err, got)
	}
	if c := said.Capture; c.Source != "website" || c.Profile.Email != "ann@acme.example" || c.Profile.FirstName != "Ann\ufffd2J" {
		t.Errorf("shown %+v", said)
	}
	for _, want := range []string{"reject 7 of website: quarantined", "filled in within 0.2 s"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

func TestWhatIsNoMessageIsShownAsItCame(t *testing.T) {
	for name, r := range map[string]*ingestv1.Reject{
		"a form":                {Kind: "form", Raw: []byte("email=ann"), About: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"a broken message":      {Kind: "inbound", Raw: []byte("\x0a\xffx"), About: map[string]string{"Content-Type": "application/x-protobuf"}},
		"JSON of an upstream":   {Kind: "inbound", Raw: []byte(`{"type":"identify"}`)},
		"a form of a dialect":   {Kind: "typeform", Raw: []byte("\x1b[2J")},
		"a mail that came back": {Kind: "mail", Raw: []byte("Subject: a\r\n"), About: map[string]string{"Content-Type": "message/rfc822"}},
	} {
		want := map[string]string{
			"a form": `9 bytes: "email=ann"`, "a broken message": `3 bytes: "\n\xffx"`, "JSON of an upstream": `19 bytes: "{\"type\":\"identify\"}"`,
			"a form of a dialect": `4 bytes: "\x1b[2J"`, "a mail that came back": `12 bytes: "Subject: a\r\n"`,
		}[name]
		if got := shown(t, r); !strings.Contains(got, want) {
			t.Errorf("%s: %q is missing in:\n%s", name, want, got)
		}
	}
}
