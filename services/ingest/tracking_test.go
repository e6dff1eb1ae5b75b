package ingest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func zipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestABatchTakesTheGoodEventsAndNamesTheBadOnes(t *testing.T) {
	r := newRoom(t)
	body := []byte(`{"sentAt":"2026-11-22T03:10:49.653Z","batch":[
		{"type":"identify","userId":7,"messageId":"m1","traits":{"email":"jo@acme.example","company":{"name":"Acme","employee_count":120},"consents":{"marketing_email":true}}},
		{"type":"track","userId":"7","messageId":"m2","event":"Demo Requested","properties":{"plan":"pro","seats":5}},
		{"type":"dance","userId":"7","messageId":"m3"},
		{"type":"track","messageId":"m4","event":"Nobody Did It"},
		"not an event",
		{"type":"identify","userId":"8","messageId":"m6","traits":{"email":"not an address","phone":"12"}}]}`)
	got := r.post("/v1/batch", zipped(t, body), "Content-Encoding", "gzip", "Content-Type", formType,
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(websiteKey))) // without colon
	if got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	var said struct {
		Success    bool
		Accepted   int
		Rejected   []struct{ Index int }
		Incomplete []struct {
			Index  int
			Errors []struct{ Field string }
		}
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		t.Fatal(err)
	}
	if said.Success || said.Accepted != 3 || fmt.Sprint(said.Rejected) != "[{2} {3} {4}]" {
		t.Errorf("answered %s", got.body)
	}
	if len(said.Incomplete) != 1 || len(said.Incomplete[0].Errors) != 2 || said.Incomplete[0].Errors[0].Field != "email" {
		t.Errorf("the values left out are not named: %s", got.body)
	}
	id := r.submit("email=jo@acme.example")
	lead := r.lead(id)
	if p := lead.GetProfile(); p.GetCompany() != "Acme" || p.GetEmployees() != 120 || lead.GetUserIds()[0] != "7" {
		t.Errorf("lead %v", lead)
	}
	if c := lead.GetConsents(); len(c) != 1 || !c[0].GetGranted() || c[0].GetPurpose() != "marketing_email" {
		t.Errorf("consents %v", c)
	}
	if got := r.types(id); got != "demo_requested form_submitted" {
		t.Errorf("activities %q", got)
	}
}

func TestAnEventSentTwiceIsOneActivity(t *testing.T) {
	r := newRoom(t)
	ev := map[string]any{"userId": "u1", "messageId": "m1", "event": "Video Played"}
	r.track("/v1/track", ev)
	r.track("/v1/track", ev)
	got, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{UserId: "u1"}, Activity: &leadv1.Activity{Id: "m1", Source: "website", Type: "video_played"},
	})
	if err != nil || !got.GetDuplicate() {
		t.Fatalf("the third time, over gRPC: %v, %v", got, err)
	}
	if got := r.types(got.GetLeadId()); got != "video_played" {
		t.Errorf("activities %q", got)
	}
}

func TestTheSendersClockIsCorrectedAndBounded(t *testing.T) {
	r := newRoom(t)
	now := time.Now()
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339Nano) }
	for i, tc := range []struct {
		name         string
		stamp, sent  string
		oldest, late time.Duration
	}{
		{"a clock an hour ahead", at(59 * time.Minute), at(time.Hour), -2 * time.Minute, 0},
		{"last year", at(-400 * 24 * time.Hour), "", -31 * 24 * time.Hour, -29 * 24 * time.Hour},
		{"next year", at(400 * 24 * time.Hour), "", 4 * time.Minute, 6 * time.Minute},
		{"no clock", "yesterday or so", "", -time.Second, time.Minute},
	} {
		user := fmt.Sprintf("u%d", i)
		r.track("/v1/track", map[string]any{"userId": user, "event": "Tick", "timestamp": tc.stamp, "sentAt": tc.sent})
		known, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{Who: &ingestv1.Who{UserId: user}, Activity: &leadv1.Activity{Type: "tock"}})
		if err != nil {
			t.Fatal(err)
		}
		acts, err := r.api.ListActivities(t.Context(), &ingestv1.ListActivitiesRequest{LeadId: known.GetLeadId()})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range acts.GetActivities() {
			if got := a.GetOccurredAt().AsTime().Sub(now); a.GetType() == "tick" && (got < tc.oldest || got > tc.late) {
				t.Errorf("%s: happened %s from now, expected %s to %s", tc.name, got, tc.oldest, tc.late)
			}
		}
	}
}

func TestBadTrackingRequestsSayWhatToDo(t *testing.T) {
	r := newRoom(t)
	big := `{"type":"track","userId":"u","event":"x","writeKey":"` + websiteKey + `","properties":{"a":"` + strings.Repeat("a", 600<<10) + `"}}`
	for _, tc := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"no key", "/v1/track", `{"userId":"u","event":"x"}`, 401, "Basic"},
		{"wrong key", "/v1/track", `{"userId":"u","event":"x","writeKey":"nope"}`, 401, "sources.yaml"},
		{"no JSON", "/v1/track", `hello`, 400, "not JSON"},
		{"too deep", "/v1/track", strings.Repeat("[", 40), 400, "deeper"},
		{"too large", "/v1/track", big, 413, "512000"},
		{"empty batch", "/v1/batch", `{"batch":[],"writeKey":"` + websiteKey + `"}`, 400, "empty"},
		{"nobody", "/v1/track", `{"event":"x","writeKey":"` + websiteKey + `"}`, 400, `"field":"userId"`},
		{"nothing done", "/v1/track", `{"userId":"u","writeKey":"` + websiteKey + `"}`, 400, `"field":"event"`},
		{"wrong type", "/v1/track", `{"userId":{"a":1},"event":"x","writeKey":"` + websiteKey + `"}`, 400, "fields"},
	} {
		got := r.post(tc.path, []byte(tc.body))
		if got.status != tc.status || !strings.Contains(string(got.body), tc.says) {
			t.Errorf("%s: answered %d %s, expected %d and %q", tc.name, got.status, got.body, tc.status, tc.says)
		}
		if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/problem+json") {
			t.Errorf("%s: content type %q", tc.name, kind)
		}
	}
	if got := r.post("/v1/batch", zipped(t, []byte(big))); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is large only when unzipped: answered %d", got.status)
	}
}

func TestTheEventsOfOneLeadStayInOrder(t *testing.T) {
	r := newRoom(t)
	id := r.submit("email=jo@acme.example&user_id=u1")
	batch := make([]any, 40)
	for i := range batch {
		batch[i] = map[string]any{"type": "track", "userId": "u1", "event": fmt.Sprintf("Step %02d", i)}
	}
	r.track("/v1/batch", map[string]any{"batch": batch})
	want := "form_submitted"
	for i := range batch {
		want += fmt.Sprintf(" step_%02d", i)
	}
	if got := r.types(id); got != want {
		t.Errorf("activities %q", got)
	}
}

func TestBrowserLibrariesFindTheirAddresses(t *testing.T) {
	r := newRoom(t)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(websiteKey+":"))
	for i, tc := range []struct{ name, path, body, auth, kind string }{
		{"analytics.js", "/v1/t", `{"anonymousId":"a","event":"E"}`, basic, "text/plain"},
		{"analytics.js, batching", "/v1/b", `{"batch":[{"type":"page","anonymousId":"a"}],"writeKey":"` + websiteKey + `"}`, "", "text/plain"},
		{"bearer", "/v1/track", `{"anonymousId":"a","event":"E"}`, "Bearer " + websiteKey, ""},
		{"another's bearer and the key in the body", "/v1/i", `{"anonymousId":"a","writeKey":"` + websiteKey + `"}`, "Bearer token", ""},
		{"import", "/v1/import?x=1", `{"batch":[{"type":"track","anonymousId":"a","event":"E"}]}`, basic, "application/json"},
		{"a beacon", "/beacon/v1/batch?writeKey=" + websiteKey, `{"batch":[{"type":"track","anonymousId":"a","event":"E"}]}`, "", "text/plain"},
		{"PostHog's batch", "/batch/", `{"api_key":"` + websiteKey + `","batch":[{"event":"E","distinct_id":"a"}]}`, "", "application/json"},
		{"PostHog's capture", "/capture", `{"api_key":"` + websiteKey + `","event":"E","distinct_id":"a"}`, "", ""},
		{"PostHog's form", "/e/?compression=base64", "data=" + base64.URLEncoding.EncodeToString([]byte(`{"event":"E","properties":{"distinct_id":"a","token":"`+websiteKey+`"}}`)), "", formType},
		{"PostHog's newest", "/i/v0/e/?ip=0", `[{"event":"E","properties":{"distinct_id":"a","token":"` + websiteKey + `"}}]`, "", "text/plain"},
	} {
		for _, body := range [][]byte{[]byte(tc.body), zipped(t, []byte(tc.body))} {
			got := r.post(tc.path, body, "Authorization", tc.auth, "Content-Type", tc.kind, "Origin", "https://www.example.com")
			if got.status != http.StatusOK || got.json(t)["accepted"] != 1.0 {
				t.Errorf("%d: %s: answered %d %s", i, tc.name, got.status, got.body)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "https://www.example.com" || got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: headers %v", tc.name, got.header)
			}
		}
	}
	if n := len(r.parked()); n != 0 {
		t.Errorf("%d parked", n)
	}
}

func TestABrowserMayAskBeforeItSends(t *testing.T) {
	r := newRoom(t)
	for _, path := range []string{"/v1/t", "/v1/batch", "/e/", "/flags/", "/sourceConfig/", "/v1/projects/k/settings", "/v1/forms/website"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://www.example.com")
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-retry-count")
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-retry-count" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
}

func TestALibraryThatAsksForItsSettingsIsToldToSendHere(t *testing.T) {
	r := newRoom(t)
	for path, says := range map[string]string{
		"/v1/projects/" + websiteKey + "/settings":              strings.TrimPrefix(r.url, "http://") + "/v1",
		"/sourceConfig/?p=npm&v=3&writeKey=" + websiteKey:       `"destinations":[]`,
		"/v1/projects/wrong/settings":                           "not known",
		"/sourceConfig/?writeKey=":                              "missing",
		"/array/" + websiteKey + "/config?ip=0&_=1&ver=1.449.2": "supportedCompression",
		"/array/" + websiteKey + "/config.js":                   "_POSTHOG_REMOTE_CONFIG",
	} {
		resp, err := r.http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(body.String(), says) {
			t.Errorf("%s: %d %s, expected %q", path, resp.StatusCode, body.String(), says)
		}
	}
}

func TestAnEventThatCannotBeUsedIsKeptForAPerson(t *testing.T) {
	r := newRoom(t)
	r.track("/v1/batch", map[string]any{"batch": []any{
		map[string]any{"type": "dance", "userId": "u"},
		map[string]any{"type": "track", "userId": "u", "event": "E"},
		map[string]any{"type": "track", "userId": "u", "event": "E", "integrations": map[string]any{"All": false}},
	}})
	parked := r.parked()
	if len(parked) != 1 || parked[0].GetSource() != "website" || parked[0].GetKind() != "segment" || parked[0].GetFaults()[0].GetField() != "type" {
		t.Fatalf("parked %v, expected the one event", parked)
	}
	if got := string(parked[0].GetData()); !strings.Contains(got, `"dance"`) {
		t.Errorf("kept %s", got)
	}
}
