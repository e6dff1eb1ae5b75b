package cloudevents

import (
	"maps"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// OptionSubject says what the subject of an event is.
const OptionSubject = "subject"

// Dialect is kind cloudevents.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{
		hook.OptionActivity:       "what an event means when nothing else says so; default: its type, without the domain before it",
		hook.OptionActivity + ".": "what events of the type behind the dot mean",
		OptionSubject:             "what the subject is: email, user_id, anonymous_id or lead_id; default: nothing",
	}
}

// Verify wants the signature of Standard Webhooks, or a secret as bearer token.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	return standard.VerifyAny(req, src)
}

// Read makes an activity of each event.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	events, err := Parse(req.Header, req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	out := hook.Reading{Items: make([]hook.Item, len(events))}
	for i := range events {
		out.Items[i] = item(&events[i], src)
	}
	return out, nil
}

func item(e *Event, src *source.Source) hook.Item {
	id := hook.ExternalID(e.Source + "|" + e.ID) // the pair is what the standard calls unique
	if len(e.Faults) > 0 {
		return hook.Item{ID: id, Faults: e.Faults}
	}
	l := hook.NewLead(src, Activity(e.Type), e.Time)
	if means := src.Options[hook.OptionActivity+"."+e.Type]; means != "" {
		l.Enter("activity", means)
	}
	for name, value := range map[string]string{"event_type": e.Type, "event_source": e.Source, "subject": e.Subject, "data_schema": e.Schema} {
		if name != "subject" || src.Options[OptionSubject] == "" {
			l.Property(name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		if l.Mapped(name) {
			l.Tell(name, e.Extensions[name])
		}
	}
	if e.IsJSON && e.JSON.Object() != nil {
		standard.Fill(l, e.JSON, src)
	}
	switch who := src.Options[OptionSubject]; who {
	case "email", "user_id", "anonymous_id", "lead_id":
		l.Enter(who, e.Subject)
	}
	return l.Item(id)
}

// Activity is what an event of a type means: com.example.demo.requested is
// demo_requested.
func Activity(kind string) string {
	parts := strings.Split(kind, ".")
	if len(parts) > 2 {
		parts = parts[2:]
	}
	return normal.SnakeCase(strings.Join(parts, "_"))
}
