package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/config"
)

type rule struct {
	ID     string        `yaml:"id"`
	When   config.Text   `yaml:"when"`
	Points float64       `yaml:"points"`
	Fade   time.Duration `yaml:"half_life"`
}

type level int

func (l *level) UnmarshalText(text []byte) error {
	i := strings.Index("low,high", string(text))
	if i < 0 {
		return errors.New("expected low or high")
	}
	*l = level(i)
	return nil
}

type common struct {
	Owner string `yaml:"owner"`
}

type model struct {
	Common common            `yaml:",inline"`
	Name   string            `yaml:"name"`
	On     bool              `yaml:"on"`
	Cap    *int              `yaml:"cap"`
	Small  uint8             `yaml:"small"`
	Level  level             `yaml:"level"`
	Rules  []rule            `yaml:"rules"`
	Labels map[string]string `yaml:"labels"`
	Limits map[string]int    `yaml:"limits"`
	Any    any               `yaml:"any"`
	Node   yaml.Node         `yaml:"node"`
	Since  time.Time         `yaml:"since"`
	Plain  string
	hidden string //nolint:unused // proves that unexported fields are no settings
}

func TestDecodeReadsEveryKindOfField(t *testing.T) {
	var got model
	err := config.DecodeYAML("m.yaml", []byte(`
owner: marketing
name: 1.10
on: true
cap: 0x10
small: 255
level: high
labels: {a: b, "1": two}
limits: {day: 3}
any: [1, {x: y}]
node: hello
since: 2026-01-02T03:04:05Z
plain: text
rules:
  - id: demo
    when: lead.employees > 10
    points: 5
    half_life: 7d
  - {id: old, when: "x == 1", points: -1.5, half_life: 1h30m}
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Node.Value != "hello" || got.Node.Line != 11 {
		t.Errorf("node = %q in line %d, want hello in 11", got.Node.Value, got.Node.Line)
	}
	got.Node = yaml.Node{}
	sixteen := 16
	want := model{
		Common: common{Owner: "marketing"}, Name: "1.10", On: true, Cap: &sixteen, Small: 255, Level: 4,
		Labels: map[string]string{"a": "b", "1": "two"}, Limits: map[string]int{"day": 3},
		Any: []any{1, map[string]any{"x": "y"}}, Plain: "text",
		Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Rules: []rule{
			{"demo", config.Text{Value: "lead.employees > 10", Line: 16, Column: 11}, 5, 7 * 24 * time.Hour},
			{"old", config.Text{Value: "x == 1", Line: 19, Column: 22}, -1.5, 90 * time.Minute},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(model{}, common{})); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeKeepsDefaultsOfWhatIsNotWritten(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "on: true\n", "name: kept\nrules:\n"} {
		got := model{Name: "kept", Rules: []rule{{ID: "kept"}}}
		if err := config.DecodeYAML("m.yaml", []byte(text), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got.Name != "kept" || len(got.Rules) != 1 {
			t.Errorf("%q lost a default: %+v", text, got)
		}
	}
}

func TestDecodeNamesThePlaceAndWhatWasExpected(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"unknown field", "name: a\nruels: []\n", `m.yaml:2:1: unknown field "ruels"; did you mean "rules"?`},
		{"nested unknown field", "rules:\n  - id: a\n    poins: 3\n", `m.yaml:3:5: rules[0]: unknown field "poins"; did you mean "points"?`},
		{"far unknown field", "labels: {}\nrules: [{zzzzzz: 1}]\n", `m.yaml:2:10: rules[0]: unknown field "zzzzzz"; known: id, when, points, half_life`},
		{"text for a number", "rules:\n  - points: many\n", `m.yaml:2:13: rules[0].points: expected a number, found "many"`},
		{"quoted number", `cap: "5"`, `m.yaml:1:6: cap: expected a whole number, found "5"`},
		{"fraction for a whole number", "cap: 1.5", `m.yaml:1:6: cap: expected a whole number, found "1.5"`},
		{"too large", "small: 256", `m.yaml:1:8: small: expected a whole number, 0 or more, found "256"`},
		{"infinity", "rules: [{points: .inf}]", `m.yaml:1:18: rules[0].points: expected a number, found ".inf"`},
		{"yes for a bool", "on: yes please", `m.yaml:1:5: on: expected true or false, found "yes please"`},
		{"nothing", "name:", `m.yaml:1:6: name: expected text, found nothing`},
		{"no unit", "rules: [{half_life: 7}]", `m.yaml:1:21: rules[0].half_life: expected a duration like 90s, 1h30m, 7d or 2w, found "7"`},
		{"list for a mapping", "- a\n", `m.yaml:1:1: expected a mapping, found a list`},
		{"mapping for a list", "rules: {a: b}", `m.yaml:1:8: rules: expected a list, found a mapping`},
		{"mapping for text", "name: {a: b}", `m.yaml:1:7: name: expected text, found a mapping`},
		{"list for a position", "rules: [{when: [a]}]", `m.yaml:1:16: rules[0].when: expected text, found a list`},
		{"own type", "level: middle", `m.yaml:1:8: level: "middle": expected low or high`},
		{"map value", "limits:\n  day: often", `m.yaml:2:8: limits.day: expected a whole number, found "often"`},
		{"written twice", "name: a\non: true\nname: b\n", `m.yaml:3:1: "name" is written twice; first in line 1`},
		{"twice in a map", "labels: {a: b, a: c}", `m.yaml:1:16: labels: "a" is written twice; first in line 1`},
		{"two documents", "name: a\n---\nname: b\n", `m.yaml:2:1: expected one document, found a second`},
		{"no YAML", "name: a\n  on: true\n", `m.yaml:2:3: not valid YAML: mapping values are not allowed in this context`},
		{"long values", "cap: " + strings.Repeat("x", 99), `m.yaml:1:6: cap: expected a whole number, found "` + strings.Repeat("x", 40) + `..."`},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := config.DecodeYAML("m.yaml", []byte(c.text), &model{})
			if err == nil {
				t.Fatal("accepted")
			}
			if err.Error() != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Errorf("%T is not an *Error", err)
			}
		})
	}
}

func TestDecodeTellsSeveralErrorsAtOnceButNotThousands(t *testing.T) {
	err := config.DecodeYAML("m.yaml", []byte("a: 1\nb: 2\ncap: x\n"), &model{})
	if got := strings.Count(err.Error(), "m.yaml:"); got != 3 {
		t.Errorf("%d errors told, want 3:\n%v", got, err)
	}
	err = config.DecodeYAML("m.yaml", []byte("rules: ["+strings.Repeat("x,", 500)+"]"), &model{})
	if got := strings.Count(err.Error(), "m.yaml:"); got != 10 {
		t.Errorf("%d errors told, want 10", got)
	}
}

func TestPositionsPointAtTheFirstLetterOfTheText(t *testing.T) {
	type doc struct {
		A, B, C, D config.Text
	}
	var got doc
	text := "a: plain\nb: 'single'\nc: |\n    block\n    more\nd: >-\n  folded\n"
	if err := config.DecodeYAML("m.yaml", []byte(text), &got); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text, "\n")
	for _, c := range []config.Text{got.A, got.B, got.C, got.D} {
		first, _, _ := strings.Cut(c.Value, "\n")
		if !strings.HasPrefix(lines[c.Line-1][c.Column-1:], first) {
			t.Errorf("%q is not at %d:%d", c.Value, c.Line, c.Column)
		}
	}
}

func TestAnchorsAndMergesWork(t *testing.T) {
	var got struct {
		Defaults rule   `yaml:"defaults"`
		Rules    []rule `yaml:"rules"`
	}
	err := config.DecodeYAML("m.yaml", []byte(`
defaults: &d {id: x, points: 1, half_life: 2w}
rules:
  - *d
  - <<: *d
    points: 2
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	two := 14 * 24 * time.Hour
	if diff := cmp.Diff([]rule{{"x", config.Text{}, 1, two}, {"x", config.Text{}, 2, two}}, got.Rules); diff != "" {
		t.Error(diff)
	}
}

func TestHostileFilesEndInAnError(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'j'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 10) + "]\n"
	}
	var tree map[string]node
	if err := config.DecodeYAML("bomb.yaml", []byte(bomb), &tree); err == nil {
		t.Error("an alias bomb was accepted")
	}
	if err := config.DecodeYAML("loop.yaml", []byte("a: &a [*a]\n"), &tree); err == nil {
		t.Error("a loop was accepted")
	}
	if err := config.DecodeYAML("deep.yaml", []byte("a: "+strings.Repeat("[", 500)+strings.Repeat("]", 500)), &tree); err == nil {
		t.Error("a deep nest was accepted")
	}
}

// node is a tree of lists.
type node []node

func (n *node) UnmarshalText([]byte) error { return nil }

func TestErrorfKeepsItsCause(t *testing.T) {
	cause := errors.New("cause")
	err := config.Errorf("p.yaml", 3, 4, "compile: %w", cause)
	if !errors.Is(err, cause) || err.Error() != "p.yaml:3:4: compile: cause" {
		t.Errorf("got %v", err)
	}
}

func TestDecodeNeedsAPointer(t *testing.T) {
	if err := config.DecodeYAML("m.yaml", nil, model{}); err == nil {
		t.Error("a struct was accepted")
	}
}

func TestNoInputMakesDecodePanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.SampledFrom([]string{
			"rules", "name", ":", " ", "\n", "- ", "[", "]", "{", "}", "*a", "&a", "<<", "|", "'", "\"", "7d", "null", "---", "#", "\t", "!!int",
		})).Draw(t, "text")
		_ = config.DecodeYAML("m.yaml", []byte(strings.Join(text, "")), &model{})
	})
}
