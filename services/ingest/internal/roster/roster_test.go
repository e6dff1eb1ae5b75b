package roster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

func open(t *testing.T, plan *ingestv1.ImportPlan) *List {
	t.Helper()
	if plan.Basis == nil {
		plan.Basis = &ingestv1.ImportBasis{Kind: ingestv1.ImportBasis_KIND_NONE}
	}
	plan.ListId = "l1"
	l, faults := Open(plan, "DE")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return l
}

func read(t *testing.T, plan *ingestv1.ImportPlan, cells ...string) Row {
	t.Helper()
	values := map[string]string{}
	for i := 0; i+1 < len(cells); i += 2 {
		values[cells[i]] = cells[i+1]
	}
	return open(t, plan).Read(&ingestv1.ImportRow{Number: 7, Values: values})
}

func optIn(b *ingestv1.ImportBasis) *ingestv1.ImportPlan {
	b.Kind, b.Purpose, b.Text = ingestv1.ImportBasis_KIND_OPT_IN, "marketing_email", "Yes, write to me."
	return &ingestv1.ImportPlan{Basis: b}
}

func TestColumnsMeanWhatTheirNamesOrThePlanSay(t *testing.T) {
	row := read(t, &ingestv1.ImportPlan{
		Fields: map[string]string{"Kontakt": "email", "Geheim": LeftOut}, Activity: "webinar_attended", Title: "Webinar in May",
	}, "Kontakt", " Jo@Acme.Example ", "First Name", "Jo", "Company size", "51-200", "Tel.", "030 901820", "Phone", "030 901820",
		"Geheim", "x", "utm_source", "fair", "Created At", "2026-05-04", "T-shirt", "M", "external_id", "42")
	if len(row.Faults) > 0 {
		t.Fatal(row.Faults)
	}
	at := timestamppb.New(time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC))
	want := &ingestv1.CaptureLeadRequest{
		Source: "import", ExternalId: "list-l1-7", OccurredAt: at,
		Profile: &leadv1.Profile{
			Email: "jo@acme.example", FirstName: "Jo", Phone: "+4930901820", Employees: 51, CompanyDomain: "acme.example",
			Attributes: map[string]string{"t_shirt": "M", "external_id": "42"},
		},
		Attribution: &leadv1.Attribution{UtmSource: "fair"},
		Activity: &leadv1.Activity{
			Id: "list-l1-7", Type: "webinar_attended", OccurredAt: at, Properties: map[string]string{"list": "Webinar in May"},
		},
	}
	if diff := cmp.Diff(want, row.Submission.Apply.GetCapture(), protocmp.Transform()); diff != "" || row.Submission.ID != "import/list-l1-7" {
		t.Errorf("submission %s (-want +got): %s", row.Submission.ID, diff)
	}
}

func TestARowThatNobodyCanBeFoundByIsRefusedAndSaysWhy(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cells []string
		fault normal.Fault
		taken bool
	}{
		{"nobody", []string{"first_name", "Jo"}, normal.Fault{Message: "nobody can be found"}, false},
		{"a broken address", []string{"email", "jo@", "user_id", "u1"}, normal.Fault{Field: "email"}, false},
		{"a broken phone is left out", []string{"email", "jo@acme.example", "phone", "call me"}, normal.Fault{Field: "phone"}, true},
		{"a date nobody can read", []string{"email", "jo@acme.example", "created_at", "03/04/2026"}, normal.Fault{Field: "created_at", Message: "is not a date"}, true},
	} {
		row := read(t, &ingestv1.ImportPlan{}, tc.cells...)
		if (row.Submission != nil) != tc.taken || len(row.Faults) != 1 || row.Faults[0].Field != tc.fault.Field || !strings.Contains(row.Faults[0].Message, tc.fault.Message) {
			t.Errorf("%s: taken %t, faults %v", tc.name, row.Submission != nil, row.Faults)
		}
	}
}

func TestABasisWithoutProofIsRefused(t *testing.T) {
	plan := &ingestv1.ImportPlan{Basis: &ingestv1.ImportBasis{Kind: ingestv1.ImportBasis_KIND_OPT_IN}, Country: "Atlantis"}
	if _, faults := Open(plan, ""); len(faults) != 3 {
		t.Errorf("faults %v", faults)
	}
}

func TestConsentIsWhatTheRowSays(t *testing.T) {
	at := timestamppb.New(time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC))
	yesAt := &leadv1.Consent{Purpose: "marketing_email", Granted: true, Text: "Yes, write to me.", Source: "import", Method: "import", At: at}
	for _, tc := range []struct {
		name        string
		plan        *ingestv1.ImportPlan
		cells       []string
		want        *leadv1.Consent
		suppression leadv1.Suppression
		faults      int
	}{
		{"yes for all", optIn(&ingestv1.ImportBasis{AtColumn: "when"}), []string{"when", "2025-01-02"}, yesAt, 0, 0},
		{"yes", optIn(&ingestv1.ImportBasis{Column: "ok", AtColumn: "when"}), []string{"ok", "Ja", "when", "2025-01-02"}, yesAt, 0, 0},
		{"no", optIn(&ingestv1.ImportBasis{Column: "ok"}), []string{"ok", "no"}, &leadv1.Consent{
			Purpose: "marketing_email", Text: "Yes, write to me.", Source: "import", Method: "import",
		}, 0, 0},
		{"nothing said", optIn(&ingestv1.ImportBasis{Column: "ok"}), nil, nil, 0, 0},
		{"neither", optIn(&ingestv1.ImportBasis{Column: "ok"}), []string{"ok", "perhaps"}, nil, 0, 1},
		{"unsubscribed elsewhere", optIn(&ingestv1.ImportBasis{}), []string{"Opted Out", "1"}, nil, leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, 0},
		{"unsubscribed, perhaps", optIn(&ingestv1.ImportBasis{}), []string{"Unsubscribed", "2024?"}, nil, leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, 1},
		{"no basis", &ingestv1.ImportPlan{}, []string{"unsubscribed", "no"}, nil, 0, 0},
	} {
		row := read(t, tc.plan, append(tc.cells, "email", "jo@acme.example")...)
		var want []*leadv1.Consent
		if tc.want != nil {
			want = []*leadv1.Consent{tc.want}
		}
		apply := row.Submission.Apply
		if diff := cmp.Diff(want, apply.GetCapture().GetConsents(), protocmp.Transform()); diff != "" || apply.GetSuppression() != tc.suppression || len(row.Faults) != tc.faults {
			t.Errorf("%s: suppression %s, faults %v, consents (-want +got): %s", tc.name, apply.GetSuppression(), row.Faults, diff)
		}
	}
}

func TestAnExportedCellComesBackAsItWas(t *testing.T) {
	for cell, want := range map[string]string{"'=1+1": "=1+1", "'+4930": "+4930", "'@x": "@x", "'tis": "'tis", "'": "'", "": ""} {
		if got := Unescape(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

func TestNoRowMakesThePlanFail(t *testing.T) {
	l := open(t, &ingestv1.ImportPlan{})
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"email", "phone", "name", "created_at", "unsubscribed"})), rapid.String()).Draw(t, "row")
		row := l.Read(&ingestv1.ImportRow{Number: 1, Values: values})
		if row.Submission == nil && len(row.Faults) == 0 {
			t.Fatal("a row vanished without a word")
		}
	})
}

func TestThePlanSaysWhatEachColumnMeans(t *testing.T) {
	plan := optIn(&ingestv1.ImportBasis{Column: "ok"})
	plan.Fields = map[string]string{"Kontakt": "email", "Geheim": LeftOut}
	want := map[string]string{
		"Kontakt": "email", "Geheim": "-", "ok": "consent", "Name": "first_name, last_name", "Firma": "company", "utm_source": "attribution",
		"Company size": "employees", "User ID": "user_id", "Opted Out": "unsubscribed", "T-shirt": "attributes.t_shirt", "Created": "attributes.created",
	}
	columns := make([]string, 0, len(want))
	for c := range want {
		columns = append(columns, c)
	}
	if diff := cmp.Diff(want, open(t, plan).Meanings(columns)); diff != "" {
		t.Error(diff)
	}
}
