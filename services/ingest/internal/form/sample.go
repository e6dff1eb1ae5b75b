package form

import (
	"net/url"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Sample is what somebody of this address would send who fills the form of a
// source in: every field that it requires or shows, and every box ticked.
func Sample(src *source.Source, email string, mint Mint, now time.Time) url.Values {
	values := url.Values{"email": {email}}
	for _, name := range append(append([]string{}, src.Form.Required...), src.Form.Show...) {
		if !same(name, "email") {
			values.Set(name, sampled(name))
		}
	}
	for _, c := range src.Form.Consents {
		values.Set(c.Field.Value, "yes")
	}
	values.Set(TokenField, mint.Token(src.Name, now.Add(-time.Minute)))
	return values
}

func sampled(name string) string {
	switch name {
	case "phone", "mobile":
		return "+4930901820"
	case "country":
		return "DE"
	}
	return "Source Test"
}
