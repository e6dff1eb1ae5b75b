package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// person is somebody made of canaries, who leaves them wherever a person can.
type person struct {
	t *testing.T
	// ingest, handoff, desk and inbox are base URLs, grpc is ingest's, nats the log's.
	ingest, handoff, desk, inbox, grpc, nats string
	lead                                     string
}

func (p *person) wait(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); {
		if time.Now().After(deadline) {
			p.t.Fatalf("not in time: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// post sends JSON as the person's browser would, and gives status and answer.
func (p *person) post(path, key string, body map[string]any) (int, string) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.postTo(p.ingest+path, key, string(raw))
}

// postTo is post to any address.
func (p *person) postTo(address, key, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", canaries()["user agent"])
	if key != "" {
		req.SetBasicAuth(key, "")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

func (p *person) get(address string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("User-Agent", canaries()["user agent"])
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// page is an address of ours with all that an address can tell of a person.
func (p *person) page() string {
	c := canaries()
	return "https://www.nurture.example/" + c["page"] + "?q=" + c["query of a page"] + "&utm_source=" + c["campaign"] + "&utm_campaign=" + c["campaign"] +
		"&gclid=" + c["click id"] + "&email=" + c["e-mail"]
}

// fill fills in the form; more wins.
func (p *person) fill(more map[string]any) (lead string) {
	p.t.Helper()
	c := canaries()
	form := map[string]any{
		"email": c["e-mail"], "phone": c["phone"], "first_name": c["first name"], "last_name": c["last name"], "company": c["company"],
		"street": c["street"], "message": c["message"], "user_id": c["user id"], "anonymous_id": c["anonymous id"], "hobby": c["attribute"],
		"page_url": p.page(), "utm_source": c["campaign"], "gclid": c["click id"], "referrer": "https://" + c["referrer"] + "/", "consent_marketing_email": "yes",
	}
	for k, v := range more {
		form[k] = v
	}
	var said struct {
		LeadID string `json:"lead_id"`
	}
	code, answer := p.post("/v1/forms/website", "", form)
	if code == http.StatusOK || code == http.StatusCreated {
		_ = json.Unmarshal([]byte(answer), &said)
	}
	if said.LeadID == "" {
		p.t.Logf("the form was answered %d %s", code, answer)
	}
	return said.LeadID
}

// track sends what a browser's library sends.
func (p *person) track() {
	p.t.Helper()
	c := canaries()
	about := map[string]any{
		"ip": c["address on the net"], "userAgent": c["user agent"], "locale": "de-DE",
		"page":     map[string]any{"url": p.page(), "path": "/" + c["page"], "title": c["title of a page"], "referrer": "https://" + c["referrer"] + "/", "search": "?q=" + c["query of a page"]},
		"campaign": map[string]any{"source": c["campaign"], "name": c["campaign"]},
	}
	batch := []any{
		map[string]any{"type": "page", "anonymousId": c["anonymous id"], "context": about, "properties": map[string]any{"url": p.page(), "path": "/pricing", "title": c["title of a page"]}},
		map[string]any{
			"type": "identify", "userId": c["user id"], "anonymousId": c["anonymous id"], "context": about,
			"traits": map[string]any{"email": c["e-mail"], "hobby": c["attribute"], "crm_id": c["external id"]},
		},
		map[string]any{"type": "track", "event": "Demo Viewed", "userId": c["user id"], "context": about, "properties": map[string]any{"comment": c["property"]}},
	}
	if status, answer := p.post("/v1/batch", "website-write-key", map[string]any{"batch": batch}); status != http.StatusOK {
		p.t.Fatalf("the batch: %d %s", status, answer)
	}
}

// fail sends what cannot be used, on the web and to the log.
func (p *person) fail() {
	p.t.Helper()
	c := canaries()
	bad := map[string]any{
		"type": "track", "userId": c["user id"], "context": map[string]any{"traits": map[string]any{"email": c["e-mail"]}},
		"properties": map[string]any{"comment": c["words of a reject"]},
	} // a track without the name of its event
	if status, answer := p.post("/v1/batch", "website-write-key", map[string]any{"batch": []any{bad}}); status >= http.StatusInternalServerError {
		p.t.Fatalf("the event that cannot be used: %d %s", status, answer)
	}
	p.fill(map[string]any{"fax_number": "1", "message": c["words of a reject"]}) // as a machine does
	conn, err := nats.Connect(p.nats)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Request("inbound.product", []byte(`{"type":"track","userId":"`+c["user id"]+`","email":"`+c["e-mail"]+`"`), 5*time.Second)
	if err != nil {
		p.t.Fatal(err)
	}
}

// click opens the first mail in the inbox and follows its links, as a person
// and not as a scanner does.
func (p *person) click() {
	p.t.Helper()
	mail := ""
	p.wait("a mail is sent", func() bool {
		mail = first(`href="(/mails/[^"]+)"`, p.get(p.inbox+"/"))
		return mail != ""
	})
	link := first(`href="(http://127[^"]*/c/[^"]*)"`, p.get(p.inbox+mail+"/html"))
	if link == "" {
		p.t.Fatalf("the mail has no link: %s", p.get(p.inbox+mail+"/html"))
	}
	p.get(strings.ReplaceAll(link, "&amp;", "&"))
}

func first(pattern, text string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// live does all that a person can do, until sales has the lead and what cannot
// be used is parked.
func (p *person) live() {
	p.t.Helper()
	p.wait("the form is taken", func() bool { p.lead = p.fill(nil); return p.lead != "" })
	p.track()
	p.click()
	p.fill(map[string]any{"form": "demo"})
	p.wait("sales has the lead", func() bool { return strings.Contains(p.get(p.desk+"/"), p.lead) })
	p.comeBack()
	p.fail()
	p.wait("what cannot be used waits for a person", func() bool {
		got, err := p.api().ListRejects(p.t.Context(), &ingestv1.ListRejectsRequest{})
		return err == nil && len(got.GetRejects()) >= 3
	})
	got, err := p.api().ListActivities(p.t.Context(), &ingestv1.ListActivitiesRequest{LeadId: p.lead, Limit: 100})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, want := range []string{"email_clicked", "demo_requested"} {
		if !strings.Contains(fmt.Sprint(got.GetActivities()), want) {
			p.t.Errorf("the person never did %s: %v", want, got.GetActivities())
		}
	}
}

// comeBack is given back by sales with some words, which whoever asks is shown.
func (p *person) comeBack() {
	p.t.Helper()
	said := canaries()["words of sales"]
	code, answer := p.postTo(p.handoff+"/v1/handoffs/"+p.lead+":reject", "", `{"reason":"REJECT_REASON_OTHER","by":"ada","text":"`+said+`"}`)
	if code != http.StatusOK || !strings.Contains(answer, said) {
		p.t.Fatalf("sales gives the lead back: %d %s", code, answer)
	}
	if shown := p.get(p.handoff + "/v1/handoffs/" + p.lead); !strings.Contains(shown, said) || strings.Contains(shown, "sealedText") {
		p.t.Errorf("the handoff is shown as %s", shown)
	}
}

func (p *person) api() ingestv1.IngestServiceClient {
	p.t.Helper()
	conn, err := rpc.Dial(p.grpc)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return ingestv1.NewIngestServiceClient(conn)
}

// erase asks for the erasure once and gives the certificate.
func (p *person) erase(api ingestv1.IngestServiceClient) *ingestv1.Erasure {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 40*time.Second)
	defer cancel()
	r, err := api.EraseLead(ctx, &ingestv1.EraseLeadRequest{LeadId: p.lead, RequestedBy: "ticket 1"})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.GetErasure()
}

// askAgain asks for an erasure that was killed before it was written down: whoever
// asked for it got no answer.
func (p *person) askAgain(api ingestv1.IngestServiceClient) {
	p.t.Helper()
	_, err := api.GetErasure(p.t.Context(), &ingestv1.GetErasureRequest{LeadId: p.lead})
	if status.Code(err) == codes.NotFound {
		p.erase(api)
	}
}

// erased waits until the certificate says that all is done.
func (p *person) erased(api ingestv1.IngestServiceClient) *ingestv1.Erasure {
	p.t.Helper()
	var c *ingestv1.Erasure
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the certificate: %v", c)
		}
	}()
	p.wait("the erasure is finished", func() bool {
		r, err := api.GetErasure(p.t.Context(), &ingestv1.GetErasureRequest{LeadId: p.lead})
		c = r.GetErasure()
		return err == nil && c.GetFinishedAt() != nil
	})
	return c
}
