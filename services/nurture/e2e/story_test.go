// Package e2e plays the whole product: the story of the essay in one process,
// and a few leads through four processes.
package e2e

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/story"
)

// example is the configuration that the repository ships.
func example(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../deploy/example")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOfAHundredLeadsAboutTwentyAreReadyAndNobodyIsLost(t *testing.T) {
	o := story.Defaults()
	o.Config = example(t)
	log := &journal{}
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	verdicts := verdictsCounted(t)
	o.After = func(ctx context.Context, b *box.Box) error {
		verify(ctx, t, b, "with a warm cache")
		if err := b.FlushRedis(ctx); err != nil {
			return err
		}
		verify(ctx, t, b, "after the cache was emptied")
		return nil
	}
	report, err := story.Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	namesNobody(t, log)
	t.Logf("report %+v", report)
	if err := report.Check(100); err != nil {
		t.Error(err)
	}
	if n := report.QualifiedAtArrival; n < 15 || n > 25 {
		t.Errorf("%d leads were ready at arrival, want about 20", n)
	}
	if report.Funnel.Bounced != 2 {
		t.Errorf("%d mails bounced, want one for each of the two mailboxes that do not exist", report.Funnel.Bounced)
	}
	if report.HandedOff < report.QualifiedAtArrival || report.Nurturing == 0 || report.Recycled == 0 || report.Mails < 100 {
		t.Errorf("the story left a part out: %+v", report)
	}
	// Gateways scanned some of the mails and providers loaded pictures; others read.
	judged := verdicts(context.WithoutCancel(t.Context()))
	t.Logf("verdicts %v", judged)
	if judged["human human"] == 0 || judged["machine trap_link"] == 0 || judged["machine privacy_proxy"] == 0 {
		t.Errorf("scanners, proxies and readers were not told apart: %v", judged)
	}
}

// namesNobody looks for e-mail addresses in a log of every level: lead ids are
// enough to follow a lead. What the log warns of is shown.
func namesNobody(t *testing.T, log *journal) {
	t.Helper()
	address := regexp.MustCompile(`(?i)[a-z0-9._+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}`)
	lines, shown := 0, 0
	for line := range strings.Lines(string(log.bytes())) {
		lines++
		if found := address.FindString(line); found != "" && shown < 10 {
			shown++
			t.Errorf("the log has the address %s: %s", found, line)
		}
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			t.Log(line)
		}
	}
	if lines < 100 {
		t.Errorf("the log has %d lines: it was not written at every level", lines)
	}
}

// verify rebuilds all states from the log.
func verify(ctx context.Context, t *testing.T, b *box.Box, when string) {
	t.Helper()
	reports, err := b.Verify(ctx)
	if err != nil {
		t.Errorf("verify %s: %v", when, err)
	}
	for _, r := range reports {
		t.Logf("%s: %s leads=%d mismatches=%d", when, r.Service, r.Leads, len(r.Mismatches))
		if len(r.Mismatches) > 0 || r.Leads == 0 {
			t.Errorf("%s: %s has %d leads and mismatches %+v", when, r.Service, r.Leads, r.Mismatches)
		}
	}
}
