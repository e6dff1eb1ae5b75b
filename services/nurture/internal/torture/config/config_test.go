package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/config"
)

func place(t *testing.T) config.Place {
	t.Helper()
	p := config.Place{Dir: t.TempDir(), NATS: "127.0.0.1:1", Redis: "127.0.0.1:2", SMTP: "127.0.0.1:3", Key: "00"}
	for _, name := range torture.Instances() {
		p.Instances = append(p.Instances, config.Instance{Name: name, Service: torture.ServiceOf(name), HTTP: "127.0.0.1:4", GRPC: "127.0.0.1:5"})
	}
	if err := p.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return p
}

// model is the part of model.yaml that the checker repeats.
type model struct {
	Behaviour struct {
		Groups []struct {
			Rules []struct {
				On     string
				Points float64
			}
		}
	}
}

func TestTheCheckerCountsAsTheModelDoes(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(place(t).ConfigDir(), "model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var m model
	if err := yaml.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	rules := m.Behaviour.Groups[0].Rules
	if len(rules) != 6 {
		t.Errorf("%d rules, the checker knows 6", len(rules))
	}
	for _, r := range rules {
		if got := torture.PointsOf(r.On); got != r.Points {
			t.Errorf("%s is worth %v in the model, %v to the checker", r.On, r.Points, got)
		}
	}
}

// program is the part of a program that the checker repeats.
type program struct {
	Name  string
	Steps []struct {
		ID    string
		Email map[string]string
	}
}

func TestTheCheckerExpectsTheMailsOfThePrograms(t *testing.T) {
	t.Parallel()
	dir := place(t).ConfigDir()
	if err := box.Lint(dir); err != nil {
		t.Error(err)
	}
	for _, name := range []string{torture.Welcome, torture.Recycled} {
		raw, err := os.ReadFile(filepath.Join(dir, "programs", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var p program
		if err := yaml.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		mails, last := 0, 0 // of the last ones a journey gets one
		for _, s := range p.Steps {
			switch {
			case s.Email == nil:
			case name == torture.Welcome && (s.ID == torture.Last || s.ID == torture.Thanks):
				last = 1
			default:
				mails++
			}
		}
		mails += last
		if p.Name != name || mails != torture.MailsOf(name) {
			t.Errorf("%s sends %d mails, the checker expects %d", p.Name, mails, torture.MailsOf(name))
		}
	}
}

func TestEveryInstanceHasSettingsThatAreYAML(t *testing.T) {
	t.Parallel()
	p := place(t)
	for _, name := range torture.Instances() {
		raw, err := os.ReadFile(p.File(name))
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]any{}
		if err := yaml.Unmarshal(raw, &settings); err != nil || settings["nats_url"] != "nats://127.0.0.1:1" || settings[torture.ServiceOf(name)] == nil {
			t.Errorf("%s: %v\n%s", name, err, raw)
		}
	}
}
