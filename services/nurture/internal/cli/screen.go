package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
	"github.com/nurturehq/nurture/services/nurture/internal/traffic"
)

// welcome prints where everything is and three things to try.
func welcome(p *printer, b *box.Box, o box.Options) error {
	p.f("Nurture is running. Everything listens on loopback.\n\n")
	p.f("  mails as the leads see them   %s\n", b.URL(box.InboxHTTP))
	p.f("  CRM desk of sales             %s\n", b.URL(box.DeskHTTP))
	p.f("  forms and tracking            %s\n", b.URL(box.IngestHTTP))
	p.f("  scores, programs, handoffs    %s  %s  %s\n", b.URL(box.ScoringHTTP), b.URL(box.CampaignHTTP), b.URL(box.HandoffHTTP))
	p.f("  log (NATS)                    %s\n", b.NATSURL())
	p.f("  data, development keys        %s\n\n", o.Data)
	p.f("Try:\n")
	for _, line := range examples(b) {
		p.f("  %s\n", line)
	}
	p.f("\n")
	return p.err
}

// How often the funnel is shown: redrawn in place on a terminal, as a new line
// elsewhere.
const (
	redraw  = 500 * time.Millisecond
	newLine = 5 * time.Second
)

// show prints the live funnel until ctx ends.
func show(ctx context.Context, out io.Writer, b *box.Box) error {
	every, inPlace := newLine, terminal(out)
	if inPlace {
		every = redraw
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	drawn := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		snap, err := b.Live.Snapshot(ctx)
		if err != nil {
			continue // NATS may be restarting; the next look shows it again
		}
		lines := funnelLines(snap)
		text := strings.Join(lines, " | ") + "\n"
		if inPlace {
			text = over(drawn, lines)
			drawn = len(lines)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
}

// over draws lines where the last ones stand, so that a narrow terminal needs
// no scrolling.
func over(drawn int, lines []string) string {
	var s strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&s, "\x1b[%dA\x1b[J", drawn)
	}
	for _, line := range lines {
		s.WriteString("\r\x1b[K" + line + "\n")
	}
	return s.String()
}

func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// funnelLines is the funnel in short lines: where the leads are now, which adds up
// to those captured, and what happened so far.
func funnelLines(s funnel.Snapshot) []string {
	at := func(stage leadv1.Stage) int { return s.Stages[stage] }
	lines := []string{
		fmt.Sprintf("captured %d: %d nurturing, %d qualified, %d at sales", s.Captured, s.Nurturing(), at(leadv1.Stage_STAGE_QUALIFIED), s.AtSales()),
		fmt.Sprintf("%d won, %d lost, %d suppressed, %d closed otherwise, %d orphans", at(leadv1.Stage_STAGE_WON), at(leadv1.Stage_STAGE_LOST),
			at(leadv1.Stage_STAGE_SUPPRESSED), at(leadv1.Stage_STAGE_DISQUALIFIED)+at(leadv1.Stage_STAGE_INACTIVE)+at(leadv1.Stage_STAGE_ERASED), s.Orphans),
		fmt.Sprintf("so far: %d handed over, %d accepted, %d recycled", s.HandedOff, s.Accepted, s.Recycled),
		fmt.Sprintf("mails: %d sent, %d deferred, %d suppressed, %d bounced; parked %d", s.Sent, s.Deferred, s.Suppressed, s.Bounced, s.Parked),
	}
	if s.Parked > 0 {
		lines = append(lines, "look at what is parked: nurture parked list")
	}
	return lines
}

// examples are three lines that work as they stand.
func examples(b *box.Box) []string {
	ingest := b.URL(box.IngestHTTP)
	return []string{
		"curl -i " + ingest + "/v1/forms/" + traffic.ExampleSource +
			" -d form=demo -d email=you@yourcompany.example -d first_name=You -d consent_marketing_email=yes",
		"curl -i -u " + traffic.ExampleKey + ": " + ingest + "/v1/page -d '{\"anonymousId\":\"me\",\"properties\":{\"path\":\"/pricing\"}}'",
		"curl " + b.URL(box.CampaignHTTP) + "/v1/programs",
	}
}
