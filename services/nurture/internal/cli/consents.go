package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func newLeadConsents() *cobra.Command {
	cmd := &cobra.Command{
		Use: "consents <lead id or e-mail>", Short: "List every answer a lead ever gave, and what was allowed as of a date", Args: wantArgs("id"),
	}
	asOf := cmd.Flags().String("as-of", "", "date or time, like 2026-01-31 (the end of that day, UTC) or 2026-01-31T12:00:00Z; empty: now")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		id, err := leadNamed(ctx, c, args[0])
		if err != nil {
			return err
		}
		req := &ingestv1.ListConsentsRequest{LeadId: id}
		if *asOf != "" {
			at, err := asOfTime(*asOf)
			if err != nil {
				return err
			}
			req.AsOf = timestamppb.New(at)
		}
		resp, err := c.ListConsents(ctx, req)
		if err != nil {
			return err
		}
		if *asJSON {
			raw, err := protojson.MarshalOptions{Multiline: true}.Marshal(resp)
			if err != nil {
				return fmt.Errorf("encode consents: %w", err)
			}
			_, err = fmt.Fprintln(w, string(raw))
			return err
		}
		return printConsents(&printer{w: w}, resp)
	})
}

func asOfTime(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--as-of %q: write a date like 2026-01-31, or a time like 2026-01-31T12:00:00Z", text)
	}
	return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
}

func printConsents(p *printer, resp *ingestv1.ListConsentsResponse) error {
	for _, e := range resp.GetEntries() {
		p.f("%s  #%d  %s\n", e.GetRecordedAt().AsTime().Format(time.RFC3339), e.GetSeq(), entryWords(e))
		if c := e.GetConsent(); c.GetText() != "" {
			p.f("    words %q", c.GetText())
			if c.GetTextVersion() != "" {
				p.f(", version %s", c.GetTextVersion())
			}
			p.f("\n")
		}
	}
	if resp.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		p.f("suppressed: %s\n", suppressionName(resp.GetSuppression()))
	}
	for _, perm := range resp.GetPermissions() {
		word := "not allowed"
		if perm.GetAllowed() {
			word = "allowed"
		}
		p.f("%-24s %s: %s\n", perm.GetPurpose(), word, perm.GetReason())
	}
	return p.err
}

func entryWords(e *ingestv1.ConsentEntry) string {
	switch c := e.GetConsent(); {
	case c != nil:
		words := "no to"
		if c.GetGranted() {
			words = "yes to"
		} else if c.GetPending() {
			words = "yes, to be confirmed, to"
		}
		words += " " + c.GetPurpose() + " by " + c.GetMethod() + " from " + c.GetSource()
		for _, part := range []struct{ name, value string }{
			{"request", c.GetRequestId()}, {"proof", c.GetProof()}, {"page", c.GetSourceUrl()}, {"ip", c.GetIp()}, {"by", c.GetBy()},
		} {
			if part.value != "" {
				words += ", " + part.name + " " + part.value
			}
		}
		return words
	case e.GetAsked() != nil:
		return fmt.Sprintf("confirmation mail asked for %v", e.GetAsked().GetRequestIds())
	case e.GetSuppressed() != nil:
		return "suppressed: " + suppressionName(e.GetSuppressed().GetReason())
	default:
		return "suppression lifted: " + e.GetLifted().GetReason() + " " + e.GetLifted().GetBy()
	}
}
