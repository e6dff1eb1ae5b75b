package program_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

const good = `name: welcome
description: First mails.
priority: 10
enroll:
  who: lead.has_email
  when: stage == NURTURING
  re_entry: after 30d
goal:
  when: stage == QUALIFIED
quiet_hours: {from: "21:00", to: "08:00", zone: Europe/Berlin}
frequency_cap: {max: 2, per: 7d}
steps:
  - id: hello
    email: {template: hello, subject: "Hello {{ lead.first_name | default: 'there' }}"}
  - id: clicked
    await: {event: email_clicked, timeout: 3d, then: ready, else: pause}
  - id: ready
    branch: {when: score.behaviour > 10.0, then: won, else: pause}
  - id: pause
    wait: {for: 2d}
  - id: out
    exit: {reason: nothing_to_say}
  - id: won
    goal: {}
`

func bundle(yaml string) program.Bundle {
	return program.Bundle{
		File: "welcome.yaml", YAML: yaml, TimeScale: 1, Links: map[string]string{"site": "https://acme.example"},
		Templates: map[string]letter.Source{"hello": {Name: "hello", HTML: "<p>{{ lead.email }}</p>", Text: "{{ links.site }}"}},
	}
}

func compiler(t *testing.T) *program.Compiler {
	t.Helper()
	c, err := program.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAGoodProgramCompiles(t *testing.T) {
	t.Parallel()
	p, err := compiler(t).Compile(bundle(good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hello", "clicked", "ready", "pause", "out", "won"}, p.StepIDs()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if p.Enroll.ReEntry != (program.ReEntry{Mode: program.ReEntryAfter, After: 30 * 24 * time.Hour}) {
		t.Errorf("re-entry %+v", p.Enroll.ReEntry)
	}
	if step, _ := p.Step("clicked"); step.Then != "ready" || step.Else != "pause" || step.Timeout != 72*time.Hour {
		t.Errorf("step %+v", step)
	}
	if p.Letter("hello") == nil || p.Rules.Cap.Max != 2 || p.Rules.Purpose != program.DefaultPurpose {
		t.Errorf("program %+v", p)
	}
}

func TestTheTimeScaleMakesEveryPauseShorter(t *testing.T) {
	t.Parallel()
	b := bundle(good)
	b.TimeScale = 0.01
	p, err := compiler(t).Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	pause, _ := p.Step("pause")
	clicked, _ := p.Step("clicked")
	got := []time.Duration{pause.For, clicked.Timeout, p.Rules.Cap.Per, p.Enroll.ReEntry.After, p.Rules.MaxDefer}
	hour := time.Hour
	want := []time.Duration{48 * hour / 100, 72 * hour / 100, 168 * hour / 100, 720 * hour / 100, 72 * hour / 100}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheVersionIsTheContent(t *testing.T) {
	t.Parallel()
	version := func(change func(*program.Bundle)) string {
		b := bundle(good)
		change(&b)
		p, err := compiler(t).Compile(b)
		if err != nil {
			t.Fatal(err)
		}
		return p.Version
	}
	first := version(func(*program.Bundle) {})
	if again := version(func(*program.Bundle) {}); again != first {
		t.Errorf("the same content has versions %s and %s", first, again)
	}
	for name, change := range map[string]func(*program.Bundle){
		"yaml":     func(b *program.Bundle) { b.YAML += "# a comment\n" },
		"template": func(b *program.Bundle) { b.Templates["hello"] = letter.Source{Name: "hello", HTML: "x", Text: "x"} },
		"link":     func(b *program.Bundle) { b.Links["site"] = "https://other.example" },
		"scale":    func(b *program.Bundle) { b.TimeScale = 0.5 },
	} {
		if version(change) == first {
			t.Errorf("changing the %s does not change the version", name)
		}
	}
}

func TestAWrongProgramIsRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ old, new, want string }{
		"unknown step":               {"then: ready, else: pause}\n  - id: ready", "then: redy, else: pause}\n  - id: ready", `welcome.yaml:16:54: unknown step "redy"; did you mean "ready"?`},
		"unreachable step":           {"then: won, else", "then: out, else", `welcome.yaml:23:9: step "won" is never reached`},
		"unknown template":           {"template: hello", "template: helo", `welcome.yaml:14:23: unknown template "helo"; did you mean "hello"?`},
		"type error in a condition":  {"when: stage == NURTURING", `when: stage == "new"`, `welcome.yaml:6:15: == does not work between int and string`},
		"unknown field":              {"who: lead.has_email", "who: lead.hasemail", `welcome.yaml:5:12: unknown field "hasemail"; did you mean "has_email"?`},
		"unknown template variable":  {"lead.first_name | default: 'there'", "lead.firstname", `welcome.yaml:14:49: unknown variable "lead.firstname"; did you mean "lead.first_name"?`},
		"misspelt key":               {"re_entry: after 30d", "reentry: never", `welcome.yaml:7:3: `},
		"bad re-entry":               {"re_entry: after 30d", "re_entry: sometimes", `welcome.yaml:7:13: re_entry: "sometimes": write never`},
		"two kinds":                  {"wait: {for: 2d}", "wait: {for: 2d}\n    goal: {}", `welcome.yaml:19:5: step "pause" must be exactly one of`},
		"no kind":                    {"    goal: {}", "", `must be exactly one of email, wait, await, branch, exit, goal; it is none of them`},
		"a wait without a time":      {"wait: {for: 2d}", "wait: {}", `for must be a duration above zero`},
		"an id twice":                {"id: pause", "id: hello", `step id "hello" is used twice`},
		"a round that never ends":    {"wait: {for: 2d}", "wait: {for: 2d}\n    next: hello", `welcome.yaml:13:9: the program can never end: the steps hello -> clicked -> ready -> pause -> hello go round for ever`},
		"no zone like this":          {"Europe/Berlin", "Europe/Berlinn", `welcome.yaml:10:49: unknown zone "Europe/Berlinn"`},
		"no time like this":          {`"21:00"`, `"25:00"`, `welcome.yaml:10:21: from: "25:00" is no time of day`},
		"no subject":                 {", subject: \"Hello {{ lead.first_name | default: 'there' }}\"", "", `email needs a subject`},
		"no steps":                   {good[strings.Index(good, "steps:"):], "steps: []\n", `a program needs 1 to 200 steps, this one has 0`},
		"next where it has no sense": {"exit: {reason: nothing_to_say}", "exit: {}\n    next: won", `next belongs to email and wait steps; this step ends the program`},
		"a name with spaces":         {"name: welcome", "name: Welcome all", `welcome.yaml:1:7: name "Welcome all"`},
		"no condition to enroll":     {"  when: stage == NURTURING\n", "", `enroll needs a condition`},
		"not YAML":                   {"steps:", "steps: [", `welcome.yaml:`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := strings.Replace(good, tt.old, tt.new, 1)
			if yaml == good {
				t.Fatal("the test changes nothing")
			}
			_, err := compiler(t).Compile(bundle(yaml))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant it to contain %s", err, tt.want)
			}
		})
	}
}

func TestAnEvergreenProgramMayGoRoundWithAWaitInEveryRound(t *testing.T) {
	t.Parallel()
	round := strings.Replace(good, "wait: {for: 2d}", "wait: {for: 2d}\n    next: hello", 1)
	round = strings.Replace(round, "  - id: out\n    exit: {reason: nothing_to_say}\n", "", 1)
	evergreen := strings.Replace(round, "priority: 10", "evergreen: true", 1)
	if _, err := compiler(t).Compile(bundle(evergreen)); err != nil {
		t.Errorf("error = %v", err)
	}
	hasty := strings.Replace(evergreen, "else: pause}\n  - id: pause", "else: hello}\n  - id: pause", 1)
	_, err := compiler(t).Compile(bundle(hasty))
	if err == nil || !strings.Contains(err.Error(), "the steps hello -> clicked -> ready -> hello go round without a wait") {
		t.Errorf("error = %v", err)
	}
}
