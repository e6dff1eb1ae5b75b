// Package cloudevents reads CloudEvents 1.0: binary, structured and batched, as
// they come over HTTP and over NATS. Pure.
package cloudevents

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// Media types of the JSON formats.
const (
	Structured = "application/cloudevents+json"
	Batched    = "application/cloudevents-batch+json"
)

// prefix of the attributes in headers, canonical.
const prefix = "Ce-"

// maxBatch bounds the events of one batch.
const maxBatch = 1000

// Event is one CloudEvent.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	// ContentType and Schema describe the data; may be empty.
	ContentType, Schema string
	// Extensions are all other attributes, as text.
	Extensions map[string]string
	// Data is the payload: JSON when JSON says so, else bytes as they are.
	Data []byte
	// JSON is the payload read; meaningless unless IsJSON.
	JSON   hook.Tree
	IsJSON bool
	// Faults are why it is no CloudEvent.
	Faults []normal.Fault
}

// Is reports whether a message is a CloudEvent by its headers.
func Is(h http.Header) bool {
	media := mediaType(h.Get("Content-Type"))
	return media == Structured || media == Batched || h.Get(prefix+"Specversion") != ""
}

// Parse reads the events of a message. An error means that it is none; an event
// of a batch that is wrong by itself has Faults.
func Parse(h http.Header, body []byte) ([]Event, error) {
	switch media := mediaType(h.Get("Content-Type")); {
	case media == Batched:
		return batch(body)
	case media == Structured:
		t, err := hook.ParseObject(body)
		if err != nil {
			return nil, err
		}
		return []Event{structured(t)}, nil
	case strings.HasPrefix(media, "application/cloudevents"):
		return nil, fmt.Errorf("the format %s is not known; expected %s or %s", media, Structured, Batched)
	case h.Get(prefix+"Specversion") != "":
		return []Event{binary(h, media, body)}, nil
	}
	return nil, errors.New("not a CloudEvent: expected the headers ce-specversion, ce-id, ce-source and ce-type, or the content type " + Structured + " or " + Batched)
}

func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

func batch(body []byte) ([]Event, error) {
	t, err := hook.Parse(body)
	switch {
	case err != nil:
		return nil, err
	case !t.IsList():
		return nil, errors.New("expected a list of events")
	case len(t.List()) > maxBatch:
		return nil, fmt.Errorf("the batch has more than %d events", maxBatch)
	}
	events := make([]Event, 0, len(t.List()))
	for _, m := range t.List() {
		events = append(events, structured(m))
	}
	return events, nil
}

func structured(t hook.Tree) Event {
	e := Event{Extensions: map[string]string{}}
	for name, v := range t.Object() {
		switch name {
		case "data", "data_base64", "specversion":
		default:
			e.attribute(name, v.Text(""))
		}
	}
	e.data(t)
	return e.check(t.Text("specversion"))
}

// data takes the payload of a structured event.
func (e *Event) data(t hook.Tree) {
	encoded := t.Text("data_base64")
	data := t.At("data")
	switch {
	case encoded != "" && data.Known(""):
		e.fault("data", "there is data and data_base64; expected one of them")
	case encoded != "":
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			e.fault("data_base64", "is not base64")
		}
		e.payload(raw)
	case !data.Known(""):
	case isJSON(e.ContentType):
		e.Data, e.JSON, e.IsJSON = []byte(data.JSON()), data, true
	case data.Plain():
		e.Data = []byte(data.Text(""))
	default:
		e.Data = []byte(data.JSON())
	}
}

// payload takes bytes, which are JSON if their type says so.
func (e *Event) payload(raw []byte) {
	if e.Data = raw; len(raw) == 0 || !isJSON(e.ContentType) {
		return
	}
	t, err := hook.Parse(raw)
	if err != nil {
		e.fault("data", err.Error())
		return
	}
	e.JSON, e.IsJSON = t, true
}

// isJSON: no content type at all means JSON.
func isJSON(contentType string) bool {
	media := mediaType(contentType)
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

func binary(h http.Header, media string, body []byte) Event {
	e := Event{Extensions: map[string]string{}}
	for name, values := range h {
		if attr, ok := strings.CutPrefix(name, prefix); ok && len(values) > 0 && attr != "Specversion" {
			e.attribute(strings.ToLower(attr), decode(values[0]))
		}
	}
	e.ContentType = media
	e.payload(body)
	return e.check(h.Get(prefix + "Specversion"))
}

// decode undoes the percent-encoding of header values; what is none stays.
func decode(v string) string {
	if plain, err := url.PathUnescape(v); err == nil {
		return plain
	}
	return v
}

func (e *Event) attribute(name, value string) {
	switch name {
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "time":
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			e.fault("time", "is not like 2026-11-25T10:00:00Z")
		}
		e.Time = at
	case "datacontenttype":
		e.ContentType = value
	case "dataschema":
		e.Schema = value
	default:
		if value != "" {
			e.Extensions[name] = value
		}
	}
}

func (e *Event) fault(field, message string) {
	e.Faults = append(e.Faults, normal.Fault{Field: field, Message: message})
}

// check wants what every event must have.
func (e Event) check(version string) Event {
	if version != "1.0" {
		e.fault("specversion", "is not 1.0")
	}
	for _, must := range [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if must.value == "" {
			e.fault(must.name, "is missing; every CloudEvent has one")
		}
	}
	return e
}
