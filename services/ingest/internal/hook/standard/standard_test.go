package standard

import (
	"net/http"
	"testing"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

func TestTheWordThatSaysWhatHappenedMeansWhatTheOptionsSayWhateverItIsCalled(t *testing.T) {
	for _, c := range []struct{ path, body, want string }{
		{"event", `{"event":"demo.booked","email":"jo@acme.example"}`, "demo_requested"},
		{"event", `{"event":"demo.cancelled","email":"jo@acme.example"}`, "form_submitted"},
		{"activity", `{"activity":"demo.booked","data":{"email":"jo@acme.example"}}`, "demo_requested"},
		{"what.event", `{"what":{"event":"demo.booked"},"email":"jo@acme.example"}`, "demo_requested"},
		{"", `{"type":"demo.booked","email":"jo@acme.example"}`, "demo_requested"},
		{"", `{"type":"lead","event":"fair_visited","email":"jo@acme.example"}`, "fair_visited"},
	} {
		src := &source.Source{Name: "partner", Options: map[string]string{"activity.demo.booked": "demo_requested", OptionType: c.path}}
		got, err := Dialect{}.Read(hook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(c.body)}, src)
		if err != nil || len(got.Items) != 1 || got.Items[0].Submission == nil {
			t.Fatalf("%s: %+v, %v", c.body, got, err)
		}
		if kind := got.Items[0].Submission.Apply.GetCapture().GetActivity().GetType(); kind != c.want {
			t.Errorf("type: %q, %s: read as %s, want %s", c.path, c.body, kind, c.want)
		}
	}
}
