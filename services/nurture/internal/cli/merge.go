package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

func newLeadMerge() *cobra.Command {
	cmd := &cobra.Command{
		Use: "merge <lead id> <other lead id>", Short: "Make one lead of two that are the same person; it can be undone", Args: wantArgs("id", "other id"),
		Long: "Make the first lead have all that the second one told and did. The second id answers to the first from\n" +
			"then on, in every service: its journeys end, its mails are not sent, what it earned counts for the first,\n" +
			"and sales is not told twice. `nurture lead unmerge <other lead id>` undoes it.",
	}
	a := addrFlags(cmd)
	by := cmd.Flags().String("by", "", "who says so, for the record, e.g. a ticket; no names")
	choose := cmd.Flags().Bool("choose", false, "let the service choose which of the two survives: the one with an address, then with a user id, then the older one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		r, err := p.ingest.MergeLeads(cmd.Context(), &ingestv1.MergeLeadsRequest{LeadId: args[0], FromLeadId: args[1], By: *by, Choose: *choose})
		if err != nil {
			return merging(err, args)
		}
		survivor := r.GetLead().GetLeadId()
		if r.GetAlready() {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s and %s were one lead before: %s\n", args[0], args[1], survivor)
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s and %s are one lead now: %s\n", args[0], args[1], survivor)
		return err
	}
	return cmd
}

func newLeadUnmerge() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unmerge <lead id>", Short: "Give a merged lead its own history again", Args: wantArgs("id"),
		Long: "Undo a merge: the lead and the one it was merged into each have again what was told of them, also what\n" +
			"came meanwhile. The two are never merged again by themselves.",
	}
	a := addrFlags(cmd)
	by := cmd.Flags().String("by", "", "who says so, for the record, e.g. a ticket; no names")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		r, err := p.ingest.UnmergeLead(cmd.Context(), &ingestv1.UnmergeLeadRequest{LeadId: args[0], By: *by})
		if err != nil {
			return merging(err, args)
		}
		if r.GetAlready() {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is not merged into another lead\n", args[0])
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is one of its own again; it had been merged into %s\n", args[0], r.GetFromLeadId())
		return err
	}
	return cmd
}

// merging says what to do about a merge that cannot be.
func merging(err error, leads []string) error {
	switch said := status.Convert(err); said.Code() {
	case codes.NotFound:
		return fmt.Errorf("one of %v does not exist, or was erased", leads)
	case codes.FailedPrecondition:
		return fmt.Errorf("these leads cannot be merged: %s", said.Message())
	default:
		return fmt.Errorf("ask ingest: %w", err)
	}
}

// printMerges tells which leads are this person, and that another id was asked for.
func (s *biography) printMerges(p *printer) {
	if s.asked != "" && s.asked != s.lead.GetLeadId() {
		p.f("  asked for\t%s, which is merged into this one\n", s.asked)
	}
	for _, m := range s.merges {
		p.f("  merged in\t%s into %s by %s (%.0f %% sure) %s\n", m.GetFromLeadId(), m.GetIntoLeadId(), m.GetBy(), 100*m.GetConfidence(), clock(m.GetAt()))
	}
}
