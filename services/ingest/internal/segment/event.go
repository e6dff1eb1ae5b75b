package segment

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// event is one call of a tracking library.
type event struct {
	Type              text   `json:"type"`
	Event             text   `json:"event"`
	Name              text   `json:"name"`
	MessageID         text   `json:"messageId"`
	UserID            text   `json:"userId"`
	AnonymousID       text   `json:"anonymousId"`
	PreviousID        text   `json:"previousId"`
	Timestamp         stamp  `json:"timestamp"`
	OriginalTimestamp stamp  `json:"originalTimestamp"`
	SentAt            stamp  `json:"sentAt"`
	Traits            values `json:"traits"`
	Properties        values `json:"properties"`
	Context           scope  `json:"context"`
}

// scope is what a library adds to every call.
type scope struct {
	Campaign values `json:"campaign"`
	Page     values `json:"page"`
	Traits   values `json:"traits"`
	Locale   text   `json:"locale"`
	Timezone text   `json:"timezone"`
}

// inherit takes over what the batch says for all its events.
func (e *event) inherit(shared *event) {
	e.Type = cmp.Or(e.Type, shared.Type)
	if e.SentAt.IsZero() {
		e.SentAt = shared.SentAt
	}
	c, s := &e.Context, &shared.Context
	c.Locale, c.Timezone = cmp.Or(c.Locale, s.Locale), cmp.Or(c.Timezone, s.Timezone)
	for _, pair := range [...][2]*values{{&c.Campaign, &s.Campaign}, {&c.Page, &s.Page}, {&c.Traits, &s.Traits}} {
		if *pair[0] == nil {
			*pair[0] = *pair[1]
		}
	}
}

// capture says what the event tells. It is nil when the event cannot be used.
func (e *event) capture(from From) (*ingestv1.CaptureLeadRequest, string, []normal.Fault) {
	req := &ingestv1.CaptureLeadRequest{
		Source: from.Source, UserId: string(e.UserID), AnonymousId: string(e.AnonymousID),
		Profile: &leadv1.Profile{}, OccurredAt: e.happened(from.Received), Attribution: e.attribution(),
	}
	kind := person.KindTrack
	switch strings.ToLower(string(e.Type)) {
	case "identify":
		kind = person.KindIdentify
		e.describe(req)
	case "group":
		kind = person.KindIdentify
		company(req, e.Traits)
	case "alias":
		kind = person.KindIdentify
		req.AnonymousId = cmp.Or(string(e.PreviousID), req.GetAnonymousId())
	case "track":
		req.Activity = e.activity(string(e.Event))
	case "page":
		req.Activity = e.activity("page_viewed")
	case "screen":
		req.Activity = e.activity("screen_viewed")
	default:
		return nil, "", []normal.Fault{{Field: "type", Message: "is not one of identify, track, page, screen, group, alias"}}
	}
	e.describeFrom(req)
	return e.check(req, kind, from)
}

// check refuses an event that nobody can be found for, and names what it does
// not refuse but leaves out.
func (e *event) check(req *ingestv1.CaptureLeadRequest, kind string, from From) (*ingestv1.CaptureLeadRequest, string, []normal.Fault) {
	if req.GetActivity() != nil && normal.SnakeCase(req.GetActivity().GetType()) == "" {
		return nil, "", []normal.Fault{{Field: "event", Message: "is missing; expected what was done, like Demo Requested"}}
	}
	faults := normal.Capture(req, from.Country)
	if req.GetUserId() == "" && req.GetAnonymousId() == "" && req.GetProfile().GetEmail() == "" {
		return nil, "", append(faults, normal.Fault{Field: "userId", Message: "is missing; expected userId, anonymousId or an e-mail address in traits"})
	}
	return req, kind, faults
}

// happened corrects the sender's clock by the difference seen when it sent.
func (e *event) happened(received time.Time) *timestamppb.Timestamp {
	at := e.OriginalTimestamp
	if at.IsZero() {
		at = e.Timestamp
	}
	if at.IsZero() {
		return nil
	}
	if !e.SentAt.IsZero() {
		return timestamppb.New(received.Add(-e.SentAt.Sub(at.Time)))
	}
	return timestamppb.New(at.Time)
}

func (e *event) activity(name string) *leadv1.Activity {
	a := &leadv1.Activity{Id: string(e.MessageID), Type: name, Properties: e.Properties.strings()}
	if e.Name != "" {
		a.Properties["name"] = string(e.Name)
	}
	for _, field := range [...]string{"path", "url", "title", "referrer"} {
		if v := e.Context.Page.text(field); v != "" && a.Properties[field] == "" {
			a.Properties[field] = v
		}
	}
	return a
}

// attribution reads the campaign that the library found, or the page's address.
func (e *event) attribution() *leadv1.Attribution {
	page, referrer := e.Context.Page.text("url"), e.Context.Page.text("referrer")
	if page == "" && strings.EqualFold(string(e.Type), "page") {
		page, referrer = e.Properties.text("url"), e.Properties.text("referrer")
	}
	a := normal.Campaign(page, referrer)
	if len(e.Context.Campaign) == 0 {
		return a
	}
	if a == nil {
		a = &leadv1.Attribution{}
	}
	for name := range e.Context.Campaign {
		param := "utm_" + name
		if name == "name" {
			param = "utm_campaign"
		}
		normal.Tag(a, param, e.Context.Campaign.text(name))
	}
	return a
}

// describe enters traits into the profile; those it does not know are
// attributes. Three of them are commonly objects.
func (e *event) describe(req *ingestv1.CaptureLeadRequest) {
	for name, raw := range e.Traits {
		switch inner := e.Traits.object(name); {
		case name == "company" && inner != nil:
			company(req, inner)
		case name == "consents" && inner != nil:
			consents(req, inner)
		case name == "address" && inner != nil:
			req.Profile.Country = cmp.Or(req.Profile.GetCountry(), inner.text("country"))
		default:
			tell(req, name, plain(raw))
		}
	}
}

// consents reads answers by purpose, like {"marketing_email": true}.
func consents(req *ingestv1.CaptureLeadRequest, answers values) {
	for _, purpose := range slices.Sorted(maps.Keys(answers)) {
		answer := answers.text(purpose)
		if answer != "true" && answer != "false" {
			continue
		}
		req.Consents = append(req.Consents, &leadv1.Consent{
			Purpose: purpose, Granted: answer == "true", Source: req.GetSource(), Method: "api",
		})
	}
}

// describeFrom adds what the context knows. It never replaces what was told.
func (e *event) describeFrom(req *ingestv1.CaptureLeadRequest) {
	p := req.GetProfile()
	p.Email = cmp.Or(p.GetEmail(), e.Context.Traits.text("email"))
	if req.GetActivity() == nil {
		p.Language = cmp.Or(p.GetLanguage(), string(e.Context.Locale))
		p.TimeZone = cmp.Or(p.GetTimeZone(), string(e.Context.Timezone))
	}
}

func company(req *ingestv1.CaptureLeadRequest, traits values) {
	p := req.GetProfile()
	p.Company = cmp.Or(traits.text("name"), p.GetCompany())
	p.Industry = cmp.Or(traits.text("industry"), p.GetIndustry())
	p.Website = cmp.Or(traits.text("website"), p.GetWebsite())
	for _, name := range [...]string{"employees", "employee_count", "employeeCount"} {
		if v := traits.text(name); v != "" {
			normal.Tell(req, "employees", v)
		}
	}
	if plan := traits.text("plan"); plan != "" {
		tell(req, "plan", plan)
	}
}

func tell(req *ingestv1.CaptureLeadRequest, name, value string) {
	name = normal.SnakeCase(name)
	if name == "" || value == "" || name == "user_id" || name == "anonymous_id" || name == "external_id" || name == "id" {
		return
	}
	if normal.Tell(req, name, value) {
		return
	}
	if req.Profile.Attributes == nil {
		req.Profile.Attributes = map[string]string{}
	}
	req.Profile.Attributes[name] = value
}
