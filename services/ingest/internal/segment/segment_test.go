package segment

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
)

var received = time.Date(2026, 11, 22, 12, 0, 10, 0, time.UTC)

func read(t testing.TB, body, kind string) []Item {
	t.Helper()
	env, err := Open([]byte(body), kind)
	if err != nil {
		t.Fatal(err)
	}
	return env.Read(From{Source: "website", Country: "DE", Received: received})
}

func TestEventsSayTheSameInOurWords(t *testing.T) {
	at := func(s string) *timestamppb.Timestamp {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(when)
	}
	for _, tc := range []struct {
		name, kind, body string
		want             *ingestv1.CaptureLeadRequest
	}{
		{
			"identify of a server library", "", `{"type":"identify","userId":"u1","messageId":"m","traits":{"email":"Jo@Acme.example","firstName":"Jo","phone":"030 901820",
				"company":{"name":"Acme","employee_count":120},"address":{"country":"Germany"},"plan":"pro","id":"x","logins":3}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", Profile: &leadv1.Profile{
				Email: "jo@acme.example", FirstName: "Jo", Phone: "+4930901820", Company: "Acme", CompanyDomain: "acme.example", Employees: 120, Country: "DE",
				Attributes: map[string]string{"plan": "pro", "logins": "3"},
			}, Company: &ingestv1.Company{Name: "Acme", Employees: 120}},
		},
		{
			"page of a browser library", "page", `{"anonymousId":"a1","messageId":"m","name":"Prices","originalTimestamp":"2026-11-22T11:59:00Z","sentAt":"2026-11-22T12:00:00Z",
				"properties":{"path":"/pricing"},"context":{"campaign":{"name":"q4","source":"search"},"page":{"url":"https://www.example.com/pricing?gclid=g"},"locale":"de-DE"}}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", AnonymousId: "a1", Profile: &leadv1.Profile{}, OccurredAt: at("2026-11-22T11:59:10Z"),
				Attribution: &leadv1.Attribution{UtmCampaign: "q4", UtmSource: "search", ClickIds: map[string]string{"gclid": "g"}, LandingPage: "https://www.example.com/pricing?gclid=g"},
				Activity: &leadv1.Activity{Id: "m", Type: "page_viewed", Properties: map[string]string{
					"path": "/pricing", "name": "Prices", "url": "https://www.example.com/pricing?gclid=g",
				}},
			},
		},
		{
			"track with odd types", "track", `{"userId":42,"event":"Order Completed","timestamp":1795348800000,"properties":{"total":12.50,"gift":true,"items":[1,2],"none":null},"traits":[]}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", UserId: "42", Profile: &leadv1.Profile{}, OccurredAt: at("2026-11-22T12:00:00Z"),
				Activity: &leadv1.Activity{Type: "order_completed", Properties: map[string]string{"total": "12.50", "gift": "true", "items": "[1,2]"}},
			},
		},
		{
			"group", "group", `{"userId":"u1","groupId":"g","traits":{"name":"Acme","industry":"Software","employees":51,"website":"https://acme.example","tier":"gold"}}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", GroupId: "g", Profile: &leadv1.Profile{
				Company: "Acme", Industry: "Software", Employees: 51, Website: "https://acme.example", CompanyDomain: "acme.example",
			}, Company: &ingestv1.Company{
				Name: "Acme", Industry: "Software", Employees: 51, Website: "https://acme.example", Attributes: map[string]string{"tier": "gold"},
			}},
		},
		{
			"an event in a group", "track", `{"userId":"u1","event":"Invited","context":{"groupId":"g"}}`,
			&ingestv1.CaptureLeadRequest{
				Source: "website", UserId: "u1", GroupId: "g", Profile: &leadv1.Profile{}, Activity: &leadv1.Activity{Type: "invited"},
			},
		},
		{
			"alias", "alias", `{"userId":"u1","previousId":"a1"}`,
			&ingestv1.CaptureLeadRequest{Source: "website", UserId: "u1", AnonymousId: "a1", PreviousId: "a1", Profile: &leadv1.Profile{}},
		},
	} {
		items := read(t, tc.body, tc.kind)
		if len(items) != 1 || items[0].Submission == nil || len(items[0].Faults) > 0 {
			t.Errorf("%s: %+v", tc.name, items)
			continue
		}
		if diff := cmp.Diff(tc.want, items[0].Submission.Apply.GetCapture(), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got): %s", tc.name, diff)
		}
	}
}

func TestABatchSharesWhatItSaysOnce(t *testing.T) {
	items := read(t, `{"sentAt":"2026-11-22T12:00:00Z","context":{"traits":{"email":"jo@acme.example"}},"batch":[
		{"type":"track","userId":"u","event":"a","timestamp":"2026-11-22T11:00:00Z"},{"type":"track","userId":"u","event":"b","context":{"traits":{"email":"kim@acme.example"}}}]}`, "batch")
	first, second := items[0].Submission.Apply.GetCapture(), items[1].Submission.Apply.GetCapture()
	if got := first.GetOccurredAt().AsTime(); !got.Equal(time.Date(2026, 11, 22, 11, 0, 10, 0, time.UTC)) {
		t.Errorf("happened %s: the sender's clock is ten seconds late", got)
	}
	if first.GetProfile().GetEmail() != "jo@acme.example" || second.GetProfile().GetEmail() != "kim@acme.example" {
		t.Error("an event's own context is stronger than the batch's")
	}
}

func TestBodiesBeyondTheLimitsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		body string
		want error
	}{
		{`{"batch":[` + strings.Repeat(`{},`, MaxEvents) + `{}]}`, ErrTooMany},
		{`{"batch":[]}`, ErrNoEvents},
		{`{}`, ErrNoEvents},
		{`[`, ErrJSON},
		{``, ErrJSON},
		{strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), loose.ErrDeep},
	} {
		if _, err := Open([]byte(tc.body), "batch"); !errors.Is(err, tc.want) {
			t.Errorf("%.40s: %v, expected %v", tc.body, err, tc.want)
		}
	}
	items := read(t, fmt.Sprintf(`{"batch":[{"type":"track","userId":"u","event":"x","a":"%s"},{"type":"track","userId":"u","event":"x"}]}`, strings.Repeat("a", MaxEvent)), "batch")
	if items[0].Submission != nil || items[1].Submission == nil {
		t.Error("one event that is too large spoils only itself")
	}
}

func TestNoBodyBreaksTheReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`null`, `1`, `"x"`, `[]`, `{}`, `[{}]`, `{"a":{"b":[1]}}`, `true`, `"2026-01-01"`, `-1e400`, `""`})
		var fields []string
		for _, name := range []string{"type", "event", "userId", "anonymousId", "messageId", "timestamp", "sentAt", "traits", "properties", "context", "writeKey"} {
			fields = append(fields, fmt.Sprintf(`%q:%s`, name, value.Draw(t, name)))
		}
		one := "{" + strings.Join(fields, ",") + "}"
		body := rapid.SampledFrom([]string{one, `{"batch":[` + one + `]}`, `{"batch":` + value.Draw(t, "batch") + `}`, value.Draw(t, "body")}).Draw(t, "shape")
		env, err := Open([]byte(body), rapid.SampledFrom([]string{"", "batch", "track", "identify"}).Draw(t, "kind"))
		if err != nil {
			return
		}
		for _, item := range env.Read(From{Source: "s", Received: received}) {
			if item.Submission == nil && len(item.Faults) == 0 {
				t.Fatalf("%s was dropped without a reason", body)
			}
		}
	})
}
