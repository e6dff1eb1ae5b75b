package crmdesk

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// typeErased tells that a lead must be forgotten.
const typeErased = "com.nurture.lead.erased"

// Event is one verified webhook.
type Event struct {
	// ID is the webhook's id, stable over retries.
	ID string
	// Type is the CloudEvents type, e.g. "com.nurture.handoff.assigned".
	Type string
	Lead string
	At   time.Time
	// Dossier is the evidence; nil for an event that carries none.
	Dossier *handoffv1.Dossier
	raw     json.RawMessage
}

// envelope is the part of a CloudEvent the desk reads.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject"`
	Data        json.RawMessage `json:"data"`
}

// decode reads a CloudEvent in structured JSON mode whose data is a dossier.
func decode(body []byte, at time.Time) (*Event, error) {
	var env envelope
	if err := json.Unmarshal(body, &env); err != nil {
		return nil, fmt.Errorf("read CloudEvent: %w", err)
	}
	if env.SpecVersion != "1.0" || env.ID == "" || env.Type == "" {
		return nil, fmt.Errorf("read CloudEvent: specversion 1.0, id and type are required")
	}
	e := &Event{ID: env.ID, Type: env.Type, Lead: env.Subject, At: at, raw: body}
	if len(env.Data) == 0 {
		return e, nil
	}
	e.Dossier = &handoffv1.Dossier{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(env.Data, e.Dossier); err != nil {
		return nil, fmt.Errorf("read dossier: %w", err)
	}
	if lead := e.Dossier.GetLeadId(); lead != "" {
		e.Lead = lead
	}
	return e, nil
}
