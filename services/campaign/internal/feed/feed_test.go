package feed_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
)

func TestABounceForbidsContactAndAClickDoesNot(t *testing.T) {
	b := bustest.New(t)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for kind, want := range map[string]leadv1.Suppression{
		feed.Bounced: leadv1.Suppression_SUPPRESSION_HARD_BOUNCE,
		feed.Clicked: leadv1.Suppression_SUPPRESSION_UNSPECIFIED,
		feed.Opened:  leadv1.Suppression_SUPPRESSION_UNSPECIFIED,
	} {
		if err := (feed.Feed{Bus: b}).Tell(t.Context(), feed.Did{Lead: "l1", Type: kind, Touch: "l1-t1", At: at}); err != nil {
			t.Fatal(err)
		}
		raw, err := b.LastMsg(t.Context(), bus.Inbound, bus.InboundSubject("campaign"))
		if err != nil {
			t.Fatal(err)
		}
		in := &ingestv1.Inbound{}
		if err := proto.Unmarshal(raw.Data, in); err != nil {
			t.Fatal(err)
		}
		if got := in.GetTrack().GetSuppression(); got != want || in.GetTrack().GetActivity().GetType() != kind {
			t.Errorf("%s: told %v", kind, in)
		}
	}
}
