// Package linkedin reads the webhooks of LinkedIn's lead sync, which tell only
// URNs, and asks its REST API for the leads. Pure.
//
// The shape of the notification, the challenge and the signature are documented.
// The shape of the REST answers is recalled: where they differ, Resolve says
// what it expected, and the fetch is parked with those words.
package linkedin

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// header carries the signature.
const header = "X-Li-Signature"

// prefix is signed before the body.
const prefix = "hmacsha256="

// Dialect is kind linkedin.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{
		hook.OptionActivity: "what sending the form means; default form_submitted",
		"api_version":       "month of the REST API, like 202510; default " + defaultVersion,
		hook.OptionBase:     "where the REST API is; default https://api.linkedin.com/rest",
	}
}

// Greet answers the challenge, as LinkedIn repeats it every two hours.
func (Dialect) Greet(req hook.Request, src *source.Source) (*hook.Answer, error) {
	code := req.Query.Get("challengeCode")
	if code == "" || len(code) > 200 {
		return nil, fmt.Errorf("%w: expected challengeCode", hook.ErrUnsigned)
	}
	if len(src.Secrets) == 0 {
		return nil, fmt.Errorf("%w: source %s has no secrets to answer with", hook.ErrForged, src.Name)
	}
	body, err := json.Marshal(map[string]string{
		"challengeCode":     code,
		"challengeResponse": hook.Hex(hook.HMAC([]byte(src.Secrets[0]), []byte(code))),
	})
	if err != nil {
		return nil, fmt.Errorf("answer challenge: %w", err)
	}
	return &hook.Answer{ContentType: "application/json", Body: body}, nil
}

// Verify checks the signature over the body.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	got := strings.TrimPrefix(req.Header.Get(header), prefix)
	return hook.CheckHMAC(src, header, got, hook.Hex, []byte(prefix), req.Body)
}

// Read gives what is to be fetched, or somebody who asks to be forgotten.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.Parse(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	told := body.List()
	if !body.IsList() {
		told = []hook.Tree{body}
	}
	var out hook.Reading
	for _, t := range told {
		if t.Object() == nil {
			return hook.Reading{}, fmt.Errorf("expected an object like {\"type\":\"LEAD_ACTION\",...}")
		}
		out.Items = append(out.Items, read(t, req, src))
	}
	return out, nil
}

func read(t hook.Tree, req hook.Request, src *source.Source) hook.Item {
	urn, action := t.Text("leadGenFormResponse"), t.Text("leadAction")
	at := t.Time("occurredAt")
	switch {
	case t.Text("type") != "LEAD_ACTION":
		return hook.Item{Ignored: hook.IgnoredKind}
	case urn == "":
		return hook.Item{Faults: hook.Fault("leadGenFormResponse", "is missing; without it the lead cannot be fetched")}
	case action == "DELETED":
		return hook.Erasure(src, urn, urn+"/DELETED", at)
	case action != "CREATED":
		return hook.Item{ID: urn, Faults: hook.Fault("leadAction", "is neither CREATED nor DELETED")}
	}
	facts := map[string]string{}
	for name, path := range map[string]string{
		"form_id": "leadGenForm", "lead_type": "leadType", "account": "owner.sponsoredAccount",
		"organization": "owner.organization", "creative": "associatedEntity.associatedCreative",
	} {
		if v := t.Text(path); v != "" {
			facts[name] = v
		}
	}
	return hook.Item{ID: urn + "/CREATED", Fetch: &hook.Fetch{
		Source: src.Name, Id: urn + "/CREATED", Kind: "lead", Ref: urn, Facts: facts,
		OccurredAt: hook.Stamp(at), ReceivedAt: timestamppb.New(req.Received),
	}}
}
