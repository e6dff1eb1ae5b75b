package crm

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ContentType is the media type of a CloudEvent in structured JSON mode.
const ContentType = "application/cloudevents+json; charset=utf-8"

// MaxPayload bounds one webhook's body, as Standard Webhooks recommends.
const MaxPayload = 20_000

// overhead is what an event needs around its data.
const overhead = 1_000

// Event is a CloudEvent 1.0 in the JSON format. Its id stays the same over all
// attempts of a delivery: receivers ignore an id they know.
type Event struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DataSchema      string          `json:"dataschema"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data"`
}

const (
	eventSource = "/nurture/handoff"
	dataSchema  = "/nurture/handoff/v1/Dossier"
	typePrefix  = "com.nurture."
)

// Encode gives the event's bytes.
func (e Event) Encode() ([]byte, error) {
	e.SpecVersion, e.Source, e.DataContentType, e.DataSchema = "1.0", eventSource, "application/json", dataSchema
	e.Time = e.Time.UTC()
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return raw, nil
}

// OutboundKind is the last part of the subject on which an event of this type
// is published: "handoff.assigned" for "com.nurture.handoff.assigned".
func OutboundKind(eventType string) string { return strings.TrimPrefix(eventType, typePrefix) }
