package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// form fills in the website's form. A bad one has no address that mail could
// be sent to.
func (l *Load) form(ctx context.Context, p *torture.Person, s torture.Step) answer {
	f := url.Values{
		"email": {p.Email()}, "first_name": {"Kim"}, "anonymous_id": {p.Browser(s)},
		"submission_id": {s.ID}, "page_url": {"https://www.example.com/" + s.Message}, "form": {"contact"},
	}
	if s.Type == torture.DemoRequested {
		f.Set("form", "demo")
	}
	if s.Consent {
		f.Set("consent_marketing_email", "yes")
	}
	if s.Kind == torture.Bad {
		f.Set("email", "nobody at nowhere")
	}
	return l.post(ctx, l.Ingest+"/v1/forms/"+l.Source, "application/x-www-form-urlencoded", []byte(f.Encode()))
}

// track sends one call of the tracking library, or several in a batch.
func (l *Load) track(ctx context.Context, p *torture.Person, steps []torture.Step) answer {
	events := make([]map[string]any, len(steps))
	for i, s := range steps {
		events[i] = event(p, s)
	}
	path, body := "/v1/"+fmt.Sprint(events[0]["type"]), any(events[0])
	if len(events) > 1 {
		path, body = "/v1/batch", map[string]any{"batch": events}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return answer{status: torture.Unknown, reason: err.Error()}
	}
	return l.post(ctx, l.Ingest+path, "text/plain", raw)
}

// event is one call in the Segment dialect.
func event(p *torture.Person, s torture.Step) map[string]any {
	e := map[string]any{
		"type": "track", "event": s.Type, "messageId": s.ID, "anonymousId": p.Browser(s),
		"properties": map[string]any{"topic": s.Message},
	}
	if s.Type == torture.PageViewed {
		delete(e, "event")
		e["type"], e["name"] = "page", "/"
	}
	if s.Kind == torture.Poison {
		e["type"] = "riddle"
	}
	return e
}

// publish puts an event straight onto NATS. The server's answer says that the
// event is safe, and nothing about whether it can be read.
func (l *Load) publish(ctx context.Context, p *torture.Person, s torture.Step) answer {
	raw, err := json.Marshal(event(p, s))
	if err != nil {
		return answer{status: torture.Unknown, reason: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, l.client.Timeout)
	defer cancel()
	msg := &nats.Msg{Subject: bus.InboundSubject(l.Source), Data: raw, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, s.ID)
	if _, err := l.JS.PublishMsg(ctx, msg); err != nil {
		return answer{status: torture.Unknown, reason: err.Error()}
	}
	return answer{status: torture.Acked}
}

func (l *Load) post(ctx context.Context, address, contentType string, body []byte) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return answer{status: torture.Unknown, reason: err.Error()}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(l.Key, "")
	return l.do(req, func(code int, _ http.Header, body []byte) answer { return judge(code, body) })
}

// do makes a call and judges a whole answer. Without one nobody knows what came
// of it.
func (l *Load) do(req *http.Request, judge func(code int, header http.Header, body []byte) answer) answer {
	resp, err := l.client.Do(req)
	if err != nil {
		return answer{status: torture.Unknown, reason: words(err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil { // the status came, but its sender died: only a whole answer is one
		return answer{status: torture.Unknown, code: resp.StatusCode, reason: words(err)}
	}
	return judge(resp.StatusCode, resp.Header, raw)
}

// judge reads an answer. 429 and what begins with 5 promise nothing.
func judge(code int, raw []byte) answer {
	var body struct {
		LeadID   string            `json:"lead_id"`
		Success  *bool             `json:"success"`
		Rejected []json.RawMessage `json:"rejected"`
		Detail   string            `json:"detail"`
		Message  string            `json:"message"`
	}
	readable := json.Unmarshal(raw, &body) == nil
	a := answer{code: code, lead: body.LeadID, status: torture.Unknown}
	switch {
	case code >= 200 && code < 400 && (!readable || body.Success == nil || *body.Success):
		a.status = torture.Acked
	case code >= 200 && code < 400, code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		a.status, a.reason = torture.Refused, strings.TrimSpace(body.Detail+body.Message+join(body.Rejected))
		if a.reason == "" {
			a.reason = fmt.Sprintf("%d %.200s", code, raw)
		}
	default:
		a.reason = http.StatusText(code)
	}
	return a
}

func join(parts []json.RawMessage) string {
	var b strings.Builder
	for _, p := range parts {
		b.Write(p)
	}
	return b.String()
}

// words tells an error without the URL.
func words(err error) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err.Error()
	}
	return err.Error()
}
