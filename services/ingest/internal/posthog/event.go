package posthog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

// event is one event of a PostHog library.
type event struct {
	Event      loose.Text   `json:"event"`
	UUID       loose.Text   `json:"uuid"`
	DistinctID loose.Text   `json:"distinct_id"`
	Timestamp  loose.Time   `json:"timestamp"`
	Offset     loose.Text   `json:"offset"` // milliseconds between the event and the sending
	Properties loose.Object `json:"properties"`
	Set        loose.Object `json:"$set"`
	SetOnce    loose.Object `json:"$set_once"`
}

// translate says the same in the Segment dialect, or why it is left out.
func (e *event) translate(sentAt loose.Time, from segment.From) (*segment.Event, string) {
	p := e.Properties
	same := &segment.Event{
		MessageID: e.UUID, Timestamp: e.Timestamp, SentAt: sentAt, Traits: e.traits(), Context: e.context(),
	}
	if e.Timestamp.IsZero() {
		same.Timestamp, same.SentAt = e.before(from.Received), loose.Time{}
	}
	e.identify(same)
	switch name := string(e.Event); {
	case name == "$identify" || name == "$set":
		same.Type = "identify"
	case name == "$create_alias" || name == "$merge_dangerously":
		same.Type, same.PreviousID = "alias", loose.Text(p.Text("alias"))
		same.Browser = name == "$create_alias" // which never joins two users
	case name == "$groupidentify":
		if !company(p.Text("$group_type")) {
			return nil, "it tells about a group that is no company"
		}
		if strings.HasPrefix(string(e.distinctID()), "$") {
			same.UserID, same.AnonymousID, same.Nobody = "", "", true
		}
		same.Type, same.GroupID, same.Traits = "group", loose.Text(p.Text("$group_key")), p.Object("$group_set")
	case name == "$pageview":
		same.Type, same.Properties = "page", own(p)
	case name == "$screen":
		same.Type, same.Name, same.Properties = "screen", loose.Text(p.Text("$screen_name")), own(p)
	case strings.HasPrefix(name, "$"):
		return nil, "it is about the library, not about the person: " + name
	default:
		same.Type, same.Event, same.Properties = "track", e.Event, own(p)
	}
	if same.Type == "page" || same.Type == "screen" || same.Type == "track" {
		// An event's own traits are kept with the person too.
		same.Context.Traits = same.Traits
	}
	return same, ""
}

func (e *event) distinctID() loose.Text {
	return cmp.Or(e.DistinctID, loose.Text(e.Properties.Text("distinct_id")))
}

// identify tells who: the distinct id is a user's unless the library says that
// it is only a browser's.
func (e *event) identify(same *segment.Event) {
	p, id := e.Properties, e.distinctID()
	device := loose.Text(cmp.Or(p.Text("$anon_distinct_id"), p.Text("$device_id")))
	if id == device || p.Text("$is_identified") == "false" || p.Text("$process_person_profile") == "false" {
		same.AnonymousID = id
		return
	}
	same.UserID, same.AnonymousID = id, device
}

// traits are what the event says about the person; what is to be set once is
// weaker than what is to be set.
func (e *event) traits() loose.Object {
	traits := loose.Object{}
	for _, more := range [...]loose.Object{e.Properties.Object("$set_once"), e.SetOnce, e.Properties.Object("$set"), e.Set} {
		for name, value := range more {
			if !strings.HasPrefix(name, "$") {
				traits[name] = value
			}
		}
	}
	return traits
}

// context gives what the library noticed by itself.
func (e *event) context() segment.Context {
	p := e.Properties
	c := segment.Context{
		Page: pick(p, map[string]string{
			"$current_url": "url", "$pathname": "path", "$referrer": "referrer", "title": "title",
		}),
		Device:    pick(p, map[string]string{"$device_type": "type"}),
		OS:        pick(p, map[string]string{"$os": "name"}),
		App:       pick(p, map[string]string{"$app_name": "name"}),
		UserAgent: loose.Text(cmp.Or(p.Text("$raw_user_agent"), p.Text("$user_agent"))),
		IP:        loose.Text(p.Text("$ip")),
		Timezone:  loose.Text(p.Text("$timezone")),
		Locale:    loose.Text(p.Text("$browser_language")),
		Campaign: pick(p, map[string]string{
			"utm_source": "source", "utm_medium": "medium", "utm_campaign": "name", "utm_term": "term", "utm_content": "content",
		}),
	}
	if c.Page.Text("referrer") == "$direct" {
		delete(c.Page, "referrer")
	}
	for _, name := range p.Names() {
		if normal.ClickID(name) && p.Text(name) != "" {
			c.Referrer = loose.Object{"type": loose.Quote(name), "id": p[name]}
		}
	}
	groups := p.Object("$groups")
	for _, name := range companies() {
		c.GroupID = cmp.Or(c.GroupID, loose.Text(groups.Text(name)))
	}
	return c
}

// companies are the types of groups that are companies, as their senders call
// them; the first one of an event counts.
func companies() []string { return []string{"company", "organization", "organisation", "account"} }

func company(groupType string) bool { return slices.Contains(companies(), strings.ToLower(groupType)) }

// before gives when an event happened that only says how long before.
func (e *event) before(received time.Time) loose.Time {
	ago, err := time.ParseDuration(string(e.Offset) + "ms")
	if err != nil || ago < 0 {
		return loose.Time{}
	}
	return loose.Time{Time: received.Add(-ago)}
}

// own are the properties that the sender gave the event itself.
func own(p loose.Object) loose.Object {
	mine := loose.Object{}
	for name, value := range p {
		if !strings.HasPrefix(name, "$") && name != "token" && name != "distinct_id" {
			mine[name] = value
		}
	}
	return mine
}

// pick takes some values under other names.
func pick(p loose.Object, names map[string]string) loose.Object {
	var picked loose.Object
	for theirs, ours := range names {
		if p.Text(theirs) == "" {
			continue
		}
		if picked == nil {
			picked = loose.Object{}
		}
		picked[ours] = p[theirs]
	}
	return picked
}
