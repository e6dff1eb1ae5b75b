package hook

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// OptionActivity says what a lead of this source did, like demo_requested.
const OptionActivity = "activity"

// maxID is how long an external id may be, in bytes.
const maxID = 200

// Lead gathers what a message tells about one person and makes an item of it.
type Lead struct {
	src    *source.Source
	req    *ingestv1.CaptureLeadRequest
	leadID string
	page   string
}

// NewLead begins a lead of a source. What they did is the source's option
// activity, else the default given.
func NewLead(src *source.Source, activity string, at time.Time) *Lead {
	l := &Lead{src: src, req: &ingestv1.CaptureLeadRequest{
		Source:      src.Name,
		Profile:     &leadv1.Profile{Attributes: map[string]string{}},
		Attribution: &leadv1.Attribution{},
		Activity:    &leadv1.Activity{Type: cmp.Or(src.Options[OptionActivity], activity), Properties: map[string]string{}},
	}}
	if !at.IsZero() {
		l.req.OccurredAt = timestamppb.New(at)
	}
	return l
}

// Tell enters a value under the sender's name for it: the source's fields say
// what it means here, else it is known by its name, else it is an attribute.
func (l *Lead) Tell(theirs, value string) {
	name, mapped := l.src.Fields[theirs]
	if !mapped {
		name, mapped = l.src.Fields[normal.SnakeCase(theirs)]
	}
	if !mapped {
		name = normal.SnakeCase(theirs)
	}
	l.Enter(name, value)
}

// Mapped reports whether the source's fields say what a name means.
func (l *Lead) Mapped(theirs string) bool {
	_, ok := l.src.Fields[theirs]
	if !ok {
		_, ok = l.src.Fields[normal.SnakeCase(theirs)]
	}
	return ok
}

// Enter enters a value under our own name for it. Besides the fields of a
// profile these are: lead_id, activity, occurred_at, page_url, referrer, message,
// consent.<purpose>, property.<name>, attribute.<name>, UTM parameters and click
// ids; "-" leaves it out.
func (l *Lead) Enter(name, value string) {
	value = strings.TrimSpace(value)
	kind, rest, dotted := strings.Cut(name, ".")
	switch {
	case value == "" || name == "" || name == "-":
	case dotted && kind == "property":
		l.Property(rest, value)
	case dotted && kind == "attribute":
		l.req.Profile.Attributes[normal.SnakeCase(rest)] = value
	case dotted && kind == "consent":
		l.Consent(&leadv1.Consent{Purpose: rest, Granted: Truth(value)})
	case name == "lead_id":
		l.leadID = value
	case name == "activity" || name == "event":
		if l.req.GetActivity() != nil {
			l.req.Activity.Type = value
		}
	case name == "occurred_at":
		if at := TimeOf(value); !at.IsZero() {
			l.req.OccurredAt = timestamppb.New(at)
		}
	case name == "page_url" || name == "landing_page":
		l.page = value
	case name == "referrer":
		l.req.Attribution.Referrer = value
	case name == "message" || name == "comments":
		l.Property("message", value)
	case normal.Tell(l.req, name, value):
	case normal.Tag(l.req.GetAttribution(), name, value):
	default:
		l.req.Profile.Attributes[name] = value
	}
}

// Company says to which company of another system the person belongs; an empty
// id says nothing.
func (l *Lead) Company(system, id string) {
	if id = strings.TrimSpace(id); id != "" {
		normal.Tell(l.req, "company_external_id", system+":"+id)
	}
}

// Property keeps a fact about what was done; empty ones are left out.
func (l *Lead) Property(name, value string) {
	if value != "" && l.req.GetActivity() != nil {
		l.req.Activity.Properties[name] = value
	}
}

// Tag enters a UTM parameter or click id.
func (l *Lead) Tag(param, value string) {
	if value != "" {
		normal.Tag(l.req.GetAttribution(), param, value)
	}
}

// Consent adds an answer; where it comes from is filled in.
func (l *Lead) Consent(c *leadv1.Consent) {
	c.Source, c.Method = l.src.Name, cmp.Or(c.GetMethod(), "webhook")
	l.req.Consents = append(l.req.Consents, c)
}

// Request is what was gathered so far, for what Enter has no name for.
func (l *Lead) Request() *ingestv1.CaptureLeadRequest { return l.req }

// Item ends the lead. id is the sender's own id of this message; empty: the one
// that was entered as external_id. It is claimed for ever.
func (l *Lead) Item(id string) Item {
	l.req.ExternalId = ExternalID(cmp.Or(id, l.req.GetExternalId()))
	return l.end(l.req.GetExternalId())
}

// ItemOf ends a lead that the sender knows under an id of its own, which several
// messages share: person is that id, id the one of this message.
func (l *Lead) ItemOf(person, id string) Item {
	l.req.ExternalId = ExternalID(person)
	return l.end(ExternalID(id))
}

func (l *Lead) end(id string) Item {
	if l.page != "" {
		l.Property("url", l.page)
		l.page = normal.Text(l.page, 2048)
		if c := normal.Campaign(l.page, l.req.GetAttribution().GetReferrer()); c != nil {
			l.join(c)
		}
	}
	if !normal.Told(l.req.GetAttribution()) && l.page == "" && l.req.GetAttribution().GetReferrer() == "" {
		l.req.Attribution = nil
	}
	l.ground()
	item := Item{ID: id}
	if l.leadID != "" {
		item.Submission, item.Faults = l.known()
	} else {
		item.Submission, item.Faults = person.FromCapture(l.req, l.src.Country)
	}
	if item.Submission != nil {
		item.Submission.ID = person.Scoped(l.src.Name, id)
	}
	return item
}

// ground adds on what grounds people of this source may be written to, unless
// they were asked themselves.
func (l *Lead) ground() {
	c := l.src.Consent
	if c == nil || slices.ContainsFunc(l.req.GetConsents(), func(told *leadv1.Consent) bool { return told.GetPurpose() == c.Purpose }) {
		return
	}
	method := "" // they agreed where they were asked
	if c.Basis != "consent" {
		method = c.Basis
	}
	l.Consent(&leadv1.Consent{Purpose: c.Purpose, Granted: true, Text: c.Text, TextVersion: c.Version, Method: method})
}

// known is a lead that the sender names by our own id.
func (l *Lead) known() (*person.Submission, []normal.Fault) {
	if faults := normal.Capture(l.req, l.src.Country); len(faults) > 0 {
		return nil, faults
	}
	return &person.Submission{Kind: person.KindTrack, Lead: l.leadID, Apply: &ingestv1.Apply{Capture: l.req}}, nil
}

// join adds what the page's address says to what was told.
func (l *Lead) join(page *leadv1.Attribution) {
	told := l.req.GetAttribution()
	if !normal.Told(told) {
		l.req.Attribution = page
		return
	}
	told.Referrer, told.LandingPage = page.GetReferrer(), page.GetLandingPage()
}

// ExternalID gives a sender's id as it is kept: one that is too long, or that
// white space and control characters would make ambiguous, as its hash.
func ExternalID(id string) string {
	if len(id) <= maxID && normal.Text(id, maxID) == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// Truth reads yes and no as people and systems write them; anything that is not
// a no is a yes: a ticked box is often told by the words beside it.
func Truth(value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	if yes, plain := normal.Answer(value); plain {
		return yes
	}
	return value != "" && value != "none" && value != "null"
}

// Fault is one reason why an item is not used.
func Fault(field, message string) []normal.Fault {
	return []normal.Fault{{Field: field, Message: message}}
}
