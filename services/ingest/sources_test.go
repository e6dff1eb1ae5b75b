package ingest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/ingest"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// sourcesFile is a sources.yaml that a test changes.
type sourcesFile struct {
	t    *testing.T
	path string
}

func newSources(t *testing.T, yaml string) *sourcesFile {
	f := &sourcesFile{t, filepath.Join(t.TempDir(), "sources.yaml")}
	f.write(yaml)
	return f
}

func (f *sourcesFile) write(yaml string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(yaml), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *sourcesFile) room() *room {
	return newRoomWith(f.t, func(c *ingest.Config) { c.Sources = f.path })
}

func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// tracked sends one event under a key and gives the status.
func (r *room) tracked(key, id string) reply {
	r.t.Helper()
	return r.post("/v1/track", fmt.Appendf(nil, `{"userId":"u1","event":"Seen","messageId":%q,"writeKey":%q}`, id, key))
}

func (r *room) source(name string) (*ingestv1.Source, string) {
	r.t.Helper()
	got, err := r.api.ListSources(r.t.Context(), &ingestv1.ListSourcesRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range got.GetSources() {
		if s.GetName() == name {
			return s, got.GetFault()
		}
	}
	return nil, got.GetFault()
}

func TestTwoKeysLiveWhileASourceChangesThemAndABadFileChangesNothing(t *testing.T) {
	f := newSources(t, "sources:\n  shop:\n    keys: ["+hashed("old")+"]\n")
	r := f.room()
	if got := r.tracked("new", "m1"); got.status != http.StatusUnauthorized {
		t.Fatalf("a key that nobody knows: %d", got.status)
	}
	f.write("sources:\n  shop:\n    keys:\n      - {sha256: " + hashed("new")[7:] + ", prefix: nk_shop_n, created: 2026-11-25}\n      - " + hashed("old") + "\n")
	r.eventually("the new key opens", func() bool { return r.tracked("new", "m2").status == http.StatusOK })
	if got := r.tracked("old", "m3"); got.status != http.StatusOK {
		t.Errorf("the old key during the change: %d %s", got.status, got.body)
	}
	f.write("sources:\n  shop:\n    keys: [oops]\n")
	r.eventually("the bad file is told", func() bool { _, fault := r.source("shop"); return strings.Contains(fault, "sources.yaml:3:12") })
	if got := r.tracked("old", "m4"); got.status != http.StatusOK {
		t.Errorf("under a bad file: %d %s", got.status, got.body)
	}
	f.write("sources:\n  shop:\n    keys: [" + hashed("new") + "]\n")
	r.eventually("the old key is closed", func() bool { return r.tracked("old", "m5").status == http.StatusUnauthorized })
	src, fault := r.source("shop")
	if fault != "" || src.GetCounts().GetAccepted() < 3 || src.GetCounts().GetCreated() != 1 || src.GetLastEventAt() == nil {
		t.Errorf("listed %v, fault %q", src, fault)
	}
}

func TestASourceBeyondItsRateIsToldWhenToComeAgainAndOthersAreNot(t *testing.T) {
	f := newSources(t, "sources:\n  noisy:\n    keys: ["+hashed("noisy")+"]\n    limits: {events_per_second: 0.01, burst: 3}\n  quiet:\n    keys: ["+hashed("quiet")+"]\n")
	r := f.room()
	for i := range 3 {
		if got := r.tracked("noisy", fmt.Sprint("n", i)); got.status != http.StatusOK {
			t.Fatalf("event %d within the burst: %d %s", i, got.status, got.body)
		}
	}
	got := r.tracked("noisy", "n4")
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("beyond the burst: %d, Retry-After %q, %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	if got := r.tracked("quiet", "q1"); got.status != http.StatusOK {
		t.Errorf("the other source: %d %s", got.status, got.body)
	}
	if src, _ := r.source("noisy"); src.GetCounts().GetThrottled() != 1 || src.GetCounts().GetAccepted() != 3 {
		t.Errorf("counted %v", src.GetCounts())
	}
}

func TestAVisitorWhoFloodsAFormIsSlowedDownAndTheNextOneIsNot(t *testing.T) {
	f := newSources(t, "sources:\n  site:\n    form: {org_ids: [00D5g00000ABCDE]}\n    limits: {per_visitor_per_minute: 0.1, visitor_burst: 2}\n")
	r := newRoomWith(t, func(c *ingest.Config) { c.Sources, c.Proxies = f.path, []string{"127.0.0.0/8"} })
	for _, step := range []struct {
		name, ip, path, accept string
		status, leads, waiting int
	}{
		{"a program", "192.0.2.1", "/v1/forms/site", "application/json", 201, 1, 0},
		{"the same program", "192.0.2.1", "/v1/forms/site", "application/json", 201, 2, 0},
		{"the program beyond its limit is told", "192.0.2.1", "/v1/forms/site", "application/json", 429, 2, 0},
		{"another visitor", "192.0.2.2", "/v1/forms/site", "text/html", 303, 3, 0},
		{"the way of Salesforce is limited, too", "192.0.2.2", "/servlet/servlet.WebToLead", "text/html", 303, 4, 0},
		{"a browser beyond its limit sees no difference", "192.0.2.2", "/v1/forms/site", "text/html", 303, 4, 1},
		{"neither on the way of Salesforce", "192.0.2.2", "/servlet/servlet.WebToLead", "text/html", 303, 4, 2},
		{"it cannot fill the quarantine", "192.0.2.2", "/v1/forms/site", "text/html", 429, 4, 2},
		{"nor the place of the next one", "192.0.2.3", "/v1/forms/site", "text/html", 303, 5, 2},
	} {
		body := fmt.Sprintf("oid=00D5g00000ABCDE&email=jo%d.%d@acme.example", r.leads(), len(r.parked()))
		got := r.post(step.path, []byte(body), "Content-Type", formType, "Accept", step.accept, "X-Forwarded-For", step.ip)
		if got.status != step.status || step.status == 429 && got.header.Get("Retry-After") == "" {
			t.Errorf("%s: answered %d, Retry-After %q: %s", step.name, got.status, got.header.Get("Retry-After"), got.body)
		}
		waiting := r.parked()
		if r.leads() != step.leads || len(waiting) != step.waiting {
			t.Errorf("%s: %d leads, %d forms wait; expected %d and %d", step.name, r.leads(), len(waiting), step.leads, step.waiting)
		}
		if n := len(waiting); n > 0 && !strings.Contains(said(waiting[n-1]), "too many forms") {
			t.Errorf("%s: it waits because %q", step.name, said(waiting[n-1]))
		}
	}
}

func TestARejectBecomesTheLeadWhenTheMappingIsMended(t *testing.T) {
	const before = "sources:\n  shop:\n    keys: [%s]\n    form:\n      fields: {adresse: %s}\n"
	f := newSources(t, fmt.Sprintf(before, hashed("shop"), "note"))
	r := f.room()
	got := r.post("/v1/forms/shop", []byte("adresse=jo@acme.example&vorname=Jo"), "Content-Type", formType, "Accept", "application/json")
	if got.status != http.StatusBadRequest {
		t.Fatalf("a form without an address: %d %s", got.status, got.body)
	}
	list := r.rejects("shop")
	if len(list) != 1 || list[0].GetFaults()[0].GetField() != "email" || len(list[0].GetRaw()) > 0 || strings.Contains(list[0].GetBeginning(), "jo@") {
		t.Fatalf("rejects %v", list)
	}
	id := list[0].GetRejectId()
	still, err := r.api.RedriveReject(t.Context(), &ingestv1.RedriveRejectRequest{RejectId: id})
	if err != nil || still.GetTaken() || len(still.GetFaults()) != 1 {
		t.Fatalf("redriven before anything was mended: %v, %v", still, err)
	}
	f.write(fmt.Sprintf(before, hashed("shop"), "email"))
	var done *ingestv1.RedriveRejectResponse
	r.eventually("the mended mapping is in use", func() bool {
		done, err = r.api.RedriveReject(t.Context(), &ingestv1.RedriveRejectRequest{RejectId: id})
		return err == nil && done.GetTaken()
	})
	lead := r.lead(done.GetLeadIds()[0])
	if lead.GetProfile().GetEmail() != "jo@acme.example" || r.leads() != 1 || len(r.rejects("shop")) != 0 {
		t.Errorf("lead %v, %d leads, rejects %v", lead, r.leads(), r.rejects("shop"))
	}
	if a, err := r.api.ListActivities(t.Context(), &ingestv1.ListActivitiesRequest{LeadId: lead.GetLeadId()}); err != nil || time.Since(a.GetActivities()[0].GetOccurredAt().AsTime()) > time.Hour {
		t.Errorf("activities %v, %v", a, err)
	}
}

func TestAFloodOfRejectsIsCountedAndOnlyTheFirstOnesAreKept(t *testing.T) {
	f := newSources(t, "sources:\n  shop:\n    keys: ["+hashed("shop")+"]\n    limits: {rejects_per_minute: 5}\n")
	r := f.room()
	for i := range 20 {
		r.post("/v1/batch", fmt.Appendf(nil, `{"writeKey":"shop","batch":[{"type":"dance","userId":"%d"}]}`, i))
		r.post("/v1/batch", fmt.Appendf(nil, `{"writeKey":"stranger","batch":[{"type":"dance","userId":"%d"}]}`, i))
	}
	src, _ := r.source("shop")
	if n := len(r.rejects("shop")); n < 5 || n > 6 {
		t.Errorf("%d rejects are kept, expected 5", n)
	}
	if c := src.GetCounts(); c.GetRejected()["invalid"] != 20 || c.GetNotKept() < 14 {
		t.Errorf("counted %v", c)
	}
	if n := len(r.rejects("")); n > 6 {
		t.Errorf("%d rejects: what a stranger sent is kept", n)
	}
}

func (r *room) rejects(source string) []*ingestv1.Reject {
	r.t.Helper()
	got, err := r.api.ListRejects(r.t.Context(), &ingestv1.ListRejectsRequest{Source: source})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetRejects()
}

func TestATimeThatIsNotBelievedIsFlagged(t *testing.T) {
	r := newRoom(t)
	for i, tc := range []struct {
		at   time.Duration
		want string
	}{{-40 * 24 * time.Hour, "clamped_late"}, {time.Hour, "clamped_future"}, {-time.Hour, ""}} {
		resp, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{
			Who: &ingestv1.Who{Email: "jo@acme.example"},
			Activity: &leadv1.Activity{
				Id: strconv.Itoa(i), Type: "page_viewed", Source: "website", OccurredAt: timestamppb.New(time.Now().Add(tc.at)),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		acts, err := r.api.ListActivities(t.Context(), &ingestv1.ListActivitiesRequest{LeadId: resp.GetLeadId()})
		if err != nil {
			t.Fatal(err)
		}
		flagged := false
		for _, a := range acts.GetActivities() {
			flagged = flagged || a.GetId() == strconv.Itoa(i) && a.GetProperties()["clock"] == tc.want
		}
		if !flagged {
			t.Errorf("%v: activities %v", tc.at, acts.GetActivities())
		}
	}
}
