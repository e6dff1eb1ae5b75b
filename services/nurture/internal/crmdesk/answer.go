package crmdesk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Verdict is what a rep says about a lead.
type Verdict string

// The verdicts, one button each.
const (
	Accept Verdict = "accept"
	Reject Verdict = "reject"
	Won    Verdict = "won"
	Lost   Verdict = "lost"
)

// Answer is a verdict with what belongs to it.
type Answer struct {
	Lead    string
	Verdict Verdict
	// Reason is required with Reject; Text with the reason OTHER.
	Reason leadv1.RejectReason
	Text   string
	// By names the rep, RequestID makes a repeat harmless.
	By, RequestID string
	// AmountMinor is the value of a deal won, in the currency's minor unit.
	AmountMinor int64
	Currency    string
}

// Answer tells handoff what sales decided. The error says in handoff's words
// why it was refused.
func (d *Desk) Answer(ctx context.Context, a Answer) (*handoffv1.Handoff, error) {
	path, req, err := request(a)
	if err != nil {
		return nil, err
	}
	resp := &handoffv1.AcceptResponse{} // all four answers carry the handoff in the same field
	if err := d.call(ctx, http.MethodPost, "/v1/handoffs/"+url.PathEscape(a.Lead)+path, req, resp); err != nil {
		return nil, fmt.Errorf("%s lead %s: %w", a.Verdict, a.Lead, err)
	}
	d.store.learn(a.Lead, resp.GetHandoff())
	return resp.GetHandoff(), nil
}

func request(a Answer) (path string, req proto.Message, err error) {
	switch a.Verdict {
	case Accept:
		return ":accept", &handoffv1.AcceptRequest{By: a.By, RequestId: a.RequestID}, nil
	case Reject:
		return ":reject", &handoffv1.RejectRequest{Reason: a.Reason, Text: a.Text, By: a.By, RequestId: a.RequestID}, nil
	case Won:
		return "/outcome", &handoffv1.RecordOutcomeRequest{
			Outcome: handoffv1.Outcome_OUTCOME_WON, AmountMinor: a.AmountMinor, Currency: a.Currency,
			Text: a.Text, By: a.By, RequestId: a.RequestID,
		}, nil
	case Lost:
		return "/outcome", &handoffv1.RecordOutcomeRequest{
			Outcome: handoffv1.Outcome_OUTCOME_LOST, Text: a.Text, By: a.By, RequestId: a.RequestID,
		}, nil
	}
	return "", nil, fmt.Errorf("unknown verdict %q: use accept, reject, won or lost", a.Verdict)
}

// look asks handoff for the present state of some leads and notes it.
func (d *Desk) look(ctx context.Context, leads []string) error {
	if len(leads) == 0 {
		return nil
	}
	resp := &handoffv1.BatchGetHandoffsResponse{}
	if err := d.call(ctx, http.MethodPost, "/v1/handoffs:batchGet", &handoffv1.BatchGetHandoffsRequest{LeadIds: leads}, resp); err != nil {
		return err
	}
	for _, h := range resp.GetHandoffs() {
		d.store.learn(h.GetLeadId(), h)
	}
	return nil
}

func (d *Desk) call(ctx context.Context, method, path string, in, out proto.Message) error {
	body, err := protojson.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.opts.Handoff+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if d.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+d.opts.Token)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return fmt.Errorf("call handoff: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
	if err != nil {
		return fmt.Errorf("read handoff's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.Status, answer)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read handoff's answer: %w", err)
	}
	return nil
}

// refusal is handoff's own message when it has one.
func refusal(status string, body []byte) error {
	var problem struct{ Message, Detail, Title string }
	_ = json.Unmarshal(body, &problem)
	for _, text := range []string{problem.Message, problem.Detail, problem.Title} {
		if text != "" {
			return fmt.Errorf("handoff answered %s: %s", status, text)
		}
	}
	return fmt.Errorf("handoff answered %s", status)
}
