package posthog

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

var received = time.Date(2026, 11, 22, 12, 0, 10, 0, time.UTC)

func read(t testing.TB, body string) (*Envelope, []segment.Item) {
	t.Helper()
	env, err := Open([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return env, env.Read(segment.From{Source: "website", Country: "DE", Received: received})
}

func TestEventsOfPostHogSayTheSameInOurWords(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       *ingestv1.CaptureLeadRequest
	}{
		{
			"identify of a server library", `{"event":"$identify","distinct_id":"u1","properties":{"$set":{"email":"Jo@Acme.example","plan":"pro"},"$set_once":{"plan":"free","first_page":"/"}}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", Profile: &leadv1.Profile{
				Email: "jo@acme.example", CompanyDomain: "acme.example", Attributes: map[string]string{"plan": "pro", "first_page": "/"},
			}},
		},
		{
			"identify of a browser ties it to its visitor", `{"event":"$identify","properties":{"distinct_id":"u1","$anon_distinct_id":"a1","$device_id":"a1","token":"k"},"$set":{"name":"Jo Doe"}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", AnonymousId: "a1", Profile: &leadv1.Profile{FirstName: "Jo", LastName: "Doe"}},
		},
		{
			"a page seen by a browser", `{"event":"$pageview","uuid":"m","properties":{"distinct_id":"a1","$device_id":"a1","$current_url":"https://www.example.com/pricing?utm_source=search","$pathname":"/pricing",
				"$referrer":"$direct","title":"Prices","$raw_user_agent":"Browser/1","$os":"Linux","$device_type":"Desktop","gclid":"g","$browser":"B"},"offset":2000}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", AnonymousId: "a1", Profile: &leadv1.Profile{}, OccurredAt: timestamppb.New(received.Add(-2 * time.Second)),
				Attribution: &leadv1.Attribution{UtmSource: "search", ClickIds: map[string]string{"gclid": "g"}, LandingPage: "https://www.example.com/pricing?utm_source=search"},
				Activity: &leadv1.Activity{Id: "m", Type: "page_viewed", Properties: map[string]string{
					"title": "Prices", "gclid": "g", "url": "https://www.example.com/pricing?utm_source=search", "path": "/pricing", "user_agent": "Browser/1", "os": "Linux", "device_type": "Desktop",
				}},
			},
		},
		{
			"an event with traits and an anonymous person", `{"event":"demo requested","distinct_id":"x1","timestamp":"2026-11-22T11:00:00Z","properties":{"$process_person_profile":false,"seats":5,"$set":{"email":"jo@acme.example"}}}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", AnonymousId: "x1", Profile: &leadv1.Profile{Email: "jo@acme.example", CompanyDomain: "acme.example"},
				OccurredAt: timestamppb.New(received.Add(-time.Hour - 10*time.Second)),
				Activity:   &leadv1.Activity{Type: "demo_requested", Properties: map[string]string{"seats": "5"}},
			},
		},
		{
			"two users are one", `{"event":"$merge_dangerously","distinct_id":"u1","properties":{"alias":"u2"}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", AnonymousId: "u2", PreviousId: "u2", Profile: &leadv1.Profile{}},
		},
		{
			"an event in groups", `{"event":"invited","distinct_id":"u1","properties":{"$groups":{"project":"p","company":"acme"}}}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", UserId: "u1", GroupId: "acme", Profile: &leadv1.Profile{}, Activity: &leadv1.Activity{Type: "invited"},
			},
		},
		{
			"a group and nobody in it", `{"event":"$groupidentify","distinct_id":"$company_acme","properties":{"$group_type":"company","$group_key":"acme","$group_set":{"name":"Acme","website":"acme.example"}}}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", GroupId: "acme", Profile: &leadv1.Profile{Company: "Acme", Website: "acme.example", CompanyDomain: "acme.example"},
				Company: &ingestv1.Company{Name: "Acme", Website: "acme.example"},
			},
		},
		{
			"alias", `{"event":"$create_alias","distinct_id":"u1","properties":{"alias":"a1"}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", AnonymousId: "a1", Profile: &leadv1.Profile{}},
		},
	} {
		_, items := read(t, tc.body)
		if len(items) != 1 || items[0].Submission == nil || len(items[0].Faults) > 0 {
			t.Errorf("%s: %+v", tc.name, items)
			continue
		}
		got := items[0].Submission.Apply.GetCapture()
		if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got): %s", tc.name, diff)
		}
	}
}

func TestEveryWayToWrapABodyIsRead(t *testing.T) {
	const event = `{"event":"e>?","distinct_id":"u1","properties":{"token":"the-key"}}`
	b64 := base64.StdEncoding.EncodeToString([]byte(event))
	for name, body := range map[string]string{
		"one event":            event,
		"a list":               "[" + event + "]",
		"a batch":              `{"api_key":"the-key","batch":[` + event + `]}`,
		"a single with a key":  `{"api_key":"the-key","event":"e","distinct_id":"u1"}`,
		"base64":               b64,
		"base64 for addresses": base64.RawURLEncoding.EncodeToString([]byte(event)),
		"a form of base64":     url.Values{"data": {b64}, "compression": {"base64"}}.Encode(),
		"a form, not escaped":  "data=" + b64,
		"a form of JSON":       url.Values{"ip": {"0"}, "data": {event}}.Encode(),
	} {
		env, items := read(t, body)
		if env.APIKey != "the-key" || len(items) != 1 || items[0].Submission == nil {
			t.Errorf("%s: key %q, %+v", name, env.APIKey, items)
		}
	}
}

func TestWhatIsAboutTheLibraryIsLeftOutAndSaysSo(t *testing.T) {
	for _, body := range []string{
		`{"event":"$autocapture","distinct_id":"a1"}`, `{"event":"$feature_flag_called","distinct_id":"a1"}`,
		`{"event":"$groupidentify","distinct_id":"$company_acme","properties":{"$group_type":"project","$group_key":"acme"}}`,
	} {
		if _, items := read(t, body); items[0].Submission != nil || items[0].LeftOut == "" || len(items[0].Faults) > 0 {
			t.Errorf("%s: %+v", body, items)
		}
	}
}

func TestBodiesThatPostHogNeverSendsAreRefused(t *testing.T) {
	for body, want := range map[string]error{
		"": ErrNoEvents, "  ": ErrNoEvents, "[]": ErrNoEvents, `{"batch":[]}`: ErrNoEvents, "hello": ErrJSON, "data=%zz": ErrJSON, "aGVsbG8=": ErrJSON, "{": ErrJSON, "[1": ErrJSON,
		strings.Repeat("[", 40): loose.ErrDeep, `{"batch":[` + strings.Repeat("1,", segment.MaxEvents) + `1]}`: segment.ErrTooMany,
	} {
		if _, err := Open([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, expected %v", body, err, want)
		}
	}
}

// FuzzPostHog wants that no body breaks the reader, and that every event has a
// submission, or a reason why not.
func FuzzPostHog(f *testing.F) {
	for _, seed := range []string{
		`{"api_key":"k","batch":[{"event":"$identify","distinct_id":"u1","properties":{"$set":{"email":"jo@acme.example"}}}],"sent_at":"2026-11-22T12:00:00Z"}`,
		`[{"event":"e","properties":{"distinct_id":7,"token":"k","$groups":{"company":"c"}}}]`, `data=eyJldmVudCI6ImUiLCJkaXN0aW5jdF9pZCI6InUifQ%3D%3D`,
		`{"event":"$pageview","offset":"1e9","properties":{"$current_url":"https://x.example/?gclid=1","$referrer":"$direct"}}`, `{"batch":[null,1,"x",[]]}`, `data=`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := Open(body)
		if err != nil {
			return
		}
		for _, item := range env.Read(segment.From{Source: "s", Country: "DE", Received: received}) {
			if item.Submission == nil && len(item.Faults) == 0 && item.LeftOut == "" {
				t.Fatalf("%q was dropped without a reason", body)
			}
			if item.Submission != nil {
				if _, err := item.Submission.Command(); err != nil {
					t.Fatalf("%q cannot be written: %v", body, err)
				}
			}
		}
	})
}
