package web

import (
	"testing"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// FuzzForm wants that no body of any of the three encodings breaks the reader,
// and that what is read can be written.
func FuzzForm(f *testing.F) {
	const boundary = "multipart/form-data; boundary=b"
	for _, seed := range [][2]string{
		{"application/x-www-form-urlencoded", "email=jo%40acme.example&first_name=Jo&consent_marketing_email=on"},
		{"application/x-www-form-urlencoded", "a=%zz&=&&email=\xff&oid=00D&00N5g00000000AB=x"},
		{"application/json", `{"email":"jo@acme.example","topics":["a",1,null,true],"n":1e999}`},
		{"application/json", `{"a":{"b":1}}`},
		{"application/json", `[`},
		{"", `{"email":"x"}`},
		{boundary, "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\njo@acme.example\r\n--b--\r\n"},
		{boundary, "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n\x00\r\n--b--"},
		{"multipart/form-data", "x"},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	set, err := source.Parse("s", []byte("sources:\n  s:\n    form:\n      consents: [{field: c, purpose: p, text: t}]\n"), nil)
	if err != nil {
		f.Fatal(err)
	}
	src, _ := set.Named("s")
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		values, err := parseForm(mediaTypeOf(contentType), contentType, body)
		if err != nil {
			return
		}
		said := form.Read(src, values, form.Visitor{})
		if len(said.Faults) > 0 {
			return
		}
		sub, faults := person.FromCapture(said.Capture, "")
		if len(faults) > 0 {
			return
		}
		if _, err := sub.Command(); err != nil {
			t.Fatalf("%q cannot be written: %v", body, err)
		}
	})
}
