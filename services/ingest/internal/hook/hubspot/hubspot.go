// Package hubspot reads the webhooks of HubSpot: what happens to contacts in its
// CRM, and forms. Contacts are told by id only and are asked for. Pure.
package hubspot

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/crm"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Headers of the signature.
const (
	headerSignature = "X-Hubspot-Signature-V3"
	headerTime      = "X-Hubspot-Request-Timestamp"
)

// What is fetched.
const (
	kindContact = "contact"
	kindStatus  = "status"
)

// Dialect is kind hubspot.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{
		hook.OptionActivity: "what a form or a new contact means; default form_submitted and contact_created",
		hook.OptionBase:     "where the API is; default https://api.hubapi.com",
	}
}

// Verify checks the signature of version 3: over method, address, body and time.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	got, at := req.Header.Get(headerSignature), req.Header.Get(headerTime)
	if got == "" || at == "" {
		return fmt.Errorf("%w: expected the headers X-HubSpot-Signature-v3 and X-HubSpot-Request-Timestamp", hook.ErrUnsigned)
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: X-HubSpot-Request-Timestamp is not in milliseconds since 1970", hook.ErrForged)
	}
	if err := hook.Fresh(time.UnixMilli(ms), req.Received); err != nil {
		return err
	}
	return hook.Try(src, headerSignature, func(secret string) bool {
		fits := false
		for _, address := range [...]string{req.URL, decoded(req.URL)} {
			sum := hook.HMAC([]byte(secret), []byte(req.Method), []byte(address), req.Body, []byte(at))
			if hook.Same(hook.Base64(sum), got) {
				fits = true
			}
		}
		return fits
	})
}

// decoded is an address as HubSpot signs it when it has escaped characters.
func decoded(address string) string {
	if plain, err := url.PathUnescape(address); err == nil {
		return plain
	}
	return address
}

// Read takes a list of events, one event, or a form.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.Parse(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	if body.At("fields").IsList() {
		return hook.Reading{Items: []hook.Item{form(body, src)}}, nil
	}
	events := body.List()
	if !body.IsList() {
		events = []hook.Tree{body}
	}
	out := hook.Reading{Items: make([]hook.Item, len(events))}
	for i, e := range events {
		if e.Object() == nil {
			return hook.Reading{}, fmt.Errorf("event %d is not an object; expected a list like [{\"eventId\":1,\"subscriptionType\":\"contact.creation\",...}]", i)
		}
		out.Items[i] = event(e, req, src)
	}
	return out, nil
}

// event reads one event of the CRM.
func event(e hook.Tree, req hook.Request, src *source.Source) hook.Item {
	id, object, at := e.Text("eventId"), e.Text("objectId"), e.Time("occurredAt")
	switch {
	case id == "":
		return hook.Item{Faults: hook.Fault("eventId", "is missing; HubSpot numbers its events")}
	case object == "":
		return hook.Item{ID: id, Faults: hook.Fault("objectId", "is missing; it says which contact it is")}
	}
	ask := func(kind string, facts map[string]string) hook.Item {
		return hook.Item{ID: id, Fetch: &hook.Fetch{
			Source: src.Name, Id: id, Kind: kind, Ref: object, Facts: facts,
			OccurredAt: hook.Stamp(at), ReceivedAt: timestamppb.New(req.Received),
		}}
	}
	name, value := e.Text("propertyName"), e.Text("propertyValue")
	switch kind := e.Text("subscriptionType"); kind {
	case "contact.privacyDeletion":
		return hook.Erasure(src, contact(object), id, at)
	case "contact.deletion":
		return hook.Item{ID: id, Sales: told(src, id, object, ingestv1.SalesStatus_SALES_STATUS_DELETED, e)}
	case "contact.creation":
		return ask(kindContact, map[string]string{"why": kind})
	case "contact.propertyChange":
		if name != "hs_lead_status" && name != "lifecyclestage" {
			return ask(kindContact, map[string]string{"why": kind})
		}
		if crm.Ready("hubspot", value) == ingestv1.SalesStatus_SALES_STATUS_UNSPECIFIED {
			return hook.Item{ID: id, Ignored: hook.IgnoredKind}
		}
		return ask(kindStatus, map[string]string{"property": name, "value": value})
	case "company.propertyChange":
		if companyField(name) == "" || value == "" {
			return hook.Item{ID: id, Ignored: hook.IgnoredKind}
		}
		return companyTold(src, e)
	}
	return hook.Item{ID: id, Ignored: hook.IgnoredKind}
}

// contact is the id a contact is known under in this source.
func contact(object string) string { return "contact/" + object }

// told makes what happened to a contact a word of sales.
func told(src *source.Source, id, object string, status ingestv1.SalesStatus, e hook.Tree) *hook.Sales {
	return &hook.Sales{
		Source: src.Name, Id: id, Status: status, ExternalId: contact(object),
		By: strings.TrimSpace(e.Text("sourceId")), OccurredAt: hook.Stamp(e.Time("occurredAt")),
	}
}
