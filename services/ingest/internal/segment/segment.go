// Package segment reads the dialect that Segment's and RudderStack's libraries
// speak: identify, track, page, screen, group, alias and batches of them. Pure.
package segment

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Limits of the dialect, in bytes and events.
const (
	MaxEvent  = 32 << 10
	MaxBatch  = 500 << 10
	MaxEvents = 2500
)

// Errors of a whole body.
var (
	ErrJSON      = errors.New("the body is not JSON; expected an object like {\"type\":\"track\",\"userId\":\"u1\",\"event\":\"Demo Requested\"}")
	ErrTooMany   = fmt.Errorf("the batch has more than %d events; send several", MaxEvents)
	ErrNoEvents  = errors.New("the batch is empty; expected {\"batch\":[...]}")
	errNotObject = errors.New("is not an event; expected an object with at least type and userId or anonymousId")
)

// Envelope is a body taken apart, its events still unread.
type Envelope struct {
	WriteKey string
	// Batch is true for a batch, false for one event.
	Batch  bool
	events []json.RawMessage
	shared Event
}

// Len is the number of events.
func (e *Envelope) Len() int { return len(e.events) }

// Open takes a body apart. kind is the type of a single event as its address
// says it, "batch", or empty when only the body can say.
func Open(body []byte, kind string) (*Envelope, error) {
	body = loose.Clean(body)
	if err := loose.Shallow(body); err != nil {
		return nil, err
	}
	var outer struct {
		Batch        *[]json.RawMessage `json:"batch"`
		WriteKey     loose.Text         `json:"writeKey"`
		SentAt       loose.Time         `json:"sentAt"`
		Context      Context            `json:"context"`
		Integrations loose.Object       `json:"integrations"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrJSON, err)
	}
	env := &Envelope{WriteKey: string(outer.WriteKey)}
	if outer.Batch == nil && kind != "batch" {
		env.events = []json.RawMessage{body}
		env.shared.Type = loose.Text(kind)
		return env, nil
	}
	env.Batch = true
	env.shared.SentAt, env.shared.Context, env.shared.Integrations = outer.SentAt, outer.Context, outer.Integrations
	if outer.Batch != nil {
		env.events = *outer.Batch
	}
	switch n := len(env.events); {
	case n == 0:
		return nil, ErrNoEvents
	case n > MaxEvents:
		return nil, ErrTooMany
	}
	return env, nil
}

// Item is one event of an envelope, read: a submission, or left out, or
// refused.
type Item struct {
	MessageID  string
	Submission *person.Submission
	// LeftOut is why there is no submission although nothing is wrong: the
	// sender does not want the event here, or it is none that we keep.
	LeftOut string
	// Faults say why there is no submission, or which values were left out of it.
	Faults []normal.Fault
	// Raw is the event as it was sent.
	Raw []byte
}

// From is who sent the envelope, and when it arrived.
type From struct {
	Source   string
	Country  string
	Received time.Time
	// UserAgent is the browser that sent it; empty when a server did.
	UserAgent string
}

// Read reads the events. One that cannot be read has no submission and says why.
func (e *Envelope) Read(from From) []Item {
	items := make([]Item, len(e.events))
	for i, raw := range e.events {
		items[i] = e.read(raw, from)
		items[i].Raw = raw
	}
	return items
}

func (e *Envelope) read(raw json.RawMessage, from From) Item {
	if fault, large := TooLarge(raw); large {
		return Item{Faults: []normal.Fault{fault}}
	}
	ev := Event{}
	if err := json.Unmarshal(raw, &ev); err != nil {
		return Item{MessageID: string(ev.MessageID), Faults: []normal.Fault{Unreadable(err)}}
	}
	ev.inherit(&e.shared)
	return ev.Item(from)
}

// TooLarge gives the fault of an event beyond the limit.
func TooLarge(raw []byte) (normal.Fault, bool) {
	if len(raw) <= MaxEvent {
		return normal.Fault{}, false
	}
	return normal.Fault{Message: fmt.Sprintf("has %d bytes; at most %d are taken", len(raw), MaxEvent)}, true
}

// Unreadable gives the fault of an event that is not what was expected.
func Unreadable(err error) normal.Fault {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return normal.Fault{Field: wrong.Field, Message: "is a JSON " + wrong.Value + "; expected another type"}
	}
	return normal.Fault{Message: errNotObject.Error()}
}
