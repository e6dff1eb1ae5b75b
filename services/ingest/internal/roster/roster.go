// Package roster reads the rows of an imported list: any columns, one lead a
// row. Pure.
package roster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// DefaultSource is who tells a list when its plan names nobody.
const DefaultSource = "import"

// LeftOut is what a column means that is not to be read.
const LeftOut = "-"

// Fields of a row that normal.Tell does not know.
const (
	occurredAt   = "occurred_at"
	unsubscribed = "unsubscribed"
	pageURL      = "page_url"
	referrer     = "referrer"
)

// List is a plan that can be followed.
type List struct {
	plan    *ingestv1.ImportPlan
	source  string
	country string
}

// Open checks a plan. country is where the source's phone numbers are dialled
// when the plan does not say; may be empty.
func Open(plan *ingestv1.ImportPlan, country string) (*List, []normal.Fault) {
	l := &List{plan: plan, source: cmp.Or(plan.GetSource(), DefaultSource), country: country}
	var faults []normal.Fault
	if plan.GetCountry() != "" {
		var err error
		if l.country, err = normal.Country(plan.GetCountry()); err != nil {
			faults = append(faults, normal.Fault{Field: "plan.country", Message: err.Error()})
		}
	}
	return l, append(faults, l.basis()...)
}

// Source is who tells the list.
func (l *List) Source() string { return l.source }

// basis refuses a reason for contact that nobody could prove.
func (l *List) basis() []normal.Fault {
	b := l.plan.GetBasis()
	if b.GetKind() == ingestv1.ImportBasis_KIND_NONE {
		return nil
	}
	var faults []normal.Fault
	if normal.SnakeCase(b.GetPurpose()) == "" {
		faults = append(faults, normal.Fault{Field: "plan.basis.purpose", Message: "is missing; expected what they allowed, like marketing_email"})
	}
	if strings.TrimSpace(b.GetText()) == "" {
		faults = append(faults, normal.Fault{Field: "plan.basis.text", Message: "is missing; expected the exact words they agreed to, or were told: they are the proof"})
	}
	return faults
}

// Row is what one row of a list tells.
type Row struct {
	// Submission is nil when the row cannot be used.
	Submission *person.Submission
	// Faults say why, or which values were left out.
	Faults []normal.Fault
}

// Read reads a row. One whose address cannot be read is refused: without it the
// lead could not be found again. Other values that cannot be read are left out.
func (l *List) Read(row *ingestv1.ImportRow) Row {
	r := &reader{list: l, id: "list-" + l.plan.GetListId() + "-" + strconv.FormatUint(row.GetNumber(), 10)}
	r.req = &ingestv1.CaptureLeadRequest{
		Source: l.source, ExternalId: r.id,
		Profile: &leadv1.Profile{Attributes: map[string]string{}}, Attribution: &leadv1.Attribution{},
	}
	for _, column := range slices.Sorted(maps.Keys(row.GetValues())) {
		r.cell(column, Unescape(strings.TrimSpace(row.GetValues()[column])))
	}
	r.attribute()
	r.act()
	return r.conclude(row)
}

type reader struct {
	list        *List
	id          string
	req         *ingestv1.CaptureLeadRequest
	page, from  string
	suppression leadv1.Suppression
	faults      []normal.Fault
}

func (r *reader) fail(column, format string, args ...any) {
	r.faults = append(r.faults, normal.Fault{Field: column, Message: fmt.Sprintf(format, args...)})
}

// cell enters one value under what its column means.
func (r *reader) cell(column, value string) {
	basis := r.list.plan.GetBasis()
	if value == "" || column == basis.GetColumn() || column == basis.GetAtColumn() {
		return // consent reads these itself
	}
	name := r.list.name(column)
	switch name {
	case LeftOut, "":
	case occurredAt, "created_at", "signup_date", "date_created":
		r.req.OccurredAt = r.date(column, value)
	case unsubscribed, "opted_out", "email_opt_out", "do_not_contact", "suppressed":
		r.forbid(column, value)
	case pageURL, "landing_page":
		r.page = value
	case referrer, "referer":
		r.from = value
	case "external_id", "submission_id", "entry_id":
		r.req.Profile.Attributes["external_id"] = value
	default:
		r.tell(name, value)
	}
}

func (r *reader) tell(name, value string) {
	if !normal.Tell(r.req, name, value) && !normal.Tag(r.req.GetAttribution(), name, value) {
		r.req.Profile.Attributes[name] = value
	}
}

// forbid: whoever said no elsewhere is not asked again.
func (r *reader) forbid(column, value string) {
	switch said, ok := normal.Answer(value); {
	case !ok:
		r.fail(column, "%.40q is neither yes nor no; the row is taken as one who wants no mail", value)
		r.suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	case said:
		r.suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	}
}

// attribute says where the person came from, if the row does.
func (r *reader) attribute() {
	told, page := r.req.GetAttribution(), normal.Campaign(r.page, r.from)
	if page != nil {
		told.LandingPage, told.Referrer = page.GetLandingPage(), page.GetReferrer()
	}
	if page == nil && !normal.Told(told) {
		r.req.Attribution = nil
	}
}

// act records what being on the list means they did.
func (r *reader) act() {
	if activity := r.list.plan.GetActivity(); activity != "" {
		r.req.Activity = &leadv1.Activity{
			Id: r.id, Type: activity, OccurredAt: r.req.GetOccurredAt(),
			Properties: map[string]string{"list": cmp.Or(r.list.plan.GetTitle(), r.list.plan.GetListId())},
		}
	}
}

func (r *reader) conclude(row *ingestv1.ImportRow) Row {
	if c := r.consent(row.GetValues()); c != nil {
		r.req.Consents = append(r.req.Consents, c)
	}
	sent := r.req.GetProfile().GetEmail()
	r.faults = append(r.faults, normal.Capture(r.req, r.list.country)...)
	p := r.req.GetProfile()
	switch {
	case sent != "" && p.GetEmail() == "":
		return Row{Faults: r.faults} // its fault is among them
	case cmp.Or(p.GetEmail(), p.GetPhone(), r.req.GetUserId(), r.req.GetAnonymousId()) == "":
		return Row{Faults: append(r.faults, normal.Fault{Message: "nobody can be found by this row; expected at least one of email, phone, user_id, anonymous_id"})}
	}
	return Row{Faults: r.faults, Submission: &person.Submission{
		ID: person.Scoped(r.list.source, r.id), Kind: person.KindCapture,
		Apply: &ingestv1.Apply{Capture: r.req, Suppression: r.suppression},
	}}
}

// consent gives the row's answer to the plan's purpose; nil when it has none.
func (r *reader) consent(values map[string]string) *leadv1.Consent {
	b := r.list.plan.GetBasis()
	if b.GetKind() == ingestv1.ImportBasis_KIND_NONE || r.suppression != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		return nil
	}
	granted := true
	if b.GetColumn() != "" {
		value := strings.TrimSpace(values[b.GetColumn()])
		said, ok := normal.Answer(value)
		if !ok {
			if value != "" {
				r.fail(b.GetColumn(), "%.40q is neither yes nor no; no consent is recorded", value)
			}
			return nil
		}
		granted = said
	}
	var at *timestamppb.Timestamp
	if value := strings.TrimSpace(values[b.GetAtColumn()]); value != "" {
		at = r.date(b.GetAtColumn(), value)
	}
	return &leadv1.Consent{
		Purpose: b.GetPurpose(), Granted: granted, Text: b.GetText(), TextVersion: b.GetTextVersion(),
		Source: r.list.source, Method: method(b.GetKind()), At: at,
	}
}

func method(k ingestv1.ImportBasis_Kind) string {
	if k == ingestv1.ImportBasis_KIND_EXISTING_RELATION {
		return "existing_relation"
	}
	return "import"
}
