package handoff_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/handoff"
)

func TestTheExampleRoutesAreGood(t *testing.T) {
	r, err := handoff.LoadRoutes("../../deploy/example/routes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Reps) < 2 || len(r.Policy.Delivery.Pauses) != 10 || r.Policy.SLA.RespondWithin == 0 {
		t.Fatalf("got %+v", r)
	}
}

func TestWhatIsNotWrittenHasItsDefault(t *testing.T) {
	r, err := handoff.ParseRoutes("routes.yaml", []byte("reps: [{id: ada}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Policy.SLA.RespondWithin != 4*time.Hour || r.Policy.Require[0] != "email" || r.Reps[0].Weight != 1 || r.Reps[0].Capacity != -1 {
		t.Fatalf("got %+v", r)
	}
}

func TestAWrongFileIsToldWhereAndWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct{ yaml, want string }{
		"a misspelt field":     {"repz: []\n", `routes.yaml:1:1: unknown field "repz"`},
		"a misspelt key":       {"gate:\n  requires: [email]\nreps: [{id: a}]\n", `routes.yaml:2:3: gate: unknown field "requires"; did you mean "require"?`},
		"an unknown field":     {"gate:\n  require: [email, fax]\nreps: [{id: a}]\n", `routes.yaml:2:20: gate.require: unknown field "fax", use some of [email phone name company]`},
		"a wrong duration":     {"sla:\n  respond_within: soon\nreps: [{id: a}]\n", "routes.yaml:2:19"},
		"nobody":               {"reps: []\n", "name at least one"},
		"a rep without id":     {"reps: [{name: Ada}]\n", "reps[0]: id is missing"},
		"a rep twice":          {"reps:\n  - id: ada\n  - id: ada\n", `routes.yaml:3:9: reps[1]: id "ada" is taken`},
		"a condition's field":  {"reps:\n  - id: ada\n    when: lead.contry == \"DE\"\n", `routes.yaml:3:15: unknown field "contry"; did you mean "country"?`},
		"a condition's type":   {"reps:\n  - id: ada\n    when: lead.country\n", "not true or false"},
		"an empty schedule":    {"delivery: {schedule: []}\nreps: [{id: a}]\n", "delivery.schedule: needs a pause"},
		"a scale of nothing":   {"delivery: {scale: 0}\nreps: [{id: a}]\n", "delivery.scale: must be more than 0"},
		"too much jitter":      {"delivery: {jitter: 2}\nreps: [{id: a}]\n", "delivery.jitter: must be between 0 and 1"},
		"a clock that spins":   {"sla: {remind_every: 0s}\nreps: [{id: a}]\n", "sla.remind_every: must be more than 0"},
		"looks that never end": {"gate: {look_again: {first: 1h, max: 1m}}\nreps: [{id: a}]\n", "gate.look_again"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := handoff.ParseRoutes("routes.yaml", []byte(tt.yaml))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAWrongConfigurationSaysWhatToSet(t *testing.T) {
	for want, change := range map[string]func(*handoff.Config){
		"routes:":               func(c *handoff.Config) { c.Routes = "" },
		"lanes:":                func(c *handoff.Config) { c.Lanes = 65 },
		"deliveries:":           func(c *handoff.Config) { c.Deliveries = 0 },
		"ask_within:":           func(c *handoff.Config) { c.AskWithin = 0 },
		"read routes:":          func(c *handoff.Config) { c.Routes = "nowhere.yaml" },
		"webhook has no secret": func(c *handoff.Config) { c.Webhook.URL = "https://crm.example/hook" },
	} {
		c := handoff.DefaultConfig()
		c.Routes = "../../deploy/example/routes.yaml"
		change(&c)
		if _, err := handoff.New(c, handoff.Deps{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
