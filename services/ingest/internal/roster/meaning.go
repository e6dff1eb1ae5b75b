package roster

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// name is what a column is called here: by the plan, or by its own name.
func (l *List) name(column string) string {
	if ours, ok := l.plan.GetFields()[column]; ok {
		return ours
	}
	return normal.SnakeCase(column)
}

// Meanings says for each column which field it is read as: its own name for a
// field of a lead, attributes.<name> for what has none, LeftOut for what is not
// read, and consent for what the plan's basis reads.
func (l *List) Meanings(columns []string) map[string]string {
	m := make(map[string]string, len(columns))
	for _, column := range columns {
		m[column] = l.meaning(column)
	}
	return m
}

func (l *List) meaning(column string) string {
	b := l.plan.GetBasis()
	name := l.name(column)
	switch {
	case column != "" && (column == b.GetColumn() || column == b.GetAtColumn()):
		return "consent"
	case name == LeftOut || name == "":
		return LeftOut
	}
	switch name {
	case occurredAt, "created_at", "signup_date", "date_created":
		return occurredAt
	case unsubscribed, "opted_out", "email_opt_out", "do_not_contact", "suppressed":
		return unsubscribed
	case pageURL, "landing_page", referrer, "referer":
		return "attribution"
	case "external_id", "submission_id", "entry_id":
		return "attributes.external_id"
	}
	if field := told(name); field != "" {
		return field
	}
	if normal.Tag(&leadv1.Attribution{}, name, "x") {
		return "attribution"
	}
	return "attributes." + name
}

// told is the field that a name fills, found by filling it; empty for none.
func told(name string) string {
	req := &ingestv1.CaptureLeadRequest{Profile: &leadv1.Profile{}}
	if !normal.Tell(req, name, "1 x") {
		return ""
	}
	field := ""
	req.GetProfile().ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		field += " " + string(f.Name())
		return true
	})
	switch {
	case len(field) > 0 && name != "name" && field != " first_name last_name" && field != " last_name first_name":
		return field[1:]
	case len(field) > 0:
		return "first_name, last_name"
	case req.GetUserId() != "":
		return "user_id"
	case req.GetGroupId() != "":
		return "group_id"
	case req.GetCompany() != nil:
		return "company_external_id"
	}
	return "anonymous_id"
}
