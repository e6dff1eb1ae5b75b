package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// canaries are the values of a person that must not be found after the erasure.
func canaries() map[string]string {
	return map[string]string{
		"e-mail": "canary.person.q7x@canarymail-q7x.example", "phone": "+49301739281", "first name": "Canfirstq7x", "last name": "Canlastq7x",
		"company": "Cancompany q7x Ltd", "street": "Canstreet q7x 12", "message": "canmessage q7x please", "user id": "canuser-q7x-1",
		"anonymous id": "cananon-q7x-1", "user agent": "canagent-q7x/1.0", "attribute": "canfreeattr q7x",
	}
}

// journal is a log that can be searched while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.buf.Bytes())
}

// forms are the ways a value may be written.
func formsOf(value string) [][]byte {
	texts := []string{value, strings.ToLower(value), strings.ToUpper(value), url.QueryEscape(value), url.PathEscape(value)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for pad := range 3 {
			text := enc.EncodeToString(append(make([]byte, pad), value...))
			from, to := (pad*8+5)/6, len(text)
			if (pad+len(value))%3 != 0 {
				to--
			}
			texts = append(texts, text[from:to])
		}
	}
	forms := make([][]byte, len(texts))
	for i, t := range texts {
		forms[i] = []byte(t)
	}
	return forms
}

// hits names the files below a directory in which a value is found.
func hits(t *testing.T, dir, value string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that is gone holds nothing
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		for _, form := range formsOf(value) {
			if bytes.Contains(raw, form) {
				files = append(files, path)
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAfterAnErasureNothingOfThePersonIsLeft(t *testing.T) {
	dir, log := t.TempDir(), &journal{}
	b, err := box.Open(t.Context(), box.Options{
		Data: dir, Config: example(t), NATSPort: -1, Doors: box.AnyDoors(), TimeScale: 0.02,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stopped := false
	end := func() {
		if !stopped {
			stopped = true
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(end)
	c := canaries()
	wait := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); !done(); {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s", what)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	form := func(more url.Values) (lead string) {
		v := url.Values{
			"email": {c["e-mail"]}, "phone": {c["phone"]}, "first_name": {c["first name"]}, "last_name": {c["last name"]}, "company": {c["company"]},
			"street": {c["street"]}, "message": {c["message"]}, "user_id": {c["user id"]}, "anonymous_id": {c["anonymous id"]}, "plan": {c["attribute"]},
			"consent_marketing_email": {"yes"},
		}
		for k := range more {
			v[k] = more[k]
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL(box.IngestHTTP)+"/v1/forms/website", strings.NewReader(v.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", c["user agent"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		var said struct {
			LeadID string `json:"lead_id"`
		}
		_ = json.NewDecoder(resp.Body).Decode(&said)
		return said.LeadID
	}
	lead := ""
	wait("the form is taken", func() bool { lead = form(nil); return lead != "" })
	wait("a mail is sent", func() bool { return b.Inbox.Counts().Received > 0 })
	form(url.Values{"form": {"demo"}})
	wait("sales has the lead", func() bool { return b.Desk.Counts().Leads > 0 })
	if _, err := b.Bus.Publish(t.Context(), &nats.Msg{Subject: "inbound.product", Data: []byte(`{"type":"track","userId":"` + c["user id"] + `","email":"` + c["e-mail"] + `"`)}); err != nil {
		t.Fatal(err)
	}
	wait("a message is parked", func() bool {
		list, err := b.Bus.ListParked(t.Context())
		return err == nil && len(list) > 0
	})
	// The search finds what is there: on the desk and among the parked.
	if len(hits(t, dir, c["e-mail"])) < 2 {
		t.Fatal("the search does not find what must be there before the erasure")
	}
	if found := hits(t, filepath.Join(dir, "nats", "jetstream", "$G", "streams", "LEADS"), c["e-mail"]); len(found) > 0 {
		t.Errorf("records of ingest are not sealed: %v", found)
	}
	conn, err := rpc.Dial(b.Addr(box.IngestGRPC))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	api := ingestv1.NewIngestServiceClient(conn)
	var erasure *ingestv1.Erasure
	wait("the erasure is finished", func() bool {
		ask, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		r, err := api.EraseLead(ask, &ingestv1.EraseLeadRequest{LeadId: lead})
		if err != nil {
			t.Fatal(err)
		}
		erasure = r.GetErasure()
		return erasure.GetFinishedAt() != nil
	})
	t.Logf("certificate %v", erasure)
	wait("the inbox is cleared", func() bool {
		mails, err := b.Inbox.Wait(t.Context(), 0)
		return err == nil && mails[0].To == ""
	})
	snap, err := b.Live.Snapshot(t.Context())
	if err != nil || snap.Orphans > 0 || snap.Unaccounted > 0 {
		t.Errorf("conservation: %+v, %v", snap, err)
	}
	reports, err := b.Verify(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, r := range reports {
		if len(r.Mismatches) > 0 {
			t.Errorf("%s: %+v", r.Service, r.Mismatches)
		}
	}
	end()
	for name, value := range c {
		if found := hits(t, dir, value); len(found) > 0 {
			t.Errorf("%s is still in %v", name, found)
		}
		for _, f := range formsOf(value) {
			if bytes.Contains(log.bytes(), f) {
				t.Errorf("%s is in the log", name)
			}
		}
	}
}
