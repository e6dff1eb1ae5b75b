package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
)

// Ten leads go through four processes, a NATS server and a redis-server: the
// same services as in the story, each on its own, and everybody needs a token.
func TestFourProcessesOnRealEnginesDoTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("builds five binaries")
	}
	c := newCluster(t)
	c.start("ingest")
	c.start("scoring")
	c.start("campaign")
	c.start("handoff")

	b, err := bus.Connect(t.Context(), bus.Options{URL: c.nats, Name: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	live := funnel.Follow(b, time.Now)
	crowd := c.crowd(10)
	c.background("funnel", live.Run)
	c.background("population", crowd.Run)

	var snap funnel.Snapshot
	c.until("ten leads have their place, sales has answered, mails were sent", 60*time.Second, func() bool {
		snap, err = live.Snapshot(t.Context())
		return err == nil && snap.Captured == 10 && snap.Unaccounted == 0 && snap.HandedOff >= 2 && snap.Accepted >= 1 &&
			snap.Sent >= 8 && snap.Orphans == 0 && !crowd.Visiting()
	})
	if snap.Parked > 0 || snap.AtArrival != 2 || c.mails.Counts().Doubles > 0 || crowd.Refused() > 0 {
		t.Errorf("parked %d, ready at arrival %d, sent twice %d, refused %d", snap.Parked, snap.AtArrival, c.mails.Counts().Doubles, crowd.Refused())
	}
	c.onlyWithToken()
	c.flushRedis()
	reports, err := box.VerifyLog(t.Context(), b, box.Verification{Config: c.example, Service: "all", DataKey: strings.Repeat("cd", 32)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if len(r.Mismatches) > 0 || r.Leads == 0 {
			t.Errorf("%s: leads=%d mismatches=%+v", r.Service, r.Leads, r.Mismatches)
		}
	}
	c.endAll()
}
