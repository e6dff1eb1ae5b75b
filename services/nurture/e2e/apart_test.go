package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// hurried is the example with verdicts after a second.
func hurried(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(example(t))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "signals.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(raw), "quarantine: 10s", "quarantine: 1s", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// couple is two leads, one of whom a machine reads the mails of, too.
type couple struct {
	*person
	api   ingestv1.IngestServiceClient
	score scoringv1.ScoringServiceClient
	leads [2]string
	names string
}

func (c *couple) meet() {
	c.t.Helper()
	for i, title := range []string{"Clerk", "CTO"} {
		got, err := c.api.CaptureLead(c.t.Context(), &ingestv1.CaptureLeadRequest{
			Source: "product", Profile: &leadv1.Profile{Email: title + c.names + "@gmail.com", JobTitle: title, Country: "DE"},
		})
		if err != nil {
			c.t.Fatal(err)
		}
		c.leads[i] = got.GetLeadId()
	}
}

// click follows a link of one's mail at a moment, as a person or as a scanner.
func (c *couple) click(who int, id string, at time.Time, agent string) {
	c.t.Helper()
	_, err := c.api.TrackActivity(c.t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: c.leads[who]},
		Activity: &leadv1.Activity{
			Id: c.leads[who] + id, Type: "email_clicked", Source: "campaign", OccurredAt: timestamppb.New(at),
			Properties: map[string]string{"touch_id": c.leads[who] + "-t1"}, Hit: &leadv1.Hit{Agent: agent, Link: id, Network: "198.51.100.0/24"},
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// scores are both leads' as of a moment, without who they are and how their stage came about.
func (c *couple) scores(at time.Time) (both [2]*scoringv1.ExplainScoreResponse) {
	c.t.Helper()
	for i, lead := range c.leads {
		got, err := c.score.ExplainScore(c.t.Context(), &scoringv1.ExplainScoreRequest{LeadId: lead, AsOf: timestamppb.New(at)})
		if err != nil {
			c.t.Fatal(err)
		}
		got.Score.LeadId, got.Score.StageSince, got.Score.StageReason = "", nil, ""
		both[i] = got
	}
	return both
}

// clicks waits until somebody's clicks are worth so many points, of 12 each and
// fading.
func (c *couple) clicks(who, n int) {
	c.t.Helper()
	c.wait("clicks are judged and counted", func() bool {
		got, err := c.score.ExplainScore(c.t.Context(), &scoringv1.ExplainScoreRequest{LeadId: c.leads[who]})
		if err != nil {
			return false
		}
		points := got.GetScore().GetBehaviour()
		return points > 12*float64(n)-3 && points <= 12*float64(n)
	})
}

const (
	browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	scanner = "python-requests/2.32.3"
)

func TestAfterAMergeAndAnUnmergeBothHaveTheScoresTheyWouldHaveWithout(t *testing.T) {
	b, p := openOn(t, hurried(t))
	conn, err := rpc.Dial(b.Addr(box.ScoringGRPC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	api, score := p.api(), scoringv1.NewScoringServiceClient(conn)
	joined := &couple{person: p, api: api, score: score, names: "1"}
	apart := &couple{person: p, api: api, score: score, names: "2"}
	begin := time.Now().Truncate(time.Second)
	both := func(who int, id string, at time.Time, agent string) {
		joined.click(who, id, at, agent)
		apart.click(who, id, at, agent)
	}
	joined.meet()
	apart.meet()
	both(0, "a", begin.Add(-50*time.Second), browser)
	both(1, "b", begin.Add(-40*time.Second), browser)
	joined.clicks(0, 1)
	joined.clicks(1, 1)

	if _, err := api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: joined.leads[0], FromLeadId: joined.leads[1], By: "ada"}); err != nil {
		t.Fatal(err)
	}
	joined.clicks(0, 2) // what the other one did is the survivor's
	both(0, "c", begin.Add(-30*time.Second), browser)
	both(1, "f", begin.Add(-25*time.Second), browser)
	both(1, "d", begin.Add(-300*time.Second), scanner)
	joined.clicks(0, 4)
	if _, err := api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: joined.leads[1], By: "ada"}); err != nil {
		t.Fatal(err)
	}
	both(1, "e", begin.Add(-20*time.Second), browser)
	for _, c := range []*couple{joined, apart} {
		c.clicks(0, 2)
		c.clicks(1, 3)
	}
	at := time.Now()
	want := apart.scores(at)
	for i, got := range joined.scores(at) {
		if diff := cmp.Diff(want[i], got, protocmp.Transform()); diff != "" {
			t.Errorf("lead %d (-never merged +merged and separated): %s", i, diff)
		}
	}
	if want[0].GetScore().GetFit() == want[1].GetScore().GetFit() {
		t.Errorf("the two fit alike, so nothing was proved: %v", want)
	}
}
