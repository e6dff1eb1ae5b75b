package roster

import (
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// FuzzRow wants that every row becomes one submission that can be written, or
// says why not.
func FuzzRow(f *testing.F) {
	f.Add("email", "jo@acme.example", "Agreed", "yes", "Agreed at", "2026-01-02")
	f.Add("E-Mail", "'=cmd|x", "opt-in", "\u202e", "", "45000")
	f.Add("unsubscribed", "true", "occurred_at", "31.02.2026", "page_url", "http://[::1")
	f.Add("employees", "1e9", "country", "DE\x00", "phone", "0")
	f.Fuzz(func(t *testing.T, c1, v1, c2, v2, c3, v3 string) {
		plan := &ingestv1.ImportPlan{ListId: "l1", Basis: &ingestv1.ImportBasis{
			Kind: ingestv1.ImportBasis_KIND_OPT_IN, Purpose: "marketing_email", Text: "Yes.", Column: c2, AtColumn: c3,
		}}
		list, faults := Open(plan, "DE")
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		row := list.Read(&ingestv1.ImportRow{Number: 1, Values: map[string]string{c1: v1, c2: v2, c3: v3, "mail": "kim@acme.example"}})
		if row.Submission == nil {
			if len(row.Faults) == 0 {
				t.Fatalf("%q %q %q: refused without a reason", v1, v2, v3)
			}
			return
		}
		if _, err := row.Submission.Command(); err != nil {
			t.Fatalf("%q %q %q cannot be written: %v", v1, v2, v3, err)
		}
	})
}
