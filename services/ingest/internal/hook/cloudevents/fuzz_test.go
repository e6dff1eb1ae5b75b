package cloudevents

import (
	"net/http"
	"testing"
)

// FuzzBinary wants that an event in headers is read, or says what is wrong.
func FuzzBinary(f *testing.F) {
	f.Add("1.0", "e1", "/shop", "com.example.demo.requested", "application/json", []byte(`{"email":"jo@acme.example"}`))
	f.Add("1.0", "%e4%b8", "\x00", "", "text/plain; charset=x", []byte("\xff"))
	f.Add("0.3", "", "", "x", "application/cloudevents+json", []byte(`{"specversion":1}`))
	f.Add("1.0", "e", "s", "t", "application/cloudevents-batch+json", []byte(`[{},null,7]`))
	f.Fuzz(func(t *testing.T, version, id, source, kind, media string, body []byte) {
		h := http.Header{"Content-Type": {media}, "Ce-Specversion": {version}, "Ce-Id": {id}, "Ce-Source": {source}, "Ce-Type": {kind}}
		events, err := Parse(h, body)
		if err != nil {
			return
		}
		for _, e := range events {
			if len(e.Faults) == 0 && (e.ID == "" || e.Source == "" || e.Type == "") {
				t.Errorf("%+v has no fault and is no event", e)
			}
		}
	})
}
