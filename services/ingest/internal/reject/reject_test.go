package reject

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

func TestTheBeginningShowsNamesAndNoValues(t *testing.T) {
	for _, tc := range []struct{ raw, contentType, want string }{
		{"email=jo@acme.example&phone=0170 12", "application/x-www-form-urlencoded; charset=utf-8", "email=xx@xxxx.xxxxxxx&phone=0000 00"},
		{"jo@acme.example", "application/x-www-form-urlencoded", "xx@xxxx.xxxxxxx"},
		{`{"email": "jo@acme.example", "jo@acme.example": 17, "a":["Jo"]}`, "", `{"email": "xx@xxxx.xxxxxxx", "xx@xxxx.xxxxxxx": 00, "a":["xx"]}`},
		{`{"note":"say \"email\": me`, "", `{"note":"xxx \"xxxxx\": xx`},
		{"Jörg <jo@acme.example>", "text/plain", "xxxx <xx@xxxx.xxxxxxx>"},
		{"\x00\x01Jo", "application/x-protobuf", "..xx"},
	} {
		if got := Beginning([]byte(tc.raw), tc.contentType); got != tc.want {
			t.Errorf("%q is shown as %q, expected %q", tc.raw, got, tc.want)
		}
	}
}

func TestARejectIsReadBackAsItWas(t *testing.T) {
	r := Rejected{
		Source: "website", Kind: Form, Reason: Invalid, Faults: []normal.Fault{{Field: "email", Message: "is required"}},
		Raw: []byte("a=b"), ContentType: "text/plain", About: map[string]string{"ip": "192.0.2.1"},
		At: time.Date(2026, 11, 25, 9, 0, 0, 1, time.UTC),
	}
	if diff := cmp.Diff(r, From(r.Parked())); diff != "" {
		t.Error(diff)
	}
}
