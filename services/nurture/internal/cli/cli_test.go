package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// call runs the command line and gives what it printed.
func call(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := oneLine(spoken(root.ExecuteContext(ctx)))
	return out.String(), err
}

func TestWrongArgumentsAreOneLineThatSaysWhatToDo(t *testing.T) {
	t.Setenv("NATS_URL", "")
	t.Setenv("DEMO", "")
	cases := []struct {
		args []string
		want []string
	}{
		{[]string{"rnu"}, []string{`"rnu"`, `did you mean "run"`, "nurture --help"}},
		{[]string{"run", "--prot", "1"}, []string{"unknown flag: --prot", "nurture run --help"}},
		{[]string{"run", "--demo", "maybe"}, []string{"--demo", `"maybe"`, "on or off"}},
		{[]string{"run", "--log", "loud"}, []string{"--log", "debug, info, warn or error"}},
		{[]string{"run", "now"}, []string{`"now"`, "nurture run --help"}},
		{[]string{"story", "--leads", "0"}, []string{"--leads is 0"}},
		{[]string{"story", "--config", "/nowhere"}, []string{"/nowhere", "--config"}},
		{[]string{"lead"}, []string{"nurture lead find|show"}},
		{[]string{"lead", "show"}, []string{"one argument", "nurture lead show <lead id or e-mail>"}},
		{[]string{"lead", "find", "x", "--kind", "name", "--ingest-addr", "127.0.0.1:1"}, []string{`--kind "name"`, "email, phone, user"}},
		{[]string{"parked"}, []string{"nurture parked list|show|redrive|dismiss"}},
		{[]string{"parked", "show", "abc"}, []string{`"abc"`, "nurture parked list"}},
		{[]string{"parked", "list", "--nats", "nats://127.0.0.1:1"}, []string{"nats://127.0.0.1:1", "nurture run", "--nats"}},
		{[]string{"status", "--nats", "nats://127.0.0.1:1"}, []string{"127.0.0.1:1", "--nats"}},
		{[]string{"lead", "show", "x", "--addr", "127.0.0.1", "--ingest-addr", "127.0.0.1:1"}, []string{"nobody answers at 127.0.0.1:1: ", "--addr"}},
		{[]string{"suppress", "list", "--ingest-addr", "127.0.0.1:1"}, []string{"nobody answers at 127.0.0.1:1: ", "--addr"}},
		{[]string{"source", "list", "--ingest-addr", "127.0.0.1:1"}, []string{"nobody answers at 127.0.0.1:1: ", "nurture run", "--addr"}},
		{[]string{"lint"}, []string{"one argument", "nurture lint <dir>"}},
		{[]string{"lint", "/nowhere"}, []string{"/nowhere"}},
	}
	for _, c := range cases {
		out, err := call(t.Context(), c.args...)
		if err == nil {
			t.Errorf("%v: no error, printed %q", c.args, out)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q does not say %q", c.args, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: more than one line: %q", c.args, err)
		}
	}
}

func TestParkedMessagesAreListedShownDismissedAndRedriven(t *testing.T) {
	b := bustest.New(t)
	url := b.NC.ConnectedUrl()
	for seq := range uint64(3) {
		p := &ledgerv1.Parked{
			Service: "scoring", LeadId: "L1", Stream: bus.Leads, Seq: seq + 7, Subject: bus.Subject(bus.Leads, "L1", bus.KindState),
			Reason: bus.ReasonUndecodable, Error: "wrong wire type", Attempts: 5, Data: []byte("x"),
		}
		if err := b.Park(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		args []string
		want string
	}{
		{[]string{"list"}, "wrong wire type"},
		{[]string{"show", "2"}, "LEADS/8"},
		{[]string{"dismiss", "2"}, "dismissed 2"},
		{[]string{"redrive", "1"}, "redriven 1"},
		{[]string{"redrive", "all"}, "redriven 1, left 0"},
		{[]string{"list"}, "nothing is parked"},
	}
	for _, s := range steps {
		out, err := call(t.Context(), slices.Concat([]string{"parked"}, s.args, []string{"--nats", url})...)
		if err != nil || !strings.Contains(out, s.want) {
			t.Errorf("%v: printed %q, error %v; want %q", s.args, out, err, s.want)
		}
	}
	if _, err := call(t.Context(), "parked", "show", "2", "--nats", url); err == nil || !strings.Contains(err.Error(), "no parked message 2") {
		t.Errorf("a dismissed message is answered with %v", err)
	}
	if msg, err := b.LastMsg(t.Context(), bus.Scores, bus.Subject(bus.Scores, "L1", bus.KindRedrive, "redrive-1")); err != nil || string(msg.Data) != "x" {
		t.Errorf("the redriven message is not in the service's stream: %v", err)
	}
}

func TestEveryFaultOfAConfigurationIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../../deploy/example")); err != nil {
		t.Fatal(err)
	}
	if out, err := call(t.Context(), "lint", dir); err != nil {
		t.Fatalf("the example has faults: %v\n%s", err, out)
	}
	spoil := func(file, from, to string) {
		path := filepath.Join(dir, file)
		raw, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(raw, []byte(from)) {
			t.Fatalf("spoil %s: %v", file, err)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(raw, []byte(from), []byte(to)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil("model.yaml", "lead.employees >= 200", `lead.employes >= 200`)
	spoil("programs/keep-warm.yaml", "evergreen: true", "evergreen: false")
	spoil("templates/welcome-hello.html.liquid", "lead.first_name", "lead.frist_name")
	spoil("routes.yaml", "weight: 2", "weight: two")
	spoil("sources.yaml", "sha256:f31", "sha:f31")
	out, err := call(t.Context(), "lint", dir)
	if err == nil || !strings.Contains(err.Error(), "5 of them") {
		t.Errorf("lint answered %v", err)
	}
	for _, want := range []string{
		`model.yaml:20:21: unknown field "employes"; did you mean "employees"?`, "the program can never end",
		filepath.Join(dir, "templates", "welcome-hello.html.liquid") + ":", `unknown variable "lead.frist_name"`, "routes.yaml:", `found "two"`, "sources.yaml:", "sha256sum",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lint does not say %q:\n%s", want, out)
		}
	}
}

func TestAnErrorOfSeveralLinesBecomesOne(t *testing.T) {
	got := oneLine(errors.Join(errors.New("first\n  | drawing\n  | ...^"), errors.New("second"))).Error()
	if got != "first; second" {
		t.Errorf("got %q", got)
	}
}
