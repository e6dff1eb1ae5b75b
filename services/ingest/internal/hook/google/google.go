// Package google reads the webhooks of Google Ads lead forms. Pure.
package google

import (
	"cmp"
	"fmt"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Dialect is kind google_ads.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{hook.OptionActivity: "what sending the form means; default form_submitted"}
}

// Verify compares the key inside the body: Google signs nothing else.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return fmt.Errorf("%w: the key is expected inside the body, as google_key: %w", hook.ErrUnsigned, err)
	}
	key := body.Text("google_key")
	if key == "" {
		return fmt.Errorf("%w: the body has no google_key", hook.ErrUnsigned)
	}
	return hook.Try(src, "google_key", func(secret string) bool { return hook.Same(secret, key) })
}

// Read makes a lead of a form. Columns are known by their id: their name is in
// the form's language and may be absent.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	id := body.Text("lead_id")
	switch {
	case body.Text("is_test") == "true":
		return hook.Reading{Items: []hook.Item{{ID: id, Ignored: hook.IgnoredTest}}}, nil
	case id == "":
		return hook.Reading{Items: []hook.Item{{Faults: hook.Fault("lead_id", "is missing; Google numbers every lead")}}}, nil
	}
	l := hook.NewLead(src, "form_submitted", body.Time("lead_submit_time"))
	for _, column := range body.At("user_column_data").List() {
		tell(l, cmp.Or(column.Text("column_id"), column.Text("column_name")), column.Text("string_value"))
	}
	attribute(l, body)
	return hook.Reading{Items: []hook.Item{l.Item(id)}}, nil
}

// tell enters one column. Google's names are ours in capitals, but for these.
func tell(l *hook.Lead, column, value string) {
	if !l.Mapped(column) {
		switch column {
		case "WORK_PHONE":
			l.Enter("phone", value)
			return
		case "REGION", "CITY", "STREET_ADDRESS", "POSTAL_CODE":
			l.Enter("attribute."+column, value)
			return
		}
	}
	l.Tell(column, value)
}

// attribute keeps which ad it was.
func attribute(l *hook.Lead, body hook.Tree) {
	l.Tag("gclid", body.Text("gcl_id"))
	l.Tag("utm_source", "google")
	l.Tag("utm_medium", "cpc")
	l.Tag("utm_campaign", body.Text("campaign_id"))
	for _, name := range [...]string{
		"form_id", "campaign_id", "adgroup_id", "creative_id", "asset_group_id", "gcl_id", "lead_stage",
	} {
		l.Property(name, body.Text(name))
	}
}
