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

	bundle := t.TempDir()
	me.types("lead export LEAD --out " + bundle)
	me.types("lead erase LEAD", "--yes")
	me.types("lead erase LEAD --yes", "ERASURE", "finished")
	me.types("lead show LEAD", "erased")
}
