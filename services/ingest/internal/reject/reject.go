// Package reject is what a source sent and ingest did not take: why, and what
// is needed to read it again. Pure.
package reject

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// Kinds of readers, besides the dialects of webhooks, which are kinds as well.
const (
	// Form: the body of POST /v1/forms/{source}.
	Form = "form"
	// Segment: one event, or the body of a call, in the Segment dialect.
	Segment = "segment"
	// PostHog: one event of PostHog's libraries.
	PostHog = "posthog"
	// Mail: a mail that came back.
	Mail = "mail"
	// Inbound: an encoded ingestv1.Inbound.
	Inbound = "inbound"
)

// Reasons why something was not taken, shown to people.
const (
	// Undecodable: it is not what its sender promised.
	Undecodable = "undecodable"
	// Invalid: it can be read, and fields of it cannot be used.
	Invalid = "invalid"
	// Refused: it is right by itself, and does not fit what is known.
	Refused = "refused"
	// Quarantined: it looks as if a machine sent it.
	Quarantined = "quarantined"
)

// ErrUnknown: there is no reject of this number, or not any more.
var ErrUnknown = errors.New("there is no such reject: see `nurture rejects list`")

// Rejected is one thing that a source sent and that was not taken. Its sender
// was authenticated: what a stranger sends is counted and not kept.
type Rejected struct {
	Source string
	// Kind is the reader it was meant for.
	Kind   string
	Reason string
	// Faults say what is wrong. Their messages may quote what was sent.
	Faults []normal.Fault
	// Raw is what the reader was given, decompressed; of a batch the one event.
	Raw         []byte
	ContentType string
	// About is what else the reader needs, by names of its own: "path", "query",
	// "ip", "header:Ce-Type". No signatures and no keys.
	About map[string]string
	// At is when it was received.
	At time.Time
}

// ContentType is the header of a parked message that holds Rejected.ContentType.
const ContentType = "Content-Type"

// Parked writes it as it is kept.
func (r Rejected) Parked() *ledgerv1.Parked {
	p := &ledgerv1.Parked{
		Service: "ingest", Source: r.Source, Kind: r.Kind, Reason: r.Reason, Data: r.Raw,
		Headers: map[string]string{}, MessageTime: timestamppb.New(r.At), FirstAt: timestamppb.New(r.At),
	}
	for name, value := range r.About {
		p.Headers[name] = value
	}
	if r.ContentType != "" {
		p.Headers[ContentType] = r.ContentType
	}
	for _, f := range r.Faults {
		p.Faults = append(p.Faults, &ledgerv1.Fault{Field: f.Field, Message: f.Message})
	}
	if len(r.Faults) > 0 {
		p.Error = strings.TrimPrefix(r.Faults[0].Field+": "+r.Faults[0].Message, ": ")
	}
	return p
}

// Is reports whether a parked message is one that ingest can read again. What
// another service has parked is none.
func Is(p *ledgerv1.Parked) bool { return p.GetSource() != "" || p.GetKind() == Inbound }

// From reads it back.
func From(p *ledgerv1.Parked) Rejected {
	r := Rejected{
		Source: p.GetSource(), Kind: p.GetKind(), Reason: p.GetReason(), Raw: p.GetData(),
		ContentType: p.GetHeaders()[ContentType], About: map[string]string{}, At: p.GetMessageTime().AsTime(),
	}
	for name, value := range p.GetHeaders() {
		if name != ContentType {
			r.About[name] = value
		}
	}
	for _, f := range p.GetFaults() {
		r.Faults = append(r.Faults, normal.Fault{Field: f.GetField(), Message: f.GetMessage()})
	}
	return r
}
