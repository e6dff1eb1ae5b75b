// Package segment reads the dialect that Segment's and RudderStack's libraries
// speak: identify, track, page, screen, group, alias and batches of them. Pure.
package segment

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Limits of the dialect, in bytes and events.
const (
	MaxEvent  = 32 << 10
	MaxBatch  = 500 << 10
	MaxEvents = 2500
)

// maxDepth bounds how deep objects and lists may be nested.
const maxDepth = 32

// Errors of a whole body.
var (
	ErrJSON      = errors.New("the body is not JSON; expected an object like {\"type\":\"track\",\"userId\":\"u1\",\"event\":\"Demo Requested\"}")
	ErrDeep      = fmt.Errorf("the body nests deeper than %d levels", maxDepth)
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
	shared event
}

// Len is the number of events.
func (e *Envelope) Len() int { return len(e.events) }

// Open takes a body apart. kind is the type of a single event as its address
// says it, "batch", or empty when only the body can say.
func Open(body []byte, kind string) (*Envelope, error) {
	if err := shallow(body); err != nil {
		return nil, err
	}
	var outer struct {
		Batch    *[]json.RawMessage `json:"batch"`
		WriteKey text               `json:"writeKey"`
		SentAt   stamp              `json:"sentAt"`
		Context  scope              `json:"context"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrJSON, err)
	}
	env := &Envelope{WriteKey: string(outer.WriteKey)}
	if outer.Batch == nil && kind != "batch" {
		env.events = []json.RawMessage{body}
		env.shared.Type = text(kind)
		return env, nil
	}
	env.Batch = true
	env.shared.SentAt, env.shared.Context = outer.SentAt, outer.Context
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

// Item is one event of an envelope, read.
type Item struct {
	MessageID  string
	Submission *person.Submission
	// Faults say why there is no submission, or which values were left out of it.
	Faults []normal.Fault
}

// From is who sent the envelope, and when it arrived.
type From struct {
	Source   string
	Country  string
	Received time.Time
}

// Read reads the events. One that cannot be read has no submission and says why.
func (e *Envelope) Read(from From) []Item {
	items := make([]Item, len(e.events))
	for i, raw := range e.events {
		items[i] = e.read(raw, from)
	}
	return items
}

func (e *Envelope) read(raw json.RawMessage, from From) Item {
	if len(raw) > MaxEvent {
		return Item{Faults: []normal.Fault{{Message: fmt.Sprintf("has %d bytes; at most %d are taken", len(raw), MaxEvent)}}}
	}
	ev := event{}
	if err := json.Unmarshal(raw, &ev); err != nil {
		return Item{MessageID: string(ev.MessageID), Faults: []normal.Fault{unreadable(err)}}
	}
	ev.inherit(&e.shared)
	item := Item{MessageID: string(ev.MessageID)}
	capture, kind, faults := ev.capture(from)
	item.Faults = faults
	if capture == nil {
		return item
	}
	item.Submission = &person.Submission{
		ID: person.Scoped(from.Source, capture.GetActivity().GetId()), Kind: kind,
		Apply: &ingestv1.Apply{Capture: capture},
	}
	if item.Submission.ID == "" {
		item.Submission.ID = person.Scoped(from.Source, item.MessageID)
	}
	return item
}

func unreadable(err error) normal.Fault {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return normal.Fault{Field: wrong.Field, Message: "is a JSON " + wrong.Value + "; expected another type"}
	}
	return normal.Fault{Message: errNotObject.Error()}
}

// shallow refuses bodies that nest too deep, before anything recurses.
func shallow(body []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return ErrDeep
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
