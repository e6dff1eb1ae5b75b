package feed_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
)

func TestRepeatsOfWhatALeadDidAreOneActivity(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ids := map[string]bool{}
	tell := func(d feed.Did) {
		d.Lead, d.Touch, d.Program, d.Step = "lead-1", "lead-1-t1", "welcome", "hello"
		if err := (feed.Feed{Bus: b}).Tell(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		raw, err := b.LastMsg(t.Context(), bus.Inbound, "inbound.campaign")
		if err != nil {
			t.Fatal(err)
		}
		in := &ingestv1.Inbound{}
		if err := proto.Unmarshal(raw.Data, in); err != nil {
			t.Fatal(err)
		}
		if in.GetTrack().GetWho().GetLeadId() != "lead-1" || in.GetTrack().GetActivity().GetProperties()["touch_id"] != "lead-1-t1" {
			t.Errorf("told %v", in)
		}
		ids[in.GetTrack().GetActivity().GetId()] = true
	}
	for _, later := range []time.Duration{0, 100 * time.Millisecond, time.Hour} {
		tell(feed.Did{Type: feed.Opened, At: at.Add(later)})
	}
	for _, later := range []time.Duration{0, 100 * time.Millisecond} {
		tell(feed.Did{Type: feed.Clicked, URL: "https://acme.example/a", At: at.Add(later)})
	}
	if len(ids) != 2 {
		t.Fatalf("%d activities, want one open and one click", len(ids))
	}
	tell(feed.Did{Type: feed.Clicked, URL: "https://acme.example/b", At: at})
	tell(feed.Did{Type: feed.Clicked, URL: "https://acme.example/a", At: at.Add(time.Second)})
	if len(ids) != 4 {
		t.Errorf("%d activities: another address and another second are clicks of their own", len(ids))
	}
}
