// Package posthog reads the dialect that PostHog's libraries speak and says the
// same in the Segment dialect. Pure.
package posthog

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

// Errors of a whole body.
var (
	ErrJSON     = errors.New("the body is not JSON; expected an object like {\"api_key\":\"...\",\"event\":\"demo requested\",\"distinct_id\":\"u1\"}")
	ErrNoEvents = errors.New("there are no events; expected {\"batch\":[...]}, a list, or one event")
)

// Envelope is a body taken apart, its events still unread.
type Envelope struct {
	// APIKey is the key of the source; empty when the body has none.
	APIKey string
	// Batch is true for a batch, false for one event.
	Batch  bool
	events []json.RawMessage
	sentAt loose.Time
}

// Open takes a body apart: a batch, a list of events, or one event; as JSON, as
// base64 of it, or as a form whose field data is one of both.
func Open(body []byte) (*Envelope, error) {
	body, err := unwrap(body)
	if err != nil {
		return nil, err
	}
	if err := loose.Shallow(body); err != nil {
		return nil, err
	}
	env := &Envelope{}
	if body[0] == '[' {
		env.Batch = true
		if err := json.Unmarshal(body, &env.events); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrJSON, err)
		}
	} else if err := env.object(body); err != nil {
		return nil, err
	}
	switch n := len(env.events); {
	case n == 0:
		return nil, ErrNoEvents
	case n > segment.MaxEvents:
		return nil, segment.ErrTooMany
	}
	if env.APIKey == "" {
		env.APIKey = keyOf(env.events[0])
	}
	return env, nil
}

func (e *Envelope) object(body []byte) error {
	var outer struct {
		APIKey loose.Text         `json:"api_key"`
		Token  loose.Text         `json:"token"`
		SentAt loose.Time         `json:"sent_at"`
		Batch  *[]json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return fmt.Errorf("%w (%w)", ErrJSON, err)
	}
	e.APIKey, e.sentAt = string(cmp.Or(outer.APIKey, outer.Token)), outer.SentAt
	e.events = []json.RawMessage{body}
	if outer.Batch != nil {
		e.Batch, e.events = true, *outer.Batch
	}
	return nil
}

// keyOf gives the key that an event carries itself.
func keyOf(raw []byte) string {
	var ev struct {
		APIKey     loose.Text   `json:"api_key"`
		Token      loose.Text   `json:"token"`
		Properties loose.Object `json:"properties"`
	}
	if json.Unmarshal(raw, &ev) != nil {
		return ""
	}
	return cmp.Or(string(ev.APIKey), string(ev.Token), ev.Properties.Text("token"))
}

// unwrap gives the JSON of a body.
func unwrap(body []byte) ([]byte, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, ErrNoEvents
	}
	if isJSON(body) {
		return body, nil
	}
	text := string(body)
	if strings.HasPrefix(text, "data=") || strings.Contains(text, "&data=") {
		form, err := url.ParseQuery(text)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrJSON, err)
		}
		text = strings.TrimSpace(form.Get("data"))
	}
	if isJSON([]byte(text)) {
		return []byte(text), nil
	}
	// A plus sign in a form that did not escape it has become a blank.
	text = strings.TrimRight(strings.ReplaceAll(text, " ", "+"), "=")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		if raw, err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return nil, ErrJSON
		}
	}
	if raw = bytes.TrimSpace(raw); !isJSON(raw) {
		return nil, ErrJSON
	}
	return raw, nil
}

func isJSON(body []byte) bool {
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// Read reads the events. One that cannot be read has no submission and says why.
func (e *Envelope) Read(from segment.From) []segment.Item {
	items := make([]segment.Item, len(e.events))
	for i, raw := range e.events {
		items[i] = e.read(raw, from)
		items[i].Raw = raw
	}
	return items
}

func (e *Envelope) read(raw json.RawMessage, from segment.From) segment.Item {
	if fault, large := segment.TooLarge(raw); large {
		return segment.Item{Faults: []normal.Fault{fault}}
	}
	ev := event{}
	if err := json.Unmarshal(raw, &ev); err != nil {
		return segment.Item{Faults: []normal.Fault{segment.Unreadable(err)}}
	}
	same, leftOut := ev.translate(e.sentAt, from)
	if same == nil {
		return segment.Item{MessageID: string(ev.UUID), LeftOut: leftOut}
	}
	return same.Item(from)
}
