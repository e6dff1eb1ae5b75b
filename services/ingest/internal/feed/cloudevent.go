package feed

import (
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/cloudevents"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// canonical gives the headers of a message as HTTP spells them: NATS keeps them
// as they were written.
func canonical(h nats.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			out.Add(name, v)
		}
	}
	return out
}

// cloudEvents makes submissions of CloudEvents. Whoever may publish here is
// trusted, so nothing is verified; the source's fields and options hold if there
// is one of the name.
func (f *Feed) cloudEvents(name string, m bus.Msg, h http.Header) ([]person.Submission, error) {
	src, ok := f.Sources.Current().Named(name)
	if !ok {
		src = &source.Source{Name: name}
	}
	read, err := cloudevents.Dialect{}.Read(hook.Request{Header: h, Body: m.Data, Received: m.Time}, src)
	if err != nil {
		return nil, err
	}
	subs := make([]person.Submission, 0, len(read.Items))
	for i, it := range read.Items {
		if it.Submission == nil {
			return nil, fmt.Errorf("event %d: %w", i, describe(it.Faults))
		}
		subs = append(subs, *it.Submission)
	}
	return subs, nil
}
