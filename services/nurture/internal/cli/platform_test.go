package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// platform runs everything on the example with one more source, and gives the
// flags that lead the command line to it.
func platform(t *testing.T) (config string, flags []string) {
	t.Helper()
	t.Setenv("HOOK_SECRET", "a secret of the test")
	config = t.TempDir()
	if err := os.CopyFS(config, os.DirFS(filepath.Join("..", "..", "..", "..", "deploy", "example"))); err != nil {
		t.Fatal(err)
	}
	change(t, filepath.Join(config, "sources.yaml"), func(s string) string {
		return s + "\n  partner:\n    kind: webhook\n    secrets: [{env: HOOK_SECRET}]\n    fields: {contact.mail: note}\n"
	})
	b, err := box.Open(t.Context(), box.Options{
		Data: t.TempDir(), Config: config, NATSPort: -1, Doors: box.AnyDoors(), TimeScale: 0.02,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return config, []string{
		"--ingest-addr", b.Addr(box.IngestGRPC), "--scoring-addr", b.Addr(box.ScoringGRPC),
		"--campaign-addr", b.Addr(box.CampaignGRPC), "--handoff-addr", b.Addr(box.HandoffGRPC),
	}
}

func change(t *testing.T, file string, how func(string) string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(how(string(raw))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// person is somebody at the command line.
type person struct {
	*testing.T
	flags []string
	// lead is whom the latest output was about.
	lead string
}

var leadID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// types runs a command until its output, with its error, says all that is
// wanted: some of it is told to other services in a moment.
func (t *person) types(line string, wants ...string) string {
	t.Helper()
	args := append(strings.Fields(strings.ReplaceAll(line, "LEAD", t.lead)), t.flags...)
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(50 * time.Millisecond) {
		out, err := call(t.Context(), args...)
		if err != nil {
			out += "error: " + err.Error()
		}
		missing := ""
		for _, want := range wants {
			if !strings.Contains(out, want) {
				missing = want
			}
		}
		if missing == "" {
			if id := leadID.FindString(out); id != "" {
				t.lead = id
			}
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("nurture %s does not say %q:\n%s", line, missing, out)
		}
	}
}

// merged makes one account of two at the command line, and takes a lead out of one.
func merged(t *testing.T, flags []string, me *person) {
	t.Helper()
	conn, err := rpc.Dial(flags[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for email, group := range map[string]string{"lee@acme-inc.example": "", "kim@gmail.com": "g7"} {
		if _, err := ingestv1.NewIngestServiceClient(conn).CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
			Source: "product", GroupId: group, Profile: &leadv1.Profile{Email: email},
		}); err != nil {
			t.Fatal(err)
		}
	}
	me.types("account join acme.example acme-inc.example", "error: making", "with 1 leads, cannot be undone: add --yes")
	me.types("account join acme.example acme-inc.example --by ticket_1 --yes", "(acme.example)", "is part of")
	me.types("account show acme-inc.example", "domain acme.example", "domain acme-inc.example", "LEADS", "3")
	me.types("account join acme.example acme-inc.example --yes", "one account before")
	me.types("account join acme.example nobody.example --yes", "error: nobody.example: nobody told of this account")
	g7 := regexp.MustCompile(`ACCOUNT +(\S+)`).FindStringSubmatch(me.types("account show g7 --source product", "ACCOUNT", "LEADS"))[1]
	me.types("account remove lee@acme-inc.example acme.example", "stays", "its address")
	me.types("account remove kim@gmail.com "+g7, "belongs to no account now")
}

func TestTheCommandLineWorksOnARunningPlatform(t *testing.T) {
	config, flags := platform(t)
	me := &person{T: t, flags: flags}
	me.types("source list", "website", "/v1/hooks/partner", "1 secrets")

	message := filepath.Join(t.TempDir(), "message.json")
	if err := os.WriteFile(message, []byte(`{"contact":{"mail":"jo@acme.example"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	me.types("source test partner --dry-run --body "+message, "only read", "wrong: profile.email", "the sample was not taken")
	me.types("source test partner --body "+message, "answered  200", "refused", "the sample was not taken")
	id := regexp.MustCompile(`(?m)^(\d+) +partner`).FindStringSubmatch(me.types("rejects list --source partner", "profile.email", "partner"))[1]
	me.types("rejects show "+id, "jo@acme.example")
	me.types("rejects redrive "+id, "profile.email")
	change(t, filepath.Join(config, "sources.yaml"), func(s string) string { return strings.Replace(s, "contact.mail: note", "contact.mail: email", 1) })
	me.types("rejects redrive "+id, "recorded for lead")
	me.types("rejects list --source partner", "nothing was rejected")

	me.types("source test website", "answered  201", "source-test@nurture.test", "a new lead")
	me.types("lead consents LEAD", "marketing_email", "Send me useful articles")
	me.types("lead show LEAD", "source-test@nurture.test", "form_submitted")
	me.types("lead find Source-Test@nurture.test", me.lead, "source-test@nurture.test")
	me.types("lead find nobody@acme.example", "error: nobody has this address")
	me.types("lead find "+me.lead, me.lead)
	me.types("lead show source-test@nurture.test", me.lead, "form_submitted")
	me.types("suppress add kim@acme.example --reason manual --note asked_by_phone", "suppressed")
	me.types("suppress check kim@acme.example", "manual", "asked_by_phone")
	me.types("suppress remove kim@acme.example", "--note")
	me.types("suppress remove kim@acme.example --note asked_again", "lifted")
	me.types("suppress check kim@acme.example", "lifted")

	list := filepath.Join(t.TempDir(), "fair.csv")
	if err := os.WriteFile(list, []byte("email,first name\nann@acme.example,Ann\nnobody,Bob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	me.types("import "+list+" --basis none --dry-run", "2 rows checked, nothing recorded: 1 would be taken", "1 would be refused")
	me.types("import "+list, "--basis")
	me.types("import "+list+" --basis none", "1 new leads")

	other := &person{T: t, flags: flags} // whose ids are not those of the lead at hand
	other.types("account show www.acme.example", "ACCOUNT", "known as", "domain acme.example", "LEADS", "1")
	other.types("account list", "acme.example")
	other.types("account show nobody.example", "error: nobody told of this account")
	other.types("account show g1", "name it with --source")
	other.types("account show g1 --source website", "error: nobody told of this account")
	other.types("lead show ann@acme.example", "account", "acme.example (by email; 1 more known)")
	other.types("export leads", "account_id")
	merged(t, flags, other)

	bundle := t.TempDir()
	me.types("lead export source-test@nurture.test --out "+bundle, "lead-"+me.lead+".json")
	me.types("lead erase LEAD", "--yes")
	lead := me.lead
	me.types("lead erase source-test@nurture.test --yes", "ERASURE", "finished", lead)
	me.types("lead show "+lead, "erased")
	me.types("lead find source-test@nurture.test", "error: nobody has this address")
	if out := me.types("export leads", "lead_id"); strings.Contains(out, lead) {
		t.Errorf("an erased lead is in the list of all leads:\n%s", out)
	}
}
