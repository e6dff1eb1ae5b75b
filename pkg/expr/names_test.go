package expr_test

import (
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/expr"
)

func TestAConditionOnAKeyThatNobodyListedIsToldWhereItStands(t *testing.T) {
	env, names := newEnv(t), expr.Names{Attributes: []string{"plan", "seats"}, Properties: []string{"path"}}
	for text, want := range map[string]string{
		`lead.attributes["plan"] == "team" && "seats" in lead.attributes && has(lead.attributes.plan)`: "",
		`activity.properties["path"] == "/pricing" && lead.country == "DE" && "x" in lead.consents`:    "",
		`lead.attributes["hobby"] == "sailing"`:                                                        `m.yaml:7:24: lead.attributes never has "hobby"; list it in facts.yaml`,
		`lead.employees > 5 && lead.attributes.plam == "team"`:                                         `lead.attributes never has "plam"; did you mean "plan"? Else list it in facts.yaml`,
		`"hobby" in lead.attributes`:                                                                   `lead.attributes never has "hobby"`,
		`has(lead.attributes.hobby)`:                                                                   `lead.attributes never has "hobby"`,
		"lead.has_email &&\n[\"a\"].exists(x, activity.properties[\"order\"] == x)":                    `m.yaml:8:`,
	} {
		prog, err := env.Compile("m.yaml", 7, 9, text)
		if err != nil {
			t.Fatal(err)
		}
		switch err = prog.Unlisted(names); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s:\n%v, want\n%s", text, err, want)
		}
	}
}
