package segment

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Event is one call of a tracking library.
type Event struct {
	Type              loose.Text   `json:"type"`
	Event             loose.Text   `json:"event"`
	Name              loose.Text   `json:"name"`
	Category          loose.Text   `json:"category"`
	MessageID         loose.Text   `json:"messageId"`
	UserID            loose.Text   `json:"userId"`
	AnonymousID       loose.Text   `json:"anonymousId"`
	PreviousID        loose.Text   `json:"previousId"`
	GroupID           loose.Text   `json:"groupId"`
	Timestamp         loose.Time   `json:"timestamp"`
	OriginalTimestamp loose.Time   `json:"originalTimestamp"`
	SentAt            loose.Time   `json:"sentAt"`
	Traits            loose.Object `json:"traits"`
	Properties        loose.Object `json:"properties"`
	Context           Context      `json:"context"`
	Integrations      loose.Object `json:"integrations"`
	// Browser: the previous id is a browser's, whoever else has it.
	Browser bool `json:"-"`
	// Nobody: the event is about a group, and about nobody in it.
	Nobody bool `json:"-"`
}

// Item reads the event: what it tells about whom.
func (e *Event) Item(from From) Item {
	item := Item{MessageID: string(e.MessageID)}
	if unwanted(e.Integrations) {
		item.LeftOut = "its integrations do not want it here"
		return item
	}
	e.Context.UserAgent = cmp.Or(e.Context.UserAgent, loose.Text(from.UserAgent))
	capture, kind, faults := e.capture(from)
	item.Faults = faults
	if capture == nil {
		return item
	}
	id := cmp.Or(capture.GetActivity().GetId(), item.MessageID)
	item.Submission = &person.Submission{
		ID: person.Scoped(from.Source, id), Kind: kind, Apply: &ingestv1.Apply{Capture: capture},
	}
	return item
}

// unwanted reports whether the sender forbids this event to us, by our name or
// by forbidding it to all who are not named.
func unwanted(integrations loose.Object) bool {
	allowed := func(name string) (answer, given bool) {
		raw := string(integrations[name])
		return raw != "false", raw != "" && raw != "null"
	}
	for _, name := range [...]string{"Nurture", "nurture"} {
		if answer, given := allowed(name); given {
			return !answer
		}
	}
	answer, given := allowed("All")
	return given && !answer
}

// inherit takes over what the batch says for all its events.
func (e *Event) inherit(shared *Event) {
	e.Type = cmp.Or(e.Type, shared.Type)
	if e.SentAt.IsZero() {
		e.SentAt = shared.SentAt
	}
	if e.Integrations == nil {
		e.Integrations = shared.Integrations
	}
	e.Context.inherit(&shared.Context)
}

// capture says what the event tells. It is nil when the event cannot be used.
func (e *Event) capture(from From) (*ingestv1.CaptureLeadRequest, string, []normal.Fault) {
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
		req.GroupId = string(e.GroupID)
		company(req, e.Traits)
	case "alias":
		kind = person.KindIdentify
		req.AnonymousId = cmp.Or(string(e.PreviousID), req.GetAnonymousId())
		if !e.Browser {
			req.PreviousId = string(e.PreviousID)
		}
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
	req.GroupId = cmp.Or(req.GetGroupId(), string(e.Context.GroupID))
	return e.check(req, kind, from)
}

// check refuses an event that nobody can be found for, and names what it does
// not refuse but leaves out.
func (e *Event) check(req *ingestv1.CaptureLeadRequest, kind string, from From) (*ingestv1.CaptureLeadRequest, string, []normal.Fault) {
	if req.GetActivity() != nil && normal.SnakeCase(req.GetActivity().GetType()) == "" {
		return nil, "", []normal.Fault{{Field: "event", Message: "is missing; expected what was done, like Demo Requested"}}
	}
	faults := normal.Capture(req, from.Country)
	if e.Nobody {
		return req, person.KindAccount, faults
	}
	if req.GetUserId() == "" && req.GetAnonymousId() == "" && req.GetProfile().GetEmail() == "" {
		return nil, "", append(faults, normal.Fault{Field: "userId", Message: "is missing; expected userId, anonymousId or an e-mail address in traits"})
	}
	return req, kind, faults
}

// happened corrects the sender's clock by the difference seen when it sent.
func (e *Event) happened(received time.Time) *timestamppb.Timestamp {
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

func (e *Event) activity(name string) *leadv1.Activity {
	p := e.Properties.Flat()
	add := func(name, value string) {
		if value != "" && p[name] == "" {
			p[name] = value
		}
	}
	if e.Name != "" {
		p["name"] = string(e.Name)
	}
	add("category", string(e.Category))
	for _, field := range [...]string{"path", "url", "title", "referrer"} {
		add(field, e.Context.Page.Text(field))
	}
	if u, err := url.Parse(p["url"]); err == nil {
		add("path", u.Path)
	}
	add("user_agent", string(e.Context.UserAgent))
	add("device_type", e.Context.Device.Text("type"))
	add("os", e.Context.OS.Text("name"))
	add("app", e.Context.App.Text("name"))
	return &leadv1.Activity{Id: string(e.MessageID), Type: name, Properties: p}
}

// attribution reads the campaign that the library found, or the page's address.
func (e *Event) attribution() *leadv1.Attribution {
	page, referrer := e.Context.Page.Text("url"), e.Context.Page.Text("referrer")
	if page == "" && strings.EqualFold(string(e.Type), "page") {
		page, referrer = e.Properties.Text("url"), e.Properties.Text("referrer")
	}
	a := normal.Campaign(page, cmp.Or(referrer, e.Context.Referrer.Text("url")))
	if len(e.Context.Campaign) == 0 && e.Context.Referrer.Text("id") == "" {
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
		normal.Tag(a, param, e.Context.Campaign.Text(name))
	}
	// The library names the click that brought the visitor by its kind.
	normal.Tag(a, e.Context.Referrer.Text("type"), e.Context.Referrer.Text("id"))
	return a
}
