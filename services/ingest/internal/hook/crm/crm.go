// Package crm reads what a CRM tells about the leads it was handed: taken, given
// back, won, lost, deleted. Pure.
package crm

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Options of a source of this kind.
const (
	// OptionWords chooses ready words: salesforce, hubspot or odoo.
	OptionWords = "words"
	// OptionItems is the path of a list in the body whose members are events.
	OptionItems = "items"
	// optionReason begins the options that map reasons.
	optionReason = "reason."
)

// Dialect is kind crm.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	o := map[string]string{
		OptionWords:  "ready words of a CRM: salesforce, hubspot or odoo",
		OptionItems:  "path of the list whose members are events; default: the body itself",
		optionReason: "the CRM's words for the reason behind the dot, separated by commas, like reason.no_budget: Too expensive, Budget",
		ignored:      "words that mean nothing here, separated by commas",
	}
	for _, name := range statuses() {
		o[name] = "the CRM's words for " + name + ", separated by commas"
	}
	return o
}

// Verify wants the signature of Standard Webhooks, or a secret as bearer token.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	return standard.VerifyAny(req, src)
}

// Read makes a sales event of the body, or of each member of its list.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.Parse(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	id := cmp.Or(req.Header.Get(standard.HeaderID), req.Header.Get("Svix-Id"))
	root := body.At(src.Options[OptionItems])
	if !root.IsList() {
		if root.Object() == nil {
			return hook.Reading{}, errors.New("expected an object, or a list of them")
		}
		return hook.Reading{Items: []hook.Item{item(root, src, id)}}, nil
	}
	var out hook.Reading
	for i, m := range root.List() {
		one := id
		if one != "" {
			one = fmt.Sprintf("%s/%d", id, i)
		}
		out.Items = append(out.Items, item(m, src, one))
	}
	return out, nil
}

// item reads one event.
func item(t hook.Tree, src *source.Source, id string) hook.Item {
	v := values(t, src)
	id = hook.ExternalID(cmp.Or(v["id"], id, "body-"+hook.Hex(hook.HMAC(nil, []byte(t.JSON())))))
	word := v["status"]
	if word == "" {
		word = derive(src.Options[OptionWords], t)
	}
	status, known := means(word, src)
	switch {
	case word == "":
		return hook.Item{ID: id, Faults: hook.Fault("status", "is missing; map the path of the CRM's status in fields, like data.stage: status")}
	case !known:
		return hook.Item{ID: id, Faults: hook.Fault("status", fmt.Sprintf("%.60q has no meaning; add it to one of the options %s or %s of source %s", word, strings.Join(statuses(), ", "), ignored, src.Name))}
	case status == ignored:
		return hook.Item{ID: id, Ignored: hook.IgnoredKind}
	}
	lead := cmp.Or(v["lead_id"], LeadOf(v["handoff_id"]))
	if lead == "" && v["external_id"] == "" {
		return hook.Item{ID: id, Faults: hook.Fault("lead_id", "is missing; map lead_id, handoff_id or external_id in fields: both ids are in every handoff we send")}
	}
	s := &hook.Sales{
		Source: src.Name, Id: id, Status: sales(status), LeadId: lead, ExternalId: v["external_id"],
		Text: normal.Block(v["text"], 2000), Currency: strings.ToUpper(normal.Text(v["currency"], 3)), By: normal.Text(v["by"], 200),
	}
	s.AmountMinor = minor(v["amount"], s.GetCurrency())
	if v["amount_minor"] != "" {
		s.AmountMinor = minor(v["amount_minor"], "minor")
	}
	s.Reason, s.Text = Reason(v["reason"], s.GetText(), src)
	s.OccurredAt = hook.Stamp(hook.TimeOf(v["occurred_at"]))
	return hook.Item{ID: id, Sales: s}
}

// names are what an event can say, and where it says it when the fields do not
// name another path.
func names() []string {
	return []string{
		"id", "status", "lead_id", "handoff_id", "external_id", "reason", "text", "amount", "amount_minor",
		"currency", "by", "occurred_at",
	}
}

// values gives what an event says: at the paths that fields name, else under our
// own names, in the body or in its data.
func values(t hook.Tree, src *source.Source) map[string]string {
	v := map[string]string{}
	for _, name := range names() {
		if v[name] = cmp.Or(t.Text(name), t.Text("data."+name)); v[name] == "" && name == "lead_id" {
			v[name] = cmp.Or(t.Text("nurture_lead_id"), t.Text("data.nurture_lead_id"))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(src.Fields)) {
		if told := t.Text(path); told != "" {
			v[src.Fields[path]] = told
		}
	}
	return v
}

// LeadOf gives the lead inside the id of a handoff, ho_<lead>_<round>_<number>;
// empty when it is none.
func LeadOf(handoff string) string {
	lead, ok := strings.CutPrefix(handoff, "ho_")
	parts := strings.Split(lead, "_")
	if !ok || len(parts) != 3 {
		return ""
	}
	return parts[0]
}
