package expr_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/expr"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func newEnv(t testing.TB) *expr.Env {
	t.Helper()
	env, err := expr.NewEnv(expr.Lead(), expr.Score(), expr.Activity(), expr.LeadStage(), expr.Programs(),
		expr.Var{Name: "now", Kind: expr.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func known() map[string]any {
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"lead": &leadv1.Facts{
			HasEmail: true, Employees: 250, Country: "DE", JobTitle: "Head of Operations",
			Attributes: map[string]string{"plan": "team"}, Consents: []string{"marketing_email"},
			CreatedAt: timestamppb.New(day.Add(-48 * time.Hour)),
		},
		"score": &leadv1.ScoreFacts{Fit: 40, Behaviour: 12.5, Grade: "A2"},
		"activity": &leadv1.Activity{
			Type: "page_viewed", Properties: map[string]string{"path": "/pricing"}, OccurredAt: timestamppb.New(day),
		},
		"stage":    leadv1.Stage_STAGE_NURTURING,
		"programs": []string{"welcome"},
		"now":      day,
	}
}

func TestConditionsReadEveryKindOfVariable(t *testing.T) {
	env := newEnv(t)
	for text, want := range map[string]bool{
		`lead.employees >= 200 && lead.country in ["DE", "AT"]`:                       true,
		`lead.job_title.lowerAscii().contains("head of")`:                             true,
		`lead.job_title.matches("(?i)chief|head|vp")`:                                 true,
		`lead.attributes["plan"] == "team"`:                                           true,
		`"plan" in lead.attributes && lead.attributes["plan"] == "free"`:              false,
		`"marketing_email" in lead.consents`:                                          true,
		`now - lead.created_at > duration("24h")`:                                     true,
		`score.fit >= 40 && score.grade.startsWith("A")`:                              true,
		`score.behaviour > 12 && score.behaviour < 13.0`:                              true,
		`activity.type == "page_viewed" && activity.properties["path"] == "/pricing"`: true,
		`stage == NURTURING`:                                                          true,
		`stage in [NEW, RECYCLED]`:                                                    false,
		`stage != QUALIFIED`:                                                          true,
		`"welcome" in programs`:                                                       true,
		`!lead.suppressed`:                                                            true,
		`has(lead.last_seen_at)`:                                                      false,
		"lead.has_email &&\n!lead.has_phone":                                          true,
		"true":                                                                        true,
	} {
		prog, err := env.Compile("m.yaml", 1, 1, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := prog.Bool(known())
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

func TestAWrongConditionIsToldWhereItStandsAndWhatToDo(t *testing.T) {
	env := newEnv(t)
	tests := []struct {
		name, text string
		want       expr.Error
	}{
		{"misspelt field", `lead.employes > 50`, expr.Error{
			Line: 12, Column: 15, Caret: 4, Message: `unknown field "employes"`, Hint: `did you mean "employees"?`,
		}},
		{"misspelt field on the second line", "lead.has_email &&\n  score.gradee == \"A1\"", expr.Error{
			Line: 13, Column: 18, Caret: 7, Message: `unknown field "gradee"`, Hint: `did you mean "grade"?`,
		}},
		{"misspelt variable", `leed.has_email`, expr.Error{
			Line: 12, Column: 11, Caret: 0, Message: `unknown name "leed"`, Hint: `did you mean "lead"?`,
		}},
		{"misspelt stage", `stage == NURTURNG`, expr.Error{
			Line: 12, Column: 20, Caret: 9, Message: `unknown name "NURTURNG"`, Hint: `did you mean "NURTURING"?`,
		}},
		{"field without its variable", `employees > 50`, expr.Error{
			Line: 12, Column: 11, Caret: 0, Message: `unknown name "employees"`, Hint: `did you mean "lead.employees"?`,
		}},
		{"misspelt function", `lead.country.lowerAsci() == "de"`, expr.Error{
			Line: 12, Column: 33, Caret: 22, Message: `unknown name "lowerAsci"`, Hint: `did you mean "lowerAscii"?`,
		}},
		{"number compared with text", `lead.employees > "many"`, expr.Error{
			Line: 12, Column: 26, Caret: 15, Message: `> does not work between int and string`,
			Hint: "put text in quotes and leave numbers and stages bare, as in stage == NURTURING",
		}},
		{"no answer", `lead.employees + 1`, expr.Error{
			Line: 12, Column: 11, Message: "the condition gives a number, not true or false", Hint: "compare it with something",
		}},
		{"nothing", " ", expr.Error{
			Line: 12, Column: 11, Message: "the condition is empty", Hint: `write true for "always"`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := env.Compile("model.yaml", 12, 11, tt.text)
			var got *expr.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			tt.want.File = "model.yaml"
			tt.want.Text = got.Text
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestTheErrorShowsTheConditionWithACaret(t *testing.T) {
	_, err := newEnv(t).Compile("model.yaml", 12, 11, `lead.employes > 50`)
	want := "model.yaml:12:15: unknown field \"employes\"; did you mean \"employees\"?\n" +
		"  | lead.employes > 50\n" +
		"  | ....^"
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v\nwant\n%s", err, want)
	}
}

func TestASyntaxErrorIsToldInWords(t *testing.T) {
	_, err := newEnv(t).Compile("model.yaml", 3, 5, `lead.has_email && `)
	var got *expr.Error
	if !errors.As(err, &got) || got.Line != 3 || got.Column < 20 {
		t.Fatalf("got %v", err)
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	_, err := newEnv(t).Compile("model.yaml", 1, 1, `lead.employes > 50 && score.grad == "A1"`)
	if err == nil || !strings.Contains(err.Error(), "employees") || !strings.Contains(err.Error(), `"grade"`) {
		t.Fatalf("got %v", err)
	}
}

func TestAMissingMapKeyIsAnErrorNotAnAnswer(t *testing.T) {
	prog, err := newEnv(t).Compile("m.yaml", 1, 1, `lead.attributes["budget"] == "big"`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := prog.Bool(known()); got || err == nil {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestARunawayConditionIsStopped(t *testing.T) {
	text := `lead.consents.all(a, lead.consents.all(b, lead.consents.all(c, a + b + c != "x")))`
	prog, err := newEnv(t).Compile("m.yaml", 1, 1, text)
	if err != nil {
		t.Fatal(err)
	}
	vars := known()
	vars["lead"] = &leadv1.Facts{Consents: strings.Split(strings.Repeat("purpose ", 60), " ")}
	if _, err := prog.Bool(vars); !errors.Is(err, expr.ErrCost) {
		t.Fatalf("got %v", err)
	}
	if got, err := prog.Bool(known()); !got || err != nil {
		t.Fatalf("a small one is stopped too: %v, %v", got, err)
	}
}

func TestAVariableWithoutATypeIsRefused(t *testing.T) {
	if _, err := expr.NewEnv(expr.Var{Name: "lead"}); err == nil || !strings.Contains(err.Error(), `"lead"`) {
		t.Fatalf("got %v", err)
	}
}

func TestTheNearestNameIsOneThatIsNear(t *testing.T) {
	names := []string{"country", "company_domain", "employees"}
	for name, want := range map[string]string{
		"contry": "country", "Country": "country", "employee": "employees", "revenue": "", "x": "",
	} {
		if got := expr.Nearest(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func BenchmarkBool(b *testing.B) {
	prog, err := newEnv(b).Compile("m.yaml", 1, 1, `lead.employees >= 200 && lead.country in ["DE", "AT"]`)
	if err != nil {
		b.Fatal(err)
	}
	vars := known()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := prog.Bool(vars); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
