package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func newSignals() *cobra.Command {
	return group("signals", "Tell machines from people, also in what was before", newRejudge())
}

func newRejudge() *cobra.Command {
	var since string
	var dry bool
	cmd := &cobra.Command{
		Use: "rejudge", Short: "Judge opens, clicks and addresses in the log by the rules of now", Args: noArgs,
		Long: "Judge what is in the log by the rules that ingest uses now. Each verdict that is different is one line.\n" +
			"A hit that turns out to be a machine's loses the points it earned, one that turns out to be a person's\n" +
			"earns them as of when it happened. Doing it twice changes nothing more.",
	}
	cmd.Flags().StringVar(&since, "since", "", "only mails that were opened or clicked from this day on, like 2026-03-31")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, _ []string) error {
		req := &ingestv1.RejudgeHitsRequest{DryRun: dry}
		if since != "" {
			at, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return fmt.Errorf("--since %q: expected a day like 2026-03-31", since)
			}
			req.Since = timestamppb.New(at)
		}
		return rejudge(ctx, c, w, req)
	})
}

func rejudge(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, req *ingestv1.RejudgeHitsRequest) error {
	stream, err := c.RejudgeHits(ctx, req)
	if err != nil {
		return err //nolint:wrapcheck // the caller says who was asked
	}
	p, last := &printer{w: w}, &ingestv1.RejudgeHitsResponse{}
	for p.err == nil {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err //nolint:wrapcheck // the caller says who was asked
		}
		if last = msg; msg.GetNow() != nil {
			was, now := msg.GetWas(), msg.GetNow()
			p.f("%s  %s  %s: %s, was %s\n", msg.GetLeadId(), clock(now.GetOccurredAt()), now.GetType(), said(now), said(was))
		}
	}
	p.f("%d leads, %d opens and clicks: %d verdicts and the flags of %d leads %s by rules %s\n", last.GetLeads(), last.GetHits(),
		last.GetChanged(), last.GetFlagsChanged(), yes(req.GetDryRun(), "would be different", "are different now"), last.GetRules())
	return p.err
}

// said is a verdict in words.
func said(a *leadv1.Activity) string {
	if !a.GetMachine() {
		return "a person's"
	}
	return "a machine's (" + a.GetVerdict() + ")"
}
