package model_test

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/scoring/internal/model"
)

const small = `
name: small
fit:
  bands: {A: 40, B: 20}
  groups:
    - id: company
      cap: 30
      rules:
        - {id: large, when: lead.employees >= 200, points: 25}
behaviour:
  bands: {1: 60, 2: 30, 3: 10}
  half_life: 7d
  groups:
    - id: web
      rules:
        - id: pricing
          on: page_viewed
          when: activity.properties["path"] == "/pricing"
          points: 10
          daily_cap: 20
        - {id: visit, on: page_viewed, points: 1, half_life: 12h}
qualify:
  A: {theta_hi: 60, theta_lo: 40}
fast_track:
  - {id: demo, on: demo_requested, when: lead.has_email}
`

func TestAModelIsCompiledWithItsDefaults(t *testing.T) {
	m, err := model.Parse("model.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Rule("pricing"); got.HalfLife != 7*24*time.Hour || got.DailyCap != 20 || got.Group != "web" {
		t.Errorf("pricing: %+v", got)
	}
	if got := m.Rule("visit"); got.HalfLife != 12*time.Hour || !math.IsInf(got.DailyCap, 1) || got.Text != "visit" {
		t.Errorf("visit: %+v", got)
	}
	if m.CoolDown != 24*time.Hour || m.Renew <= 0 {
		t.Errorf("cool-down %v, renew %v", m.CoolDown, m.Renew)
	}
	if len(m.On("page_viewed")) != 2 || m.On("email_opened") != nil {
		t.Error("rules are not found by type of activity")
	}
	if !m.Line(10).Never() || m.Line(50).Hi != 60 {
		t.Errorf("lines %+v", m.Lines)
	}
}

func TestTheGradeIsACellOfTheMatrix(t *testing.T) {
	m, err := model.Parse("model.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fit, behaviour float64
		want           string
	}{
		{40, 60, "A1"}, {39.9, 59.9, "B2"}, {20, 30, "B2"}, {19, 29, "C3"}, {-5, -5, "C4"}, {100, 9.9, "A4"},
	} {
		if got := m.Grade(tt.fit, tt.behaviour); got != tt.want {
			t.Errorf("fit %v, behaviour %v: got %s, want %s", tt.fit, tt.behaviour, got, tt.want)
		}
	}
}

func TestTheVersionFollowsTheContentNotTheLayout(t *testing.T) {
	parse := func(raw string) string {
		m, err := model.Parse("model.yaml", []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		return m.Version
	}
	first := parse(small)
	if !strings.HasPrefix(first, "small@") {
		t.Errorf("version %s does not name the model", first)
	}
	if again := parse("# a comment\n" + strings.ReplaceAll(small, "{A: 40, B: 20}", "{B: 20,   A: 40}")); again != first {
		t.Errorf("the layout made a new version: %s, %s", first, again)
	}
	if changed := parse(strings.Replace(small, "points: 25", "points: 26", 1)); changed == first {
		t.Error("other points have the same version")
	}
}

func TestAWrongModelIsToldWhereAndWhatWasExpected(t *testing.T) {
	tests := []struct {
		name, old, new, want string
	}{
		{"unknown field", "points: 25", "point: 25", `model.yaml:9:52: `},
		{"unknown field has a hint", "points: 25", "point: 25", `did you mean "points"?`},
		{"condition on an unknown field", "lead.employees >= 200", "lead.employes >= 200", "model.yaml:9:33: unknown field \"employes\"; did you mean \"employees\"?"},
		{"condition in a block of its own", "when: activity.properties", "when: activity.propertys", "model.yaml:18:25: unknown field \"propertys\""},
		{"fit condition over an activity", "lead.employees >= 200", "activity.type == 'x'", "model.yaml:9:29: unknown name \"activity\""},
		{"not a number", "points: 25", "points: many", `model.yaml:9:60: fit.groups[0].rules[0].points: expected a number, found "many"`},
		{"not a duration", "half_life: 7d", "half_life: a week", `model.yaml:12:14: behaviour.half_life: expected a duration like 90s, 12h, 7d or 2w, found "a week"`},
		{"no half-life", "half_life: 12h", "half_life: 0s", "expected a length of time above 0"},
		{"bands upside down", "{A: 40, B: 20}", "{A: 20, B: 40}", "model.yaml:4:21: fit.bands.B 40: expected less than A, which is 20"},
		{"band missing", "{A: 40, B: 20}", "{A: 40}", "fit.bands.B is missing"},
		{"id twice", "id: visit", "id: pricing", `model.yaml:21:16: rule id "pricing" is used twice`},
		{"bad id", "id: visit", "id: Any Visit", `rule id "Any Visit": use small letters`},
		{"no points", ", points: 25", "", `rule "large" needs points`},
		{"no condition", "when: lead.employees >= 200, ", "", "the condition is empty"},
		{"no type of activity", "on: page_viewed, ", "", "on (the type of activity) is missing"},
		{"a cap of nothing", "cap: 30", "cap: 0", "model.yaml:7:12: cap 0: expected a number above 0"},
		{"theta_lo above theta_hi", "theta_lo: 40", "theta_lo: 70", "model.yaml:23:31: qualify.A.theta_lo: expected a number above 0 and at most theta_hi, which is 60"},
		{"no line at all", "  A: {theta_hi: 60, theta_lo: 40}", "  cool_down: 1h", "no fit band has a line"},
		{"no name", "name: small", "", "name is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := strings.Replace(small, tt.old, tt.new, 1)
			if raw == small {
				t.Fatal("the test changes nothing")
			}
			_, err := model.Parse("model.yaml", []byte(raw))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestTheExampleModelIsValid(t *testing.T) {
	raw, err := os.ReadFile("../../../../deploy/example/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.Parse("model.yaml", raw); err != nil {
		t.Fatal(err)
	}
}
